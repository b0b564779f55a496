"""What was brought, kept as a file; and why something could not be."""

from __future__ import annotations

import os
from pathlib import Path
from threading import get_ident

from rag.errors import LibraryError
from rag.places import private_folder


class Missed(Exception):
    """Why nothing could be had from an address, the name of a remedy if there is one, and the HTTP status (0 for none)."""

    def __init__(self, reason: str, remedy: str = "", status: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.status = status


def keep(file: Path, content: bytes) -> None:
    """Write a kept file: whole or not at all, for its owner alone. One that holds the same stays. Raises LibraryError."""
    try:
        if file.is_file() and file.read_bytes() == content:
            return
        private_folder(file.parent)
        new = file.with_name(f"{os.getpid()}-{get_ident()}.new")
        with open(os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as out:
            out.write(content)
        os.replace(new, file)
    except OSError as error:
        raise LibraryError(
            f"{file.parent}: cannot be written ({error.strerror}); set RAG_HOME to a folder of yours"
        ) from error
