"""What a person reads: the answer, numbered sources, the quote marked in its abstract, nothing a terminal obeys."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies
from made import FLASH, S4, evidence, hits, paper
from rich.console import Console

from rag import Answer, Citation, Claim, FrozenMap, Paper, Usage
from rag.records import Explained, Found, Traced, Where
from rag.show import lines
from rag.show.render import (
    QUOTED,
    plain_answer,
    plain_hits,
    plain_paper,
    quoting,
    reasons,
    rich_hits,
    rich_paper,
    shown,
)
from rag.show.screen import CUT, Terminal, plain

HOSTILE = "a\x1b[31mb\x1b]8;;http://evil.test\x07c\x9b2Jd\re\bf\u202eg\ud800h\u2028i [red]j[/red] :skull:"
COLOUR = re.compile(r"\x1b\[(\d+;)*3\d")
BOLD = re.compile(r"\x1b\[[\d;]*m")
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def cite(number: int, one: Paper, quote: str) -> Citation:
    start = one.abstract.index(quote)
    return Citation(number, one, quote, start, start + len(quote))


def answered(*citations: Citation, text: str | None = None) -> Answer:
    """An answer with one claim a citation."""
    claims = tuple(Claim(f"{c.quote} [{c.number}]", 0, 0, (c,), "quoted", "verbatim") for c in citations)
    return Answer(
        question="q", query="q", text=text or " ".join(claim.text for claim in claims), status="answered",
        claims=claims, removed=(), citations=citations, evidence=evidence(*(c.paper for c in citations)),
        model="extractive", usage=Usage(), seconds=FrozenMap(), trace=FrozenMap(), run="0",
    )  # fmt: skip


ANSWER = answered(
    cite(1, S4, "It solves Path-X, which all prior work fails on."),
    cite(2, FLASH, "FlashAttention is exact and IO-aware."),
    cite(1, S4, "We propose S4, a state space model."),
)


def drawn(what: Any, width: int = 80, **options: Any) -> str:
    """What a terminal of that width gets; no colour unless `color_system` says so."""
    out = io.StringIO()
    chosen = {"color_system": None} | options
    Console(file=out, force_terminal=True, highlight=False, width=width, **chosen).print(what)
    return out.getvalue()


def seen(
    answer: Answer,
    width: int = 80,
    *,
    removed: bool = False,
    abstracts: bool = False,
    rows: int | None = None,
    **options: Any,
) -> str:
    """What a terminal of that width gets of an answer."""
    out = io.StringIO()
    chosen = {"color_system": None} | options
    console = Console(file=out, force_terminal=True, highlight=False, width=width, **chosen)
    Terminal(console=console, removed=removed, abstracts=abstracts, rows=rows).answer(answer)
    return out.getvalue()


# --- what is said -------------------------------------------------------------------------------


def test_the_plain_form_is_the_text_then_each_source_once_with_its_quotes():
    text, _, head, *sources = plain_answer(ANSWER).split("\n")
    assert text == ANSWER.text
    assert head == "Sources"
    assert sources == [
        f"[1] Structured State Spaces  ({S4.id})",
        '    "It solves Path-X, which all prior work fails on."',
        '    "We propose S4, a state space model."',
        f"[2] FlashAttention  ({FLASH.id})",
        '    "FlashAttention is exact and IO-aware."',
    ]


def test_a_refusal_has_no_sources_in_either_form():
    refusal = replace(answered(text="This library does not say."), status="refused")
    assert plain_answer(refusal) == "This library does not say."
    assert seen(refusal).strip() == "This library does not say."


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"removed": ANSWER.claims[:1]},
            "1 sentence of the model taken out, no support found (--keep-unverified shows",
        ),
        ({"removed": ANSWER.claims}, "3 sentences of the model taken out, no support found (--keep-unverified shows"),
        ({"trace": FrozenMap({"unknown marks": (Traced("", 1, 0.0),)})}, "1 mark of the model named no passage"),
        ({"trace": FrozenMap({"unknown marks": (Traced("", 2, 0.0),)})}, "2 marks of the model named no passage"),
        ({"usage": Usage(1, 10, 10)}, "these are the abstracts' own sentences instead"),
        ({"where": Where("year>=2023", 2, 5)}, "Only papers with year>=2023 (2 of 5)."),
        ({"status": "refused", "model": "m"}, "--model extractive shows the abstracts' nearest sentences"),
    ],
)
def test_what_was_taken_out_is_said_in_both_forms(change, said):
    assert said not in plain_answer(ANSWER)
    assert said in plain_answer(replace(ANSWER, **change))
    assert said in seen(replace(ANSWER, **change), width=100)


def test_a_filter_that_left_nothing_is_told_by_the_text_alone():
    refusal = replace(answered(text="No paper has it."), status="refused", where=Where("year>=2030", 0, 5))
    assert plain_answer(refusal) == "No paper has it."
    assert plain_answer(replace(refusal, model="m", evidence=())) == "No paper has it."  # it was not asked


def test_a_filter_is_no_way_to_a_terminal():
    said = plain_answer(replace(ANSWER, where=Where(f'author:"{HOSTILE}"', 1, 2)))
    assert "Only papers with author:" in said
    assert not OBEYED.search(said)


def test_what_was_taken_out_is_shown_struck_through_if_asked_for():
    odd = replace(ANSWER.claims[0], text="The moon \x1b[31mis cheese.", reason="the quotes do not give it")
    answer = replace(ANSWER, removed=(odd,), trace=FrozenMap({"unknown marks": (Traced("", 1, 0.0),)}))
    plain = plain_answer(answer, removed=True)
    assert plain.splitlines()[-2:] == [
        "1 sentence of the model taken out, no support found:",
        "~~The moon �[31mis cheese.~~  (the quotes do not give it)",
    ]
    assert "cheese" not in plain_answer(answer)
    assert "\x1b[9m" in seen(answer, removed=True, width=100, color_system="standard")


def test_hits_tell_rank_id_title_score_and_what_found_them():
    first, second = hits(S4, FLASH, scores=(0.9, 0.25))
    first = replace(first, found=(Found("dense", 1, 0.5), Found("lexical", 3, 4.25)))
    assert plain_hits((first, second)).split("\n") == [
        f"  1  {S4.id}  Structured State Spaces  (0.900; dense #1 0.50, lexical #3 4.25)",
        f"  2  {FLASH.id}  FlashAttention  (0.250; )",
    ]
    assert [line.split()[0] for line in drawn(rich_hits((first, second))).splitlines()] == ["1", S4.id, "2", FLASH.id]
    assert plain_hits(()) == ""


def test_a_paper_shows_what_is_known_of_it_and_no_empty_fact():
    known = replace(S4, authors=("A. Gu", "K. Goel"), year=2021, doi="10.1/x", extra=FrozenMap({"kind": "poster"}))
    facts = [f"id: {S4.id}", "authors: A. Gu; K. Goel", "year: 2021", "doi: 10.1/x", "kind: poster"]
    assert plain_paper(known).split("\n")[4:] == facts
    assert drawn(rich_paper(known)).splitlines()[-len(facts) :] == facts


def test_latex_residue_is_shown_as_characters():
    assert shown(r"91\% on $\mathcal{O}(n)$" + "\nand more\t") == "91% on O(n) and more"


# --- how it looks -------------------------------------------------------------------------------


def test_the_quotes_stand_out_inside_their_whole_abstract():
    line = lines.Line("", tuple(quoting(S4, [c for c in ANSWER.citations if c.number == 1])))
    assert "".join(text for text, _ in line.pieces) == shown(S4.abstract)
    quotes = ["We propose S4, a state space model.", "It solves Path-X, which all prior work fails on."]
    assert [text for text, style in line.pieces if style == QUOTED] == quotes
    assert plain([line]).count("«") == 2
    whole = " ".join(seen(ANSWER, abstracts=True).split())
    assert plain([line]) in whole
    assert "«FlashAttention is exact and IO-aware.»" in plain_answer(ANSWER, abstracts=True)


@pytest.mark.parametrize("spans", [[(0, 5), (3, 9)], [(3, 9), (0, 5), (0, 5)], [(0, 9), (2, 4)]])
def test_quotes_that_overlap_show_no_character_twice(spans):
    citations = [Citation(1, FLASH, FLASH.abstract[start:end], start, end) for start, end in spans]
    assert "".join(text for text, _ in quoting(FLASH, citations)) == shown(FLASH.abstract)


# a terminal that shows no colour: a dumb one has no colour system, NO_COLOR leaves bold
@pytest.mark.parametrize("how", [{"color_system": None}, {"color_system": "standard", "no_color": True}])
def test_without_colour_quotes_have_marks(how):
    assert "«FlashAttention is exact and IO-aware.»" in BOLD.sub("", seen(ANSWER, 200, abstracts=True, **how))
    assert "«" not in seen(ANSWER, 200, abstracts=True, color_system="standard")


def test_a_source_is_its_number_title_year_and_first_author_and_no_quote_that_was_said():
    known = replace(S4, year=2021, authors=("Roe, Ann", "Doe, Bob"))
    said, other = known.abstract[:35], "It solves Path-X, which all prior work fails on."
    answer = answered(cite(1, known, said), text=f"{said} [1]")
    head = f"[1] Structured State Spaces (2021, Roe)  {S4.id}"
    assert seen(answer).splitlines() == [f"{said} [1]", "", head]
    written = answered(cite(1, known, other), cite(1, known, said), text=f"{said} [1]")
    assert [row.rstrip() for row in seen(written).splitlines()] == [f"{said} [1]", "", head, f"    “{other}”"]
    nameless = replace(known, title="", year=None, authors=())
    assert f"“{said}”" in seen(answered(cite(1, nameless, said), text=f"{said} [1]"))


def of_many(count: int, words: int) -> Answer:
    """A list of papers, a sentence of so many words from each."""
    citations, claims, text = [], [], ""
    for number in range(1, count + 1):
        one = paper(
            f"Paper {number} about " + "a matter of length " * 6, f"Sentence {number} has " + "some words " * words
        )
        citations.append(cite(number, one, one.abstract))
        start = len(text) + bool(text)
        text = f"{text} {one.abstract} [{number}]".strip()
        claims.append(Claim(one.abstract, start, start + len(one.abstract), (citations[-1],), "quoted", "verbatim"))
    return replace(answered(*citations, text=text), claims=tuple(claims))


@pytest.mark.parametrize("words", [3, 9, 20, 60])
def test_an_answer_from_twelve_papers_fits_forty_rows(words):
    answer = of_many(12, words)
    shown_of = seen(answer, rows=40)
    assert len(shown_of.splitlines()) <= 40
    assert max(map(len, shown_of.splitlines())) <= 80
    flat = " ".join(shown_of.split())
    for number, one in answer.numbers.items():
        assert f"Sentence {number} has some" in flat
        assert len(re.findall(rf"^\[{number}\] +Paper {number} about .*…  {one.id}\s*$", shown_of, re.MULTILINE)) == 1
    assert (CUT in shown_of) == (" ... [1]" in flat) == (words > 9)
    assert len(seen(answer).splitlines()) > 40 or words < 20


def test_a_list_that_fits_has_a_line_for_each_and_is_whole():
    answer = of_many(6, 9)
    assert [row for row in seen(answer, rows=40).splitlines() if row.startswith("Sentence 4")]
    assert CUT not in seen(of_many(12, 60), rows=40, abstracts=True)


def test_many_quotes_of_a_model_answer_are_cut_as_well():
    listed = of_many(12, 20)
    answer = replace(listed, text="All say so. " + "".join(f"[{n}]" for n in listed.numbers), model="m", claims=())
    rows = seen(answer, rows=40).splitlines()
    assert len(rows) <= 40
    assert sum(row.strip().startswith("“Sentence") for row in rows) == 12


def test_colour_marks_the_quote_and_the_numbers():
    out = seen(replace(ANSWER, text="Both are exact. [1][2]", claims=()), width=200, color_system="standard")
    assert "\x1b[1;32m“FlashAttention is exact and IO-aware.”" in out
    assert "\x1b[1;36m[2]\x1b[0m" in out
    assert COLOUR.search(out)
    assert not COLOUR.search(seen(ANSWER, no_color=True, color_system="standard"))


@pytest.mark.parametrize("width", [30, 60, 100])
def test_every_line_fits_and_a_source_stays_right_of_its_number(width):
    long = paper("A title of many words, " * 6, "An abstract of one long sentence, " * 9)
    out = seen(answered(cite(1, long, long.abstract), text="Short. [1]"), width=width)
    assert max(map(len, out.splitlines())) <= width
    sources = out.split("\n[1]")[1].splitlines()
    assert len(sources) > 5
    assert all(line.startswith("    ") for line in sources[1:] if line.strip())
    found = drawn(rich_hits(hits(long)), width=width).splitlines()
    assert max(map(len, found)) <= width
    assert all(line.startswith("    ") for line in found[1:])


# --- what never reaches a terminal --------------------------------------------------------------


def everything(text: str) -> list[str]:
    """All forms of an answer, a hit and a paper whose every field holds `text`."""
    one = replace(
        paper(text, text), authors=(text,), venue=text, url=text, sources=(text,), extra=FrozenMap({text: text})
    )
    answer = answered(Citation(1, one, text, 0, len(text)), text=f"{text} [1]")
    found = hits(one)
    plain = [plain_answer(answer), plain_hits(found), plain_paper(one)]
    return (
        plain
        + [drawn(what, 60) for what in (rich_hits(found), rich_paper(one))]
        + [seen(answer, 60, abstracts=whole) for whole in (False, True)]
    )


@given(strategies.text(min_size=1) | strategies.text("\x1b[]0;m\x07\x9b\r\b\u202e\ud800x ", min_size=1))
def test_no_text_carries_anything_that_a_terminal_obeys(text):
    for out in everything(text):
        assert not OBEYED.search(out)


def test_markup_and_emoji_codes_of_others_are_only_text():
    for out in [*everything(HOSTILE), seen(answered(text=HOSTILE))]:
        assert "[red]j[/red] :skull:" in " ".join(out.split())
        assert "\x1b" not in out


def test_a_signal_without_words_of_its_own_is_explained_by_its_name():
    (hit,) = hits(S4)
    found = (Found("dense", 1, 0.8, 0.5), Found("citations", 2, 12.0, 0.125))
    one = Explained(replace(hit, found=found), "It solves Path-X.", (), ())
    assert reasons(one)[1] == "+0.125  citations #2: 12.00"
    assert [line.pieces[0][0] for line in lines.explained(one)] == [
        reason.partition("  ")[2] for reason in reasons(one)
    ]
