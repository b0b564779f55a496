"""A question, with the conversation before it -> a plan by a chat model: what is asked, what to search for, what kind
of answer it wants.

The model's reply is data. What it gives is cut to its length, freed of control characters and used for nothing but
searching; the stand-alone question is used only if it still asks what was asked. A reply that is no plan is none, and
the question is searched as it was typed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from rag.answering.asked import Kind, Plan
from rag.answering.shape import Shape
from rag.library.names import Named
from rag.prompting import Ask, fence
from rag.records import Prompt
from rag.text import harmless, looks_english, terms

QUERIES = 4  # at most
LONGEST_QUERY = 200  # characters
LONGEST_QUESTION = 400
LONGEST_REPLY = 20_000  # characters that are looked at
KEPT = 0.3  # least share of the question's words in what a model makes of it
NO_CONVERSATION = "(none: this is the first question)"
_COMPARES = re.compile(
    r"\b(?:compare[sd]?|comparison|versus|vs|differs?|difference|(?:larger|smaller|better|worse|faster|more|less)\b.* than)\b",
    re.IGNORECASE,
)
_BEYOND = re.compile(  # more than the one paper that is named
    r"\b(?:like|similar|others?|else|besides|alternatives?|related|all|every|any|list|both|each|papers|works|studies|"
    r"(?:which|what) [\w-]+s)\b(?! ?(?:good|better|true))",
    re.IGNORECASE,
)
_ORDINAL = re.compile(r"\b(?:first|second|third|former|latter|last|other|one)\b", re.IGNORECASE)
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")  # scripts without spaces


def as_typed(question: str, wanted: Shape) -> Plan:
    """The plan without a model: the question itself, and the kind that its wording shows."""
    kind: Kind = "list" if wanted.listing else "several" if wanted.parts else "fact"
    return Plan(question, (), "comparison" if _COMPARES.search(question) else kind)


def is_clear(question: str, named: Sequence[Named], best: str, wanted: Shape) -> bool:
    """Is nothing gained by a plan? An English question about just the one paper that it names and that is found first.

    `named` are the names in it, as the library knows them; `best` is the id of the paper that is found first.
    """
    papers = {paper for name in named for paper in name.papers}
    if papers != {best} or not looks_english(question):
        return False
    return as_typed(question, wanted).kind == "fact" and not _BEYOND.search(question)


def planned(question: str, conversation: str, prompt: Prompt, ask: Ask) -> Plan | None:
    """A chat model's plan for a question; None when its reply holds none. Raises what `ask` raises."""
    told = conversation or NO_CONVERSATION
    asked = harmless(question)
    reply = ask(prompt.system, prompt.fill(fence=fence(told, asked), conversation=told, question=asked))
    said = _object(reply.text[:LONGEST_REPLY])
    return _plan(said, question, bool(conversation)) if said is not None else None


def _plan(said: Mapping[str, Any], question: str, is_follow_up: bool) -> Plan | None:
    queries = said.get("queries")
    cleaned = [_line(query, LONGEST_QUERY) for query in (queries if isinstance(queries, list) else [])[: 2 * QUERIES]]
    texts = tuple(dict.fromkeys(text for text in cleaned if text))[:QUERIES]
    alone = _line(said.get("question"), LONGEST_QUESTION) if is_follow_up else ""
    stands = alone if alone and _asks_the_same(alone, question) else question
    kind = str(said.get("kind")).strip().lower()
    if not texts and stands == question and kind not in get_args(Kind):
        return None
    return Plan(stands, texts, kind if kind in get_args(Kind) else "several")  # type: ignore[arg-type]


def _line(text: object, longest: int) -> str:
    """A text on one line without control characters, cut after a word; "" for what holds no word."""
    if not isinstance(text, str):
        return ""
    plain = " ".join(harmless(text[: 4 * longest]).replace("\ufffd", " ").split())
    cut = plain if len(plain) <= longest else plain[: longest + 1].rpartition(" ")[0] or plain[:longest]
    return cut if any(char.isalnum() for char in cut) else ""


def _asks_the_same(said: str, question: str) -> bool:
    asked, new = _words(_ORDINAL.sub(" ", question)), _words(said)
    return bool(new) and len(asked & new) >= KEPT * len(asked)


def _words(text: str) -> set[str]:
    """The terms of a text, and the characters of scripts that put no space between words."""
    return {term for term in terms(text) if not _UNSPACED.search(term)} | set(_UNSPACED.findall(text))


def _object(reply: str) -> Mapping[str, Any] | None:
    """The last JSON object in a reply that has one of a plan's fields, whatever is written around it."""
    decoder, at = json.JSONDecoder(strict=False), reply.find("{")
    found: Mapping[str, Any] | None = None
    while at >= 0:
        end = at + 1
        try:
            value, end = decoder.raw_decode(reply, at)
            if isinstance(value, dict) and {"question", "queries"} & set(value):
                found = value
        except (ValueError, RecursionError):
            pass
        at = reply.find("{", end)
    return found
