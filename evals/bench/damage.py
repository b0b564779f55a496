"""Is damage to a library's files noticed, and what becomes of it: mended, set aside, or taken for data?

    python evals/bench/damage.py [--trials 400] [--papers 60] [--seed 1]

Each trial harms a copy of a library of made-up papers: a byte is flipped, a page zeroed or a file cut, in its SQLite
file or in a file of its collection. Then it is asked, looked at by doctor, and repaired; in every second trial the
file that its papers came from is there. The embedder costs next to nothing, all else is real. Printed: what was
noticed where, and what a repair made of it. Wrong answers without a word and damage taken for data are named.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from evals.bench.hashed import Hashed
from rag.answering.assistant import Assistant
from rag.errors import LibraryError
from rag.library import changes, doctor
from rag.library.database import FILE
from rag.library.store import Library
from rag.settings import load

PAGE = 8192
HARMS = ("flip", "flip", "zero", "cut")
BIRDS = (
    "avocet bittern curlew dunlin egret fieldfare garganey hobby jackdaw kestrel lapwing merlin nuthatch osprey".split()
)
QUESTIONS = [f"How many eggs does the {bird} of marsh {n} lay?" for n, bird in enumerate(BIRDS[:6])]


@dataclass(frozen=True)
class Outcome:
    """What became of one harm.

    asked     "same" answers, "told" in an error, or "wrong" without a word
    examined  "told" or "nothing found"
    repaired  "nothing to do" (and it is sound), "missed", "whole", "set aside" with a name, "lost" without one, "blessed", or "beyond repair"
    """

    where: str
    harm: str
    asked: str
    examined: str
    repaired: str


def main() -> None:
    """Harm, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--papers", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="damage.") as name:
        outcomes = trials(Path(name), given.trials, given.papers, random.Random(given.seed))
    for where in ("library", "collection"):
        some = [one for one in outcomes if one.where == where]
        print(f"{where}: {len(some)} trials")
        for facet in ("asked", "examined", "repaired"):
            counts = Counter((one.harm, getattr(one, facet)) for one in some)
            told = ", ".join(f"{harm} {what} {count}" for (harm, what), count in sorted(counts.items()))
            print(f"  {facet}: {told}")


def trials(place: Path, count: int, papers: int, chance: random.Random) -> list[Outcome]:
    """The outcomes of so many harms to copies of one library."""
    base = place / "base"
    base.mkdir(parents=True)
    (base / "papers.jsonl").write_text("".join(_line(n) for n in range(papers)), "utf-8")
    changes.add([base / "papers.jsonl"], str(base / "library"), Hashed())
    truth = _answers(base / "library")
    found = []
    for trial in range(count):
        folder = shutil.copytree(base / "library", place / f"trial{trial}")
        if trial % 2:
            (base / "papers.jsonl").rename(base / "away.jsonl")
        try:
            found.append(_trial(folder, truth, chance))
        finally:
            if trial % 2:
                (base / "away.jsonl").rename(base / "papers.jsonl")
            shutil.rmtree(folder)
        if found[-1].asked == "wrong" or found[-1].repaired in ("missed", "blessed", "lost"):
            print(f"trial {trial}: {found[-1]}", flush=True)
    return found


def _line(number: int) -> str:
    bird = BIRDS[number % len(BIRDS)]
    facts = [
        f"The {bird} of marsh {number} lays {number % 7 + 2} eggs.",
        f"It was watched for {number * 3 + 1} days in marsh {number}.",
        f"Of its nests {number + 11} % were found by foxes.",
    ]
    return json.dumps({"title": f"Nests of the {bird} in marsh {number}", "abstract": " ".join(facts)}) + "\n"


# --- a trial ------------------------------------------------------------------------------------


def _trial(folder: Path, truth: dict[str, Any], chance: random.Random) -> Outcome:
    where = chance.choice(["library", "library", "collection"])
    file = (
        folder / FILE
        if where == "library"
        else chance.choice([f for f in (folder / "chroma").rglob("*") if f.is_file() and f.stat().st_size])
    )
    harm = chance.choice(HARMS)
    _harm(file, harm, chance)
    try:
        now = _answers(folder)
        asked = "same" if now == truth else "wrong"
    except LibraryError as error:
        asked = "told in several lines" if "\n" in str(error) else "told"
    health = doctor.examine(folder, str(folder), Hashed())
    examined = "told" if health.problems else "nothing found"
    return Outcome(where, harm, asked, examined, _repaired(folder, truth, health.problems))


def _harm(file: Path, harm: str, chance: random.Random) -> None:
    raw = bytearray(file.read_bytes())
    if harm == "flip":
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    elif harm == "zero":
        at = chance.randrange((len(raw) + PAGE - 1) // PAGE) * PAGE
        raw[at : at + PAGE] = bytes(len(raw[at : at + PAGE]))
    else:
        del raw[chance.randrange(len(raw)) :]
    file.write_bytes(raw)


def _answers(folder: Path) -> dict[str, Any]:
    """What a library answers, and its records."""
    with closing(Library.open(folder)) as library:
        assistant = Assistant(load(model="extractive"), library, Hashed())
        answers = {question: assistant.answer(question) for question in QUESTIONS}
        told = {question: (a.text, [(c.paper.id, c.quote) for c in a.citations]) for question, a in answers.items()}
        assistant.close()
        return told


def _repaired(folder: Path, truth: dict[str, Any], problems: int) -> str:
    wanted = {json.loads(_line(n))["title"]: json.loads(_line(n))["abstract"] for n in range(1000)}
    if not problems:
        with closing(Library.open(folder)) as library:
            sound = all(wanted.get(paper.title) == paper.abstract for paper in library)
        return "nothing to do" if sound and _answers(folder) == truth else "missed"
    health = doctor.repair(folder, str(folder), Hashed())
    if "cannot be repaired" in health.advice:
        return "beyond repair"
    assert not health.problems, list(health.lines())
    with closing(Library.open(folder)) as library:
        held = {paper.title: paper.abstract for paper in library}
    if any(wanted.get(title) != abstract for title, abstract in held.items()):
        return "blessed"
    if _answers(folder) == truth:
        return "whole"
    return "set aside" if any("set aside" in line for line in health.repaired) else "lost"


if __name__ == "__main__":
    main()
