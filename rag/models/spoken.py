"""What a chat model says aloud: its reply without thoughts and tool calls, and what a JSON object says in its stead.

One character after the other, so that how a server cuts its stream cannot matter.
"""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

_INVISIBLE = re.compile(
    "[\x00-\x06\x08\r\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9a\x9e\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e01ef]"
)
_NEWLINE = re.compile("[\x0b\x0c\x85\u2028\u2029]")
_THOUGHTS = ("think", "thinking", "thought", "reasoning")
_CALLS = ("tool_call", "function_call", "tool_response")
_TAGS = {f"<{name}>" for name in (*_THOUGHTS, *_CALLS)} | {f"</{name}>" for name in (*_THOUGHTS, *_CALLS)}


def _visible(text: str) -> str:
    return _NEWLINE.sub("\n", _INVISIBLE.sub("", text))


class Lines(Protocol):
    """Who takes what is said."""

    @property
    def at_start(self) -> bool:
        """Is this the beginning of a line?"""

    def take(self, char: str) -> None:
        """Read one more character."""

    def restart(self) -> None:
        """All that was said so far was thought."""


class Spoken:
    """A reply read as it arrives: `feed` every piece, then `close`; what is said aloud goes to `lines`."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._held = ""  # may become a tag
        self._hidden: str | None = None  # the closing tag that is waited for
        self._inside = ""  # what was hidden since
        self._object: _Object | None = None
        self._plain = False  # inside the text of an object, where braces are text

    def feed(self, text: str) -> None:
        """Read one more piece of the reply."""
        self._read(text)

    def close(self) -> None:
        """Nothing more comes."""
        self._pass(self._held)
        self._held = ""
        if self._object:
            self._unwrap(self._object.text)

    def _read(self, text: str) -> None:
        for char in _visible(text):
            if self._hidden:
                self._hide(char)
            elif self._held or char == "<":
                self._hold(char)
            else:
                self._pass(char)

    def _hide(self, char: str) -> None:
        self._inside += char
        if char == ">" and self._inside[-20:].lower().endswith(self._hidden or ""):
            call = self._hidden not in {f"</{name}>" for name in _THOUGHTS}
            inside, self._inside, self._hidden = self._inside, "", None
            if call:
                self._unwrap(inside.rpartition("<")[0], noise=True)

    def _hold(self, char: str) -> None:
        self._held += char
        tag = self._held.lower()
        if tag in _TAGS:
            self._held = ""
            self._tag(tag)
        elif not any(name.startswith(tag) for name in _TAGS):
            held, self._held = self._held[:-1], ""
            self._pass(held)
            self._read(char)

    def _tag(self, tag: str) -> None:
        if not tag.startswith("</"):
            self._hidden = f"</{tag[1:]}"
        elif tag[2:-1] in _THOUGHTS:  # begun in the prompt: all before it was thought
            self._object = None
            self._lines.restart()

    def _pass(self, text: str) -> None:
        for char in text:
            if self._object is None and char == "{" and not self._plain and self._lines.at_start:
                self._object = _Object()
            if self._object is None:
                self._lines.take(char)
            elif self._object.ends(char):
                whole, self._object = self._object.text, None
                self._unwrap(whole)

    def _unwrap(self, source: str, *, noise: bool = False) -> None:
        """Read what an object says in its stead; what is no object is text, or noise."""
        said = _said(source)
        text = ("" if noise else source) if said is None else f"\n{said}\n"
        plain, self._plain, self._object = self._plain, True, None
        self._read(text)
        self._plain = plain


class _Object:
    """The characters of what may be a JSON object, until it closes or turns out to be none."""

    def __init__(self) -> None:
        self.text = ""
        self._depth = 0
        self._quoted = self._escaped = self._begun = False

    def ends(self, char: str) -> bool:
        """Take a character; True if it is the last."""
        self.text += char
        if self._quoted:
            self._quoted = self._escaped or char != '"'
            self._escaped = char == "\\" and not self._escaped
            return False
        self._quoted = char == '"'
        self._depth += {"{": 1, "}": -1}.get(char, 0)
        if self.text == "{" or char.isspace() or self._begun:
            return self._depth == 0
        self._begun = True
        return char not in '"'


_SAYS = ("answer", "final_answer", "response", "reply", "sentences", "sentence", "text", "content")
_CITES = ("citations", "sources", "passages", "citation", "source", "passage")
_CUT_SHORT = re.compile(r'"(?:answer|final_answer|response)"\s*:\s*"((?:[^"\\]|\\.)*)', re.DOTALL)


def _said(source: str) -> str | None:
    """What a JSON object says under "answer" or the like; "" if nothing, None for what is no object."""
    try:
        value = json.loads(source, strict=False)
    except (ValueError, RecursionError):
        found = _CUT_SHORT.search(source)
        return _unescaped(found[1]) if found else None
    return _spoken(value) if isinstance(value, dict) else None


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def _spoken(value: Any, depth: int = 0) -> str:
    """The text of a value, one line for each of its parts; numbers it cites follow on their own line."""
    if isinstance(value, str) or depth > 4:
        return value if isinstance(value, str) else ""
    if isinstance(value, list):
        return "\n".join(_spoken(item, depth + 1) for item in value)
    if not isinstance(value, dict):
        return ""
    inner = [value[key] for key in _SAYS if key in value] or [v for v in value.values() if isinstance(v, dict)]
    cited = [value[key] for key in _CITES if key in value]
    listed = [n for one in cited for n in (one if isinstance(one, list) else [one])]
    numbers = ", ".join(str(n) for n in listed if type(n) is int)
    return (_spoken(inner[0], depth + 1) if inner else "") + (f"\n[{numbers}]" if numbers else "")
