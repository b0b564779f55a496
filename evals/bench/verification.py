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
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from evals.gold import Question
from evals.gold import load as questions_of
from rag.assistant import open_assistant
from rag.chat_models import ChatModel, open_chat
from rag.errors import RagError
from rag.patience import Deadline
from rag.settings import Settings, load

FOLDER = Path(__file__).parent.parent / "drafts"
PAPERS = 4  # that the model is shown: small models on a laptop read some 60 tokens a second
ASKED = {"single": 36, "multi": 10, "list": 4, "unanswerable": 12}
ROOM = 1200  # tokens of passages in a prompt
DEADLINE = 900.0


class Kept(NamedTuple):
    """What a model said to a question, and the papers it was shown, in order."""

    id: str
    question: str
    papers: tuple[str, ...]
    reply: str


# --- drafts -------------------------------------------------------------------------------------


class Recorder:
    """A llama-index LLM as far as the assistant asks one; what it said last is kept."""

    def __init__(self, chat: ChatModel) -> None:
        self.metadata = SimpleNamespace(model_name=chat.name)
        self.said: str | None = None
        self.shown = 0
        self._chat = chat

    def chat(self, messages: Sequence[Any]) -> Any:
        system, user = (message.content for message in messages)
        self.shown = len(re.findall(r"^\[\d+\] ", user, re.MULTILINE))
        self.said = self._chat.ask(system, user, deadline=Deadline(DEADLINE)).text
        return _reply(self.said)


class Replayed:
    """The same for a reply that was kept."""

    def __init__(self, model: str) -> None:
        self.metadata = SimpleNamespace(model_name=model)
        self.reply = ""

    def chat(self, messages: Sequence[Any]) -> Any:
        return _reply(self.reply)


def _reply(text: str) -> Any:
    usage = SimpleNamespace(prompt_tokens=0, completion_tokens=0)
    return SimpleNamespace(message=SimpleNamespace(content=text), raw=SimpleNamespace(usage=usage))


def draft(arguments: argparse.Namespace) -> None:
    """Ask the model every question that has no draft yet."""
    recorder = Recorder(open_chat(arguments.model, arguments.base_url, reply_tokens=300, temperature=0.0))
    assistant = open_assistant(_settings(), recorder)
    path = FOLDER / f"{arguments.name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    done = {kept.id for kept in kept_in(path)} if path.exists() else set()
    for question in chosen(arguments.gold)[: arguments.most]:
        if question.id in done:
            continue
        recorder.said = None
        try:
            answer = assistant.answer(question.question)
        except RagError as error:
            print(f"{question.id}: {error}", file=sys.stderr, flush=True)
        if recorder.said is None:
            continue
        row = Kept(
            question.id, question.question, tuple(e.paper.id for e in answer.evidence[: recorder.shown]), recorder.said
        )
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row._asdict(), ensure_ascii=False) + "\n")


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
    return [Kept(row["id"], row["question"], tuple(row["papers"]), row["reply"]) for row in rows]


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    asks = commands.add_parser("draft")
    asks.set_defaults(run=draft)
    asks.add_argument("--model", required=True)
    asks.add_argument("--base-url", required=True)
    asks.add_argument("--most", type=int, metavar="N", help="ask N questions (default: all that ASKED says)")
    for command in (asks,):
        command.add_argument("--name", default="qwen2.5-coder-1.5b", help="of the file in evals/drafts/")
        command.add_argument("--gold", type=Path, default=FOLDER.parent / "gold.jsonl")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
