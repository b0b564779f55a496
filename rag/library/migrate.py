"""A library's file as an earlier version wrote it -> as this one does, in one transaction, in place.

Schema 2 had no digests: what the papers add up to was kept, and is compared before anything is called sound. The file as
it was is kept beside it, as "library.sqlite.before-update".
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

from rag.library import facts, names, write
from rag.library.database import FILE, Database
from rag.library.digests import digest, digest_of_bytes
from rag.library.rows import digest_of

OLDEST = 2  # the first schema that can be brought up to date
BEFORE = f"{FILE}.before-update"
_COLUMNS = {
    "meta": "digest BLOB NOT NULL DEFAULT x''",
    "papers": "since INTEGER NOT NULL DEFAULT 0|digest BLOB NOT NULL DEFAULT x''|chunks BLOB NOT NULL DEFAULT x''"
    "|sentences BLOB NOT NULL DEFAULT x''",
    "vectors": "digest BLOB NOT NULL DEFAULT x''",
    "journal": "digest BLOB NOT NULL DEFAULT x''",
}


def migrate(database: Database, schema: int) -> None:
    """Bring a file up to date. Raises LibraryDamaged when its papers are not those that were stored."""
    with database.transaction() as db:
        db.execute("BEGIN IMMEDIATE")
        meta = dict(db.execute("SELECT key, value FROM meta"))
        if int(meta["schema"]) == schema:
            return  # another process was faster
        if int(meta["content"]) != write.content_of(db):
            raise database.damaged("its papers are not those that were stored")
        _keep(database.file, database.folder / BEFORE)
        for table, columns in _COLUMNS.items():
            for column in columns.split("|"):
                db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
        db.execute("CREATE INDEX papers_since ON papers (since)")
        db.execute(write.ASIDE)
        _papers(db, int(meta["generation"]))
        for key, vector in db.execute("SELECT key, vector FROM vectors").fetchall():
            db.execute("UPDATE vectors SET digest = ? WHERE key = ?", (digest_of_bytes(vector, key), key))
        for row in db.execute("SELECT rowid, generation, at, action, detail FROM journal").fetchall():
            db.execute("UPDATE journal SET digest = ? WHERE rowid = ?", (digest(*row[1:]), row[0]))
        names.refill(db)
        facts.refill(db)
        write.set_meta(db, **meta | {"schema": str(schema), "collection": "", "full_text": write.state(db)})


def _keep(library: Path, file: Path) -> None:
    """Copy a library, which nobody else can write to meanwhile, to a file: whole or not at all."""
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    part.touch(0o600)
    with closing(sqlite3.connect(library)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)  # the connection that holds the writer's lock gives none
    os.replace(part, file)


def _papers(db: Connection, generation: int) -> None:
    chunks = 'SELECT id, start, "end", tokens, key FROM chunks WHERE paper = ? ORDER BY start, id'
    sentences = 'SELECT number, start, "end", key, terms FROM sentences WHERE paper = ? ORDER BY number'
    for id, title, title_key, record in db.execute("SELECT id, title, title_key, record FROM papers").fetchall():
        spans = [digest_of(db.execute(query, (id,))) for query in (chunks, sentences)]
        whole = digest(id, title, title_key, generation, record)
        values = (generation, whole, *spans, id)
        db.execute("UPDATE papers SET since = ?, digest = ?, chunks = ?, sentences = ? WHERE id = ?", values)
