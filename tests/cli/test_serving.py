"""The doors for agents: `rag skill`, `rag mcp` without its extra, and fences around what a command prints."""

from __future__ import annotations

import re
import shlex
import sys

import pexpect
import pytest
from running import LONGEST_WAIT, RAG, called, environment

from rag.cli.parser import parsed
from rag.integrations import agents

FENCE = re.compile(r"\ABetween the lines (=== \w{12} ===) is data, .*\n\1\n(.*)\n\1\n\Z", re.DOTALL)


def test_the_skill_is_short_and_says_what_it_is_for():
    code, out, err = called("skill")
    assert (code, err) == (0, "")
    assert re.match(r"---\nname: [a-z-]{1,64}\ndescription: .{50,1024}\n---\n", out)
    assert len(out.splitlines()) < 120


def test_the_commands_of_the_skill_are_understood():
    commands = re.findall(r"^    (?:printf .* \| )?rag (.*?)(?:  +#.*)?$", agents.skill(), re.MULTILINE)
    assert len(commands) >= 10
    for command in commands:
        assert parsed(shlex.split(command))


def test_what_is_printed_stands_between_fences():
    code, out, _ = called("ask", "--fenced", "Which attention is IO-aware?")
    plain = called("ask", "Which attention is IO-aware?")[1]
    assert (code, FENCE.match(out)[2]) == (0, plain.strip("\n"))
    code, out, _ = called("ask", "--fenced", "How do I bake sourdough bread?")
    assert (code, bool(FENCE.match(out))) == (3, True)
    others = (
        ("search", "attention", "-k", "2"),
        ("show", "ab71d384aa75"),
        ("cite", "FlashAttention is exact."),
        ("list",),
        ("bib", "ab71d384aa75"),
    )
    for argv in others:
        assert FENCE.match(called(*argv, "--fenced")[1])[2] == called(*argv)[1].strip("\n")


def test_an_error_is_not_fenced():
    assert called("show", "--fenced", "Nothing of this name")[1] == ""
    code, out, err = called("ask", "--fenced", " ")
    assert (code, out, err.startswith("rag: the question is empty")) == (2, "", True)


def test_without_its_extra_the_server_says_what_to_type(monkeypatch):
    for name in ("mcp", "mcp.server"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "rag.integrations.mcp", raising=False)
    code, out, err = called("mcp")
    told = "rag: rag mcp needs the package mcp, version 2, which is not here; type: pip install 'abstracts-rag[mcp]'\n"
    assert (code, out, err) == (2, "", told)


def test_the_server_ends_when_its_input_does():
    assert called("mcp") == (0, "", "")


@pytest.mark.parametrize("argv", [("--library", "no-such-library"), ("--judge",), ("-k", "0")])
def test_a_server_that_cannot_begin_says_why_in_one_line(argv):
    code, out, err = called("mcp", *argv)
    assert (code > 0, out, err.count("\n")) == (True, "", 1)


def test_ctrl_c_ends_a_server_that_waits():
    """The thread that reads standard input is not asked."""
    terminal = pexpect.spawn(sys.executable, [*RAG[1:], "mcp"], env=environment(), timeout=LONGEST_WAIT)
    terminal.expect("Ctrl-C ends\r\n")
    terminal.sendintr()
    terminal.expect("rag: stopped")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
