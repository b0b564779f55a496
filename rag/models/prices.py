"""What a chat model's calls cost: a dated table in this package, which a user's settings correct.

A server on this machine or network costs nothing. A price that nobody knows is None, never 0.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rag.records import Usage

TABLE = Path(__file__).with_name("prices.toml")

Prices = Mapping[str, Mapping[str, Mapping[str, float]]]  # host -> model -> {"prompt", "completion"}: USD per million


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    prompt: float
    completion: float

    def of(self, prompt: float, completion: float) -> float:
        """USD for so many tokens."""
        return (self.prompt * prompt + self.completion * completion) / 1e6


FREE = Price(0.0, 0.0)


def price_of(base_url: str, model: str, own: Prices | None = None) -> Price | None:
    """What a model costs at a server, by the user's own prices first; None where that is not known."""
    host = urlsplit(base_url).hostname or ""
    return _in(own or {}, host, model) or (FREE if _is_near(host) else _in(_table(), host, model))


def priced(usage: Usage, price: Price | None) -> Usage:
    """The same with its USD; None when the price is not known, or the server counted no tokens."""
    if price is None or not (price == FREE or usage.prompt_tokens or usage.completion_tokens):
        return replace(usage, usd=None)
    return replace(usage, usd=price.of(usage.prompt_tokens, usage.completion_tokens))


def _in(prices: Prices, host: str, model: str) -> Price | None:
    models = prices.get(host, {})
    found = models.get(model) or models.get(re.sub(r"-\d{4}-?\d{2}-?\d{2}$", "", model))
    return Price(float(found["prompt"]), float(found["completion"])) if found else None


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text("utf-8"))


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private  # loopback too
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local"))
