"""What the check does to sentences with one planted error, and to true ones as a capable model writes them.

    python evals/bench/planted.py [--half tune|final] [--show]

evals/drafts/planted.jsonl has pairs of sentences over one shipped abstract: a true one, and the same with one error (a
number, a direction, an entity, a scope), half of them with all numbers and names of the true one. evals/drafts/true.jsonl
has true sentences alone: joins, usual forms of numbers, verdicts, two papers, other languages. No model is asked. Two
appeals are tried on what fails: one that copies the sentences on which the true sentence of the pair rests, and one that
tries each sentence of the abstract until one holds: the worst that a model can do with one.
Papers are split in halves by their ids: the check was tuned on one, and the other was looked at when it was done.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from rag.answering.bearing import by_copied_words, by_support, quotes_for
from rag.answering.opening import open_assistant
from rag.answering.quotes import Judgement
from rag.answering.reading import Reads
from rag.answering.search import Search
from rag.library.embed import open_embedder
from rag.library.reader import Reader
from rag.records import Paper
from rag.settings import load
from rag.text import sentences

FOLDER = Path(__file__).parent.parent / "drafts"


class Written(NamedTuple):
    """A sentence over papers; `source` is a true one that says the same but for an error ("" if it is true itself)."""

    papers: tuple[str, ...]
    text: str
    form: str
    keeps: bool = False
    source: str = ""


def planted() -> list[Written]:
    """The sentences with an error."""
    rows = map(json.loads, (FOLDER / "planted.jsonl").read_text("utf-8").splitlines())
    return [Written((row["paper"],), row["false"], row["kind"], row["keeps"], row["true"]) for row in rows]


def true() -> list[Written]:
    """The true sentences: those that stand alone, then those that an error was planted in, of the form "pair"."""
    rows = map(json.loads, (FOLDER / "true.jsonl").read_text("utf-8").splitlines())
    alone = [Written(tuple(row["papers"]), row["text"], row["form"]) for row in rows]
    return alone + [Written(one.papers, one.source, "pair") for one in planted()]


def half(one: Written) -> str:
    """Which half the first paper of a sentence is in."""
    return "tune" if hashlib.sha256(one.papers[0].encode()).digest()[0] % 2 else "final"


class Check:
    """The check as an assistant makes it."""

    def __init__(self) -> None:
        assistant = open_assistant(load(model="extractive"))
        self._library = assistant.library
        embedder = open_embedder()
        search = Search(assistant.library, embedder, pool=50, dense_weight=0.5)
        frequency, size = self._library.words.document_frequency, len(self._library)
        least = assistant.settings.claim_support
        self._judge = by_support(
            least,
            search.sentences_of,
            embedder.encode,
            frequency=frequency,
            papers=size,
            read=Reads(Reader(), 1).supporting,
        )
        self._borne = by_copied_words(embedder.encode, frequency=frequency, papers=size)

    def judged(self, one: Written) -> Judgement:
        """By itself."""
        return self._judge(one.text, self._papers(one))

    def appealed(self, one: Written, *, each: bool) -> bool:
        """Does it pass by words copied from the abstracts: those of the true sentence, or any one of their sentences?"""
        papers = self._papers(one)
        stand = [(paper, span) for paper in papers for span in sentences(paper.abstract)]
        tried = [[quote] for quote in stand] if each else [quotes_for(one.source or one.text, papers)]
        copied = ([paper.abstract[span.start : span.end] for paper, span in quotes] for quotes in tried)
        return any(self._borne(one.text, papers, words).supported for words in copied)

    def why(self, one: Written) -> str:
        """Why an appeal by the words of the true sentence fails or not."""
        papers = self._papers(one)
        words = [p.abstract[span.start : span.end] for p, span in quotes_for(one.source or one.text, papers)]
        return self._borne(one.text, papers, words).reason

    def _papers(self, one: Written) -> list[Paper]:
        return [self._library.paper(id) for id in one.papers]


def table(name: str, rows: Iterable[tuple[str, bool]]) -> None:
    """How many of each form pass."""
    counted, passed = Counter[str](), Counter[str]()
    for form, passes in rows:
        for key in (form, "all"):
            counted[key] += 1
            passed[key] += passes
    told = (f"{form} {passed[form]}/{counted[form]} ({passed[form] / counted[form]:.3f})" for form in counted)
    print(f"{name}: {', '.join(told)}")


def score(check: Check, rows: Sequence[Written], name: str, *, show: bool) -> None:
    """Print what passes by itself, and with each of the two appeals."""
    found = [(one, check.judged(one)) for one in rows]
    failed = {one for one, judgement in found if not judgement.supported}
    form = (lambda one: f"{one.form}{' (kept)' if one.keeps else ''}") if rows[0].source else (lambda one: one.form)
    table(f"{name}, by themselves", ((form(one), one not in failed) for one in rows))
    for each, told in ((False, "the sentences it rests on"), (True, "any one sentence")):
        borne = partial(check.appealed, each=each)
        appeals = {one: borne(one) for one in failed}
        table(
            f"{name}, with an appeal that copies {told}",
            ((form(one), one not in failed or appeals[one]) for one in rows),
        )
        for one, judgement in found if show else ():
            if (one in failed) != bool(one.source) or (one in failed and appeals[one] == bool(one.source)):
                print(f"    {one.form}: {one.text} | {judgement.reason} | {check.why(one) if one in failed else ''}")


def main() -> None:
    """Score both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("tune", "final"), help="only these papers (default: all)")
    parser.add_argument("--show", action="store_true", help="print what went wrong, with the reasons")
    arguments = parser.parse_args()
    check = Check()
    for name, rows in (("true", true()), ("planted", planted())):
        chosen = [one for one in rows if arguments.half in (None, half(one))]
        print(f"{len(chosen)} {name}")
        score(check, chosen, name, show=arguments.show)


if __name__ == "__main__":
    main()
