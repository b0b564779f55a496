"""Is the gold set fit to judge by? Checks that need no model and no answer.

Problems stop an evaluation (exit code 2); warnings do not. Every line names the row. `gold.lock`
remembers each row's revision and hash, so that an edit without a new rev, or an id used twice over
time, is found; `accept` writes it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from rag.places import resource
from rag.records import Paper

from .gold import GOLD, LISTS, GoldError, Question
from .match import fires, fold
from .records import write_whole

ACCEPTING = "rag eval lint --accept"
LOCK = GOLD.with_name("gold.lock")
REFUSALS = (
    "",
    "This library does not say.",
    "I could not find an answer in these abstracts.",
    "The abstracts do not mention this; the nearest papers are listed below.",
)
ALIKE = 90  # rapidfuzz token_set_ratio from which two questions are the same one
TITLE_SHARE = 0.5  # of a question's words that may stand in the title of its paper
BM25_MOST = 0.9  # share of single-paper questions that BM25 alone may rank right at 1
LOOSE = 0.05  # share of the references of other groups on which a fact's matcher may fire
LEAST_OTHERS = 50  # references, or single-paper questions, from which such a share is looked at
GONE = "gone"  # in the lock, instead of the hash of a row that was deleted
SHARED_WORDS = 8  # in a row, between a prompt and a question
_STOP = frozenset(
    "a an and are as at be by can do does for from has have how in is it its of on or than that the their this to was "
    "we what when which who why with".split()
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a row, or with the whole set (id "set")."""

    id: str
    text: str
    stops: bool = True

    def __str__(self) -> str:
        return self.at({}, "")

    def at(self, lines: Mapping[str, int], file: str) -> str:
        """As a line of text, with the file's line where one is known."""
        where = f"{file}:{lines[self.id]}: " if self.id in lines else ""
        return f"{'problem' if self.stops else 'warning'}: {where}{self.id}: {self.text}"


def lint(
    questions: Sequence[Question],
    papers: Mapping[str, Paper],
    *,
    lexical: Callable[[str], Sequence[str]] | None = None,
    lock: Path = LOCK,
    prompts: Path | None = None,
    whole: Sequence[Question] | None = None,
    accepting: str = ACCEPTING,
) -> list[Finding]:
    """Everything found, in order. `lexical(question)` ranks paper ids by words alone.

    `prompts` is a folder of prompts in place of the shipped one, which no question may be in.
    `accepting` is the command that accepts the rows as they are. `whole` is the whole set where `questions` are some
    of it: a row of the lock must stand there.
    """
    found = [finding for question in questions for finding in of_row(question, papers)]
    found += _repeated(questions)
    found += _groups(questions)
    found += _near_duplicates(questions)
    found += _loose(questions)
    found += _locked(questions, whole or questions, lock, accepting)
    found += _leaked(questions, prompts or resource("prompts"))
    if lexical:
        found += _headroom(questions, lexical)
    return found


# --- a row --------------------------------------------------------------------------------------


def of_row(question: Question, papers: Mapping[str, Paper]) -> Iterator[Finding]:
    """What is wrong with one row by itself."""

    def problem(text: str) -> Finding:
        return Finding(question.id, text)

    for paper in question.papers:
        if paper not in papers:
            yield problem(f"no paper {paper} in the library")
    if question.kind != "detail" and question.answerable == (question.kind in ("unanswerable", "act")):
        yield problem("'missing' goes with kinds unanswerable and act, may go with detail, and with no other")
    if question.answerable and not question.essential:
        yield problem("answerable, but no paper has grade 2")
    if question.answerable and not question.facts and question.kind not in LISTS:
        yield problem("answerable, but states no fact to look for")
    if not question.answerable and (question.facts or _answering(question)):
        yield problem("unanswerable, but has facts or papers that answer")
    if question.kind == "comparison" and len(question.essential) < 2:
        yield problem("a comparison, but fewer than two papers have grade 2")
    if question.kind == "followup" and not question.history:
        yield problem("a follow-up without a first turn")
    if question.answerable and not question.reference:
        yield problem("no reference answer")
    yield from _facts(question, papers)
    yield from _titles(question, papers)


def _answering(question: Question) -> frozenset[str]:
    """The papers that a row which is not answered may not have: for a detail, the named one may be cited."""
    return question.essential if question.kind == "detail" else question.acceptable


def _facts(question: Question, papers: Mapping[str, Paper]) -> Iterator[Finding]:
    for fact in question.facts:
        where = f"fact {fact.id}: "
        if not fires(fact.match, question.reference):
            yield Finding(question.id, where + "the matcher does not fire on the reference")
        if any(fires(fact.match, refusal) for refusal in REFUSALS):
            yield Finding(question.id, where + "the matcher fires on a refusal")
        for support in fact.support:
            paper = papers.get(support.paper)
            if paper is None or support.quote not in paper.abstract:
                yield Finding(question.id, where + f"not verbatim in {support.paper}: {support.quote[:60]!r}")
            if not fires(fact.match, support.quote):
                yield Finding(question.id, where + f"the matcher does not fire on its quote {support.quote[:60]!r}")
            if support.paper not in question.acceptable:
                yield Finding(question.id, where + f"its paper {support.paper} has no grade of 1 or 2")
    for forbidden in question.forbidden:
        if forbidden.match and fires(forbidden.match, question.reference):
            yield Finding(question.id, f"forbidden {forbidden.text!r} fires on the reference")


def _titles(question: Question, papers: Mapping[str, Paper]) -> Iterator[Finding]:
    if question.kind != "single":
        return
    asked = _words(question.question)
    for id in question.essential & set(papers):
        shared = asked & _words(papers[id].title)
        if len(shared) > TITLE_SHARE * len(asked):
            yield Finding(question.id, f"shares {', '.join(sorted(shared))} with its paper's title", stops=False)


# --- the set ------------------------------------------------------------------------------------


def _repeated(questions: Sequence[Question]) -> list[Finding]:
    counts = Counter(question.id for question in questions)
    return [Finding(id, f"stands {n} times") for id, n in counts.items() if n > 1]


def _groups(questions: Sequence[Question]) -> list[Finding]:
    splits: dict[str, set[str]] = defaultdict(set)
    for question in questions:
        splits[question.group].add(question.split)
    return [Finding("set", f"group {group!r} is in both splits") for group, found in splits.items() if len(found) > 1]


def _near_duplicates(questions: Sequence[Question]) -> list[Finding]:
    from rapidfuzz.fuzz import token_set_ratio, token_sort_ratio

    asked = [(q, f"{' '.join(q.history)} {q.question}".casefold()) for q in questions]
    return [
        Finding(a.id, f"nearly the same question as {b.id}")
        for (a, one), (b, other) in combinations(asked, 2)
        if a.group != b.group and token_sort_ratio(one, other) >= ALIKE and token_set_ratio(one, other) >= ALIKE
    ]


def _leaked(questions: Sequence[Question], prompts: Path) -> list[Finding]:
    texts = {path.name: fold(path.read_text("utf-8")) for path in sorted(prompts.glob("*.md"))}
    found = []
    for question in questions:
        for text in (question.question, question.reference):
            words = fold(text).split()
            runs = (" ".join(words[at : at + SHARED_WORDS]) for at in range(max(0, len(words) - SHARED_WORDS + 1)))
            for run in runs:
                found += [
                    Finding(question.id, f"{run!r} stands in prompt {name}") for name, t in texts.items() if run in t
                ]
    return found


def _headroom(questions: Sequence[Question], lexical: Callable[[str], Sequence[str]]) -> list[Finding]:
    """A set that a word search alone solves tells nothing apart."""
    single = [question for question in questions if question.kind == "single"]
    if len(single) < LEAST_OTHERS:
        return []
    right = sum(bool(set(lexical(question.question)[:1]) & question.essential) for question in single)
    share = right / len(single)
    if share > BM25_MOST:
        return [
            Finding("set", f"BM25 alone ranks {share:.0%} of the single-paper questions right: too easy", stops=False)
        ]
    return []


def _loose(questions: Sequence[Question]) -> list[Finding]:
    """A matcher that fires on the right answers to other questions tells right from wrong no more."""
    others = [(question.group, question.reference) for question in questions if question.reference]
    if len(others) < LEAST_OTHERS:
        return []
    return [
        Finding(question.id, f"fact {fact.id}: the matcher fires on {count} answers to other questions: too loose")
        for question in questions
        for fact in question.facts
        if (count := sum(fires(fact.match, text) for group, text in others if group != question.group))
        > LOOSE * len(others)
    ]


def _locked(questions: Sequence[Question], whole: Sequence[Question], lock: Path, accepting: str) -> list[Finding]:
    """What differs from what was accepted. A row, its matchers or its grades change only where the lock says so."""
    known = read_lock(lock)
    found: list[Finding] = []
    new = [question.id for question in questions if question.rev > known.get(question.id, (0, ""))[0]]
    if new:
        some = f"{', '.join(new[:3])}{' ...' if len(new) > 3 else ''}"
        found.append(Finding("set", f"{len(new)} rows are new or edited and not accepted ({some}): {accepting}"))
    here = {question.id for question in whole}
    if gone := sorted(id for id, (_, digest) in known.items() if id not in here and digest != GONE):
        some = f"{', '.join(gone[:3])}{' ...' if len(gone) > 3 else ''}"
        found.append(Finding("set", f"{len(gone)} rows are gone ({some}): restore them from git, or {accepting}"))
    for question in questions:
        rev, digest = known.get(question.id, (0, ""))
        if digest == GONE:
            found.append(Finding(question.id, "this id was a deleted row's; take another"))
        elif question.rev == rev and digest != row_hash(question):
            found.append(Finding(question.id, f"changed, but its rev is still {rev}: raise it, then {accepting}"))
        elif question.rev < rev:
            found.append(Finding(question.id, f"rev {question.rev} is lower than the {rev} it had"))
    return found


# --- the lock -----------------------------------------------------------------------------------


def row_hash(question: Question) -> str:
    """8 hex digits of a row, whatever the order of its keys."""
    return hashlib.sha256(question.model_dump_json().encode()).hexdigest()[:8]


def read_lock(path: Path = LOCK) -> dict[str, tuple[int, str]]:
    """(rev, hash) by id, of every row there ever was; empty when there is no lock yet. Raises GoldError."""
    if not path.exists():
        return {}
    try:
        rows = json.loads(path.read_text("utf-8"))
        return {id: (int(rev), str(digest)) for id, (rev, digest) in rows.items()}
    except (OSError, AttributeError, TypeError, ValueError) as error:
        raise GoldError(
            f"{path}: is no lock of a gold set ({error}); restore it, or delete it and accept anew"
        ) from error


def accept(questions: Sequence[Question], path: Path = LOCK) -> None:
    """Write the rows' revisions into the lock; ids that are gone stay, marked, so that none is used again."""
    before = {id: (rev, GONE) for id, (rev, _) in read_lock(path).items()}
    _write(path, before | {question.id: (question.rev, row_hash(question)) for question in questions})


def remember(question: Question, path: Path) -> None:
    """Accept one row, and leave the others as they are in the lock."""
    _write(path, read_lock(path) | {question.id: (question.rev, row_hash(question))})


def _write(path: Path, known: Mapping[str, tuple[int, str]]) -> None:
    lines = [f" {json.dumps(id)}: {json.dumps(entry)}" for id, entry in sorted(known.items())]
    write_whole(path, "{\n" + ",\n".join(lines) + "\n}\n")


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in _STOP}
