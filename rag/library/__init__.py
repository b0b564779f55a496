"""A library on disk: how it is built from papers, read, changed, and looked after."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """`Library`, loaded when it is first asked for."""
    if name != "Library":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rag.library.store import Library

    return Library
