"""Is this a question that can be asked?"""

from __future__ import annotations

from rag import filters
from rag.errors import UsageError
from rag.remedies import Remedy
from rag.text import printable, unstyled

LONGEST_QUESTION = 8000  # characters; a longer text is a document


def accepted(question: str) -> str:
    """The question without surrounding white space. Raises UsageError when it cannot be one."""
    if not isinstance(question, str):
        raise UsageError(f"the question is {type(question).__name__}, not text")
    question = unstyled(question).strip()
    if not question:
        raise UsageError("the question is empty", Remedy.ASK)
    if "\0" in question or printable(question).count("\ufffd") > max(3, len(question) // 20):
        raise UsageError("the question is not text but binary data", Remedy.GIVE_TEXT)
    if len(question) > LONGEST_QUESTION:
        raise UsageError(
            f"the question has {len(question):,} characters; at most {LONGEST_QUESTION:,}, ask in fewer words"
        )
    if not any(char.isalnum() for char in question):
        raise UsageError(f"the question {question[:20]!r} has no word in it; ask in words")
    text, where = filters.split(question)
    if not any(char.isalnum() for char in text):
        raise UsageError(f"{str(where)!r} is a filter and asks nothing", Remedy.ASK_BESIDE_FILTER, where=str(where))
    return printable(question)
