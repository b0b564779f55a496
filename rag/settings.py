"""Numbers and prompt texts in, one fingerprint out.

What a caller may choose comes from four places, the nearest wins: an argument, an environment
variable, the settings file, the default below. Stages never see Settings: `assistant` and `build`
hand each of them the few numbers it needs. `fingerprint` changes when any number or prompt does,
so that two answers can be told apart by what made them.

    RAG_HOME      one folder for everything this package writes (else the platform's own places)
    RAG_LIBRARY   the library to ask
    RAG_MODEL     the chat model; a key in the environment alone never selects one
    RAG_BASE_URL  its server: a URL or a short name such as ollama
    RAG_JUDGE     a chat model that judges what the model wrote; "same" is that model
    RAG_DEADLINE  seconds for one question
    RAG_PROMPT_TOKENS  room for passages in a chat model's prompt
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tomllib
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rag.errors import PromptError, UsageError
from rag.places import home, resource
from rag.prompting import prompts
from rag.records import EXTRACTIVE, FrozenMap, Prompt

SAME_MODEL = "same"  # the judge that is the model itself
_ENVIRONMENT = {"library": "RAG_LIBRARY", "model": "RAG_MODEL", "base_url": "RAG_BASE_URL", "judge": "RAG_JUDGE"}
_CHOICES = {
    "library": str,
    "model": str,
    "base_url": str,
    "judge": str,
    "k": int,
    "deadline": float,
    "prompt_tokens": int,
    "papers_read": int,
}
_PRICE = {"prompt", "completion"}
LONGEST_DEADLINE = 86_400  # seconds of a deadline
MOST_READ = 20  # papers that are read before an answer
LEAST_PROMPT, LONGEST_PROMPT = 100, 1_000_000  # tokens of passages in a prompt


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that shapes an answer.

    library          name or path; None is the shipped one
    model            chat model; None answers without a model
    base_url         the model's server, a URL or a short name (rag.models.servers); None is OpenAI's
    judge            chat model asked whether quotes support a claim; "same" is `model`, None asks nobody
    k                papers an answer may draw on; None is as many as its question needs
    pool             chunks taken from each search before fusion
    dense_weight     share of the dense score in the fused one, 0..1
    papers_read      papers that are read word by word before an answer without a chat model;
                     0 reads none, nor claims beside their quotes
    least_support    evidence score under which the answer is a refusal, 0..1
    prompt_tokens    room for passages in a chat model's prompt; None is what its context leaves
    reply_tokens     longest reply of a chat model
    temperature      sent to the model only if not None
    deadline         seconds for one question, with all the calls of a chat model that it takes
    prices           a user's own: host -> model -> {"prompt", "completion"}, USD per million tokens
    claim_support    least support of a model's sentence by its quotes, 0..1 (rag.answering.support)
    """

    library: str | None = None
    model: str | None = None
    base_url: str | None = None
    judge: str | None = None
    k: int | None = None
    pool: int = 50
    dense_weight: float = 0.45
    papers_read: int = 4
    least_support: float = 0.45
    prompt_tokens: int | None = None
    reply_tokens: int = 1200
    temperature: float | None = None
    deadline: float = 120.0
    claim_support: float = 0.4
    prompts: tuple[Prompt, ...] = field(default=())
    prices: FrozenMap[FrozenMap[FrozenMap[float]]] = field(default=FrozenMap())

    @property
    def fingerprint(self) -> str:
        """12 hex digits that change with any number or prompt text (not with library or models)."""
        numbers = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in (*_ENVIRONMENT, "prompts", "prices")
        }
        texts = [(prompt.name, prompt.version, prompt.system, prompt.user) for prompt in self.prompts]
        return hashlib.sha256(json.dumps([numbers, texts], sort_keys=True).encode()).hexdigest()[:12]

    def prompt(self, name: str) -> Prompt:
        """The prompt of that name. Raises PromptError."""
        for prompt in self.prompts:
            if prompt.name == name:
                return prompt
        raise PromptError(f"no prompt named {name!r} in {resource('prompts')}")


def load(**chosen: Any) -> Settings:
    """Settings from arguments (None means not given), environment, settings file and defaults.

    Raises UsageError for a wrong value or a settings file that cannot be read.
    """
    values = _chosen(chosen)
    if values.get("model") == EXTRACTIVE:
        values["model"] = None
    settings = replace(Settings(prompts=prompts()), **values)
    k = settings.k
    if k is not None and (not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= 100):
        raise UsageError(f"k is {settings.k!r}; it counts papers, from 1 to 100")
    if not 0 <= settings.papers_read <= MOST_READ:
        raise UsageError(f"papers_read is {settings.papers_read!r}; it counts papers, from 0 to {MOST_READ}")
    return replace(settings, deadline=_seconds(settings.deadline), prompt_tokens=_tokens(settings.prompt_tokens))


def speaks_of_model(**chosen: Any) -> bool:
    """Has anybody said which model to use, or to use none ("extractive")? Takes what `load` takes."""
    return "model" in _chosen(chosen)


def _chosen(arguments: dict[str, Any]) -> dict[str, Any]:
    """What was chosen anywhere; the nearest place wins."""
    variables = _ENVIRONMENT | {"deadline": "RAG_DEADLINE", "prompt_tokens": "RAG_PROMPT_TOKENS"}
    values = _file() | {name: os.environ[var] for name, var in variables.items() if os.environ.get(var)}
    return values | {name: value for name, value in arguments.items() if value is not None}


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if isinstance(value, bool) or not 0 < seconds <= LONGEST_DEADLINE:
        raise UsageError(f"the deadline is {value!r}; it counts seconds, more than 0 and at most {LONGEST_DEADLINE:,}")
    return seconds


def _tokens(value: Any) -> int | None:
    if value is None:
        return None
    tokens = int(value) if isinstance(value, int) or (isinstance(value, str) and value.strip().isdecimal()) else 0
    if isinstance(value, bool) or not LEAST_PROMPT <= tokens <= LONGEST_PROMPT:
        raise UsageError(
            f"prompt_tokens is {value!r}; it counts tokens of passages, from {LEAST_PROMPT} to {LONGEST_PROMPT:,}"
        )
    return tokens


def file() -> Path:
    """Where the settings file lies, or would lie."""
    return home("config") / "settings.toml"


def _file() -> dict[str, Any]:
    path = file()
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({str(error).splitlines()[0]}); mend it or delete it") from error
    for name, value in values.items():
        if name == "prices":
            continue
        kind = _CHOICES.get(name)
        if kind is None:
            near = get_close_matches(name, [*_CHOICES, "prices"], 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it may set {', '.join(_CHOICES)}, prices"
            raise UsageError(f"{path}: unknown setting {name!r}{hint}")
        if not isinstance(value, (int, float) if kind is float else kind) or isinstance(value, bool):
            raise UsageError(f"{path}: {name} is {value!r}, not {'a text' if kind is str else 'a number'}")
    return values | ({"prices": _prices(path, values["prices"])} if "prices" in values else {})


def _prices(path: Path, told: Any) -> FrozenMap[FrozenMap[FrozenMap[float]]]:
    hosts = told.items() if isinstance(told, dict) else [("", told)]
    return FrozenMap({host.lower(): _models(path, host, models) for host, models in hosts})


def _models(path: Path, host: str, told: Any) -> FrozenMap[FrozenMap[float]]:
    """The prices of one host's models."""
    models = told if host and isinstance(told, dict) else {"": told}
    for model, price in models.items():
        if not isinstance(price, dict) or set(price) != _PRICE or not all(map(_is_usd, price.values())):
            raise UsageError(
                f'{path}: prices of {model or host or "models"!r}: {price!r} is none; write [prices."HOST"], below it '
                '"MODEL" = { prompt = 0.25, completion = 2.00 }, in USD per million tokens'
            )
    return FrozenMap({model: FrozenMap(price) for model, price in models.items()})


def _is_usd(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
