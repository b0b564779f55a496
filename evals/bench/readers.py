"""What do the readers make of a folder of real exports? File by file, against a count of their own, and all in one.

    python evals/bench/readers.py FOLDER [--reasons 3]

A row is a file: its format, records, papers, records merged, without abstract and refused, seconds; then how
many records with title and abstract the file has by another count, and how many of their titles were kept.
That count knows nothing of the readers: tags and braces by regular expressions, tables and JSON and XML by
the standard library, the encoding by trial. The reasons for what was refused, titles that were lost, and
titles that no other count has, stand below the row. The last lines are the totals, what one reading of the
whole folder makes of it, and whether files of one name give the same papers in every format.
"""

from __future__ import annotations

import argparse
import csv
import html
import io
import json
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).parents[2]))

from rag.errors import ReadError
from rag.readers import Reading, read

Held = tuple[str, str]  # a title and its abstract


# --- another count ------------------------------------------------------------------------------


def held(file: Path) -> set[str]:
    """The titles, letters only, of the records of a file that have an abstract, by its suffix and the standard library."""
    raw = file.read_bytes()
    text = next(text for name in ("utf-8-sig", "gbk", "latin-1") if (text := _as(raw, name)) is not None)
    ways = {".bib": _bibtex, ".csv": _table, ".tsv": _table, ".json": _json, ".xml": _xml}
    pairs = ways.get(file.suffix, _tagged)(text.replace("\r\n", "\n"))
    found = {letters(title) for title, abstract in pairs if letters(abstract) not in ("", "noabstractavailable")}
    return found - {""}


def letters(text: str) -> str:
    """Its letters and digits, without LaTeX commands, tags and case: equal however a program writes a title."""
    plain = re.sub(r"<[^<>]{1,60}>|\\[A-Za-z]+", "", html.unescape(text))
    return "".join(char for char in plain if char.isalnum()).casefold()


def _as(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None


def _tagged(text: str) -> Iterator[Held]:
    """RIS and Web of Science: records end with ER; a line without a tag goes on with the one before."""
    for record in re.split(r"^ER\b.*$", text, flags=re.MULTILINE):
        values: defaultdict[str, str] = defaultdict(str)
        tag = ""
        for line in record.split("\n"):
            found = re.match(r"([A-Z][A-Z0-9])(?:  ?-| )\s*(.*)", line)
            if found and found[1] == "TY":
                values.clear()
            tag = found[1] if found else tag
            values[tag] += " " + (found[2] if found else line)
        yield values["TI"] or values["T1"] or values["CT"] or values["BT"] or values["ST"], values["AB"] or values["N2"]


def _bibtex(text: str) -> Iterator[Held]:
    """Each entry to its last brace; of a field what stands to the brace or quotation mark that closes it."""
    for entry in re.split(r"^\s*(?=@\w+\s*[{(])", text, flags=re.MULTILINE):
        yield _field(entry, "title") + _field(entry, "subtitle"), _field(entry, "abstract")


def _field(entry: str, name: str) -> str:
    found = re.search(rf"\b{name}\s*=\s*([{{\"])", entry, re.IGNORECASE)
    if not found:
        return ""
    depth = 0
    for mark in re.finditer(r'\\.|[{}"]', entry[found.end() :], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(mark[0], 0)
        if depth < 0 or (found[1] + mark[0] == '""' and not depth):
            return entry[found.end() :][: mark.start()]
    return ""


def _table(text: str) -> Iterator[Held]:
    first = text.split("\n")[0]
    rows = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    for row in rows:
        named = {str(key).strip().casefold().replace(" ", "_"): value or "" for key, value in row.items() if key}
        title = next((value for key, value in named.items() if key in ("title", "primary_title", "article_title")), "")
        yield title, next((value for key, value in named.items() if "abstract" in key), "")


def _json(text: str) -> Iterator[Held]:
    def walk(value: Any) -> Iterator[Held]:
        if isinstance(value, dict) and isinstance(value.get("abstract"), str):
            title = value.get("title", "")
            yield title[0] if isinstance(title, list) else title, value["abstract"]
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from walk(part)

    yield from walk(json.loads(text))


def _xml(text: str) -> Iterator[Held]:
    for element in ElementTree.fromstring(text.encode()).iter():
        if _name(element) in ("PubmedArticle", "PubmedBookArticle", "entry", "record"):
            yield (
                _first(element, "ArticleTitle", "title", "BookTitle"),
                _first(element, "AbstractText", "abstract", "summary", "description"),
            )


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _first(element: ElementTree.Element, *names: str) -> str:
    texts = ("".join(found.itertext()) for name in names for found in element.iter() if _name(found) == name)
    return next((text for text in texts if text.strip()), "")


# --- the table ----------------------------------------------------------------------------------


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reasons", type=int, default=3, help="how many reasons a file")
    given = parser.parse_args()
    if not given.folder.is_dir():
        parser.error(f"{given.folder}: no such folder")
    print(f"{'file':44} {'format':18} {'records':>8} {'papers':>7} {'merged':>7} {'without':>8} {'refused':>8} {'s':>6} "
          f"{'held':>6} {'kept':>6}")  # fmt: skip
    totals: Counter[str] = Counter()
    names: defaultdict[str, dict[str, frozenset[str]]] = defaultdict(dict)
    for file in sorted(path for path in given.folder.rglob("*") if path.is_file() and path.name != "MANIFEST.tsv"):
        counts, titles = _row(file, str(file.relative_to(given.folder)), given.reasons)
        totals += counts
        names[file.stem][file.suffix] = titles
    print("total:", ", ".join(f"{count:,} {name}" for name, count in totals.items()))
    print(
        f"kept: {totals['kept']:,} of {totals['held']:,} titles with an abstract ({totals['kept'] / max(1, totals['held']):.2%})"
    )
    began = time.perf_counter()
    print(f"together: {read([given.folder]).summary()} in {time.perf_counter() - began:.1f} s")
    for stem, kinds in names.items():
        if len(kinds) > 1:
            verdict = "the same papers" if len(set(kinds.values())) == 1 else "NOT the same papers"
            print(f"{stem} as {', '.join(kinds)}: {verdict} ({len(next(iter(kinds.values())))})")


def _row(file: Path, shown: str, reasons: int) -> tuple[Counter[str], frozenset[str]]:
    began = time.perf_counter()
    try:
        reading, error = read([file]), ""
    except ReadError as caught:
        reading, error = Reading((), 0, ()), str(caught)
    seconds = time.perf_counter() - began
    kinds = Counter(piece.kind for piece in reading.skipped)
    formats = ", ".join(sorted({one.format for one in reading.files}))
    titles = frozenset(letters(paper.title) for paper in reading.papers)
    wanted, got = held(file), titles | {letters(one.title) for one in reading.merged}
    print(f"{shown[-44:]:44} {formats[:18]:18} {reading.records:8} {len(reading.papers):7} {len(reading.merged):7} "
          f"{kinds['no abstract']:8} {kinds['refused']:8} {seconds:6.2f} {len(wanted):6} {len(wanted & got):6}")  # fmt: skip
    if error:
        print(f"    no paper: {error[:200]}")
    why = Counter(f"{piece.kind}: {piece.reason[:110]}" for piece in reading.skipped if piece.kind != "no abstract")
    for reason, count in why.most_common(reasons):
        print(f"    {count:4} {reason}")
    for what, odd in (("lost", wanted - got), ("in no other count", titles - wanted)):
        for title in sorted(odd)[:reasons]:
            print(f"    {what}: {title[:100]}")
    counts = Counter(
        files=1, read=bool(reading.papers), records=reading.records, papers=len(reading.papers),
        merged=len(reading.merged), without=kinds["no abstract"], refused=kinds["refused"], held=len(wanted),
        kept=len(wanted & got),
    )  # fmt: skip
    return counts, titles


if __name__ == "__main__":
    main()
