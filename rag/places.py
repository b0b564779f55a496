"""Where files lie: what this package writes, and what it ships with."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from rag.errors import PromptError

APP = "abstracts-rag"


def home(kind: str) -> Path:
    """The folder for "cache", "data" or "config"; `RAG_HOME` holds all three when it is set."""
    root = os.environ.get("RAG_HOME")
    if root:
        return Path(os.path.expanduser(root)) / kind
    import platformdirs

    place = {"cache": platformdirs.user_cache_path, "data": platformdirs.user_data_path}
    return place.get(kind, platformdirs.user_config_path)(APP, appauthor=False)


def libraries() -> Path:
    """The folder of the user's own libraries, one folder for each name."""
    return home("data") / "libraries"


def private(file: Path) -> None:
    """Make a file that only its owner can read, with the folders above it; what is there already is closed to others.

    Raises OSError.
    """
    private_folder(file.parent)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    mode = file.stat().st_mode & 0o777
    if mode & 0o077:
        with suppress(PermissionError):  # somebody else's
            file.chmod(mode & 0o700)


def resource(kind: str) -> Path:
    """The folder of shipped files: "prompts", "data" or "weights". In a wheel they lie in the package.

    Raises PromptError when it is missing.
    """
    package = Path(__file__).parent
    if (package / kind).is_dir():
        return package / kind
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / kind).is_dir():
        return checkout / kind
    raise PromptError(f"the shipped folder {kind!r} is missing; reinstall {APP}")


def private_folder(folder: Path) -> Path:
    """That folder, made with its parents if need be, for its owner alone. One that is there keeps its mode. Raises OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
    return folder
