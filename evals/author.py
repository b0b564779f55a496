"""A row of a gold set from an answer and a reader's marks: which sentences are right, which papers, which words.

    answer -> Said (numbered sentences with their quotes)  ... marks ...  -> a row, checked by lint -> the file

A row is added at the end of the file, whose other lines, comments too, stay as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.records import Answer, Paper
from rag.text import readable, sentences

from . import gold, lint
from .gold import GoldError, Question
from .match import fires
from .records import write_whole

PREFIX = "qa"  # of the ids given
MOST_PROPOSED = 40  # characters of words that are proposed as a fact
EXAMPLES = """\
# Gold questions, one JSON object a line; lines that begin with # are left out. Comes from: rag gold init
#
# id        two letters and three digits; never used again for another question
# rev       1; raise it when you change the row
# kind      single (one paper answers), multi (several), list (every paper that ...), unanswerable, followup
# split     dev (to work with) or gate (to judge by); group: rows with the same one are about the same thing
# papers    2 must be cited, 1 may be cited, 0 is a trap; ids as printed by: rag list
# facts     what the answer must say: words that must be in it, and the verbatim quote that says so
# reference a right answer in your words; the facts' words must be in it
# missing   what the library lacks, for a question that it does not answer
#
# The easiest way to a row is: rag gold add {file}   Rows written by hand are taken with: rag gold lint {file} --accept
#
# Three examples. Take the "# " away and put your own question in:
"""
_FIGURE = re.compile(r"(?<![\w.-])\d[\d.,]*\d?\s?(?:%|×|[a-z]+\b)?")
_NAME = re.compile(r"\b(?:[A-Z]\w*[A-Z0-9]\w*(?:-\w+)*|\w+-[A-Z]\w*)\b")


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence that can be marked, with the verbatim quotes behind it as (paper id, quote)."""

    number: int
    text: str
    quotes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Marks:
    """What a reader says of a question.

    right     the sentences that answer it
    wrong     ids of papers that were cited and should not have been
    belong    ids of papers that must be cited beside those of the right sentences
    facts     words that must be said (any of them), with the sentence that says them
    missing   what the library lacks; None where it answers
    """

    right: tuple[Said, ...] = ()
    wrong: tuple[str, ...] = ()
    belong: tuple[str, ...] = ()
    facts: tuple[tuple[tuple[str, ...], Said], ...] = ()
    missing: str | None = None
    history: tuple[str, ...] = field(default=())

    @property
    def papers(self) -> dict[str, int]:
        """Grades by id: essential ones first."""
        essential = [paper for said in self.right for paper, _ in said.quotes] + list(self.belong)
        return dict.fromkeys(essential, 2) | {paper: 0 for paper in self.wrong if paper not in essential}


def said_of(answer: Answer) -> tuple[Said, ...]:
    """The sentences of an answer that carry quotes."""
    claims = (claim for claim in answer.claims if claim.citations)
    return tuple(
        Said(number, readable(claim.text), tuple((c.paper.id, c.quote) for c in claim.citations))
        for number, claim in enumerate(claims, 1)
    )


def said_in(paper: Paper, first: int = 1) -> tuple[Said, ...]:
    """The sentences of an abstract."""
    texts = [paper.abstract[span.start : span.end] for span in sentences(paper.abstract)]
    return tuple(Said(number, readable(text), ((paper.id, text),)) for number, text in enumerate(texts, first))


def proposed(said: Said, question: str) -> str:
    """Words of a sentence that an answer most likely has to say, "" for none: a figure, else a name.

    Of several the one that stands nearest to a word of the question; none that the question says itself.
    """
    text, asked = said.text, {word[:5] for word in re.findall(r"[a-z]{4,}", question.casefold())}
    places = [word.start() for word in re.finditer(r"[a-z]{4,}", text.casefold()) if word[0][:5] in asked]
    for pattern in (_FIGURE, _NAME):
        found = [(min((abs(at - m.start()) for at in places), default=m.start()), m[0]) for m in pattern.finditer(text)]
        for _, words in sorted(found):
            for part in dict.fromkeys((words.strip(" .,"), re.split(r"(?<=\d)[^\d.,]", words)[0])):  # "60×", then "60"
                if len(part) <= MOST_PROPOSED and stated((part,), said) and not fires(_match((part,)), question):
                    return part
    return ""


def stated(words: Sequence[str], said: Said) -> bool:
    """Does the sentence say one of these, as an answer and as its quote?"""
    match = _match(words)
    return all(words) and fires(match, said.text) and any(fires(match, quote) for _, quote in said.quotes)


def row_of(id: str, question: str, marks: Marks, kind: str | None = None, split: str = "dev") -> dict[str, Any]:
    """The row. A kind that is not given follows from the marks."""
    papers = marks.papers
    facts = [_fact(number, words, said) for number, (words, said) in enumerate(marks.facts, 1)]
    row: dict[str, Any] = {
        "id": id, "rev": 1, "question": question, "kind": kind or _kind(marks, len(facts)), "split": split,
        "group": next(iter(papers), id) if marks.missing is None else id,
    }  # fmt: skip
    if marks.history:
        row["history"] = list(marks.history)
    if marks.missing is not None:
        traps = dict.fromkeys(papers, 0)
        return row | {"papers": traps, "missing": marks.missing}
    reference = " ".join(said.text for said in marks.right) or f"The papers {', '.join(papers)}."
    return row | {"papers": papers, "facts": facts, "reference": reference}


def _kind(marks: Marks, facts: int) -> str:
    if marks.missing is not None:
        return "unanswerable"
    if marks.history:
        return "followup"
    if not facts:
        return "list"
    return "single" if sum(grade == 2 for grade in marks.papers.values()) == 1 else "multi"


def _fact(number: int, words: Sequence[str], said: Said) -> dict[str, Any]:
    match = _match(words)
    support = [{"paper": paper, "quote": quote} for paper, quote in said.quotes if fires(match, quote)]
    return {"id": f"f{number}", "text": said.text, "match": match, "support": support}


def _match(words: Sequence[str]) -> dict[str, Any]:
    """Any of these words; a figure alone is a number, however it is written and whatever its unit."""
    numbers = [float(word.replace(",", "")) for word in words if re.fullmatch(r"\d[\d,]*(?:\.\d+)?", word)]
    phrases = [word for word in words if not re.fullmatch(r"\d[\d,]*(?:\.\d+)?", word)]
    parts: list[dict[str, Any]] = [{"type": "number", "value": value} for value in numbers]
    parts += [{"type": "phrase", "any": phrases}] if phrases else []
    return parts[0] if len(parts) == 1 else {"type": "any", "of": parts}


# --- the file -----------------------------------------------------------------------------------


def rows_in(file: Path) -> tuple[Question, ...]:
    """The rows of a file that may hold none yet, or not be there. Raises GoldError."""
    if not file.exists() or not any(gold.says(line) for line in gold.lines_in(file)):
        return ()
    return gold.load(file)


def next_id(rows: Iterable[Question], lock: Path) -> str:
    """An id that no row has, or ever had."""
    used = {row.id for row in rows} | set(lint.read_lock(lock))
    numbers = [int(id[2:]) for id in used if id.startswith(PREFIX)]
    return f"{PREFIX}{max(numbers, default=0) + 1:03}"


def checked(row: Mapping[str, Any], papers: Mapping[str, Paper]) -> Question:
    """The row as a question. Raises GoldError with what lint finds."""
    question = gold.question_of(json.dumps(row))
    problems = [finding.text for finding in lint.of_row(question, papers) if finding.stops]
    if problems:
        raise GoldError("; ".join(problems))
    return question


def append(row: Mapping[str, Any], question: Question, file: Path, lock: Path) -> int:
    """Add a row to the file and to what was accepted of it; the number of its line. Raises OSError."""
    text = file.read_text("utf-8") if file.exists() else ""
    text += "" if not text or text.endswith("\n") else "\n"
    write_whole(file, f"{text}{json.dumps(row, ensure_ascii=False)}\n")
    lint.remember(question, lock)
    return text.count("\n") + 1


def examples(papers: Sequence[Paper], file: str) -> str:
    """The text of a new file: what the fields mean, and three rows to copy, over papers of the library."""
    return EXAMPLES.format(file=file) + "".join(
        f"# {json.dumps(row, ensure_ascii=False)}\n" for row in _examples(papers)
    )


def _examples(papers: Sequence[Paper]) -> Iterator[dict[str, Any]]:
    one, other = (said_in(papers[at % len(papers)])[0] for at in (0, 1))
    words = [" ".join(said.text.split()[:3]).strip(".,;:") for said in (one, other)]
    single = Marks(right=(one,), facts=(((words[0],), one),))
    several = Marks(right=(one, other), facts=(((words[0],), one), ((words[1],), other)))
    yield row_of("aa001", "Your question, which this paper answers?", single, "single")
    yield row_of("aa002", "Your question, which takes both papers?", several, "multi")
    yield row_of("aa003", "Your question, which no paper answers?", Marks(missing="what the library lacks"))
