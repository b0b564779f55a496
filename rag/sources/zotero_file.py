"""Zotero's database file: where it lies, and what it holds, read from a copy."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rag.sources.keeping import Missed
from rag.sources.zotero_items import VARIABLE, Collection, Item

NAME = "zotero.sqlite"
BESIDE = ("-wal", "-journal")  # what SQLite keeps beside a database: changes not yet in it, or to be taken back
TRIES, PAUSE = 10, 0.2  # for a copy between two of Zotero's writes; seconds
_PREFERENCE = re.compile(r'^user_pref\("extensions\.zotero\.(dataDir|useDataDir)",\s*(.+)\);\s*$', re.MULTILINE)
_PROFILES = (
    ".zotero/zotero",
    "snap/zotero-snap/common/.zotero/zotero",
    ".var/app/org.zotero.Zotero/.zotero/zotero",
    "Library/Application Support/Zotero/Profiles",
    "AppData/Roaming/Zotero/Zotero/Profiles",
)  # below the home directory


def found(said: str) -> Path | None:
    """The database that was named (a file, or Zotero's data folder), or that of the profile, or of the usual place.

    None where there is none; raises Missed when what was named is not there.
    """
    if said:
        path = Path(os.path.expanduser(said))
        file = path / NAME if os.path.isdir(path) else path
        if not os.path.isfile(file):
            raise Missed(f"{VARIABLE}={said}: no {NAME} there; correct it or unset it")
        return file
    places = [*_data_folders(), Path.home() / "Zotero"]
    return next((place / NAME for place in places if os.path.isfile(place / NAME)), None)


def _data_folders() -> Iterator[Path]:
    """The data folders that Zotero's profiles name."""
    for profiles in _PROFILES:
        for file in sorted((Path.home() / profiles).glob("*/prefs.js")):
            try:
                chosen = dict(_PREFERENCE.findall(file.read_text("utf-8", "replace")))
                if chosen.get("useDataDir") != "false" and "dataDir" in chosen:
                    yield Path(str(json.loads(chosen["dataDir"])))
            except (OSError, ValueError):
                continue


@contextmanager
def opened(file: Path) -> Iterator[Database]:
    """What a database holds now. Raises Missed."""
    try:
        with (
            TemporaryDirectory(prefix="rag-zotero-", ignore_cleanup_errors=True) as folder,
            closing(sqlite3.connect(_copied(file, Path(folder)))) as connection,
        ):
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            yield Database(connection)
    except sqlite3.DatabaseError as error:
        raise Missed(f"{file}: is no database of Zotero that can be read ({error}); is it whole?") from error
    except OSError as error:
        raise Missed(f"{file}: cannot be copied ({error.strerror or error}); check permissions and space") from error


def _copied(file: Path, folder: Path) -> Path:
    """A copy, with what lies beside it, of one moment. Raises Missed while it is written to all the time."""
    copy = folder / NAME
    for _ in range(TRIES):
        before = _state(file)
        for ending in ("", *BESIDE):
            source, target = Path(f"{file}{ending}"), Path(f"{copy}{ending}")
            target.unlink(missing_ok=True)
            if source.exists():
                shutil.copyfile(source, target)
        if _state(file) == before:
            return copy
        time.sleep(PAUSE)
    raise Missed(f"{file}: Zotero is writing to it all the time; try again when it is done")


def _state(file: Path) -> list[tuple[int, int] | None]:
    """Size and time of change of the database and of what lies beside it."""
    found: list[tuple[int, int] | None] = []
    for ending in ("", *BESIDE):
        try:
            facts = os.stat(f"{file}{ending}")
            found.append((facts.st_size, facts.st_mtime_ns))
        except FileNotFoundError:
            found.append(None)
    return found


class Database:
    """The holdings in a database's copy."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        self.libraries: dict[Any, str] = dict(
            self._rows(
                "SELECT libraryID, coalesce(groups.name, '') FROM libraries LEFT JOIN groups USING (libraryID) "
                "WHERE type IN ('user', 'group') ORDER BY type = 'group', libraryID"
            )
        )

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._db.execute(query, values).fetchall()

    def collections(self) -> Sequence[Collection]:
        """See `Holdings`."""
        trash = self._trash("deletedCollections", "collectionID")
        query = "SELECT collectionID, collectionName, parentCollectionID, libraryID FROM collections"
        return [Collection(*row) for row in self._rows(f"{query} {trash} ORDER BY collectionID")]

    def items(self, library: Any) -> Iterator[Item]:
        """See `Holdings`."""
        values, people, tags, within = (
            self._values(library),
            self._creators(library),
            self._tags(library),
            self._within(),
        )
        retracted = self._retracted()
        trash = self._trash("deletedItems", "itemID").replace("WHERE", "AND")
        query = f"SELECT itemID, items.key, typeName FROM items JOIN itemTypes USING (itemTypeID) WHERE libraryID = ? {trash}"
        for id, key, kind in self._rows(f"{query} ORDER BY itemID", library):
            data = {"key": key, "itemType": kind, **values[id], "creators": people[id], "tags": tags[id]}
            yield Item(data | ({"is_retracted": True} if id in retracted else {}), frozenset(within[id]))

    def _trash(self, table: str, key: str) -> str:
        """What leaves out the rows that are in the trash; older versions have no trash for collections."""
        return f"WHERE {key} NOT IN (SELECT {key} FROM {table})" if table in self._tables else ""

    def _values(self, library: Any) -> dict[Any, dict[str, str]]:
        fields = "fieldsCombined" if "fieldsCombined" in self._tables else "fields"
        found: dict[Any, dict[str, str]] = defaultdict(dict)
        query = (
            f"SELECT itemID, fieldName, value FROM items JOIN itemData USING (itemID) JOIN {fields} USING (fieldID) "
            "JOIN itemDataValues USING (valueID) WHERE libraryID = ? ORDER BY itemID, fieldID"
        )
        for id, name, value in self._rows(query, library):
            found[id][name] = str(value)
        return found

    def _creators(self, library: Any) -> dict[Any, list[dict[str, str]]]:
        found: dict[Any, list[dict[str, str]]] = defaultdict(list)
        query = (
            "SELECT itemID, creatorType, firstName, lastName, fieldMode FROM items JOIN itemCreators USING (itemID) "
            "JOIN creators USING (creatorID) JOIN creatorTypes USING (creatorTypeID) WHERE libraryID = ? "
            "ORDER BY itemID, orderIndex"
        )
        for id, kind, first, last, is_one_field in self._rows(query, library):
            name = {"name": last or ""} if is_one_field else {"firstName": first or "", "lastName": last or ""}
            found[id].append({"creatorType": kind, **name})
        return found

    def _tags(self, library: Any) -> dict[Any, list[str]]:
        found: dict[Any, list[str]] = defaultdict(list)
        query = (
            "SELECT itemID, name FROM items JOIN itemTags USING (itemID) JOIN tags USING (tagID) WHERE libraryID = ? "
        )
        for id, name in self._rows(f"{query} ORDER BY itemID, name", library):
            found[id].append(name)
        return found

    def _within(self) -> dict[Any, set[Any]]:
        found: dict[Any, set[Any]] = defaultdict(set)
        for collection, item in self._rows("SELECT collectionID, itemID FROM collectionItems"):
            found[item].add(collection)
        return found

    def _retracted(self) -> set[Any]:
        has = "retractedItems" in self._tables
        return {id for (id,) in self._rows("SELECT itemID FROM retractedItems")} if has else set()
