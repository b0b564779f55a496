"""Faults to plant in the assistant, and the metrics that `mutations.py` expects each to be named by."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from rag.records import Answer, Citation, Claim

Real = Callable[..., Any]


# --- making faults ------------------------------------------------------------------------------


def after(change: Callable[[Any], Any]) -> Callable[[Real], Real]:
    """What a function returns, changed."""
    return lambda real: lambda *a, **k: change(real(*a, **k))


def claims(change: Callable[[Answer], Sequence[Claim]]) -> Callable[[Real], Real]:
    """An answer with other claims, its text and citations made of them; a refusal stays as it is."""
    return after(lambda a: said(a, change(a)) if a.claims else a)


def said(answer: Answer, changed: Sequence[Claim], *, marks: int = 0) -> Answer:
    """The answer, saying these claims; `marks` is added to the numbers that the text shows."""
    text, placed = "", []
    for claim in changed:
        start = len(text) + bool(text)
        shown = "".join(f"[{n + marks}]" for n in dict.fromkeys(c.number for c in claim.citations))
        text = f"{text} {claim.text} {shown}".strip()
        placed.append(replace(claim, start=start, end=start + len(claim.text)))
    cited = tuple(dict.fromkeys(c for claim in placed for c in claim.citations))
    return replace(answer, text=text, claims=tuple(placed), citations=cited, status="answered")


def each(claim: Claim, change: Callable[[Citation], Citation]) -> Claim:
    """The claim with every citation changed."""
    return replace(claim, citations=tuple(change(c) for c in claim.citations))


def forged(citation: Citation, **changes: Any) -> Citation:
    """A citation that does not quote verbatim; its constructor would not let us."""
    made = object.__new__(Citation)
    for name in ("number", "paper", "quote", "start", "end"):
        object.__setattr__(made, name, changes.get(name, getattr(citation, name)))
    return made


def refused(answer: Answer) -> Answer:
    """The same question, refused."""
    return replace(answer, status="refused", text="This library does not say.", claims=(), citations=())


def opening(answer: Answer, rank: int = 0) -> Citation:
    """A verbatim quote, the first sentence or so, of a paper of the evidence."""
    paper = answer.evidence[min(rank, len(answer.evidence) - 1)].paper
    end = paper.abstract.find(". ") + 1 or len(paper.abstract)
    number = next((n for n, known in answer.numbers.items() if known == paper), 90 + rank)
    return Citation(number, paper, paper.abstract[:end], 0, end)


def answered(answer: Answer) -> Answer:
    """A refusal turned into an answer with whatever is nearest."""
    if answer.claims or not answer.evidence:
        return answer
    quote = opening(answer)
    return said(answer, [Claim(quote.quote, 0, 0, (quote,), "quoted", "")])


def swapped(answer: Answer) -> Sequence[Claim]:
    """Every claim with the citations of the next; an only claim with those of the second paper."""
    if len(answer.claims) == 1:
        return [replace(answer.claims[0], citations=(opening(answer, 1),))]
    turned = [*answer.claims[1:], answer.claims[0]]
    return [replace(claim, citations=other.citations) for claim, other in zip(answer.claims, turned, strict=True)]


def elsewhere(answer: Answer) -> Sequence[Claim]:
    """Right quotes and offsets under the name of another paper."""
    others = [e.paper for e in answer.evidence]
    return [
        each(claim, lambda c: forged(c, paper=next((p for p in others if p != c.paper), c.paper)))
        for claim in answer.claims
    ]


def halved(citation: Citation) -> Citation:
    """The first half of a quote, verbatim."""
    half = max(1, len(citation.quote) // 2)
    return replace(citation, quote=citation.quote[:half], end=citation.start + half)


def recounted(text: str) -> str:
    """Every digit one higher."""
    return re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), text)


def present(found: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """What a search finds when half of the papers are missing from its index."""
    return [(id, score) for id, score in found if zlib.crc32(id.partition(".")[0].encode()) % 2]


def crash(real: Real) -> Real:
    """Raises for one question in a hundred or so."""

    def answer(self: Any, question: str, *a: Any, **k: Any) -> Answer:
        if zlib.crc32(question.encode()) % 100 == 1:
            raise IndexError("list index out of range")
        answered: Answer = real(self, question, *a, **k)
        return answered

    return answer


class Fault(NamedTuple):
    """What is broken, where it is patched, how, and which metrics may be named first."""

    name: str
    where: str
    how: Callable[[Real], Real]
    expected: Sequence[str]


ANSWER = "rag.answering.assistant.Assistant.answer"
RETRIEVAL = ("recall@5", "recall@10", "mrr@10", "ndcg@10")
RERANK = ("evidence recall", "evidence mrr")
FAULTS = (
    Fault("half of the papers not indexed", "rag.answering.search.retrieve",
          lambda real: lambda q, *, dense, lexical, **k: real(
              q, dense=lambda n: present(dense(n)), lexical=lambda n: present(lexical(n)), **k), RETRIEVAL),
    Fault("one citation dropped", ANSWER,
          claims(lambda a: [replace(a.claims[0], citations=()), *a.claims[1:]]), ("claim cited",)),
    Fault("citations swapped", ANSWER, claims(swapped), ("claim supported",)),
    Fault("always answers", ANSWER, after(answered), ("refused",)),
    Fault("lexical search off", "rag.answering.search.retrieve",
          lambda real: lambda q, **k: real(q, **k | {"lexical": lambda n: []}), RETRIEVAL),
    Fault("dense search off", "rag.answering.search.retrieve",
          lambda real: lambda q, **k: real(q, **k | {"dense": lambda n: []}), RETRIEVAL),
    Fault("worst hits first", "rag.answering.search.retrieve", after(lambda hits: hits[::-1]), RETRIEVAL),
    Fault("question embedded as nothing", "rag.answering.search.Search.vector",
          lambda real: lambda self, query: real(self, ""), RETRIEVAL),
    Fault("history ignored", "rag.answering.followup.resolve",
          lambda real: lambda question, history, fits: real(question, (), fits), RETRIEVAL),
    Fault("rerank inverted", "rag.answering.search.rerank",
          lambda real: lambda hits, *a, **k: real(hits[len(hits) // 2 :], *a, **k)[::-1], RERANK),
    Fault("first paper only", "rag.answering.search.rerank", after(lambda evidence: evidence[:1]), RERANK),
    Fault("second half of the sentences only", "rag.answering.plain.extract",
          after(lambda d: replace(d, sentences=d.sentences[len(d.sentences) // 2 :])),
          ("gold recall", "first cited", "cited f1", "facts")),
    Fault("always refuses", ANSWER, after(refused), ("coverage",)),
    Fault("wrong offsets", ANSWER, claims(
          lambda a: [each(c, lambda q: forged(q, start=q.start + 7, end=q.end + 7)) for c in a.claims]),
          ("quote verbatim",)),
    Fault("right quote, wrong paper", ANSWER, claims(elsewhere), ("quote verbatim",)),
    Fault("quotes cut in half", ANSWER, claims(lambda a: [each(c, halved) for c in a.claims]), ("quote whole",)),
    Fault("marks renumbered", ANSWER, after(lambda a: said(a, a.claims, marks=1) if a.claims else a), ("claim cited",)),
    Fault("cites what it was not shown", ANSWER,
          after(lambda a: replace(a, evidence=tuple(e for e in a.evidence if e.paper not in a.numbers.values()))),
          ("id valid",)),
    Fault("digits changed in the text", ANSWER,
          claims(lambda a: [replace(c, text=recounted(c.text)) for c in a.claims]), ("claim supported",)),
    Fault("says more than its claims", ANSWER,
          after(lambda a: replace(a, text=f"{a.text} This has been shown many times over.") if a.claims else a),
          ("text claimed",)),
    Fault("crashes now and then", ANSWER, crash, ("errors",)),
)  # fmt: skip
