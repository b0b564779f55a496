"""Prompt files, and passages cut to their room in a prompt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made import FLASH, S4, evidence, paper

from rag.errors import PromptError
from rag.prompting import fence, numbered, prompt
from rag.records import Prompt
from rag.text import readable


def count(text: str) -> int:
    return len(text.split())


def test_a_prompt_file_is_read_into_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "ask.md"
    path.write_text("version: 12\n\n## system\nBe brief.\n\nVery.\n\n## user\n$question\n")
    assert prompt(path) == Prompt("ask", 12, "Be brief.\n\nVery.", "$question")


@pytest.mark.parametrize(
    "text",
    ["", "## system\na\n## user\nb\n", "version: x\n\n## system\na\n## user\nb\n", "version: 1\n\n## user\nb\n", "version: 1\n\n## system\na\n"],
)  # fmt: skip
def test_a_prompt_file_without_its_parts_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "ask.md").write_text(text)
    with pytest.raises(PromptError, match=r"ask\.md: not 'version: N'"):
        prompt(tmp_path / "ask.md")


@pytest.mark.parametrize("tokens", [100, 200, 400])
def test_the_budget_cuts_by_whole_sentences(tokens):
    long = [paper(f"Paper {n}", " ".join(f"Sentence {m} of the long paper {n}." for m in range(80))) for n in (1, 2)]
    shown = numbered(evidence(*long), tokens, count)
    assert count(shown) <= tokens * 1.2
    for n, passage in enumerate(shown.split("\n\n"), 1):
        body = passage.split("\n", 1)[1]
        assert re.fullmatch(rf"(Sentence \d+ of the long paper {n}\. ?)+", body)
        assert body.startswith(f"Sentence 0 of the long paper {n}.")


def test_within_the_budget_nothing_is_cut():
    assert readable(S4.abstract) in numbered(evidence(S4, FLASH), 3000, count)


@pytest.mark.parametrize("tokens", [1, 50])
def test_a_passage_is_never_left_without_a_sentence(tokens):
    sentence = f"It is {'very ' * 60}long."
    shown = numbered(evidence(paper("Long", f"{sentence} And on.")), tokens, count)
    assert shown == f"[1] Long\n{sentence}"


def test_each_fence_is_another():
    assert len({fence() for _ in range(5)}) == 5
