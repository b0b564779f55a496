"""The values that travel: what a stage gives to the next, and what a caller gets.

    Paper -> Chunk -> Hit -> Evidence -> Draft -> Claim (with Citations) -> Answer

All are frozen, hashable and picklable. What a later step needs is carried, not fetched: an
Answer keeps its evidence, evidence its chunk, a chunk its paper, a paper the files it came from.
`Answer.to_dict` writes versioned JSON in which each paper stands once, under "papers"; everything
else names it by {"id", "title"}, and `Answer.from_dict` gives back an equal Answer.

Offsets are code points into `Paper.abstract`, half open. A Citation that does not quote its
abstract verbatim cannot be made: the constructor raises.

The file is long because these values are one chain: `Answer.from_dict` must know them all.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from rag.errors import PromptError
from rag.text import Span, readable

if TYPE_CHECKING:
    import numpy as np

Status = Literal["answered", "partial", "refused"]
Finish = Literal["stop", "length", "refused", "tools", "unknown"]
Verdict = Literal["quoted", "supported", "partial", "unsupported", "uncited"]
V = TypeVar("V")

JSON_VERSION = 1
RETRACTED = "retracted"  # the key in `Paper.extra` of a paper that was taken back
_RETRACTED_TITLE = re.compile(
    r"\A\W*(?:retracted|withdrawn)\b(?:[ -](?:article|paper|chapter|publication))?\s*[:.\])–—-]|"
    r"[(\[]retracted\b[^()\[\]]{0,200}[)\]]?\s*\Z",
    re.IGNORECASE,
)
EXTRACTIVE = "extractive"  # `Answer.model` when no chat model wrote it
STRUCK = "~~"  # around a sentence that was taken out, where it is shown
SHOWN = 56  # characters of a text in a repr
LONGEST_MAP = 160  # characters of a mapping in its repr


def unmarked(title: str) -> str:
    """A title without the words that say that its paper was taken back."""
    return _RETRACTED_TITLE.sub("", title).strip() or title


class FrozenMap(Mapping[str, V]):
    """A mapping that cannot change and can be hashed; keeps the order it was given.

    >>> FrozenMap({"a": 1})["a"], FrozenMap({"a": 1}) == {"a": 1}
    (1, True)
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, V] | None = None) -> None:
        object.__setattr__(self, "_items", dict(items or {}))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a FrozenMap cannot be changed")

    def __getitem__(self, key: str) -> V:
        return self._items[key]  # type: ignore[attr-defined, no-any-return]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return len(self._items)  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(frozenset(self.items()))

    def __repr__(self) -> str:
        text = repr(dict(self))
        return f"FrozenMap({text if len(text) <= LONGEST_MAP else f'{len(self)} names'})"

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenMap, (dict(self),)


@dataclass(frozen=True, slots=True)
class Paper:
    """One paper.

    id        12 hex digits of the normalised title: the same whatever file it came from
    abstract  as the file gave it; offsets everywhere are code points into it
    year      None where no file says it, as `venue`, `doi` and `url`
    sources   "file:line" of each record of it
    extra     what else the files say, under names of their own

    >>> paper = rag.open_library().get("ab71d384aa75")
    >>> paper.id, paper.title.split(":")[0], paper.is_retracted
    ('ab71d384aa75', 'FlashAttention', False)
    """

    id: str
    title: str
    abstract: str
    authors: tuple[str, ...] = ()
    year: int | None = None
    venue: str | None = None
    doi: str | None = None
    url: str | None = None
    sources: tuple[str, ...] = ()
    extra: FrozenMap[str] = field(default_factory=FrozenMap)

    def __repr__(self) -> str:
        return _brief(self, self.id, self.title, year=self.year, abstract=self.abstract)

    def _repr_html_(self) -> str:
        from rag import notebook

        return notebook.paper_html(self)

    @property
    def is_retracted(self) -> bool:
        """Was it taken back, as its title or a file says?"""
        return RETRACTED in self.extra or bool(_RETRACTED_TITLE.search(self.title))

    @property
    def headline(self) -> str:
        """The title as it is shown: readable, and marked where the paper is retracted and the title does not say so."""
        title = readable(self.title)
        return title if _RETRACTED_TITLE.search(self.title) or not self.is_retracted else f"RETRACTED: {title}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "id": self.id,
            "title": self.title,
            "abstract": self.abstract,
            "authors": list(self.authors),
            "year": self.year,
            "venue": self.venue,
            "doi": self.doi,
            "url": self.url,
            "sources": list(self.sources),
            "extra": dict(self.extra),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Paper:
        """The Paper that `to_dict` wrote."""
        return cls(
            id=data["id"],
            title=data["title"],
            abstract=data["abstract"],
            authors=tuple(data.get("authors", ())),
            year=data.get("year"),
            venue=data.get("venue"),
            doi=data.get("doi"),
            url=data.get("url"),
            sources=tuple(data.get("sources", ())),
            extra=FrozenMap(data.get("extra", {})),
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of an abstract, `start:end` in code points, embedded as one. `tokens` as the embedder counts them, title included.

    >>> chunk = rag.search("IO-aware attention", k=1)[0].chunk
    >>> chunk.text == chunk.paper.abstract[chunk.start : chunk.end], chunk.tokens <= 256
    (True, True)
    """

    id: str
    paper: Paper
    start: int
    end: int
    tokens: int

    def __repr__(self) -> str:
        return _brief(self, self.id, self.paper.title, start=self.start, end=self.end, text=self.text)

    @property
    def text(self) -> str:
        """The span itself: `paper.abstract[start:end]`."""
        return self.paper.abstract[self.start : self.end]


def chunk_id(paper: str, number: int) -> str:
    """The id of the chunk with that number, from 0, of a paper's."""
    return f"{paper}.{number}"


def paper_of(chunk: str) -> str:
    """The id of the paper that a chunk's id names."""
    return chunk.rpartition(".")[0]


class Sentence(NamedTuple):
    """A sentence as the library keeps it: where it stands, its vector (of unit length) and its terms."""

    span: Span
    vector: np.ndarray
    terms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """What one search or signal said of a paper: `search` is "dense" (cosine of the chunk), "lexical"
    (BM25), "sentence" (cosine of the nearest sentence) or "words" (share of the question's words held).

    Rank 1 is best; `part` (0..1) is what it adds to the score of the hit.

    >>> {one.search for one in rag.search("IO-aware attention", k=1)[0].found} <= {"dense", "lexical", "sentence", "words"}
    True
    """

    search: str
    rank: int
    score: float
    part: float = 0.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a search found. `rank` 1 is best, `score` is the fused one (0..1, within one question), `found` says by what.

    >>> hit = rag.search("IO-aware attention", k=1)[0]
    >>> hit.rank, 0 <= hit.score <= 1, hit.paper is hit.chunk.paper
    (1, True, True)
    """

    chunk: Chunk
    score: float
    rank: int
    found: tuple[Found, ...]

    def __repr__(self) -> str:
        return _brief(self, self.chunk.id, self.paper.title, rank=self.rank, score=round(self.score, 4))

    @property
    def paper(self) -> Paper:
        """The paper of the chunk."""
        return self.chunk.paper


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a hit ranks where it does, besides the parts in `hit.found`.

    `sentence` is the paper's sentence nearest in meaning ("" if it has none); `held` are the words of
    the query that its title or one sentence holds, `lacking` the others.
    """

    hit: Hit
    sentence: str
    held: tuple[str, ...]
    lacking: tuple[str, ...]

    def __repr__(self) -> str:
        return _brief(self, self.hit.chunk.id, self.sentence, held=len(self.held), lacking=len(self.lacking))


@dataclass(frozen=True, slots=True)
class Evidence:
    """A chunk worth answering from. `rank` 1 is best; `score` is 0..1 and comparable between questions.

    >>> best = rag.answer("Which attention is IO-aware?").evidence[0]
    >>> best.rank, best.score > 0.45
    (1, True)
    """

    chunk: Chunk
    rank: int
    score: float

    def __repr__(self) -> str:
        return _brief(self, self.chunk.id, self.paper.title, rank=self.rank, score=round(self.score, 4))

    @property
    def paper(self) -> Paper:
        """The paper of the chunk."""
        return self.chunk.paper


@dataclass(frozen=True, slots=True)
class Usage:
    """What a chat model was asked to do for one answer; zeros when none was.

    usd  what that cost; None when the price is not known, 0.0 for nothing asked or a server of one's own

    >>> rag.Usage(1, 300, 40, 0.002) + rag.Usage(1, 100, 10, None)
    Usage(calls=2, prompt_tokens=400, completion_tokens=50, usd=None)
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = None

    def __post_init__(self) -> None:
        if not self.calls and self.usd is None:
            object.__setattr__(self, "usd", 0.0)

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            None if self.usd is None or other.usd is None else self.usd + other.usd,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What a chat model said, thoughts and all.

    finish   how it ended: "stop" by itself; "length" cut by the limit; "refused" by the model or a
             content filter; "tools" it called a tool it was not offered; "unknown" the server does not say
    """

    text: str
    usage: Usage
    finish: Finish = "unknown"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file: a version line, a system part and a user part with $variables."""

    name: str
    version: int
    system: str
    user: str

    def fill(self, **values: str) -> str:
        """The user part with every variable filled in.

        Raises PromptError when a variable has no value or a value no variable; an empty value is
        an error too, since a prompt with a hole in it is answered all the same.
        """
        template = string.Template(self.user)
        if not template.is_valid():
            raise PromptError(f"prompt {self.name!r} (version {self.version}): a $ that names no variable; write $$")
        wanted = set(template.get_identifiers())
        empty = {name for name, value in values.items() if not value.strip()}
        if wanted != set(values) or empty:
            wrong = ", ".join(sorted(wanted ^ set(values) | empty))
            raise PromptError(f"prompt {self.name!r} (version {self.version}): not filled rightly: {wrong}")
        return template.substitute(values)


class Marked(NamedTuple):
    """A sentence as it was drafted: one line without its marks, and the numbers they name, in order, once each."""

    text: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer before it is checked, sentence by sentence.

    A number n of a sentence names `passages[n-1]`, if there is one. `status` is what the writer makes of it: "refused"
    when it found no answer in the passages, "partial" when it found some, and `missing` says what it did
    not find ("" otherwise). `model` is "extractive" or the chat model's name. `lead` stands before the sentences and
    says how many papers there are, or what they do not give; it claims nothing of what they say. `edited` has the
    sentences whose opening was cut or resolved, each with how it stands in the abstract.

    >>> rag.Draft((), (), "refused", "extractive", missing="its cost").missing
    'its cost'
    """

    sentences: tuple[Marked, ...]
    passages: tuple[Evidence, ...]
    status: Status
    model: str
    usage: Usage = Usage()
    missing: str = ""
    lead: str = ""
    edited: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        counts = {"sentences": len(self.sentences), "passages": len(self.passages)}
        return _brief(self, status=self.status, model=self.model, **counts, missing=self.missing)


@dataclass(frozen=True, slots=True)
class Citation:
    """A verbatim quote: `paper.abstract[start:end] == quote` (code points). `number` (from 1) is the paper's mark.

    One that does not stand there cannot be made: ValueError.

    >>> c = rag.answer("Which attention is IO-aware?").citations[0]
    >>> c.number, c.paper.abstract[c.start : c.end] == c.quote
    (1, True)
    """

    number: int
    paper: Paper
    quote: str
    start: int
    end: int

    def __post_init__(self) -> None:
        if not self.quote or self.paper.abstract[self.start : self.end] != self.quote:
            raise ValueError(f"not verbatim at {self.start}:{self.end} of paper {self.paper.id}: {self.quote!r}")

    def __repr__(self) -> str:
        return _brief(self, self.number, self.paper.title, start=self.start, end=self.end, quote=self.quote)


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of an answer, `start:end` (code points) in the answer's text; 0:0 when it was removed.

    verdict  "quoted" word for word; "supported" or "partial" by its citations; "unsupported" or "uncited" was removed
    reason   one line: why

    >>> claim = rag.answer("Which attention is IO-aware?").claims[0]
    >>> claim.verdict, len(claim.citations)
    ('quoted', 1)
    """

    text: str
    start: int
    end: int
    citations: tuple[Citation, ...]
    verdict: Verdict
    reason: str

    def __repr__(self) -> str:
        return _brief(self, self.text, self.verdict, citations=len(self.citations), reason=self.reason)


class Verified(NamedTuple):
    """What became of a draft: the text with its claims in it, what was taken out, and marks that named nothing."""

    text: str
    claims: tuple[Claim, ...]
    removed: tuple[Claim, ...]
    unknown_marks: int


@dataclass(frozen=True, slots=True)
class Traced:
    """One line of a trace: a chunk or paper id with its rank and score at a stage."""

    id: str
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Where:
    """The filter that was used, and the papers it left to ask: so many `of` all.

    `text` is what `rag.filters` reads; `silent` papers lack a field that it asks for, and meet the rest.
    """

    text: str
    papers: int
    of: int
    silent: int = 0

    @property
    def said(self) -> str:
        """Which papers were looked at, and how many that is."""
        silent = f"; {self.silent:,} more {'do' if self.silent > 1 else 'does'} not say" if self.silent else ""
        return f"Only papers with {self.text} ({self.papers:,} of {self.of:,}{silent})."


@dataclass(frozen=True, slots=True)
class Answer:
    """What the library says about a question, and everything needed to check it.

    question    as asked
    query       the stand-alone form that was searched
    text        sentences with `[n]` marks; for a refusal, what the library lacks
    status      "answered", "partial" (the text says which part was not found) or "refused"
    claims      the sentences of the text, in order
    removed     sentences that were taken out, each with its reason
    citations   those of the claims, in order of first mention; a number names a paper
    evidence    what the answer was written from, best first
    model       "extractive" or the chat model's name
    usage       calls and tokens of the chat model, and what they cost
    seconds     wall seconds per stage, in the order run
    trace       ids, ranks and scores at each stage
    run         fingerprint of settings, prompts, model and library
    where       the filter that was used; None is none
    searched    queries that were searched beside the question, as a chat model wrote them

    >>> a = rag.answer("Which attention is IO-aware?")
    >>> str(a) == a.text, a.status, Answer.from_dict(a.to_dict()) == a
    (True, 'answered', True)
    """

    question: str
    query: str
    text: str
    status: Status
    claims: tuple[Claim, ...]
    removed: tuple[Claim, ...]
    citations: tuple[Citation, ...]
    evidence: tuple[Evidence, ...]
    model: str
    usage: Usage
    seconds: FrozenMap[float]
    trace: FrozenMap[tuple[Traced, ...]]
    run: str
    where: Where | None = None
    searched: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        counts = {"claims": len(self.claims), "citations": len(self.citations)}
        return _brief(self, self.question, status=self.status, **counts, text=self.text)

    def _repr_html_(self) -> str:
        from rag import notebook

        return notebook.answer_html(self)

    def _repr_markdown_(self) -> str:
        from rag import notebook

        return notebook.answer_markdown(self)

    @property
    def verified(self) -> str:
        """The text without what was taken out, which `keep_unverified` puts, struck through, after it."""
        return self.text.partition(f"\n\n{STRUCK}")[0] if self.removed else self.text

    @property
    def numbers(self) -> dict[int, Paper]:
        """The papers cited, by their mark, in order of first mention."""
        return {citation.number: citation.paper for citation in self.citations}

    def to_dict(self) -> dict[str, Any]:
        """Versioned plain JSON; each paper stands once, under "papers"."""
        return {
            "version": JSON_VERSION,
            "question": self.question,
            "query": self.query,
            "text": self.text,
            "status": self.status,
            "claims": [_claim_dict(claim) for claim in self.claims],
            "removed": [_claim_dict(claim) for claim in self.removed],
            "citations": [_citation_dict(citation) for citation in self.citations],
            "evidence": [_evidence_dict(evidence) for evidence in self.evidence],
            "model": self.model,
            "usage": asdict(self.usage),
            "seconds": dict(self.seconds),
            "trace": {stage: [[t.id, t.rank, t.score] for t in traced] for stage, traced in self.trace.items()},
            "run": self.run,
            **_where_dict(self.where),
            **({"searched": list(self.searched)} if self.searched else {}),
            "papers": {paper.id: paper.to_dict() for paper in self._papers()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Answer:
        """The Answer that `to_dict` wrote.

        Raises ValueError for another version, KeyError or TypeError for what is no answer at all.
        """
        if data.get("version") != JSON_VERSION:
            raise ValueError(f"answer JSON of version {data.get('version')!r}; this package reads {JSON_VERSION}")
        papers = {id: Paper.from_dict(paper) for id, paper in data["papers"].items()}
        return cls(
            question=data["question"],
            query=data["query"],
            text=data["text"],
            status=data["status"],
            claims=tuple(_claim(claim, papers) for claim in data["claims"]),
            removed=tuple(_claim(claim, papers) for claim in data["removed"]),
            citations=tuple(_citation(citation, papers) for citation in data["citations"]),
            evidence=tuple(_evidence(evidence, papers) for evidence in data["evidence"]),
            model=data["model"],
            usage=Usage(**data["usage"]),
            seconds=FrozenMap(data["seconds"]),
            trace=FrozenMap({s: tuple(Traced(*t) for t in traced) for s, traced in data["trace"].items()}),
            run=data["run"],
            where=Where(data["where"], **data["selected"]) if data.get("where") else None,
            searched=tuple(data.get("searched", ())),
        )

    def _papers(self) -> Iterator[Paper]:
        for claim in (*self.claims, *self.removed):
            yield from (citation.paper for citation in claim.citations)
        yield from (citation.paper for citation in self.citations)
        yield from (evidence.paper for evidence in self.evidence)


def _brief(value: object, *main: object, **named: object) -> str:
    """A repr of one line, under 200 characters however long the texts are."""
    parts = [*map(_cut, main), *(f"{name}={_cut(part)}" for name, part in named.items())]
    return f"{type(value).__name__}({', '.join(parts)})"


def _cut(value: object) -> str:
    text = repr(value[: SHOWN + 1] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN + 2 else f"{text[: SHOWN - 2]}...{text[0]}"


def _name(paper: Paper) -> dict[str, str]:
    return {"id": paper.id, "title": paper.title}


def _where_dict(where: Where | None) -> dict[str, Any]:
    counts = {"papers": where.papers, "of": where.of, "silent": where.silent} if where else None
    return {"where": where.text if where else None, "selected": counts}


def _citation_dict(c: Citation) -> dict[str, Any]:
    return {"number": c.number, "paper": _name(c.paper), "quote": c.quote, "start": c.start, "end": c.end}


def _claim_dict(claim: Claim) -> dict[str, Any]:
    return {
        "text": claim.text,
        "start": claim.start,
        "end": claim.end,
        "citations": [_citation_dict(citation) for citation in claim.citations],
        "verdict": claim.verdict,
        "reason": claim.reason,
    }


def _evidence_dict(evidence: Evidence) -> dict[str, Any]:
    c = evidence.chunk
    chunk = {"id": c.id, "paper": _name(c.paper), "start": c.start, "end": c.end, "tokens": c.tokens}
    return {"chunk": chunk, "rank": evidence.rank, "score": evidence.score}


def _citation(data: Mapping[str, Any], papers: Mapping[str, Paper]) -> Citation:
    return Citation(data["number"], papers[data["paper"]["id"]], data["quote"], data["start"], data["end"])


def _claim(data: Mapping[str, Any], papers: Mapping[str, Paper]) -> Claim:
    citations = tuple(_citation(citation, papers) for citation in data["citations"])
    return Claim(data["text"], data["start"], data["end"], citations, data["verdict"], data["reason"])


def _evidence(data: Mapping[str, Any], papers: Mapping[str, Paper]) -> Evidence:
    c = data["chunk"]
    chunk = Chunk(c["id"], papers[c["paper"]["id"]], c["start"], c["end"], c["tokens"])
    return Evidence(chunk, data["rank"], data["score"])
