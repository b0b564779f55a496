"""How often does the gate cry wolf, and what does it miss? Both error rates, measured.

    python evals/bench/gate.py [--trials 200] [--samples 1] [--seed 1] [--only unchanged]

A made answerer is asked the real gold set: 70 % of the questions come out right with p = .98, 15 %
with .6, 15 % with .1; an unanswerable one is right when it is refused. Its answers are records made
from the gold rows (a right one states the facts and cites the papers, a wrong one does neither), and
the judge is `evals.compare.compare` itself: a baseline of 5 samples, a candidate of --samples, fresh
samples for what is confirmed. The last table is of answers that do not vary: 1 sample, no confirming.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[2]))

from evals import compare, gold, metrics
from evals.gold import Question
from evals.records import Manifest, Record, Run
from evals.statistics import Estimate, wilson

MIX = ((0.98, 0.70), (0.6, 0.15), (0.1, 0.15))  # (chance of a right answer, share of the questions)
BROKEN = 0.1  # chance of a right answer to a question that is broken
BASELINE_SAMPLES = 5
CERTAIN = 0.5  # answers that do not vary: from this chance on always right, else always wrong

Chances = dict[str, float]
Damage = Callable[[Chances, random.Random], Chances]


@dataclass(frozen=True, slots=True)
class Rates:
    """What came of so many trials, and how many fresh answers were asked for in all."""

    trials: int
    verdicts: Mapping[str, int]
    fresh: int

    def share(self, verdict: str) -> float:
        """How often the verdict was that, 0..1."""
        return self.verdicts.get(verdict, 0) / self.trials

    def interval(self, verdict: str) -> tuple[float, float]:
        """Wilson's 95 % interval of that share."""
        return wilson(self.verdicts.get(verdict, 0), self.trials)


# --- the answerer -------------------------------------------------------------------------------


class Answerer:
    """Right and wrong answers to every question, and records drawn from them by chance."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = {question.id: question for question in questions}
        self.abstracts = _abstracts(questions)
        self.answers = {q.id: (_wrong(q, self.abstracts), _right(q, self.abstracts)) for q in questions}
        for id, (wrong, right) in self.answers.items():
            outcome = [metrics.correct(self.questions[id], answer, self.abstracts) for answer in (wrong, right)]
            assert outcome == [0, 1], f"{id}: a wrong and a right answer score {outcome}"

    def draw(
        self, chances: Chances, samples: int, chance: random.Random, ids: Iterable[str] = ()
    ) -> tuple[Record, ...]:
        """Records of `samples` answers to each question (of `ids`, if any are given)."""
        return tuple(
            Record(id, self.questions[id].rev, 0, sample, answer=self.answers[id][chance.random() < chances[id]])
            for id in (ids or self.questions)
            for sample in range(samples)
        )


def _abstracts(questions: Iterable[Question]) -> dict[str, str]:
    """For each paper an abstract made of what the gold set quotes from it."""
    quotes: dict[str, dict[str, None]] = {}
    for question in questions:
        for paper in question.papers:
            quotes.setdefault(paper, {})[f"This is paper {paper}."] = None
        for support in (s for fact in question.facts for s in fact.support):
            quotes.setdefault(support.paper, {})[support.quote] = None
    return {paper: " ".join(parts) for paper, parts in quotes.items()}


def _right(question: Question, abstracts: Mapping[str, str]) -> dict[str, Any]:
    """States every fact in the words of its paper, and quotes every essential paper."""
    if not question.answerable:
        return _answer(question, [])
    quoted = [(fact.support[0].paper, fact.support[0].quote) for fact in question.facts]
    others = sorted(question.essential - {paper for paper, _ in quoted})
    quoted += [(paper, _opening(paper, abstracts)) for paper in others]
    numbers = {paper: n for n, paper in enumerate(dict.fromkeys(paper for paper, _ in quoted), 1)}
    return _answer(question, [_citation(numbers[paper], paper, quote, abstracts) for paper, quote in quoted])


def _wrong(question: Question, abstracts: Mapping[str, str]) -> dict[str, Any]:
    """Says something else, from a paper that does not belong."""
    paper = next(id for id in sorted(abstracts) if id not in question.acceptable)
    return _answer(question, [_citation(1, paper, _opening(paper, abstracts), abstracts)])


def _opening(paper: str, abstracts: Mapping[str, str]) -> str:
    return abstracts[paper].split(".")[0] + "."


def _citation(number: int, paper: str, quote: str, abstracts: Mapping[str, str]) -> dict[str, Any]:
    start = abstracts[paper].index(quote)
    return {"number": number, "paper": paper, "start": start, "end": start + len(quote), "quote": quote}


def _answer(question: Question, cited: list[dict[str, Any]]) -> dict[str, Any]:
    """A stored answer whose claims are these quotes; a refusal without any. Only what is said varies."""
    essential = [[paper, 1.0] for paper in sorted(question.essential)]
    evidence = dict.fromkeys([*sorted(question.essential), *(c["paper"] for c in cited)])
    return {
        "status": "answered" if cited else "refused",
        "text": " ".join(f"{c['quote']} [{c['number']}]" for c in cited) or "This library does not say.",
        "query": question.question,
        "claims": [{"text": c["quote"], "verdict": "quoted", "citations": [c]} for c in cited],
        "removed": [],
        "retrieved": essential,
        "evidence": [[paper, 1.0] for paper in evidence],
    }


# --- what may happen to it ----------------------------------------------------------------------


def mixed(ids: Sequence[str], chance: random.Random) -> Chances:
    """A chance of a right answer for every question, in the shares of MIX."""
    shuffled = chance.sample(ids, len(ids))
    chances: Chances = {}
    for p, share in MIX:
        take = round(share * len(ids))
        chances |= dict.fromkeys(shuffled[len(chances) : len(chances) + take], p)
    return {id: chances.get(id, MIX[0][0]) for id in ids}


def unchanged(chances: Chances, _: random.Random) -> Chances:
    """Nothing happened."""
    return chances


def break_share(share: float) -> Damage:
    """That share of the questions is answered wrongly from now on, whichever they are."""

    def damage(chances: Chances, chance: random.Random) -> Chances:
        hit = chance.sample(sorted(chances), round(share * len(chances)))
        return chances | dict.fromkeys(hit, BROKEN)

    return damage


def break_one(chances: Chances, chance: random.Random) -> Chances:
    """One of the questions that were answered well is answered wrongly from now on."""
    return chances | {chance.choice(sorted(id for id, p in chances.items() if p > 0.9)): BROKEN}


def everywhere(less: float) -> Damage:
    """Every question is answered a little less well."""
    return lambda chances, _: {id: max(0.0, p - less) for id, p in chances.items()}


DAMAGES: Mapping[str, Damage] = {
    "unchanged": unchanged,
    "5 % of the questions broken": break_share(0.05),
    "one good question broken": break_one,
    "every question -.05": everywhere(0.05),
    "every question -.10": everywhere(0.10),
}


# --- trials -------------------------------------------------------------------------------------


def measure(
    answerer: Answerer,
    damage: Damage,
    *,
    trials: int,
    samples: int = 1,
    baseline: int = BASELINE_SAMPLES,
    seed: int = 1,
) -> Rates:
    """Verdicts on a noisy answerer whose questions are confirmed with fresh samples."""
    chance = random.Random(seed)
    verdicts: Counter[str] = Counter()
    fresh = 0
    for _ in range(trials):
        before = mixed(sorted(answerer.questions), chance)
        after = damage(before, chance)
        result = compare.compare(
            _run(answerer.draw(before, baseline, chance)),
            _run(answerer.draw(after, samples, chance)),
            tuple(answerer.questions.values()),
            answerer.abstracts,
            partial(_fresh, answerer, after, chance),
        )
        verdicts[result.verdict] += 1
        fresh += len(result.confirmations)
    return Rates(trials, verdicts, fresh)


def _fresh(
    answerer: Answerer, chances: Chances, chance: random.Random, ids: Sequence[str], samples: int
) -> Sequence[Record]:
    return answerer.draw(chances, samples, chance, ids)


def measure_certain(answerer: Answerer, damage: Damage, *, trials: int, seed: int = 1) -> Rates:
    """The same on answers that do not vary."""
    chance = random.Random(seed)
    verdicts: Counter[str] = Counter()
    for _ in range(trials):
        before = mixed(sorted(answerer.questions), chance)
        after = damage(before, chance)
        was, now = (
            _run(answerer.draw({id: float(p > CERTAIN) for id, p in c.items()}, 1, chance)) for c in (before, after)
        )
        result = compare.compare(was, now, tuple(answerer.questions.values()), answerer.abstracts)
        verdicts[result.verdict] += 1
    return Rates(trials, verdicts, 0)


def _run(records: tuple[Record, ...]) -> Run:
    manifest = Manifest("2026-11-21T00:00:00", "library", "run", "code", "gold", "noisy", "0", "all", 1)
    return Run(manifest, records)


@contextmanager
def in_haste() -> Iterator[None]:
    """Score each of the few answers once, and leave out the intervals that no verdict looks at."""
    with (
        patch.object(metrics, "score", _once(metrics.score)),
        patch.object(metrics, "correct", _once(metrics.correct)),
        patch.object(compare, "estimate", _mean_only),
    ):
        yield


def _once(real: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[tuple[str, int], Any] = {}

    def scored(question: Question, answer: metrics.Answer, abstracts: metrics.Abstracts) -> Any:
        key = question.id, id(answer)
        if key not in known:
            known[key] = real(question, answer, abstracts)
        return known[key]

    return scored


def _mean_only(values: Sequence[float], groups: Sequence[str], *, binary: bool = False) -> Estimate:
    return Estimate(math.fsum(values) / len(values), None, None, len(values))


# --- the command --------------------------------------------------------------------------------


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--samples", type=int, default=1, help="answers of the candidate to each question")
    parser.add_argument("--baseline", type=int, default=BASELINE_SAMPLES, help="answers of the baseline")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="only what happens whose name holds this")
    arguments = parser.parse_args()
    answerer = Answerer(gold.load())
    chosen = {name: damage for name, damage in DAMAGES.items() if (arguments.only or "") in name}
    shape = {"trials": arguments.trials, "seed": arguments.seed}
    print(f"{len(answerer.questions)} questions, {arguments.trials} trials; shares with Wilson's 95 % interval")
    with in_haste():
        print(f"\nnoisy answers, {arguments.samples} against {arguments.baseline} samples")
        for name, damage in chosen.items():
            sampled = measure(answerer, damage, samples=arguments.samples, baseline=arguments.baseline, **shape)
            _print(name, sampled)
        print("\nanswers that do not vary, 1 against 1 sample, nothing confirmed")
        for name, damage in chosen.items():
            if "every" not in name:  # without chance there is no "a little less often"
                _print(name, measure_certain(answerer, damage, **shape))


def _print(name: str, rates: Rates) -> None:
    told = []
    for verdict in ("regression", "inconclusive", "pass"):
        low, high = rates.interval(verdict)
        told.append(f"{verdict} {rates.share(verdict):.3f} ({low:.3f}-{high:.3f})")
    print(f"{name:28} {'  '.join(told)}  {rates.fresh / rates.trials:.0f} fresh answers", flush=True)


if __name__ == "__main__":
    main()
