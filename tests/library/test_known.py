"""What a file may touch, found by tables: a plan is the one that a look at every paper makes, whatever was added before."""

from __future__ import annotations

import json
import random
import sqlite3
import zipfile
from collections.abc import Collection, Iterable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from evals.bench.hashed import Hashed
from rag.errors import LibraryError
from rag.library import changes, known, plan
from rag.library.database import FILE
from rag.library.known import Known
from rag.library.store import Library
from rag.readers import Record, file_of
from rag.records import Paper

SENTENCES = [
    f"The {bird} counts {n} eggs in its nest of reed."
    for n, bird in enumerate("bunting warbler heron rail crake".split())
]


class Everything(Known):
    """The same answers from a look at every paper."""

    def _every(self) -> list[Paper]:
        return list(Library(self._db)) if self._db else []

    def _from(self, paper: Paper) -> set[str]:
        return {file_of(source, self._names) for source in paper.sources}

    def touched(self, records: Iterable[Record], files: Collection[str]) -> dict[str, Paper]:
        return {paper.id: paper for paper in self._every()}

    def has(self, id: str) -> bool:
        return False  # all are among those touched

    def ids(self, wanted: Iterable[str]) -> set[str]:
        return set(wanted) & {paper.id for paper in self._every()}

    def sources(self, ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
        return {paper.id: paper.sources for paper in self._every()}

    def beside(self, files: Collection[str]) -> set[str]:
        return {file for paper in self._every() if self._from(paper) & set(files) for file in self._from(paper)}

    def held_by(self, files: Collection[str]) -> set[str]:
        return {paper.id for paper in self._every() if self._from(paper) & set(files)}

    def files(self) -> set[str]:
        return {file for paper in self._every() for file in self._from(paper)}


def record(chance: random.Random) -> dict[str, object]:
    """One of few papers, as this or that file has it: numbers given or not, a slip in the title, an abstract cut short."""
    number = chance.randrange(14)
    title = f"A study of the nests of birds in marsh {number // 2}, part {number % 3}"
    abstract = " ".join(SENTENCES[number % 4 :]) + f" It is marsh {number}."
    return {
        "title": title.replace("study", chance.choice(["study", "study", "studdy"])),
        "abstract": abstract[: chance.choice([999, 999, 60, 0])],
        "authors": chance.choice([[], ["Ann Gray"], ["Bob Stone"]]),
        "year": chance.choice([None, 2001]),
        "doi": chance.choice(
            [None, f"10.1000/x{number}", f"10.1000/x{number // 2}", f"10.48550/arxiv.2001.0000{number % 9}"]
        ),
    }


def written(place: Path, chance: random.Random) -> None:
    """Change some of the files, or take one away."""
    for name in ("one.jsonl", "two.jsonl", "three.zip"):
        what = chance.random()
        if what < 0.3:
            continue
        if what < 0.4 and name != "one.jsonl":
            (place / name).unlink(missing_ok=True)
            continue
        text = "".join(json.dumps(record(chance)) + "\n" for _ in range(chance.randrange(1, 8)))
        if name.endswith("zip"):
            with zipfile.ZipFile(place / name, "w") as archive:
                archive.writestr("a.jsonl", text)
        else:
            (place / name).write_text(text, "utf-8")


def _plain(made: plan.Plan) -> tuple[object, ...]:
    """A plan; errors are equal only to themselves."""
    problem = str(made.report.problem)
    return replace(made.report, problem=None), problem, made.papers, made.moved, made.looked


@pytest.fixture
def both_ways(monkeypatch) -> list[plan.Plan]:
    """The plans that are made, each held against that of a look at every paper."""
    plans: list[plan.Plan] = []

    def planned(*given: object) -> plan.Plan:
        plans.append(plan.planned(*given))  # type: ignore[arg-type]
        with monkeypatch.context() as patch:
            patch.setattr(plan, "Known", Everything)
            assert _plain(plan.planned(*given)) == _plain(plans[-1])  # type: ignore[arg-type]
        return plans[-1]

    monkeypatch.setattr(changes, "planned", planned)
    return plans


@pytest.mark.parametrize("seed", range(8))
def test_a_plan_is_the_one_that_a_look_at_every_paper_makes(tmp_path: Path, both_ways, seed: int) -> None:
    chance, name, place = random.Random(seed), str(tmp_path / "lib"), tmp_path / "files"
    place.mkdir()
    (place / "one.jsonl").write_text(json.dumps(record(chance) | {"abstract": SENTENCES[0]}) + "\n", "utf-8")
    changes.add([place], name, Hashed())
    for _ in range(6):
        written(place, chance)
        if chance.random() < 0.4:
            changes.add([chance.choice(sorted(place.iterdir()))], name, Hashed())
        else:
            changes.sync(name, Hashed(), prune=chance.random() < 0.5)
        if chance.random() < 0.2:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(known, "VERSION", 2)  # written by other code
                changes.sync(name, Hashed())
        if chance.random() < 0.2:
            with closing(Library.open(name)) as library:
                first = next(iter(library), None)
            if first:
                changes.remove(first.id, name, Hashed())
        if chance.random() < 0.3:
            with suppress(LibraryError):  # there may be nothing to undo
                changes.undo(name, Hashed())
        with closing(Library.open(name)) as library:
            assert library.database.run(known.problem) == ""
    assert len(both_ways) >= 7


def test_ten_papers_for_many_read_few(tmp_path: Path, monkeypatch) -> None:
    many = [{"title": f"Marsh {n} and its birds", "abstract": f"Marsh {n} has {n} birds."} for n in range(300)]
    (tmp_path / "many.jsonl").write_text("".join(json.dumps(one) + "\n" for one in many), "utf-8")
    changes.add([tmp_path / "many.jsonl"], str(tmp_path / "lib"), Hashed())
    few = [*many[5:8], {"title": "Another marsh", "abstract": "It has no birds."}]
    (tmp_path / "few.jsonl").write_text("".join(json.dumps(one) + "\n" for one in few), "utf-8")
    read: list[int] = []
    touched = Known.touched

    def counted(self: Known, *given: object) -> dict[str, Paper]:
        found = touched(self, *given)  # type: ignore[arg-type]
        read.append(len(found))
        return found

    monkeypatch.setattr(Known, "touched", counted)
    report = changes.add([tmp_path / "few.jsonl"], str(tmp_path / "lib"), Hashed())
    assert (len(report.added), report.papers, read) == (1, 301, [3])


def test_a_library_of_an_earlier_version_is_given_the_tables_before_it_is_added_to(tmp_path: Path) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps({"title": "Marsh birds", "abstract": SENTENCES[0], "doi": "10.1000/x1"}) + "\n", "utf-8")
    changes.add([file], str(tmp_path / "lib"), Hashed())
    with closing(sqlite3.connect(tmp_path / "lib" / FILE)) as db, db:
        db.executescript("DROP TABLE keys; DROP TABLE origins; DELETE FROM meta WHERE key = 'known'")
    other = tmp_path / "two.jsonl"
    other.write_text(
        json.dumps({"title": "Birds of the marsh", "abstract": SENTENCES[0], "doi": "10.1000/x1"}) + "\n", "utf-8"
    )
    assert changes.add([other], str(tmp_path / "lib"), Hashed()).papers == 1
