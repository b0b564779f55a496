"""The command: what goes to stdout and stderr, exit codes, and one line for everything that goes wrong.

Most calls go through `main` in this process; signals, pipes, encodings and terminals need their own.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from made import FLASH as IO_AWARE
from made import POKER, S4, library
from pytest_httpserver import HTTPServer
from running import LONGEST_WAIT, RAG, ROOT, called, environment, finish, run, several, silent_server, start, typed

from rag import Answer, FrozenMap, Paper, open_library
from rag.cli.main import main
from rag.library.database import FILE
from rag.text import paper_id

QUESTION = "How does FlashAttention reduce memory accesses?"
NOT_HERE = "What is the best recipe for sourdough bread?"
FLASH = "ab71d384aa75"
DRAWN = re.compile(r"\x1b\[[\d;?]*[A-Za-z]|\r")
COLOUR = re.compile(r"\x1b\[(\d+;)*3\d")
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")  # by a terminal


@pytest.fixture(scope="module", autouse=True)
def _library_is_built(home: Path) -> None:
    """So that no single test is a first run, whichever is run alone."""
    open_library().close()


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def rag(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """The command in this process, with standard input from a pipe."""

    def call(*argv: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        capsys.readouterr()
        code = main(argv)
        return Ran(code, *capsys.readouterr())

    return call


def said(ran: Ran | tuple[int, str, str]) -> str:
    """The one line on stderr of a run that failed."""
    code, out, err = ran
    lines = [line for line in err.splitlines() if not line.startswith("Preparing the library")]
    assert code, "it did not fail"
    assert len(lines) == 1, err
    assert out == ""
    assert lines[0].startswith("rag: ")
    assert not OBEYED.search(err)
    return lines[0]


# --- what goes right ----------------------------------------------------------------------------


def test_ask_takes_its_question_as_argument_words_dash_or_pipe(rag):
    given = rag("ask", QUESTION)
    assert given.code == 0
    assert re.search(r"FlashAttention.* \[1\]", given.out)
    assert (
        f"\nSources\n[1] FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness  ({FLASH})"
        in given.out
    )
    assert rag("ask", *QUESTION.split()).out == given.out
    assert rag("ask", "-", stdin=QUESTION.encode()).out == given.out
    assert rag("ask", stdin=f"\ufeff  {QUESTION}\n".encode()).out == given.out
    assert not OBEYED.search(given.out)


def test_a_question_in_the_place_of_a_command_is_asked(rag):
    as_asked = rag("ask", QUESTION)
    assert rag(QUESTION) == as_asked
    assert json.loads(rag(QUESTION, "--json").out)["question"] == QUESTION
    assert json.loads(rag("FlashAttention?", "--json").out)["question"] == "FlashAttention?"
    assert rag(NOT_HERE).code == 3
    assert "is empty; type: rag ask" in said(rag(" "))
    assert "did you mean --json? type: rag ask" in said(rag(QUESTION, "--jsno"))


def test_ask_abstracts_marks_the_quotes_in_them(rag, papers):
    answer = Answer.from_dict(json.loads(rag("ask", "--json", QUESTION).out))
    shown = rag("ask", "--abstracts", QUESTION).out
    assert all(f"«{citation.quote}»" in shown for citation in answer.citations if "\\" not in citation.quote)
    assert "«" not in rag("ask", QUESTION).out


def test_ask_json_is_the_answer(rag):
    ran = rag("ask", "--json", QUESTION)
    answer = Answer.from_dict(json.loads(ran.out))
    assert (ran.code, ran.err) == (0, "")
    assert (answer.question, answer.status, answer.model) == (QUESTION, "answered", "extractive")
    assert answer.citations[0].paper.id == FLASH
    assert rag("ask", QUESTION).out.startswith(answer.text + "\n")


def test_a_refusal_is_an_answer_with_exit_code_3(rag):
    plain, as_json = rag("ask", NOT_HERE), rag("ask", "--json", NOT_HERE)
    assert (plain.code, as_json.code) == (3, 3)
    assert (plain.err, as_json.err) == ("", "")
    data = json.loads(as_json.out)
    assert (data["status"], data["citations"]) == ("refused", [])
    assert plain.out == data["text"] + "\n"


def test_search_lists_k_papers_best_first(rag):
    lines = rag("search", "state space models", "-k", "3").out.splitlines()
    hits = json.loads(rag("search", "state space models", "-k", "3", "--json").out)
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert [line.split()[:2] for line in lines] == [[str(hit["rank"]), hit["paper"]["id"]] for hit in hits]
    assert len(rag("search", stdin=b"state space models").out.splitlines()) == 8


def test_an_explained_search_adds_up_and_shows_what_it_rests_on(rag, papers):
    hits = json.loads(rag("search", "--explain", "which layer solved path-x", "-k", "2", "--json").out)
    text = rag("search", "--explain", "which layer solved path-x", "-k", "2").out
    for hit in hits:
        assert hit["score"] == pytest.approx(sum(found["part"] for found in hit["found"]))
        assert hit["sentence"] in next(paper.abstract for paper in papers if paper.id == hit["paper"]["id"])
        assert hit["paper"]["id"] in text
        assert set(hit["held"]) | set(hit["lacking"]) == {"layer", "solved", "path", "x", "path-x"}
    assert re.search(r"\+0\.\d{3}  words #1: 0\.\d\d of the words' weight held: .*path-x", text)


def test_list_has_a_line_for_every_paper(rag, papers):
    lines = rag("list").out.splitlines()
    listed = json.loads(rag("list", "--json").out)
    assert [line.split("  ")[0] for line in lines] == [paper["id"] for paper in listed] == [p.id for p in papers]


def test_show_knows_a_paper_by_id_beginning_of_an_id_or_title(rag, papers):
    flash = next(paper for paper in papers if paper.id == FLASH)
    shown = rag("show", FLASH)
    assert shown.out.startswith(f"{flash.title}\n\n{flash.abstract[:40]}")
    assert shown.out.endswith(f"from: {', '.join(flash.sources)}\n")
    assert rag("show", FLASH[:6]) == rag("show", *flash.title.lower().split()) == shown
    assert json.loads(rag("show", FLASH, "--json").out) == flash.to_dict()


def test_status_says_what_the_library_holds_and_what_answers(rag, home, papers):
    facts = json.loads(rag("status", "--json").out)
    assert (facts["papers"], facts["state"], facts["library"]) == (len(papers), "ready", "shipped abstracts")
    assert Path(facts["folder"]).is_relative_to(home)
    plain = rag("status", "--model", "tiny", "--base-url", "http://127.0.0.1:9/v1").out
    assert [line.split()[0] for line in plain.splitlines()] == [*facts, "server"]
    assert "tiny" in plain


def test_no_command_is_chat(rag):
    assert rag(stdin=b"").code == 0
    assert rag("--library", "nowhere").err == rag("chat", "--library", "nowhere").err


def test_help_and_version_go_to_stdout(capsys):
    for argv in (["--help"], ["ask", "--help"], ["--version"]):
        with pytest.raises(SystemExit) as done:
            main(argv)
        assert done.value.code == 0
        assert capsys.readouterr().out.startswith(("usage: rag", "rag 0."))


# --- bad input ----------------------------------------------------------------------------------

BAD_QUESTIONS = [
    ("", "is empty; type: rag ask"),
    (" \n\t ", "is empty; type: rag ask"),
    ("?!... --- ;", "has no word in it; ask in words"),
    ("x" * 100_000, "has 100,000 characters; at most 8,000, ask in fewer words"),
    ("\x00\x01\x02ELF", "binary data; type it, or pipe a text file"),
    ("\udcff\udcfe\udcfd\udcfc what", "binary data; type it, or pipe a text file"),
]


@pytest.mark.parametrize("command", ["ask", "search"])
@pytest.mark.parametrize(("question", "why"), BAD_QUESTIONS, ids=range(len(BAD_QUESTIONS)))
def test_a_question_that_is_none(rag, command, question, why):
    as_argument = rag(command, question)
    assert as_argument.code == 2
    assert why in said(as_argument)
    if question.isprintable() or question.isspace():
        piped = rag(command, "-", stdin=question.encode())
        assert (piped.code, said(piped)) == (2, said(as_argument))


def test_a_pipe_that_is_not_text(rag):
    for stdin in (os.urandom(3000), "naïve".encode("latin-1"), b"PK\x03\x04" + b"\xff" * 2_000_000):
        ran = rag("ask", stdin=stdin)
        assert ran.code == 2
        assert re.search("not UTF-8 text; pipe a text file|binary data", said(ran))


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["aks", "what"], "no command 'aks'; did you mean ask? type: rag --help"),
        (["statsu"], "did you mean status? type: rag --help"),
        (["frobnicate"], "no command 'frobnicate'; type: rag --help"),
        (["serach", "what?"], "no command 'serach'; did you mean search? type: rag --help"),
        (["What", "is", "S4?"], "no command 'What'; to ask a question type: rag \"your question\""),
        (["ask", "--libary", "x", "what"], "--libary; did you mean --library? type: rag ask --help"),
        (["ask", "what", "--bas-url=x"], "did you mean --base-url? type: rag ask --help"),
        (["list", "--jsno"], "did you mean --json? type: rag list --help"),
        (["--jsno"], "did you mean --json? type: rag chat --help"),
        (["--versoin"], "did you mean --version?"),
        (["status", "extra"], "unrecognized arguments: extra; type: rag status --help"),
        (["search", "--modle", "x", "what"], "--modle; type: rag search --help"),
        (["show"], "required: paper; type: rag show --help"),
        (["search", "what", "-k"], "expected one argument; type: rag search --help"),
        (["search", "what", "-k", "abc"], "invalid int value: 'abc'; type: rag search --help"),
        (["search", "what", "-k", "0"], "k is 0; it counts papers, from 1 to 100"),
        (["ask", "what", "-k", "-3"], "k is -3; it counts papers, from 1 to 100"),
        (["ask", "what", "-k", "101"], "k is 101; it counts papers"),
        (["ask", "what", "--library", " "], "name is empty; leave it out"),
        (["ask", "what", "--base-url", "http://127.0.0.1:9/v1"], "no model; add --model NAME"),
        *[(["ask", "what", "--model", "m", "--base-url", url], "give one like http://localhost:11434/v1")
          for url in ("localhost:1234", "ftp://here/v1", "http://", "http://[", "http://here:99999", "\x1b[2J")],
        (["--" + "x" * 100_000], "; type: rag chat --help"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)  # fmt: skip
def test_a_mistyped_command_line_exits_with_2(rag, argv, why):
    ran = rag(*argv)
    assert ran.code == 2
    assert why in said(ran)
    assert len(ran.err) < 1000


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("flashattention exact", f"the nearest title is .*type: rag show {FLASH}"),
        ("zzzz", "type: rag list"),
        ("../../etc/passwd", "no paper"),
        ("\x1b[2J", "no paper"),
        ("", "no paper"),
    ],
)
def test_an_unknown_paper(rag, name, why):
    ran = rag("show", name)
    assert ran.code == 1
    assert re.search(why, said(ran))


def test_a_server_that_is_not_there(rag):
    ran = rag("ask", QUESTION, "--model", "m", "--base-url", "http://127.0.0.1:9/v1")
    assert ran.code == 1
    assert "http://127.0.0.1:9/v1 cannot be reached; is the server running?" in said(ran)


def test_what_a_server_complains_of_cannot_command_the_terminal(rag, httpserver: HTTPServer):
    httpserver.expect_request("/v1/chat/completions").respond_with_data("\x1b[2J\x9b31mno\nsuch", 400)
    ran = rag("ask", QUESTION, "--model", "m", "--base-url", httpserver.url_for("/v1"))
    assert "HTTP 400" in said(ran)
    chat = rag("chat", "--model", "m", "--base-url", httpserver.url_for("/v1"), stdin=QUESTION.encode())
    assert "HTTP 400" in chat.err
    assert not OBEYED.search(chat.err)


@pytest.mark.parametrize("variable", ["RAG_LIBRARY", "--library"])
def test_a_library_that_is_not_there(rag, variable, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("abstracts")
    (tmp_path / "folder").mkdir()
    places = {
        tmp_path / "nowhere": "no library at",
        tmp_path / "folder": "no library at",
        tmp_path / "file": "is a file; a library is a folder",
        tmp_path / "file" / "under": "no library at",
        tmp_path / ("x" * 5000): "no library at",
        "~nobody-of-that-name/library": "no library at",
        "unknown-name": "no library at",
        "\x1b]0;title\x07": "no library at",
        "\udcff": "no library at",
    }
    for place, why in places.items():
        monkeypatch.setenv("RAG_LIBRARY", str(place) if variable == "RAG_LIBRARY" else "")
        for argv in (["ask", "what"], ["list"], ["show", FLASH], ["status"]):
            ran = rag(*argv, *(["--library", str(place)] if variable == "--library" else []))
            assert ran.code == 1
            assert why in said(ran)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


# --- a library and a home in a bad state --------------------------------------------------------


def garbage(file: Path) -> None:
    file.write_bytes(os.urandom(5000))


def cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def emptied(file: Path) -> None:
    os.truncate(file, 0)


def another_database(file: Path) -> None:
    file.unlink()
    changed(file, "CREATE TABLE meta (x)")


def unreadable_record(file: Path) -> None:
    changed(file, "UPDATE papers SET record = '{'")


def from_the_future(file: Path) -> None:
    changed(file, "UPDATE meta SET value = '99' WHERE key = 'schema'")


def changed(file: Path, statement: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute(statement)
    connection.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of two papers, one of which would like to command the terminal."""
    evil = "\x1b[31mred\x1b]8;;http://evil.test\x07 \x9b2J\r\b\u202e [bold]"
    abstract = f"Zebras {evil} run in herds of twelve {evil}. Zebras {evil} sleep standing."
    hostile = Paper(
        id=paper_id("zebras"), title=f"Zebras {evil}", abstract=abstract, authors=(evil,), venue=evil,
        sources=(f"{evil}:1",), extra=FrozenMap({evil: evil}),
    )  # fmt: skip
    plain = Paper(id=paper_id("lions"), title="Löwen", abstract="Löwen hunt at night and sleep by day.")
    return library(tmp_path_factory.mktemp("small") / "library", hostile, plain)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (garbage, "is damaged .*; type: rag doctor --library "),
        (cut_short, "is damaged .*; type: rag doctor --library "),
        (emptied, "is not a library of this package; type: rag doctor --library "),
        (another_database, "is not a library of this package; type: rag doctor --library "),
        (unreadable_record, "is damaged .*; type: rag doctor --library "),
        (from_the_future, "written by a later version .*; type: pip install --upgrade abstracts-rag"),
    ],
)
def test_a_damaged_or_newer_library_is_told_and_left_as_it_was(rag, small, tmp_path, harm, why):
    file = shutil.copytree(small, tmp_path / "library") / FILE
    harm(file)
    before = file.read_bytes()
    for argv in (["ask", "what do zebras do"], ["list"], ["chat"]):
        ran = rag(*argv, "--library", str(file.parent), stdin=b"")
        if harm is unreadable_record and argv == ["chat"]:  # nothing asked, nothing read
            continue
        assert ran.code == 1
        assert re.search(why, said(ran))
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("k = ", r"Invalid value .*; mend it or delete it"),
        ("modle = 'x'", "unknown setting 'modle'; did you mean 'model'?"),
        ("colour = 'x'", "it may set library, model, base_url, judge, k"),
        ("k = 'many'", "k is 'many', not a number"),
        ("k = 0", "k is 0; it counts papers, from 1 to 100"),
        ("model = 3", "model is 3, not a text"),
        ("\x00\ud8ff", "mend it or delete it"),
        (None, "Is a directory.*; mend it or delete it"),
    ],
)
def test_a_broken_settings_file(rag, tmp_path, monkeypatch, content, why):
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    file = tmp_path / "config" / "settings.toml"
    (file.parent if content is not None else file).mkdir(parents=True)
    if content is not None:
        file.write_bytes(content.encode("utf-8", "surrogatepass"))
    ran = rag("list")
    assert ran.code == 2
    assert re.search(why, said(ran))


def test_a_home_that_cannot_be_written(rag, tmp_path, monkeypatch):
    for place in (tmp_path / "file", tmp_path / "file" / "under", "/proc/nowhere"):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("RAG_HOME", str(place))
        ran = rag("ask", "what")
        assert ran.code == 1
        assert "cannot be written" in said(ran)
        assert "set RAG_HOME to a folder of yours" in said(ran)


def test_a_bad_question_is_told_before_a_library_is_built_for_it(rag, tmp_path, monkeypatch):
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    assert rag("ask", " ").code == rag("search", "...").code == rag("ask", stdin=b"\xff").code == 2
    assert list(tmp_path.iterdir()) == []


# --- what others wrote never commands the terminal ----------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [
        ["ask", "How do zebras sleep and run?"],
        ["search", "zebras"],
        ["list"],
        ["show", paper_id("zebras")],
        ["show", "zebra"],
        ["ask", "How many moons has Jupiter?"],
        ["status"],
    ],
    ids=" ".join,
)
def test_an_abstract_cannot_command_the_terminal(rag, small, argv):
    for extra in ([], ["--json"]):
        ran = rag(*argv, "--library", str(small), *extra)
        assert "ebra" in ran.out + ran.err or argv[0] == "status" or "moons" in argv[1]  # the last names no paper
        assert not OBEYED.search(ran.out + ran.err)


def test_the_name_of_an_embedder_cannot_either(rag, small, tmp_path):
    folder = shutil.copytree(small, tmp_path / "library")
    changed(folder / FILE, "UPDATE meta SET value = char(27) || '[2J' WHERE key = 'embedder'")
    assert not OBEYED.search(rag("status", "--library", str(folder)).out)
    assert "is damaged (its embedder)" in said(rag("list", "--library", str(folder)))


def test_at_a_terminal_only_our_own_colours(small):
    _, out = typed("ask", "How do zebras sleep and run?", "--library", str(small))
    assert COLOUR.search(out)
    assert "Zebras" in out
    assert set(re.findall(r"\x1b(?!\[[\d;?]*[mKAhl])|[\x07\x08\x80-\x9f\u202e]|\x1b\[31m", out)) == set()


# --- terminals and encodings --------------------------------------------------------------------


def test_no_color_and_a_narrow_terminal_are_respected():
    _, coloured = typed("search", QUESTION, columns=60)
    _, narrow = typed("search", QUESTION, NO_COLOR=1, COLUMNS=40)
    _, dumb = typed("show", FLASH, TERM="dumb", columns=60)
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in coloured.splitlines()) in range(50, 61)
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in narrow.splitlines()) in range(30, 41)
    assert COLOUR.search(coloured)
    assert not COLOUR.search(narrow)
    assert "\x1b" not in dumb


LISTS = "Which papers propose benchmarks for language models?"


def test_an_answer_from_twelve_papers_is_at_most_forty_lines():
    _, listed = typed("ask", LISTS, columns=80)
    shown = DRAWN.sub("", listed.split("\x1b[2K")[-1]).splitlines()
    assert len([row for row in shown if re.search(r"^\[\d+\] .*\b[0-9a-f]{12}\s*$", row)]) == 12
    assert len(shown) <= 40


def test_quotes_have_marks_where_there_is_no_colour():
    for how in ({"TERM": "dumb"}, {"NO_COLOR": "1"}):
        _, out = typed("ask", "--abstracts", QUESTION, **how)
        assert "«" in out
        assert "»" in out


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}  # a locale without one letter beyond A to Z


def test_a_pipe_gets_utf8_whatever_its_encoding(small):
    how = {"encoding": "latin-1"}
    code, out, err = called("show", "Löwen", "--library", str(small), **how)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "Löwen"
    assert "Löwen" in called("export", "--library", str(small), **how)[1]
    code, out, err = called("chat", "--library", str(small), stdin="löwen?\n…?!\n".encode(), **how)
    assert code == 1, "its second question is none"
    assert "Löwen hunt at night" in out


def test_a_locale_without_letters_keeps_texts_and_file_names(small, tmp_path):
    exports, there = [tmp_path / "Löwen.md", tmp_path / "Zoë.bib"], ("--library", str(small))
    file, own = str(exports[1]).encode(), ("--library", str(tmp_path / "own"))
    typed_ahead = f"löwen?\n/export {exports[0]}\n…?!\n".encode()
    (shown, exported, chatted, *others, status), err = several(
        ("show", "Löwen", *there), ("export", *there), ("chat", *there),
        ("export", "-o", file, *there), ("add", file, *own), ("status", *own), stdin=typed_ahead, **ASCII,
    )  # fmt: skip
    assert (shown[0], shown[1].splitlines()[0]) == (0, "Löwen")
    assert (exported[0], "Löwen" in exported[1]) == (0, True)
    assert chatted[0] == 1, "its last question is none"
    assert "Löwen hunt at night" in chatted[1]
    assert "the question '…?!' has no word in it" in err
    assert [code for code, _ in others] == [0, 0]
    assert {path.name.encode() for path in exports} < set(os.listdir(os.fsencode(tmp_path)))
    assert "Zoë.bib: " in status[1]
    assert "Zoë.bib: " in called("status", *own)[1]


def test_a_question_with_colour_codes_is_text(small):
    coloured = "\x1b[1;31mlöwen\x1b[0m\x07\x1b]0;title\x07?"
    plain, styled = (called("ask", q, "--json", "--library", str(small)) for q in ("löwen?", coloured))
    assert json.loads(styled[1])["question"] == "löwen?"
    assert json.loads(styled[1])["text"] == json.loads(plain[1])["text"]


# --- pipes, signals, two at once ----------------------------------------------------------------


def test_bad_input_reaches_a_real_process_too():
    """No traceback after `main` either, and bytes that are no characters."""
    running = {
        "no command": start("aks"),
        "binary data": start("ask", b"\xff\xfe\xfd\xfc what"),
        "did you mean --library?": start("ask", b"--librar", b"\xff"),
        "no library at": start("list", "--library", b"\xff\x1b[2J"),
    }
    for why, process in running.items():
        assert why in said(finish(process))


def test_a_closed_pipe_is_quiet():
    script = f"{' '.join(RAG)} list | head -1; echo ${{PIPESTATUS[@]}}; {' '.join(RAG)} list >&-; echo $?"
    shell = subprocess.run(
        ["bash", "-c", script], env=environment(), capture_output=True, text=True, timeout=LONGEST_WAIT
    )
    assert shell.stdout.splitlines()[1:] == ["0 0", "0"]
    assert shell.stderr == ""


@pytest.mark.parametrize("argv", [["list"], ["list", "--json"], ["--help"], ["--version"]], ids=" ".join)
def test_a_pipe_that_closed_before_the_first_byte_is_quiet(argv, capsys, monkeypatch):
    reader, pipe = os.pipe()
    os.close(reader)
    with open(pipe, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(argv) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [*RAG, "list"], stdout=full, stderr=subprocess.PIPE, env=environment(), timeout=LONGEST_WAIT
        )
    assert "No space left" in said((ran.returncode, "", ran.stderr.decode()))


@pytest.fixture
def fresh(tmp_path: Path) -> dict[str, object]:
    """The environment of a first run; so that it is short, of a package with few abstracts."""
    for name in ("rag", "prompts", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "data").mkdir()
    for file in (ROOT / "data").glob("*.txt"):
        (tmp_path / "data" / file.name).write_text(file.read_text("utf-8")[:8_000], "utf-8")
    return {"PYTHONPATH": tmp_path, "RAG_HOME": tmp_path / "home"}


def test_ctrl_c_stops_a_first_build_and_two_runs_at_once_then_finish_it(fresh):
    first = start("list", **fresh)
    assert b"embedding" in first.stderr.readline()
    first.send_signal(signal.SIGINT)
    code, out, err = finish(first)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "rag: stopped"
    assert "Traceback" not in err
    both = [finish(process) for process in (start("list", **fresh), start("list", **fresh))]
    assert [code for code, _, _ in both] == [0, 0]
    assert both[0][1] == both[1][1] != ""
    assert "Traceback" not in both[0][2] + both[1][2]
    facts = json.loads(run("status", "--json", **fresh)[1])
    assert (facts["state"], facts["generation"], facts["papers"]) == ("ready", 1, both[0][1].count("\n"))


def test_ctrl_c_stops_a_question():
    with silent_server() as (url, server):
        process = start("ask", QUESTION, "--model", "m", "--base-url", url)
        with server.accept()[0]:
            process.send_signal(signal.SIGINT)
            assert finish(process) == (130, "", "rag: stopped\n")


# --- filters ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dated(tmp_path_factory) -> str:
    """A library of three papers: two with year, authors and venue."""
    folder = tmp_path_factory.mktemp("dated")
    old = replace(S4, year=2019, authors=("Doe, Ann",), venue="Physical Review E")
    new = replace(IO_AWARE, year=2023, authors=("Roe, Bob",), venue="Nature")
    return str(library(folder / "dated", old, new, POKER))


@pytest.mark.parametrize(
    ("options", "titles"),
    [
        (["year>=2020"], ["FlashAttention"]),
        (["year", ">=", "2020"], ["FlashAttention"]),
        (["--year", "2019-2023"], ["Structured State Spaces", "FlashAttention"]),
        (["--year", "-2019"], ["Structured State Spaces"]),
        (["--year", ">2019", "author:Roe"], ["FlashAttention"]),
        (["--author", "Ann Doe", "--author", "Roe, B."], ["Structured State Spaces", "FlashAttention"]),
        (["--venue", "physical review"], ["Structured State Spaces"]),
        (["--venue", "Revi"], []),
    ],
)
def test_list_takes_filters_and_says_what_they_left(rag, dated, options, titles):
    code, out, err = rag("list", "--library", dated, *options)
    assert (code, [line.split("  ")[-1] for line in out.splitlines()]) == (0, titles)
    assert re.fullmatch(r"rag: (Only papers with .* of 3.*\)\.|no paper of this library has .*)\n", err)
    assert [paper["title"] for paper in json.loads(rag("list", "--json", "--library", dated, *options).out)] == titles


def test_ask_and_search_take_filters_and_show_them(rag, dated):
    question = "Which model reaches which result on Path-X?"
    for argv in ([question, "--year", "2020-"], [f"{question} year>=2020"]):
        ran = rag("ask", "--library", dated, *argv)
        assert (ran.code, ran.err) == (0, "")
        assert re.search(
            r"\[1\] FlashAttention  .*\n\nOnly papers with year>=2020 \(1 of 3; 1 more does not say\)\.\n$",
            ran.out,
            re.DOTALL,
        )
        data = json.loads(rag("ask", "--json", "--library", dated, *argv).out)
        assert (data["where"], data["selected"]["papers"]) == ("year>=2020", 1)
        found = rag("search", "--library", dated, *argv)
        assert (found.code, len(found.out.splitlines())) == (0, 1)
        assert found.err == "rag: Only papers with year>=2020 (1 of 3; 1 more does not say).\n"
        assert len(json.loads(rag("search", "--json", "--explain", "--library", dated, *argv).out)) == 1
    assert json.loads(rag("ask", "--json", question).out)["where"] is None


def test_a_filter_that_leaves_nothing_is_a_refusal_or_an_empty_list(rag, dated):
    why = "o paper of this library has year>=2030; its papers are of 2019 to 2023"
    asked = rag("ask", "--library", dated, "--year", "2030-", "What solves Path-X?")
    assert (asked.code, asked.out) == (3, f"N{why}. Ask with another filter, or without.\n")
    found = rag("search", "--library", dated, "--year", "2030-", "Path-X")
    assert found == (0, "", f"rag: n{why}\n")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["ask", "--year", "abc", QUESTION], "'abc' is no year; type 2023, 2020-2023, 2020-, -2019 or '>=2023'"),
        (["ask", "--author", " ", QUESTION], "--author has no name"),
        (
            ["ask", "year>=2020"],
            "'year>=2020' is a filter and asks nothing; add a question, or type: rag list --library",
        ),
        (["ask", f"{QUESTION} year:2023-2020"], "no year is 2023 or later and 2020 or earlier"),
        (["list", "year"], "'year' alone is no filter; type it in quotes"),
        (["list", "Smith"], "'Smith' is no filter; type, for example: year>=2023"),
        (["list", "--year", "2020", "year:2021"], "no year is 2021 or later and 2020 or earlier"),
    ],
)
def test_what_is_no_filter_is_told_before_anything_is_opened(rag, argv, says, tmp_path):
    ran = rag(*argv, "--library", str(tmp_path / "none"))
    assert ran.code == 2
    assert says in said(ran)
