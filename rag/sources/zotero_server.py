"""Zotero itself, asked at the address that it serves on this machine (since version 7, if its settings allow it)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rag.sources.keeping import Missed
from rag.sources.web import get
from rag.sources.zotero_items import VARIABLE, Collection, Item

HERE = "http://localhost:23119"
PAGE = 100  # items of one reply
_NOT_FOUND = f"no zotero.sqlite in the usual places; set {VARIABLE} to Zotero's data folder, or start Zotero"
_CLOSED = (
    "Zotero does not let other programs ask it (HTTP 403); allow it in its settings, under Advanced, "
    f"or set {VARIABLE} to its data folder"
)


@contextmanager
def opened(url: str) -> Iterator[Server]:
    """What a running Zotero holds. Raises Missed."""
    try:
        yield Server(url.rstrip("/"))
    except Missed as missed:
        if missed.status == 403:
            raise Missed(_CLOSED) from missed
        if url == HERE:
            raise Missed(_NOT_FOUND) from missed
        raise


class Server:
    """The holdings of a running Zotero."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api"
        groups = {f"groups/{one['id']}": str(one["data"]["name"]) for one in self._pages("users/0/groups")}
        self.libraries: dict[Any, str] = {"users/0": ""} | groups

    def collections(self) -> Sequence[Collection]:
        """See `Holdings`."""
        return [
            Collection(one["key"], str(one["data"]["name"]), one["data"].get("parentCollection") or None, library)
            for library in self.libraries
            for one in self._pages(f"{library}/collections")
        ]

    def items(self, library: Any) -> Iterator[Item]:
        """See `Holdings`."""
        for one in self._pages(f"{library}/items/top", sort="dateAdded", direction="asc"):
            data = dict(one["data"])
            tags = [tag.get("tag", "") for tag in data.get("tags") or () if isinstance(tag, dict)]
            yield Item(data | {"tags": tags}, frozenset(data.get("collections") or ()))

    def _pages(self, path: str, **parameters: str) -> Iterator[dict[str, Any]]:
        """The objects of a list, page after page. Raises Missed."""
        seen: set[Any] = set()
        while True:
            body = get(f"{self._url}/{path}", format="json", limit=str(PAGE), start=str(len(seen)), **parameters)
            page = self._objects(body)
            new = [one for one in page if one.get("key", one.get("id")) not in seen]
            seen |= {one.get("key", one.get("id")) for one in new}
            yield from new
            if len(page) != PAGE or not new:
                return

    def _objects(self, body: bytes) -> list[dict[str, Any]]:
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list) or not all(
            isinstance(o, dict) and isinstance(o.get("data"), dict) for o in found
        ):
            raise Missed(f"{self._url} answers, but not as Zotero does; check {VARIABLE}")
        return found
