"""How often does the gate raise an alarm when nothing has changed? Asked of real samples.

The samples of each question in one run are dealt at random into a "baseline" and a "candidate", and
the gate compares them; whatever it reports as a regression is a false alarm. Fresh samples, which the
gate draws to confirm a break, are drawn with replacement from all samples of the question. Splits of
the same answers are not independent of each other: the share is an estimate without an interval.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .compare import Confirm, compare
from .gold import Question
from .records import Record, Run
from .run import RunError
from .statistics import SEED

SPLITS = 50
Answered = dict[tuple[str, int], list[Record]]  # (question id, variant) -> its samples
VOLATILE = ("cpu", "seconds", "usage")  # what of an answer may differ while it says the same


@dataclass(frozen=True, slots=True)
class Alarms:
    """What the gate said of `splits` splits; `varied` of `questions` have samples that differ."""

    questions: int
    samples: int
    varied: int
    splits: int
    verdicts: Mapping[str, int]
    named: Mapping[str, int]

    def __str__(self) -> str:
        rows = f"{self.questions} questions with {self.samples} samples or more"
        if not self.splits:
            return f"nothing to split: {rows}, and the samples of each give the same answer"
        alarms, doubts = self.verdicts.get("regression", 0), self.verdicts.get("inconclusive", 0)
        lines = [
            f"{alarms} false alarms in {self.splits} splits ({alarms / self.splits:.1%}), {doubts} inconclusive",
            f"{rows}, {self.varied} of them vary",
        ]
        lines += [
            f"  {name}: named in {count}" for name, count in sorted(self.named.items(), key=lambda item: -item[1])
        ]
        return "\n".join(lines)


def alarms(run: Run, questions: Sequence[Question], abstracts: Mapping[str, str], splits: int = SPLITS) -> Alarms:
    """The gate's verdicts on random splits of a run. Raises RunError when there are no samples to split."""
    known = {question.id: question.rev for question in questions}
    answered = _answered(run, known)
    if not answered:
        raise RunError(
            "nothing to split: every question has one sample; make some with: "
            "rag eval run --model NAME --samples 5, then: rag eval aa evals/runs/FOLDER"
        )
    varied = {id for (id, _), records in answered.items() if len({_said(record) for record in records}) > 1}
    verdicts: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for number in range(splits if varied else 0):
        chance = random.Random(SEED + number)
        result = compare(*_split(run, answered, chance), questions, abstracts, _drawing(answered, chance))
        if result.small:
            raise RunError(f"the run cannot be split: {result.pairs} questions are too few for a test of their means")
        if result.verdict in ("invalid", "not comparable"):
            raise RunError(f"the run cannot be split: {'; '.join(result.reasons)}")
        verdicts[result.verdict] += 1
        named.update(result.named)
    fewest = min(len(records) for records in answered.values())
    ids = {id for id, _ in answered}
    return Alarms(len(ids), fewest, len(varied), sum(verdicts.values()), dict(verdicts), dict(named))


def _answered(run: Run, known: Mapping[str, int]) -> Answered:
    """What has two answers or more, at the revision that the gold set has."""
    found: Answered = defaultdict(list)
    for record in run.records:
        if record.answer is not None and known.get(record.id) == record.rev:
            found[record.id, record.variant].append(record)
    return {key: records for key, records in found.items() if len(records) > 1}


def _said(record: Record) -> str:
    return repr(sorted((name, value) for name, value in (record.answer or {}).items() if name not in VOLATILE))


def _split(run: Run, answered: Answered, chance: random.Random) -> tuple[Run, Run]:
    """Two runs that share no answer; the baseline gets the odd one."""
    old: list[Record] = []
    new: list[Record] = []
    for records in answered.values():
        dealt = chance.sample(records, len(records))
        half = (len(dealt) + 1) // 2
        old += [replace(record, sample=at) for at, record in enumerate(dealt[:half])]
        new += [replace(record, sample=at) for at, record in enumerate(dealt[half:])]
    return replace(run, records=tuple(old)), replace(run, records=tuple(new))


def _drawing(answered: Answered, chance: random.Random) -> Confirm:
    def confirm(ids: Sequence[str], samples: int) -> list[Record]:
        return [record for id in ids for record in chance.choices(answered[id, 0], k=samples)]

    return confirm
