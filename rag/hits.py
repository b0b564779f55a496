"""The papers that a search found, as a tuple that shows itself in one line, and in a notebook as a list."""

from __future__ import annotations

from rag.records import Hit


class Hits(tuple[Hit, ...]):
    """Hits, best first: a tuple of `Hit`.

    >>> hits = rag.search("state space models", k=2)
    >>> [hit.rank for hit in hits]
    [1, 2]
    >>> hits[0].paper.abstract[hits[0].chunk.start : hits[0].chunk.end] == hits[0].chunk.text
    True
    """

    __slots__ = ()

    def __repr__(self) -> str:
        best = f", the first {self[0].paper.headline[:56]!r}" if self else ""
        return f"Hits({len(self)} paper{'s' * (len(self) != 1)}{best})"

    def _repr_html_(self) -> str:
        from rag import notebook

        return notebook.hits_html(self)

    def _repr_markdown_(self) -> str:
        from rag import notebook

        return notebook.hits_markdown(self)
