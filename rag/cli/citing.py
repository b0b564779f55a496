"""`rag cite`: the papers that support a claim, keys put into a draft, and the citations of a draft checked.

Exit codes: 0 every claim is supported (or every citation borne out), 3 some are not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rag import drafts, formats
from rag.cli import common
from rag.errors import PaperNotFound, RagError, UsageError

if TYPE_CHECKING:
    from rag.answering.assistant import Assistant
    from rag.attributed import Attribution, Bearing
    from rag.drafts import Form, Statement
    from rag.library.store import Library
    from rag.records import Paper

SHOWN = 3  # papers for a claim
UNSUPPORTED = 3  # exit code
LONGEST_DRAFT = 4 << 20  # bytes
LONGEST_CLAIM = 1000  # characters of a sentence of a draft


class Draft(NamedTuple):
    """A draft: what it is called, its text, what it is written in; no file if it was piped."""

    name: str
    text: str
    form: Form
    file: Path | None = None


class Said(NamedTuple):
    """A statement of a draft, and what papers say on it."""

    draft: Draft
    statement: Statement
    found: Attribution


def cite(arguments: argparse.Namespace) -> int:
    """Say which papers support a claim, or the claims of drafts."""
    words: list[str] = arguments.text
    found = _drafts(words)
    if not found and (arguments.format or _are_papers(words, arguments)):
        return _entries(words, arguments)
    for option in ("in_place", "check", "bib"):
        if getattr(arguments, option) and not found:
            typed = f"--{option.replace('_', '-')}"
            raise UsageError(
                f"{typed} takes a draft; type: rag cite draft.tex {typed}{' refs.bib' * (option == 'bib')}"
            )
    if arguments.in_place and arguments.check:
        raise UsageError("--check changes nothing; leave out --in-place")
    if arguments.check:
        return _check(found, arguments)
    return _cite_drafts(found, arguments) if found else _cite_claim(" ".join(words), arguments)


# --- what was typed -----------------------------------------------------------------------------


def _drafts(words: Sequence[str]) -> list[Draft]:
    """The drafts that the arguments name; none if they are a claim. Raises RagError for one that cannot be read."""
    if list(words) == ["-"]:
        text = _decoded(sys.stdin.buffer.read(LONGEST_DRAFT + 1), "standard input")
        return [Draft("-", text, drafts.form_of(text))]
    named = [Path(os.path.expanduser(word)) for word in words if _names_a_file(word)]
    if len(named) < len(words):
        return []
    return [_read(file) for file in named]


def _names_a_file(word: str) -> bool:
    """Is it a file, or does its ending say that it is meant as one?"""
    ending = os.path.splitext(word)[1].lower() in (*drafts.LATEX, *drafts.MARKDOWN)
    return (ending and not any(map(str.isspace, word))) or (
        "\0" not in word and len(word) < 1000 and os.path.exists(os.path.expanduser(word))
    )


def _read(file: Path) -> Draft:
    try:
        with file.open("rb") as opened:
            text = _decoded(opened.read(LONGEST_DRAFT + 1), str(file))
    except OSError as error:
        raise RagError(f"{file}: cannot be read ({error.strerror}); name a draft in LaTeX or Markdown") from error
    return Draft(str(file), text, drafts.form_of(text, file.suffix), file)


def _decoded(raw: bytes, name: str) -> str:
    if len(raw) > LONGEST_DRAFT:
        raise RagError(f"{name} has more than {LONGEST_DRAFT >> 20} MB; give a chapter at a time")
    if raw.startswith((b"%PDF", b"PK\x03\x04", b"\xd0\xcf\x11\xe0")) or b"\0" in raw:
        raise RagError(f"{name} is no text (a PDF, a Word file?); name a draft in LaTeX or Markdown")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise RagError(f"{name}:{line} is not UTF-8 text; save the draft as UTF-8") from None
    return text


def _are_papers(words: Sequence[str], arguments: argparse.Namespace) -> bool:
    """Do the words name papers, as `rag cite PAPER` once took them?"""
    library = common.library_of(arguments)
    return all(_is_paper(library, word) for word in words) or _is_paper(library, " ".join(words))


def _is_paper(library: Library, name: str) -> bool:
    try:
        library.paper(name)
    except PaperNotFound:
        return False
    return True


def _entries(words: Sequence[str], arguments: argparse.Namespace) -> int:
    """What `rag cite PAPER` did, and what it is called now."""
    from rag.cli import library

    print("rag: the entry of a paper is printed by: rag bib PAPER; rag cite finds papers for a claim", file=sys.stderr)
    arguments.paper, arguments.format = list(words), arguments.format or formats.DEFAULT
    return library.bib(arguments)


# --- claims -------------------------------------------------------------------------------------


def _cite_claim(claim: str, arguments: argparse.Namespace) -> int:
    where, k = common.where_of(arguments), arguments.k or SHOWN
    assistant = common.assistant_of(arguments, model=common.asked_model(arguments))
    (found,) = assistant.cite([claim], max(k, SHOWN), where)
    if arguments.json:
        common.print_json(found.to_dict())
    else:
        _print(_lines(found, k))
    common.say_where(assistant.library, where)
    return 0 if found.supporting else UNSUPPORTED


def _cite_drafts(found: Sequence[Draft], arguments: argparse.Namespace) -> int:
    where, k = common.where_of(arguments), arguments.k or (1 if arguments.in_place or arguments.bib else SHOWN)
    wanted = [(draft, one) for draft in found for one in _wanting(draft)]
    assistant = common.assistant_of(arguments, model=common.asked_model(arguments))
    told = assistant.cite([one.text for _, one in wanted], max(k, SHOWN), where)
    said = [Said(*both, attribution) for both, attribution in zip(wanted, told, strict=True)]
    used = list({one.paper.id: one.paper for each in said for one in each.found.supporting[:k]}.values())
    keys = _keys(used, arguments.bib)
    _show(said, arguments, k)
    if arguments.bib:
        _write_entries(Path(os.path.expanduser(arguments.bib)), used, keys)
    if arguments.in_place:
        for draft in found:
            _fill(draft, [one for one in said if one.draft is draft], keys, k)
    common.say_where(assistant.library, where)
    return 0 if all(one.found.supporting for one in said) else UNSUPPORTED


def _wanting(draft: Draft) -> list[Statement]:
    """The statements that a paper is looked for. A few words that are no sentence are a claim, too, if they are all there is."""
    stated = drafts.statements(draft.text, draft.form)
    wanted = [one for one in drafts.wanting(stated) if _is_claim(one)]
    return wanted or ([one for one in stated if _is_claim(one)] if len(stated) == 1 else [])


def _is_claim(one: Statement) -> bool:
    return any(map(str.isalnum, one.text)) and len(one.text) <= LONGEST_CLAIM


def _show(said: Sequence[Said], arguments: argparse.Namespace, k: int) -> None:
    """Print what was found for a draft; where the draft itself goes to standard output, to standard error."""
    from rag.show import claims

    piped = arguments.in_place and any(one.draft.file is None for one in said)
    if arguments.json:
        common.print_json([_place(one) | one.found.to_dict() for one in said])
    else:
        for one in said:
            _print(
                [*_heading(one.draft, one.statement), *_lines(one.found, k), ""], sys.stderr if piped else sys.stdout
            )
    print(f"rag: {claims.summary([one.found for one in said])}", file=sys.stderr)


def _place(one: Said) -> dict[str, Any]:
    span = {"start": one.statement.start, "end": one.statement.end}
    return {"file": one.draft.name, "line": one.statement.line, **span}


def _heading(draft: Draft, one: Statement) -> list[str]:
    from rag.text import printable

    return [f"{printable(draft.name)}:{one.line}  {printable(one.text)}"]


def _lines(found: Attribution, k: int) -> list[str]:
    from rag.show import claims

    return claims.lines(found, k, shutil.get_terminal_size().columns if sys.stdout.isatty() else None)


def _print(lines: Sequence[str], stream: Any = None) -> None:
    for line in lines:
        print(line, file=stream or sys.stdout)


# --- keys and entries ---------------------------------------------------------------------------


def _keys(papers: Sequence[Paper], bib: str | None) -> dict[str, str]:
    """id -> key; one that a file of entries gives to another paper is made to differ."""
    from rag import bibliography
    from rag.text import title_key

    held = _held(Path(os.path.expanduser(bib))) if bib else {}
    keys = bibliography.keys(papers)
    taken = {p.id for p in papers if held.get(keys[p.id].lower(), title_key(p.title)) != title_key(p.title)}
    return {id: f"{key}-{id}" if id in taken else key for id, key in keys.items()}


def _held(file: Path) -> dict[str, str]:
    """The keys of a file of entries, in lower case, each with its normalised title; none if it is not there."""
    from rag.readers.bibtex import unbraced
    from rag.readers.bibtex_entries import entries
    from rag.text import title_key

    if not file.exists():
        return {}
    found = entries(_read(file).text)
    titles = (
        (one.key.lower(), next(("".join(parts) for name, parts in one.fields if name == "title"), "")) for one in found
    )
    return {key: title_key(unbraced(title.strip('{}"'))) for key, title in titles if key}


def _write_entries(file: Path, papers: Sequence[Paper], keys: Mapping[str, str]) -> None:
    """Put the entries that a file lacks at its end; it is made if need be."""
    from rag.show import export

    held = _held(file)
    new = [paper for paper in papers if keys[paper.id].lower() not in held]
    old = _read(file).text if file.exists() else ""
    if new:
        gap = "\n" * (2 - old.endswith("\n")) if old.strip() else ""
        export.write(file, old + gap + export.bibtex(new, keys=keys), over=True)
    more = f", {len(papers) - len(new):,} were there" if len(new) < len(papers) else ""
    print(
        common.one_line(f"rag: {file}: {len(new):,} {'entry' if len(new) == 1 else 'entries'} added{more}"),
        file=sys.stderr,
    )


def _fill(draft: Draft, said: Sequence[Said], keys: Mapping[str, str], k: int) -> None:
    """Put keys into a draft, of which a copy is kept; one that was piped goes to standard output."""
    from rag.show import export

    chosen = [(one.statement, [keys[b.paper.id] for b in one.found.supporting[:k]]) for one in said]
    text = drafts.filled(draft.text, draft.form, chosen)
    if draft.file is None:
        sys.stdout.write(text)
    elif text == draft.text:
        print(common.one_line(f"rag: {draft.name}: nothing to put in; it stays as it is"), file=sys.stderr)
    else:
        copy = _copied(draft.file)
        export.write(draft.file, text, over=True)
        print(common.one_line(f"rag: {draft.name}: keys put in; as it was: {copy}"), file=sys.stderr)


def _copied(file: Path) -> Path:
    """A copy beside a file, under a name that was free."""
    names = (file.with_name(f"{file.name}.bak{n or ''}") for n in range(1000))
    copy = next(name for name in names if not os.path.lexists(name))
    try:
        shutil.copy2(file, copy)
    except OSError as error:
        raise RagError(f"{copy}: cannot be written ({error.strerror}); {file} was left as it is") from error
    return copy


# --- checking -----------------------------------------------------------------------------------


class Checked(NamedTuple):
    """A citation of a draft: its key, the paper, what this says on its sentence, and another paper that supports it."""

    draft: Draft
    statement: Statement
    key: str
    verdict: str  # of the bearing, or "missing": not in the library; "no claim": nothing to be borne out
    bearing: Bearing | None = None
    instead: Bearing | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "file": self.draft.name,
            "line": self.statement.line,
            "claim": self.statement.text,
            "key": self.key,
            "verdict": self.verdict,
            "paper": self.bearing.to_dict() if self.bearing else None,
            "instead": self.instead.to_dict() if self.instead else None,
        }


def _check(found: Sequence[Draft], arguments: argparse.Namespace) -> int:
    """Say of each citation whether its key is in the library and whether the paper bears its sentence."""
    assistant = common.assistant_of(arguments, model="extractive")
    cited = [
        (d, one, key) for d in found for one in drafts.statements(d.text, d.form) for m in one.marks for key in m.keys
    ]
    checked = list(_checked(assistant, cited, common.where_of(arguments)))
    if arguments.json:
        common.print_json([one.to_dict() for one in checked])
    else:
        for one in checked:
            _print([*_heading(one.draft, one.statement), *_verdict(one), ""])
    counts = {verdict: sum(one.verdict == verdict for one in checked) for verdict in _TOLD}
    told = ", ".join(
        f"{count:,} {_TOLD[verdict]}" for verdict, count in counts.items() if count or verdict == "supports"
    )
    print(f"rag: {len(checked):,} citation{'s' * (len(checked) != 1)}: {told}", file=sys.stderr)
    return 0 if all(one.verdict in ("supports", "no claim") for one in checked) else UNSUPPORTED


_TOLD = {
    "supports": "borne out", "differs": "said otherwise there", "unclear": "not borne out by the abstract",
    "missing": "not in this library", "no claim": "in sentences that claim nothing",
}  # fmt: skip


def _checked(assistant: Assistant, cited: Sequence[tuple[Draft, Statement, str]], where: Any) -> Iterator[Checked]:
    known = _by_key(assistant.library) if cited else {}
    papers = [known.get(key.lower(), []) if one.claims and _is_claim(one) else [] for _, one, key in cited]
    found = assistant.check([(one.text, held) for (_, one, _), held in zip(cited, papers, strict=True)])
    for (draft, one, key), said in zip(cited, found, strict=True):
        best = next((b for v in ("supports", "differs", "unclear") for b in said.bearings if b.verdict == v), None)
        if best and best.verdict == "supports":
            yield Checked(draft, one, key, best.verdict, best)
            continue
        if key.lower() in known and not best:
            yield Checked(draft, one, key, "no claim")
            continue
        others = assistant.cite([one.text], 1, where)[0].supporting if one.claims and _is_claim(one) else ()
        yield Checked(draft, one, key, best.verdict if best else "missing", best, next(iter(others), None))


def _by_key(library: Library) -> dict[str, list[Paper]]:
    """The papers of each key, in lower case."""
    from rag import bibliography

    found: dict[str, list[Paper]] = {}
    for paper in library:
        for key in bibliography.known_keys(paper):
            found.setdefault(key.lower(), []).append(paper)
    return found


def _verdict(one: Checked) -> Iterator[str]:
    from rag.show import claims
    from rag.text import printable

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if one.bearing:
        yield from claims.bearing(one.bearing, width)
    else:
        yield f"{one.verdict:<8}  {printable(one.key)}" + (
            "  is not in this library" if one.verdict == "missing" else ""
        )
    if one.instead:
        yield "instead:"
        yield from claims.bearing(one.instead, width)
