"""What a chat model is shown: prompt files, the fence around what is data, passages cut to their room."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from rag.errors import PromptError
from rag.places import resource
from rag.records import Evidence, Paper, Prompt, Reply
from rag.text import harmless, readable, sentences

Ask = Callable[[str, str], Reply]  # (system, user) -> what a chat model says
LEAST_ROOM = 40  # tokens for one passage, however many there are


@cache
def prompts() -> tuple[Prompt, ...]:
    """The shipped prompts, by name. Raises PromptError for a file that is none."""
    return tuple(prompt(path) for path in sorted(resource("prompts").glob("*.md")) if path.name != "README.md")


def prompt(path: Path) -> Prompt:
    """The prompt in a file. Raises PromptError when it lacks a version or one of the two parts."""
    match = re.fullmatch(r"version: (\d+)\n+## system\n(.+?)\n## user\n(.+)", path.read_text("utf-8"), re.DOTALL)
    if not match:
        raise PromptError(f"{path}: not 'version: N', then '## system', then '## user'")
    return Prompt(path.stem, int(match[1]), match[2].strip(), match[3].strip())


def fence() -> str:
    """A line that encloses data in one prompt. It is random, so that no data can hold it."""
    return f"=== {secrets.token_hex(6)} ==="


def numbered(passages: Sequence[Evidence], tokens: int, count: Callable[[str], int]) -> str:
    """The passages for a prompt, numbered from 1. Each is cut after a whole sentence to its share of `tokens`.

    `count(text)` is how many tokens a text has. The first sentence of a passage always stays.
    """
    share = max(tokens // max(1, len(passages)), LEAST_ROOM)
    return "\n\n".join(
        f"[{n}] {harmless(readable(e.paper.title))}\n{_cut(e.paper, share, count)}" for n, e in enumerate(passages, 1)
    )


def _cut(paper: Paper, tokens: int, count: Callable[[str], int]) -> str:
    kept: list[str] = []
    for start, end in sentences(paper.abstract):
        sentence = harmless(readable(paper.abstract[start:end]))
        tokens -= count(sentence)
        if tokens < 0 and kept:
            break
        kept.append(sentence)
    return " ".join(kept)
