"""Answers, hits and papers -> what a person reads: rich at a terminal, plain text elsewhere.

Everything that came from a file, a model or a server is passed through `printable` here, and is
never parsed as rich markup. The plain form has no colour, no wrapping and no box, so that it can be
piped into anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rag import bibliography
from rag.records import EXTRACTIVE, STRUCK, Answer, Citation, Explained, Hit, Paper
from rag.text import printable, readable

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

QUOTED = "bold green"
MARK = "bold cyan"
SEARCHES = ("dense", "lexical")  # of `Hit.found`; the others are signals that reorder what these found


# --- plain --------------------------------------------------------------------------------------


def plain_answer(answer: Answer, *, removed: bool = False, abstracts: bool = False) -> str:
    """The text, then the numbered sources with their quotes, then notes, with what was `removed` if asked for.

    Instead of quotes, sources may have whole `abstracts` in which they stand between « and ».
    """
    lines = [printable(answer.text)]
    if answer.citations:
        lines += ["", "Sources"]
    for number, citations in by_number(answer).items():
        lines.append(f"[{number}] {shown(citations[0].paper.headline)}  ({citations[0].paper.id})")
        if abstracts:
            pieces = quoting(citations[0].paper, citations)
            lines += ["    " + "".join(f"«{text}»" if style else text for text, style in pieces), ""]
        else:
            lines += [f'    "{shown(citation.quote)}"' for citation in citations]
    return "\n".join([*lines, *notes(answer, removed), *queries(answer), *(struck(answer) if removed else ())])


def struck(answer: Answer) -> list[str]:
    """A line for each sentence that was taken out: the sentence struck through, and why."""
    return [f"{STRUCK}{printable(claim.text)}{STRUCK}  ({printable(claim.reason)})" for claim in answer.removed]


def plain_hits(hits: Sequence[Hit]) -> str:
    """One line a paper: rank, id, title, fused score, and what found it."""
    return "\n".join(
        f"{hit.rank:>3}  {hit.paper.id}  {shown(hit.paper.headline)}  ({hit.score:.3f}; {found(hit)})" for hit in hits
    )


def plain_explained(explained: Sequence[Explained]) -> str:
    """Each hit with what every search and signal adds to its score."""
    lines = []
    for one in explained:
        lines.append(f"{one.hit.rank:>3}  {one.hit.paper.id}  {shown(one.hit.paper.headline)}  ({one.hit.score:.3f})")
        lines += [f"     {reason}" for reason in reasons(one)]
    return "\n".join(lines)


def plain_paper(paper: Paper) -> str:
    """Title, abstract and where it came from."""
    facts = [f"{name}: {value}" for name, value in details(paper)]
    return "\n".join([shown(paper.headline), "", shown(paper.abstract), "", *facts])


# --- rich ---------------------------------------------------------------------------------------


def rich_hits(hits: Sequence[Hit]) -> Group:
    """Ranked titles with their ids, scores and what found them."""
    from rich.console import Group
    from rich.text import Text

    return Group(
        *(
            _entry(
                f"{hit.rank:>3}",
                Text(shown(hit.paper.headline), "bold"),
                Text(f"{hit.paper.id}  {hit.score:.3f}  {found(hit)}", "dim"),
            )
            for hit in hits
        )
    )


def rich_explained(explained: Sequence[Explained]) -> Group:
    """Each hit with what every search and signal adds to its score."""
    from rich.console import Group
    from rich.text import Text

    return Group(
        *(
            _entry(
                f"{one.hit.rank:>3}",
                Text.assemble((shown(one.hit.paper.headline), "bold"), (f"  {one.hit.score:.3f}", "dim")),
                *(Text(reason, "dim") for reason in reasons(one)),
            )
            for one in explained
        )
    )


def rich_paper(paper: Paper) -> Group:
    """Title, abstract and where it came from."""
    from rich.console import Group
    from rich.text import Text

    facts = [Text(f"{name}: {value}", "dim") for name, value in details(paper)]
    return Group(Text(shown(paper.headline), "bold"), Text(), Text(shown(paper.abstract)), Text(), *facts)


def _entry(mark: str, *lines: Text) -> Table:
    """Lines to the right of a mark; a long one wraps inside its column."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    entry = Table.grid(padding=(0, 1))
    entry.add_row(Text(mark, MARK, no_wrap=True), Group(*lines))
    return entry


def rich_text(answer: str) -> Text:
    """The text of an answer, or as much as there is of it, with its marks standing out."""
    from rich.text import Text

    text = Text(printable(answer))
    text.highlight_regex(r"\[\d+\]", MARK)
    return text


# --- both ---------------------------------------------------------------------------------------


def shown(text: str, *, strip: bool = True) -> str:
    """Text as a person reads it: LaTeX residue made readable, nothing a terminal obeys, one line."""
    plain = printable(readable(text)).replace("\n", " ").replace("\t", " ")
    return plain.strip() if strip else plain


def quoting(paper: Paper, citations: Iterable[Citation]) -> list[tuple[str, str]]:
    """The abstract in pieces (text, style): what was quoted is QUOTED, the rest has no style."""
    pieces, at = [], 0
    for start, end in sorted({(citation.start, citation.end) for citation in citations}):
        if start >= at:
            pieces += [(shown(paper.abstract[at:start], strip=False), ""), (shown(paper.abstract[start:end]), QUOTED)]
            at = end
    pieces.append((shown(paper.abstract[at:], strip=False), ""))
    return [piece for piece in pieces if piece[0]]


def by_number(answer: Answer) -> dict[int, list[Citation]]:
    """The citations of each mark, in order of first mention."""
    grouped: dict[int, list[Citation]] = {}
    for citation in answer.citations:
        grouped.setdefault(citation.number, []).append(citation)
    return grouped


def notes(answer: Answer, removed: bool = False) -> list[str]:
    """What the reader should know besides: a filter, sentences taken out, marks dropped, a model given up."""
    lines = []
    if answer.removed:
        count = len(answer.removed)
        shown_by = ":" if removed else f" (--keep-unverified shows {'them' if count > 1 else 'it'})."
        lines.append(f"{count} sentence{'s' if count > 1 else ''} of the model taken out, no support found{shown_by}")
    unknown = answer.trace.get("unknown marks", ())
    if unknown:
        lines.append(
            f"{unknown[0].rank} mark{'s' if unknown[0].rank > 1 else ''} of the model named no passage: dropped."
        )
    if answer.usage.calls and answer.model == EXTRACTIVE:
        lacks = "Nothing of the model's answer was supported" if answer.removed else "The model wrote no answer"
        lines.append(f"{lacks}; these are the abstracts' own sentences instead.")
    if answer.status == "refused" and answer.model != EXTRACTIVE and answer.evidence:
        lines.append("The model found no answer; --model extractive shows the abstracts' nearest sentences.")
    if removed and answer.removed:
        lines.append(lines.pop(0))  # what it announces comes after the notes
    if answer.where and answer.where.papers:  # else the text says it
        lines.insert(0, shown(answer.where.said))
    return ["", *lines] if lines else []


def queries(answer: Answer) -> list[str]:
    """A line with what a chat model searched beside the question; none if it searched nothing."""
    return [f"searched: {' · '.join(map(shown, answer.searched))}"] if answer.searched else []


def found(hit: Hit) -> str:
    """What found a hit and how, in words."""
    return ", ".join(f"{f.search} #{f.rank} {f.score:.2f}" for f in hit.found if f.search in SEARCHES)


def reasons(explained: Explained) -> list[str]:
    """A line for each search and signal: what it adds to the score, the rank it gives, and from what.

    One that has no words here yet is shown by its own name.
    """
    said = {
        "dense": "cosine of the abstract's nearest piece",
        "lexical": "BM25",
        "sentence": f"cosine of “{shown(explained.sentence)}”",
        "words": f"of the words' weight held: {shown(', '.join(explained.held)) or 'none'}"
        + (f"; not held: {shown(', '.join(explained.lacking))}" if explained.lacking else ""),
    }
    lines = (
        f"+{f.part:.3f}  {f.search} #{f.rank}: {f.score:.2f} {said.get(f.search, '')}" for f in explained.hit.found
    )
    return [line.rstrip() for line in lines]


def _more(paper: Paper) -> list[tuple[str, str]]:
    """What else is known, as a person reads it; of the fields of an entry not those about one's own files."""
    kept = {name: value for name, value in paper.extra.items() if not name.startswith(bibliography.FIELD)}
    fields = bibliography.fields(paper.extra)
    cited = {
        name: bibliography.in_plain(name, value)
        for name, value in fields.items()
        if name not in ("title", "author") and not bibliography.LOCAL.fullmatch(name)
    }
    return [*kept.items(), *cited.items()]


def details(paper: Paper) -> list[tuple[str, str]]:
    """What is known of a paper besides title and abstract, printable, in the order shown."""
    known: list[tuple[str, object]] = [("id", paper.id)]
    known += [("authors", "; ".join(paper.authors)), ("year", paper.year), ("venue", paper.venue)]
    known += [("doi", paper.doi), ("url", paper.url), ("from", ", ".join(paper.sources)), *_more(paper)]
    return [(printable(name), printable(str(value))) for name, value in known if value]
