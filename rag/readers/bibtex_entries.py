"""A BibTeX file cut into entries with their fields, each with its line; what cannot be read is told, the rest goes on.

Own code: the packages there are (bibtexparser, pybtex) lose fields without a word where a brace is written "\\{" or a
comma is missing, and take entries without a key for prose. What holds here:
- A brace counts, escaped or not, as in BibTeX; an escaped one does not where a value then ends rightly, and sooner.
- A comma that is missing before the next "name =" is taken as there. A key may be missing or hold blanks.
- What stands behind a value and is neither is told with its line, and the entry keeps its other fields.
- An entry that is not closed before the next one begins is broken as a whole: any of its values may be.
Every pattern looks at a bounded piece or moves on, so that the time is linear in the length of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

_BEGIN = re.compile(r"(?<![\w.@-])@[ \t]*([A-Za-z][\w-]*)\s{0,9}([{(])")
_AT_LINE = re.compile(r"^[ \t]*@[ \t]*[A-Za-z][\w-]*\s{0,9}[{(]", re.MULTILINE)
_OPENING = re.compile(r"[^,={}\"#]*")  # a key, or without one the name of the first field
_GAP = re.compile(r"(?:[\s,]|%[^\n]*)*")  # a line may be commented out
_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"([^\s,={}()\"#%]{1,60}(?:[^\S\n][^\s,={}()\"#%]{1,30})?)\s*=")  # Scopus has "funding_text 1"
_BARE = re.compile(r"[^\s,{}()\"#=]+")
_AFTER = re.compile(r"\s*(?:[,#})]|[^\s,={}()\"#%]{1,60}\s*=\s*[{\"\w]|\Z)")  # may stand behind a value
_NEXT = re.compile(
    r",\s*[^\s,={}()\"#%]{1,60}\s*=|\n[ \t]{0,40}[A-Za-z][\w-]{0,30}\s*=\s*[{\"\d]"
)  # the field after one that is broken
_BRACE = re.compile(r"[{}]")
_FREE_BRACE = re.compile(r"(?<!\\)(?:\\\\)*([{}])")
_QUOTE = re.compile(r'[{}]|(?<!\\)"')
_STRAY = re.compile(r"^[ \t]{0,40}[A-Za-z][\w-]{0,30}[ \t]*=[ \t]*[{\"]", re.MULTILINE)  # a field outside of any entry
_QUOTES = 30  # marks of one value that are tried
_NOT_ENTRIES = {"comment", "preamble"}


class Broken(Exception):
    """What is wrong at an offset."""

    def __init__(self, at: int, why: str) -> None:
        super().__init__(why)
        self.at = at


class Unclosed(Broken):
    """A value has no end: what follows may belong to it."""


@dataclass(slots=True)
class Entry:
    """An entry: its kind in lower case, its key ("" for none), its first line, its fields in order and what is wrong.

    A value is the parts that "#" joins, each with its braces or quotation marks. `lost` are (line, why).
    """

    kind: str
    line: int
    key: str = ""
    fields: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    lost: list[tuple[int, str]] = field(default_factory=list)
    broken: str = ""  # why nothing of it can be trusted


def entries(text: str) -> Iterator[Entry]:
    """The entries and @string definitions of a file, in order."""
    cut = _Cut(text)
    at = 0
    while begins := _BEGIN.search(text, at):
        kind = begins[1].lower()
        if cut.is_commented(begins.start()):
            at = begins.end()
            continue
        yield from cut.stray(at, begins.start())
        if kind in _NOT_ENTRIES:
            at = cut.passed(begins.end() - 1)
            continue
        entry = Entry(kind, cut.line(begins.start()))
        try:
            at = cut.entry(entry, begins.end(), begins[2])
        except Broken as error:
            entry.broken = f"{error} (line {cut.line(error.at)})"
            at = cut.limit(begins.end())
        yield entry
    yield from cut.stray(at, len(text))


class _Cut:
    """The text, where its lines begin, and where entries begin at the beginning of a line."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._begins = [found.start() for found in _AT_LINE.finditer(text)]

    def line(self, at: int) -> int:
        return bisect_right(self._lines, at)

    def limit(self, at: int) -> int:
        """Where the next entry begins after `at`: no value reaches so far."""
        n = bisect_right(self._begins, at)
        return self._begins[n] if n < len(self._begins) else len(self.text)

    def is_commented(self, at: int) -> bool:
        """Does the line begin with "%"?"""
        begin = self._lines[self.line(at) - 1]
        return self.text[begin : min(at, begin + 100)].lstrip().startswith("%")

    def stray(self, begin: int, end: int) -> Iterator[Entry]:
        """A field that stands between two entries, which says that one of these was not read whole."""
        if found := _STRAY.search(self.text, begin, end):
            why = f"a field outside of any entry: {self._shown(found.start())!r}; is an @ or a brace missing before it?"
            yield Entry("", self.line(found.start()), broken=why)

    def passed(self, at: int) -> int:
        """The end of a comment, whose brace or parenthesis is at `at`; the next entry where it is not closed."""
        end = self._closed(_BRACE, at, len(self.text)) if self.text[at] == "{" else None
        return end if end is not None else self.limit(at)

    def entry(self, entry: Entry, at: int, opened: str) -> int:
        """Read what follows the opening brace; returns where the entry ends. Raises Broken."""
        limit, close = self.limit(at), "}" if opened == "{" else ")"
        at = self._key(entry, at)
        while True:
            at = self._over(_GAP, at)
            if at >= limit or at >= len(self.text):
                raise Broken(min(at, len(self.text)), "is not closed before the next entry or the end of the file")
            if self.text[at] == close:
                return at + 1
            try:
                at = self._field(entry, at, limit)
            except Unclosed:
                raise
            except Broken as error:
                entry.lost.append((self.line(error.at), str(error)))
                at = self._resume(error.at, limit, close)

    def _key(self, entry: Entry, at: int) -> int:
        """Take the key; returns where the fields begin."""
        opening = self._over(_OPENING, at)
        said, mark = self.text[at:opening], self.text[opening : opening + 1]
        if entry.kind == "string":
            return at
        if mark == "=":  # no comma after the key, or no key at all
            words = said.split()
            entry.key = " ".join(words[:-1])
            return at + len(said.rstrip()) - len(words[-1]) if words else at
        entry.key = " ".join(said.split())
        return opening

    def _field(self, entry: Entry, at: int, limit: int) -> int:
        """Take one field; returns where it ends. Raises Broken."""
        named = _NAME.match(self.text, at)
        if not named:
            raise Broken(at, f"cannot be read from {self._shown(at)!r} on; is a brace or quotation mark too many?")
        parts, at = [], named.end()
        while True:
            at = self._over(_SPACE, at)
            part, end = self._part(at, limit, named[1])
            parts.append(part)
            at = self._over(_SPACE, end)
            if self.text[at : at + 1] != "#":
                break
            at += 1
        entry.fields.append((named[1].lower(), tuple(parts)))
        if not _AFTER.match(self.text, at):
            raise Broken(at, f"cannot be read behind the value of {named[1]}: {self._shown(at)!r}; is a comma missing?")
        return at

    def _part(self, at: int, limit: int, name: str) -> tuple[str, int]:
        """A value, or one of those that "#" joins, and where it ends."""
        mark = self.text[at : at + 1]
        if mark == "{":
            end = self._braced(at, limit)
        elif mark == '"':
            end = self._quoted(at, limit)
        else:
            bare = _BARE.match(self.text, at)
            end = bare.end() if bare else None
            if end is None and mark in ",})":  # "year = ,"
                return "", at
        if end is None:
            raise Unclosed(at, f"the value of {name} is not closed")
        return self.text[at:end], end

    def _braced(self, at: int, limit: int) -> int | None:
        ends = [self._closed(pattern, at, limit) for pattern in (_BRACE, _FREE_BRACE)]
        fitting = [end for end in ends if end and _AFTER.match(self.text, end)]
        return min(fitting, default=ends[0] or ends[1])

    def _closed(self, pattern: re.Pattern[str], at: int, limit: int) -> int | None:
        depth = 0
        for mark in pattern.finditer(self.text, at, limit):
            depth += 1 if mark[0].endswith("{") else -1
            if not depth:
                return mark.end()
        return None

    def _quoted(self, at: int, limit: int) -> int | None:
        """To the quotation mark outside of braces behind which a value may end, or else the first one there."""
        depth, first, tried = 0, None, 0
        for mark in _QUOTE.finditer(self.text, at + 1, limit):
            if mark[0] != '"':
                depth += 1 if mark[0] == "{" else -1
                if depth < 0:
                    break
            elif not depth:
                if _AFTER.match(self.text, mark.end()):
                    return mark.end()
                first, tried = first or mark.end(), tried + 1
                if tried == _QUOTES:
                    break
        return first

    def _resume(self, at: int, limit: int, close: str) -> int:
        """Where to go on after something that cannot be read: the next field, or the end of the entry."""
        following = _NEXT.search(self.text, at + 1, limit)
        if following:
            return following.start()
        end = self.text.rfind(close, at, limit)
        return end if end >= 0 else limit

    def _over(self, pattern: re.Pattern[str], at: int) -> int:
        found = pattern.match(self.text, at)
        return found.end() if found else at

    def _shown(self, at: int) -> str:
        return " ".join(self.text[at : at + 40].split())[:30]
