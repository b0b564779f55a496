"""A newcomer's first chat over the shipped library, and its picture in the README.

`python tests/newcomer.py` draws the picture anew; a test holds that the chat reads as it should.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from rag.answering.opening import shared_assistant
from rag.chat.conversation import Conversation
from rag.chat.repl import respond
from rag.errors import RagError
from rag.settings import load
from rag.show.screen import Terminal

LINES = (
    "hello",
    "Which benchmarks measure cultural knowledge?",
    "how many questions does the first one hold?",
    "and its licence?",
    "compare with the second one",
    "What is FlashAttention?",
    "and LongVQ?",
    "is it better than S4?",
    "Which papers mention Path-X?",
    "what accuracy does S4 reach on CIFAR-10?",
    "and Mamba?",
    "thanks",
    "/open 4",
    "What is the capital of Mongolia?",
    "/sources",
    "/export answers.md",
)
PICTURE = Path(__file__).with_name("newcomer.svg")


def transcript(width: int = 88) -> tuple[Console, Conversation]:
    """The chat on a terminal of that width, which keeps what was written on it."""
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False
    )
    settings = load(model="extractive")
    talk = Conversation(settings, lambda chosen, _: shared_assistant(chosen), None)
    talk.opening.start()
    screen = Terminal(console=console)
    for line in LINES:
        console.print(Text.assemble(("? ", "bold cyan"), (line, "bold")))
        try:
            respond(line, talk, screen)
        except RagError as error:
            screen.say(f"rag: {error}")
    return console, talk


def main() -> None:
    """Draw the picture."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        console, _ = transcript()
        console.save_svg(str(PICTURE), title="rag chat", theme=MONOKAI, unique_id="rag", clear=False)
    sys.stdout.write(f"{PICTURE.relative_to(Path(__file__).parents[1])} drawn\n")


if __name__ == "__main__":
    os.environ.pop("RAG_LIBRARY", None)
    main()
