"""What checking a chat model's drafts is worth: the same drafts, as written and as shown.

    python evals/bench/verification.py draft --model local --base-url http://127.0.0.1:8080/v1   # asks the model
    python evals/bench/verification.py claims       # the sentences that want a label, in no order that tells
    python evals/bench/verification.py score        # the table, at three thresholds

A draft is kept with the papers that the model was shown (`evals/drafts/`), so that verification can be
measured again without the model. A person labels each sentence, knowing neither marks nor verdict, by
the protocol in `evals/drafts/README.md`; sentences that differ from a labelled one have no label and stop
the score.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from evals import metrics
from evals.gold import Question
from evals.gold import load as questions_of
from evals.run import slim
from evals.statistics import estimate
from rag.answering.bearing import by_support
from rag.answering.marks import marked
from rag.answering.opening import open_assistant
from rag.answering.quotes import Judge
from rag.answering.reading import Reads
from rag.answering.search import Search
from rag.answering.verify import verify
from rag.errors import ModelError, RagError
from rag.library.embed import open_embedder
from rag.library.reader import Reader
from rag.library.store import Library
from rag.models.chat import ChatModel, open_chat
from rag.models.deadline import Deadline
from rag.models.streamed import Part, Streamed
from rag.records import Answer, Chunk, Draft, Evidence, Reply, Usage
from rag.settings import Settings, load
from rag.text import readable

FOLDER = Path(__file__).parent.parent / "drafts"
PAPERS = 4  # that the model is shown: small models on a laptop read some 60 tokens a second
ASKED = {"single": 46, "multi": 13, "list": 5, "unanswerable": 18}
ROOM = 4000  # tokens of passages in a prompt: all of the papers
DEADLINE = 900.0
THRESHOLDS = (0.3, 0.4, 0.5)
RESAMPLES = 2000
SEEN = set(  # drafts that were read while the check was made: left out of the measurement
    """mu025 li019 un022 li012 sb023 sb035 sa011 sb033 un038 li021 sb030 sa031 sb027 un036 un034 sb026 mu006 sb024
    sb001""".split()
)


class Kept(NamedTuple):
    """What a model said to a question, and the papers it was shown, in order.

    Replies after the first are what it was asked in older versions when it found no answer: they are no longer read.
    """

    id: str
    question: str
    papers: tuple[str, ...]
    replies: tuple[str, ...]


# --- drafts -------------------------------------------------------------------------------------


class Recorder:
    """A chat model that gives the replies that are kept, then asks the model. It copies nothing for an appeal.

    `shown` is how many papers stood in the first prompt; without a model all replies must be there.
    """

    def __init__(self, name: str, chat: ChatModel | None = None) -> None:
        self.name = name
        self.shown = 0
        self.replies: list[str] = []
        self._left: list[str] = []
        self._chat = chat

    def begin(self, replies: Sequence[str]) -> None:
        """Another question, with what was said to it before."""
        self.replies, self._left = [], list(replies)

    def ask(self, system: str, user: str, *, deadline: Deadline | None = None) -> Reply:
        """The next reply; to a request for a plan none. Raises ModelError when there is none and no model to ask."""
        if system == load().prompt("plan").system:
            return _reply("{}")
        if system == load().prompt("appeal").system:
            return _reply("")
        if not self.replies:
            self.shown = len(re.findall(r"^\[\d+\] ", user, re.MULTILINE))
        if self._left:
            self.replies.append(self._left.pop(0))
        elif self._chat:
            self.replies.append(self._chat.ask(system, user, deadline=Deadline(DEADLINE)).text)
        else:
            raise ModelError("a draft lacks a reply; type: verification.py draft")
        return _reply(self.replies[-1])

    def stream(self, system: str, user: str, *, deadline: Deadline | None = None) -> Streamed:
        """The same in one piece."""
        reply = self.ask(system, user, deadline=deadline)
        return Streamed(iter([Part(reply.text, reply.finish, reply.usage)]))


def _reply(text: str) -> Reply:
    """A reply without an end was cut off by the limit."""
    ended = re.search(r"[.!?\])\"'”*`]\s*$|^[^.]{,40}$", text)
    return Reply(text, Usage(1), "stop" if ended else "length")


def draft(arguments: argparse.Namespace) -> None:
    """Ask the model what has no draft yet, and again where it found nothing."""
    chat = open_chat(arguments.model, arguments.base_url, reply_tokens=300, temperature=0.0)
    recorder = Recorder(chat.name, chat)
    assistant = open_assistant(_settings(), recorder)
    path = FOLDER / f"{arguments.name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    done = {kept.id: kept for kept in kept_in(path)} if path.exists() else {}
    for question in chosen(arguments.gold)[: arguments.most]:
        recorder.begin(done[question.id].replies if question.id in done else ())
        try:
            answer = assistant.answer(question.question)
        except RagError as error:
            print(f"{question.id}: {error}", file=sys.stderr, flush=True)
            continue
        papers = tuple(evidence.paper.id for evidence in answer.evidence[: recorder.shown])
        done[question.id] = Kept(question.id, question.question, papers, tuple(recorder.replies))
        rows = (json.dumps(kept._asdict(), ensure_ascii=False) + "\n" for kept in done.values())
        path.write_text("".join(rows), "utf-8")


def _settings() -> Settings:
    return replace(load(k=PAPERS, model="extractive"), deadline=DEADLINE, prompt_tokens=ROOM)


def chosen(gold: Path) -> list[Question]:
    """Questions of one turn, as many of each kind as ASKED says, in an order that has nothing to do with them."""
    rows = sorted(questions_of(gold), key=lambda q: hashlib.sha256(q.id.encode()).hexdigest())
    left = Counter(ASKED)
    taken = []
    for question in rows:
        if left[question.kind] > 0 and not question.history:
            left[question.kind] -= 1
            taken.append(question)
    return taken


def kept_in(path: Path) -> list[Kept]:
    """The drafts in a file."""
    rows = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    return [Kept(row["id"], row["question"], tuple(row["papers"]), tuple(row["replies"])) for row in rows]


# --- labels -------------------------------------------------------------------------------------


class Labelled(NamedTuple):
    """A sentence of a draft with its label: "right", "wrong" or "none" (it claims nothing)."""

    draft: str
    at: int
    text: str
    label: str


def sentences_of(kept: Kept, replies: int = 2) -> list[str]:
    """The sentences of so many replies of a draft, without their marks, as a reader of the bare draft sees them."""
    return [text for reply in kept.replies[:replies] for text, _ in marked(reply)]


def claims(arguments: argparse.Namespace) -> None:
    """Print what wants a label: the question, the passages, and each sentence that is none of theirs."""
    library = open_assistant(_settings()).library
    labels = {(row.draft, row.at) for row in labels_in(arguments.labels)}
    for kept in measured(arguments):
        papers = [library.paper(id) for id in kept.papers]
        left = [(at, text) for at, text in enumerate(sentences_of(kept)) if (kept.id, at) not in labels]
        if left:
            print(f"\n# {kept.id}: {kept.question}")
            for number, paper in enumerate(papers, 1):
                print(f"[{number}] {readable(paper.title)}\n    {readable(paper.abstract)}")
            for at, text in left:
                print(json.dumps({"draft": kept.id, "at": at, "text": text, "label": ""}, ensure_ascii=False))


def labels_in(path: Path) -> list[Labelled]:
    """The labels in a file. Ends the script at the first that is none."""
    rows = [Labelled(**json.loads(line)) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    for row in rows:
        if row.label not in ("right", "wrong", "none"):
            raise SystemExit(f"{path.name}: {row.draft}, sentence {row.at}: {row.label!r} is no label")
    return rows


def measured(arguments: argparse.Namespace) -> list[Kept]:
    """The drafts that count: those that were not read while the check was made."""
    return [kept for kept in kept_in(FOLDER / f"{arguments.name}.jsonl") if kept.id not in SEEN]


# --- the score ----------------------------------------------------------------------------------


class Shown(NamedTuple):
    """What became of a draft: labels of the model's sentences that are shown, and whether the answer is right."""

    labels: tuple[str, ...]
    right: float
    fell_back: bool


def score(arguments: argparse.Namespace) -> None:
    """Print the table."""
    kept, questions = measured(arguments), {q.id: q for q in questions_of(arguments.gold)}
    labels = {(row.draft, row.at): row for row in labels_in(arguments.labels)}
    texts = {row.id: sentences_of(row) for row in kept}
    for id, said in texts.items():
        for at, text in enumerate(said):
            if (id, at) not in labels or labels[id, at].text != text:
                raise SystemExit(f"{id}, sentence {at} has no label; type: python {sys.argv[0]} claims")
    known = {id: [(text, labels[id, at].label) for at, text in enumerate(said)] for id, said in texts.items()}
    groups = [questions[row.id].group for row in kept]
    print(
        f"{len(kept)} drafts, {sum(map(len, texts.values()))} sentences: {Counter(r.label for r in labels.values() if r.draft in texts)}"
    )
    bare = [_bare(row, known[row.id], questions[row.id]) for row in kept]
    _line("as written", bare, bare, groups)
    extractive = open_assistant(_settings())
    without = {row.id: extractive.answer(row.question) for row in kept}
    alone = [_right(questions[row.id], without[row.id]) for row in kept]
    print(f"extractive: right answers {_interval(alone, groups)}")
    for least in THRESHOLDS:
        verified = [_verified(row, known[row.id], questions[row.id], least, without[row.id]) for row in kept]
        _line(f"verified, {least:.2f}", verified, bare, groups)
        change = [one.right - other for one, other in zip(verified, alone, strict=True)]
        print(f"    right answers over the extractive ones: {_interval(change, groups, sign=True)}")


def _bare(row: Kept, known: Sequence[tuple[str, str]], question: Question) -> Shown:
    """The first draft as it was written."""
    known = known[: len(sentences_of(row, 1))]
    text = " ".join(text for text, _ in known)
    status = "refused" if "not in this library" in text.casefold() else "answered"
    answer: dict[str, Any] = {"status": status, "text": text, "claims": [], "evidence": [], "retrieved": None}
    right = metrics.correct(question, answer, {}) if question.answerable else float(status == "refused")
    return Shown(tuple(label for _, label in known), right or 0.0, False)


def _verified(row: Kept, known: Sequence[tuple[str, str]], question: Question, least: float, alone: Answer) -> Shown:
    """The draft as it is shown after the check, without appeals; `alone` is the answer without a model.

    Where the model found no answer, what it said to the first two papers counts; where it found none there too, the answer
    without a model if the model said that it is one. That answer also stands where nothing holds.
    """
    replies = [reply for reply in row.replies[:2] if not _declines(reply)]
    if not replies:
        told = row.replies[2:] and re.match(r"\W*yes\b", row.replies[2], re.IGNORECASE)
        return Shown((), _right(question, alone) if told else float(not question.answerable), bool(told))
    passages = _passages(row.papers if replies[0] == row.replies[0] else row.papers[:2])
    found = verify(Draft(marked(replies[0]), passages, "answered", row.id), judge=_judge(least), numbers={})
    if not found.claims:
        return Shown((), _right(question, alone), True)
    answer = replace(alone, status="answered", text=found.text, claims=found.claims)
    return Shown(tuple(_label(claim.text, known, row.id) for claim in found.claims), _right(question, answer), False)


def _declines(reply: str) -> bool:
    return "not in this library" in reply.casefold()


def _passages(papers: Sequence[str]) -> tuple[Evidence, ...]:
    stored = [_library().paper(id) for id in papers]
    return tuple(
        Evidence(Chunk(paper.id, paper, 0, len(paper.abstract), 0), rank, 1.0) for rank, paper in enumerate(stored, 1)
    )


@cache
def _library() -> Library:
    return open_assistant(_settings()).library


@cache
def _judge(least: float) -> Judge:
    embedder, library = open_embedder(), _library()
    search = Search(library, embedder, pool=50, dense_weight=0.5)
    frequency = library.words.document_frequency
    read = Reads(Reader(), 1).supporting
    return by_support(least, search.sentences_of, embedder.encode, frequency=frequency, papers=len(library), read=read)


def _label(text: str, known: Sequence[tuple[str, str]], id: str) -> str:
    for said, label in known:
        if said == text or said.endswith(text):  # a title in front of it is left out
            return label
    raise SystemExit(f"{id}: {text!r} is no sentence of the draft")


def _right(question: Question, answer: Answer) -> float:
    """Does the answer state all that the gold set wants, or refuse where there is nothing?"""
    if not question.answerable:
        return float(answer.status == "refused")
    return metrics.correct(question, slim(answer), {}) or 0.0


def _line(name: str, shown: Sequence[Shown], bare: Sequence[Shown], groups: Sequence[str]) -> None:
    counts = Counter(label for one in shown for label in one.labels)
    before = Counter(label for one in bare for label in one.labels)
    kept = counts["right"] / before["right"]
    print(
        f"{name}: {counts['right'] + counts['wrong']} claims shown, wrong {_wrong(shown)} {_spread(shown, groups)}, "
        f"right ones kept {kept:.2f}, {_ratio(shown, bare, groups)}; "
        f"right answers {_interval([one.right for one in shown], groups)}; fell back {sum(one.fell_back for one in shown)}"
    )


def _share(shown: Sequence[Shown]) -> float:
    counts = Counter(label for one in shown for label in one.labels)
    claims = counts["right"] + counts["wrong"]
    return counts["wrong"] / claims if claims else 0.0


def _wrong(shown: Sequence[Shown]) -> str:
    counts = Counter(label for one in shown for label in one.labels)
    return f"{counts['wrong']} ({_share(shown):.3f})"


def _spread(shown: Sequence[Shown], groups: Sequence[str]) -> str:
    low, high = _resampled(lambda at: _share([shown[i] for i in at]), groups)
    return f"[{low:.3f}, {high:.3f}]"


def _ratio(shown: Sequence[Shown], bare: Sequence[Shown], groups: Sequence[str]) -> str:
    def ratio(at: Sequence[int]) -> float:
        return _share([shown[i] for i in at]) / (_share([bare[i] for i in at]) or 1.0)

    low, high = _resampled(ratio, groups)
    return f"of the share as written {ratio(range(len(shown))):.2f} [{low:.2f}, {high:.2f}]"


def _resampled(figure: Callable[[Sequence[int]], float], groups: Sequence[str]) -> tuple[float, float]:
    """95 % interval of a figure of rows, whole groups resampled."""
    members = [[at for at, group in enumerate(groups) if group == name] for name in sorted(set(groups))]
    draw = np.random.default_rng(0)
    drawn = (draw.integers(len(members), size=len(members)) for _ in range(RESAMPLES))
    values = [figure([at for member in picks for at in members[member]]) for picks in drawn]
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))


def _interval(values: Sequence[float], groups: Sequence[str], sign: bool = False) -> str:
    found, form = estimate(values, groups), "+.2f" if sign else ".2f"
    return f"{found.mean:{form}} [{found.low:{form}}, {found.high:{form}}]"


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    asks = commands.add_parser("draft")
    asks.set_defaults(run=draft)
    asks.add_argument("--model", required=True)
    asks.add_argument("--base-url", required=True)
    asks.add_argument("--most", type=int, metavar="N", help="ask N questions (default: all that ASKED says)")
    wants = commands.add_parser("claims")
    wants.set_defaults(run=claims)
    scores = commands.add_parser("score")
    scores.set_defaults(run=score)
    for command in (asks, wants, scores):
        command.add_argument("--name", default="qwen2.5-coder-1.5b", help="of the file in evals/drafts/")
        command.add_argument("--labels", type=Path, default=FOLDER / "labels.jsonl")
        command.add_argument("--gold", type=Path, default=FOLDER.parent / "gold.jsonl")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
