"""Filters: what is one, what it admits, and one line for what is none; a question keeps all its other words."""

from __future__ import annotations

import re
from contextlib import suppress
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import UsageError
from rag.filters import (
    ALL,
    NO_YEAR,
    YEARS,
    Facts,
    Filter,
    Lines,
    admitted,
    author_line,
    chosen,
    nothing,
    parse,
    split,
    unread,
    venue_line,
)

NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12), max_size=3)
PIECES = st.sampled_from(
    ["year", "author", "venue", ":", ">=", "<", "=", "2020", "2023", "-", "..", " ", '"', "'", "“", "”", ",", "(", ")",
     "Smith", "and", "AND", "OR", "?", ".", "what", "\n", "title", "é", "\u2028"]
)  # fmt: skip


def paper(year: int | None = None, authors: tuple[str, ...] = (), venue: str | None = None) -> Facts:
    return Facts("1f", year, authors, venue)


def by(wanted: str, author: str) -> bool | None:
    return chosen(authors=[wanted]).admits(paper(authors=(author,)))


# --- reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("year>=2023", 2023, None),
        ("year >= 2023", 2023, None),
        ("YEAR≥2023", 2023, None),
        ("year>2020", 2021, None),
        ("year<=2019", None, 2019),
        ("year<2020", None, 2019),
        ("year:2023", 2023, 2023),
        ("year: 2023", 2023, 2023),
        ("year=2023", 2023, 2023),
        ("year == 2023", 2023, 2023),
        ("year:>=2023", 2023, None),
        ("year:2020-2023", 2020, 2023),
        ("year:2020–2023", 2020, 2023),
        ("year:2020..2023", 2020, 2023),
        ("year:2020-", 2020, None),
        ("year:2020..", 2020, None),
        ("year:-2019", None, 2019),
        ("year>=2020 year<2023", 2020, 2022),
        ("year>=2020 AND year<=2022", 2020, 2022),
        ("where year>=2020 and year<=2022", 2020, 2022),
    ],
)
def test_years(text, first, last):
    assert parse(text) == Filter(first, last)
    assert split(f"What is said? {text}") == (("What is said?", Filter(first, last)) if "year: " not in text else (f"What is said? {text}", ALL))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "authors", "venues"),
    [
        ("author:Smith", (("Smith",),), ()),
        ('author:"Jane Smith"', (("Jane Smith",),), ()),
        ("author:“Jane Smith”", (("Jane Smith",),), ()),
        ("author:'Jane Smith'", (("Jane Smith",),), ()),
        ('author:"Smith, Jane"', (("Smith, Jane",),), ()),
        ("author:Smith,Jones", (("Smith", "Jones"),), ()),
        ("author:Smith author:Jones", (("Smith", "Jones"),), ()),
        ("author:Smith AND author:Jones", (("Smith",), ("Jones",)), ()),
        ("author:Smith venue:Nature author:Smith", (("Smith",),), (("Nature",),)),
        ("author:O'Brien", (("O'Brien",),), ()),
        ("author:王伟", (("王伟",),), ()),
        ('venue:"Physical Review",Nature', (), (("Physical Review", "Nature"),)),
        ("venue = Nature", (), (("Nature",),)),
    ],
)
def test_names(text, authors, venues):
    assert parse(text) == Filter(authors=authors, venues=venues)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("  AND ", "empty"),
        ("year>=abc", r"'>=abc' is no year; type, for example: year>=2023"),
        ("year:2020,2022", "':2020,2022' is no year"),
        ("year>=2023 year<2000", "no year is 2023 or later and 1999 or earlier"),
        ("year:2023-2020", "no year is 2023 or later"),
        ("year>9999", "no year"),
        ("year", "in quotes, since a shell takes > for itself"),
        (">=2023", "type, for example: year>=2023"),
        ("author:", "author: has no name after it; type, for example: author:Smith"),
        ('venue:"Phys', "venue: has a quote that is not closed"),
        ("author:Jane Smith", "'Smith' is no filter.*in quotes|quotes around"),
        ("author:Smith OR author:Jones", "type: author:Smith,Jones"),
        ("-author:Smith", "not what is left out"),
        ("yaer>=2020", "did you mean year"),
        ("title:Attention", "no filter is called 'title'; there are year, author and venue"),
        (2023, "the filter is int, not text"),
    ],
)
def test_what_is_no_filter_is_told_in_one_line_that_says_what_to_type(text, says):
    with pytest.raises(UsageError, match=says) as told:
        parse(text)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 200


@given(st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=14).map("".join)))
def test_whatever_is_typed_is_a_filter_whose_text_says_the_same_or_one_line(text):
    with suppress(UsageError):
        found = parse(text)
        assert found
        assert parse(str(found)) == found


@given(st.one_of(st.none(), st.text(max_size=12), PIECES), NAMES, NAMES)
def test_whatever_options_say_is_a_filter_whose_text_says_the_same_or_one_line(year, authors, venues):
    with suppress(UsageError):
        found = chosen(year, authors, venues)
        assert bool(found) is (year is not None or bool(authors) or bool(venues))
        assert not found or parse(str(found)) == found


@pytest.mark.parametrize("year", ["2020-2023", "2020 - 2023", "year:2020-2023", "2020..2023"])
def test_options_take_years_as_they_are_said(year):
    assert chosen(year, ["Smith, Jane", "Jones"]) == Filter(2020, 2023, (("Smith, Jane", "Jones"),))


@pytest.mark.parametrize(("year", "authors"), [("x", ()), ("", ()), ("2020 author:x", ()), (None, [" "]), (None, ["x" * 201])])  # fmt: skip
def test_options_that_say_nothing_are_told(year, authors):
    with pytest.raises(UsageError, match="type"):
        chosen(year, authors)


def test_filters_narrow_each_other():
    both = parse("year>=2020 author:Smith") & parse("year<=2022 author:Jones author:Smith venue:X") & ALL
    assert str(both) == "year:2020-2022 author:Smith AND author:Jones,Smith venue:X"
    assert parse(str(both)) == both == both & both
    with pytest.raises(UsageError, match="no year"):
        parse("year>=2020") & parse("year<2020")


def test_what_is_said_nearer_stands_in_the_place_of_what_is_said_of_the_same_field():
    chat = parse("year>=2020 author:Smith venue:X")
    assert str(chat.besides(parse("year:2015"))) == "author:Smith venue:X"
    assert str(chat.besides(parse("author:Jones venue:Y"))) == "year>=2020"
    assert chat.besides(ALL) == chat


# --- in a question ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "text", "where"),
    [
        ("What solves Path-X? year>=2023", "What solves Path-X?", "year>=2023"),
        ("year >= 2023, what solves Path-X?", "what solves Path-X?", "year>=2023"),
        ("What did they find (author:Smith, year>=2023)?", "What did they find?", "year>=2023 author:Smith"),
        (
            "Papers by author:Smith and author:Jones on attention",
            "Papers on attention",
            "author:Smith AND author:Jones",
        ),
        ('Which models from venue:"Physical Review" are fast?', "Which models are fast?", 'venue:"Physical Review"'),
        ("What changed in year=2020.", "What changed.", "year:2020"),
        ("Is f() fast with year>2019\nor slow?", "Is f() fast\nor slow?", "year>=2020"),
    ],
)
def test_a_filter_in_a_question_is_taken_out_of_it(question, text, where):
    assert split(question) == (text, parse(where))


@pytest.mark.parametrize(
    "question",
    [
        "what is venue: about?",
        "papers where year: unclear",
        "what does author: Smith say?",
        "was it the year 2020 or 2021?",
        "year>=abc?",
        "year:2020,2022 which?",
        "see http://example.org/?year=2023 and `year >= 2000`",
        'author:"Smith and more',
        "-author:Smith what?",
        "midyear>=2020 x",
        "year>=20201 x",
        "title:attention  (  ) , ?",
    ],
)
def test_all_else_is_text(question):
    assert split(question) == (question, ALL)


@given(st.text(max_size=200))
def test_a_text_without_a_sign_of_a_filter_is_untouched(text):
    plain = re.sub("[:=<>≤≥]", " ", text)
    assert split(plain) == (plain, ALL)


@given(st.lists(PIECES, max_size=16).map("".join))
def test_a_question_gives_its_filter_or_one_line_and_invents_no_word(text):
    with suppress(UsageError):
        rest, where = split(text)
        left = iter(text)
        assert all(char in left for char in "".join(rest.split()))
        assert parse(str(where)) == where if where else rest == text


@pytest.mark.parametrize(
    "piece", ['author:"', "author:a,", "and where ", "year:2020-", "author:'a ", "year ", "venue:“x”"]
)
def test_a_long_text_is_read_in_no_time(piece):
    began = process_time()
    with suppress(UsageError):
        split(piece * 2000 + "(")
    assert process_time() - began < 1


# --- what is admitted ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "admitted"),
    [
        ("year>=2021", [2021, 2022, 2023]),
        ("year>2021", [2022, 2023]),
        ("year<=2021", [2020, 2021]),
        ("year<2021", [2020]),
        ("year:2021-2022", [2021, 2022]),
        ("year:2021", [2021]),
    ],
)
def test_years_are_compared_both_ends_included(text, admitted):
    assert [year for year in range(2020, 2024) if parse(text).admits(paper(year))] == admitted


@pytest.mark.parametrize(
    ("wanted", "author"),
    [
        ("Smith", "Jane Smith"),
        ("smith", "SMITH, JANE"),
        ("Smith", "Smith-Jones, Ada"),
        ("Jane Smith", "Smith, Jane"),
        ("Jane Smith", "Smith, Jane A."),
        ("Jane Smith", "Smith, J."),
        ("Jane Smith", "Smith JA"),
        ("J. Smith", "Jane Smith"),
        ("Muller", "Müller, Karl"),
        ("Müller", r"M{\"u}ller, Karl"),
        ("Orsted", "Hans Ørsted"),
        ("Gonzalez", "González, María"),
        ("O'Brien", "O’Brien, Sean"),
        ("van der Berg", "Berg, Anna van der"),
        ("Wei Li", "LI WEI"),
        ("王伟", "王伟"),
    ],
)
def test_an_author_is_found_by_parts_of_the_name(wanted, author):
    assert by(wanted, author) is True


@pytest.mark.parametrize(
    ("wanted", "author"),
    [
        ("Smit", "Smith, Jane"),
        ("mith", "Smith, Jane"),
        ("Jane Smith", "Smith, Bob"),
        ("Jane Smith", "Smith, B."),
        ("Jane Smith", "Jane Jones"),
        ("J Jones", "Jones, Bob"),
        ("Jane Smith", "J. S."),
    ],
)
def test_an_author_is_not_found_by_parts_of_words(wanted, author):
    assert by(wanted, author) is False


@pytest.mark.parametrize(
    ("wanted", "venue", "found"),
    [
        ("Nature", "Nature", True),
        ("nature", "Nature Methods", True),
        ("Physical Review", "Physical Review E", True),
        ("Review Physical", "Physical Review E", False),
        ("Natur", "Nature", False),
        ("Revue francaise", "La Revue Française", True),
    ],
)
def test_a_venue_is_found_by_whole_words_in_their_order(wanted, venue, found):
    assert chosen(venues=[wanted]).admits(paper(venue=venue)) is found


def test_names_of_one_field_are_alternatives_and_fields_narrow():
    found = parse("author:Smith,Jones venue:Nature year>=2020")
    assert found.admits(paper(2020, ("A. Jones",), "Nature"))
    assert not found.admits(paper(2019, ("A. Jones",), "Nature"))
    assert not found.admits(paper(2020, ("A. Brown",), "Nature"))
    together = parse("author:Smith AND author:Jones")
    assert together.admits(paper(authors=("Smith, A.", "Jones, B.")))
    assert not together.admits(paper(authors=("Smith, A.",)))


def test_a_paper_that_does_not_say_is_not_admitted_and_counted_only_if_it_meets_the_rest():
    found = parse("year>=2020 author:Smith")
    assert found.admits(paper(None, ("Smith",))) is None
    assert found.admits(paper(2020)) is None
    assert found.admits(paper(None, ("Jones",))) is False
    assert found.admits(paper(2019)) is False
    assert parse("venue:Nature").admits(paper()) is None


# --- nothing ------------------------------------------------------------------------------------

HELD = [paper(1998, ("Smith, Jane",), "Nature"), paper(2024, ("Jones, Bob",), "Science"), paper()]


@pytest.mark.parametrize(
    ("text", "papers", "says"),
    [
        ("year>=2030", HELD, "no paper of this library has year>=2030; its papers are of 1998 to 2024"),
        ("year>=2030", [paper()] * 2, "no paper of this library has year>=2030; none of its 2 papers has a year"),
        ("author:Smyth", HELD, 'no paper of this library has author:Smyth; the nearest is author:"Smith, Jane"'),
        ("venue:Nature AND venue:Bild", HELD, "no paper of this library has venue:Bild; it has 2 venues, none like it"),
        ("venue:X", [paper(2000)], "no paper of this library has venue:X; none of its 1 papers has a venue"),
        ("year:1998 author:Jones", HELD, "no paper of this library has year:1998 (1 alone) and author:Jones (1 alone) together"),
        ("year:1998", [], "this library holds no paper"),
    ],
)  # fmt: skip
def test_nothing_says_why_and_what_there_is(text, papers, says):
    def like(name, names):
        return next((one for one in names if name == "Smyth"), None)

    assert nothing(parse(text), papers, like) == says


# --- what only looks like one -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("How high is it? year=>2020", "is no year"),
        ("How high is it? years>=2020", "did you mean year?"),
        ("How high is it? year:20x0", "is no year"),
        ("auther:Smith how high is it?", "did you mean author?"),
    ],
)
def test_a_slip_in_a_filter_is_told(question, says):
    assert split(question) == (question, ALL)
    assert says in unread(question)


@pytest.mark.parametrize(
    "question",
    [
        "What is venue: about?",
        "Which year: unclear",
        "Is p<0.05 enough, with n=20?",
        "How high is it? year>=2020",
        "memory:time trade-offs",
        "what does http://year:80/x say",
    ],
)
def test_other_questions_are_left_alone(question):
    assert unread(question) == ""


# --- many papers at once ------------------------------------------------------------------------

PEOPLE = st.sampled_from(
    ["Jane Smith", "Smith, J.", "Gray AB", "A. B. Gray", "Åsa Öberg", "O'Neil, Shaun", "李 明", "", "???", "J", "Gray|ab",
     "van der Berg, K.", "X;Y Smith", "smith\njane", "Ana María López", "W. Wang", "Wang Wang", "Jean-Luc Picard"]
)  # fmt: skip
WHERE = st.sampled_from([None, "", "Nature", "Physical Review D", "Proc. of the ACL", "acl", "---", "Proc ACL 2020\n"])
ASKED = [
    "Smith",
    "Jane Smith",
    "J Smith",
    "A Gray",
    "B. Gray",
    "oberg",
    "O'Neil",
    "明",
    "wang",
    "jean luc",
    "J",
    "K Berg",
]
HELD = st.builds(Facts, st.just("1f"), st.sampled_from([None, 0, 1999, 2005, 9999, 10001, -5]),
                 st.lists(PEOPLE, max_size=3).map(tuple), WHERE)  # fmt: skip


def groups(names: list[str]) -> st.SearchStrategy[tuple[tuple[str, ...], ...]]:
    some = st.lists(st.sampled_from(names), min_size=1, max_size=2).map(tuple)
    return st.lists(some, max_size=2).map(tuple)


@given(
    st.lists(HELD, min_size=1, max_size=8),
    st.sampled_from([(None, None), (2000, None), (None, 2005), (0, 2005), (1999, 9999), (None, 9999)]),
    groups(ASKED),
    groups(["Nature", "review", "physical review", "proc acl", "of the", "2020"]),
)
def test_many_papers_at_once_are_admitted_as_each_is_alone(papers, years, authors, venues):
    if not (where := Filter(*years, authors, venues)):
        return
    lines = Lines(
        [NO_YEAR if one.year is None else max(-1, min(one.year, YEARS + 1)) for one in papers],
        "\n".join(author_line(one.authors) for one in papers),
        "\n".join(venue_line(one.venue) for one in papers),
    )
    alone = [where.admits(one) for one in papers]
    known, silent = admitted(where, lines)
    assert known == {n for n, admits in enumerate(alone) if admits}
    assert silent == {n for n, admits in enumerate(alone) if admits is None}
