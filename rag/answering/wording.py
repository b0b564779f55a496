"""What stands in the text of an answer beside its claims: their marks, and what was not found.

In that text `[n]` is a mark. Whoever reads it may rely on that, so a "[38]" that an abstract, a title or a question
holds is written "(38)": all that is put into the text passes through `markless`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rag.records import Paper, Where
from rag.text import looks_english, printable, terms

NEAREST = 3  # papers a refusal names
_BRACKETED = re.compile(
    r"\[(\s*\^?\d{1,3}(?:[\s,;–-]+\d{1,3})*[\s,;–-]*)\]"
)  # four digits are a year: no paper bears it


def marks(numbers: Iterable[int]) -> str:
    """The marks of a claim: "[1][3]"; each number once."""
    return "".join(f"[{number}]" for number in dict.fromkeys(numbers))


def markless(text: str) -> str:
    """A text of others on one line, its own "[38]" as "(38)"."""
    return " ".join(_BRACKETED.sub(r"(\1)", text).split())


def in_words_of(question: str, text: str) -> str:
    """A text that says nothing but what the question says; "" for any other: nobody has checked it."""
    return markless(printable(text)) if text and set(terms(text)) <= set(terms(question)) else ""


def unanswered(missing: str, filtered: bool = False) -> str:
    """What is said of a part of a question that the papers asked do not answer; "" is a part that has no name."""
    who = "The papers with that filter do not" if filtered else "This library does not"
    return f"{who} say: {missing}." if missing else f"{who} answer all of the question."


def looked_at(papers: int) -> str:
    """How far a list can be relied on: how many papers were read for it."""
    return f"({papers} papers were looked at.)" if papers > 1 else "(One paper was looked at.)"


def refusal(nearest: Sequence[Paper], question: str, where: Where | None = None) -> str:
    """What is said when the library, or what a filter leaves of it, does not hold the answer.

    A `question` that is not English is asked again in English; "" is one that was searched in English.
    """
    names = "; ".join(f"“{markless(paper.headline)}”" for paper in nearest[:NEAREST])
    said = f"{_asked_papers(where)} not say." if where else "This library does not say."
    near = "The nearest papers are" if len(nearest) > 1 else "The nearest paper is"
    said += f" {near} {names}." if names else " None is near it." if where else " It holds no paper near it."
    said += f" Without the filter all {where.of:,} are asked." if where else ""
    return (
        said
        if not question or looks_english(question)
        else f"{said} The question does not look like English; ask it in English."
    )


def _asked_papers(where: Where) -> str:
    return (
        f"The {where.papers:,} papers with {where.text} do"
        if where.papers > 1
        else f"The one paper with {where.text} does"
    )


def counted(found: int, papers: int, name: str, shown: int) -> str:
    """How many of the papers have a name, and how many of those are shown."""
    rest = f" {shown:,} of them:" if shown < found else ""
    return f"{found:,} of {papers:,} papers mention{'s' if found == 1 else ''} {name}{'.' if rest else ':'}{rest}"


def lacking(found: int, papers: int, where: str, shown: int) -> str:
    """How many papers there are, or are left by a filter, and how many of those are shown."""
    told = (
        f"{found:,} of {papers:,} papers are there with {where}" if where else f"This library holds {papers:,} papers"
    )
    if found == 1 and where:
        told = told.replace("papers are", "papers is")
    return f"{told}." if shown >= found else f"{told}; here {'are' if shown > 1 else 'is'} {shown:,}:"


def not_given(name: str, detail: str, abstracts: int = 1) -> str:
    """What is said of a detail that the abstract of what is named does not give, or the abstracts of several do not."""
    said = f"say {detail}" if detail.startswith(("who", "whether")) else f"give {detail}"
    said = said if abstracts == 1 else said.replace(" its ", " their ")
    who = f"The abstract of {name} does" if abstracts == 1 else f"The abstracts of {name} do"
    return f"{who} not {said}; nearest:"


def nobody_gives(name: str, detail: str) -> str:
    """What is said of a detail of something that papers only mention, and that none of them gives."""
    said = f"says {detail}" if detail.startswith(("who", "whether")) else f"gives {detail}"
    return f"No abstract that mentions {name} {said}; nearest:"


def only_mentioned(name: str) -> str:
    """What is said before the sentence that tells most of a name which no paper introduces."""
    return f"No paper of this library introduces {name}; of those that mention it:"


def known_of(name: str, detail: str, value: str) -> str:
    """What is known of a paper beside its abstract."""
    return f"{detail[:1].upper()}{detail[1:]} of {name}: {value}."


def not_mentioned(name: str, other: str) -> str:
    """What is said where the abstract of what is named does not speak of what was asked."""
    return f"The abstract of {name} does not mention {other}; nearest:"


def none_mentions(name: str) -> str:
    """What is said of a name that no paper has."""
    return f"No paper of this library mentions {name}."


def unheard(name: str) -> str:
    """What is said of a question about a name, or about nothing but words, that no paper has."""
    return f"This library does not say: no paper of it mentions {name}."


def others_mention(found: int, name: str) -> str:
    """How many papers have a name besides those on screen."""
    return f"{found:,} other paper{'s mention' if found > 1 else ' mentions'} {name}:"


def no_other_mentions(name: str) -> str:
    """What is said where no paper has a name besides those on screen."""
    return f"No other paper of this library mentions {name}."


def nothing_selected(why: str) -> str:
    """What is said when a filter leaves no paper; `why` says for which of its conditions."""
    return f"{why[0].upper()}{why[1:]}. Ask with another filter, or without."
