"""Values as a notebook shows them: HTML, and Markdown for what shows no HTML; quotes open at a click.

All text of papers, models and questions is escaped, and marked so that MathJax leaves it alone. The values are
described by what is read of them, since they are defined above this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rag.escaping import both, html, inline, markdown, unblocked, web

AUTHORS = 3  # named of a paper; of more the first only
_DIM = "opacity:0.7;font-size:90%"
_QUOTE = "margin:0.2em 0 0.4em 0.4em;padding-left:0.8em;border-left:3px solid #3a9a5b"


# --- HTML ---------------------------------------------------------------------------------------


def answer_html(answer: Any) -> str:
    """Question and answer; each source opens to its quotes, what was taken out to its reasons."""
    return _block(
        _dim(html(answer.question)),
        *(f'<p style="margin:0.3em 0">{html(part)}</p>' for part in answer.verified.split("\n") if part.strip()),
        *(_source(number, paper, quotes) for number, paper, quotes in _quoted(answer)),
        _taken_out(answer.removed),
        _dim(html(_about(answer))),
    )


def hits_html(hits: Iterable[Any]) -> str:
    """A row a paper: rank, title, years and authors, score; it opens to the passage found."""
    return _block(
        *(_details(f"{hit.rank}. {_named(hit.paper)}", _quote(hit.chunk.text), _dim(html(_facts(hit.paper, hit.score)))) for hit in hits)
    )  # fmt: skip


def paper_html(paper: Any) -> str:
    """Title, what is known of it, and its abstract."""
    return _block(f"<p><b>{_named(paper)}</b></p>", f"<p>{html(paper.abstract)}</p>", _dim(html(_facts(paper))))


def attribution_html(attribution: Any) -> str:
    """The claim, and what each paper says on it; it opens to the quotes."""
    shown = [
        _details(
            f"<b>{html(one.verdict)}</b> {_named(one.paper)}",
            *(_quote(quote.quote) for quote in one.quotes),
            _dim(html(f"{one.key} · {one.reason}")),
        )
        for one in attribution.bearings
    ]
    nothing = "" if attribution.supporting else _dim("Nothing in this library supports this.")
    return _block(f"<p>{html(attribution.claim)}</p>", nothing, *shown)


def table_html(table: Any) -> str:
    """A row a paper; a cell that is part of a sentence has its quote behind it."""
    head = "".join(f'<th style="text-align:left">{html(name)}</th>' for name in ("paper", *table.columns))
    rows = "".join(f"<tr>{_cell(_named(row.paper))}{''.join(map(_filled, row.cells))}</tr>" for row in table.rows)
    return _block(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")


def _filled(cell: Any) -> str:
    longer = cell.quote and cell.quote.quote != cell.text
    return _cell(_details(html(cell.text), _quote(cell.quote.quote)) if longer else html(cell.text))


def _cell(content: str) -> str:
    return f'<td style="text-align:left;vertical-align:top">{content}</td>'


def _block(*parts: str) -> str:
    """Parts one below the other, in which nothing is taken for a formula."""
    return f'<div class="rag tex2jax_ignore mathjax_ignore" style="max-width:60em">{"".join(parts)}</div>'


def _dim(content: str) -> str:
    return f'<div style="{_DIM}">{content}</div>' if content else ""


def _details(summary: str, *content: str) -> str:
    return f'<details><summary style="cursor:pointer">{summary}</summary>{"".join(content)}</details>'


def _quote(text: str) -> str:
    return f'<blockquote style="{_QUOTE}">{html(text)}</blockquote>'


def _named(paper: Any) -> str:
    """The title, as a link where an address of the paper is known."""
    address = web(paper.url) or web(f"https://doi.org/{paper.doi}" if paper.doi else None)
    title = html(paper.headline)
    return f'<a href="{address}" rel="noopener noreferrer" target="_blank">{title}</a>' if address else title


def _source(number: int, paper: Any, quotes: Sequence[str]) -> str:
    return _details(f"[{number}] {_named(paper)}", *map(_quote, quotes), _dim(html(_facts(paper))))


def _taken_out(removed: Sequence[Any]) -> str:
    if not removed:
        return ""
    struck = (f"<p><s>{html(claim.text)}</s> {html(claim.reason)}</p>" for claim in removed)
    return _details(_count(removed), *struck)


# --- Markdown -----------------------------------------------------------------------------------


def answer_markdown(answer: Any) -> str:
    """As in HTML: Markdown with the parts of HTML that open at a click."""
    said = [unblocked(inline(part)) for part in answer.verified.split("\n") if part.strip()]
    sources = [_opens(f"[{n}] {paper.headline}", quotes, _facts(paper)) for n, paper, quotes in _quoted(answer)]
    struck = [f"{claim.text} ({claim.reason})" for claim in answer.removed]
    out = [_opens(_count(answer.removed), struck, "")] if struck else []
    return "\n\n".join([f"*{markdown(answer.question)}*", *said, *sources, *out, markdown(_about(answer))]) + "\n"


def hits_markdown(hits: Iterable[Any]) -> str:
    """A list of the papers with their scores."""
    return "".join(f"{hit.rank}. {markdown(hit.paper.headline)} ({markdown(_facts(hit.paper, hit.score))})\n" for hit in hits)  # fmt: skip


def table_markdown(table: Any) -> str:
    """A table, a row a paper."""
    rows = [
        ["paper", *table.columns],
        *([row.paper.headline, *(cell.text for cell in row.cells)] for row in table.rows),
    ]
    lines = [f"| {' | '.join(map(markdown, row))} |\n" for row in rows]
    return "".join([lines[0], f"|{' --- |' * len(rows[0])}\n", *lines[1:]])


def _opens(summary: str, quotes: Sequence[str], more: str) -> str:
    lines = [f"> {markdown(quote)}\n" for quote in quotes] + ([f"{markdown(more)}\n"] if more else [])
    return "\n".join([f"<details><summary>{both(summary)}</summary>\n", *lines, "</details>"])


# --- what is told of them -----------------------------------------------------------------------


def _quoted(answer: Any) -> Iterator[tuple[int, Any, list[str]]]:
    """(number, paper, its quotes) of each source, in order of first mention."""
    for number, paper in answer.numbers.items():
        yield number, paper, [one.quote for one in answer.citations if one.number == number]


def _facts(paper: Any, score: float | None = None) -> str:
    authors = ", ".join(paper.authors if len(paper.authors) <= AUTHORS else (f"{paper.authors[0]} and others",))
    known = (authors, str(paper.year or ""), paper.venue, paper.id, "" if score is None else f"{score:.3f}")
    return " · ".join(fact for fact in known if fact)


def _about(answer: Any) -> str:
    by = "the abstracts' own sentences" if answer.model == "extractive" else f"written by {answer.model}, checked"
    return " · ".join(
        filter(None, [answer.status, by if answer.claims else "", answer.where.said if answer.where else ""])
    )


def _count(removed: Sequence[Any]) -> str:
    return f"{len(removed)} sentence{'s' * (len(removed) != 1)} of the model taken out, no support found"
