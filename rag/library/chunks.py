"""Paper -> Chunks: spans of whole sentences that fit the embedder.

A chunk is a pair of offsets, never a copy. It is measured in the embedder's own tokens together
with the title, because the title is embedded in front of every chunk: a span must be found even
when it says "it". Sentences are spread evenly, so that no chunk is a leftover; a sentence that is
longer than a chunk is cut at white space. The spans of a paper hold every character of its
abstract that is not white space, once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil

from rag.records import Chunk, Paper, chunk_id
from rag.text import Span, readable, sentences

TITLE_SHARE = 0.4  # of the limit; a longer title is cut when embedded


def passage(paper: Paper, start: int, end: int) -> str:
    """What is embedded and indexed for a span: the title and the span, readable."""
    return f"{readable(paper.title)}. {readable(paper.abstract[start:end])}"


def chunk(paper: Paper, count: Callable[[str], int], limit: int) -> tuple[Chunk, ...]:
    """The chunks of a paper in order, each of at most `limit` tokens by `count`, title included.

    A paper with an empty abstract gives one empty chunk, so that it can be found by its title.
    """
    title = min(count(readable(paper.title)) + 1, int(limit * TITLE_SHARE))
    room = max(limit - title, 8)
    pieces = [
        (span, tokens)
        for sentence in sentences(paper.abstract)
        for span, tokens in _fitting(paper.abstract, sentence, count, room)
    ]
    groups = _groups([tokens for _, tokens in pieces], room) or [(0, 0)]
    return tuple(
        Chunk(
            id=chunk_id(paper.id, number),
            paper=paper,
            start=pieces[first][0].start if pieces else 0,
            end=pieces[last - 1][0].end if pieces else 0,
            tokens=title + sum(tokens for _, tokens in pieces[first:last]),
        )
        for number, (first, last) in enumerate(groups)
    )


def _fitting(text: str, span: Span, count: Callable[[str], int], room: int) -> list[tuple[Span, int]]:
    """The span with its tokens, halved at the white space nearest its middle until every part fits."""
    tokens = count(readable(text[span.start : span.end]))
    if tokens <= room or span.end - span.start < 2:
        return [(span, tokens)]
    middle = (span.start + span.end) // 2
    spaces = (at for at in range(span.start, span.end) if text[at].isspace())
    cut = min(spaces, key=lambda at: abs(at - middle), default=middle)
    left = text[span.start : cut].rstrip()
    right = text[cut : span.end].lstrip()
    halves = (Span(span.start, span.start + len(left)), Span(span.end - len(right), span.end))
    return [part for half in halves for part in _fitting(text, half, count, room)]


def _groups(sizes: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Consecutive [first, last) groups of at most `room`: as few as can be, the largest as small as can be."""
    fewest = len(_packed(sizes, room))
    even = ceil(sum(sizes) / max(1, fewest))
    return next((g for most in range(even, room) if len(g := _packed(sizes, most)) == fewest), _packed(sizes, room))


def _packed(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Consecutive [first, last) groups, each filled up to `most` before the next begins."""
    groups: list[tuple[int, int]] = []
    first = size = 0
    for at, tokens in enumerate(sizes):
        if at > first and size + tokens > most:
            groups.append((first, at))
            first, size = at, 0
        size += tokens
    return [*groups, (first, len(sizes))] if sizes else groups
