"""Chats on disk: one SQLite file with a row for each question.

A question is kept when it is asked, its answer when it is there, each in a transaction of its own: a
process that is killed loses nothing but the line being typed. Several chats may be open at once. An
answer is kept whole (`Answer.to_dict`), with its fingerprint beside it, so that it can be asked again
and compared. A turn is named "3.2": the second question of chat 3.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.places import private
from rag.records import Answer
from rag.remedies import Remedy
from rag.text import printable

FILE = "chats.sqlite"
SCHEMA = 1
MOST = 2**63 - 1  # of an id, to SQLite
BUSY = 5.0  # seconds another process is waited for
_TABLES = """
CREATE TABLE chats (id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, library TEXT);
CREATE TABLE turns (id INTEGER PRIMARY KEY AUTOINCREMENT, chat INTEGER NOT NULL REFERENCES chats (id), at TEXT NOT NULL,
  question TEXT NOT NULL, answer TEXT, run TEXT, model TEXT, verdict TEXT, note TEXT, retried INTEGER NOT NULL DEFAULT 0);
CREATE INDEX turns_chat ON turns (chat);
PRAGMA user_version = 1;
"""
_NOW = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of a chat with its answer; None when it was stopped, failed or never ended.

    `verdict` is "good", "bad" or None, `note` what was said with it; `retried` says that it was asked again.
    """

    id: int
    number: int
    at: str
    question: str
    answer: Answer | None
    verdict: str | None = None
    note: str | None = None
    retried: bool = False


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat that is kept. `library` is the name or path it asked; None is the shipped one."""

    id: int
    at: str
    library: str | None
    turns: tuple[Turn, ...]

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The answers that count, oldest first."""
        return tuple(turn.answer for turn in self.standing if turn.answer)

    @property
    def standing(self) -> tuple[Turn, ...]:
        """The turns that were not asked again."""
        return tuple(turn for turn in self.turns if not turn.retried)


class Chats:
    """The file of all chats. Every method may raise RagError, one line that says what is wrong with it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._guard = threading.Lock()
        with _translated(file):
            private(file)
            self._db = sqlite3.connect(file, timeout=BUSY, check_same_thread=False, isolation_level=None)
            self._prepare()

    def _prepare(self) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA:
            raise RagError(f"{self.file} was written by a later version", Remedy.UPGRADE)
        self._db.execute("PRAGMA journal_mode = WAL")
        if version == SCHEMA:
            return
        self._db.execute("BEGIN IMMEDIATE")  # of two first chats at once, one makes the tables
        try:
            if not self._db.execute("PRAGMA user_version").fetchone()[0]:
                for statement in _TABLES.split(";\n"):
                    self._db.execute(statement)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # --- writing --------------------------------------------------------------------------------

    def begin(self, library: str | None) -> int:
        """A new chat; its id."""
        return self._write(f"INSERT INTO chats (at, library) VALUES ({_NOW}, ?)", library)

    def ask(self, chat: int, question: str) -> int:
        """Keep a question; the id of its turn."""
        return self._write(f"INSERT INTO turns (chat, at, question) VALUES (?, {_NOW}, ?)", chat, printable(question))

    def answer(self, turn: int, answer: Answer) -> None:
        """Keep the answer to a question."""
        text = json.dumps(answer.to_dict(), ensure_ascii=True)
        self._write(
            "UPDATE turns SET answer = ?, run = ?, model = ? WHERE id = ?", text, answer.run, answer.model, turn
        )

    def retried(self, turn: int) -> None:
        """Note that a question was asked again, so that its earlier turn no longer counts."""
        self._write("UPDATE turns SET retried = 1 WHERE id = ?", turn)

    def judge(self, turn: int, verdict: str, note: str) -> None:
        """Keep what a reader thinks of an answer: "good" or "bad", and why."""
        self._write("UPDATE turns SET verdict = ?, note = ? WHERE id = ?", verdict, printable(note), turn)

    # --- reading --------------------------------------------------------------------------------

    def chat(self, id: int | None = None) -> Chat:
        """The chat with that id, or the latest one. Raises RagError when there is none."""
        wanted = "ORDER BY id DESC LIMIT 1" if id is None else "WHERE id = ?"
        rows = self._read(f"SELECT id, at, library FROM chats {wanted}", *([] if id is None else [min(id, MOST)]))
        if not rows:
            raise RagError(
                *(("no chat is kept yet", Remedy.BEGIN_CHAT) if id is None else (f"no chat {id}", Remedy.SEE_CHATS))
            )
        ((found, at, library),) = rows
        return Chat(found, at, library, self._turns(found))

    def find(self, query: str = "") -> Iterator[Chat]:
        """The chats whose questions, answers or notes hold every word of the query, latest first."""
        for id, at, library in self._read("SELECT id, at, library FROM chats ORDER BY id DESC"):
            chat = Chat(id, at, library, self._turns(id))
            held = " ".join(_held(turn) for turn in chat.turns).casefold()
            if chat.turns and all(word in held for word in query.casefold().split()):
                yield chat

    def _turns(self, chat: int) -> tuple[Turn, ...]:
        rows = self._read(
            "SELECT id, at, question, answer, verdict, note, retried FROM turns WHERE chat = ? ORDER BY id", chat
        )
        return tuple(
            Turn(id, number, at, question, _answer(answer), verdict, note, bool(retried))
            for number, (id, at, question, answer, verdict, note, retried) in enumerate(rows, 1)
        )

    def _write(self, statement: str, *values: object) -> int:
        with self._guard, _translated(self.file):
            return int(self._db.execute(statement, values).lastrowid or 0)

    def _read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._guard, _translated(self.file):
            return self._db.execute(query, values).fetchall()


def _answer(text: str | None) -> Answer | None:
    """The answer that was kept; None when there is none, or what is there is none."""
    try:
        return Answer.from_dict(json.loads(text)) if text else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _held(turn: Turn) -> str:
    return " ".join([turn.question, turn.answer.text if turn.answer else "", turn.note or ""])


@contextmanager
def _translated(file: Path) -> Iterator[None]:
    """Errors of SQLite and the disk as ours."""
    try:
        yield
    except OSError as error:
        raise RagError(
            f"{file.parent}: cannot be written ({error.strerror}); set RAG_HOME to a folder of yours"
        ) from error
    except sqlite3.OperationalError as error:
        raise RagError(f"{file}: {error}; check the disk's space and permissions") from error
    except sqlite3.Error as error:
        raise RagError(f"{file} is damaged ({error}); move it away, and a new one is begun") from error
