"""Sentences picked from abstracts, each as it reads by itself.

What ties its opening to the text before is left out or resolved, and marked: "However, it is fast." is shown as
"… [PoNet] is fast." Nothing else of a sentence changes, and its quote stays verbatim.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rag.records import EXTRACTIVE, Draft, Evidence, Marked, Paper, Status
from rag.text import Span, readable

LEFT_OUT = "… "

_TIES = (
    r"however|nonetheless|nevertheless|moreover|furthermore|additionally|in addition|(?:first|second|third|last|final)(?:ly)?|"
    r"thus|hence|therefore|also|besides|to th(?:is|at|ese) ends?|consequently|meanwhile|for (?:example|instance)|specifically|"
    r"in particular|further|in contrast|by contrast|conversely|on the (?:one|other|contrary)(?: hand)?|as (?:a|one) (?:result|consequence)|accordingly|then|instead|"
    r"similarly|likewise|notably|importantly|overall|crucially|interestingly|surprisingly|remarkably|indeed|in fact|more specifically|concretely|"
    r"in this (?:paper|work|study|report|article|survey|demo|context|regard|direction|light)|in the (?:present|current) (?:paper|work|study)|"
    r"(?:inspired|motivated|driven) by (?:this|these|that)(?: \w+)?|based on (?:this|these|that)(?: \w+)?|given (?:this|these|that)(?: \w+)?|"
    r"to (?:address|tackle|solve|overcome|mitigate|fill|bridge|close|remedy|alleviate|resolve|handle|meet) (?:(?:this|these|those|that|such)(?: [\w-]+){0,3}|(?:the|all|both) (?:[\w-]+ ){0,2}(?:issues?|problems?|challenges?|gaps?|limitations?|shortcomings?|difficult(?:y|ies)))|"
    r"in (?:light|view) of (?:this|these)(?: \w+)?|with (?:this|that)(?: in mind| goal| aim)?|in (?:doing so|summary|short|conclusion|sum|total|turn|general|response)|"
    r"at the same time|beyond (?:this|that)|despite (?:this|that|these)(?: \w+){0,2}|still|yet|finally|again|here|to our knowledge|that is|"
    r"as such|for this (?:reason|purpose)|so|in other words|next|alternatively|rather|otherwise|(?:i|ii|iii|iv|v|\d)\)|\((?:i|ii|iii|iv|v|\d|[a-e])\)"
)
_TIED = re.compile(
    rf"(?:(?:{_TIES})(?:\s*[,:;]\s+|\s+(?=we\b|our\b))|(?:and|but|yet|so|thus|hence|therefore)\s+(?!(?:far|that|another|called|much|many|on|to)\b)|(?:\(?(?:i|ii|iii|iv|v|\d|[a-e])\)\.?)\s+)+",
    re.IGNORECASE,
)
_ALSO = re.compile(
    r"(we|it|they) (?:also|further|additionally|then|thus|finally|hence|therefore|furthermore) ", re.IGNORECASE
)
_KIND = (
    r"approach|method|model|system|framework|benchmark|data ?set|corpus|technique|architecture|algorithm|tool|library|"
    r"resource|network|platform|suite|layer|pipeline|strategy|toolkit|package|simulator|collection|task"
)
_IT = re.compile(
    rf"(?:it|this (?:new |novel |simple |proposed )?(?:{_KIND}))(?='s\b|\s+(?!(?:is|was|has been) (?:\w+ )?(?:that|to|whether|how|unclear|known|shown|important|difficult|hard|possible|crucial|essential|necessary|often|well)\b)[a-z])",
    re.IGNORECASE,
)
_ITS = re.compile(r"its(?=\s)", re.IGNORECASE)
_REST = 4  # words that must be left


def alone(sentence: str, about: str = "") -> str:
    """A readable sentence without what ties its opening to others; "it" at the opening becomes `about`, if that is given."""
    tied = _TIED.match(sentence)
    rest = sentence[tied.end() :] if tied else sentence
    if len(rest.split()) < _REST:
        return sentence
    opening = LEFT_OUT if tied else ""
    also = _ALSO.match(rest)
    if also and len(rest[also.end() :].split()) >= _REST:
        rest = f"{also[1]} … {rest[also.end() :]}"
    if about and (its := _ITS.match(rest)):
        rest = f"[{about}'s]{rest[its.end() :]}"
    elif about and (it := _IT.match(rest)):
        rest = f"[{about}]{rest[it.end() :]}"
    return opening + rest


class Pick(NamedTuple):
    """A sentence of a paper; `about` is what "it" at its opening stands for, if that is known."""

    paper: Paper
    span: Span
    about: str = ""

    @property
    def text(self) -> str:
        """The sentence, readable, on one line."""
        return " ".join(readable(self.paper.abstract[self.span.start : self.span.end]).split())


def drafted(picks: Sequence[Pick], passages: Sequence[Evidence], status: Status = "answered") -> Draft:
    """The sentences picked, each as it reads by itself, as a draft."""
    number = {e.paper.id: n for n, e in reversed(list(enumerate(passages, 1)))}
    said, edited, before = list[Marked](), list[tuple[str, str]](), None
    for pick in dict.fromkeys(picks):
        follows = before is not None and before.paper == pick.paper and 0 <= pick.span.start - before.span.end <= 2
        shown = pick.text if follows else alone(pick.text, pick.about)
        said.append(Marked(shown, (number[pick.paper.id],)))
        edited += [(shown, pick.text)] if shown != pick.text else []
        before = pick
    return Draft(tuple(said), tuple(passages), status if said else "refused", EXTRACTIVE, edited=tuple(edited))
