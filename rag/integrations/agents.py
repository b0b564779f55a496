"""What an agent is told of a library: short texts, in which all words of papers and models stand between fences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rag import bibliography
from rag.api.library import Library
from rag.errors import RagError
from rag.prompting import fenced
from rag.records import Answer, Hit, Paper
from rag.show import render
from rag.text import readable

MOST = 20  # papers of one search
LONGEST = 6000  # characters of one text
PASSAGE = 240  # characters of a passage that a search shows
LISTED = 500  # papers that the list of a library names


def skill() -> str:
    """The text that teaches an agent the command line."""
    return Path(__file__).with_name("skill.md").read_text("utf-8")


def found(library: Library, query: str, k: int, where: str | None) -> str:
    """The papers nearest to a query. Raises RagError."""
    hits = library.search(query, k=min(k, MOST), where=where)
    return fenced(_cut("\n".join(map(_hit, hits)) or "no paper"))


def answered(answer: Answer) -> str:
    """An answer with its sources."""
    return f"status: {answer.status}\n" + fenced(_cut(render.plain_answer(answer)))


def shown(library: Library, name: str) -> str:
    """One paper. Raises PaperNotFound."""
    paper = library.get(name)
    return fenced(_cut(f"{render.plain_paper(paper)}\nkey: {bibliography.key(paper)}"))


def cited(library: Library, claim: str, k: int) -> str:
    """What papers say on a claim, and their citation keys. Raises RagError."""
    from rag.show import claims

    attribution = library.cite(claim, k=min(k, MOST))
    return f"status: {attribution.status}\n" + fenced(_cut("\n".join(claims.lines(attribution, k, None))))


def listed(library: Library) -> str:
    """Ids and titles of a library's papers."""
    return fenced("\n".join(_titles(library)))


def told(error: RagError) -> str:
    """An error, which may name a title."""
    return "failed\n" + fenced(_cut(" ".join(error.worded("terminal").split())))


def _titles(library: Library) -> Iterator[str]:
    for n, paper in enumerate(library):
        if n == LISTED:
            yield f"and {len(library) - LISTED:,} more"
            return
        yield _title(paper)


def _hit(hit: Hit) -> str:
    text = " ".join(readable(hit.chunk.text).split())
    return f"{hit.rank}. {_title(hit.paper)}\n   {text if len(text) <= PASSAGE else text[:PASSAGE] + ' …'}"


def _title(paper: Paper) -> str:
    return f"{paper.id} {' '.join(paper.headline.split())}" + (f" ({paper.year})" if paper.year else "")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n… and {len(text) - LONGEST:,} characters more"
