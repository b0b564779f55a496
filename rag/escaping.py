"""Text of papers and models in Markdown and HTML, where it is shown and never obeyed."""

from __future__ import annotations

import re
from html import escape

from rag.text import printable, readable

_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~$!&])")
_BLOCK = re.compile(r"^(\d*)([-+=:]|[.)](?=\s))")
_IN_BOTH = re.compile(r"[\\`*_\[\]|~$!]")
_WEB = re.compile(r"https?://[^\s\x00-\x20\x7f]+\Z", re.IGNORECASE)


def markdown(text: str) -> str:
    """Text in which Markdown finds nothing to obey, on one line."""
    return unblocked(inline(" ".join(printable(readable(text)).split())))


def inline(text: str) -> str:
    """A piece of a line in which Markdown finds nothing to obey."""
    return _MARKDOWN.sub(r"\\\1", re.sub(r"\s+", " ", printable(readable(text))))


def unblocked(line: str) -> str:
    """A line that begins no list, heading or table."""
    return _BLOCK.sub(r"\1\\\2", line)


def html(text: str) -> str:
    """Text in which HTML finds nothing to obey, in an attribute too."""
    return escape(printable(readable(text)), quote=True)


def both(text: str) -> str:
    """Text for HTML inside Markdown, on one line: neither finds anything to obey, whichever looks first."""
    return _IN_BOTH.sub(lambda found: f"&#{ord(found[0])};", " ".join(html(text).split()))


def web(address: str | None) -> str:
    """An address of the web, ready for an attribute of HTML; "" for any other, such as a script."""
    return escape(address, quote=True) if address and _WEB.match(address) else ""
