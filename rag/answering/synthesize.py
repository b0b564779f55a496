"""Evidence -> Draft: sentences with marks, written by nobody or by a chat model.

`extract` picks the sentences that answer and returns them as they stand: it can be incomplete, it
cannot invent. `write` lets a chat model phrase the answer from numbered passages; its draft is a
proposal that `verify` has yet to check. Both give sentences with the numbers of
the passages they come from, and both may decline. What stands in a passage is data: it is fenced
with a line that no author can foresee, its own brackets and invisible characters are taken out, so that
it can neither end the fence nor forge a mark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.answering.alone import Pick, drafted
from rag.answering.marks import Marks
from rag.answering.relevance import Part, Question, Scored, announces, asks_where, tells_where
from rag.errors import ModelError
from rag.prompting import Ask, fence, numbered
from rag.records import EXTRACTIVE, Draft, Evidence, Marked, Paper, Prompt, Reply, Status, Usage
from rag.remedies import Remedy
from rag.text import Span, folded, harmless, readable, title_key

DECLINED = "NOT IN THIS LIBRARY"
PART_SHARE = 0.6  # of the part in a paper's fit to one part of a question; the rest is the whole question's
PART_LEAST = (0.45, 0.5)  # fit to the whole question from which a second and a third paper answer a part of it
SENTENCES = {1: (3,), 2: (2, 2), 3: (2, 1, 1)}  # of each paper quoted; two of each if as many things are asked
LIST_SHARE = 0.55  # of the best paper's fit, which a paper of a list must reach
MORE = 0.8  # a third sentence of one paper scores at least this share of the second
REPEATED = 0.8  # of the words of the shorter of two sentences: sharing so many they say the same


# --- without a model ----------------------------------------------------------------------------


Score = Callable[[Question, Paper], Sequence[Scored]]


def extract(
    whole: Part,
    parts: Sequence[Part],
    evidence: Sequence[Evidence],
    score: Score,
    *,
    listing: bool,
    least_support: float,
    asked: str = "",
) -> Draft:
    """The sentences of the evidence that answer, verbatim (readable form), best paper first.

    Refused when no evidence reaches `least_support`. A list takes one sentence from every paper that
    fits nearly as well as the best; a question of several parts two from each of the papers that fit;
    any other two sentences, or three, of the best paper. Sentences of a paper stand in its own order.
    """
    passages = tuple(evidence)
    if not passages or max(e.score for e in passages) < least_support:
        return Draft((), passages, "refused", EXTRACTIVE)
    if listing:
        chosen = [s for paper in _belonging(whole, passages) for s in _introducing(score(whole.question, paper))]
    else:
        answering = _answering(whole, parts, passages)
        most = (2,) * len(answering) if 1 < len(answering) <= len(parts) else SENTENCES[len(answering)]
        chosen = [
            s for n, (paper, asks) in zip(most, answering.items(), strict=True) for s in _best(asks, paper, score, n)
        ]
    chosen = [s for at, s in enumerate(chosen) if not any(_alike(s, other) for other in chosen[:at])]
    plain = [s for s in chosen if asks_where(asked or whole.question.text) or not tells_where(readable(s.text))]
    return drafted([Pick(s.paper, s.span) for s in plain or chosen], passages)


def as_written(draft: Draft) -> Generator[Marked, None, Draft]:
    """A whole draft, sentence by sentence, as `write` gives it."""
    yield from draft.sentences
    return draft


def _belonging(whole: Part, passages: Sequence[Evidence]) -> list[Paper]:
    best = max(whole.merits.get(e.paper.id, 0.0) for e in passages)
    return [e.paper for e in passages if whole.merits.get(e.paper.id, 0.0) >= LIST_SHARE * best]


def _introducing(sentences: Sequence[Scored]) -> list[Scored]:
    """What a list says of a paper: the sentence that announces its contribution, else the one that answers best."""
    return sorted(sentences, key=lambda sentence: (not announces(sentence.text), -sentence.score))[:1]


def _answering(whole: Part, parts: Sequence[Part], passages: Sequence[Evidence]) -> dict[Paper, list[Question]]:
    """The papers to quote, the best first, each with what it is asked: the parts it fits best, and the whole."""
    first, *rest = [e.paper for e in passages]
    fitting = [
        paper
        for paper, fit in zip(rest, PART_LEAST if parts else (), strict=False)
        if whole.merits.get(paper.id, 0.0) >= fit
    ]
    asks: dict[Paper, list[Question]] = {paper: [] for paper in [first, *fitting]}
    for part in parts:
        best = max(asks, key=lambda paper, part=part: _fit(whole, part, paper))  # type: ignore[misc]
        asks[best].append(part.question)
    return {paper: [*parts_of, whole.question] for paper, parts_of in asks.items()}


def _fit(whole: Part, part: Part, paper: Paper) -> float:
    return (1 - PART_SHARE) * whole.merits.get(paper.id, 0.0) + PART_SHARE * part.merits.get(paper.id, 0.0)


def _best(asks: Sequence[Question], paper: Paper, score: Score, most: int) -> list[Scored]:
    """The sentences of a paper that best answer what it is asked, in its own order."""
    total: dict[Span, float] = {}
    sentences = {s.span: s for s in score(asks[0], paper)}
    for one in asks:
        for sentence in score(one, paper):
            total[sentence.span] = total.get(sentence.span, 0.0) + sentence.score
    ranked = sorted(total, key=lambda span: (-total[span], span))
    chosen: list[Span] = []
    for span in ranked:
        near = len(chosen) < 2 or total[span] >= MORE * total[chosen[1]]
        if len(chosen) < most and near and not any(_alike(sentences[span], sentences[other]) for other in chosen):
            chosen.append(span)
    return [sentences[span] for span in sorted(chosen)]


def _alike(one: Scored, other: Scored) -> bool:
    a, b = set(folded(one.text).split()), set(folded(other.text).split())
    return len(a & b) >= REPEATED * min(len(a), len(b))


# --- with a chat model --------------------------------------------------------------------------


class Said(Protocol):
    """A reply as it arrives, in pieces; `reply` is what has come so far."""

    @property
    def reply(self) -> Reply: ...

    def __iter__(self) -> Iterator[str]: ...


Say = Callable[[str, str], Said]  # (system, user) -> the reply
Count = Callable[[str], int]  # a text -> how many tokens it has


def write(
    question: str, evidence: Sequence[Evidence], prompt: Prompt, say: Say, *, model: str, tokens: int, count: Count
) -> Generator[Marked, None, Draft]:
    """A chat model's sentences as it writes them, from the evidence, of which as much is shown to it as `tokens` allow.

    The draft's passages are those shown. The generator's value is the whole draft. Raises ModelError when the model gives nothing to read, and
    whatever `say` raises.
    """
    if not evidence:
        return Draft((), (), "refused", model)
    shown = numbered(evidence, tokens, count)
    text = "\n\n".join(shown)
    said = say(prompt.system, prompt.fill(fence=fence(text), passages=text, question=harmless(question)))
    return (yield from _read(said, tuple(evidence[: len(shown)]), prompt, model))


def _read(said: Said, passages: tuple[Evidence, ...], prompt: Prompt, model: str) -> Generator[Marked, None, Draft]:
    """The sentences of a reply that say something of the passages; the value is the draft."""
    sentences, declined, missing, empty = list[Marked](), False, "", True
    for sentence in _sentences(said):
        text, numbers = sentence
        empty = False
        if DECLINED.casefold() in folded(text):
            declined = True
        elif (lacking := _lacking(text)) is not None and not numbers:
            missing = missing or lacking
        elif text and not _recites(text, prompt.system):
            sentences.append(sentence)
            yield sentence
    if empty:
        raise _unread(said.reply.finish, model)
    nothing = declined or (missing and not sentences)
    status: Status = "refused" if nothing else "partial" if missing else "answered"
    return Draft(tuple(sentences), passages, status, model, said.reply.usage, missing)


@dataclass(frozen=True, slots=True)
class _Whole:
    """A part of a reply, read as one."""

    reply: Reply

    def __iter__(self) -> Iterator[str]:
        yield self.reply.text


def write_together(
    questions: Sequence[str],
    evidence: Sequence[Evidence],
    prompt: Prompt,
    ask: Ask,
    *,
    model: str,
    tokens: int,
    count: Count,
) -> list[Draft | None]:
    """A draft for each of several questions that share their evidence, by one call; None where the reply has none.

    The drafts have no usage. Raises whatever `ask` raises.
    """
    shown = numbered(evidence, tokens, count)
    passages, text = tuple(evidence[: len(shown)]), "\n\n".join(shown)
    listed = "\n".join(f"Q{n}: {' '.join(harmless(question).split())}" for n, question in enumerate(questions, 1))
    reply = ask(prompt.system, prompt.fill(fence=fence(text), passages=text, questions=listed))
    parts = _parts(reply.text)
    drafts: list[Draft | None] = []
    for n in range(1, len(questions) + 1):
        written = _read(_Whole(Reply(parts.get(n, ""), Usage())), passages, prompt, model)
        drafts.append(_drained(written) if parts.get(n, "").strip() else None)
    return drafts


_THOUGHTS = re.compile(r".*</think>|<think>.*", re.DOTALL | re.IGNORECASE)
_ANSWER_TO = re.compile(r"^\W*Q(?:uestion)? ?(\d{1,2})\b\W*", re.MULTILINE | re.IGNORECASE)


def _parts(reply: str) -> dict[int, str]:
    """What a reply says to each question, by its number; the first word on a question counts."""
    _, *pieces = _ANSWER_TO.split(_THOUGHTS.sub("", reply))
    parts: dict[int, str] = {}
    for number, text in zip(pieces[::2], pieces[1::2], strict=True):
        parts.setdefault(int(number), text)
    return parts


def _drained(written: Generator[Marked, None, Draft]) -> Draft | None:
    try:
        while True:
            next(written)
    except StopIteration as end:
        draft: Draft = end.value
        return draft
    except ModelError:  # nothing to read in it
        return None


_UNREAD: dict[str, tuple[str, tuple[Remedy, ...]]] = {
    "refused": ("refused to answer", (Remedy.REPHRASE, Remedy.WITHOUT_MODEL)),
    "tools": ("called a tool that it was not offered, and said nothing", (Remedy.OTHER_MODEL,)),
    "length": ("used up the room for its reply before it had said one sentence", (Remedy.OTHER_MODEL,)),
    "unknown": ("answered with nothing to read", (Remedy.AGAIN, Remedy.OTHER_MODEL)),
}


def _unread(finish: str, model: str) -> ModelError:
    problem, remedies = _UNREAD.get(finish, _UNREAD["unknown"])
    return ModelError(f"{model} {problem}", *remedies)


def _sentences(said: Said) -> Iterator[Marked]:
    """The sentences of a reply as soon as each is whole; one that the limit cut off comes as an empty one."""
    marks, given = Marks(), 0
    for piece in said:
        ready = marks.feed(piece)
        yield from ready[max(0, marks.void - given) :]
        given += len(ready)
    rest = marks.close()
    if said.reply.finish == "length" and rest and not re.search(r"[.!?…。][\"'”’)]*$", rest[-1].text):
        rest = (*rest[:-1], Marked("", ()))
    yield from rest[max(0, marks.void - given) :]


_MISSING = re.compile(r"\W*missing\b\W*(.*)", re.IGNORECASE | re.DOTALL)
_SILENT = re.compile(
    r"\b(?:passages?|abstracts?|sources?|papers?|librar(?:y|ies)|texts?|documents?)\b.{0,40}"
    r"\b(?:do(?:es)?|did) ?(?:not|n['’]t) (?:\w+ly )?(?:say|state|mention|specify|provide|contain|describe|address|give"
    r"|report|discuss|include|cover|answer)\b(.*)",
    re.IGNORECASE | re.DOTALL,
)


def _lacking(sentence: str) -> str | None:
    """What a sentence says is not in the passages; None when it says nothing of the kind."""
    found = _MISSING.fullmatch(sentence) or _SILENT.search(sentence)
    lacking = found[1].strip(" .:*") if found else None
    return "" if lacking and folded(lacking) in ("none", "nothing", "n/a") else lacking


def _recites(sentence: str, instructions: str) -> bool:
    """Is a sentence one of the instructions? It answers nothing, whatever an abstract may hold."""
    return f" {title_key(sentence)} " in f" {title_key(instructions)} "
