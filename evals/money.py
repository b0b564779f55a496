"""What a model's calls cost: a ledger of what was spent, and a limit that is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from rag.models.prices import Price
from rag.records import Usage

from .run import Stop

How = Literal["sent", "replayed"]


class Ledger:
    """Tokens and USD, spent and replayed apart. With a limit, a call's worst case is set aside first.

    `unpriced` counts calls whose price is not known: their money is in no sum, and the summary says so.
    """

    def __init__(self, most: float | None = None) -> None:
        self.most = most
        self.usd: dict[How, float] = {"sent": 0.0, "replayed": 0.0}
        self.calls: dict[How, int] = {"sent": 0, "replayed": 0}
        self.prompt: dict[How, int] = {"sent": 0, "replayed": 0}
        self.completion: dict[How, int] = {"sent": 0, "replayed": 0}
        self.unpriced = 0
        self._aside = 0.0
        self._guard = threading.Lock()

    @contextmanager
    def aside(self, usd: float) -> Iterator[None]:
        """Set a call's worst case aside while it is under way. Raises Stop when it would pass the limit."""
        with self._guard:
            if self.most is not None and self.usd["sent"] + self._aside + usd > self.most:
                raise Stop(
                    f"stopped at ${self.usd['sent']:.4f} spent: the next call could pass --max-usd {self.most:g}; "
                    "finished rows are kept, raise --max-usd and run the same again"
                )
            self._aside += usd
        try:
            yield
        finally:
            with self._guard:
                self._aside -= usd

    def count(self, how: How, usage: Usage, price: Price | None) -> None:
        """Note what was "sent" for or "replayed"."""
        with self._guard:
            self.calls[how] += usage.calls
            self.prompt[how] += usage.prompt_tokens
            self.completion[how] += usage.completion_tokens
            self.usd[how] += price.of(usage.prompt_tokens, usage.completion_tokens) if price else 0.0
            self.unpriced += 0 if price else usage.calls

    def lost(self, usd: float) -> None:
        """Note a call that brought nothing but may be billed all the same."""
        with self._guard:
            self.usd["sent"] += usd

    def __bool__(self) -> bool:
        return any(self.calls.values())

    def __str__(self) -> str:
        parts = [
            f"{self.calls[how]} {how} ({self.prompt[how]:,} + {self.completion[how]:,} tokens, ${self.usd[how]:.4f})"
            for how in self.calls
        ]
        unknown = (
            f"; the price of {self.unpriced} of them is unknown, give it in settings.toml" if self.unpriced else ""
        )
        return f"model calls: {', '.join(parts)}{unknown}"


def tokens_of(text: str, characters: float = 4.0) -> int:
    """A guess at the tokens of a prompt of two messages; with fewer characters a token, a safe upper one."""
    return int(len(text) / characters) + 16
