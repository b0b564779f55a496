"""Draft -> Claims: no sentence is passed on as fact unless its support was found.

A number of a sentence that names no passage is dropped and counted; a passage's title says nothing and is
left out. A sentence that stands in a cited abstract word for word is "quoted". Otherwise a judge says whether the cited
abstracts bear it out, and by which sentences (`rag.answering.bearing`): they are its quotes. A sentence that its marks do
not support, or that has none, is looked for in the other passages before it is taken out as "unsupported" or "uncited":
models miscount. One that leans on the sentence before ("This ...") goes with it, and speaks of the same paper. What fails
may appeal, where somebody can be asked: words copied for it hold when they stand in an abstract that it cites and do not
disagree with it. Quotes are located with offsets in the abstract as stored: a Citation that does not quote verbatim cannot
be made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rag.answering.appeal import Failed
from rag.answering.judge import Asserted, Opinion
from rag.answering.quotes import Borne, Judge, Judgement, Located, exact
from rag.answering.wording import markless, marks
from rag.records import Citation, Claim, Draft, Evidence, Marked, Paper, Verdict, Verified
from rag.text import Span, folded, readable, terms

CREDITED = 4  # words of meaning in a sentence that is looked for in passages it does not name
SURELY = 0.8  # how surely a passage must support it then, 0..1
TITLE = 4  # words of a title that is told from the beginning of a sentence without a stop after it

_LEANS = re.compile(  # a sentence that means little without the one before it
    r"(?:this|these|those|it|its|they|their|such|that|he|she|both|the (?:former|latter|same))\b", re.IGNORECASE
)

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
            found = self._judged(claim.text, papers)
            if found.located:
                self._take(found)
            else:
                self._removed.append((claim, papers))  # for the reason that it was taken out for

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
        if found := [(paper, span) for paper in papers if (span := exact(stands or bare, paper.abstract))]:
            save = " save for what is marked at its opening" if stands else ""
            return "quoted", f"stands in the abstract word for word{save}", found
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


def _after(text: str, title: str) -> str | None:
    """What stands after a (folded) title at the beginning of a text; None when it does not begin so."""
    if not folded(text).startswith(title):
        return None
    end = next(at for at in range(len(text) + 1) if folded(text[:at]) == title)
    rest = text[end:]
    told = not rest or len(title.split()) >= TITLE or re.match(r"\s*[:.–—\"”*]|\s+-\s", rest)
    return rest.lstrip(" .:-–—\"'”’*") if told else None


def _citation(paper: Paper, span: Span, given: dict[str, int]) -> Citation:
    number = given.setdefault(paper.id, max(given.values(), default=0) + 1)
    return Citation(number, paper, paper.abstract[span.start : span.end], span.start, span.end)
