"""Counting tokens needs no network."""

from __future__ import annotations

from rag.models.tokens import counter


def test_tokens_are_counted_without_a_network():
    assert 2 <= counter()("Structured state spaces") <= 6
    assert counter()("<|endoftext|>") > 0
