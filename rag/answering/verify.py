"""Draft -> Claims: no sentence is passed on as fact unless its support was found.

A number of a sentence that names no passage is dropped and counted; a passage's title says nothing and is
left out. A sentence that stands in a cited abstract word for word
is "quoted". Otherwise the sentences of the cited abstracts that come nearest to it, or give a number of it, are its quotes, and a
judge says whether they support it: every number and name, enough of its words, and what `rag.answering.support`
makes of it. A sentence that its marks do not support, or that has none, is looked for in the other passages
before it is taken out as "unsupported" or "uncited": models miscount. One that leans on the sentence
before ("This ...") goes with it, and speaks of the same paper. What fails may appeal, where somebody can be
asked: words copied for it hold when they stand in an abstract that it cites and do not disagree with it. Quotes are located with offsets in the
abstract as stored: a Citation that does not quote verbatim cannot be made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from rag.answering.appeal import Failed
from rag.answering.judge import Asserted, Opinion
from rag.answering.support import (
    Encode,
    Quote,
    asked_numbers,
    contrary,
    gives_number,
    judged,
    kept,
    missing_names,
    missing_numbers,
    stated,
)
from rag.answering.wording import markless, marks
from rag.records import Citation, Claim, Draft, Evidence, Marked, Paper, Sentence, Verdict, Verified
from rag.text import Span, folded, folded_view, foreign, readable, sentences, terms

WORDS = 3  # of a quote that is no whole sentence: "No" stands in many an abstract
QUOTES = 3  # sentences of one abstract that hold a claim's words; those that give its numbers come on top
LEAST = 0.25  # support of a claim in English by words that were copied for it, 0..1
COPIED = 3  # words of a piece that an appeal copies: fewer stand anywhere
CREDITED = 4  # words of meaning in a sentence that is looked for in passages it does not name
SURELY = 0.8  # how surely a passage must support it then, 0..1
GAIN = 0.15  # share of the claim's words that a second quote must add
TITLE = 4  # words of a title that is told from the beginning of a sentence without a stop after it
HELD = 0.5  # least share of a claim's words in its quotes
GENERIC = 0.02  # share of a library's papers from which an acronym tells nothing apart

_LINK = re.compile(r"\b(?:https?:|www\.)[^\s)\]>]*|\b[\w.-]+\.[a-z]{2,}/\S*", re.IGNORECASE)
_LEANS = re.compile(  # a sentence that means little without the one before it
    r"(?:this|these|those|it|its|they|their|such|that|he|she|both|the (?:former|latter|same))\b", re.IGNORECASE
)
_TELLING = re.compile(r"\d|[A-Z].*[A-Z]")  # an acronym, or a name with a number: "S4", "MoE"

Located = Sequence[tuple[Paper, Span]]


class Judgement(NamedTuple):
    """Do papers support a claim? How surely (0..1), the reason in words, the quotes it rests on (none if not)."""

    supported: bool
    score: float
    reason: str
    located: Located


Judge = Callable[[str, Sequence[Paper]], Judgement]
Borne = Callable[[str, Sequence[Paper], Sequence[str]], Judgement]  # claim, papers, words copied from them
Appeal = Callable[[Sequence[Failed]], Sequence[Sequence[str]]]  # failed sentences -> words copied for each


class _Judged(NamedTuple):
    """A sentence with the papers it names and what was found; no quotes if it does not hold."""

    bare: str
    papers: tuple[Paper, ...]
    verdict: Verdict
    reason: str
    located: Located

    @property
    def cited(self) -> tuple[Paper, ...]:
        return tuple(dict.fromkeys(paper for paper, _ in self.located))


class Verifier:
    """Checks the sentences of a draft in order.

    `numbers` are those that papers of earlier turns already have, by paper id; `failed` is who checked a
    draft of which nothing held, and in whose place this one comes: what was wrong is kept for the reader.
    `opinion` is asked last, on what the judge holds for supported; having none, it does not stand in the way.
    With `appeal` (who copies words) and `borne` (who judges them), what comes after a sentence that failed waits
    for `settle`, so that the answer keeps its order. `lead` is what stands before the claims; `edited` has sentences
    whose opening we cut or resolved ourselves, each with how it stands in its abstract.
    """

    def __init__(
        self,
        passages: Sequence[Evidence],
        judge: Judge,
        numbers: Mapping[str, int],
        *,
        opinion: Callable[[Asserted], Opinion] | None = None,
        appeal: Appeal | None = None,
        borne: Borne | None = None,
        failed: Verifier | None = None,
        lead: str = "",
        edited: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._papers = [passage.paper for passage in passages]
        self._titles = sorted({folded(title) for paper in self._papers if (title := readable(paper.title))}, key=len)[
            ::-1
        ]
        self._judge, self._opinion, self._appeal, self._borne = judge, opinion, appeal, borne
        self._given = dict(numbers)
        self._claims: list[Claim] = []
        self._removed: list[tuple[Claim, tuple[Paper, ...]]] = list(failed._removed) if failed else []
        self._unknown: int = failed._unknown if failed else 0
        self._waiting: list[_Judged] = []  # from the first that failed, until they are settled
        self._spoken: tuple[Paper, ...] = ()  # of what papers the sentence before speaks, if it holds
        self._fell = False  # the sentence before does not hold
        self._headed: tuple[Paper, ...] = ()  # named by a title that stands above, without saying anything
        self._text = lead
        self._stands = {markless(shown): markless(stands) for shown, stands in edited}

    @property
    def text(self) -> str:
        """What stands before the claims, and the claims so far, each followed by its marks."""
        return self._text

    def check(self, sentence: Marked) -> None:
        """Take in the next sentence: it becomes a claim of the answer, waits, is taken out, or says nothing."""
        bare, numbers = markless(sentence.text), sentence.numbers
        papers = tuple(self._papers[n - 1] for n in numbers if 1 <= n <= len(self._papers))
        self._unknown += len(numbers) - len(papers)
        if not self._says(bare := self._untitled(bare)):
            self._headed = papers or self._headed
            return
        if numbers:
            self._headed = ()
        found = self._judged(bare, papers or self._headed)
        if self._appeal and (self._waiting or not found.located):
            self._waiting.append(found)
        else:
            self._take(found)

    def settle(self, *, appealing: bool = True) -> None:
        """Take everything that waits, in order; what failed may appeal before, all in one call."""
        waiting, self._waiting = self._waiting, []
        failed = [one for one in waiting if not one.located and one.papers and not one.bare.endswith("?")]
        heard = bool(failed) and appealing
        copied = self._appeal([Failed(one.bare, one.papers) for one in failed]) if heard and self._appeal else ()
        words = {id(one): said for one, said in zip(failed, copied, strict=heard)}
        self._fell = False  # what stands before the first of them holds
        for at, one in enumerate(waiting):
            leans, fell = bool(_LEANS.match(one.bare)), self._fell
            again = self._judged(one.bare, one.papers) if at and leans else one
            if not again.located and id(one) in words and not (leans and fell):
                again = self._appealed(again, words[id(one)])
            self._follow(again)
            self._take(again)

    def _appealed(self, one: _Judged, words: Sequence[str]) -> _Judged:
        assert self._borne
        found = self._borne(one.bare, one.papers, words)
        if not found.supported:
            return one._replace(reason=f"{one.reason}; {found.reason}")
        verdict, reason, located = self._agreed(one.bare, found.reason, found.located)
        return one._replace(verdict=verdict, reason=reason, located=located)

    def _untitled(self, bare: str) -> str:
        """A sentence without titles of passages that stand in front of it."""
        found = True
        while found:
            found = False
            for title in self._titles:
                rest = _after(bare, title)
                if rest is not None:
                    bare, found = rest, True
        return bare

    def _says(self, bare: str) -> bool:
        """Does it state anything, and anything new? A piece of a title does not."""
        said = folded(bare).strip(" .:")
        title = len(said.split()) >= TITLE and any(said in title for title in self._titles)
        before = (*(claim.text for claim in self._claims), *(one.bare for one in self._waiting))
        new = not any(said == folded(text).strip(" .:") for text in before)
        return bool(re.search(r"\w", bare)) and not title and new

    def again(self, passages: Sequence[Evidence]) -> None:
        """Check once more, with further passages, what was taken out; what holds now comes after the rest."""
        self._papers += [passage.paper for passage in passages]
        removed, self._removed, self._spoken, self._fell = self._removed, [], (), True
        for claim, papers in removed:
            self._take(self._judged(claim.text, papers))

    def _take(self, found: _Judged) -> None:
        """Into the answer with a sentence that holds, out with one that does not."""
        bare, papers, verdict, reason, located = found
        if not located:
            self._removed.append((Claim(bare, 0, 0, (), verdict, reason), papers))
            return
        citations = tuple(_citation(paper, span, self._given) for paper, span in located)
        start = len(self._text) + (1 if self._text else 0)
        self._text += (" " if self._text else "") + bare + " " + marks(citation.number for citation in citations)
        self._claims.append(Claim(bare, start, start + len(bare), citations, verdict, reason))

    def verified(self) -> Verified:
        """What became of all sentences so far."""
        removed = tuple(claim for claim, _ in self._removed)
        return Verified(self._text, tuple(self._claims), removed, self._unknown)

    def _judged(self, bare: str, papers: tuple[Paper, ...]) -> _Judged:
        """A sentence judged after the one before it."""
        found = _Judged(bare, papers, *self._weighed(bare, papers, bool(_LEANS.match(bare))))
        self._follow(found)
        return found

    def _follow(self, found: _Judged) -> None:
        self._spoken, self._fell = found.cited, not found.located

    def _weighed(self, bare: str, papers: Sequence[Paper], leans: bool) -> tuple[Verdict, str, Located]:
        stands = self._stands.get(bare, "")
        if exact := [(paper, span) for paper in papers if (span := _exact(stands or bare, paper.abstract))]:
            save = " save for what is marked at its opening" if stands else ""
            return "quoted", f"stands in the abstract word for word{save}", exact
        if bare.endswith("?"):
            return "unsupported" if papers else "uncited", "it asks, and states nothing", ()
        if leans and self._fell:
            return "unsupported" if papers else "uncited", "it leans on a sentence that was taken out", ()
        if leans and self._spoken:  # it speaks of the same paper
            papers = [paper for paper in papers if paper in self._spoken] if papers else self._spoken
        judgement = self._judge(bare, papers) if papers else Judgement(False, 0.0, "no passage is named for it", ())
        if judgement.supported:
            return self._agreed(bare, judgement.reason, judgement.located)
        if not (leans and self._spoken) and (elsewhere := self._credited(bare, papers)):
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


def by_words(least: float) -> Judge:
    """A judge that wants `least` of a claim's words (0..1) and every number in its quotes."""

    def judge(claim: str, papers: Sequence[Paper]) -> Judgement:
        claim = stated(claim)
        located = quotes_for(claim, papers)
        held = _texts(located)
        if disagreed := _figures(claim, held):
            return Judgement(False, 0.0, disagreed, ())
        share = _share(set(terms(claim)), set(terms(" ".join(held))))
        if share < least:
            few = f"the cited abstracts hold {share:.0%} of its words, less than {least:.0%}"
            return Judgement(False, share, few, ())
        return Judgement(True, share, f"the quotes hold {share:.0%} of its words and every number", located)

    return judge


def _texts(located: Located) -> list[str]:
    return [readable(paper.abstract[span.start : span.end]) for paper, span in located]


def _figures(claim: str, held: Sequence[str]) -> str:
    """What quotes lack of a claim's links and numbers; "" if nothing."""
    if strange := [link for link in _LINK.findall(claim) if not any(link in text for text in held)]:
        return f"the cited sentences do not give {strange[0][:60]}"
    missing = missing_numbers(claim, held)
    return f"the cited sentences do not give {', '.join(missing)}" if missing else ""


def by_support(
    least: float,
    sentences: Callable[[Paper], Sequence[Sentence]],
    encode: Encode,
    *,
    frequency: Callable[[str], int],
    papers: int,
) -> Judge:
    """A judge that wants what `by_words` wants, every name, and a support of `least` (0..1, see `rag.answering.support`).

    `sentences` gives those of a paper with their vectors, `encode` makes vectors as theirs were made, and
    `frequency(word)` is in how many of the library's `papers` a word stands.
    """
    words, encode, named = by_words(HELD), kept(encode), by_names(frequency, papers)
    known: dict[str, Sequence[Sentence]] = {}

    def of(paper: Paper) -> Sequence[Sentence]:
        if paper.id not in known:
            known[paper.id] = sentences(paper)
        return known[paper.id]

    def judge(claim: str, cited: Sequence[Paper]) -> Judgement:
        judgement = words(claim, cited)
        if not judgement.supported:
            return judgement
        if strange := named(claim, cited):
            return Judgement(False, 0.0, f"the cited abstracts do not name {', '.join(strange)}", ())
        quotes = [
            Quote(readable(paper.abstract[one.span.start : one.span.end]), one.vector)
            for paper in cited
            for one in of(paper)
        ]
        found = judged(claim, quotes, encode=encode, frequency=frequency, papers=papers)
        told = f"{found.reason}; support {found.probability:.2f}"
        if found.probability < least:
            return Judgement(False, found.probability, f"{told}, less than {least:.2f}", ())
        return judgement._replace(reason=f"{judgement.reason}; support {found.probability:.2f}")

    return judge


def by_names(frequency: Callable[[str], int], papers: int) -> Callable[[str, Sequence[Paper]], list[str]]:
    """Which names of a claim stand neither in title nor in abstract of the papers it cites.

    `frequency(word)` is in how many of the library's `papers` a word stands: a name of many tells none apart.
    """

    def generic(name: str) -> bool:
        return name.isalpha() and frequency(name.casefold().removesuffix("s")) >= max(GENERIC * papers, 2)

    def strange(claim: str, cited: Sequence[Paper]) -> list[str]:
        texts = [readable(text) for paper in cited for text in (paper.title, paper.abstract)]
        return [name for name in missing_names(claim, texts) if _TELLING.search(name) and not generic(name)]

    return strange


def by_copied_words(
    encode: Encode | None = None, *, frequency: Callable[[str], int] = lambda _: 0, papers: int = 0
) -> Borne:
    """Who judges words that were copied for a claim: all must stand in the cited papers, and agree with it.

    The sentences that hold them must give every number, and the papers every name. A claim in English needs a support of
    `LEAST`, too little to pass by itself, and must not be contradicted; of one in another language at least a word, name
    or number must stand there. The arguments are those of `by_support`.
    """
    strange = by_names(frequency, papers)

    def disagreed(claim: str, cited: Sequence[Paper], held: list[str]) -> str:
        if figures := _figures(claim, held):
            return figures
        if names := strange(claim, cited):
            return f"the cited abstracts do not name {', '.join(names)}"
        if foreign(claim):
            titles = [readable(paper.title) for paper in cited]
            shared = set(terms(claim)) & set(terms(" ".join([*held, *titles])))
            return "" if shared else "the words copied for it have nothing in common with it"
        if contrary(claim, held):
            return "the words copied for it seem to say the contrary"
        quotes = [Quote(text) for text in held]
        chance = judged(
            claim, quotes, encode=encode, frequency=frequency if papers else None, papers=papers
        ).probability
        return "" if chance >= LEAST else f"the words copied for it support it by {chance:.2f}, less than {LEAST:.2f}"

    def borne(claim: str, cited: Sequence[Paper], words: Sequence[str]) -> Judgement:
        claim, located = stated(claim), list[tuple[Paper, Span]]()
        for piece in words:
            found = [(paper, span) for paper in cited for span in _holding(piece, paper.abstract)]
            if not found:
                return Judgement(False, 0.0, "what was copied for it does not stand in the abstracts it cites", ())
            located += [one for one in found if one not in located]
        if not located:
            return Judgement(False, 0.0, "no words were found that bear it out", ())
        if why := disagreed(claim, cited, _texts(located)):
            return Judgement(False, 0.0, why, ())
        agreed = "the quotes hold the words that a model copied for it, and every number and name"
        return Judgement(True, 1.0, agreed, located)

    return borne


def _holding(piece: str, abstract: str) -> list[Span]:
    """The sentences of an abstract over which copied words stand; none if they do not."""
    span = locate(piece, abstract) if len(terms(piece)) >= COPIED else None
    return [one for one in sentences(abstract) if span and one.start < span.end and span.start < one.end]


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


def quotes_for(claim: str, papers: Sequence[Paper]) -> list[tuple[Paper, Span]]:
    """The sentences that a claim may rest on: of each paper those that hold most of its words, and of all papers
    those that give a number which these lack, the one with most of its words for each."""
    located = {paper: supporting(claim, paper.abstract) for paper in papers}
    wanted = set(terms(claim))
    for number in asked_numbers(claim):
        if any(
            gives_number(readable(p.abstract[s.start : s.end]), number) for p, spans in located.items() for s in spans
        ):
            continue
        giving = [
            (len(wanted & own), paper, span)
            for paper in papers
            for span, own in _sentence_terms(paper.abstract)
            if gives_number(readable(paper.abstract[span.start : span.end]), number)
        ]
        if giving:
            _, paper, span = max(giving, key=lambda one: one[0])
            located[paper] = sorted([*located[paper], span])
    return [(paper, span) for paper, spans in located.items() for span in spans]


def supporting(claim: str, abstract: str) -> list[Span]:
    """The sentences of an abstract that hold most of a claim's words, at most `QUOTES`, in order."""
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


def _after(text: str, title: str) -> str | None:
    """What stands after a (folded) title at the beginning of a text; None when it does not begin so."""
    if not folded(text).startswith(title):
        return None
    end = next(at for at in range(len(text) + 1) if folded(text[:at]) == title)
    rest = text[end:]
    told = not rest or len(title.split()) >= TITLE or re.match(r"\s*[:.–—\"”*]|\s+-\s", rest)
    return rest.lstrip(" .:-–—\"'”’*") if told else None


def _share(wanted: set[str], held: set[str]) -> float:
    return len(wanted & held) / len(wanted) if wanted else 0.0


def _citation(paper: Paper, span: Span, given: dict[str, int]) -> Citation:
    number = given.setdefault(paper.id, max(given.values(), default=0) + 1)
    return Citation(number, paper, paper.abstract[span.start : span.end], span.start, span.end)
