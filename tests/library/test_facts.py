"""What filters look at: as the papers are after any change, made for a library that lacks it, never taken when damaged."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import made
import pytest

from evals.bench.hashed import Hashed
from rag.errors import LibraryDamaged
from rag.filters import Facts, parse
from rag.library import build, facts
from rag.library.database import FILE
from rag.library.store import Library, writer
from rag.records import Paper

WHERES = [
    "year>=2003",
    "year:2001-2004 author:Smith",
    'author:"Ann Smith",Gray',
    "venue:Nature",
    'year<2004 venue:"the ACL"',
]


def about(number: int, chance: random.Random) -> Paper:
    return replace(
        made.paper(f"Study {number} of the reed bunting", f"It counts {number} birds."),
        year=chance.choice([None, 2000, 2002, 2004]),
        authors=tuple(chance.sample(["Ann Smith", "B. Smith", "Gray AB"], chance.randrange(3))),
        venue=chance.choice([None, "Nature", "Proc. of the ACL"]),
    )


@pytest.fixture
def library(tmp_path: Path, monkeypatch) -> Iterator[Library]:
    monkeypatch.setattr(facts, "PAGE", 4)
    with writer(tmp_path / "lib"), closing(Library.create(tmp_path / "lib", "hashed", 384)) as made:
        yield made


def changed(library: Library, papers: list[Paper], gone: list[str], records: list[Paper]) -> None:
    build.change(library, papers, gone, Hashed(), "add", {}, records=records)


def assert_as_by_hand(library: Library) -> None:
    papers = [Facts(one.id, one.year, one.authors, one.venue) for one in library]
    for where in map(parse, WHERES):
        alone = {one.id: where.admits(one) for one in papers}
        found = library.subsets.selected(where)
        assert found.ids == {id for id, admits in alone.items() if admits}
        assert (found.where.of, found.where.silent) == (len(papers), sum(one is None for one in alone.values()))
    assert library.database.run(facts.problem) == ""


@pytest.mark.parametrize("seed", range(3))
def test_after_any_changes_a_filter_admits_what_it_would_of_each_paper(library: Library, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(6):
        held = {one.id: one for one in library}
        gone = chance.sample(sorted(held), len(held) // 4)
        left = sorted(held.keys() - set(gone))
        records = [replace(held[id], year=2002, authors=("Gray AB",)) for id in chance.sample(left, len(left) // 3)]
        new = [about(number, chance) for number in chance.sample(range(30), 7)]
        kept = {one.id for one in records}
        changed(library, [one for one in new if one.id not in kept], gone, records)
        assert_as_by_hand(library)


def test_a_library_of_an_earlier_version_is_given_it_when_it_is_opened(library: Library) -> None:
    chance = random.Random(5)
    changed(library, [about(number, chance) for number in range(11)], [], [])
    with closing(sqlite3.connect(library.path / FILE)) as db, db:
        db.execute("DROP TABLE facts")
        db.execute("DELETE FROM meta WHERE key = 'facts'")
    with closing(Library.open(library.path)) as again:
        assert_as_by_hand(again)


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM facts WHERE field = 'year' AND page = 1",
        "DELETE FROM facts WHERE page = 1",
        "UPDATE facts SET value = zeroblob(length(value)) WHERE field = 'year'",
        "UPDATE facts SET page = page + 1 WHERE page = 2",
        "DROP TABLE facts",
    ],
)
def test_damage_is_told_not_taken_for_papers(library: Library, harm: str) -> None:
    chance = random.Random(5)
    changed(library, [about(number, chance) for number in range(11)], [], [])
    with closing(sqlite3.connect(library.path / FILE)) as db, db:
        db.execute(harm)
    with pytest.raises(LibraryDamaged, match="is damaged"):
        library.subsets.selected(parse("year>=2003"))
