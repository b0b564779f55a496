"""Do cited abstracts bear a claim out? The judges of the check.

`quotes_for` chooses the sentences that a claim may rest on: what is judged is what the reader sees as its quotes. They must
give every number and link, the papers every name, and the one that a figure is given to must have it; they must hold enough
of its words, must not turn it round (`rag.answering.contrary`), and `rag.answering.support` must find them likely to support
it. `by_copied_words` judges an appeal: a model has pointed at the words, so that less likeness is asked for, and no less else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from rag.answering.contrary import ALIKE, contrary, denied
from rag.answering.quotes import Borne, Judge, Judgement, Located, locate
from rag.answering.support import Encode, Quote, Read, judged, kept, missing_names, names_of, stated
from rag.numbers import COUNTED, asked_numbers, gives_number, missing_numbers, placed_numbers, worked_out
from rag.records import Paper, Sentence
from rag.text import Span, foreign, looks_english, readable, sentences, terms

QUOTES = 3  # sentences of one abstract that hold a claim's words; those that give its numbers come on top
GAIN = 0.15  # share of the claim's words that another quote must add
HELD = 0.5  # least share of a claim's words in its quotes
NEARLY = 0.9  # share of its words from which less support is asked for: what turns it round is looked for by itself
LESS = 0.6  # of the support asked for then
TITLE = 4  # words of a title that is told from other words without quotation marks
SAYS = 4  # words that a claim must have for that: figures alone say nothing
LEAST = 0.25  # support of a claim in English by words that were copied for it, 0..1
RESTING = 6  # sentences that an appeal may rest on: who copies all has found nothing
COPIED = 3  # words of a piece that an appeal copies: fewer stand anywhere
GENERIC = 0.02  # share of a library's papers from which an acronym tells nothing apart

_SUBTITLE = re.compile(r"[:?!–—]\s|\s-{1,3}\s|\.\s")
_MARKS_OPEN, _MARKS_CLOSE = "[\"“„«‘']", "[\"”“»’']"
_PAPERS = "(?:papers|works|studies|abstracts|passages|articles)"
_LINK = re.compile(r"\b(?:https?:|www\.)[^\s)\]>]*|\b[\w.-]+\.[a-z]{2,}/\S*", re.IGNORECASE)
_CLAUSE = re.compile(
    r"; |,? (?:while|whereas|although|though|because|since)\b|, (?:and|but|so|yet|which|with)\b", re.IGNORECASE
)
_TELLING = re.compile(r"\d|[A-Z].*[A-Z]")  # an acronym, or a name with a number: "S4", "MoE"


def by_words(least: float) -> Judge:
    """A judge that wants `least` of a claim's words (0..1) and every number in its quotes."""

    def judge(claim: str, papers: Sequence[Paper]) -> Judgement:
        claim = untitled(stated(claim), papers)
        located = quotes_for(claim, papers)
        held = _texts(located)
        if disagreed := _figures(uncounted(claim, len(papers)), held):
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
    read: Read | None = None,
) -> Judge:
    """A judge that wants what `by_words` wants, every name, and a support of `least` (0..1, see `rag.answering.support`).

    `sentences` gives those of a paper with their vectors, `encode` makes vectors as theirs were made, and
    `frequency(word)` is in how many of the library's `papers` a word stands. `read` reads a claim beside its quotes.
    """
    words, encode, named = by_words(HELD), kept(encode), by_names(frequency, papers)
    known: dict[str, Sequence[Sentence]] = {}

    def of(paper: Paper) -> Sequence[Sentence]:
        if paper.id not in known:
            known[paper.id] = sentences(paper)
        return known[paper.id]

    def judge(claim: str, cited: Sequence[Paper]) -> Judgement:
        claim = stated(claim)
        judgement = words(claim, cited)
        if not judgement.supported:
            return judgement
        if strange := named(claim, cited):
            return Judgement(False, 0.0, f"the cited abstracts do not name {', '.join(strange)}", ())
        claim = uncounted(claim, len(cited))
        elsewhere, claim = misplaced(claim, cited), untitled(claim, cited)
        if elsewhere := elsewhere or contrary(claim, _texts(judgement.located)):
            return Judgement(False, 0.0, elsewhere, ())
        quotes = [
            Quote(readable(paper.abstract[one.span.start : one.span.end]), one.vector)
            for paper in cited
            for one in of(paper)
            if (paper, one.span) in judgement.located
        ]
        title = readable(cited[0].title) if len(cited) == 1 else ""
        found = judged(
            claim, quotes, encode=encode, frequency=frequency, papers=papers, read=_english(claim, read), title=title
        )
        told = f"{found.reason}; support {found.probability:.2f}"
        says = len({word for word in terms(claim) if word.isalpha()}) >= SAYS
        asked = least * (LESS if says and judgement.score >= NEARLY else 1.0)
        if found.probability < asked:
            return Judgement(False, found.probability, f"{told}, less than {asked:.2f}", ())
        return judgement._replace(reason=f"{judgement.reason}; support {found.probability:.2f}")

    return judge


def _english(claim: str, read: Read | None) -> Read | None:
    """The reader, of a claim that it can read."""
    return read if read and looks_english(claim) and not foreign(claim) else None


def untitled(claim: str, papers: Sequence[Paper]) -> str:
    """A claim with "it" in the place of titles of papers that it names, in quotation marks or letter for letter: a title
    says what is spoken of, and nothing about it. As it is, if little else would be left.
    """
    bare = claim
    for paper in papers:
        whole = readable(paper.title)
        for title in dict.fromkeys((whole, _SUBTITLE.split(whole)[0])):
            words = r"\W+".join(map(re.escape, re.findall(r"\w+", title)))
            if words and len(title.split()) > 1:
                bare = re.sub(rf"{_MARKS_OPEN}{words}\W?{_MARKS_CLOSE}", "it", bare, flags=re.IGNORECASE)
            if len(title.split()) >= TITLE:
                bare = re.sub(rf"\b{words}\b", "it", bare)
    return bare if len(set(terms(bare))) >= SAYS else claim


def uncounted(claim: str, papers: int) -> str:
    """A claim without the writer's own count of the papers that it cites: "four of these papers", with four marks."""
    own = next((word for word, value in COUNTED.items() if value == papers), str(papers))
    return re.sub(
        rf"\b(?:{own}|{papers})(?= (?:of (?:the|these|those) (?:\w+ )?)?{_PAPERS}\b)",
        "several",
        claim,
        flags=re.IGNORECASE,
    )


def by_names(frequency: Callable[[str], int], papers: int) -> Callable[[str, Sequence[Paper]], list[str]]:
    """Which names of a claim stand neither in title nor in abstract of the papers it cites.

    `frequency(word)` is in how many of the library's `papers` a word stands: a name of many tells none apart.
    """

    def generic(name: str) -> bool:
        return name.isalpha() and frequency(name.casefold().removesuffix("s")) >= max(GENERIC * papers, 2)

    def strange(claim: str, cited: Sequence[Paper]) -> list[str]:
        texts = [readable(text) for paper in cited for text in (paper.title, paper.abstract)]
        missing = missing_names(claim, texts)
        if foreign(claim):  # "DRAM-Bandbreite": the half that is a name
            missing = tuple(part for name in missing for part in missing_names(name.replace("-", " "), texts))
        return [name for name in missing if _TELLING.search(name) and not generic(name)]

    return strange


def misplaced(claim: str, cited: Sequence[Paper]) -> str:
    """The figure that a claim on several papers gives to one which does not have it, in words; "" if there is none.

    A figure belongs to the name before it or to the one after it, in its own clause; which of the two, words do not tell.
    """
    texts = {paper: f"{readable(paper.title)}\n{readable(paper.abstract)}" for paper in cited}
    if len(texts) < 2:
        return ""
    names = [
        (found.start(), having)
        for name in names_of(claim)
        for found in re.finditer(rf"\b{re.escape(name)}\b", claim)
        if (having := [paper for paper, text in texts.items() if not missing_names(name, [text])])
    ]
    borders = [found.end() for found in _CLAUSE.finditer(claim)]
    added = worked_out(claim, list(texts.values()))
    for at, number in placed_numbers(claim):
        begin = max((border for border in borders if border <= at), default=0)
        end = min((border for border in borders if border > at), default=len(claim))
        before = max((one for one in names if begin <= one[0] < at), default=None, key=lambda one: one[0])
        after = min((one for one in names if at < one[0] < end), default=None, key=lambda one: one[0])
        papers = [paper for one in (before, after) if one for paper in one[1]]
        if papers and number not in added and not any(gives_number(texts[paper], [number]) for paper in papers):
            return f"the passage on what it speaks of does not give {number.value:g}"
    return ""


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
        if names := strange(claim, cited):
            return f"the cited abstracts do not name {', '.join(names)}"
        claim = uncounted(claim, len(cited))
        elsewhere, claim = misplaced(claim, cited), untitled(claim, cited)
        if figures := _figures(claim, held):
            return figures
        if foreign(claim):
            titles = [readable(paper.title) for paper in cited]
            shared = set(terms(claim)) & set(terms(" ".join([*held, *titles])))
            return "" if shared else "the words copied for it have nothing in common with it"
        if elsewhere := elsewhere or contrary(claim, [*held, *_texts(quotes_for(claim, cited))]):
            return elsewhere
        if _share(set(terms(claim)), set(terms(" ".join(held)))) >= HELD:
            return ""
        quotes = [Quote(text) for text in held]
        chance = judged(
            claim, quotes, encode=encode, frequency=frequency if papers else None, papers=papers
        ).probability
        return "" if chance >= LEAST else f"the words copied for it support it by {chance:.2f}, less than {LEAST:.2f}"

    def borne(claim: str, cited: Sequence[Paper], words: Sequence[str]) -> Judgement:
        claim, located = stated(claim), list[tuple[Paper, Span]]()
        for piece in words:
            found = [(paper, span) for paper in cited for span in _holding(piece, paper.abstract)]
            if not found and any(locate(piece, paper.title) for paper in cited):
                continue  # what it speaks of; something said of it must stand in an abstract
            if not found:
                return Judgement(False, 0.0, "what was copied for it does not stand in the abstracts it cites", ())
            located += [one for one in found if one not in located]
        if not 0 < len(located) <= RESTING:
            why = "too many words were copied for it" if located else "no words were found that bear it out"
            return Judgement(False, 0.0, why, ())
        if why := disagreed(claim, cited, _texts(located)):
            return Judgement(False, 0.0, why, ())
        agreed = "the quotes hold the words that a model copied for it, and every number and name"
        return Judgement(True, 1.0, agreed, located)

    return borne


def _holding(piece: str, abstract: str) -> list[Span]:
    """The sentences of an abstract over which copied words stand; none if they do not."""
    span = locate(piece, abstract) if len(terms(piece)) >= COPIED else None
    return [one for one in sentences(abstract) if span and one.start < span.end and span.start < one.end]


# --- quotes -------------------------------------------------------------------------------------


def quotes_for(claim: str, papers: Sequence[Paper]) -> list[tuple[Paper, Span]]:
    """The sentences that a claim may rest on: of each paper those that hold most of its words, and of all papers
    those that give a number, or deny a word, which these do not, the one with most of its words for each."""
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
    if said := denied(claim) - {stem for p, spans in located.items() for s in spans for stem in _denied(p, s)}:
        denying = [
            (len(wanted & own), paper, span)
            for paper in papers
            for span, own in _sentence_terms(paper.abstract)
            if said & _denied(paper, span) and len(wanted & own) >= ALIKE
        ]
        if denying:
            _, paper, span = max(denying, key=lambda one: one[0])
            located[paper] = sorted([*located[paper], span])
    return [(paper, span) for paper, spans in located.items() for span in spans]


def _denied(paper: Paper, span: Span) -> frozenset[str]:
    return denied(readable(paper.abstract[span.start : span.end]))


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


def _share(wanted: set[str], held: set[str]) -> float:
    return len(wanted & held) / len(wanted) if wanted else 0.0
