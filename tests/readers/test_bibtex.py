"""BibTeX as people and programs write it: what cannot be read is told with its line, and nothing else changes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.readers import gather
from rag.readers.bibtex import read
from rag.readers.bibtex_entries import entries
from rag.readers.record import Record, Skipped

ABSTRACT = "Terns were ringed on three piers. Nests rose by 12 percent once the gulls had left."


def one(text: str) -> Record:
    records, skipped = read(text, "a.bib")
    assert (len(records), skipped) == (1, [])
    return records[0]


def refused(text: str) -> list[tuple[str, str]]:
    return [(piece.source, piece.reason) for piece in read(text, "a.bib")[1] if piece.kind == "refused"]


def test_an_entry_without_a_key_gives_nothing_to_others():
    text = (
        "@book{, title={Piers}, publisher={Dock Press}, year=1968, abstract={Wood.}}\n"
        "@article{, title={Terns}, abstract={Nests.}}\n@article{k, title={Gulls}, abstract={Gone.}, crossref={}}"
    )
    records, _ = read(text, "a.bib")
    assert [(r.title, r.year, r.venue) for r in records] == [
        ("Piers", 1968, "Dock Press"), ("Terns", None, None), ("Gulls", None, None)
    ]  # fmt: skip


def test_what_is_inherited_comes_from_the_entry_that_is_named():
    text = (
        "@inproceedings{a, title={Terns}, abstract={x}, crossref={P9}}\n@proceedings{p9, title={Pier Days}, year=1999}"
    )
    (record,) = [r for r in read(text, "a.bib")[0] if r.title == "Terns"]
    assert (record.year, record.venue) == (1999, "Pier Days")


@pytest.mark.parametrize(
    "opening",
    ["@article{", "@article{key,", "@ARTICLE {\n", "@article{Gull et al. 2001,", "@article{Gull (2001) b,\n", "@article(k,",
     "@article{key\n", "@misc{Größe/2001:a,", " @article { k ,"],
)  # fmt: skip
def test_an_entry_is_read_whatever_its_key(opening, tmp_path):
    close = ")" if opening.endswith("(k,") else "}"
    file = tmp_path / "a.bib"
    file.write_text(f"{opening} title = {{Terns}},\n abstract = {{{ABSTRACT}}}, year = 2001\n{close}\n", "utf-8")
    reading = gather([file])
    assert [one.format for one in reading.files] == ["BibTeX"]
    assert [(p.title, p.abstract, p.year) for p in reading.papers] == [("Terns", ABSTRACT, 2001)]


@pytest.mark.parametrize(
    ("abstract", "kept"),
    [
        (r"An area of 4$\{3}$ metres.", r"An area of 4$\{3}$ metres."),
        (r"Steps {[1, 9\} were left.", r"Steps [1, 9\} were left."),
        (r"A set \{1, 2\} of two.", r"A set \{1, 2\} of two."),
        (r"Only one \{ of them.", r"Only one \{ of them."),
        (r"A line\\{of} two.", r"A line\\ of two."),
    ],
)
def test_a_brace_counts_as_in_bibtex_or_else_as_in_latex(abstract, kept):
    record = one(f"@article{{k, title={{Terns}}, abstract={{{abstract}}},\n year={{2001}}, author={{Gull, Ada}}}}")
    assert (record.abstract, record.year, record.authors) == (kept, 2001, ("Gull, Ada",))


def test_a_comma_that_is_missing_is_taken_as_there():
    record = one(
        "@article{k\n title={Terns}\n abstract={Nests.}\n year=2001\n author={Gull, Ada}\n doi = {10.5555/t}\n}"
    )
    assert (record.title, record.abstract, record.year, record.doi) == ("Terns", "Nests.", 2001, "10.5555/t")


def test_parts_are_joined_with_their_blanks_and_strings_may_use_strings():
    record = one(
        '@string(of = "Notes of ")\n@string{club = of # "the Pier Club"}\n@article{k, title = "Terns" # { and } # "gulls", '
        'abstract = "One." # " " # {Two.}, journal = club, year = 2001 }'
    )
    assert (record.title, record.abstract, record.venue) == ("Terns and gulls", "One. Two.", "Notes of the Pier Club")


def test_quotation_marks_within_quotation_marks():
    record = one('@article{k, title = "The "big" pier", abstract = "G{\\"o}teborg, {"} and "so" on.", year = "2001"}')
    assert (record.title, record.year) == ('The "big" pier', 2001)
    assert record.abstract.endswith('and "so" on.')


def test_what_cannot_be_read_is_told_with_its_line_and_the_rest_is_kept():
    text = "@article{k, title={Terns},\n note = {a} and more,\n abstract={Nests.}, year=2001}\n@misc{z, title={Z}, abstract={z}}"
    records, _ = read(text, "a.bib")
    assert [(r.title, r.abstract, r.year) for r in records] == [("Terns", "Nests.", 2001), ("Z", "z", None)]
    ((source, why),) = refused(text)
    assert source == "a.bib:2"
    assert "behind the value of note" in why


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("@misc{a, title={A},\n abstract={b\n}\n@misc{k, title={K}, abstract={k}}", 1, "is not closed"),
        ('@misc{a, title="A,\n abstract={b}\n}\n@misc{k, title={K}, abstract={k}}', 1, "the value of title is not closed"),
        ("\n title = {A}, abstract={b}}\n@misc{k, title={K}, abstract={k}}", 2, "a field outside of any entry"),
        ("@misc{k, title={K}, abstract={k}}\n\n@misc{a, title={A}, abstract={cut off", 3, "is not closed"),
    ],
)  # fmt: skip
def test_a_broken_entry_costs_no_other(text, line, why):
    assert [record.title for record in read(text, "a.bib")[0]] == ["K"]
    ((source, reason),) = refused(text)
    assert source == f"a.bib:{line}"
    assert why in reason


def test_comments_are_no_entries():
    text = '% words, me@article.org\n %@misc{old, title={O},\n@comment{ @misc{x, title={X}, abstract={x}} }\n@preamble{ "a" # b }\n@misc{k, % or {\n title={K},\n % abstract = {old},\n abstract={k}}'
    assert [record.title for record in read(text, "a.bib")[0]] == ["K"]


VALUES = st.text(st.characters(exclude_characters="{}\\@\"%", exclude_categories=["Cs", "Cc"]), min_size=1).map(
    lambda text: " ".join(text.split())
).filter(bool)  # fmt: skip


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=4), st.data())
def test_every_way_to_write_a_field_gives_its_value(pairs, data):
    def written(value: str) -> str:
        ways = [f"{{{value}}}"] + ([f'"{value}"', f'"{value}" # ""'] if "=" not in value else [])
        return data.draw(st.sampled_from(ways))

    def end() -> str:
        return data.draw(st.sampled_from([",\n", "\n", " , "]))

    text = "".join(
        f"@misc{{k{n}, one = {written(a)}{end()}two = {written(b)}{end()}}}\n" for n, (a, b) in enumerate(pairs)
    )
    found = list(entries(text))
    assert [(e.broken, e.lost) for e in found] == [("", [])] * len(pairs)
    assert [["".join(p[1:-1] for p in parts) for _, parts in e.fields] for e in found] == [[a, b] for a, b in pairs]


@pytest.mark.parametrize(
    "piece",
    ["a={\n", 'b = "z" z, ', "\n", "@a{", "@a{\n", "= ", ",", "@a{k,x=", "#{b}", "a={b} c, ", "{}", '"', "}", " ", "@a{k,a={b} "],
)  # fmt: skip
def test_the_work_is_linear(piece):
    """Measured in lines of code that run, so that no machine is too slow for it."""

    def cost(count: int) -> int:
        ran = 0

        def trace(*_: object) -> object:
            nonlocal ran
            ran += 1
            return trace

        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            list(entries("@a{k, t={x}, " + piece * count))
        finally:
            sys.settrace(None)
        return ran

    assert cost(800) < 15 * cost(80)


def test_sources_are_file_and_line(tmp_path: Path):
    (tmp_path / "a.bib").write_text("\n\n@misc{k,\n title={K}, abstract={k}}", "utf-8")
    (paper,) = gather([tmp_path / "a.bib"]).papers
    assert paper.sources == ("a.bib:3",)
    assert isinstance(read("@misc{k, title={}}", "a.bib")[1][0], Skipped)
