"""The commands over a library itself: list and export it, add to it, undo that, and check it.

Each takes the parsed arguments, prints, and gives the exit code; what it does is done elsewhere.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rag import formats
from rag.cli import common
from rag.errors import PaperNotFound, UsageError

if TYPE_CHECKING:
    from rag.library.report import Added
    from rag.library.store import Library
    from rag.records import Paper
    from rag.show.progress import Bar

FILES_SHOWN = 20  # of a library, by `rag status`
PRUNED_SHOWN = 20  # papers named before they are removed


def list_papers(arguments: argparse.Namespace) -> int:
    """Print the papers of the library, a line each."""
    from rag import filters
    from rag.bibliography import byline
    from rag.show.render import shown

    said = " ".join(arguments.filter)
    where = common.where_of(arguments) & (filters.parse(said) if said else filters.ALL)
    library = common.library_of(arguments)
    ids = library.subsets.selected(where).ids if where else None
    papers = [paper for paper in library if ids is None or paper.id in ids]
    if arguments.json:
        common.print_json([_listed(paper) for paper in papers])
    else:
        common.print_pairs(
            [(paper.id, shown("  ".join(filter(None, [byline(paper), paper.headline])))) for paper in papers]
        )
    common.say_where(library, where)
    return 0


def _listed(paper: Paper) -> dict[str, Any]:
    known = {"authors": list(paper.authors), "year": paper.year}
    return {"id": paper.id, "title": paper.title, **known, "sources": list(paper.sources)}


def show(arguments: argparse.Namespace) -> int:
    """Print one paper."""
    from rag.show import render

    paper = common.library_of(arguments).paper(" ".join(arguments.paper))
    if arguments.json:
        common.print_json(paper.to_dict())
    else:
        common.show(lambda: render.rich_paper(paper), lambda: render.plain_paper(paper))
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Write papers of a library for other programs."""
    from pathlib import Path

    from rag.library.report import plural
    from rag.show import export

    file = Path(os.path.expanduser(arguments.output)) if arguments.output not in (None, "-") else None
    form = arguments.format or (formats.PAPERS_BY_SUFFIX.get(file.suffix.lower()) if file else formats.DEFAULT)
    if not form:
        endings = ", ".join(formats.PAPERS_BY_SUFFIX)
        raise UsageError(f"{file}: the ending says no format; use one of {endings}, or add --format NAME")
    library, where = common.library_of(arguments), common.where_of(arguments)
    papers = _named(library, arguments.paper)
    if where:
        admitted = library.subsets.selected(where).ids
        papers = [paper for paper in papers if paper.id in admitted]
        common.say_where(library, where)
    if file:
        export.write(file, export.write_papers(form, papers), over=arguments.force)
    else:
        sys.stdout.write(export.write_papers(form, papers))
    to = f" written to {file}" if file else ""
    print(common.one_line(f"{plural(len(papers), 'paper')}{to}"), file=sys.stderr)
    return 0


def bib(arguments: argparse.Namespace) -> int:
    """Print papers as entries of a bibliography."""
    from rag.show import export

    papers = _named(common.library_of(arguments), arguments.paper)
    sys.stdout.write(export.write_citations(arguments.format, papers))
    return 0


def _named(library: Library, names: Sequence[str]) -> list[Paper]:
    """The papers that the arguments name: one each, or all of them one title. No argument means all papers."""
    try:
        return [library.paper(name) for name in names] or list(library)
    except PaperNotFound:
        if len(names) < 2:
            raise
        with suppress(PaperNotFound):
            return [library.paper(" ".join(names))]
        raise


def status(arguments: argparse.Namespace) -> int:
    """Say what the library holds, where it lies, and what answers."""
    from rag import __version__
    from rag.library.status import status_of
    from rag.show.render import shown

    facts = {"version": __version__, **status_of(common.settings_of(arguments))}
    if arguments.json:
        common.print_json(facts)
        return 0
    files = facts.pop("files", [])
    facts["libraries"] = ", ".join(facts["libraries"]) or "none of your own yet; type: rag add FILE --library NAME"
    texts = facts | ({"skipped": _skipped(facts["skipped"])} if "skipped" in facts else {})
    pairs = [*texts.items(), *(("file", _file_line(file, facts["library"])) for file in files[:FILES_SHOWN])]
    if len(files) > FILES_SHOWN:
        pairs.append(("file", f"and {len(files) - FILES_SHOWN:,} more (listed by --json)"))
    common.print_pairs([(f"{name.replace('_', ' '):<11}", shown(str(text))) for name, text in pairs])
    return 0


def _skipped(kinds: dict[str, list[str]]) -> str:
    """How many pieces of the files are no paper, by the reason."""
    names = {
        "no abstract": ("record without an abstract", "records without an abstract"),
        "refused": ("refused", "refused"),
        "passed over": ("piece that is no record", "pieces that are no record"),
    }
    told = [f"{len(kinds[kind]):,} {names[kind][len(kinds[kind]) != 1]}" for kind in names if kinds[kind]]
    return f"{', '.join(told)} (listed by --json)" if told else "nothing"


def _file_line(file: dict[str, Any], library: str) -> str:
    from shlex import quote

    refused = f", {file['refused']:,} refused" if file["refused"] else ""
    line = (
        f"{file['file']}: {file['papers']:,} papers, {file['format'] or 'in no known format'}{refused}, "
        f"read {file['read']}, {file['state']}"
    )
    again = f"; type: rag sync --library {quote(library)}" + " --prune" * (file["state"] == "no longer there")
    if file["state"] == "its copy is lost":
        again = f"; type: rag add {quote(file['file'])} --library {quote(library)}"
    return line + (again if file["state"] != "unchanged since" else "")


def add(arguments: argparse.Namespace) -> int:
    """Read files into a library of one's own, or what addresses name."""
    from rag.library import changes
    from rag.library.served import embedder_for
    from rag.show.progress import Bar
    from rag.sources import asked

    way = changes.Way(arguments.format, _columns(arguments.map))
    name, named = _own_library(arguments), [os.path.expanduser(file) for file in arguments.files]
    embedder = common.told(embedder_for(name, arguments.embedder, arguments.embed_url))
    if hosts := asked(named):
        print(f"rag: asking {common.one_line(hosts)}", file=sys.stderr)
    with Bar("Adding", quiet=True) as bar:
        report = changes.add(named, name, embedder, way, dry_run=arguments.dry_run, progress=bar)
    code = _reported(report, arguments)
    return 1 if {piece.source for piece in report.skipped}.intersection(named) else code


def sync(arguments: argparse.Namespace) -> int:
    """Read the files of a library again that changed."""
    from rag.library import changes
    from rag.library.served import embedder_for
    from rag.show.progress import Bar

    name = _own_library(arguments)
    embedder = common.told(embedder_for(name))
    with Bar("Syncing", quiet=True) as bar:
        report = changes.sync(
            name,
            embedder,
            prune=arguments.prune,
            agree=lambda papers: arguments.yes or _agreed(papers, name, bar),
            dry_run=arguments.dry_run,
            progress=bar,
        )
    return _reported(report, arguments)


def _agreed(papers: Sequence[Paper], name: str, bar: Bar) -> bool:
    """Does the person at the terminal want these papers removed?"""
    from shlex import quote

    from rag.show.render import shown

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"--prune would remove {len(papers):,} papers that are in none of their files; "
            f"--dry-run --json lists them; to remove them type: rag sync --library {quote(name)} --prune --yes"
        )
    bar.stop()
    print(f"In none of their files any more, {len(papers):,}:", file=sys.stderr)
    for paper in papers[:PRUNED_SHOWN]:
        print(f"  {paper.id}  {shown(paper.headline)}", file=sys.stderr)
    if len(papers) > PRUNED_SHOWN:
        print(f"  and {len(papers) - PRUNED_SHOWN:,} more; --dry-run --json lists them all", file=sys.stderr)
    print("Remove them? rag undo brings them back. [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _reported(report: Added, arguments: argparse.Namespace) -> int:
    """Print a report; the exit code."""
    _print_report(report.to_dict(), report.lines(), arguments)
    if report.problem:
        raise report.problem
    return 1 if arguments.strict and report.of_kind("refused") else 0


def remove(arguments: argparse.Namespace) -> int:
    """Take a paper out of a library of one's own."""
    from rag.library import changes
    from rag.library.served import embedder_for

    name = _own_library(arguments)
    paper = changes.remove(" ".join(arguments.paper), name, embedder_for(name))
    line = f"removed {paper.title!r} ({paper.id}) from {name}; to have it back: rag undo --library {name}"
    _print_report({"library": name, "removed": [paper.id]}, [line], arguments)
    return 0


def undo(arguments: argparse.Namespace) -> int:
    """Take back the last change of a library."""
    from rag.library import changes
    from rag.library.served import embedder_for

    name = _own_library(arguments)
    undone = changes.undo(name, embedder_for(name))
    line = (
        f"undone: {undone['action']} of {undone['at']}; {len(undone['removed']):,} papers taken out, "
        f"{len(undone['restored']):,} as they were before; {name} holds {undone['papers']:,} papers"
    )
    _print_report({"library": name, **undone}, [line], arguments)
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Look whether the parts of a library fit together, and repair them."""
    from rag.library import doctor
    from rag.library.build import named_folder, shipped_folder
    from rag.library.embed import open_embedder
    from rag.library.served import embedder_for
    from rag.show.progress import Bar

    name = common.settings_of(arguments, "extractive").library
    embedder = open_embedder() if name is None else embedder_for(name)
    folder = shipped_folder(embedder) if name is None else named_folder(name)
    if name is None and not os.path.isfile(folder / "library.sqlite"):
        health = doctor.Health(
            str(folder), (doctor.Check("library", "", "not built yet; the first question builds it"),)
        )
    elif arguments.repair:
        with Bar("Repairing", quiet=True) as bar:
            health = doctor.repair(folder, name, embedder, bar)
    else:
        health = doctor.examine(folder, name, embedder)
    _print_report(health.to_dict() | {"library": name or "shipped abstracts"}, health.lines(), arguments)
    return 1 if health.problems else 0


def backup(arguments: argparse.Namespace) -> int:
    """Write a library to one file."""
    from pathlib import Path

    from rag.library.backup import backup

    library, file = common.library_of(arguments), Path(os.path.expanduser(arguments.file))
    told = backup(library, file, over=arguments.force)
    line = f"{told.papers:,} papers written to {file}, {told.size / 1e6:,.1f} MB, read back and compared"
    _print_report({"file": str(file), **told.to_dict()}, [line], arguments)
    return 0


def restore(arguments: argparse.Namespace) -> int:
    """Make a backup a library of one's own."""
    from pathlib import Path

    from rag.library.backup import restore
    from rag.show.progress import Bar

    name = _own_library(arguments)
    with Bar("Restoring", quiet=True) as bar:
        told = restore(Path(os.path.expanduser(arguments.file)), name, over=arguments.force, progress=bar)
    line = f"{name} holds the {told.papers:,} papers that were backed up at {told.made}, each as it was written"
    _print_report({"library": name, **told.to_dict()}, [line], arguments)
    return 0


def _own_library(arguments: argparse.Namespace) -> str:
    name = common.settings_of(arguments, "extractive").library
    if name is None:
        raise UsageError(f"the shipped library is never changed; type: rag {arguments.command} ... --library NAME")
    return name


def _columns(pairs: Sequence[str]) -> dict[str, str]:
    """What --map says, as {field: name in the file}."""
    if wrong := [pair for pair in pairs if not all(part.strip() for part in pair.partition("=")[::2])]:
        raise UsageError(f"--map {wrong[0]!r} is not FIELD=NAME; type, for example: --map title=Headline")
    return {field.strip(): name.strip() for field, _, name in (pair.partition("=") for pair in pairs)}


def _print_report(facts: dict[str, Any], lines: Iterable[str], arguments: argparse.Namespace) -> None:
    from rag.text import printable

    if arguments.json:
        common.print_json(facts)
        return
    for line in lines:
        print("  " * line.startswith(" ") + " ".join(printable(line).split()))
