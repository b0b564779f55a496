"""Draft -> Claims: no sentence is passed on as fact unless its support was found.

Each sentence of a draft is read for its marks. A mark that names no passage is dropped and
counted. A sentence that stands in a cited abstract word for word is "quoted". Otherwise the sentences
of the cited abstracts that come nearest to it are its quotes, and a judge says whether they support
it: every number in it, and enough of what it says. A sentence that its marks do not support, or that
has none, is looked for in the other passages before it is taken out as "unsupported" or "uncited":
models miscount. Quotes are located with offsets in the abstract as stored: a Citation that does not
quote verbatim cannot be made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from rag.judge import Asserted, Opinion
from rag.records import Citation, Claim, Draft, Evidence, Paper, Verdict
from rag.support import missing_numbers
from rag.text import Span, folded, folded_view, printable, readable, sentences, terms

WORDS = 3  # of a quote that is no whole sentence: "No" stands in many an abstract
QUOTES = 2  # sentences of one abstract that a claim may rest on
CREDITED = 4  # words of meaning in a sentence that is looked for in passages it does not name
SURELY = 0.8  # how surely a passage must support it then, 0..1
GAIN = 0.15  # share of the claim's words that a second quote must add

_LINK = re.compile(r"\b(?:https?:|www\.)[^\s)\]>]*|\b[\w.-]+\.[a-z]{2,}/\S*", re.IGNORECASE)
_MARK = re.compile(r"\s*\[\s*(\d{1,3}(?:\s*[,;\-–]\s*\d{1,3})*)\s*\]")

Located = Sequence[tuple[Paper, Span]]


class Judgement(NamedTuple):
    """Do papers support a claim? How surely (0..1), the reason in words, the quotes it rests on (none if not)."""

    supported: bool
    score: float
    reason: str
    located: Located


Judge = Callable[[str, Sequence[Paper]], Judgement]


class Verified(NamedTuple):
    """The outcome: the text with its claims in it, what was taken out, and marks that named nothing."""

    text: str
    claims: tuple[Claim, ...]
    removed: tuple[Claim, ...]
    unknown_marks: int


class Verifier:
    """Checks the sentences of a draft in order.

    `numbers` are those that papers of earlier turns already have, by paper id; `failed` is who checked a
    draft of which nothing held, and in whose place this one comes: what was wrong is kept for the reader.
    `opinion` is asked last, on what the judge holds for supported; having none, it does not stand in the way.
    """

    def __init__(
        self,
        passages: Sequence[Evidence],
        judge: Judge,
        numbers: Mapping[str, int],
        *,
        opinion: Callable[[Asserted], Opinion] | None = None,
        failed: Verifier | None = None,
    ) -> None:
        self._papers = [passage.paper for passage in passages]
        self._judge, self._opinion = judge, opinion
        self._given = dict(numbers)
        self._claims: list[Claim] = []
        self._removed: list[tuple[Claim, tuple[Paper, ...]]] = list(failed._removed) if failed else []
        self._unknown: int = failed._unknown if failed else 0
        self._text = ""

    @property
    def text(self) -> str:
        """The claims so far, each followed by its marks."""
        return self._text

    def check(self, sentence: str) -> Claim | None:
        """The sentence as a claim of the answer; None when it was taken out or says nothing."""
        bare, marks = _marks(sentence)
        papers = tuple(self._papers[n - 1] for n in marks if 1 <= n <= len(self._papers))
        self._unknown += len(marks) - len(papers)
        if not re.search(r"\w", bare) or any(folded(bare) == folded(claim.text) for claim in self._claims):
            return None  # nothing, or nothing new
        return self._taken(bare, papers)

    def again(self, passages: Sequence[Evidence]) -> None:
        """Check once more, with further passages, what was taken out; what holds now comes after the rest."""
        self._papers += [passage.paper for passage in passages]
        removed, self._removed = self._removed, []
        for claim, papers in removed:
            self._taken(claim.text, papers)

    def _taken(self, bare: str, papers: tuple[Paper, ...]) -> Claim | None:
        verdict, reason, located = self._judged(bare, papers)
        if not located:
            self._removed.append((Claim(bare, 0, 0, (), verdict, reason), papers))
            return None
        citations = tuple(_citation(paper, span, self._given) for paper, span in located)
        start = len(self._text) + (1 if self._text else 0)
        self._text += (" " if self._text else "") + bare + " " + _marked(citations)
        self._claims.append(Claim(bare, start, start + len(bare), citations, verdict, reason))
        return self._claims[-1]

    def verified(self) -> Verified:
        """What became of all sentences so far."""
        removed = tuple(claim for claim, _ in self._removed)
        return Verified(self._text, tuple(self._claims), removed, self._unknown)

    def _judged(self, bare: str, papers: Sequence[Paper]) -> tuple[Verdict, str, Located]:
        if exact := [(paper, span) for paper in papers if (span := _exact(bare, paper.abstract))]:
            return "quoted", "stands in the abstract word for word", exact
        judgement = self._judge(bare, papers) if papers else Judgement(False, 0.0, "no passage is named for it", ())
        if judgement.supported:
            return self._agreed(bare, judgement.reason, judgement.located)
        if elsewhere := self._credited(bare, papers):
            return self._agreed(bare, f"no mark for it, or a wrong one; {elsewhere.reason}", elsewhere.located)
        return "unsupported" if papers else "uncited", judgement.reason, ()

    def _agreed(self, bare: str, reason: str, located: Located) -> tuple[Verdict, str, Located]:
        """Supported, unless a second opinion is asked for and says no."""
        if not self._opinion:
            return "supported", reason, located
        said = self._opinion(Asserted(bare, tuple(paper.abstract[span.start : span.end] for paper, span in located)))
        if said.supported is False:
            return "unsupported", f"the model that judges does not find it in the quotes, though {reason}", ()
        told = (
            "the model that judges agrees" if said.supported else f"the model that judges gave no verdict: {said.why}"
        )
        return "supported", f"{reason}; {told}", located

    def _credited(self, bare: str, named: Sequence[Paper]) -> Judgement | None:
        """The passage that supports a sentence beyond doubt though its marks do not name it."""
        if len(set(terms(bare))) < CREDITED:
            return None
        judged = [self._judge(bare, [paper]) for paper in self._papers if paper not in named]
        best = max(judged, key=lambda judgement: judgement.score, default=None)
        return best if best and best.supported and best.score >= SURELY else None


def verify(draft: Draft, *, judge: Judge, numbers: Mapping[str, int]) -> Verified:
    """Check a whole draft."""
    verifier = Verifier(draft.passages, judge, numbers)
    for sentence in draft.sentences:
        verifier.check(sentence)
    return verifier.verified()


def in_words_of(question: str, text: str) -> str:
    """A text that says nothing but what the question says; "" for any other: nobody has checked it."""
    return printable(text) if text and set(terms(text)) <= set(terms(question)) else ""


def by_words(least: float) -> Judge:
    """A judge that wants `least` of a claim's words (0..1) and every number in its quotes."""

    def judge(claim: str, papers: Sequence[Paper]) -> Judgement:
        located = [(paper, span) for paper in papers for span in supporting(claim, paper.abstract)]
        held = " ".join(readable(paper.abstract[span.start : span.end]) for paper, span in located)
        if strange := [link for link in _LINK.findall(claim) if link not in held]:
            return Judgement(False, 0.0, f"the cited sentences do not give {strange[0][:60]}", ())
        if missing := missing_numbers(claim, [held]):
            return Judgement(False, 0.0, f"the cited sentences do not give {', '.join(missing)}", ())
        share = _share(set(terms(claim)), set(terms(held)))
        if share < least:
            few = f"the cited abstracts hold {share:.0%} of its words, less than {least:.0%}"
            return Judgement(False, share, few, ())
        return Judgement(True, share, f"the quotes hold {share:.0%} of its words and every number", located)

    return judge


def _marks(sentence: str) -> tuple[str, list[int]]:
    """The sentence without its marks, and the numbers they name, in order, once each."""
    found: list[int] = []
    for match in _MARK.finditer(sentence):
        for part in re.split(r"\s*[,;]\s*", match[1]):
            ends = [int(n) for n in re.findall(r"\d+", part)]
            found += range(ends[0], min(ends[-1], ends[0] + 20) + 1) if len(ends) == 2 else ends
    return " ".join(_MARK.sub("", sentence).split()), list(dict.fromkeys(found))


def locate(quote: str, source: str) -> Span | None:
    """Where a quote stands in a source, whatever the case, white space, typography or LaTeX; or None.

    Whole words and numbers only: "novel" does not hold "no", nor "4.5" a "4". Markup and stops at the
    edge of a sentence belong to it.
    """
    wanted = folded(quote).rstrip(".")
    view = folded_view(source)
    whole_words = rf"(?<!\w)(?:(?<!\d[.,])|(?!\d)){re.escape(wanted)}(?!\w|(?<=\d)[.,]\d)"
    found = re.search(whole_words, view.text) if wanted else None
    if not found:
        return None
    start, end = view.source(*found.span())
    for whole in sentences(source):
        if whole.start < end < whole.end and not folded(source[end : whole.end]).strip(".!?}"):
            end = whole.end
    return Span(start, end)


def _exact(bare: str, abstract: str) -> Span | None:
    span = locate(bare, abstract)
    return span if span and (len(bare.split()) >= WORDS or span in sentences(abstract)) else None


def supporting(claim: str, abstract: str) -> list[Span]:
    """The sentences of an abstract that hold most of a claim's words, at most two, in order."""
    wanted = set(terms(claim))
    held = [(span, wanted & own) for span, own in _sentence_terms(abstract)]
    chosen: list[Span] = []
    covered: set[str] = set()
    while len(chosen) < QUOTES and held:
        span, words = max(held, key=lambda item: (len(item[1] - covered), -item[0].start))
        if not words - covered or (chosen and len(words - covered) < GAIN * len(wanted)):
            break
        chosen.append(span)
        covered |= words
    return sorted(chosen)


@lru_cache(maxsize=256)
def _sentence_terms(abstract: str) -> tuple[tuple[Span, frozenset[str]], ...]:
    return tuple((span, frozenset(terms(readable(abstract[span.start : span.end])))) for span in sentences(abstract))


def _share(wanted: set[str], held: set[str]) -> float:
    return len(wanted & held) / len(wanted) if wanted else 0.0


def _citation(paper: Paper, span: Span, given: dict[str, int]) -> Citation:
    number = given.setdefault(paper.id, max(given.values(), default=0) + 1)
    return Citation(number, paper, paper.abstract[span.start : span.end], span.start, span.end)


def _marked(citations: Sequence[Citation]) -> str:
    return "".join(f"[{number}]" for number in dict.fromkeys(c.number for c in citations))
