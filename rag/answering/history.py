"""What was said before, however a caller kept it -> turns.

Answers and their dicts know which papers they cite; pairs of texts and messages as OpenAI's API has them
({"role": "user", "content": ...}) are text alone. The kinds may be mixed, oldest first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag.answering.asked import Turn
from rag.errors import UsageError
from rag.filters import split
from rag.records import Answer

KINDS = 'Answers, their dicts, (question, text) pairs, or {"role": ..., "content": ...} messages'
ASKED, SAID = "user", "assistant"  # roles; what others say, a system or a tool, is no part of the conversation


def turns(history: Sequence[Any]) -> tuple[Turn, ...]:
    """Turns from Answers, their dicts, (question, text) pairs, or messages, oldest first. Raises UsageError.

    A question that nobody answered is left out, and so is what an assistant says unasked.
    """
    if isinstance(history, (Answer, Mapping, str)):
        raise UsageError(f"history is one {type(history).__name__}, not a list of turns; give history=[...]")
    found: list[Turn] = []
    asked = ""  # by a message that waits for its answer
    for item in history:
        message = _message(item)
        if message is None:
            found.append(_turn(item))
        elif message[0] == ASKED:
            asked = message[1]
        elif message[0] == SAID and asked and message[1]:
            found.append(Turn(split(asked).text, message[1]))
            asked = ""
    return tuple(found)


def _message(item: Any) -> tuple[str, str] | None:
    """(role, text) of a message; None for what is none."""
    if not isinstance(item, Mapping) or "role" not in item:
        return None
    content = item.get("content")
    parts = content if isinstance(content, list | tuple) else [content]
    texts = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    if not all(isinstance(text, str | None) for text in texts):
        raise UsageError(f"history holds a message whose content is {type(content).__name__}; give text")
    return str(item["role"]), "\n".join(text for text in texts if text)


def _turn(item: Any) -> Turn:
    try:
        if isinstance(item, Mapping):
            item = Answer.from_dict(item)
        if isinstance(item, Answer):
            quoted = tuple((citation.paper.id, citation.start) for citation in item.citations)
            verbatim = all(claim.verdict == "quoted" for claim in item.claims)
            numbers = tuple(item.numbers.items())
            return Turn(split(item.question).text, item.verified, numbers, quoted, item.query, verbatim)
        question, text = item if not isinstance(item, str) else (None, None)
        if isinstance(question, str) and isinstance(text, str):
            return Turn(split(question).text, text)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"history holds no Answer, dict of one, pair or message: {error}") from error
    raise UsageError(f"history holds {type(item).__name__}; give {KINDS}")
