"""Prompt files, and passages cut to their room in a prompt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made import FLASH, S4, evidence, paper

from rag import prompting
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


def long(*, sentences=20, papers=1):
    return [
        paper(f"Paper {n}", " ".join(f"Sentence {m} of the long paper {n}." for m in range(sentences)))
        for n in range(1, papers + 1)
    ]


def size(shown):
    return sum(map(count, shown))


@pytest.mark.parametrize(("tokens", "whole", "cut"), [(429, 3, 0), (575, 4, 0), (600, 4, 1), (10_000, 6, 0)])
def test_passages_are_whole_and_as_many_as_there_is_room_for(tokens, whole, cut):
    shown = numbered(evidence(*long(papers=6)), tokens, count)  # each has 143 words
    assert size(shown) <= tokens
    assert [one.endswith(f"Sentence 19 of the long paper {n}.") for n, one in enumerate(shown, 1)] == [True] * whole + [
        False
    ] * cut
    for last in shown[whole:]:
        assert re.fullmatch(r"\[5\] Paper 5\n(Sentence \d+ of the long paper 5\. )+\[…\]", last)


@pytest.mark.parametrize("tokens", [150, 285, 290, 428])
def test_none_of_the_first_three_is_cut_to_make_room(tokens):
    shown = numbered(evidence(*long(papers=6)), tokens, count)
    assert len(shown) == tokens // 143
    assert not any("[…]" in one for one in shown)


@pytest.mark.parametrize("tokens", [1, 20, 100])
def test_what_is_longer_than_all_the_room_is_cut_and_marked(tokens):
    (shown,) = numbered(evidence(*long(papers=3)), tokens, count)
    assert shown.startswith("[1] Paper 1\nSentence 0 of the long paper 1. ")
    assert shown.endswith(" […]")


def test_within_the_budget_nothing_is_cut():
    assert readable(S4.abstract) in "\n".join(numbered(evidence(S4, FLASH), 3000, count))


@pytest.mark.parametrize("tokens", [1, 50])
def test_a_passage_is_never_left_without_a_sentence(tokens):
    sentence = f"It is {'very ' * 60}long."
    assert numbered(evidence(paper("Long", f"{sentence} And on.")), tokens, count) == [f"[1] Long\n{sentence} […]"]


def test_the_same_text_has_the_same_fence_and_another_text_another():
    assert fence("one", "two") == fence("one", "two")
    assert len({fence("one"), fence("two"), fence("one", "two"), fence("onetwo")}) == 4
    assert re.fullmatch("=== [0-9a-f]{12} ===", fence("\ud800"))


def test_a_fence_stays_the_same_from_one_process_to_the_next_and_differs_between_installations(tmp_path, monkeypatch):
    made = []
    for place in ("one", "one", "two"):
        monkeypatch.setenv("RAG_HOME", str(tmp_path / place))
        prompting._key.cache_clear()
        made.append(fence("the same text"))
    assert made[0] == made[1] != made[2]
    key = tmp_path / "one" / "cache" / "fence.key"
    assert key.stat().st_mode & 0o077 == 0
    assert [path.name for path in key.parent.iterdir()] == ["fence.key"]


def test_where_no_key_can_be_kept_a_process_has_one_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "file"))
    prompting._key.cache_clear()
    assert fence("a") == fence("a")
    prompting._key.cache_clear()


@pytest.fixture(autouse=True)
def _own_key():
    yield
    prompting._key.cache_clear()
