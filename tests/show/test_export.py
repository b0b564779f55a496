"""What is exported can be read by what reads it: nothing in a title or quote is obeyed by LaTeX or Markdown."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from answering.test_followup import answer
from hypothesis import given
from hypothesis import strategies as st
from made import FLASH, S4, library

from rag.bibliography import key
from rag.cli.main import main
from rag.errors import RagError
from rag.formats import PAPERS
from rag.readers import read
from rag.records import Answer, Paper, Where
from rag.show.export import (
    as_json,
    bibtex,
    cited,
    csl,
    latex,
    markdown,
    notes,
    references,
    write,
    write_papers,
)  # fmt: skip
from rag.text import printable, readable

HOSTILE = r"50% \input{x} of_A & B #1 ~ $x$ [link](http://evil.test) *bold* <b> `code` | a^b {"
EVIL = Paper(
    id="0123456789ab", title=HOSTILE, abstract=f"One. {HOSTILE}", authors=("Gödel, Kurt", "Ada Lovelace"), year=1931,
    venue="A & B", doi="10.1/x}y", url="https://example.org/a_b",
)  # fmt: skip
SPECIAL = re.compile(r"(?<!\\)[%&#_$]")  # unescaped


def test_a_bibtex_entry_holds_nothing_that_latex_obeys():
    entry = bibtex([EVIL], abstracts=True)
    fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.MULTILINE))
    assert set(fields) == {"title", "author", "year", "journal", "doi", "url", "abstract", "ragid"}
    for name in ("title", "author", "journal", "abstract"):
        assert not SPECIAL.search(fields[name]), fields[name]
        assert fields[name].count("{") == fields[name].count("}")  # BibTeX counts those behind a backslash too
        names = "backslash|braceleft|braceright|asciitilde|asciicircum|less|greater"
        assert not re.search(rf"\\(?!text(?:{names})\{{\}}|[%&#_$])", fields[name])
    assert fields["author"] == "Gödel, Kurt and Ada Lovelace"
    assert fields["doi"] == "10.1/x%7Dy"


@given(st.text())
def test_any_text_has_balanced_braces_in_latex(text):
    shown, depth = latex(text), 0
    for char in shown:
        depth += (char == "{") - (char == "}")
        assert depth >= 0
    assert depth == 0
    assert not SPECIAL.search(shown)
    assert readable(shown) == " ".join(printable(readable(text)).split())  # whoever reads it sees what was there


@pytest.mark.parametrize(
    "text", ["1. one", "- one", "# one", "> one", "+ one", "* one", "a *b* _c_", "[a](b)", "<x y>", "=="]
)
def test_markdown_finds_nothing_to_obey(text):
    assert re.search(r"\\", markdown(text))
    assert markdown(text).replace("\\", "") == text


def test_text_without_anything_special_stays_as_it_is():
    plain = "It is 2.5 times faster (up to 16K), on all tasks."
    assert latex(plain) == markdown(plain) == plain


def test_keys_are_readable_stable_and_unique():
    other = Paper(id="ba9876543210", title=EVIL.title, abstract="Two.", authors=EVIL.authors, year=1931)
    assert key(EVIL) == "godel193150-0123456789ab"
    assert key(EVIL) != key(other)
    assert bibtex([other, EVIL, EVIL]).count("@") == 2
    assert re.findall(r"@\w+\{(.*),", bibtex([EVIL, other])) == [key(EVIL), key(other)]
    assert re.fullmatch(r"[a-z0-9]+-[0-9a-f]{12}", key(S4))
    assert key(Paper(id="0" * 12, title="Über “Größen”", abstract="")) == "uber-000000000000"
    assert key(Paper(id="0" * 12, title="…", abstract="")) == "paper-000000000000"


def test_csl_is_what_pandoc_reads():
    (item,) = json.loads(csl([EVIL], abstracts=True))
    assert item["id"] == key(EVIL)
    assert item["issued"] == {"date-parts": [[1931]]}
    assert item["author"] == [{"family": "Gödel", "given": "Kurt"}, {"literal": "Ada Lovelace"}]
    assert item["DOI"] == EVIL.doi
    assert "abstract" not in json.loads(csl([S4]))[0]


def test_a_chat_in_markdown_has_a_footnote_for_every_mark_with_its_quotes():
    first = answer("Which [layer]?", (1, S4), (2, FLASH))
    said = Answer.from_dict(first.to_dict() | {"text": "S4 did. [1] [2] Not [9] *this*."})
    page = notes([said, answer("And?", (1, S4))])
    assert "## Which \\[layer\\]?" in page
    assert "S4 did.[^1][^2] Not \\[9\\] \\*this\\*." in page
    assert (
        set(re.findall(r"\[\^(\d+)\](?!:)", page))
        == set(re.findall(r"^\[\^(\d+)\]:", page, re.MULTILINE))
        == {"1", "2"}
    )
    assert page.count(f"> {markdown(S4.abstract[:9])}") == 1
    assert cited([said]) == [S4, FLASH]


def test_a_chat_in_markdown_says_which_papers_were_asked():
    page = notes([replace(answer("a", (1, S4)), where=Where('author:"A *b*"', 1, 2))])
    assert '*Only papers with author:"A \\*b\\*" (1 of 2).*' in page


def test_a_number_that_two_papers_bear_names_both():
    page = notes([answer("a", (1, S4)), answer("b", (1, FLASH))])
    assert markdown(S4.title) in page
    assert markdown(FLASH.title) in page


def test_json_gives_the_answers_back():
    said = [answer("Which?", (1, S4)), answer("And?")]
    assert [Answer.from_dict(data) for data in json.loads(as_json(said))] == said


def test_a_list_of_references():
    assert references([S4]) == f"- *{markdown(S4.title)}*. ({S4.id})\n"
    assert references([EVIL]).endswith("1931. https://example.org/a\\_b\n")


# --- files, and the commands --------------------------------------------------------------------


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "a.bib"
    write(file, "one\n")
    assert file.read_bytes() == b"one\n"
    with pytest.raises(RagError, match="is there already; give another name"):
        write(file, "two\n")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RagError, match="cannot be written \\(No space left on device\\)"):
        write(file, "two\n", over=True)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.bib", "one\n")]


@pytest.mark.parametrize("place", ["", "nowhere/a.bib", "a\0.bib", "fifo"])
def test_what_cannot_be_written_is_one_line(tmp_path, place):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RagError) as caught:
        write(tmp_path / place, "one\n", over=True)
    assert "\n" not in str(caught.value)
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.bib").symlink_to(tmp_path / "real.bib")
    write(tmp_path / "link.bib", "one\n")
    write(tmp_path / "link.bib", "two\n", over=True)
    assert (tmp_path / "link.bib").is_symlink()
    assert (tmp_path / "real.bib").read_text() == "two\n"


@pytest.fixture
def rag(tmp_path, capsys, monkeypatch):
    """The command in this process, with a library of two papers called `own`."""
    monkeypatch.chdir(tmp_path)
    place = str(library(tmp_path / "own", S4, FLASH))

    def call(*argv):
        capsys.readouterr()
        return main([*argv, "--library", place]), *capsys.readouterr()

    return call


@pytest.mark.parametrize("name", ["a.bib", "a.json", "a.csl", "a.ris", "a.jsonl", "a.ndjson"])
def test_the_ending_says_what_is_written(rag, name):
    assert rag("export", "-o", name) == (0, "", f"2 papers written to {name}\n")
    assert {paper.id for paper in read([Path(name)]).papers} == {S4.id, FLASH.id}
    code, out, err = rag("export", "-o", name)
    assert (code, out) == (1, "")
    assert err.endswith("is there already; add --force to replace it\n")
    assert rag("export", "-o", name, "--force", FLASH.id) == (0, "", f"1 paper written to {name}\n")


def test_papers_are_named_by_id_or_title_and_printed(rag):
    assert rag("export", FLASH.id[:6], "structured state spaces") == (0, bibtex([FLASH, S4], True), "2 papers\n")
    assert rag("export", "Structured", "State", "Spaces", "--format", "csl-json")[1] == csl([S4], True)
    assert rag("bib", FLASH.id) == (0, bibtex([FLASH]), "")
    assert rag("bib", FLASH.id, "--format", "markdown")[1] == references([FLASH])
    assert rag("bib", FLASH.id, "--format", "ris")[1].splitlines()[2] == "TI  - FlashAttention"


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["export", "-o", "a.doc"], 2, "a.doc: the ending says no format; use one of .bib"),
        (["export", "--format", "word"], 2, "no format is called 'word'"),
        (["export", "nothing", "like", "it"], 1, "no paper 'nothing' in this library"),
        (["bib"], 2, "required: paper"),
        (["bib", "-o", "x"], 2, "unrecognized"),
        (["show", "nothing like it"], 1, "type: rag list --library "),
        (["bib", "FlashAttentoin paper"], 1, "no paper"),
    ],
)
def test_mistakes_are_one_line(rag, argv, code, said):
    got, out, err = rag(*argv)
    assert (got, out, len(err.splitlines())) == (code, "", 1)
    assert said in err


def test_what_to_type_names_the_library_that_was_asked(rag):
    assert re.search(rf"type: rag show --library \S+/own {FLASH.id}", rag("show", "FlashAttention 2")[2])


@pytest.mark.parametrize("form", PAPERS)
def test_nothing_that_is_printed_commands_a_terminal(form):
    evil = Paper(
        "0" * 12, "Red \x1b[31m\x9b\u202e", "A\x07\x9b abstract.", ("\x1b]0;x",), 2000, "\x1b", "10.1/\x1b", "\x1b"
    )
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", write_papers(PAPERS[form], [evil]))


def test_a_replaced_file_keeps_its_mode(tmp_path):
    file = tmp_path / "papers.bib"
    for mode in (0o600, 0o664):
        file.write_text("old")
        file.chmod(mode)
        write(file, "new", over=True)
        assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", mode)
