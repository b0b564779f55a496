"""What Zotero holds -> kept files of its items, as it writes them in JSON. Nothing of Zotero's is ever written to.

The database is copied with its journal and read from the copy: a running Zotero keeps it locked, and what it was
writing at that moment is rolled back in the copy, not there. Where no database is found Zotero itself is asked, at the
local address that it serves. Collections are named by their paths, those of groups behind the group's name; a
collection stands for those in it, too. What lies in the trash is left out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from difflib import get_close_matches
from typing import Any

from rag.addresses import Address
from rag.sources import zotero_file, zotero_server
from rag.sources.keeping import Missed, keep
from rag.sources.zotero_items import VARIABLE, Collection, Holdings

NAMED = 8  # collections that a message names
NO_PAPERS = ("note", "attachment", "annotation")
_TITLES = ("title", "caseName", "nameOfAct", "subject")  # where types of items have their titles
_VENUES = (
    "publicationTitle proceedingsTitle bookTitle conferenceName encyclopediaTitle dictionaryTitle websiteTitle "
    "blogTitle meetingName university institution"
).split()
_NOTED = {
    "PMID": re.compile(r"^PMID:\s*(\d+)", re.MULTILINE | re.IGNORECASE),
    "arxiv": re.compile(r"^arXiv:\s*(\S+)", re.MULTILINE | re.IGNORECASE),
}  # what people and programs write into the field "extra"


Shelf = tuple[Any, frozenset[Any] | None]  # a library, and some of its collections or None for all of it


def fetched(addresses: Sequence[Address]) -> dict[Address, Missed | None]:
    """Keep what each names; None for one that was, else why it was not."""
    if not addresses:
        return {}
    try:
        with _opened() as holdings:
            shelves = _shelves(holdings)
            return {one: _kept(one, holdings, shelves) for one in addresses}
    except Missed as missed:
        return dict.fromkeys(addresses, missed)


def _opened() -> AbstractContextManager[Holdings]:
    """The database, or Zotero itself. Raises Missed."""
    said = os.environ.get(VARIABLE, "").strip()
    if re.match(r"https?://", said):
        return zotero_server.opened(said)
    file = zotero_file.found(said)
    return zotero_file.opened(file) if file else zotero_server.opened(zotero_server.HERE)


def _kept(address: Address, holdings: Holdings, shelves: Mapping[str, Shelf]) -> Missed | None:
    try:
        library, keys = _shelf(address.id, shelves)
    except Missed as missed:
        return missed
    items = (i.data for i in holdings.items(library) if keys is None or i.collections & keys)
    lines = [json.dumps(_plainly(data), ensure_ascii=False) for data in items if data.get("itemType") not in NO_PAPERS]
    keep(address.file, ("[\n" + ",\n".join(lines) + "\n]\n").encode("utf-8", "replace"))
    return None


# --- which items --------------------------------------------------------------------------------


def _shelves(holdings: Holdings) -> dict[str, Shelf]:
    """Everything that may be named, by its path; "" is all of one's own library. Two of one path are one."""
    found: dict[str, Shelf] = {name: (library, None) for library, name in holdings.libraries.items()}
    known = {one.key: one for one in holdings.collections()}
    for one in known.values():
        chain = _chain(one, known)
        if chain and one.library in holdings.libraries:
            path = "/".join(filter(None, [holdings.libraries[one.library], *(part.name for part in chain)]))
            before = found.get(path, (one.library, frozenset()))[1]
            if before is not None:
                found[path] = one.library, before | _within(one.key, known.values())
    return found


def _chain(one: Collection, known: Mapping[Any, Collection]) -> list[Collection]:
    """The collections that one lies in, outermost first, with itself; none if one of them is in the trash."""
    chain = [one]
    while (parent := chain[0].parent) is not None:
        if parent not in known or len(chain) > len(known):
            return []
        chain.insert(0, known[parent])
    return chain


def _within(key: Any, collections: Iterable[Collection]) -> frozenset[Any]:
    """A collection and all below it."""
    below = [one.key for one in collections if one.parent == key]
    return frozenset({key}).union(*(_within(one, collections) for one in below))


def _shelf(name: str, shelves: Mapping[str, Shelf]) -> Shelf:
    """What a path names, in any case; the end of a path will do where only one ends so. Raises Missed."""
    wanted = name.casefold()
    exact = [path for path in shelves if path.casefold() == wanted]
    ending = exact or [path for path in shelves if path.casefold().endswith(f"/{wanted}")]
    if len(ending) == 1 or exact:
        return shelves[ending[0]]
    if ending:
        raise Missed(f"{name!r} is the name of several collections; give the path: {_listed(ending)}")
    paths = {path.casefold(): path for path in shelves if path}
    ends = {path.rpartition("/")[2]: whole for path, whole in paths.items()}
    near = get_close_matches(wanted, [*paths, *ends], 3, 0.6)
    names = list(dict.fromkeys({**ends, **paths}[one] for one in near))
    there = f"did you mean {_listed(names)}?" if names else f"there is {_listed(list(paths.values())) or 'none'}"
    raise Missed(f"Zotero has no collection {name!r}; {there}")


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - NAMED:,} more" if len(paths) > NAMED else ""
    return ", ".join(paths[:NAMED]) + more


# --- one item -----------------------------------------------------------------------------------


def _plainly(data: Mapping[str, Any]) -> dict[str, Any]:
    """An item with its title and venue where journal articles have them, and the numbers that stand in "extra"."""
    extra = str(data.get("extra") or "")
    found = {name: number[1] for name, pattern in _NOTED.items() if (number := pattern.search(extra))}
    archive = str(data.get("archiveID") or "")
    if archive.lower().startswith("arxiv:"):
        found["arxiv"] = archive
    first = {"title": _first(data, _TITLES), "publicationTitle": _first(data, _VENUES)}
    rest = {name: part for name, part in data.items() if part and name not in ("collections", "relations", "version")}
    return found | rest | {name: text for name, text in first.items() if text}


def _first(data: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((str(data[name]) for name in names if data.get(name)), "")
