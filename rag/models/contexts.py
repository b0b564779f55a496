"""How many tokens a model takes, prompt and reply together: what its server tells, else what its family has.

Servers tell it in ways of their own: in the list of their models, or, where that list is silent or
speaks of what a model was trained for, at another address. None has to: whatever goes wrong, the
family decides. OpenAI's own server is not asked, because it never tells.
"""

from __future__ import annotations

import re
import threading
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rag.models.deadline import Deadline, within
from rag.models.network import http_client
from rag.models.servers import is_openai, key_of

PATIENCE = 1.0  # seconds that all questions about one model may take
UNTOLD = 4096  # what Ollama and LM Studio give a model that is not loaded, unless told otherwise
_TABLE = Path(__file__).with_name("contexts.toml")
_NAMES = (  # of the number, in a list of models
    "context_length", "max_model_len", "context_window", "max_context_length", "max_input_tokens", "n_ctx",
)  # fmt: skip

Get = Callable[[str], Any]  # a path at the server -> what it answers, read as JSON

_known: dict[tuple[str, str], int | None] = {}
_asking = threading.Lock()


def context_of(model: str, url: str) -> int | None:
    """Tokens that a model at a server's base URL takes; None when nobody knows. A server is asked once a process."""
    with _asking:
        if (url, model) not in _known:
            _known[url, model] = _told(model, url) or of_family(model)
        return _known[url, model]


def of_family(model: str) -> int | None:
    """Tokens that the models of this one's family take at least; None for a family that is not in the table."""
    name = re.sub(r"^([a-z]+)-(?=\d)", r"\1", model.rpartition("/")[2].strip().lower())
    return max(((len(key), tokens) for key, tokens in _families().items() if name.startswith(key)), default=(0, None))[
        1
    ]


@cache
def _families() -> dict[str, int]:
    return tomllib.loads(_TABLE.read_text("utf-8"))


# --- asking a server ----------------------------------------------------------------------------


def _told(model: str, url: str) -> int | None:
    if is_openai(url):
        return None
    try:
        with http_client(url) as http:
            http.headers["authorization"] = f"Bearer {key_of(url)}"
            http.timeout = PATIENCE
            return next(within(Deadline(PATIENCE), lambda: iter([_asked(model, url, http)])))
    except Exception:  # noqa: BLE001  no answer is an answer, too
        return None


def _asked(model: str, url: str, http: Any) -> int | None:
    root = re.sub(r"/v\d\w*$", "", url)

    def get(path: str) -> Any:
        return http.get(root + path).raise_for_status().json()

    answer = http.get(f"{url}/models")
    offered = answer.json() if answer.is_success and "json" in answer.headers["content-type"] else get("/v1/models")
    entries = _entries(offered.get("data") if isinstance(offered, Mapping) else offered)
    entry = entries[0] if len(entries) == 1 else _entry(model, entries)  # the only one, whatever it is called
    owner, found = entry.get("owned_by"), _number(entry) or _number(entry.get("meta"))
    if owner == "library":
        return _of_ollama(model, get, lambda path, asked: http.post(root + path, json=asked).raise_for_status().json())
    if owner == "organization_owner":
        return _of_lm_studio(model, get)
    if found or owner != "llamacpp":
        return found
    return _number(get("/props").get("default_generation_settings"))


def _of_ollama(model: str, get: Get, post: Callable[[str, Mapping[str, str]], Any]) -> int:
    """What it gives a loaded model, else what the model's file says."""
    if loaded := _number(_entry(model, get("/api/ps").get("models"))):
        return loaded
    said = re.search(r"^num_ctx\s+(\d+)", str(post("/api/show", {"model": model}).get("parameters", "")), re.MULTILINE)
    return int(said[1]) if said else UNTOLD


def _of_lm_studio(model: str, get: Get) -> int:
    """What it gives a loaded model."""
    entry = get(f"/api/v0/models/{quote(model)}")
    return _count(entry.get("loaded_context_length")) or min(_number(entry) or UNTOLD, UNTOLD)


def _entries(listed: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []


def _entry(model: str, listed: Any) -> Mapping[str, Any]:
    """What a list of models says of one."""
    names = (model, f"{model}:latest")  # as Ollama completes a name
    named = (entry for entry in _entries(listed) if any(entry.get(key) in names for key in ("id", "name", "model")))
    return next(named, {})


def _number(entry: Any) -> int | None:
    if not isinstance(entry, Mapping):
        return None
    return next((count for name in _NAMES if (count := _count(entry.get(name)))), None)


def _count(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None
