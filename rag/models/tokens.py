"""How many tokens a text has."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@cache
def counter() -> Callable[[str], int]:
    """A function that counts the tokens of a text, by tiktoken from files already here; no network.

    One encoding serves every model: for those it was not made for, the count is within a tenth of the true one.
    """
    core = find_spec("llama_index.core")
    if core and core.origin:
        place = Path(core.origin).parent / "_static" / "tiktoken_cache"
        os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(place))
    import tiktoken

    encoding: Any = tiktoken.get_encoding("cl100k_base")
    return lambda text: len(encoding.encode(text, disallowed_special=()))
