"""Many questions, fewer calls of a chat model: who shares a prompt, in which orders, and whose draft stands.

Questions whose best papers are the same share a prompt with all that any of them may draw on. What a model says to one of
them depends on where it stands among the others, so the same group is asked several times, each time in
another order, and for each question the drafts vote: first whether there is an answer at all, then for the
one that the others agree with most (self-consistency, Wang et al. 2023, with the medoid in place of a
vote between equal strings, since answers are sentences). Voting happens after the check of every draft.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from rag.errors import Cancelled, RagError
from rag.records import Answer, Claim, Draft
from rag.text import terms

ROUNDS = 3  # times that a group is asked
LEAST = ROUNDS + 1  # questions in a group: fewer cost no fewer calls than asking each by itself
MOST = 8  # questions in a group: a model loses track of more
AT_ONCE = 4  # groups that a chat model is asked about at the same time
BEST = 2  # papers of a question by which it is grouped
ALIKE = 0.5  # least share of them that its group has already
PAPERS = 12  # that are the best of one of a group's questions

Case = TypeVar("Case")


def answers(
    cases: Sequence[Case],
    papers: Callable[[Case], Sequence[str]],
    *,
    begin: Callable[[Case], Case],
    alone: Callable[[Case], Answer],
    ask: Callable[[Sequence[Case]], Sequence[Draft | None]],
    vote: Callable[[Sequence[Draft], Case], Answer],
) -> tuple[Answer | RagError, ...]:
    """An answer to each case, or the error that it ended with. Raises Cancelled.

    `papers` gives the ids of those that a case leads to, best first, `begin` the case with its deadline counted from now.
    `alone` answers one case; `ask` drafts for a group of them by one call, None where the reply has nothing on
    a case, and `vote` makes an answer of its drafts. A case without a draft is answered alone.
    """

    def of_group(members: Sequence[int]) -> Sequence[Answer | RagError]:
        group = [begin(cases[at]) for at in members]
        if len(group) == 1:
            return [tried(alone, group[0])]
        drafts: list[list[Draft]] = [[] for _ in group]
        try:
            for order in orders(len(group)):
                for at, draft in zip(order, ask([group[at] for at in order]), strict=True):
                    drafts[at] += [draft] if draft else []
        except Cancelled:
            raise
        except RagError as error:
            return [error] * len(group)
        return [
            tried(partial(vote, own), case) if own else tried(alone, begin(case))
            for case, own in zip(group, drafts, strict=True)
        ]

    found: dict[int, Answer | RagError] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        members = groups([papers(case)[:BEST] for case in cases])
        for group, answered in zip(members, pool.map(of_group, members), strict=True):
            found.update(zip(group, answered, strict=True))
    return tuple(found[at] for at in range(len(cases)))


def tried(answer: Callable[[Case], Answer], case: Case) -> Answer | RagError:
    """The answer, or the error that it ended with; Cancelled is raised."""
    try:
        return answer(case)
    except Cancelled:
        raise
    except RagError as error:
        return error


def groups(papers: Sequence[Sequence[str]]) -> list[list[int]]:
    """Which questions share a prompt, from the ids of each one's best papers; most stay alone. In order of first member."""
    found: list[tuple[list[int], dict[str, None]]] = []
    for at, own in enumerate(papers):
        for members, held in found:
            if own and len(members) < MOST and _fits(held, own):
                members.append(at)
                held.update(dict.fromkeys(own))
                break
        else:
            found.append(([at], dict.fromkeys(own)))
    return [part for members, _ in found for part in ([members] if len(members) >= LEAST else [[m] for m in members])]


def _fits(held: Mapping[str, None], own: Sequence[str]) -> bool:
    return len(held.keys() & set(own)) >= ALIKE * len(set(own)) and len(held.keys() | set(own)) <= PAPERS


def orders(size: int) -> list[list[int]]:
    """The orders in which a group of that size is asked: turned round, so that each stands early, midway and late."""
    steps = [turn * size // ROUNDS for turn in range(ROUNDS)]
    return [[(at + step) % size for at in range(size)] for step in steps]


def elected(drafts: Sequence[Sequence[Claim]]) -> int | None:
    """Which of the checked drafts stands; None when most of them hold nothing."""
    full = [at for at, claims in enumerate(drafts) if claims]
    if 2 * len(full) <= len(drafts):
        return None
    said = {at: {word for claim in drafts[at] for word in terms(claim.text)} for at in full}
    return max(full, key=lambda at: (sum(_alike(said[at], said[other]) for other in full), -at))


def _alike(one: set[str], other: set[str]) -> float:
    return len(one & other) / (len(one | other) or 1)
