"""Digests: how damage is told from data.

Every row of a library's file that an answer may rest on has a digest beside it, and every file of a collection. They
guard against damage, not against people: 8 bytes, without a key.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

SIZE = 8  # bytes
PIECE = 1 << 20  # bytes of a file read at once


def digest(*values: object) -> bytes:
    """The digest of a row's values: text, bytes and numbers."""
    return hashlib.blake2b(ascii(values).encode(), digest_size=SIZE).digest()


def digest_of_bytes(data: bytes, key: bytes = b"") -> bytes:
    """The digest of a vector, under its key."""
    return hashlib.blake2b(key + data, digest_size=SIZE).digest()


def digest_of_file(path: Path) -> str:
    """The digest of what a file holds, in hex. Raises OSError."""
    found = hashlib.blake2b(digest_size=SIZE)
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
    return found.hexdigest()
