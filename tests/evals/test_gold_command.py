"""`rag gold` as it is typed: rows from questions, from chats, from a model's drafts, and what is no row."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made import FLASH, POKER, S4
from running import called
from served import ChatServer

import rag
from evals import author, command, gold, gold_command, lint, options
from rag.chat.store import FILE, Chats
from rag.library import build
from rag.places import home
from rag.records import Answer

ASKED = "How much faster does S4 generate text?"
Gold = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A library of three papers, in a RAG_HOME of its own."""
    folder = tmp_path_factory.mktemp("mine")
    file = folder / "papers.txt"
    file.write_text("\n\n".join(f"{p.title}\n\n{p.abstract}" for p in (S4, FLASH, POKER)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_HOME", str(folder))
        patch.setattr(build, "_shipped_files", lambda: [file])
        rag.add(file, library="mine")
        yield folder


@pytest.fixture
def typing(mine: Path, tmp_path: Path) -> Gold:
    """`rag gold COMMAND g.jsonl ... --library mine` with lines that are typed."""

    def call(command: str, *argv: str, lines: tuple[str, ...] = ()) -> tuple[int, str, str]:
        keys = "".join(f"{line}\n" for line in lines).encode()
        return called("gold", command, str(tmp_path / "g.jsonl"), *argv, "--library", "mine", stdin=keys)

    return call


def rows(folder: Path) -> dict[str, gold.Question]:
    return {row.id: row for row in gold.load(folder / "g.jsonl")}


def test_init_writes_three_examples_that_are_rows_once_they_are_put_in(typing, tmp_path):
    code, out, err = typing("init")
    assert (code, err) == (0, "")
    assert "Next: rag gold add" in out
    text = (tmp_path / "g.jsonl").read_text()
    assert not author.rows_in(tmp_path / "g.jsonl")
    (tmp_path / "g.jsonl").write_text(text.replace("# {", "{"))
    assert list(rows(tmp_path)) == ["aa001", "aa002", "aa003"]
    code, _, err = typing("lint")
    assert (code, "3 rows are new or edited and not accepted" in err) == (2, True)
    assert f"rag eval lint --accept --gold {tmp_path / 'g.jsonl'} --library mine" in err
    assert typing("lint", "--accept")[:2] == (0, "3 questions, 0 problems, 0 warnings\n")
    code, out, err = typing("init")
    assert (code, out, len(err.splitlines()), "is there already" in err) == (2, "", 1, True)


def test_add_makes_a_row_of_marks(typing, tmp_path):
    """Enter takes what is proposed: all sentences, no more papers, the figure nearest to the words of the question."""
    code, out, _ = typing("add", ASKED, lines=("", "", "", "", ""))
    assert code == 0
    row = rows(tmp_path)["qa001"]
    assert (row.kind, row.papers[S4.id], row.question) == ("single", 2, ASKED)
    assert any(fact.match == {"type": "number", "value": 60} for fact in row.facts), out
    assert all(support.quote in S4.abstract for fact in row.facts for support in fact.support)
    assert f"{tmp_path / 'g.jsonl'}:1: qa001, single, 1 paper" in out
    assert typing("lint")[0] == 0  # accepted with it
    code, out, _ = typing("add", ASKED)
    assert (code, "in the gold set already" in out, len(rows(tmp_path))) == (0, True, 1)


def test_add_takes_what_is_not_in_here_and_papers_that_the_answer_lacks(typing, tmp_path):
    (tmp_path / "g.jsonl").write_text("# my own words")
    lines = (
        "What is the capital of Mongolia?", "n", "geography",
        "Which attention is IO-aware?", "0", f"no such paper; {FLASH.title}", FLASH.title[:9], "9", "2", "IO-unaware", "IO-aware | exact",
        "",
    )  # fmt: skip
    code, out, _ = typing("add", lines=lines)
    assert code == 0
    first, second = rows(tmp_path).values()
    assert (first.kind, first.missing, first.essential) == ("unanswerable", "geography", frozenset())
    assert second.facts, out
    assert (second.papers[FLASH.id], second.facts[0].match["any"]) == (2, ["IO-aware", "exact"])
    assert "no paper 'no such paper' in this library" in out
    assert "none of these words stands in the sentence" in out
    assert "type numbers of the sentences" in out
    assert (tmp_path / "g.jsonl").read_text().startswith("# my own words\n{")


def test_a_paper_that_is_not_cited_is_named_by_its_letter(typing, tmp_path):
    letter = next(
        line.split()[0] for line in typing("add", ASKED, lines=("s",))[1].splitlines() if line.endswith(POKER.title)
    )
    code, out, _ = typing("add", ASKED, lines=("1", letter, "", "-"))
    row = rows(tmp_path)["qa001"]
    assert (code, row.kind, row.essential) == (0, "list", {S4.id, POKER.id}), out


def test_the_end_of_what_is_typed_keeps_every_row_made(typing, tmp_path):
    code, _, err = typing("add", lines=("What is the capital of Mongolia?", "n", "", ASKED, "1"))
    assert (code, err) == (0, "")
    assert [row.kind for row in rows(tmp_path).values()] == ["unanswerable"]


def test_a_file_of_another_editor_is_read_and_kept(typing, tmp_path):
    """A byte order mark, CR LF, and a character in a text that Python takes for the end of a line."""
    typing("add", "What is the capital\u2028of Peru?", lines=("n", ""))
    text = (tmp_path / "g.jsonl").read_text("utf-8")
    (tmp_path / "g.jsonl").write_bytes(b"\xef\xbb\xbf# mine\r\n" + text.replace("\n", "\r\n").encode())
    assert typing("lint")[:2] == (0, "1 questions, 0 problems, 0 warnings\n")
    typing("add", "What is the capital of Laos?", lines=("n", ""))
    assert list(rows(tmp_path)) == ["qa001", "qa002"]
    assert typing("lint")[0] == 0


def test_what_is_no_file_is_one_line(typing, tmp_path):
    (tmp_path / "g.jsonl").mkdir()
    for name in ("add", "lint", "suggest", "init"):
        code, out, err = typing(name)
        assert (code, out, len(err.splitlines())) == (2, "", 1), name
    (tmp_path / "g.jsonl").rmdir()
    (tmp_path / "g.jsonl").write_bytes(b"\xff\xfe")
    code, out, err = typing("add")
    assert (code, out, "cannot be read" in err) == (2, "", True)
    (tmp_path / "g.jsonl").unlink()
    (tmp_path / "g.evals").write_text("a file in the way")
    code, out, err = typing("add", "What is the capital of Laos?", lines=("n", ""))
    assert (code, len(err.splitlines())) == (1, 1)


def test_an_id_that_was_deleted_is_not_used_again(typing, tmp_path):
    for city in ("Peru", "Chad"):
        typing("add", f"What is the capital of {city}?", lines=("n", ""))
    text = (tmp_path / "g.jsonl").read_text().splitlines()
    (tmp_path / "g.jsonl").write_text(text[0] + "\n")
    typing("add", "What is the capital of Laos?", lines=("n", ""))
    assert list(rows(tmp_path)) == ["qa001", "qa003"]


def test_lint_names_the_line(typing, tmp_path):
    typing("add", "What is the capital of Peru?", lines=("n", ""))
    row = json.loads((tmp_path / "g.jsonl").read_text())
    (tmp_path / "g.jsonl").write_text("# a comment\n\n" + json.dumps(row | {"papers": {"0123456789ab": 0}, "rev": 2}))
    code, out, err = typing("lint", "--accept")
    assert (code, err) == (2, "rag: problem: g.jsonl:3: qa001: no paper 0123456789ab in the library\n")
    (tmp_path / "g.evals" / "gold.lock").write_text("{")
    code, out, err = typing("lint")
    assert (code, out, len(err.splitlines()), "is no lock" in err) == (2, "", 1, True)


# --- chats --------------------------------------------------------------------------------------


def kept(answer: Answer, library: str | None, verdict: str | None = None) -> None:
    store = Chats(home("data") / FILE)
    chat = store.begin(library)
    turn = store.ask(chat, answer.question)
    store.answer(turn, answer)
    if verdict:
        store.judge(turn, verdict, "as I say")
    store.close()


def test_answers_of_chats_become_candidates(typing, tmp_path):
    good, bad, other = (
        rag.answer(q, library="mine") for q in (ASKED, "Which attention is IO-aware?", "How does an LLM play poker?")
    )
    kept(good, "mine", "good")
    kept(bad, "mine", "bad")
    kept(other, "another")
    code, out, _ = typing("from-feedback", lines=("", "", "", "", "", ""))
    assert code == 0
    assert [row.question for row in rows(tmp_path).values()] == [ASKED]  # Enter skips what was called bad
    assert "(bad: as I say)" in out
    code, out, _ = typing("from-chat", lines=("n", "nothing of it"))
    assert [row.kind for row in rows(tmp_path).values()] == ["single", "unanswerable"]
    assert "poker" not in out


def test_without_feedback_it_is_said(typing, monkeypatch, tmp_path, mine):
    (mine / "data" / FILE).unlink(missing_ok=True)
    code, out, err = typing("from-feedback")
    assert (code, out, err.startswith("rag: no answer of this library was called good or bad")) == (0, "", True)


# --- suggestions --------------------------------------------------------------------------------


def test_papers_without_a_question_are_named(typing):
    typing("add", ASKED, lines=("", "", "", "", ""))
    code, out, _ = typing("suggest", "-n", "1")
    assert (code, out.splitlines()[0]) == (0, "2 of 3 papers have no question")
    assert out.splitlines()[1].split()[0] in (FLASH.id, POKER.id)
    assert len(out.splitlines()) == 2


def test_a_models_draft_is_a_row_only_if_a_person_takes_it(typing, tmp_path):
    quote = FLASH.abstract.split(". ")[0]
    drafts = iter([
        {"question": "What is exact?", "quote": quote, "words": quote.split()[0]},
        {"question": "What is made up?", "quote": "Nobody wrote this.", "words": "Nobody"},
    ])  # fmt: skip
    asked: list[str] = []

    def says(body):
        asked.append(body["messages"][1]["content"])
        return "Here: " + json.dumps(
            next(drafts) if "FlashAttention" in asked[-1] or len(asked) > 1 else {"question": 1}
        )

    with ChatServer(says) as server:
        code, out, err = typing("suggest", "--model", "m", "--base-url", server.url, lines=("my own words?", "y"))
    assert code == 0, err
    assert out.count("no draft that holds") == 2
    assert [row.question for row in rows(tmp_path).values()] == ["my own words?"]
    assert all(text.splitlines()[0] == text.splitlines()[-1] for text in asked)  # the abstract stands in a fence


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["gold"], "COMMAND"),
        (["gold", "ad", "x"], "did you mean add"),
        (["gold", "add"], "FILE"),
        (["gold", "add", "x.jsonl", "--kind", "hard", "Why?"], "--kind"),
        (["gold", "suggest", "x.jsonl", "-n", "0"], "number from 1"),
    ],
)
def test_what_cannot_be_done_is_one_line(mine, argv, said):
    code, out, err = called(*argv)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert said in err


def test_a_proposed_fact_is_the_figure_beside_what_was_asked():
    said = author.Said(
        1,
        "It reaches 91% accuracy and generates text 60 times faster.",
        (("p", "It reaches 91% accuracy and generates text 60 times faster."),),
    )
    assert author.proposed(said, "How much faster does it generate?") == "60 times"
    assert author.proposed(said, "Which accuracy does it reach?") == "91%"
    named = author.Said(1, "We propose FlashAttention.", (("p", "We propose FlashAttention."),))
    assert author.proposed(named, "What is proposed?") == "FlashAttention"
    assert author.proposed(named, "Who made FlashAttention?") == ""
    assert lint.ACCEPTING.startswith("rag eval")


def test_each_command_of_the_readme_is_one():
    """What a newcomer types from evals/README.md is read by the parsers."""
    text = (Path(author.__file__).parent / "README.md").read_text("utf-8")
    lines = re.findall(r"^(?:\$|\s+- run:|\s+-|next:) (rag (?:eval|gold) .*)$", text, re.MULTILINE)
    typed = [shlex.split(re.split(r"; echo| \|\| |   ", line, maxsplit=1)[0], comments=True) for line in lines]
    assert len(typed) >= 10
    for _, name, *argv in typed:
        parsed = PARSERS[name]().parse_args(argv)
        assert callable(parsed.run), argv


PARSERS = {"eval": lambda: options.parser(command.COMMANDS), "gold": gold_command._parser}
