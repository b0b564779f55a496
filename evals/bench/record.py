"""Record a model's replies to gold questions, so that its whole path can be replayed without it.

    python evals/bench/record.py URL [--model NAME] [--id ID ...] [--at-once N] [--patience SECONDS]

URL is an OpenAI-compatible server. Written is evals/replies/NAME.jsonl (NAME is "capable" unless given). Questions: those
named, else those recorded before. A prompt that has a recorded reply is not asked again, so that only what is stale costs
anything; all its steps are asked through the real path. A question that fails, or is not answered in time, keeps the lines
that it had, and is named. Then: rag eval bless --model NAME --cache only --reason "..."
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import rag
from evals import gold, replies
from evals.records import write_whole
from evals.run import Task, ask_one
from rag.errors import ModelError, RagError
from rag.models.chat import ChatModel, open_chat
from rag.models.contexts import of_family
from rag.models.deadline import Deadline
from rag.models.streamed import Part, Streamed
from rag.records import Answer, Reply, Usage
from rag.settings import load

Row = dict[str, str]


class Recorder:
    """A chat model that answers from the recorded replies where it can, and keeps what it was asked for a question."""

    def __init__(self, id: str, model: ChatModel, known: replies.Replies, patience: float) -> None:
        self.name, self.context = model.name, of_family(model.name)  # as a replay has it
        self._id, self._model, self._known, self._patience = id, model, known, patience
        self.rows: list[Row] = []

    def ask(self, system: str, user: str, *, deadline: Deadline | None = None) -> Reply:
        """The reply, recorded or new. Raises Stale: no other way may be gone because the server failed."""
        text = self._known.to(system, user)
        try:
            reply = Reply(text, Usage(1), "stop") if text else self._asked(system, user)
        except ModelError as error:
            raise replies.Stale(str(error)) from error
        row = {"key": replies.key_of(system, user), "id": self._id, "step": replies.step_of(system), "text": reply.text}
        self.rows += [row] if row not in self.rows else []
        return reply

    def _asked(self, system: str, user: str) -> Reply:
        reply = self._model.ask(system, user, deadline=Deadline(self._patience))
        return Reply(reply.text.strip(), reply.usage, reply.finish)

    def stream(self, system: str, user: str, *, deadline: Deadline | None = None) -> Streamed:
        """The reply, as one piece."""

        def parts() -> Iterator[Part]:
            reply = self.ask(system, user, deadline=deadline)
            yield Part(reply.text, reply.finish, reply.usage)

        return Streamed(parts())


def main() -> int:
    """Ask the questions at once and write what was replied."""
    arguments = _arguments()
    known = replies.load(arguments.model) or replies.Replies({}, ())
    rows = {question.id: question for question in gold.load()}
    settings = load(model=arguments.model, base_url=arguments.url)
    model = open_chat(arguments.model, settings.base_url, reply_tokens=settings.reply_tokens, temperature=0.0)
    ids = arguments.id or known.ids
    library = str(rag.open_library().path)

    def record(id: str) -> tuple[str | None, list[Row]]:
        made = Recorder(id, model, known, arguments.patience)

        def ask(question: str, history: list[Answer], sample: int) -> Answer:
            return rag.answer(question, history=history, model=made, library=library)

        return ask_one(Task(rows[id], 0, 0), ask).error, made.rows

    path = replies.path_for(arguments.model)
    before = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []
    kept: dict[str, list[Row]] = {}
    for row in before:
        kept.setdefault(row["id"], []).append(row)
    failed = 0
    with ThreadPoolExecutor(arguments.at_once) as pool:
        for id, (error, made) in zip(ids, pool.map(record, ids), strict=True):
            if error:
                failed += 1
                print(f"{id}: not recorded: {error}", file=sys.stderr)
            else:
                kept[id] = made
    lines = [json.dumps(row, ensure_ascii=False) for _, made in sorted(kept.items()) for row in made]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(f"{line}\n" for line in lines))
    print(f"{path.name}: {len(kept)} questions, {len(lines)} replies; {failed} not recorded")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--model", default="capable")
    parser.add_argument("--id", action="append")
    parser.add_argument("--at-once", type=int, default=60)
    parser.add_argument("--patience", type=float, default=3000.0)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RagError as error:
        sys.exit(f"record: {error}")
