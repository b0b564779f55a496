"""The newcomer's chat of the README: every turn does what a newcomer means, and the picture shows that chat."""

from __future__ import annotations

import html
import re
from pathlib import Path

import newcomer
import pytest

import rag

CULTURE, TEAMING, FLASH, VQ = "d50cef565d59", "3568d1745706", "ab71d384aa75", "c7a335cf5bb9"
S4, HIPPO, KV = "005efae14363", "64244dfecf81", "abf5bfe6adfe"


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    """(what was shown for each line, the conversation, the exported file)."""
    folder: Path = tmp_path_factory.mktemp("newcomer")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        console, talk = newcomer.transcript()
    text = console.export_text(clear=False)
    turns = re.split(r"^\? .*\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(newcomer.LINES, turns, strict=True)), talk, (folder / "answers.md").read_text("utf-8")


def test_each_question_is_answered_from_the_papers_it_means(chat):
    _, talk, _ = chat
    cited = [[paper.id for paper in answer.numbers.values()] for answer in talk.history]
    assert [set(ids) for ids in cited] == [
        set(), {CULTURE, TEAMING}, {CULTURE}, {CULTURE}, {CULTURE, TEAMING}, {FLASH}, {VQ}, {VQ, S4}, {S4, HIPPO, FLASH}, {S4}, {KV}, set(), set()
    ]  # fmt: skip
    assert [answer.status for answer in talk.history][-1] == "refused"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("hello", "Ask a question about the papers"),
        ("how many questions does the first one hold?", "1,227"),
        ("and its licence?", "The abstract of CulturalBench does not give a licence; nearest:"),
        ("compare with the second one", "searched: compare CulturalBench with CulturalTeaming"),
        ("and LongVQ?", "searched: What is LongVQ?"),
        ("is it better than S4?", "searched: is LongVQ better than S4?"),
        ("Which papers mention Path-X?", "3 of 213 papers mention Path-X:"),
        ("and Mamba?", "No abstract that mentions Mamba gives a score on CIFAR-10; nearest:"),
        ("thanks", "Ask another question about the papers whenever you like."),
        ("What is the capital of Mongolia?", "This library does not say: no paper of it mentions capital or Mongolia."),
        ("/open 4", "[4] LongVQ: Long Sequence Modeling"),
        ("/sources", "cited by questions 2, 3, 4, 5"),
        ("/export answers.md", "13 answers written to answers.md"),
    ],
)
def test_a_turn_says_what_was_asked_for(chat, line, said):
    shown, _, _ = chat
    assert said in " ".join(shown[line].split())
    assert "rag:" not in shown[line]


def test_a_topic_of_its_own_is_not_dragged_back(chat):
    shown, _, _ = chat
    for line in ("What is FlashAttention?", "Which papers mention Path-X?", "what accuracy does S4 reach on CIFAR-10?"):
        assert "searched:" not in shown[line]
    assert "searched:" in shown["compare with the second one"]


def test_numbers_stay_through_the_chat(chat):
    _, talk, _ = chat
    assert {number: paper.id for number, paper in talk.numbers.items()} == dict(enumerate((CULTURE, TEAMING, FLASH, VQ, S4, HIPPO, KV), 1))  # fmt: skip


def test_the_exported_page_has_the_questions_and_a_footnote_for_every_paper(chat):
    _, talk, page = chat
    assert re.findall(r"^## ", page, re.MULTILINE) == ["## "] * len(talk.history)
    assert re.findall(r"^\[\^(\d)\]:", page, re.MULTILINE) == list("1234567")


def test_the_picture_shows_this_chat():
    picture = html.unescape(newcomer.PICTURE.read_text("utf-8")).replace("\xa0", " ")
    assert [line for line in newcomer.LINES if line not in picture] == [], "type: python tests/newcomer.py"
    assert "1,227" in picture


def test_the_readme_shows_what_is_printed():
    page = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    shown = re.findall(r'^\$ rag ask "([^"]*)" \| (?:cat|head -1)\n(.*)', page, re.MULTILINE)
    assert len(shown) >= 3
    assert shown == [(question, rag.answer(question, model="extractive").text) for question, _ in shown]
