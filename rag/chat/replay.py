"""`rag log` and `rag replay`: the chats that were kept, and what their questions would get today.

A chat is named by its number, one of its questions by "3.2". A question is replayed with the answers that
stood before it then, so that only what changed since (library, settings, prompts, model, this package)
makes a difference; the fingerprint says whether any of the first four did.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from rag.chat.store import FILE, Chat, Chats, Turn
from rag.errors import UsageError
from rag.filters import ALL, parse
from rag.places import home
from rag.remedies import Remedy
from rag.settings import Settings
from rag.show import lines
from rag.show.render import shown
from rag.show.screen import Screen

if TYPE_CHECKING:
    from rag.answering.assistant import Assistant

LIMIT = 20  # chats that are listed unless more are asked for


def list_chats(query: str, screen: Screen, *, limit: int, judged: bool, as_json: bool) -> None:
    """List the chats that hold the words of a query, latest first; only those with feedback if `judged`."""
    found = (_judged(chat) if judged else chat for chat in Chats(home("data") / FILE).find(query))
    chats = list(islice((chat for chat in found if chat.turns), max(limit, 0) or None))
    if as_json:
        print(json.dumps([_chat(chat) for chat in chats], ensure_ascii=True, indent=2))
    elif chats:
        screen.put([line for chat in chats for line in _lines(chat)])
    else:
        screen.say(f"rag: {_nothing(query, judged)}")


def _nothing(query: str, judged: bool) -> str:
    if query:
        return "no chat holds that; type: rag log"
    if judged:
        return "no answer was called good or bad yet; in a chat, type /feedback good"
    return "no chat is kept yet; type: rag chat"


def replay(
    name: str,
    settings: Settings,
    open: Callable[[Settings], Assistant],
    screen: Screen,
    *,
    library_given: bool,
    as_json: bool,
) -> None:
    """Ask a kept question, or all of a chat, again, and show what changed. Raises RagError."""
    chat, turns = _named(name)
    assistant = open(settings if library_given else replace(settings, library=chat.library))
    rows: list[dict[str, Any]] = []
    for turn, old in turns:
        before = [t.answer for t in chat.standing if t.answer and t.id < turn.id]
        new = assistant.answer(turn.question, before, where=parse(old.where.text) if old.where else ALL)
        rows.append({"id": f"{chat.id}.{turn.number}", "old": old.to_dict(), "new": new.to_dict()})
        if not as_json:
            screen.put([_question(chat, turn), *lines.changes(old, new)])
    if as_json:
        print(json.dumps(rows, ensure_ascii=True, indent=2))


def _named(name: str) -> tuple[Chat, list[tuple[Turn, Any]]]:
    parts = re.fullmatch(r"(\d{1,9})(?:\.(\d{1,9}))?", name)
    if not parts:
        raise UsageError(f"{name[:40]!r} names no chat; give 3, or 3.2 for its second question", Remedy.SEE_CHATS)
    chat = Chats(home("data") / FILE).chat(int(parts[1]))
    wanted = chat.turns if parts[2] else chat.standing
    turns = [(turn, turn.answer) for turn in wanted if turn.answer and parts[2] in (None, str(turn.number))]
    if not turns:
        raise UsageError(f"{name} has no answer", Remedy.SEE_CHATS)
    return chat, turns


def _judged(chat: Chat) -> Chat:
    return replace(chat, turns=tuple(turn for turn in chat.turns if turn.verdict))


def _lines(chat: Chat) -> Sequence[lines.Line]:
    when = chat.at.replace("T", " ")[:16]
    head = lines.line(f"{when}  {shown(chat.library or 'shipped abstracts')}", "dim", str(chat.id))
    return [head, *(_question(chat, turn) for turn in chat.turns if turn.verdict or not turn.retried)]


def _question(chat: Chat, turn: Turn) -> lines.Line:
    said = "" if not turn.answer else "" if turn.answer.status == "answered" else f"  {turn.answer.status}"
    judged = f"  {turn.verdict}: {shown(turn.note or '')}".rstrip(": ") if turn.verdict else ""
    state = "  not answered" if not turn.answer else said
    return lines.Line(f"{chat.id}.{turn.number}", ((shown(turn.question), ""), (f"{state}{judged}", "dim")))


def _chat(chat: Chat) -> dict[str, Any]:
    turns = [
        {
            "id": f"{chat.id}.{turn.number}",
            "at": turn.at,
            "question": turn.question,
            "answer": turn.answer.to_dict() if turn.answer else None,
            "verdict": turn.verdict,
            "note": turn.note,
        }
        for turn in chat.turns
    ]
    return {"id": chat.id, "at": chat.at, "library": chat.library, "turns": turns}
