"""What a server is sent besides the question, and how what it refuses is learned.

A server that refuses a parameter, a stream or a message of the role "system" is asked again without
it, and from then on is not sent it any more. Instructions that may not have a message of their own
stand at the beginning of the user's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rag.models.failures import is_too_long

SYSTEM = "system"


class Parameters:
    """What is sent to one server; each thing that it refuses is learned once. Threads may share it."""

    NAMES = ("max_tokens", "max_completion_tokens", "temperature", "stream_options", "stream")

    def __init__(self, temperature: float | None) -> None:
        self.temperature = temperature
        self._instead = {} if temperature is not None else {"temperature": ""}  # newer models refuse any
        self._last: frozenset[str] = frozenset()

    def sends(self, name: str) -> bool:
        """Is it still sent? `name` is a parameter, or SYSTEM for that message."""
        return name not in self._instead

    def adjusted(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The request under the names that the server knows, without what it refuses."""
        sent: dict[str, Any] = {}
        for name, value in request.items():
            while name in self._instead:
                name = self._instead[name]
            if name:
                sent[name] = value
        self._last = frozenset(sent)
        return sent

    def learn(self, error: Exception) -> bool:
        """Does the server refuse something that can be left out?"""
        text, status = str(error), getattr(error, "status_code", None)
        if status not in (None, 400, 422, 500) or is_too_long(error):
            return False
        if self.sends(SYSTEM) and _refuses_system(error):
            self._instead[SYSTEM] = ""
            return True
        if status not in (400, 422):
            return False
        named = [name for name in self.NAMES if re.search(rf"\b{name}\b", text)]
        refused = [name for name in (_param(error), *named) if name in self._last and name in self.NAMES]
        if not refused or refused[0] in self._instead:
            return False
        other = "max_completion_tokens"
        self._instead[refused[0]] = other if refused[0] == "max_tokens" and other in text else ""
        return True


_SYSTEM = re.compile(
    r"\b(?:system|developer)\b\W{0,3}(?:\w+\W+){0,3}?(?:roles?|messages?|prompts?|instructions?)\b|"
    r"\broles?\b[^.]{0,60}\bsystem\b|\broles? must alternate\b",
    re.IGNORECASE,
)


def _refuses_system(error: Exception) -> bool:
    if getattr(error, "status_code", None) is None and type(error).__name__ not in ("ServerSaid", "APIError"):
        return False
    return bool(_SYSTEM.search(str(error)))


def _param(error: Exception) -> str | None:
    """The parameter that an error of OpenAI's kind is about."""
    body = getattr(error, "body", None)
    return str(body.get("param")) if isinstance(body, dict) else None
