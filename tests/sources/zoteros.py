"""A Zotero database of one's own making: the tables of its schema that are read, with items as a test wants them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

TABLES = """
CREATE TABLE libraries (libraryID INTEGER PRIMARY KEY, type TEXT NOT NULL, editable INT NOT NULL, filesEditable INT NOT NULL,
    version INT NOT NULL DEFAULT 0, storageVersion INT NOT NULL DEFAULT 0, lastSync INT NOT NULL DEFAULT 0, archived INT NOT NULL DEFAULT 0);
CREATE TABLE groups (groupID INTEGER PRIMARY KEY, libraryID INT NOT NULL UNIQUE, name TEXT NOT NULL, description TEXT NOT NULL,
    version INT NOT NULL);
CREATE TABLE itemTypes (itemTypeID INTEGER PRIMARY KEY, typeName TEXT, templateItemTypeID INT, display INT DEFAULT 1);
CREATE TABLE fields (fieldID INTEGER PRIMARY KEY, fieldName TEXT, fieldFormatID INT);
CREATE TABLE fieldsCombined (fieldID INT NOT NULL PRIMARY KEY, fieldName TEXT NOT NULL, label TEXT, fieldFormatID INT, custom INT NOT NULL);
CREATE TABLE creatorTypes (creatorTypeID INTEGER PRIMARY KEY, creatorType TEXT);
CREATE TABLE items (itemID INTEGER PRIMARY KEY, itemTypeID INT NOT NULL, dateAdded TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    dateModified TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, clientDateModified TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    libraryID INT NOT NULL, key TEXT NOT NULL, version INT NOT NULL DEFAULT 0, synced INT NOT NULL DEFAULT 0, UNIQUE (libraryID, key));
CREATE TABLE itemDataValues (valueID INTEGER PRIMARY KEY, value UNIQUE);
CREATE TABLE itemData (itemID INT, fieldID INT, valueID, PRIMARY KEY (itemID, fieldID));
CREATE TABLE creators (creatorID INTEGER PRIMARY KEY, firstName TEXT, lastName TEXT, fieldMode INT, UNIQUE (lastName, firstName, fieldMode));
CREATE TABLE itemCreators (itemID INT NOT NULL, creatorID INT NOT NULL, creatorTypeID INT NOT NULL DEFAULT 1,
    orderIndex INT NOT NULL DEFAULT 0, PRIMARY KEY (itemID, creatorID, creatorTypeID, orderIndex), UNIQUE (itemID, orderIndex));
CREATE TABLE tags (tagID INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE itemTags (itemID INT NOT NULL, tagID INT NOT NULL, type INT NOT NULL, PRIMARY KEY (itemID, tagID));
CREATE TABLE collections (collectionID INTEGER PRIMARY KEY, collectionName TEXT NOT NULL, parentCollectionID INT DEFAULT NULL,
    clientDateModified TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, libraryID INT NOT NULL, key TEXT NOT NULL,
    version INT NOT NULL DEFAULT 0, synced INT NOT NULL DEFAULT 0, UNIQUE (libraryID, key));
CREATE TABLE collectionItems (collectionID INT NOT NULL, itemID INT NOT NULL, orderIndex INT NOT NULL DEFAULT 0,
    PRIMARY KEY (collectionID, itemID));
CREATE TABLE deletedItems (itemID INTEGER PRIMARY KEY, dateDeleted DEFAULT CURRENT_TIMESTAMP NOT NULL);
CREATE TABLE deletedCollections (collectionID INTEGER PRIMARY KEY, dateDeleted DEFAULT CURRENT_TIMESTAMP NOT NULL);
CREATE TABLE retractedItems (itemID INTEGER PRIMARY KEY, data TEXT, flag INT DEFAULT 0);
"""
MINE, GROUP = 1, 2  # libraries
KINDS = ("annotation", "attachment", "book", "conferencePaper", "journalArticle", "note", "preprint", "thesis")
FIELDS = (
    "title abstractNote date publicationTitle proceedingsTitle university DOI url extra citationKey pages archiveID volume"
).split()
CREATORS = ("author", "editor", "contributor")


class Zotero:
    """A database in a folder; each method is one change, committed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "zotero.sqlite"
        with closing(sqlite3.connect(self.file)) as db:
            db.executescript(TABLES)
            db.execute("INSERT INTO libraries (libraryID, type, editable, filesEditable) VALUES (1, 'user', 1, 1)")
            db.executemany("INSERT INTO itemTypes (itemTypeID, typeName) VALUES (?, ?)", enumerate(KINDS, 1))
            for table in ("fields (fieldID, fieldName)", "fieldsCombined (custom, fieldID, fieldName)"):
                rows = [(n, name) for n, name in enumerate(FIELDS, 1)]
                if "custom" in table:
                    rows = [(0, *row) for row in rows]
                db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
            db.executemany("INSERT INTO creatorTypes VALUES (?, ?)", enumerate(CREATORS, 1))
            db.commit()

    def do(self, statement: str, *values: object) -> int:
        with closing(sqlite3.connect(self.file)) as db, db:
            return db.execute(statement, values).lastrowid or 0

    def item(self, kind: str, library: int = MINE, people: tuple = (), within: tuple = (), **fields: str) -> int:
        """An item; `people` are (type, first, last), or (type, name) for one field."""
        with closing(sqlite3.connect(self.file)) as db, db:
            id = db.execute(
                "INSERT INTO items (itemTypeID, libraryID, key) VALUES (?, ?, hex(randomblob(4)))",
                (KINDS.index(kind) + 1, library),
            ).lastrowid
            for name, value in fields.items():
                db.execute("INSERT OR IGNORE INTO itemDataValues (value) VALUES (?)", (value,))
                db.execute(
                    "INSERT INTO itemData SELECT ?, ?, valueID FROM itemDataValues WHERE value = ?",
                    (id, FIELDS.index(name) + 1, value),
                )
            for order, (role, *names) in enumerate(people):
                first, last, mode = ("", names[0], 1) if len(names) == 1 else (*names, 0)
                db.execute(
                    "INSERT OR IGNORE INTO creators (firstName, lastName, fieldMode) VALUES (?, ?, ?)",
                    (first, last, mode),
                )
                query = "SELECT creatorID FROM creators WHERE firstName = ? AND lastName = ? AND fieldMode = ?"
                ((creator,),) = db.execute(query, (first, last, mode)).fetchall()
                db.execute(
                    "INSERT INTO itemCreators VALUES (?, ?, ?, ?)", (id, creator, CREATORS.index(role) + 1, order)
                )
            db.executemany(
                "INSERT INTO collectionItems (collectionID, itemID) VALUES (?, ?)", [(c, id) for c in within]
            )
        return id

    def collection(self, name: str, parent: int | None = None, library: int = MINE) -> int:
        columns = "collectionName, parentCollectionID, libraryID, key"
        return self.do(
            f"INSERT INTO collections ({columns}) VALUES (?, ?, ?, hex(randomblob(4)))", name, parent, library
        )

    def group(self, name: str) -> int:
        library = self.do("INSERT INTO libraries (type, editable, filesEditable) VALUES ('group', 1, 1)")
        self.do("INSERT INTO groups VALUES (?, ?, ?, '', 0)", library * 100, library, name)
        return library

    def change(self, item: int, field: str, value: str) -> None:
        self.do("INSERT OR IGNORE INTO itemDataValues (value) VALUES (?)", value)
        query = "UPDATE itemData SET valueID = (SELECT valueID FROM itemDataValues WHERE value = ?) WHERE itemID = ? AND fieldID = ?"
        self.do(query, value, item, FIELDS.index(field) + 1)

    def trash(self, item: int) -> None:
        self.do("INSERT INTO deletedItems (itemID) VALUES (?)", item)
