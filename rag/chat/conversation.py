"""The state of a chat: the answers so far, the numbers of cited papers, the assistant, and what is kept on disk.

The assistant is opened in a thread, so that a prompt can be shown meanwhile; a question waits for it. If
the store fails, that is said once, and the chat goes on without being kept.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rag.attributed import Bearing
from rag.chat.store import Chat, Chats
from rag.errors import Cancelled, RagError
from rag.filters import ALL, Filter, split
from rag.records import Answer, Hit, Paper
from rag.show.progress import named
from rag.text import printable, readable

if TYPE_CHECKING:
    from rag.answering.assistant import Assistant
    from rag.settings import Settings

Progress = Callable[[str, int, int], None]
Open = Callable[["Settings", Progress], "Assistant"]
PREPARING = "preparing the library, once"
NAMED = 6  # numbers that an error names
_MARK = re.compile(r"\[(\d{1,6})\]")
GLANCE = 0.1  # seconds between two looks at an assistant that is being opened


class Opening:
    """An assistant that is being opened in a thread of its own; `doing` says what is going on."""

    def __init__(self, open: Open, settings: Settings) -> None:
        self.doing = "getting ready"
        self._open, self._settings = open, settings
        self._future: Future[Assistant] = Future()
        self._left = threading.Event()
        self.started = False

    def start(self, done: Callable[[], None] = lambda: None) -> None:
        """Begin; `done` is called in that thread at the end."""
        self.started = True
        self._future.add_done_callback(lambda _: done())
        threading.Thread(target=self._run, name="opening", daemon=True).start()

    def leave(self) -> None:
        """Stop before the next piece of work; what is done is kept for the next time."""
        self._left.set()

    @property
    def ready(self) -> bool:
        """Has it come to an end?"""
        return self._future.done()

    @property
    def error(self) -> RagError | None:
        """Why it failed; None when it did not, or has not yet."""
        found = self._future.exception() if self._future.done() else None
        return found if isinstance(found, RagError) else None

    def wait(self, stage: Callable[[str], None]) -> Assistant:
        """The assistant; `stage` is told what is going on meanwhile. Raises what opening it raised."""
        if not self.started:
            self.start()
        waiting = threading.Event()
        while not self._future.done():
            stage(self.doing)
            waiting.wait(GLANCE)
        return self._future.result()

    def _run(self) -> None:
        try:
            assistant = self._open(self._settings, self._progress)
            assistant.search("a", 1)  # so that what is loaded on first use is loaded now
            self._future.set_result(assistant)
        except BaseException as error:  # noqa: BLE001  raised again where it is waited for
            self._future.set_exception(error)

    def _progress(self, stage: str, done: int, total: int) -> None:
        if self._left.is_set():
            raise Cancelled("stopped; what was prepared is kept")
        self.doing = named(PREPARING, stage) + (f" {done:,} of {total:,}" if total else "")


class Conversation:
    """One chat after the other (`new` begins the next), over one assistant at a time."""

    def __init__(
        self,
        settings: Settings,
        open: Open,
        store: Chats | None,
        *,
        where: Filter = ALL,
        say: Callable[[str], None] = lambda text: None,
        notice: Callable[[Settings], None] = lambda settings: None,
    ) -> None:
        self.settings = settings
        self.where = where  # which papers are asked, until it is changed
        self.notice = notice  # of where questions go
        self.opening = Opening(open, settings)
        self.history: list[Answer] = []
        self.asked: str | None = None
        self.listed: dict[int, Paper] = {}  # the papers that a search listed, by the number they bear
        self.exported: set[Path] = set()  # files this chat wrote, and may write again
        self._open, self._store, self._say = open, store, say
        self._chat: int | None = None
        self._turns: list[int | None] = []

    # --- asking ---------------------------------------------------------------------------------

    def assistant(self, stage: Callable[[str], None] = lambda text: None) -> Assistant:
        """The assistant, waited for if need be."""
        return self.opening.wait(stage)

    def ask(self, question: str, stage: Callable[[str], None]) -> Generator[str, None, Answer]:
        """Sentences of the answer as they come; the value is the answer, which is remembered and kept.

        A filter in the question replaces the chat's filter of the same field, for this question only.
        """
        from rag.answering.question import accepted

        assistant, self.asked = self.assistant(stage), accepted(self._named(question))
        question = self.asked
        turn = self._keep_question(question)
        where = self.where.besides(split(question).where)
        answer = yield from assistant.stream(question, self.history, where=where, stage=stage, numbers=self.listed)
        self._keep_answer(turn, answer)
        self.history.append(answer)
        self._turns.append(turn)
        return answer

    def forget_last(self) -> str:
        """Take back the last answer, so that its question can be asked again. Raises RagError."""
        if self.asked is None:
            raise RagError("nothing was asked yet; type a question")
        if self.history and self.history[-1].question == self.asked:
            self.history.pop()
            turn = self._turns.pop()
            if turn is not None:
                self._kept(lambda store: store.retried(turn))
        return self.asked

    def new(self) -> None:
        """Begin another chat, which knows nothing of this one."""
        self.history.clear()
        self._turns.clear()
        self.listed.clear()
        self._chat, self.asked = None, None

    def resume(self, chat: Chat) -> None:
        """Go on with a chat that was kept."""
        self.new()
        self._chat = chat.id
        answered = [turn for turn in chat.standing if turn.answer]
        self.history, self._turns = list(chat.answers), [turn.id for turn in answered]
        self.asked = chat.turns[-1].question if chat.turns else None

    def change(self, stage: Callable[[str], None], **settings: str | None) -> None:
        """Go on with other settings; when they cannot be used, RagError is raised and all stays as it was."""
        changed = replace(self.settings, **settings)  # type: ignore[arg-type]
        opening = Opening(self._open, changed)
        opening.start()
        opening.wait(stage)
        self.settings, self.opening = changed, opening

    # --- what is on screen ----------------------------------------------------------------------

    @property
    def last(self) -> Answer:
        """The last answer. Raises RagError when there is none."""
        if not self.history:
            raise RagError("no answer yet; type a question")
        return self.history[-1]

    @property
    def numbers(self) -> dict[int, Paper]:
        """The papers cited so far, by the number they bear."""
        return {number: paper for answer in self.history for number, paper in answer.numbers.items()}

    @property
    def on_screen(self) -> dict[int, Paper]:
        """The papers that bear a number: those cited so far, and those that a search listed."""
        return self.listed | self.numbers

    def listing(self, hits: Sequence[Hit | Bearing]) -> dict[str, int]:
        """The numbers of papers that a search found, by id: those they bear, else the next ones. They stay."""
        given = {paper.id: number for number, paper in self.on_screen.items()}
        for hit in hits:
            number = given.setdefault(hit.paper.id, max(given.values(), default=0) + 1)
            self.listed[number] = hit.paper
        return given

    def _named(self, question: str) -> str:
        """The question, with titles in the place of numbers of papers that only a search listed."""

        def title(mark: re.Match[str]) -> str:
            number = int(mark[1])
            only_listed = number in self.listed and number not in self.numbers
            return " ".join(readable(self.listed[number].title).split()) if only_listed else mark[0]

        return _MARK.sub(title, question)

    def paper(self, name: str) -> tuple[int | None, Paper]:
        """The paper with that number in this chat ("2" or "[2]"), or with that id or title in the library."""
        bare = name.strip().strip("[]")
        if bare.isdecimal() and len(bare) < 4:
            if int(bare) not in self.on_screen:
                raise RagError(f"no paper bears [{bare}] in this chat; {self._known()}")
            return int(bare), self.on_screen[int(bare)]
        paper = self.assistant().library.paper(name)
        return next((number for number, known in self.on_screen.items() if known.id == paper.id), None), paper

    def _known(self) -> str:
        known = [f"[{number}]" for number in sorted(self.on_screen)]
        if len(known) > NAMED:
            known[NAMED - 1 : -1] = ["..."]
        see = ", see /sources" if self.numbers else ""
        return f"there are {', '.join(known)}{see}" if known else "ask a question first"

    # --- keeping --------------------------------------------------------------------------------

    def judge(self, verdict: str, note: str) -> None:
        """Keep what the reader thinks of the last answer. Raises RagError when it cannot be kept."""
        turn = self._turns[-1] if self.last and self._turns else None
        if self._store is None or turn is None:
            raise RagError("this chat is not kept, so nothing can be noted")
        self._store.judge(turn, verdict, note)

    def _keep_question(self, question: str) -> int | None:
        def keep(store: Chats) -> int:
            if self._chat is None:
                self._chat = store.begin(_found_anywhere(self.settings.library))
            return store.ask(self._chat, question)

        return self._kept(keep)

    def _keep_answer(self, turn: int | None, answer: Answer) -> None:
        if turn is not None:
            self._kept(lambda store: store.answer(turn, answer))

    def _kept(self, keep: Callable[[Chats], int | None]) -> int | None:
        if self._store is None:
            return None
        try:
            return keep(self._store)
        except RagError as error:
            self._store = None
            self._say(printable(f"rag: {error.worded('chat')}; this chat is not kept"))
            return None


def _found_anywhere(library: str | None) -> str | None:
    """A library's name, or its absolute path."""
    return (
        os.path.abspath(os.path.expanduser(library))
        if library and os.path.exists(os.path.expanduser(library))
        else library
    )
