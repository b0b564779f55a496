"""A chat model's reply -> sentences, each with the numbers it cites; whole or as it arrives.

Models are asked for "S4 solves Path-X [1]." and write [1, 3], 【1†source】, ¹, (Passage 2), "According
to [2], ...", a list of sources, their thoughts, a JSON object. What is meant is read from all of it.
`Marks` takes one character after the other, so that how a server cuts its stream cannot matter:
what is said aloud (`rag.models.spoken`), then lines (what frames it), then sentences. A sentence is
handed out once it is known where it and its marks end. One without a mark waits a little longer:
marks that stand alone after a paragraph are those of its last sentences without any. Nothing is
judged here; a number may name no passage, and what a sentence says may be wrong.
"""

from __future__ import annotations

import re
from functools import cache

from rag.models.spoken import Spoken
from rag.records import Marked
from rag.text import STOPPED_NAME, sentences

LARGEST = 999  # a larger number in brackets is a year, not a mark
WIDEST = 20  # passages a range may span
LARGEST_ROUND = 30  # in round brackets, where other numbers stand too
NESTED = 5  # marks within marks that are looked for
WINDOW = 120  # characters before a stop that tell whether it ends a sentence


def marked(text: str) -> tuple[Marked, ...]:
    """The sentences of a whole reply."""
    marks = Marks()
    found = (*marks.feed(text), *marks.close())
    return found[marks.void :]


class Marks:
    """A reply read as it arrives: `feed` every piece, then `close`.

    All that they give together does not depend on how the reply was cut.
    """

    def __init__(self) -> None:
        self._lines = _Lines()
        self._spoken = Spoken(self._lines)
        self._given = 0

    @property
    def void(self) -> int:
        """How many of the sentences given so far were thoughts: a "</think>" without a beginning came after them."""
        return self._lines.void

    def feed(self, delta: str) -> tuple[Marked, ...]:
        """The sentences that are complete with this piece of the reply."""
        self._spoken.feed(delta)
        return self._ready()

    def close(self) -> tuple[Marked, ...]:
        """The rest, when nothing more comes."""
        self._spoken.close()
        self._lines.close()
        return self._ready()

    def _ready(self) -> tuple[Marked, ...]:
        new = tuple(self._lines.out[self._given :])
        self._given += len(new)
        return new


# --- marks --------------------------------------------------------------------------------------

_NAME = r"(?:sources?|passages?|references?|refs?|documents?|docs?|papers?|abstracts?|citations?)"
_LABEL = rf"(?:{_NAME}\.?\s?[:#]?\s?|#)"
_ITEM = rf"\^?{_LABEL}?\d{{1,4}}(?:\s?[-–—‑−]\s?\d{{1,4}})?(?::\d{{1,2}})?(?:\s?†[^\[\]【】［］]{{0,60}})?"
_AND = r"(?:\s{0,3}(?:[,;，、&]|and)\s{0,3}|\s{1,3})"
_LIST = rf"\s{{0,3}}{_ITEM}(?:{_AND}{_ITEM}){{0,20}}(?:\s?:\s?[^\W\d][^\[\]【】［］]{{0,80}})?\s{{0,3}}"
_SUPER = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_RAISED = (
    r"(?:(?<=[^\W\d_]{3})(?<!log)(?<!sin)(?<!cos)(?<!exp)|(?<=-[^\W\d_])|(?<=[\s.,;:!?\"”’\])\x03]))"
    rf"[{_SUPER}]{{1,3}}(?:[,˒][{_SUPER}]{{1,3}})*(?![\w{_SUPER}])"
)
_BRACKETS = (
    rf"\^?\\?\[{_LIST}\\?\]\^?|\[\[{_LIST}\]\]|[【［〔]{_LIST}[】］〕]|\((?:see\s)?(?=[^\W\d]|\#){_LIST}\)|"
    rf"<sup>\[?{_LIST}\]?</sup>|{_RAISED}"
)
_MARK = re.compile(_BRACKETS, re.IGNORECASE)
_DRESS = r"[*_`~]*"
_HELD = rf"\((?:(?:see|cf\.?|from|according\sto|{_NAME})\s?:?\s?)?(?:{_BRACKETS})(?:{_AND}(?:{_BRACKETS})){{0,20}}\)"
_DRESSED = rf"{_DRESS}(?:{_BRACKETS}|{_HELD})(?:\((?!\s?\d{{1,3}}\s?\))[^()\s]*\))?{_DRESS}"
_TOKEN = "\x02[^\x03]*\x03"  # a mark in a text that has been read
_AROUND = re.compile(rf"\[[\d\s,;–-]{{0,20}}(?:{_TOKEN}[\d\s,;–-]{{0,20}}){{1,20}}\]")  # "[[1]9]"
_GROUP = rf"{_TOKEN}(?:(?: ?[,;&+] ?| and | or | )?{_TOKEN})+"
_ROUND = r"[(（]\d{1,2}(?:\s?[,–-]\s?\d{1,2}){0,9}[)）]"
_ROUND_END = re.compile(rf"(?P<marks>(?:\s?{_ROUND})+)(?=[.!?…]*\s*$)|(?<=[.!?…])(?P<late>(?:\s*{_ROUND})+)\s*$")
_COUNTED = re.compile(
    r"(?:^|\W)(?:equations?|eqs?\.?|figs?\.?|figures?|tables?|theorems?|lemmas?|cases?|steps?|options?|class|type|"
    r"levels?|version|stages?|phases?|rules?|conditions?|items?|parts?|sections?|and|or|of|to|by|=)$",
    re.IGNORECASE,
)


def _numbers(mark: str) -> list[int] | None:
    """The numbers that a mark names, or None for what is none: a year, an interval, too wide a range."""
    found: list[int] = []
    plain = re.sub(r"†[^,;\]】］]*|:\s?[^\W\d][^\]】］]*|(?<=\d):\d+", "", mark.translate(_RAISED_DIGITS))
    for ends in re.findall(r"(\d+)(?:\s?[-–—‑−]\s?(\d+))?", plain):
        first, last = int(ends[0]), int(ends[1] or ends[0])
        if not (0 < first <= last <= LARGEST and last - first <= WIDEST):
            return None
        found += range(first, last + 1)
    return found or None


_RAISED_DIGITS = str.maketrans(_SUPER + "˒", "0123456789,")


def _token(numbers: list[int] | None) -> str:
    return f"\x02{','.join(map(str, numbers or ()))}\x03" if numbers else ""


def _all_numbers(text: str) -> list[int]:
    return [n for n in map(int, re.findall(r"\d+", text)) if 0 < n <= LARGEST]


def _tokens(text: str) -> str:
    """The text with its marks as tokens, also those that come about when others are taken out."""
    for _ in range(NESTED):
        text, before = _MARK.sub(lambda mark: _token(_numbers(mark[0])) or mark[0], text), text
        text = _AROUND.sub(lambda mark: _token(_all_numbers(mark[0])), text)
        if text == before:
            break
    return text


def _round_tokens(text: str) -> str:
    """ "(1)" at the end of a sentence as a mark, unless it has others or counts "(1) first, ... (2)"."""
    found = None if "\x02" in text else _ROUND_END.search(text)
    before = text[: found.start()] if found else ""
    if not found or _COUNTED.search(before) or re.search(r"\(\d{1,2}\)\s+\w", before):
        return text
    if not re.search(r"\w", before):  # alone on its line
        before = ""
    marks = [_numbers(mark) for mark in re.findall(_ROUND, found[0])]
    if not all(numbers and max(numbers) <= LARGEST_ROUND for numbers in marks):
        return text
    return before + " " + "".join(map(_token, marks)) + text[found.end() :]


# --- one sentence -------------------------------------------------------------------------------

_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|(?:\x1b[\]P^_X]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TARGET = r"\((?!\s?\d{1,3}\s?\))[^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s[^()]*)?\)"
_IMAGE = re.compile(rf"!\[([^\[\]]*)\](?:{_TARGET}|\[[^\[\]]*\])")
_LINK = re.compile(rf"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]{_TARGET}")
_TORN = re.compile(r"\]\((?:https?:|data:|javascript:|[\w-]*[./])[^()\s]*\)?")  # a link cut in two by a stop
_ELEMENT = (
    r"(?:a|abbr|b|blockquote|br|cite|code|div|em|font|form|h[1-6]|hr|i|iframe|img|input|kbd|li|mark|meta|object|ol|p|"
    r"pre|q|s|script|small|source|span|strong|style|sub|sup|svg|table|td|th|tr|u|ul|video)"
)
_HTML = re.compile(
    r"<!--.*?(?:-->|$)|<(?:script|style|iframe|svg)\b.*?(?:</(?:script|style|iframe|svg)>|$)|"
    rf"</?{_ELEMENT}(?:\s*/?>|[\s/]+[\w-]+\s*=[^<>]*(?:>|$))|"
    r"<https?:[^<>\s]*>|<\|[^<>|]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>",
    re.IGNORECASE | re.DOTALL,
)
_EMPHASIS = (
    (re.compile(r"(`{1,3})(?!`)([^`\n]+)(?<!`)\1(?!`)"), r"\2"),
    (re.compile(r"\*\*|(?<!\w)__(?=\S)|(?<=\S)__(?!\w)|~~"), ""),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])([^*]+)(?<=[^\s*])\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<!\w)_(?=[^\s_])([^_]+)(?<=[^\s_])_(?!\w)"), r"\1"),
)


def _undressed(text: str) -> str:
    """Without escapes, links, tags and emphasis; marks as tokens."""
    text = _CONTROL.sub("", _ESCAPE.sub("", text))
    text = _IMAGE.sub(lambda m: m[1] if re.search(r"[^\W\d_]", m[1]) else "", text)
    text = _LINK.sub(lambda m: f"[{m[1]}]" if _MARK.fullmatch(f"[{m[1]}]") else m[1], text)
    text = _tokens(text)  # <sup> is also a tag
    text = _HTML.sub("", _TORN.sub("", re.sub(rf"[*_`~]+({_TOKEN})[*_`~]+", r"\1", text)))
    for pattern, kept in _EMPHASIS:
        text = pattern.sub(kept, text)
    return _tokens(text)


_SAID = r"(?:shown|stated|reported|described|noted|mentioned|discussed|demonstrated|explained|seen|given|cited)"
_BY = rf"(?:according to|as {_SAID} (?:in|by)|as per|per|based on)"
_THE = rf"(?:the\s+)?(?:{_NAME}\s+)?"
_STATES = (
    r"(?:(?:also|explicitly|clearly|both|further)\s+)?(?:states?|shows?|says?|reports?|describes?|notes?|finds?|"
    r"demonstrates?|explains?|claims?|argues?|mentions?|indicates?|suggests?|reveals?|confirms?)\s+that\s+"
)
_NAMED = re.compile(  # "According to passage 2, ...", "Passage 2 states that ...", without brackets
    rf"(?P<before>^|{_BY}\s+(?:the\s+)?|^(?:in|from)\s+){_NAME}\s+"
    r"(?P<list>\d{1,3}(?:(?:,\s?|\s(?:and|&)\s)\d{1,3}){0,9})"
    rf"(?=\s*,|\s+{_STATES}|\s*[.!?)]*\s*$)",
    re.IGNORECASE,
)
_FRAMES = tuple(
    (re.compile(pattern, re.IGNORECASE), kept)
    for pattern, kept in (
        (rf"^(?:{_BY}|in|from)\s+{_THE}{_TOKEN}\s*,\s*", ""),
        (rf"^(?:both\s+)?{_THE}{_TOKEN}\s+{_STATES}", ""),
        (rf"\s*\(\s*(?:(?:{_BY}|see(?:\s+also)?|cf\.?|from|{_NAME}:?)\s*)?{_THE}{_TOKEN}\s*\)", ""),
        (rf",?\s+(?:{_BY}|see(?:\s+also)?|cf\.?)\s+{_THE}{_TOKEN}(?=\s*[.,;!?]|\s*$)", ""),
        (rf"(?<=ed|wn|en)\s+(?:in|by)\s+{_THE}{_TOKEN}(?=\s*[.;!?]|\s*$)", ""),
        (rf"\s*{_TOKEN}(?=\s*[.,;:!?…)\]\"”’。！？，]|\s*$)\s*", ""),
        (rf"\s*{_TOKEN}\s*", " "),
    )
)
_PREFIX = re.compile(
    r"^\s*(?:>\s*)*(?:\#{1,6}\s+)?(?:(?:[-*+•‣▪◦–—]|\(?\d{1,2}[.)]|\(?[a-z]\))\s+)*"
    r"(?:(?:(?:final|short|direct|brief)\s+)?(?:answer|response|reply|assistant|output|a)\s*[:：]\s*)?",
    re.IGNORECASE,
)
_ENUMERATOR = re.compile(r"^\(\d{1,2}\)\s+(?=\w)")


def _read(raw: str) -> tuple[str, tuple[int, ...]]:
    """A sentence's text without its marks, and what they name; without a word if it is nothing but marks."""
    text = _PREFIX.sub("", " ".join(_undressed(raw).split()))
    text = _NAMED.sub(lambda m: m["before"] + _token(_numbers(m["list"])), text)
    text = _ENUMERATOR.sub("", _round_tokens(text))
    text = re.sub(_GROUP, lambda group: _token(_all_numbers(group[0])), text)
    numbers = dict.fromkeys(int(n) for token in re.findall(_TOKEN, text) for n in token[1:-1].split(","))
    bare = text
    for at, (pattern, kept) in enumerate(_FRAMES):
        shorter = pattern.sub(kept, bare)
        bare = shorter[:1].upper() + shorter[1:] if at < 2 and shorter != bare and shorter[1:2].islower() else shorter
    return " ".join(bare.split()).lstrip(":,;|–—- ") if numbers else bare.strip(), tuple(numbers)


# --- lines and their sentences ------------------------------------------------------------------

_FENCE = re.compile(r"\s*(?:```+|~~~+)\s*([\w+-]*)\s*$")
_TEXT = ("", "text", "txt", "markdown", "md", "plaintext", "plain", "json", "answer")  # fences that hold no code
_HEADING = re.compile(r"\s*(?:\#{1,6}\s|(?:[-*•]\s+)?(\*\*|__)[^*_]*[^*_.!?]\1\s*:?\s*$)")
_NOTE = re.compile(r"\s*\[\^?\d{1,3}\]:\s")  # what a footnote says: [^1]: a title
_SOURCES = re.compile(
    r"(?:the\s+)?(?:cited\s+|used\s+)?"
    r"(?:sources?|references?|citations?|bibliography|works\s+cited|passages?|literature)"
    r"(?:\s+(?:used|cited))?\s*(?:[:：]|$)",
    re.IGNORECASE,
)
_ENTRY = rf"\s*(?:$|[-*+•–>|]|\(?\d{{1,3}}[\].):\s]|{_DRESSED}|{_NAME}\s\d)"
_STOP = re.compile(rf"[.!?…]+[\"'”’)\]}}*_`]*(?=[\s\[【［〔(*`<^\\{_SUPER}])|[。！？]+[”’」』)]*")
_LATE = rf"(?:\s*{_DRESSED}(?:\s?(?:[,;&]|and)(?=\s*{_DRESSED}))?)*"
_PARTIAL = re.compile(  # may still become a mark
    rf"(?:{_ROUND}\s*)*[*_`~^\\,;&\s]*(?:an?|and\s*[*_`~]*)?"
    rf"(?:[\[【［〔]{{1,2}}[^\[\]】］〕]{{0,100}}[\]】］〕]{{0,2}}|\([^()\s]{{0,300}}|\([^()]{{0,40}}|"
    rf"<[^<>]{{0,6}}(?:>[^<>]{{0,20}}(?:<[^<>]{{0,6}})?)?|[{_SUPER},˒]*)?"
)
_LEADING = rf"\s*(?:[-*+•>]\s+|\d{{1,2}}[.)]\s+)?(?:{_DRESSED}\s*)+[:\w–—-]"
_ANSWER_WORD = re.compile(r"(?:yes|no|ja|nein|oui|non|sí|si|sim|não)[.!]", re.IGNORECASE)  # alone it states nothing
_WRAPS = re.compile(r"[\w,;(–-]\s*$")  # no end of a sentence


@cache
def _long(pattern: str) -> re.Pattern[str]:
    """One that takes long to compile, when it is first wanted: where no model answers, it never is."""
    return re.compile(pattern, re.IGNORECASE)


class _Lines:
    """The characters of a text, line by line, into sentences; `out` grows as they are known."""

    def __init__(self) -> None:
        self.out: list[Marked] = []
        self.void = 0  # of them, from the first, were thoughts
        self._begin()

    def restart(self) -> None:
        """All that came so far was thought."""
        self.void = len(self.out)
        self._begin()

    def _begin(self) -> None:
        self._line = ""
        self._at = 0  # before it no stop ends a sentence
        self._first = True  # nothing of the line has been cut off
        self._leading = False  # its marks stand before their sentences
        self._wrapped = False  # it may go on after a newline
        self._code = self._listed = self._skipped = self._gap = False
        self._run: list[str] = []  # sentences without marks, which may come yet

    @property
    def at_start(self) -> bool:
        """Is this the beginning of a line?"""
        return (not self._line.strip() and self._first) or self._wrapped

    def take(self, char: str) -> None:
        """Read one more character."""
        if char == "\n":
            self._newline()
            return
        if self._wrapped:
            if char.isspace():
                return
            self._wrapped = False
            if char.islower():
                self._line += " "
            else:
                self._end()
        if char.isspace() and self._line[-1:] in ("", " "):
            return
        self._line += " " if char.isspace() else char
        if not (self._code or self._listed or self._skipped):
            self._cut()

    def close(self) -> None:
        """Nothing more comes."""
        self._end()
        self._release()

    def _newline(self) -> None:
        blank = self._first and not self._line.strip()
        framed = _FENCE.match(self._line) or _HEADING.match(self._line) or self._code or self._listed or self._skipped
        if blank or self._wrapped or framed or not _WRAPS.search(self._line):
            self._gap |= blank or self._wrapped
            self._end()
        else:
            self._wrapped = True

    def _end(self) -> None:
        """The line is whole."""
        if not self._first or self._kept():
            self._cut(final=True)
        self._line, self._at = "", 0
        self._first, self._leading, self._wrapped, self._skipped = True, False, False, False

    def _kept(self) -> bool:
        """Does the whole line say something, or does it only frame what others say?"""
        if fence := _FENCE.match(self._line):
            self._code = not self._code and fence[1].lower() not in _TEXT
            return False
        if self._code or (self._listed and _long(_ENTRY).match(self._line)) or _NOTE.match(self._line):
            return False
        self._listed = False
        return not _HEADING.match(self._line) or bool(_read(self._line)[1]) or self._names_sources()

    def _names_sources(self) -> bool:
        return bool(_SOURCES.match(_read(self._line)[0]))

    def _cut(self, *, final: bool = False) -> None:
        """Cut off the sentences whose end is known; all of them if the line is whole."""
        while stop := _STOP.search(self._line, self._at):
            late = _long(_LATE).match(self._line, stop.end())
            marks = late[0] if late else ""
            rest = self._line[stop.end() + len(marks) :].lstrip()
            if final and (not rest or re.fullmatch(rf"(?:{_ROUND}\s*)+", rest)):
                break
            if not final and (len(rest) < 2 or _PARTIAL.fullmatch(rest) or self._waits(stop.end(), rest)):
                return
            if self._ends(stop.end(), marks, rest):
                self._cut_off(
                    stop.end() if self._belongs_to_next(stop.start(), marks, rest) else stop.end() + len(marks)
                )
            else:
                self._at = stop.end()
        if final:
            self._cut_off(len(self._line))
        else:
            self._at = max(self._at, len(self._line) - 8)

    def _waits(self, end: int, rest: str) -> bool:
        """Does it take the whole next word to tell whether the stop before `end` is part of a name?"""
        return " " not in rest and bool(STOPPED_NAME.search(self._line[max(0, end - WINDOW) : end]))

    def _ends(self, end: int, marks: str, rest: str) -> bool:
        """Does the stop before `end` end a sentence? A mark after it says so, save after an abbreviation."""
        before = self._line[max(0, end - WINDOW) : end]
        if not marks and not self._line[end : end + 1].isspace() and before[-1:] not in "。！？”’」』)":
            return False
        text = _undressed(before)
        if re.search(r"[\[(]\w{1,5}\.$", text):  # "[Ref. 3]"
            return False
        if re.search(rf"\w\W*{_TOKEN}[.!?…。！？\W]*$", text):  # "A [1]. B"
            return True
        bare = re.sub(rf"\s*{_TOKEN}", "", text).strip().rstrip("*_`")
        if _ANSWER_WORD.fullmatch(_PREFIX.sub("", bare)) and not marks.strip():
            return False
        following = "We" if marks.strip() else rest.split()[0] if rest else ""
        if end > WINDOW and not self._line.islower():  # lower case in what is seen of it does not mean all of it
            bare = f"X {bare}"
        return len(bare) in {span.end for span in sentences(f"{bare} {following}")}

    def _belongs_to_next(self, stop: int, marks: str, rest: str) -> bool:
        """Are marks between two sentences the second one's? Where the line has them in front, or it has no other."""
        if not marks.strip():
            return False
        leading = self._leading or (self._first and bool(_long(_LEADING).match(self._line)))
        apart = marks[:1].isspace()
        own = bool(_MARK.search(self._line, 0, stop))
        subject = rest[:1].islower() and self._line != self._line.lower()
        return leading or (apart and (own or subject))

    def _cut_off(self, at: int) -> None:
        if self._first:
            self._leading = bool(_long(_LEADING).match(self._line))
        raw, self._line, self._at = self._line[:at], self._line[at:], 0
        self._sentence(raw)
        self._first = False

    def _sentence(self, raw: str) -> None:
        text, numbers = _read(raw)
        sources = _SOURCES.match(text)
        if self._skipped or (sources and re.search(r"\w", text[sources.end() :])):
            self._skipped = self._listed = True  # a list of them in one line
        elif sources or not re.search(r"\w", text):
            self._listed = bool(sources) and not numbers
            self._attribute(numbers)
        else:
            self._add(text, numbers)

    def _add(self, text: str, numbers: tuple[int, ...]) -> None:
        if numbers or self._gap:
            self._release()
        self._gap = False
        if numbers:
            self.out.append(Marked(text, numbers))
        else:
            self._run.append(text)

    def _attribute(self, numbers: tuple[int, ...]) -> None:
        """Marks that stand alone are those of the sentences before them that have none."""
        if numbers:
            self.out += [Marked(text, numbers) for text in self._run]
            self._run = []

    def _release(self) -> None:
        self.out += [Marked(text, ()) for text in self._run]
        self._run = []
