"""Sentences that failed their check ask once more: a model copies the words of the passages that bear each out.

    sentences that failed -prompted-> prompt, whose reply -copied-> the words for each

One call for all of an answer. Nothing is decided here: the words count only when `rag.answering.verify` finds
them in a cited abstract, and the numbers and names of the sentence agree with what stands there. So a reply
can do no more than point; whatever else it says has no effect.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rag.prompting import Ask, fence
from rag.records import Paper, Prompt
from rag.text import harmless, readable

MOST = 16  # sentences of one appeal; what is beyond stays taken out
PIECES = 6  # copied for one sentence


class Failed(NamedTuple):
    """A sentence that did not pass, and the papers that it cites (at least one)."""

    text: str
    papers: tuple[Paper, ...]


def appealed(failed: Sequence[Failed], prompt: Prompt, ask: Ask) -> tuple[tuple[str, ...], ...]:
    """For each sentence the words that a model copies for it; none where it finds none. Raises whatever `ask` raises."""
    heard = failed[:MOST]
    said = copied(ask(*prompted(prompt, heard)).text, len(heard))
    return said + ((),) * (len(failed) - len(heard))


def prompted(prompt: Prompt, failed: Sequence[Failed]) -> tuple[str, str]:
    """(system, user): the cited passages, numbered from 1, then the sentences, each with the numbers it cites."""
    papers = list(dict.fromkeys(paper for one in failed for paper in one.papers))
    passages = "\n\n".join(
        f"[{n}] {harmless(readable(paper.title))}\n{harmless(readable(paper.abstract))}"
        for n, paper in enumerate(papers, 1)
    )
    sentences = "\n".join(
        f"{n}: {' '.join(harmless(one.text).split())} "
        + "".join(f"[{papers.index(paper) + 1}]" for paper in dict.fromkeys(one.papers))
        for n, one in enumerate(failed, 1)
    )
    return prompt.system, prompt.fill(fence=fence(passages, sentences), passages=passages, sentences=sentences)


_LINE = re.compile(r"\W*(?:sentence\s*)?(?P<number>\d{1,3})\s*[:.)][\s*_]*(?P<said>.*)", re.IGNORECASE)
_MARKS = re.compile(r"^(?:[\[(]\d{1,3}[\])][\s:,]*)+")
_ELISION = re.compile(r"\s*(?:\[?(?:…|\.\.\.)\]?)\s*")


def copied(reply: str, count: int) -> tuple[tuple[str, ...], ...]:
    """What a reply copies for each of `count` sentences; none where it says NONE, or says anything beside."""
    found: dict[int, list[str]] = {}
    for line in reply.splitlines():
        if head := _LINE.match(line):
            words = _MARKS.sub("", head["said"]).strip(" \"'“”‘’*`")
            found.setdefault(int(head["number"]), []).extend(piece for piece in _ELISION.split(words) if piece)
    return tuple(_pieces(found.get(n, ())) for n in range(1, count + 1))


def _pieces(said: Sequence[str]) -> tuple[str, ...]:
    denied = any(re.fullmatch(r"\W*none\W*", piece, re.IGNORECASE) for piece in said)
    return () if denied else tuple(dict.fromkeys(said))[:PIECES]
