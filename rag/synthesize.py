"""Evidence -> Draft: sentences with marks, written by nobody or by a chat model.

`extract` picks the sentences that answer and returns them as they stand: it can be incomplete, it
cannot invent. `write` lets a chat model phrase the answer from numbered passages; its draft is a
proposal that `verify` has yet to check. Both give sentences whose marks `[n]` name the n-th
passage, and both may decline. What stands in a passage is data: it is fenced with a marker made
for the request, its own brackets and invisible characters are taken out, so that it can neither
end the fence nor forge a mark.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from rag.errors import ModelError
from rag.records import EXTRACTIVE, Draft, Evidence, Paper, Prompt, Usage
from rag.relevance import Asked, Scored
from rag.text import folded, printable, readable, sentences

DECLINED = "NOT IN THIS LIBRARY"
CLOSE = 0.8  # a further sentence scores at least this share of the best one
NEW = 0.15  # ... or, from 0.6 on, covers this share of the question's weight that nothing covers yet
SAME = 0.8  # sentences that share this much of their words say the same


# --- without a model ----------------------------------------------------------------------------


def extract(
    question: Asked,
    evidence: Sequence[Evidence],
    scored: Callable[[Paper], Sequence[Scored]],
    *,
    least_support: float,
    most_papers: int,
    most_sentences: int,
) -> Draft:
    """The sentences of the evidence that answer, verbatim (readable form), best paper first.

    Refused when no evidence reaches `least_support`. Greedy: the best sentence, then each next one
    that is nearly as good or covers words of the question that are still open, after maximal
    marginal relevance (Carbonell and Goldstein, 1998).
    """
    passages = tuple(evidence)
    if not passages or max(e.score for e in passages) < least_support:
        return Draft((), passages, "refused", EXTRACTIVE)
    number = {e.paper.id: n for n, e in enumerate(passages, 1)}
    candidates = [sentence for e in passages[:most_papers] for sentence in scored(e.paper)]
    prior = {e.paper.id: e.score / e.rank**0.5 for e in passages}
    ranked = sorted(candidates, key=lambda s: (-(s.score + 0.3 * prior[s.paper.id]), number[s.paper.id], s.span))
    chosen = _chosen(question, ranked, most_sentences)
    order = {s.paper.id: at for at, s in reversed(list(enumerate(chosen)))}
    chosen.sort(key=lambda s: (order[s.paper.id], s.span))
    texts = (f"{_unmarked(readable(s.text))} [{number[s.paper.id]}]" for s in chosen)
    return Draft(tuple(texts), passages, "answered", EXTRACTIVE)


def _chosen(question: Asked, ranked: Sequence[Scored], most: int) -> list[Scored]:
    chosen = [ranked[0]]
    weights = dict(question.weights)
    for sentence in ranked[1:]:
        if len(chosen) == most:
            break
        open_terms = sentence.covered - frozenset().union(*(s.covered for s in chosen))
        gain = sum(weights[term] for term in open_terms) / (question.total or 1.0)
        near = sentence.score >= CLOSE * chosen[0].score
        helps = gain >= NEW and sentence.score >= 0.6 * chosen[0].score
        if (helps or (near and len(chosen) < 2)) and not any(_alike(sentence, other) for other in chosen):
            chosen.append(sentence)
    return chosen


def _alike(one: Scored, other: Scored) -> bool:
    a, b = set(folded(one.text).split()), set(folded(other.text).split())
    return len(a & b) >= SAME * min(len(a), len(b))


# --- with a chat model --------------------------------------------------------------------------


class Reply(NamedTuple):
    """What a chat model said, and what it cost."""

    text: str
    usage: Usage


Ask = Callable[[str, str], Reply]  # (system, user) -> reply


def write(question: str, evidence: Sequence[Evidence], prompt: Prompt, ask: Ask, *, model: str, tokens: int) -> Draft:
    """A chat model's draft from the evidence, of which at most `tokens` are shown to it.

    Raises ModelError when the model gives nothing to read, and whatever `ask` raises.
    """
    passages = tuple(evidence)
    if not passages:
        return Draft((), passages, "refused", model)
    fence = f"=== {secrets.token_hex(6)} ==="
    shown = fenced(passages, tokens, counter(model))
    reply = ask(prompt.system, prompt.fill(fence=fence, passages=shown, question=_harmless(question)))
    text = without_thoughts(reply.text)
    if not text:
        raise ModelError(f"{model} answered with nothing to read; try again or another model")
    if DECLINED.casefold() in folded(text) and "[" not in text:
        return Draft((), passages, "refused", model, reply.usage)
    return Draft(marked_sentences(text), passages, "answered", model, reply.usage)


def fenced(passages: Sequence[Evidence], tokens: int, count: Callable[[str], int]) -> str:
    """The passages numbered from 1, each cut by whole sentences to its share of `tokens`."""
    share = max(tokens // max(1, len(passages)), 40)
    return "\n\n".join(
        f"[{n}] {_harmless(readable(e.paper.title))}\n{_cut(e.paper, share, count)}" for n, e in enumerate(passages, 1)
    )


def _cut(paper: Paper, tokens: int, count: Callable[[str], int]) -> str:
    kept: list[str] = []
    for start, end in sentences(paper.abstract):
        sentence = _harmless(readable(paper.abstract[start:end]))
        tokens -= count(sentence)
        if tokens < 0 and kept:
            break
        kept.append(sentence)
    return " ".join(kept)


_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")


def _harmless(text: str) -> str:
    """Without invisible characters, and with square brackets and fences that cannot be taken for ours."""
    plain = _INVISIBLE.sub("", printable(text)).replace("[", "(").replace("]", ")")
    return re.sub(r"={3,}", "=", plain)


_MARK = r"\[\s*\d{1,3}(?:\s*[,;\-–]\s*\d{1,3})*\s*\]"
_LATE_MARKS = re.compile(rf"([.!?])((?:\s*{_MARK})+)")
_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+", re.MULTILINE)  # of a list; its number states nothing
_THOUGHT = re.compile(r"\A(?:(?!<think>).)*?</think>|<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)


def _unmarked(text: str) -> str:
    """An abstract's own "[38]" as "(38)", which no reader takes for a mark; `verify` finds it all the same."""
    return re.sub(_MARK, lambda mark: f"({mark[0][1:-1]})", text)


def without_thoughts(text: str) -> str:
    """The reply without what a reasoning model thought aloud."""
    return _THOUGHT.sub("", text).strip()


def marked_sentences(text: str) -> tuple[str, ...]:
    """The sentences of a model's text; a mark after the stop belongs to the sentence before it."""
    early = _LATE_MARKS.sub(lambda m: f"{m[2]}{m[1]}", _ITEM.sub("", text)).replace("\n", "\n\n")
    found = (early[start:end].strip("-*• \n") for start, end in sentences(early))
    return tuple(sentence for sentence in found if sentence)


@cache
def counter(model: str) -> Callable[[str], int]:
    """How many tokens a text has for a model, by tiktoken from files already here; no network."""
    import os
    from importlib.util import find_spec
    from pathlib import Path

    core = find_spec("llama_index.core")
    if core and core.origin:
        place = Path(core.origin).parent / "_static" / "tiktoken_cache"
        os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(place))
    import tiktoken

    encoding: Any = tiktoken.get_encoding("cl100k_base")  # unknown models too: within a tenth of the true count
    return lambda text: len(encoding.encode(text, disallowed_special=()))
