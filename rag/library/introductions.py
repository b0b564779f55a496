"""What a sentence of an abstract introduces: the names that its authors give to what is theirs.

A name is introduced after a verb of making ("we propose PoNet, a ..."), after "called", as "our model PoNet", in
brackets after what was made. It is defined where a sentence says what it is ("Apalutamide is a ..."). No list of
names and no field is built in: the shape of a word and the words around it decide. What is found is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from rag.library.spellings import (
    ADJECTIVE,
    JOINING,
    LONGEST,
    TOKEN,
    WORD,
    camel,
    clean,
    is_short,
    is_word,
    name_key,
    named,
    strong,
)
from rag.text import STOPWORDS

HEAD = 90  # characters after a verb in which a long form must begin
ASIDE = 225  # ... and in which a name may stand beside what was made

KINDS = (  # of things that papers make and name
    "algorithm|approach|architecture|arena|assay|attack|baseline|benchmark|challenge|chatbot|checkpoint|class|classifier|"
    "codebase|cohort|collection|compiler|corpora|corpus|data|database|dataset|decoder|device|ecosystem|embedding|encoder|"
    "engine|environment|estimator|evaluator|extension|family|framework|gene|hand|index|inhibitor|initiative|instrument|"
    "interface|item|kernel|language|layer|leaderboard|lexicon|library|loss|measure|mechanism|method|methodology|metric|"
    "model|module|network|ontology|optimizer|package|paradigm|parser|pipeline|planner|platform|policy|procedure|program|"
    "project|protein|protocol|prototype|questionnaire|registry|repository|representation|resource|robot|scale|scheduler|"
    "schema|scheme|score|sensor|server|service|shared task|simulator|software|solver|strategy|suite|survey|system|task|"
    "taxonomy|technique|testbed|tokenizer|tool|toolbox|toolkit|treebank|trial|variant|version|website|workflow"
)
_MAKE = (
    "advocat(?:e|es|ed|ing)|announc(?:e|es|ed|ing)|assembl(?:e|es|ed|ing)|(?<=and )benchmark|buil(?:d|ds|t|ding)|"
    "collect(?:s|ed|ing)?|compil(?:e|es|ed|ing)|construct(?:s|ed|ing)?|contribut(?:e|es|ed|ing)|creat(?:e|es|ed|ing)|"
    "curat(?:e|es|ed|ing)|deriv(?:e|es|ed|ing)|describ(?:e|es|ed|ing)|design(?:s|ed|ing)?|develop(?:s|ed|ing)?|"
    "devis(?:e|es|ed|ing)|establish(?:es|ed|ing)?|formulat(?:e|es|ed|ing)|implement(?:s|ed|ing)?|"
    "instantiat(?:e|es|ed|ing)|introduc(?:e|es|ed|ing)|launch(?:es|ed|ing)?|offer(?:s|ed|ing)?|"
    "open-sourc(?:e|es|ed|ing)|present(?:s|ed|ing)?|propos(?:e|es|ed|ing)|provid(?:e|es|ed|ing)|"
    "publish(?:es|ed|ing)?|releas(?:e|es|ed|ing)|report(?:s|ed|ing)?|synthesi[sz](?:e|es|ed|ing)|unveil(?:s|ed|ing)?"
)
_WEAK = re.compile("report|describ|provid|collect|offer|publish|deriv")  # of what is not always new
_OURS = re.compile(
    r"\b(?:we|our|ours|i|us|here|this (?:\w+ )?(?:paper|work|study|article|report|research|thesis|project|survey|"
    r"demonstration|demo|chapter|document|package|letter)|the (?:resulting|proposed) [a-z]+|"
    r"(?:the|present) (?:authors?|paper|study|work|article))\b",
    re.IGNORECASE,
)
_MADE = re.compile(rf"(?<![\w-])(?<!\b[Tt]he )(?<!\b[Oo]ur )(?<!\bnewly )(?<!\b[Aa] )(?:{_MAKE})(?=[\s:,])")
_MAKES = re.compile(rf"\b(?:{_MAKE}) (?:[\w-]+ ){{0,6}}?(?:{KINDS})s?\b", re.IGNORECASE)
_KIND = re.compile(rf"(?:{KINDS})s?\b", re.IGNORECASE)
_NEAR_KIND = re.compile(rf" ?(?:[a-z][\w-]* ){{0,2}}?(?:{KINDS})s?\b")
_KIND_BEFORE = re.compile(rf"(?:{KINDS})\s[\"“‘'`*<]?$")
_DEFINITE = re.compile(r"\b(?:the|our|two|three|four|both)\s(?:[a-z][\w-]* ){0,3}$")

# the object of a verb: where it ends, and what goes on after a comma
_ENDS = re.compile(
    r"\s(?:for|of|that|which|to|by|using|with|on|in|from|as|via|based|where|when|whose|through|under|between|across|"
    r"over|and then|is|are|was|were|has|have|can|will|aiming|towards?|without|within|while|because|since|against|at|"
    r"into|consisting|containing|inspired|built|designed|tailored|trained|comprising|including|composed)\b|"
    r"[;:,(—]|(?<!\b[A-Z])\.(?=\s|$)|–\s|\s-\s"
)
_ADJECTIVES = re.compile(r" (?:an?|the|our|two|three) (?:[\w-]+ ){0,2}?[\w-]+(?:, [\w-]+)*")
_GOES_ON = re.compile(r", (?:and )?(?!(?:an?|the|which|that|to|and|or|namely|called|named|where|we|short)\b)[a-z\"“]")
_PLAIN = re.compile(  # "we present weight normalization: a ..."
    r" (?!(?:new|novel|how|two|three|four|several)\b)([a-z][\w-]+(?: [a-z][\w-]+){0,3})(?: \([^()]*\))?[,:] "
    r"(?:an?|the first|which|where)\b"
)
_CLOSES = re.compile(r"\s?[(\"”’'*>]")
_BRACKET = re.compile(r"[\"”’'*>]? ?\([^()]*\)")
_GOES = re.compile(r" (?:which|that|to|for|as|and)\b")
_WHOLE = re.compile(  # after a bracket: nothing more of the words before it
    r" ?(?:[,.;:—–]|--|-(?!\w)|(?:which|that|to|for|and|with|is|by|in|on|as|from|using|based on|where|under|via|of|at|"
    rf"consist\w*|compris\w*|contain\w*|(?:{KINDS}))\b|$)"
)

# what stands beside an object
_BESIDE = re.compile(
    r"(?:,|:| [—–-]|~)\s?(?:namely |i\.e\.,? |called |named |the )?(?=[\"“‘'`*<]?[^\W_])|(?P<bracket>\()"
)
_BESIDE_ENDS = re.compile(
    r"\s?(?:[,.;:)(—–-]|which|that|to|for|and|with|is|consist|compris|contain|by|as|where|in|from|on)|\s*$"
)
_EXPLAINED = re.compile(rf"(?: (?:{KINDS}))?,\s(?:a|an|the|which)\b|\s?\([A-Z]")
_BORROWING = re.compile(  # what comes after one of these is not what was made
    r"\b(?:using|with|leverag\w+|utili[sz]\w+|via|by|based|through|like|such as|includ\w+|e\.g|from|over|that|which|it|"
    r"than|outperform\w*|compar(?:ed|ing)|focus(?:ed|ing|es)|(?:evaluated|trained|tested|tuned) on|find|show|"
    r"achiev\w+|on top|against|where|while|when|because)\b"
)
_SHORT_INSIDE = re.compile(
    r"\(\s*(?:i\.e\.,?|namely|called|named|dubbed|or|short for|(?:here)?(?:after )?referred (?:to )?as)?\s*[\"“‘'`]?"
    r"([^()\s,;]{2,25})[\"”’'`]?(?:[,;][^()]*)?\s*\)"
)

# names that are given
_CALLED = re.compile(
    r"\b(?:(?:so[- ])?called|named|namely|termed|dubbed|coined|entitled|titled|nicknamed|christened|designated(?: as)?|"
    r"denoted(?: as| by)?|abbreviated(?: as| to)?|referred to (?:here )?as|(?:we|i) refer to (?:[a-z]+ ){0,4}?as|"
    r"short for|we (?:call|name|term|dub|coin|title|christen|denote)"
    r"(?: (?:it|this|our|the|these|them|such)(?: [a-z-]+){0,3}?)?)(?: as)?(?: the)? (?=\S)",
    re.IGNORECASE,
)
_WE_CALL = re.compile(
    r"\b(?:which|that|what|technique|method|approach) we (?:call|name|term|dub|coin|denote|refer to as)(?: as)? $"
)
_BORROWED = re.compile(
    r"\b(?:using|use[sd]?|on|via|from|than|like|over|across|among|(?<!resulting )in|leverag\w+|utili[sz]\w+|"
    r"such as|variants? of|version of) "
    r"(?:[\w-]+ ){0,5}?(?:[\w-]+, ?)?$"
)
_COINED = re.compile(r"([a-z][\w-]{3,20})(?=[,.;:(]|$)")
_PHRASE = re.compile(r"[a-z][\w-]*(?: [a-z][\w-]*){0,3}?(?=[,.;:(]|$| (?:to|that|which|and|for|is)\b)")
_NEXT = re.compile(r"(?:,? and |, )(?:the )?(?=[^\W_])")
_OUR = re.compile(
    rf"\b[Oo]ur (?:[a-z][\w-]* ){{0,4}}?(?:{KINDS})s?,? (?:is )?(?:called )?(?=[^\W_])|"
    r"\b(?:our|the) (?:newly )?(?:proposed|resulting|introduced) "
)
_ALONE = re.compile(r",|\s(?:is|has|consists|contains|provides|outperforms)\b")
_OUR_BRACKET = re.compile(
    rf"\b[Oo]ur (?:[\w-]+ ){{0,3}}(?:{KINDS})(?:,|:| ?--? ?| ?— ?) ?[^.;()]{{3,90}} \(([^()\s]{{2,20}})\)"
)
_PASSIVE = re.compile(
    r"\b(?:is|are|was|were|has been|have been)(?: \w+)? (?:proposed|introduced|presented|developed)\b(?! by)"
)
_LAST_BRACKET = re.compile(r"\(([^()\s]{2,20})\)(?: [a-z]+)?$")
_CLAUSE = re.compile(r"[.;:]\s|,\s(?:and|while|whereas|which)\s")
_OPENING = "\"“‘'`*<«_"
_QUOTED = re.compile(r"[\"“‘'`*<«_]{1,2}([^\"“”‘’`*<>«»]{2,50}?)[\"”’'`*>»_]{1,2}(?!\w)")

# what a sentence defines
_LABEL = re.compile(r"^(?:[A-Z][A-Z &/]{3,}:? |[A-Z][a-z]+: )")
_DEFINES = re.compile(
    rf"(?:The |A |An )?(?P<name>{WORD}(?: (?:of |the )?(?:{WORD})){{0,4}}?)(?: ?\([^()]{{1,60}}\))?(?:,[^,]{{3,80}},)? "
    r"(?:is|are|was|were) (?:an?|the|one of|among|any)\b(?! (?:result|consequence|key|need|lack|first time|same))|"
    rf"(?P<brief>{WORD}) ?(?:\([^()]{{1,60}}\))?, (?:an?|the) [^,]{{5,120}}, |"
    r"[^,.;:()]{3,60} \((?P<short>[^()\s]{2,14})\),? (?:is|are|an?|the)\b"
)
NO_NAMES = frozenset(  # no name begins with one of these
    """a an the on in of at for from with towards toward beyond against how what why when where which who whose do does
    is are can should will would could not no it this these that those mind all every your our my we if let learning
    understanding breaking revisiting rethinking making using exploring improving evaluating team review survey
    corrigendum erratum correction editorial comment reply response letter abstract part chapter introduction""".split()
)


class Context(NamedTuple):
    """What is known when a sentence is read: keys of the title's tokens, of those that stood before, long forms by key."""

    titled: frozenset[str]
    known: frozenset[str]
    longs: Mapping[str, str]


def introduced(text: str, context: Context) -> Iterator[str]:
    """The names that a sentence introduces as its authors' own, in no order, perhaps twice."""
    for name in _given(text, context):
        key = name_key(name)
        if key not in context.known or key in context.titled:
            yield name


def defined(text: str) -> str | None:
    """The subject of a sentence that begins with what a name is: "Apalutamide is a ...", "NRAGE, a member of ..."."""
    found = _DEFINES.match(_LABEL.sub("", text))
    name = (found["short"] or found["name"] or found["brief"]) if found else ""
    parts = name.split()
    if not parts or parts[0].lower() in STOPWORDS | JOINING | NO_NAMES or parts[0].endswith("ly"):
        return None
    capitals = len(parts) > 1 and all(named(part) or part in JOINING for part in parts)
    odd = strong(parts[0]) or not is_word(parts[0]) or capitals
    return name if named(parts[0]) and odd else None


def makes(text: str) -> bool:
    """Does a sentence say that its authors made something, whatever it is called?"""
    return bool(_OURS.search(text) and _MAKES.search(text))


def _given(text: str, context: Context) -> Iterator[str]:
    ours = _OURS.search(text)
    if ours:
        for verb in _MADE.finditer(text, ours.start()):
            if not (verb[0].endswith("ed") and text[: verb.start()].endswith("ly ")):  # "recently proposed"
                yield from _object(text, verb.end(), context, weak=bool(_WEAK.match(verb[0])))
        for called in _CALLED.finditer(text, ours.start()):
            yield from _called(text, called)
        yield from _our(text, context)
    yield from _passive(text, context)


# --- after a verb -------------------------------------------------------------------------------


def _object(text: str, start: int, context: Context, weak: bool) -> Iterator[str]:
    """Names among the words that a verb of making takes as its object, and in what stands beside them."""
    ended = _ENDS.search(text, start)
    while ended and _ADJECTIVES.fullmatch(text, start, ended.start()) and _GOES_ON.match(text, ended.start()):
        ended = _ENDS.search(text, ended.end())  # "a realistic, diverse dataset" is one object
    stop = min(ended.start() if ended else len(text.rstrip(" .")), start + ASIDE)
    phrase = _PLAIN.match(text, start)
    if phrase and STOPWORDS.isdisjoint(phrase[1].split()) and not (phrase[1].isalpha() and is_word(phrase[1])):
        yield phrase[1]
    yield from _in_object(text, start, stop, context, weak)
    yield from _beside(text, start, stop, context)


def _in_object(text: str, start: int, stop: int, context: Context, weak: bool) -> Iterator[str]:
    """Names in "a scheduler NAME", "NAME", "the A and B models", "a large-scale NAME dataset".

    Of a weak verb ("we report NAME") only what is explained or in the title.
    """
    at = start
    while token := TOKEN.search(text, at, stop):
        opened = text[token.start() - 1] in _OPENING
        name, end = _name_at(text, token.start() - opened)
        plural = text[end - 1 : end] == "s" and name[-1:].isupper()  # "distilled SLMs"
        sure = not weak or name_key(name) in context.titled or _EXPLAINED.match(text, end)
        if name and sure and not plural and _made(text[start : token.start()], name, text[end:], end >= stop, context):
            yield name
            yield from _listed(text, end)
            return
        at = max(end, token.end())


def _made(before: str, name: str, after: str, ends: bool, context: Context) -> bool:
    """Is a name in an object what was made, rather than a word about it ("a BERT encoder")?"""
    first, several = name.split()[0], " " in name
    titled = name_key(first) in context.titled
    bracket = _BRACKET.match(after)
    if (bracket and not _WHOLE.match(after[bracket.end() :])) or (ADJECTIVE.fullmatch(first) and not titled):
        return False
    if after.startswith((" based", "-based")):
        return False
    last = ends or bool(_CLOSES.match(after))  # nothing of the object follows
    if not before.strip(" \"“‘'`*<"):
        return last or camel(first) or (bool(_NEAR_KIND.match(after)) and (strong(first) or several))
    if last:
        return (titled and "-" in first) or strong(first) or several or bool(_KIND_BEFORE.search(before))
    if name_key(name) in context.titled and _GOES.match(after):
        return True
    kind = _NEAR_KIND.match(re.sub(r"^(?:,? and |, )[^\s,]+", "", after))
    return bool(kind) and (camel(first) or bool(_DEFINITE.search(before))) and (strong(first) or several)


def _beside(text: str, start: int, stop: int, context: Context) -> Iterator[str]:
    """Names in apposition: "a benchmark for X, NAME, ...", "a method: NAME, ...", "a long form (NAME)"."""
    for mark in _BESIDE.finditer(text, start, start + ASIDE):
        between = text[start : mark.start()]
        if mark["bracket"]:
            yield from _bracketed(text, start, stop, mark.start(), context)
            continue
        name, end = _name_at(text, mark.end())
        first = name.split()[0] if name else ""
        raised = strong(first) or (" " in name and "," not in mark[0]) or _EXPLAINED.match(text, end)
        if not name or not raised or ADJECTIVE.fullmatch(first) or not _BESIDE_ENDS.match(text, end):
            continue
        if _KIND.search(between) and not _BORROWING.search(between):
            yield name
            yield from _listed(text, end)


def _bracketed(text: str, start: int, stop: int, at: int, context: Context) -> Iterator[str]:
    """The short form in a bracket whose long form is what was made, with that long form."""
    inside = _SHORT_INSIDE.match(text, at)
    if not inside or not _WHOLE.match(text, inside.end()):
        return
    short = inside[1]
    long = context.longs.get(name_key(short), "")
    if long and start <= text.rfind(long, start, at) <= min(stop, start + HEAD):
        yield short
        yield long
    elif not long and strong(short) and is_short(short) and at <= stop + 1:
        yield short


# --- otherwise ----------------------------------------------------------------------------------


def _called(text: str, called: re.Match[str]) -> Iterator[str]:
    """What a thing is called, if it is the authors' own."""
    if _BORROWED.search(text[: called.start()]) and " we " not in called[0]:
        return
    name, end = _name_at(text, called.end())
    if name:
        if not ADJECTIVE.fullmatch(name):
            yield name
            yield from _listed(text, end)
        return
    coined = _COINED.match(text, called.end())
    phrase = _PHRASE.match(text, called.end()) if _WE_CALL.search(called[0]) else None
    if coined and not is_word(coined[1]):
        yield coined[1]
    elif phrase:
        yield phrase[0]


def _our(text: str, context: Context) -> Iterator[str]:
    """Names in "our model NAME", "our method, NAME, is", "our approach, a long form (NAME)"."""
    for own in _OUR.finditer(text):
        name, end = _name_at(text, own.end())
        first = name.split()[0] if name else ""
        alone = _ALONE.match(text, end) and (" " in name or not is_word(name))
        if name and (strong(first) or alone) and not ADJECTIVE.fullmatch(first):
            yield name
    for own in _OUR_BRACKET.finditer(text):
        if long := context.longs.get(name_key(own[1])):
            yield own[1]
            yield long


def _passive(text: str, context: Context) -> Iterator[str]:
    """ "... a module (NAME) is proposed": what the title names too, or a short form in the present tense."""
    for verb in _PASSIVE.finditer(text):
        subject = _CLAUSE.split(text[: verb.start()].rstrip())[-1]
        bracket = _LAST_BRACKET.search(subject)
        short = bracket[1] if bracket and is_short(bracket[1]) else ""
        odd = [token for token in TOKEN.findall(subject) if strong(token)]
        name = short or (odd[-1] if odd else "")
        present = bool(short) and verb[0].startswith(("is", "are")) and "et al" not in text
        if name and not ADJECTIVE.fullmatch(name) and (name_key(name) in context.titled or present):
            yield name


def _listed(text: str, end: int) -> Iterator[str]:
    """The names that follow a name in a list: "MTScore and CHScore", "A, B, and C"."""
    while joined := _NEXT.match(text, end):
        name, after = _name_at(text, joined.end())
        if not name or not strong(name.split()[0]) or (joined[0] == ", " and text[after : after + 1] != ","):
            return
        yield name
        end = after


def _name_at(text: str, at: int) -> tuple[str, int]:
    """The name that begins there, in quotes or not, and where it ends; ("", at) if none does."""
    if text[at : at + 1] and text[at] in _OPENING:
        quoted = _QUOTED.match(text, at)
        if quoted and len(quoted[1].split()) <= LONGEST:
            return clean(quoted[1]), quoted.end()
        at += 1
    words = 0
    end = stop = at
    first, joined, parted = "", False, 0
    while words < LONGEST and (token := TOKEN.match(text, end + bool(words and text[end : end + 1] == " "))):
        if words and text[end : token.start()] != " ":
            break
        if named(token[0]) or (words and re.fullmatch(r"\d+(?:\.\d+)*", token[0])):
            first, joined, stop = first or token[0], False, token.end()
        elif words and token[0] in JOINING and not joined and not strong(first):
            joined = True  # "Wizard of Oz"
            parted = stop if token[0] == "and" else parted
        else:
            break
        words += 1
        end = token.end()
    if 0 < parted < stop and text[stop : stop + 2] != " (":
        stop = parted  # "A and B" are two, unless they have one short form
    name = clean(text[at:stop])
    return (name, stop) if named(name) else ("", at)
