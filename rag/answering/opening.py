"""Settings -> an Assistant: its library, its embedder; one a process for the same settings."""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import Any

from rag.answering.assistant import Assistant
from rag.errors import LibraryError, UsageError
from rag.library import build
from rag.library.embed import Embedder, open_embedder
from rag.library.reader import Reader
from rag.library.served import embedder_of
from rag.library.store import Library
from rag.models.chat import ChatModel, open_chat
from rag.records import EXTRACTIVE
from rag.settings import SAME_MODEL, Settings

SHARED = 8  # assistants one process keeps open


def open_assistant(
    settings: Settings, model: Any = None, progress: build.Progress | None = None, judge: Any = None
) -> Assistant:
    """An assistant for the library that the settings name; the shipped one is built if need be.

    `model` and `judge` are objects, where the settings name none. Raises LibraryError for a library that is not there,
    is damaged, or was made by another embedder.
    """
    return assistant_over(
        open_library(settings.library, open_embedder(), progress), settings, model, judge, progress=progress
    )


def assistant_over(
    library: Library,
    settings: Settings,
    model: Any = None,
    judge: Any = None,
    *,
    base: Assistant | None = None,
    progress: build.Progress | None = None,
) -> Assistant:
    """An assistant for a library that is open; sharing what `base` has opened, if there is one. Raises LibraryError."""
    models = _open_models(settings, settings.model if model is None else model, judge, progress)
    if base:
        return base.under(settings, *models)
    embedder = embedder_of(library)
    if library.embedder != embedder.name:
        raise LibraryError(
            f"{library.path} was embedded with {library.embedder!r}, this package uses {embedder.name!r}"
        )
    return Assistant(settings, library, embedder, *models, Reader())


_shared: dict[Any, Assistant] = {}
_sharing = threading.Lock()


def shared_assistant(settings: Settings, model: Any = None, judge: Any = None) -> Assistant:
    """The assistant of this process for these settings, opened once; model objects are told by identity."""
    made_by = tuple(os.environ.get(name) for name in ("RAG_HOME", "RAG_API_KEY", "OPENAI_API_KEY"))
    key = (settings, made_by, *(None if one is None else id(one) for one in (model, judge)))
    with _sharing:
        if key not in _shared:
            if len(_shared) >= SHARED:
                _shared.pop(next(iter(_shared)))
            _shared[key] = open_assistant(settings, model, judge=judge)
        return _shared[key]


def open_library(name: str | None, embedder: Embedder, progress: build.Progress | None = None) -> Library:
    """The library of that name or path; None is the shipped one."""
    if name is None:
        return build.open_shipped(embedder, progress)
    if not name.strip():
        raise UsageError("the library's name is empty; leave it out to ask the shipped abstracts")
    return build.open_named(name)


def _open_models(
    settings: Settings, chosen: Any, judge: Any, progress: build.Progress | None
) -> tuple[ChatModel | None, ChatModel | None]:
    """The chat model that writes and the one that judges; None is none."""
    if chosen is None or chosen == EXTRACTIVE:
        return None, None
    opened = partial(
        open_chat,
        base_url=settings.base_url,
        reply_tokens=settings.reply_tokens,
        temperature=settings.temperature,
        prices=settings.prices,
        progress=progress,
    )
    model, second = opened(chosen), settings.judge if judge is None else judge
    same = second is chosen or (isinstance(second, str) and second == SAME_MODEL)
    return model, None if not second else model if same else opened(second)
