"""Papers -> text of each format that is written -> the readers -> the same papers, as the header of `rag.show.export` says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.formats import PAPERS
from rag.readers import read
from rag.readers.fields import gathered
from rag.readers.record import Record
from rag.records import FrozenMap, Paper
from rag.show.export import write_papers
from rag.text import paper_id, printable, readable

# --- papers of all kinds ------------------------------------------------------------------------

CRUMBS = [
    "{", "}", "\\", "$", "%", "&", "#", "_", "~", "^", '"', "'", "<", ">", "`", "@", "=", ",", ";", ":", "|", "/", "*",
    " ", "  ", "\t", "\n", "\n\n", "TY  - JOUR\n", "\nER  - \n", "\nAB  - ", "@article{a,", "\\begin{x}", "\\\\", "\\{",
    r"\alpha ", r"$\times$", r"{\"o}", r"\emph{so}", r"\input{x}", "''", "``", "&amp;", "<i>", "<sup>2</sup>", "{{", "}}",
    " and ", "and", "others", "\u0301", "e\u0308", "שלום", "\u200f", "\u202e", "العربية", "中文", "😀", "\xa0", "\u3000", "–",
    "\u2028", "\x1b[31m", "null", "{}", "[]", '{"a": 1}', "\\u0041", "\\n", "10.5555/x", "arXiv:2101.00001", "1999", "---",
]  # fmt: skip
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TEXT = st.lists(st.sampled_from(CRUMBS) | WORDS, max_size=12).map("".join)
NAMES = st.lists(TEXT | st.sampled_from(["Gray, Ada", "Salt and Sons", "Brandtsen O.", "others"]), max_size=3)
NUMBERS = st.fixed_dictionaries(
    {},
    optional={
        "arxiv": st.sampled_from(["2101.00001", "hep-th/9901001"]),
        "pmid": st.integers(1, 10**8).map(str),
        "keywords": st.lists(st.sampled_from(["fog & ice", "50% {x}", "pools_1"]), min_size=1).map("; ".join),
        "language": st.sampled_from(["en", "eng", "Français"]),
    },
)
PLACES = ["a%20b", "?q=x&y=1#z", "{a}", "\\", "é", "\u202e", '"<>"', "~"]
URLS = st.none() | st.lists(st.sampled_from(PLACES)).map(lambda parts: f"https://example.org/{''.join(parts)}")
DOIS = st.none() | st.sampled_from(["10.5555/a(1)b_2", "10.1000/x<y>", "10.5555/ä#1;2", "10.48550/arxiv.2101.00001"])


@st.composite
def papers(draw: st.DrawFn) -> tuple[Paper, ...]:
    """Papers that a reader could have given, no two of them alike."""
    found = []
    for n in range(draw(st.integers(1, 3))):
        made = gathered(
            "old.bib:1",
            f"{draw(TEXT)} Paper {n}{n}{n} {draw(TEXT)}",
            f"{draw(TEXT)}: we found {n}. {draw(TEXT)}",
            authors=draw(NAMES),
            year=draw(st.none() | st.integers(1500, 2099)),
            venue=draw(st.none() | TEXT),
            doi=draw(DOIS) if n == 0 else None,
            url=draw(URLS),
            extra=draw(NUMBERS) if n == 0 else {},
        )
        if isinstance(made, Record):
            found.append(as_paper(made))
    return tuple({paper.id: paper for paper in found}.values())


def as_paper(record: Record, id: str = "") -> Paper:
    kept = (record.title, record.abstract, record.authors, record.year, record.venue, record.doi, record.url)
    return Paper(id or paper_id(record.title), *kept, (record.source,), record.extra)


# --- what may change on the way -----------------------------------------------------------------


def one_line(text: str) -> str:
    return " ".join(text.split())


def told(paper: Paper, form: str) -> Paper:
    """The paper as it should come back, but for its sources: as the header of rag.show.export says for each format."""
    if form == "jsonl":
        return replace(paper, sources=())

    def text(value: str) -> str:
        shown = printable(readable(value)) if form == "bibtex" else printable(value) if form == "ris" else value
        return one_line(shown)

    made = gathered(  # what every reader does with names, venues and DOIs
        "",
        text(paper.title),
        paper.abstract if form == "csl" else text(paper.abstract),
        authors=[text(name) for name in paper.authors],
        year=paper.year,
        venue=text(paper.venue or ""),
        doi=paper.doi,
        url=paper.url,
        extra=paper.extra,
    )
    assert isinstance(made, Record), "nothing of a paper is lost so far that none is left"
    url = re.sub(r"[{}\\]", lambda found: quote(found[0]), made.url) if made.url and form == "bibtex" else made.url
    return replace(
        as_paper(made, paper.id), url=url and (url if form in ("csl", "jsonl") else printable(url)), sources=()
    )


def without_new(paper: Paper, like: Paper) -> Paper:
    """Without what a file adds: its own sources, a type, numbers that an address shows."""
    extra = {name: value for name, value in paper.extra.items() if name in like.extra}
    doi = paper.doi if like.doi else None
    return replace(paper, sources=(), extra=FrozenMap(extra), doi=doi)


# --- the law ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("round")


def back(written: tuple[Paper, ...], form: str, folder: Path, known: tuple[Paper, ...] = ()) -> tuple[Paper, ...]:
    file = folder / f"export.{form}"
    file.write_text(write_papers(PAPERS[form], written), "utf-8", newline="\n")
    reading = read([file], known=known)
    assert not [piece for piece in reading.skipped if piece.kind != "passed over"]
    return reading.papers


@pytest.mark.parametrize("form", PAPERS)
@settings(max_examples=60)
@given(written=papers())
def test_what_is_written_is_read_as_the_same_papers(folder: Path, form: str, written: tuple[Paper, ...]) -> None:
    got = back(written, form, folder)
    assert [without_new(one, like) for one, like in zip(got, written, strict=True)] == [told(p, form) for p in written]


HARD = Paper(
    paper_id("x"), r"50% of {DNA} \& $x_{i}$: a \input{y} \"study\"",
    "TY  - JOUR\nER  - \n\nWe \\emph{count} 100% & $\\times$ {braces} \\ \"quotes\" שלום e\u0301\u200f #1.\n@article{a, title={x}}",
    ("Salt and Sons, Ltd", "Gray, Ada", "others", "{Brace}"), 1999, "Fog & Ice_1", "10.5555/x_1", "https://example.org/a b?x=%20#1",
    ("old.bib:1",), FrozenMap({"arxiv": "2101.00001", "pmid": "77", "keywords": "fog; ice", "language": "en"}),
)  # fmt: skip


def test_the_hard_things_by_hand(folder: Path) -> None:
    for form in PAPERS:
        (paper,) = back((HARD,), form, folder)
        assert (paper.id, paper.year, paper.doi, paper.venue) == (HARD.id, 1999, "10.5555/x_1", "Fog & Ice_1")
        assert (paper.authors if form == "jsonl" else paper.authors[:3]) == HARD.authors[: len(paper.authors)][
            : 4 if form == "jsonl" else 3
        ]
        assert {name: paper.extra[name] for name in HARD.extra} == dict(HARD.extra)
        if form != "bibtex":
            assert one_line(paper.title) == HARD.title
        if form in ("csl", "jsonl"):
            assert paper.abstract == HARD.abstract
    (paper,) = back((HARD,), "bibtex", folder)
    assert paper.title == one_line(readable(HARD.title))
    assert "We count 100% & × {braces}" in paper.abstract


@given(text=st.text(min_size=1), other=st.text())
def test_json_lines_hold_any_text_whatever(folder: Path, text: str, other: str) -> None:
    texts = [one.replace("\0", "").encode("utf-8", "ignore").decode() for one in (text, other)]
    paper = Paper(paper_id("x"), f"{texts[0]}.", f".{texts[1]}", tuple(texts), None, texts[1] or None, texts[0] or None, None, (),
                  FrozenMap({texts[0]: texts[1]}))  # fmt: skip
    assert [replace(one, sources=()) for one in back((paper,), "jsonl", folder)] == [paper]


# --- into a library again -----------------------------------------------------------------------

TWINS = (  # the one that was there first has the plain id, though it says more of itself
    Paper(paper_id("Honey"), "Honey", "Cold honey flows slowly through straws of glass.", doi="10.5555/a"),
    Paper("0123456789ab", "Honey", "Seven owls were taught to sort letters by colour."),
    Paper(paper_id("Fog"), "Fog", r"In 97\% of all nights \emph{fog} was seen over $x$ lakes of 5\,km."),
)


@pytest.mark.parametrize("form", PAPERS)
def test_papers_keep_their_ids_in_a_new_library(folder: Path, form: str) -> None:
    assert [paper.id for paper in back(TWINS, form, folder)] == [paper.id for paper in TWINS]
    assert [paper.id for paper in back(TWINS[::-1], form, folder)] == [paper.id for paper in TWINS[::-1]]


@pytest.mark.parametrize("form", PAPERS)
def test_an_export_read_into_its_own_library_doubles_and_alters_nothing(folder: Path, form: str) -> None:
    again = back(TWINS, form, folder, known=TWINS)
    assert [replace(p, sources=(), extra=FrozenMap()) for p in again] == list(TWINS)
    assert back(TWINS, form, folder, known=again) == again


def test_an_id_that_a_file_claims_takes_none_from_another_paper(folder: Path) -> None:
    (claims,) = back((replace(HARD, id=TWINS[0].id),), "jsonl", folder, known=TWINS)
    assert claims.title == HARD.title
    assert claims.id not in {paper.id for paper in TWINS}
    assert read([wrote(folder, '{"title": "Moss", "abstract": "It grows.", "custom": {"ragid": "../../x"}}')]).papers[
        0
    ].id == paper_id("Moss")


def wrote(folder: Path, text: str) -> Path:
    (folder / "own.json").write_text(text, "utf-8")
    return folder / "own.json"
