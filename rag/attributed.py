"""Which papers bear a claim out: the values that `rag.cite` gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from rag import bibliography
from rag.records import Citation, Paper
from rag.text import readable

# "supports": its quotes say so; "differs": they speak of the same and say otherwise; "unclear": near, and no more
Bears = Literal["supports", "differs", "unclear"]


@dataclass(frozen=True, slots=True)
class Bearing:
    """What one paper says on a claim.

    verdict  "supports", "differs" or "unclear"
    quotes   the sentences it rests on, verbatim, in the order of the abstract; their number is the paper's rank
    score    how surely the paper speaks of what is claimed, 0..1
    reason   one line: what differs, what is missing, or what is held

    >>> rag.cite("RepoST-Train has 7,415 functions from 500 repositories.").bearings[0].reason
    'the abstract says 832 repositories, not 500'
    """

    paper: Paper
    verdict: Bears
    quotes: tuple[Citation, ...]
    score: float
    reason: str

    def __repr__(self) -> str:
        return f"Bearing({self.verdict!r}, {self.key[:56]!r}, {self.score:.2f}, {self.reason[:80]!r})"

    @property
    def key(self) -> str:
        """The citation key of the paper: the one it came with, else one made of it."""
        return bibliography.key(self.paper)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "id": self.paper.id,
            "title": readable(self.paper.title),
            "key": self.key,
            "verdict": self.verdict,
            "score": round(self.score, 4),
            "reason": self.reason,
            "quotes": [{"quote": quote.quote, "start": quote.start, "end": quote.end} for quote in self.quotes],
        }


@dataclass(frozen=True, slots=True)
class Attribution:
    """A claim and the papers nearest to it: those that support it first, then those that differ, then the rest.

    >>> rag.cite("RepoST-Train has 7,415 functions from 832 repositories.").status
    'supported'
    """

    claim: str
    bearings: tuple[Bearing, ...]

    def __repr__(self) -> str:
        return f"Attribution({self.claim[:56]!r}, {self.status!r}, {len(self.bearings)} papers)"

    def _repr_html_(self) -> str:
        from rag import notebook

        return notebook.attribution_html(self)

    @property
    def supporting(self) -> tuple[Bearing, ...]:
        """The papers that support the claim, best first; empty where nothing in the library does."""
        return tuple(one for one in self.bearings if one.verdict == "supports")

    @property
    def differing(self) -> tuple[Bearing, ...]:
        """The papers that speak of the same and say otherwise, best first."""
        return tuple(one for one in self.bearings if one.verdict == "differs")

    @property
    def status(self) -> Literal["supported", "differs", "nothing"]:
        """ "supported" where a paper supports the claim, else "differs" where one says otherwise, else "nothing"."""
        return "supported" if self.supporting else "differs" if self.differing else "nothing"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"claim": self.claim, "status": self.status, "papers": [one.to_dict() for one in self.bearings]}
