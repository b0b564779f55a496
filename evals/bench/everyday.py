"""Questions as people type them, made from the names of any library: what is right of them follows from its papers.

    python evals/bench/everyday.py [--library NAME] [--shape SHAPE] [--limit N] [--json]

No question is written by hand for one library, and each shape has several wordings, taken in turn. Right is what
can be told from the papers alone: which paper introduces a name and with which sentence, which papers have a name
literally, and whether an abstract holds anything of the kind that is asked for. Nothing here is in the gold set.
A measure that does not apply to a question is not scored there; its n is printed.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from math import log, sqrt
from typing import NamedTuple, TypeVar

import rag
from rag.library.names import Introduction
from rag.library.spellings import HOWS, TOKEN, clean, name_key, pieces, spelling, strong
from rag.library.store import Library
from rag.records import Answer, Paper
from rag.text import Span, readable, sentences, terms

PAIRS = 24  # related pairs of names
NAMES = 85  # names that are asked about one by one
DETAILS = 40  # names that are asked for details
LISTS = 40  # names of which it is asked which papers have them
LISTED = (2, 12)  # papers that have a name of which a list is asked for
COMMON = 0.05  # share of the papers that may have a name which one introduces: "DNA" is nobody's
SHARE = 0.5  # of a sentence that a quote must hold to show it

COMPARE = (
    "Compare {x} and {y}", "{x} vs {y}", "Is {x} better than {y}?", "what's the difference between {x} and {y}?",
    "What do {x} and {y} have in common?", "Which is larger, {x} or {y}?", "how does {x} differ from {y}",
    "{x} or {y}: which one should I use?", "compare {y} with {x} please", "Are {x} and {y} about the same thing?",
)  # fmt: skip
FOLLOW = ("and {y}?", "what about {y}?", "And how about {y}", "ok, and {y}?", "{y}?", "same question for {y}")
FOLLOW_COMPARE = (
    "compare it with {y}", "is it better than {y}?", "how does that differ from {y}?", "and compared to {y}?",
    "does it beat {y}?", "which is bigger, that or {y}?",
)  # fmt: skip
DEFINE = (
    "What is {x}?", "what's {x}", "Define {x}.", "Can you explain {x}?", "tell me about {x}", "{x}?", "what is {x} about?",
    "I keep reading about {x}. What is that?", "what do people mean by {x}", "Explain {x} in a sentence",
)  # fmt: skip
REASON = ("Why was {x} made?", "what is {x} for?", "What problem does {x} solve?", "why do we need {x}")
MENTION = (
    "Which papers mention {x}?", "which papers use {x}", "List all papers that refer to {x}.", "who else talks about {x}?",
    "In which abstracts does {x} occur?", "papers mentioning {x}", "what here cites or uses {x}?",
)  # fmt: skip
MORE = (
    "tell me more",
    "go on",
    "shorter please",
    "any others?",
    "give me a summary",
    "more",
    "say that again",
    "in one sentence?",
)
SMALL = ("thanks", "ok", "hello", "are you sure?", "thank you!", "great", "hm, interesting", "good morning")


class Detail(NamedTuple):
    """A kind of detail: wordings that ask for it, and what an abstract that could give one holds."""

    wordings: tuple[str, ...]
    held: str


DETAIL = {
    "licence": Detail(("What licence is {x} under?", "is {x} MIT or apache licensed", "{x} license?"), r"licen[cs]|\bCC[ -]BY|apache|\bGPL\b|open[- ]access"),
    "learning rate": Detail(("What learning rate did {x} use?", "learning rate of {x}"), r"learning[- ]rate"),
    "GPU hours": Detail(
        ("How many GPU hours did {x} need?", "what hardware was {x} trained on", "GPU days for {x}?"),
        r"\b[GTC]PUs?\b|[AHVP]100|hours?\b|days?\b|hardware|node|machine|cluster|processor",
    ),
    "cost": Detail(("How much did {x} cost?", "price of {x} in dollars?", "what does one run of {x} cost"), r"\$|dollar|cost|price|cheap|expens|budget|€"),
    "maker": Detail(
        ("Which company made {x}?", "which university is behind {x}", "Who funded {x}?"),
        r"universit|institut|compan|inc\b|google|openai|meta\b|microsoft|nvidia|deepmind|amazon|apple|facebook|ibm\b|fund|laborator|consorti|foundation",
    ),
    "parameters": Detail(
        ("How many parameters does {x} have?", "{x}'s parameters?", "parameter count of {x}"),
        r"param|\d\s?[BM]\b|billion|million|\bsize",
    ),
    "date": Detail(("When was {x} released?", "what year is {x} from", "release date of {x}?"), r"\b(?:19|20)\d\d\b|releas|month|year"),
}  # fmt: skip
COUNTED = re.compile(  # "1,024 tasks": how many is asked of what is counted
    r"(?<![\w.,-])\d[\d,]*(?:\.\d+)?[KM]?\+?(?: (?:million|billion|thousand))?(?: [a-z-]+){0,2}? "
    r"(?P<what>questions|tasks|samples|examples|images|videos|prompts|problems|instances|parameters|datasets|languages|"
    r"sentences|documents|pairs|annotations|GPUs|tokens|topics|categories|domains|patients|participants|genes)\b"
)
HOW_MANY = (
    "How many {what} does {x} have?",
    "{x}: how many {what}?",
    "how many {what} are there in {x}",
    "number of {what} in {x}?",
)
CONNECTIVE = re.compile(
    r"(?:however|nonetheless|nevertheless|moreover|furthermore|additionally|in addition|second|third|finally|thus|hence|"
    r"therefore|also|besides|to this end|in this paper|for example|specifically|further|we also|consequently|meanwhile)\b",
    re.IGNORECASE,
)


class Asked(NamedTuple):
    """A question, what was asked before it, and what is right.

    `shape` names its measures; `wanted` are papers that must be cited, first the one that must come first; `shown`
    the sentence of a paper that says what is asked, or None; `listed` the papers of a complete list.
    """

    shape: str
    question: str
    before: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    shown: tuple[str, Span] | None = None
    listed: frozenset[str] = frozenset()


T = TypeVar("T")
Answerer = Callable[[str, Sequence[Answer]], Answer]
Score = dict[str, float]


# --- what is asked ------------------------------------------------------------------------------


def subjects(library: Library) -> list[Introduction]:
    """One name for each paper that introduces one: the surest that it says twice, that no other paper introduces, and that few have."""
    introduced = list(library.names)
    papers: dict[str, set[str]] = {}
    for one in introduced:
        papers.setdefault(name_key(one.name), set()).add(one.paper)
    texts = {paper.id: _text(paper) for paper in library}
    most, chosen = max(LISTED[1], COMMON * len(texts)), dict[str, Introduction]()
    for one in sorted(introduced, key=lambda one: (HOWS.index(one.how), not strong(one.name))):
        twice = len(spelling(one.name).findall(texts[one.paper])) > 1
        if one.span and one.how != "title" and twice and len(papers[name_key(one.name)]) == 1:
            written = spelling(one.name)
            if one.paper not in chosen and sum(bool(written.search(text)) for text in texts.values()) <= most:
                chosen[one.paper] = one
    return list(chosen.values())


def related(library: Library, named: Sequence[Introduction], count: int) -> list[tuple[Introduction, Introduction]]:
    """Pairs of names whose papers are most alike (cosine of tf-idf), each name in two pairs at most."""
    papers = library.papers(one.paper for one in named)
    counts = {id: Counter(terms(f"{paper.title} {paper.abstract}")) for id, paper in papers.items()}
    df = Counter(term for counted in counts.values() for term in counted)
    weights = {id: {t: n * log(len(papers) / df[t]) for t, n in counted.items()} for id, counted in counts.items()}
    norms = {id: sqrt(sum(w * w for w in weight.values())) or 1.0 for id, weight in weights.items()}

    def alike(one: str, other: str) -> float:
        shared = weights[one].keys() & weights[other].keys()
        return sum(weights[one][t] * weights[other][t] for t in shared) / (norms[one] * norms[other])

    scored = [(alike(a.paper, b.paper), a, b) for n, a in enumerate(named) for b in named[n + 1 :]]
    used: Counter[str] = Counter()
    found: list[tuple[Introduction, Introduction]] = []
    for _, a, b in sorted(scored, key=lambda one: -one[0]):
        if len(found) < count and used[a.paper] < 2 and used[b.paper] < 2:
            found.append((a, b))
            used.update((a.paper, b.paper))
    return found


def questions(library: Library) -> Iterator[Asked]:
    """All questions about a library, shape by shape; the same library gives the same ones."""
    named = subjects(library)
    pairs = related(library, named, PAIRS)
    some = _spread(named, NAMES)
    yield from _comparisons(pairs)
    yield from _about(some)
    yield from _lists(library)
    yield from _acts(library, some)
    yield from _given(library, named)
    yield from _missing(library, _spread(named, DETAILS))


def _spread(named: Sequence[T], count: int) -> list[T]:
    """So many of them, evenly from the whole list."""
    step = max(1.0, len(named) / count)
    return [named[int(n * step)] for n in range(min(count, len(named)))]


def _comparisons(pairs: Sequence[tuple[Introduction, Introduction]]) -> Iterator[Asked]:
    for n, (x, y) in enumerate(pairs):
        both = (x.paper, y.paper)
        for k in range(7):
            yield Asked("compare", _worded(COMPARE, n + k, x=x.name, y=y.name), wanted=both)
        first = _worded(DEFINE, n, x=x.name)
        yield Asked("follow", _worded(FOLLOW, n, y=y.name), (first,), (y.paper,))
        yield Asked("follow-compare", _worded(FOLLOW_COMPARE, n, y=y.name), (first,), both)


def _about(named: Sequence[Introduction]) -> Iterator[Asked]:
    for n, x in enumerate(named):
        shown = (x.paper, x.span) if x.span else None
        yield Asked("define", _worded(DEFINE[:2], n, x=x.name), (), (x.paper,), shown)
        yield Asked("define", _worded(DEFINE[2:], n, x=x.name), (), (x.paper,), shown)
        yield Asked("reason", _worded(REASON, n, x=x.name), (), (x.paper,))


def _lists(library: Library) -> Iterator[Asked]:
    """Names that several papers have, introduced here or not."""
    texts = {paper.id: _text(paper) for paper in library}
    least, most = LISTED
    written = Counter(name for text in texts.values() for name in {clean(t) for t in TOKEN.findall(text) if strong(t)})
    several = sorted(name for name, count in written.items() if count >= least and not name[0].isdigit())
    small = {id: text.lower() for id, text in texts.items()}

    def holding(name: str) -> frozenset[str]:
        first, wanted = pieces(name)[0].lower(), spelling(name)
        return frozenset(id for id, text in texts.items() if first in small[id] and wanted.search(text))

    having = {name: holding(name) for name in several}
    chosen = _spread([name for name in several if least <= len(having[name]) <= most], LISTS)
    for n, name in enumerate(chosen):
        yield Asked("mention", _worded(MENTION, n, x=name), listed=having[name])


def _acts(library: Library, named: Sequence[Introduction]) -> Iterator[Asked]:
    texts = {paper.id: _text(paper) for paper in library}
    for n, x in enumerate(named):
        before, written = (_worded(DEFINE, n, x=x.name),), spelling(x.name)
        others = frozenset(id for id, text in texts.items() if id != x.paper and written.search(text))
        yield Asked("more", MORE[n % len(MORE)], before, (x.paper,), listed=others)
        yield Asked("small talk", SMALL[n % len(SMALL)], before, (x.paper,))


def _given(library: Library, named: Sequence[Introduction]) -> Iterator[Asked]:
    papers = library.papers(one.paper for one in named)
    for n, x in enumerate(named):
        for what, span in _counted(papers[x.paper], x.name):
            asked = _worded(HOW_MANY, n, x=x.name, what=what)
            yield Asked("detail given", asked, (), (x.paper,), (x.paper, span))


def _missing(library: Library, named: Sequence[Introduction]) -> Iterator[Asked]:
    papers = library.papers(one.paper for one in named)
    for n, x in enumerate(named):
        for detail in DETAIL.values():
            if not re.search(detail.held, _text(papers[x.paper]), re.IGNORECASE):
                yield Asked("detail missing", _worded(detail.wordings, n, x=x.name), (), (x.paper,))


def _counted(paper: Paper, name: str) -> Iterator[tuple[str, Span]]:
    """What a sentence that has the name counts, once in the abstract, and that sentence."""
    written = spelling(name)
    found = []
    for span in sentences(paper.abstract):
        text = readable(paper.abstract[span.start : span.end])
        found += [(match["what"], span, bool(written.search(text))) for match in COUNTED.finditer(text)]
    times = Counter(what for what, *_ in found)
    yield from ((what, span) for what, span, about in found if about and times[what] == 1)


def _text(paper: Paper) -> str:
    return f"{readable(paper.title)} {readable(paper.abstract)}"


def _worded(wordings: Sequence[str], n: int, **named: str) -> str:
    """The nth wording with the names in it; where it begins small, every other time the names are typed small."""
    wording = wordings[n % len(wordings)]
    small = wording[0].islower() and (n // len(wordings)) % 2 == 1
    return wording.format(**{key: name.lower() if small else name for key, name in named.items()})


# --- what was answered --------------------------------------------------------------------------


def score(asked: Asked, answer: Answer, before: Sequence[Answer] = ()) -> Score:
    """The measures that apply to a question, each 0..1 but "words"."""
    cited = list(dict.fromkeys(citation.paper.id for claim in answer.claims for citation in claim.citations))
    found: Score = {}
    if asked.shape in ("compare", "follow", "follow-compare"):
        found["all named cited"] = float(set(asked.wanted) <= set(cited))
    if asked.shape in ("define", "reason"):
        found["right paper first"] = float(cited[:1] == list(asked.wanted[:1]))
        found["words"] = float(len(re.sub(r"\[\d+\]", "", answer.text).split()))
    if asked.shape == "define" and asked.shown:
        found["sentence shown"] = float(any(_shows(claim.citations, asked.shown) for claim in answer.claims))
        found["sentence first"] = float(bool(answer.claims) and _shows(answer.claims[0].citations, asked.shown))
    if asked.shape == "mention":
        right = len(asked.listed & set(cited))
        found["precision"] = right / len(cited) if cited else 0.0
        found["recall"] = right / len(asked.listed)
    if asked.shape in ("more", "small talk"):
        screen = {paper.id for one in before for paper in one.numbers.values()}
        others = asked.question.startswith("any others")
        found["only what is on screen"] = float(set(cited) <= screen or others)
    if asked.shape == "more":
        nobody = asked.question.startswith("any others") and not asked.listed  # then there is nothing to show
        found["answered"] = float(bool(cited) != nobody)
    if asked.shape == "detail missing":
        found["said to be missing"] = float(answer.status != "answered")
        found["no other system"] = float(set(cited) <= set(asked.wanted) or answer.status != "answered")
    if asked.shape == "detail given":
        found["not said to be missing"] = float(answer.status == "answered")
        found["sentence shown"] = float(
            bool(asked.shown) and any(_shows(c.citations, asked.shown) for c in answer.claims)
        )
    if answer.claims and asked.shape != "small talk":
        found["opens with a connective"] = float(bool(CONNECTIVE.match(answer.text.lstrip("…. "))))
    return found


def _shows(citations: Iterable[rag.Citation], shown: tuple[str, Span] | None) -> bool:
    """Does one of the quotes hold most of a sentence?"""
    if shown is None:
        return False
    paper, span = shown
    held = [min(c.end, span.end) - max(c.start, span.start) for c in citations if c.paper.id == paper]
    return max(held, default=0) >= SHARE * (span.end - span.start)


def run(asked: Iterable[Asked], ask: Answerer) -> Iterator[tuple[Asked, Answer, Score]]:
    """Ask each question after those before it."""
    for one in asked:
        history: list[Answer] = []
        for earlier in one.before:
            history.append(ask(earlier, history))
        answer = ask(one.question, history)
        yield one, answer, score(one, answer, history)


def summary(scored: Iterable[tuple[Asked, Score]]) -> dict[str, dict[str, tuple[float, int]]]:
    """{shape: {measure: (mean, of how many)}}; of "words" the median."""
    values: dict[str, dict[str, list[float]]] = {}
    for asked, found in scored:
        for measure, value in found.items():
            values.setdefault(asked.shape, {}).setdefault(measure, []).append(value)
    return {
        shape: {m: (statistics.median(v) if m == "words" else statistics.fmean(v), len(v)) for m, v in measures.items()}
        for shape, measures in values.items()
    }


def main() -> None:
    """Ask, score, print a table or JSON lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--library", help="a name or a path; the shipped abstracts without it")
    parser.add_argument("--shape", help="only questions of that shape")
    parser.add_argument("--limit", type=int, help="at most so many of each shape")
    parser.add_argument("--json", action="store_true", help="a line for each question, with its answer's text")
    parser.add_argument("--questions", action="store_true", help="print the questions, ask none")
    chosen = parser.parse_args()
    try:
        with closing(rag.open_library(chosen.library).store) as library:
            asked = _chosen(questions(library), chosen.shape, chosen.limit)
    except rag.RagError as error:
        raise SystemExit(str(error)) from error
    if chosen.questions:
        for one in asked:
            print(one.shape, *one.before, one.question, sep="\t")
        return

    def ask(question: str, history: Sequence[Answer]) -> Answer:
        return rag.answer(question, library=chosen.library, history=history, model="extractive")

    scored = []
    for one, answer, found in run(asked, ask):
        scored.append((one, found))
        if chosen.json:
            print(
                json.dumps(
                    {
                        "shape": one.shape,
                        "before": one.before,
                        "question": one.question,
                        "scores": found,
                        "text": answer.text,
                    }
                ),
                flush=True,
            )
    if not chosen.json:
        for shape, measures in summary(scored).items():
            for measure, (value, count) in measures.items():
                print(f"{shape:<16}{measure:<26}{value:8.2f}{count:6}")


def _chosen(asked: Iterable[Asked], shape: str | None, limit: int | None) -> list[Asked]:
    seen: Counter[str] = Counter()
    found = []
    for one in asked:
        if (shape is None or one.shape == shape) and (limit is None or seen[one.shape] < limit):
            seen[one.shape] += 1
            found.append(one)
    return found


if __name__ == "__main__":
    main()
