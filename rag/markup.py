"""Which "<...>" in a text are tags of HTML, JATS, MathML or a publisher, and what is shown in their place.

An inequality is no tag: attributes must be written as such, the name must be known, and a tag that is not closed
counts only where no letter or digit stands before it ("x<p>y" stays, "<p>A paragraph" does not). Tags may be
escaped once or twice ("&lt;i&gt;"). One pass with a stack, so that the time is linear.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

LESS, GREATER = r"(?:<|&(?:amp;){0,3}lt;)", r"(?:>|&(?:amp;){0,3}gt;)"
_FREE = "i b p u em strong sub sup span h1 h2 h3 h4 h5 h6".split()  # are met without their end
_VOID = {"br", "hr", "mspace", "none", "mprescripts"}
_PAIRED = """
    s q a small big tt font code var cite abbr del ins strike div ul ol li dl dt dd table tr td th tbody thead blockquote
    title sec section italic bold sc underline monospace overline inline-formula disp-formula tex-math alternatives
    ext-link xref list list-item uri email named-content styled-content label abstract abstracttext
    scp inf it rm hi emph formula inlineequation
    math mrow mi mn mo ms mtext msub msup msubsup mfrac msqrt mroot mover munder munderover mfenced mstyle mtable mtr mtd
    mpadded mphantom semantics annotation annotation-xml menclose mmultiscripts""".split()
_BLOCKS = set("p br hr div ul ol li dl dt dd h1 h2 h3 h4 h5 h6 tr title sec section list list-item abstract".split())
_NAMES = "|".join(sorted(map(re.escape, {*_FREE, *_VOID, *_PAIRED}), key=len, reverse=True))
_QUOTED = r"(?:\"[^\"<>]{0,300}\"|'[^'<>]{0,300}'|&(?:amp;){0,3}quot;[^<>\"]{0,300}?&(?:amp;){0,3}quot;)"
TAG = (
    rf"{LESS}/?(?:(?:jats|mml|ce|sb):[A-Za-z-]{{1,30}}|(?ai:m:|xhtml:)?(?ai:{_NAMES}))"
    rf"(?:\s{{1,50}}[A-Za-z_][\w:.-]{{0,60}}\s{{0,9}}=\s{{0,9}}{_QUOTED}){{0,20}}\s{{0,50}}/?{GREATER}"
)
_TAG = re.compile(TAG)
_PARTS = re.compile(rf"{LESS}(/?)(?:([A-Za-z]+):)?([A-Za-z0-9-]+)")
_EMPTY = re.compile(rf"/{GREATER}\Z")
_FOLLOWS = re.compile(r"[\w(\[“\"$\\{&]")  # a word, or what may begin one
_EXPONENT = re.compile(r"[+−–-]?\d")
_SECOND = {"mfrac": "/", "msup": "^"}  # what parts the two children of an element


class Tag(NamedTuple):
    """A tag: its place, its name without a prefix in lower case, the prefix, and whether it opens, closes or is both."""

    start: int
    end: int
    name: str
    prefix: str
    kind: str  # "open", "close" or "void"


@dataclass(slots=True)
class _Element:
    """An element that is open: its tag, its children so far, and for a child of a fraction or power the parent."""

    tag: Tag
    children: list[Tag] = field(default_factory=list)
    parent: str = ""


def tags(text: str) -> Mapping[int, tuple[int, str]]:
    """Where a tag (or an element that says twice what another says) begins -> where it ends, what is shown for it."""
    return _Reading(text).shown if "<" in text or "lt;" in text else {}


class _Reading:
    def __init__(self, text: str) -> None:
        self.text = text
        self.shown: dict[int, tuple[int, str]] = {}
        self._open: list[_Element] = []
        self._count: Counter[str] = Counter()
        for found in _TAG.finditer(text):
            self._take(_tag(found))
        for element in self._open:
            self._alone(element.tag)
        self._break()

    def _take(self, tag: Tag) -> None:
        if tag.kind == "close":
            self._close(tag)
            return
        parent = self._open[-1] if self._open else None
        within = parent.tag.name if parent else ""
        if (parent and (within in _SECOND or within == "alternatives")) or (parent and tag.name.startswith("m")):
            parent.children.append(tag)
        if tag.kind == "void" and (parent or tag.name == "br" or _EMPTY.search(self.text[tag.start : tag.end])):
            self._show(tag, " " if tag.name == "mspace" else "")
        elif tag.kind == "void":
            self._alone(tag)
        else:
            self._open.append(_Element(tag, parent=within))
            self._count[tag.name] += 1

    def _close(self, tag: Tag) -> None:
        self._show(tag, "")
        if not self._count[tag.name]:
            return
        while True:
            element = self._open.pop()
            self._count[element.tag.name] -= 1
            if element.tag.name == tag.name:
                break
            self._alone(element.tag)
        self._pair(element, tag)

    def _pair(self, element: _Element, close: Tag) -> None:
        tag, before = element.tag, self.text[element.tag.start - 1 : element.tag.start]
        self._show(tag, "")
        if tag.name in ("annotation", "annotation-xml"):
            self.shown[tag.start] = (close.end, "")
        elif tag.name == "sup" and before.isdigit() and _EXPONENT.match(self.text, tag.end):
            self._show(tag, "^")
        elif tag.name == "msqrt":
            self._show(tag, "√(")
            self._show(close, ")")
        elif tag.name in _SECOND and len(element.children) == 2:
            second = element.children[1]
            self._show(second, _SECOND[tag.name] + self.shown.get(second.start, (0, ""))[1])
        elif tag.name == "mrow" and element.parent in _SECOND and len(element.children) > 1:
            self._show(tag, "(")
            self._show(close, ")")
        elif tag.name == "alternatives":
            said = {child.name: child for child in element.children}
            if "math" in said and "tex-math" in said and said["tex-math"].start < said["math"].start:
                self.shown[said["tex-math"].start] = (said["math"].start, "")

    def _alone(self, tag: Tag) -> None:
        """A tag that is not closed."""
        before = self.text[max(0, tag.start - 30) : tag.start].rstrip()[-1:]
        is_free = tag.name in _FREE or not before
        if tag.prefix or (is_free and not before.isalnum() and before not in tuple(")]}'%′_-")):
            self._show(tag, "")

    def _show(self, tag: Tag, text: str) -> None:
        self.shown[tag.start] = (tag.end, text)

    def _break(self) -> None:
        """A space where a paragraph or heading parts two words, and nothing else does."""
        begin, end, block = -1, -1, -1
        for found in (*_TAG.finditer(self.text), None):
            if found and found.start() not in self.shown:
                continue
            if found and found.start() == end:
                end = found.end()
            else:
                if block >= 0 and begin > 0 and not self.text[begin - 1].isspace() and _FOLLOWS.match(self.text, end):
                    self.shown[block] = (self.shown[block][0], " ")
                if not found:
                    return
                begin, end, block = found.start(), found.end(), -1
            if block < 0 and _tag(found).name in _BLOCKS:
                block = found.start()


def _tag(found: re.Match[str]) -> Tag:
    parts = _PARTS.match(found[0])
    assert parts  # whatever is a tag begins so
    name = parts[3].lower()
    kind = "close" if parts[1] else "void" if name in _VOID or _EMPTY.search(found[0]) else "open"
    return Tag(found.start(), found.end(), name, (parts[2] or "").lower(), kind)
