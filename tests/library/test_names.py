"""The names of a library: kept with its papers, found in questions, and in the papers that mention them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.library import names as module
from rag.library import write
from rag.library.names import Named
from rag.library.store import Library
from rag.library.write import Entry
from rag.records import Paper
from rag.text import paper_id

PAPERS = [
    (
        "TeaNet: A Network that Brews",
        "Tea is old. We propose TeaNet, a network that brews. TeaNet beats Mamba on Long Cup Arena and BrewNet-2.",
    ),
    (
        "BRIGHT: Hard Questions about Cups",
        "We introduce BRIGHT, a benchmark of cups. TeaNet does well on BRIGHT. Ideas are welcome.",
    ),
    (
        "Long Cup Arena: A Benchmark of Kettles",
        "We propose a benchmark, Long Cup Arena (LCA). LCA has ten kettles. We test Tea-Net and Mamba.",
    ),
    (
        "Faster Kettles by Weighted Steeping",
        "We present weighted steeping: a way to brew. It needs a bright lamp and the Mamba layer.",
    ),
    ("Datasets: A Library of Cups", "Datasets is a library. It holds datasets of cups. We like Datasets for its cups."),
    ("E.T. Brew: Kettles from Space", "We ask how kettles came. On E.T. Brew they sing. GPT-4 and GPT-4o listen."),
    (
        "Apalutamide and tea",
        "Apalutamide is a drug against tea stains. It blocks the androgen receptor (AR). The AR is a protein.",
    ),
]


def papers() -> list[Paper]:
    return [Paper(paper_id(title), title, abstract) for title, abstract in PAPERS]


def ids(*titles: str) -> tuple[str, ...]:
    """The ids of papers by the beginning of their titles."""
    return tuple(next(p.id for p in papers() if p.title.startswith(title)) for title in titles)


def add(library: Library, *made: Paper, gone: tuple[str, ...] = ()) -> None:
    write.replace(library.database, [Entry(paper, (), ()) for paper in made], gone, "add", {})


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    made = Library.create(tmp_path_factory.mktemp("names"), "fake", 8)
    add(made, *papers())
    yield made
    made.close()


def found(library: Library, question: str) -> list[str]:
    """The names in a question that some paper introduces."""
    return [named.name for named in library.names.names_in(question) if named.introduced]


# --- questions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("What is TeaNet?", ["TeaNet"]),
        ("teanet's parameters?", ["TeaNet"]),
        ("tea net vs long cup arena", ["TeaNet", "Long Cup Arena"]),
        ("Compare TEA-NET with LCA.", ["TeaNet", "LCA"]),
        ("is a TeaNet-based kettle slow?", ["TeaNet"]),
        ("TeaNet/LCA?", ["TeaNet", "LCA"]),
        ("what is et brew, and e.t. brew", ["E.T. Brew", "E.T. Brew"]),
        ("How does weighted steeping work?", ["weighted steeping"]),
        ("and BRIGHT?", ["BRIGHT"]),
        ("what is bright", ["BRIGHT"]),
        ("Is bright harder than LCA?", ["BRIGHT", "LCA"]),
        ("compare bright and teanet", ["BRIGHT", "TeaNet"]),
        ("bright vs teanet", ["BRIGHT", "TeaNet"]),
        ("What is Datasets?", ["Datasets"]),
    ],
)
def test_names_in_a_question_however_typed(library, question, names):
    assert found(library, question) == names


@pytest.mark.parametrize(
    "question",
    [
        "any bright ideas on kettles?",
        "Bright lamps, which papers use them?",
        "what is the bright side of tea?",
        "which datasets are used for cups?",
        "how large are the data sets of cups?",
        "what do they weigh?",
        "how long is a cup?",
        "",
        "???",
    ],
)
def test_ordinary_words_are_no_names(library, question):
    assert found(library, question) == []


def test_a_name_says_where_it_stands_and_which_paper_introduces_it(library):
    question = "Is tea net faster than Mamba?"
    first, second = library.names.names_in(question)
    assert question[slice(*first.span)] == "tea net"
    assert (first.name, first.papers, first.how) == ("TeaNet", ids("TeaNet"), "both")
    assert second == Named("Mamba", second.span, ())  # mentioned, introduced by none


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("which papers mention mamba?", ["Mamba"]),
        ("Which papers use GPT-4o?", ["GPT-4o"]),
        ("how do gpt 4 and TeaNet differ", ["GPT-4"]),
        ("papers about kettles?", []),
        ("which papers mention FooBar?", []),
        ("Which kettles are in 12 papers of 2019?", []),
    ],
)
def test_names_that_no_paper_introduces_are_found_in_the_text(library, question, names):
    assert [named.name for named in library.names.names_in(question) if named.how is None] == names


def test_the_longest_name_wins_and_none_is_found_twice(library):
    (found,) = library.names.names_in("what is the Long Cup Arena")
    assert found.name == "Long Cup Arena"


def test_a_very_long_question_is_read_in_part(library):
    assert found(library, "TeaNet " + "and tea " * 5000) == ["TeaNet"]


# --- papers -------------------------------------------------------------------------------------


def test_introductions_show_the_sentence(library):
    (found,) = library.names.introductions("tea net")
    abstract = PAPERS[0][1]
    assert (found.paper, found.how, abstract[slice(*found.span)]) == (
        ids("TeaNet")[0],
        "both",
        "We propose TeaNet, a network that brews.",
    )


def test_a_defined_name_has_its_sentence_but_no_paper_of_its_own(library):
    (found,) = library.names.introductions("apalutamide")
    assert (found.how, found.paper) == ("defined", ids("Apalutamide")[0])
    (named,) = library.names.names_in("what is apalutamide?")
    assert (named.how, named.papers) == ("defined", ())


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("TeaNet", ["TeaNet", "BRIGHT", "Long Cup"]),
        ("tea-net", ["TeaNet", "BRIGHT", "Long Cup"]),
        ("bright", ["BRIGHT"]),
        ("LCA", ["Long Cup"]),
        ("Long Cup Arena", ["Long Cup", "TeaNet"]),
        ("GPT-4", ["E.T."]),
        ("mamba", ["TeaNet", "Long Cup", "Faster"]),
        ("weighted steeping", ["Faster"]),
        ("kettles", ["Long Cup", "E.T.", "Faster"]),
        ("FooBar", []),
        ("!!", []),
        ('"; DROP TABLE names', []),
    ],
)
def test_mentions_are_literal_in_any_spelling(library, name, titles):
    assert library.names.mentioning(name) == ids(*titles)


def test_a_longer_name_is_no_mention_of_a_shorter_one(tmp_path):
    with_4o = Paper("a" * 12, "On tea", "We ask GPT-4o.")
    made = Library.create(tmp_path, "fake", 8)
    add(made, with_4o)
    assert made.names.mentioning("GPT-4") == ()
    made.close()


def test_short_and_long_forms_lead_to_each_other(library):
    assert library.names.forms("LCA") == ("Long Cup Arena",)
    assert library.names.forms("long cup arena") == ("LCA",)
    assert library.names.forms("AR") == ("androgen receptor",)
    assert library.names.forms("TeaNet") == ()


def test_what_papers_introduce_is_listed_surest_first(library):
    listed = [(found.name, found.how) for found in library.names]
    assert ("TeaNet", "both") in listed
    assert "Apalutamide" not in dict(listed)
    assert [how for _, how in listed] == sorted((how for _, how in listed), key=["both", "introduced", "title"].index)


# --- kept with the papers -----------------------------------------------------------------------


def rows(library: Library) -> list[tuple[object, ...]]:
    query = "SELECT papers.id, names.* FROM names JOIN papers ON papers.number = names.paper"
    return sorted((id, *(str(v) for n, v in enumerate(row) if n != 4)) for id, *row in library.database.rows(query))


def test_names_come_and_go_with_their_paper(tmp_path):
    made = Library.create(tmp_path, "fake", 8)
    tea, bright, *_ = papers()
    add(made, tea, bright)
    both = rows(made)
    add(made, gone=(tea.id,))
    assert found(made, "TeaNet or BRIGHT?") == ["BRIGHT"]
    add(made, tea)
    add(made, tea)  # once more changes nothing
    assert rows(made) == both
    made.close()


def test_a_change_that_fails_changes_no_name(tmp_path):
    made = Library.create(tmp_path, "fake", 8)
    tea, bright, *_ = papers()
    add(made, tea)

    def broken() -> Iterator[Entry]:
        yield Entry(bright, (), ())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write.replace(made.database, broken(), [tea.id], "add", {})
    assert found(made, "TeaNet or BRIGHT?") == ["TeaNet"]
    made.close()


@pytest.mark.parametrize("spoilt", ["DROP TABLE names", "UPDATE meta SET value = '0' WHERE key = 'names'"])
def test_a_library_made_before_gets_its_names_when_they_are_asked_for(tmp_path, spoilt):
    old(tmp_path, spoilt)
    made = Library.open(tmp_path)
    assert found(made, "what is TeaNet?") == ["TeaNet"]
    assert len(rows(made)) > 5
    made.close()


@pytest.mark.parametrize("spoilt", ["DROP TABLE names", "UPDATE meta SET value = '0' WHERE key = 'names'"])
def test_a_library_made_before_gets_its_names_when_it_changes(tmp_path, spoilt):
    old(tmp_path, spoilt)
    made = Library.open(tmp_path)
    add(made, Paper("b" * 12, "PourNet: A Pourer", "We propose PourNet, a pourer."), gone=ids("BRIGHT"))
    assert found(made, "PourNet, TeaNet or BRIGHT?") == ["PourNet", "TeaNet"]
    made.close()


def old(folder: Path, spoilt: str) -> None:
    """A library as an earlier version left it."""
    made = Library.create(folder, "fake", 8)
    add(made, *papers())
    with made.database.transaction() as db:
        db.execute(spoilt)
        db.execute("DELETE FROM meta WHERE key = 'names' AND value = ?", (str(module.VERSION),))
    made.close()


def test_names_that_another_version_found_are_found_anew_when_a_library_is_opened(tmp_path):
    made = Library.create(tmp_path, "fake", 8)
    add(made, *papers())
    before = rows(made)
    with made.database.transaction() as db:
        db.execute("DELETE FROM names")
        write.set_meta(db, names=0, full_text=write.state(db))
    made.close()
    made = Library.open(tmp_path)
    assert rows(made) == before
    assert made.words.lexical("tea", 3)
    made.close()


def test_names_seen_by_one_connection_follow_what_another_writes(tmp_path):
    made, other = Library.create(tmp_path, "fake", 8), Library.open(tmp_path)
    assert found(other, "TeaNet?") == []
    add(made, papers()[0])
    assert found(other, "TeaNet?") == ["TeaNet"]
    made.close()
    other.close()
