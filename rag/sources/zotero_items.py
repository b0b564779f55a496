"""What Zotero holds, whichever way it is read: libraries, collections, items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

VARIABLE = "RAG_ZOTERO"  # Zotero's database, its data folder, or the address where it serves


class Collection(NamedTuple):
    """A collection: its key, its name, the key of the one it lies in (None at the top), and its library."""

    key: Any
    name: str
    parent: Any
    library: Any


class Item(NamedTuple):
    """An item as Zotero's JSON has it, and the keys of the collections it lies in."""

    data: dict[str, Any]
    collections: frozenset[Any]


class Holdings(Protocol):
    """What there is."""

    @property
    def libraries(self) -> Mapping[Any, str]:
        """The name of each library's group by the library's id, "" for one's own."""

    def collections(self) -> Sequence[Collection]:
        """All collections that are not in the trash."""

    def items(self, library: Any) -> Iterator[Item]:
        """The items of a library that are not in the trash, oldest first."""
