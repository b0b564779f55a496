"""What do the parts of a question cost in a large library, beside doing the same the plain way? Ratios of one run.

    python evals/bench/at_size.py FILE.jsonl[.gz] [--records 20000] [--library FOLDER]

Medians of CPU milliseconds of this process. Each part stands beside what it takes the place of: a query that joins every
paper which matches, a look at every record, a sentence that is folded before it is looked for, an ask that finds all as
it was. Results are compared as well: where they differ the bench fails. The embedder costs next to nothing; `--library`
is a folder where the library is kept from one run to the next.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parents[2]))

from evals.bench.hashed import Hashed
from evals.bench.scale import lines_of
from rag.answering import quotes
from rag.answering.assistant import Assistant
from rag.filters import parse
from rag.library import changes
from rag.library.database import FILE
from rag.library.store import Library
from rag.records import Paper
from rag.settings import load
from rag.text import STOPWORDS, sentences, words

T = TypeVar("T")
WHERES = ("year>=2015", "year:2010-2012", "author:Wang", 'author:"Jane Smith"', "venue:ACL year>=2000")
ROUNDS, FOUND, CHANGED = 30, 50, 10


def main() -> None:
    """Measure and print."""
    given = _given()
    with tempfile.TemporaryDirectory(prefix="size.") as name:
        folder = given.library or Path(name) / "library"
        if not (folder / FILE).exists():
            file = Path(name) / "papers.jsonl"
            file.write_text("".join(lines_of(given.file, given.records)), "utf-8")
            changes.add([file], str(folder), Hashed())
        with closing(Library.open(folder)) as library:
            print(f"{len(library):,} papers, library {(folder / FILE).stat().st_size / 2**20:,.0f} MB; median CPU ms")
            chance = random.Random(1)
            held = list(islice(library, 2000))
            papers = chance.sample(held, min(ROUNDS, len(held)))
            told("keywords", "joining all that match", *_keywords(library, papers))
            told("filter, first use", "a look at every record", *_filters(library))
            told("a copied sentence", "folding it", *_quotes(papers))
            told("ask after a change", "later asks", *_asks(library, papers))


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--library", type=Path)
    given = parser.parse_args()
    if not given.file.is_file():
        parser.error(f"{given.file}: no such file; name JSON lines of papers, such as scale/abstracts.jsonl.gz")
    return given


def told(what: str, plain: str, new: list[float], old: list[float]) -> None:
    """Print a row."""
    one, other = statistics.median(new), statistics.median(old)
    print(f"{what:20} {one:9.2f} {one / other:7.2f}x of {plain} ({other:,.2f})", flush=True)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """(CPU ms, what it gave)."""
    began = time.process_time()
    made = work()
    return 1000 * (time.process_time() - began), made


def _both(pairs: Iterable[tuple[Callable[[], T], Callable[[], T]]]) -> tuple[list[float], list[float]]:
    """The times of the two ways of each pair, which must give the same."""
    times: list[tuple[float, float]] = []
    for one, other in pairs:
        (new, first), (old, second) = timed(one), timed(other)
        assert first == second, (first, second)
        times.append((new, old))
    return [new for new, _ in times], [old for _, old in times]


def _keywords(library: Library, papers: list[Paper]) -> tuple[list[float], list[float]]:
    queries = [paper.title for paper in papers]
    library.words.lexical(queries[0], 1)  # looks once whether the index is sound

    def joined(query: str) -> list[tuple[str, float]]:
        found = library.words._query_words(query)
        select = (
            "SELECT papers.id, -bm25(passages, 1.0, 1.0) AS score FROM passages JOIN papers "
            "ON papers.number = passages.rowid WHERE passages MATCH ? ORDER BY score DESC, papers.id LIMIT ?"
        )
        return library.database.rows(select, " OR ".join(f'"{word}"' for word in found), FOUND)

    asked = [query for query in queries if set(words(query)) - STOPWORDS]
    return _both((lambda q=q: library.words.lexical(q, FOUND), lambda q=q: joined(q)) for q in asked)  # type: ignore[misc]


def _filters(library: Library) -> tuple[list[float], list[float]]:
    def each(where: str) -> set[str]:
        asked = parse(where)
        return {facts.id for facts in library.subsets._facts(asked.fields) if asked.admits(facts)}

    return _both((lambda w=w: set(library.subsets.selected(parse(w)).ids), lambda w=w: each(w)) for w in WHERES)  # type: ignore[misc]


def _quotes(papers: list[Paper]) -> tuple[list[float], list[float]]:
    def located(find: Callable[[str, str], object]) -> list[object]:
        return [
            find(paper.abstract[s.start : s.end], paper.abstract) for paper in papers for s in sentences(paper.abstract)
        ]

    return _both([(lambda: located(quotes.locate), lambda: located(quotes._folded))])


def _asks(library: Library, papers: list[Paper]) -> tuple[list[float], list[float]]:
    assistant, first, later = Assistant(load(model="extractive"), library, Hashed()), list[float](), list[float]()
    with tempfile.TemporaryDirectory(prefix="size.") as name:
        file = Path(name) / "more.jsonl"
        for at, paper in enumerate(papers[:8]):
            lines = [{"title": f"Addition {n} {at}", "abstract": f"It adds {n}. It is {at}."} for n in range(CHANGED)]
            file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
            changes.add([file], str(library.path), Hashed())
            first.append(timed(lambda paper=paper: assistant.answer(paper.title))[0])  # type: ignore[misc]
            later += [timed(lambda other=other: assistant.answer(other.title))[0] for other in papers[8:13]]  # type: ignore[misc]
    return first, later


if __name__ == "__main__":
    main()
