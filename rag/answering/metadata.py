"""Questions about the library itself: which papers there are, how many, whose, from when. They are listed, not searched.

`FORMS` is the table of wordings, each with examples that are its tests.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

About = Literal["all", "count", "author", "year", "venue"]


class Form(NamedTuple):
    """Wordings that ask for papers by what is known of them, and examples."""

    about: About
    pattern: str
    examples: tuple[str, ...]


class Wanted(NamedTuple):
    """Papers by what is known of them. `value` is an author, a venue, or years as after "year:"."""

    about: About
    value: str = ""


_P = r"(?:papers?|abstracts|works?|articles?|publications)"
_HERE = r"(?: (?:there|here|in (?:here|there|it|(?:this|the|your) (?:library|collection|database))|do you (?:have|hold|know)|are there|have you got|are (?:in )?here))*"
_GIVE = r"(?:(?:please )?(?:list|show(?: me)?|give me|find(?: me)?|which|what|any|all|the|are there|is there|do you have)(?: (?:all|the|any|of the|are the))*)"
_YEAR = r"(?:1[89]|20)\d\d"

FORMS = (
    Form("count", rf"(?:how many|number of|count(?: the)?)(?: of)? {_P}(?: are| is)?{_HERE}(?: (?:are|does it|does the library) (?:there|here|have|hold))?(?: in total| altogether)?",
         ("how many papers?", "How many papers are there?", "how many papers do you have", "how many abstracts are in this library?")),
    Form("all", rf"{_GIVE} {_P}(?: (?:are|is))?{_HERE}", ("what papers are there?", "which papers do you have?", "list all papers", "show me the papers", "list the abstracts")),
    Form("all", r"(?:which|what)(?: ones)?(?: (?:are|is|do))?(?: (?:there|in (?:here|this library|the library)|you have))", ("which are there?", "what is in here?", "what's in this library?", "what do you have")),
    Form("all", rf"(?:all|every) {_P}{_HERE}", ("all papers",)),
    Form("year", rf"(?:{_GIVE} )?(?:{_P}|anything|something|everything|which|what)(?: (?:is|are|was|were|that|which|you have))*(?: (?:published|written|released|appeared|dated))? "
         rf"(?P<how>from|in|of|since|after|before|until|between|newer than|older than) (?P<value>{_YEAR}(?: ?(?:-|–|to|and|until) ?{_YEAR})?)(?: (?:on|onwards?))?",
         ("papers from 2020", "anything from 2020?", "which papers were published after 2019?", "papers between 2018 and 2020", "list papers since 2021", "what is from 2020")),
    Form("author", rf"(?:{_GIVE} )?(?:{_P}|anything|something|everything)(?: (?:is|are|was|were|that|which))*(?: (?:written|authored|published|made))? by (?P<value>[^\W\d_][\w.'’ -]{{1,60}})",
         ("papers by Smith", "which papers are by Ada Smith?", "anything by Smith?", "list all papers written by J. Smith")),
    Form("author", r"what (?:did|has|have) (?P<value>[^\W\d_][\w.'’ -]{1,60}?) (?:write|wrote|written|publish|published|author|authored)(?: here)?",
         ("what did Smith write?", "What has Ada Smith published?")),
    Form("venue", rf"(?:{_GIVE} )?{_P}(?: (?:is|are|was|were|that|which))*(?: (?:published|presented|accepted|that appeared))? (?:in|at|from) (?P<value>[A-Z][\w&.'’ -]{{1,60}})",
         ("papers from NeurIPS", "which papers were published in ACL?", "papers at ICML")),
)  # fmt: skip
_COMPILED = tuple((form.about, re.compile(form.pattern, re.IGNORECASE)) for form in FORMS)


def asked(question: str) -> Wanted | None:
    """What a question asks of the library itself; None when it asks something else."""
    plain = " ".join(re.sub(r"'s\b", " is", question.replace("’", "'")).strip(" ?!.,:").split())
    for about, pattern in _COMPILED:
        found = pattern.fullmatch(plain)
        if found and about == "year":
            return Wanted(about, _years(found["how"].lower(), found["value"]))
        if found and (about not in ("venue",) or found["value"][0].isupper()):
            return Wanted(about, found.groupdict().get("value") or "")
    return None


def _years(how: str, value: str) -> str:
    """Years as the filter reads them."""
    first, *last = [year[0] for year in re.finditer(_YEAR, value)]
    if last:
        return f"{first}-{last[0]}"
    ranges = {
        "since": f"{first}-",
        "after": f"{int(first) + 1}-",
        "newer than": f"{int(first) + 1}-",
        "before": f"-{int(first) - 1}",
        "older than": f"-{int(first) - 1}",
        "until": f"-{first}",
    }
    return ranges.get(how, first)
