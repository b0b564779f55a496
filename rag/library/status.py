"""What `rag status` says of a library, and of what answers."""

from __future__ import annotations

from typing import Any

from rag.library import origins
from rag.library.build import named_folder, open_named, own_libraries, shipped_folder
from rag.library.embed import open_embedder
from rag.library.store import Library
from rag.models.servers import place_of
from rag.settings import Settings, file


def status_of(settings: Settings) -> dict[str, Any]:
    """What is known of the library that the settings name, and of what answers: plain JSON types.

    Raises LibraryError for a library of one's own that is not there.
    """
    embedder = open_embedder()
    name = settings.library
    folder = shipped_folder(embedder) if name is None else named_folder(name)
    facts: dict[str, Any] = {"library": name or "shipped abstracts", "folder": str(folder)}
    if name is None and not (folder / "library.sqlite").exists():
        facts["state"] = "not built yet; the first question builds it"
    else:
        library = Library.open(folder) if name is None else open_named(name)
        journal = library.journal()
        unfinished = "being built" if name is None else "empty so far; type: rag add FILE --library NAME"
        facts |= {"state": "ready" if library.generation else unfinished, **library.counts()}
        changed = next((entry["at"] for entry in journal if entry["generation"] == library.generation), "never")
        facts |= {"generation": library.generation, "changed": changed}
        facts |= {"embedder": library.embedder, "skipped": origins.passed_over(journal)}
        facts |= {"fingerprint": library.fingerprint} | ({"files": origins.sources(library)} if name else {})
    facts["libraries"] = list(own_libraries())
    facts["settings"] = str(file())
    facts["model"] = settings.model or "extractive (no chat model; name one with --model)"
    if settings.model:
        facts["server"] = place_of(settings.model, settings.base_url)
    return facts
