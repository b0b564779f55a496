"""`rag chat` as a transcript: at a pseudo-terminal as a person types, and piped, one question a line."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from running import RAG, environment, run, silent_server

from rag import open_library, repl
from rag.errors import ModelError

PROMPT = r"(?<=\n)\? "
HELP = "Type a question. /new starts afresh, /quit or Ctrl-D leaves."


@pytest.fixture(scope="module", autouse=True)
def _library_is_built(home: Path) -> None:
    """So that no single test is a first run, whichever is run alone."""
    open_library().close()


@pytest.fixture
def terminal() -> Iterator[pexpect.spawn]:
    """A chat at a terminal of 100 columns, at its first prompt."""
    with _chat() as child:
        yield child


def _chat(*argv: str) -> pexpect.spawn:
    child = pexpect.spawn(
        RAG[0], [*RAG[1:], *argv], env=environment(TERM="dumb"), dimensions=(60, 100), encoding="utf-8", timeout=60
    )
    child.delaybeforesend = 0.1
    child.expect_exact(HELP)
    child.expect(PROMPT)
    return child


def ask(child: pexpect.spawn, line: str) -> str:
    """What is shown between a line and the next prompt."""
    child.sendline(line)
    child.expect_exact(line)
    child.expect(PROMPT)
    return str(child.before).replace("\r\n", "\n")


def test_a_conversation(terminal):
    first = ask(terminal, "How does FlashAttention reduce memory accesses?")
    assert "Sources ──" in first
    assert re.search(r"\n\[1\] FlashAttention: Fast and Memory-Efficient Exact\s+Attention", first)
    assert re.search(
        r"\n\[1\] FlashAttention", ask(terminal, "and how fast is it?")
    )  # "it" is known, and keeps its number
    assert ask(terminal, "...") == "\nrag: the question '...' has no word in it; ask in words\n"
    assert ask(terminal, "") == "\n"
    assert ask(terminal, "/halp") == f"\n{HELP}\n"
    terminal.send("half a quest")
    terminal.expect_exact("half a quest")  # readline hears no Ctrl-C while it is still at these
    terminal.sendintr()
    terminal.expect_exact("\n(Ctrl-D leaves)")
    terminal.expect(PROMPT)
    assert ask(terminal, "/new") == "\n"
    assert "[1] FlashAttention" not in ask(terminal, "and how fast is it?")
    terminal.sendeof()
    terminal.expect(pexpect.EOF)
    assert terminal.before == "\r\n", "the shell's prompt begins its own line"
    assert terminal.wait() == 0


def test_ctrl_c_stops_an_answer_and_not_the_chat():
    with silent_server() as (url, server), _chat("--model", "m", "--base-url", url) as child:
        child.sendline("How does FlashAttention reduce memory accesses?")
        server.accept()
        child.sendintr()
        child.expect_exact("stopped\r\n? ")
        child.sendline("/quit")
        child.expect(pexpect.EOF)
        assert "Traceback" not in child.before
        assert child.wait() == 0


def test_piped_each_line_is_a_question_with_those_before_in_mind():
    lines = "How does FlashAttention reduce memory accesses?\n\nand how fast is it?\n/new\n?!\nand how fast is it?"
    code, out, err = run("chat", "--json", stdin=lines.encode())
    first, second, third = _values(out)
    assert (code, err) == (0, "rag: the question '?!' has no word in it; ask in words\n")
    assert first["query"] == first["question"] == lines.splitlines()[0]
    assert first["question"] in second["query"]
    assert third["query"] == third["question"] == "and how fast is it?"


def _values(text: str) -> list[dict]:
    """The JSON values of a text, one after the other."""
    found = []
    while text := text.lstrip():
        value, end = json.JSONDecoder().raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


# --- one turn after the other, with a model that is a function ----------------------------------


@pytest.fixture
def transcript(monkeypatch):
    """Run a chat over some lines with `reply`; what it said, and what it showed."""

    def chat(lines: str, reply) -> tuple[list[str], list]:
        said, shown = [], []
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        repl.chat(reply, shown.append, said.append)
        return said, shown

    return chat


def test_every_answer_is_remembered_until_new(transcript):
    seen = []
    transcript(
        "one\ntwo\n/new\nthree\n/quit\nfour\n", lambda question, history: seen.append([*history, question]) or question
    )
    assert seen == [["one"], ["one", "two"], ["three"]]


def test_a_question_that_failed_is_told_and_forgotten(transcript):
    def reply(question, history):
        if question == "one":
            raise ModelError("the server is gone; try again")
        return f"{question} after {history}"

    said, shown = transcript("one\ntwo\n", reply)
    assert said == ["rag: the server is gone; try again"]
    assert shown == ["two after []"]


def test_ctrl_c_stops_all_of_a_piped_chat(transcript):
    def reply(question, history):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transcript("one\ntwo\n", reply)
