"""`rag cite`: claims and drafts, keys put in, citations checked; and what became of `rag cite PAPER`."""

from __future__ import annotations

import io
import json
import re
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from made import FLASH, POKER, S4, library

import rag as door
from rag.bibliography import key
from rag.cli.main import main
from rag.records import FrozenMap
from rag.show.export import bibtex

S4_KEYED = replace(S4, authors=("Gu, Albert",), year=2021, extra=FrozenMap({"key": "gu2021", "type": "inproceedings"}))
TRUE = "S4 generates text 60 times faster."
WRONG = "S4 generates text 40 times faster."
NONE = "Coffee lowers the risk of diabetes in elderly patients."


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> str:
    return str(library(tmp_path_factory.mktemp("cite") / "own", S4_KEYED, FLASH, POKER))


@pytest.fixture
def rag(place, tmp_path, capsys, monkeypatch):
    """The command in this process, in a folder of its own; `stdin` is what is piped."""
    monkeypatch.chdir(tmp_path)

    def call(*argv, stdin=b""):
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        return main([*argv, "--library", place]), *capsys.readouterr()

    return call


# --- a claim ------------------------------------------------------------------------------------


def test_a_claim_is_given_its_paper_with_key_and_quote(rag):
    code, out, _ = rag("cite", TRUE)
    assert code == 0
    assert re.match(r'supports  gu2021  Structured State Spaces\n    "S4 reaches 91% accuracy .* 60× faster."\n', out)


def test_a_figure_that_differs_is_told(rag):
    code, out, _ = rag("cite", WRONG)
    assert code == 3
    assert out.startswith(
        "Nothing in this library supports this.\ndiffers   gu2021  Structured State Spaces: the abstract says 60×, not 40x\n"
    )


def test_what_no_paper_supports_is_said_with_the_nearest(rag):
    code, out, _ = rag("cite", NONE, "-k", "1")
    assert code == 3
    assert out.startswith("Nothing in this library supports this. The nearest:\nnear      ")
    assert out.count("\nnear") == 1


def test_json_and_python_say_the_same(rag, place):
    told = json.loads(rag("cite", WRONG, "--json")[1])
    found = door.cite(WRONG, library=place)
    assert found.to_dict() == told
    assert (told["status"], told["papers"][0]["key"], told["papers"][0]["verdict"]) == ("differs", "gu2021", "differs")
    quote = told["papers"][0]["quotes"][-1]
    assert S4.abstract[quote["start"] : quote["end"]] == quote["quote"]
    both = door.cite([TRUE, NONE], library=place, k=1)
    assert [one.status for one in both] == ["supported", "nothing"]
    assert both[0].supporting[0].key == "gu2021"
    assert all(len(one.bearings) == 1 for one in both)


@pytest.mark.parametrize("claim", ["", "  ", "?!", 5])
def test_what_is_no_claim_is_one_line_in_python(claim, place):
    with pytest.raises(door.UsageError, match="claim"):
        door.cite([claim], library=place)


def test_only_some_papers_are_asked(rag):
    code, out, err = rag("cite", TRUE, "--year", "2021")
    assert (code, "(1 of 3" in err, "FlashAttention" in out) == (0, True, False)
    assert rag("cite", TRUE, "--year", "1999")[:2] == (3, "Nothing in this library supports this.\n")


# --- rag cite PAPER is rag bib PAPER --------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [[FLASH.id], [FLASH.id[:6], "structured state spaces"], ["Structured", "State", "Spaces"], ["flashattention"]],
)
def test_a_paper_is_still_understood_and_told_where_it_went(rag, words):
    code, out, err = rag("cite", *words)
    assert (code, out, rag("bib", *words)) == (0, rag("bib", *words)[1], (0, out, ""))
    assert out.startswith("@")
    assert "rag bib PAPER" in err
    assert len(err.splitlines()) == 1


def test_a_paper_is_known_by_its_citation_key(rag):
    for name in ("gu2021", "GU2021", f"gu2021-{S4.id}"):
        assert rag("bib", name)[1].startswith("@inproceedings{gu2021,")
        assert rag("cite", name)[1] == rag("bib", name)[1]
    assert rag("bib", key(POKER), "--format", "markdown")[1].startswith("- *PokerBench*")
    assert rag("bib", "gu202")[0] == rag("bib", "extra")[0] == rag("bib", f"nobody-{POKER.id}")[0] == 1


def test_the_old_format_option_is_still_understood(rag):
    assert rag("cite", FLASH.id, "--format", "ris")[1].startswith("TY  - ")


# --- drafts -------------------------------------------------------------------------------------

DRAFT = rf"""\documentclass{{article}}
\begin{{document}}
{TRUE[:-1]}~\cite{{?}}. {WRONG[:-1]} \citep{{}}.
PokerBench has 11,000 poker scenarios [CITE], and we like it.
{NONE[:-1]} \cite{{?}}.
\end{{document}}
"""
FILLED = DRAFT.replace(r"\cite{?}. S4", r"\cite{gu2021}. S4").replace("[CITE]", rf"\cite{{{key(POKER)}}}")


def test_each_claim_of_a_draft_stands_with_its_line(rag, tmp_path):
    (tmp_path / "draft.tex").write_text(DRAFT, "utf-8")
    code, out, err = rag("cite", "draft.tex")
    assert code == 3
    heads = re.findall(r"^draft.tex:(\d)  (.*)$", out, re.MULTILINE)
    assert heads == [
        ("3", TRUE),
        ("3", WRONG),
        ("4", "PokerBench has 11,000 poker scenarios, and we like it."),
        ("5", NONE),
    ]
    assert err == "rag: 4 claims: 2 supported, 1 said otherwise, 1 without support\n"
    assert (tmp_path / "draft.tex").read_text("utf-8") == DRAFT
    told = json.loads(rag("cite", "draft.tex", "--json")[1])
    assert [(one["line"], one["status"]) for one in told] == [
        (3, "supported"),
        (3, "differs"),
        (4, "supported"),
        (5, "nothing"),
    ]


def test_keys_are_put_in_a_copy_is_kept_and_entries_are_added(rag, tmp_path):
    file, bib = tmp_path / "draft.tex", tmp_path / "refs.bib"
    file.write_text(DRAFT, "utf-8", newline="\r\n")
    file.chmod(0o640)
    (tmp_path / "draft.tex.bak").write_text("mine")
    bib.write_text("@misc{own, title = {Own}}\n", "utf-8")
    code, _, err = rag("cite", "draft.tex", "--in-place", "--bib", "refs.bib")
    assert code == 3
    assert file.read_bytes().decode() == FILLED.replace("\n", "\r\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert (tmp_path / "draft.tex.bak").read_text() == "mine"
    assert (tmp_path / "draft.tex.bak1").read_bytes().decode() == DRAFT.replace("\n", "\r\n")
    assert bib.read_text("utf-8") == "@misc{own, title = {Own}}\n\n" + bibtex([S4_KEYED, POKER])
    assert "rag: refs.bib: 2 entries added\nrag: draft.tex: keys put in; as it was: draft.tex.bak1\n" in err
    err = rag("cite", "draft.tex", "--in-place", "--bib", "refs.bib")[2]
    assert "draft.tex: nothing to put in; it stays as it is" in err
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "draft.tex",
        "draft.tex.bak",
        "draft.tex.bak1",
        "refs.bib",
    ]


def test_a_key_that_another_paper_has_in_the_file_is_made_to_differ(rag, tmp_path):
    (tmp_path / "a.md").write_text(f"{TRUE[:-1]} [CITE].", "utf-8")
    (tmp_path / "refs.bib").write_text("@misc{GU2021, title = {Quite another paper}}", "utf-8")
    assert rag("cite", "a.md", "--in-place", "--bib", "refs.bib")[0] == 0
    assert (tmp_path / "a.md").read_text("utf-8") == f"{TRUE[:-1]} [@gu2021-{S4.id}]."
    assert (tmp_path / "refs.bib").read_text("utf-8").count("@") == 2
    (tmp_path / "b.md").write_text(f"{TRUE[:-1]} [CITE].", "utf-8")
    assert "0 entries added, 1 were there" in rag("cite", "b.md", "--bib", "refs.bib")[2]
    assert rag("cite", "--check", "a.md")[0] == 0


def test_a_piped_draft_comes_back_filled(rag):
    code, out, err = rag("cite", "-", "--in-place", stdin=DRAFT.encode())
    assert (code, out) == (3, FILLED)
    assert "-:3  " in err
    assert rag("cite", "-", stdin=TRUE.encode())[0] == 0
    assert rag("cite", "-", stdin=b"")[:2] == (0, "")


# --- checking -----------------------------------------------------------------------------------

CITED = rf"""{TRUE[:-1]} [@gu2021]. {WRONG[:-1]} [@gu2021].
{TRUE[:-1]} [@{key(FLASH)}].

{NONE[:-1]} [@gu2021]. PokerBench has 11,000 poker scenarios [@nobody1999]. We follow [@gu2021].
"""


def test_citations_are_checked(rag, tmp_path):
    (tmp_path / "a.md").write_text(CITED, "utf-8")
    code, out, err = rag("cite", "--check", "a.md")
    assert code == 3
    told = json.loads(rag("cite", "--check", "a.md", "--json")[1])
    assert [(one["line"], one["key"], one["verdict"]) for one in told] == [
        (1, "gu2021", "supports"), (1, "gu2021", "differs"), (2, key(FLASH), told[2]["verdict"]),
        (4, "gu2021", "unclear"), (4, "nobody1999", "missing"), (4, "gu2021", "no claim"),
    ]  # fmt: skip
    assert told[2]["verdict"] != "supports"
    assert told[2]["instead"]["key"] == "gu2021"
    assert told[4]["instead"]["key"] == key(POKER)
    assert "missing   nobody1999  is not in this library\ninstead:\nsupports  pokerbench" in out
    assert re.match(
        r"rag: 6 citations: 1 borne out, [12] said otherwise there, [12] not borne out by the abstract, 1 not in this library, 1 in sentences",
        err,
    )


def test_a_draft_whose_citations_hold_is_well(rag, tmp_path):
    (tmp_path / "a.tex").write_text(rf"{TRUE[:-1]} \citep[p.~2]{{GU2021}}.", "utf-8")
    assert rag("cite", "--check", "a.tex")[::2] == (0, "rag: 1 citation: 1 borne out\n")
    (tmp_path / "b.tex").write_text("Nothing is cited here at all.", "utf-8")
    assert rag("cite", "--check", "b.tex") == (0, "", "rag: 0 citations: 0 borne out\n")


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["cite"], 2, "CLAIM|DRAFT"),
        (["cite", ""], 2, "the claim is empty; type: rag cite"),
        (["cite", "no/such.tex"], 1, "no/such.tex: cannot be read (No such file or directory)"),
        (["cite", "folder"], 1, "folder: cannot be read (Is a directory)"),
        (["cite", "latin.tex"], 1, "latin.tex:2 is not UTF-8 text; save the draft as UTF-8"),
        (["cite", "binary.md"], 1, "binary.md is no text"),
        (["cite", "paper.pdf"], 1, "paper.pdf is no text (a PDF, a Word file?)"),
        (["cite", "--check", "a claim of mine"], 2, "--check takes a draft; type: rag cite draft.tex --check"),
        (["cite", "--bib", "x.bib", "a claim of mine"], 2, "--bib takes a draft"),
        (["cite", "--in-place", "--check", "good.md"], 2, "--check changes nothing"),
        (["cite", "-k", "0", "a claim of mine"], 2, "k is 0; it counts papers"),
        (["cite", "--bib", "folder", "good.md"], 1, "folder"),
        (["cite", "x" * 9000], 2, "the claim has 9,000 characters"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_change_nothing(rag, tmp_path, argv, code, said):
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.tex").write_bytes(b"One.\nCaf\xe9 [CITE].")
    (tmp_path / "binary.md").write_bytes(b"One\0two [CITE].")
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.4 caf\xe9")
    (tmp_path / "good.md").write_text(f"{TRUE[:-1]} [CITE].", "utf-8")
    before = {one: one.read_bytes() for one in tmp_path.iterdir() if one.is_file()}
    got, _, err = rag(*argv)
    assert (got, said in err.splitlines()[-1]) == (code, True), err
    assert {one: one.read_bytes() for one in tmp_path.iterdir() if one.is_file()} == before


def test_nothing_of_a_draft_commands_the_terminal(rag, tmp_path):
    (tmp_path / "a\x1b[31m.md").write_text(f"{NONE[:-1]} \x1b[31m\u202e of \x9b [CITE].", "utf-8")
    _, out, err = rag("cite", "a\x1b[31m.md")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", out + err)


def test_the_page_shows_what_is_printed(capsys):
    page = (Path(sys.modules["rag.cli"].__path__[0]) / "README.md").read_text("utf-8")
    shown = re.findall(r'^\$ rag cite "(.*?)".*\n((?:.+\n)+?)(?=\n|exit code|```)', page, re.MULTILINE)
    assert len(shown) == 2
    for claim, printed in shown:
        main(["cite", claim])
        assert capsys.readouterr().out == printed
