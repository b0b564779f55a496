"""Is this a question that can be asked?"""

from __future__ import annotations

from rag import filters
from rag.errors import UsageError
from rag.remedies import Remedy
from rag.text import printable, unstyled

LONGEST_QUESTION = 8000  # characters; a longer text is a document


def accepted(question: str, what: str = "question") -> str:
    """The question without surrounding white space. Raises UsageError when it cannot be one.

    `what` says what it is called: a "claim" holds no filter.
    """
    say = "ask" if what == "question" else "say it"
    if not isinstance(question, str):
        raise UsageError(f"the {what} is {type(question).__name__}, not text")
    question = unstyled(question).strip()
    if not question:
        raise UsageError(f"the {what} is empty", Remedy.ASK if what == "question" else Remedy.CLAIM)
    if "\0" in question or printable(question).count("\ufffd") > max(3, len(question) // 20):
        raise UsageError(f"the {what} is not text but binary data", Remedy.GIVE_TEXT)
    if len(question) > LONGEST_QUESTION:
        raise UsageError(
            f"the {what} has {len(question):,} characters; at most {LONGEST_QUESTION:,}, {say} in fewer words"
        )
    if not any(char.isalnum() for char in question):
        raise UsageError(f"the {what} {question[:20]!r} has no word in it; {say} in words")
    if what != "question":
        return printable(question)
    text, where = filters.split(question)
    if not any(char.isalnum() for char in text):
        raise UsageError(f"{str(where)!r} is a filter and asks nothing", Remedy.ASK_BESIDE_FILTER, where=str(where))
    return printable(question)
