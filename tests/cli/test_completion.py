"""`rag completion`, in the shells that are here, and `rag help`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from running import ROOT, called, environment

from rag.cli.completion import script
from rag.cli.examples import EXAMPLES
from rag.cli.main import COMMANDS
from rag.cli.parser import EVALS, SHELLS, build, parsed

BASH = r"""
source "$1"; shift
complete -p rag >/dev/null || exit 1
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rag
printf '%s\n' "${COMPREPLY[@]}"
"""
ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PROMPT=; autoload -Uz compinit; compinit -u -D; source ${(q)1}; PROMPT='READY>'"
zpty -r shell seen '*READY>*'
zpty -w -n shell "$2"$'\t\t'
sleep $3
zpty -w -n shell $'\x01echo \x05 DONE\n'
zpty -r shell seen '*DONE*READY>*'
print -r -- "$seen"
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Complete the words of a command line in a shell; what it offers. `rag` is this one, beside two libraries."""
    folder = tmp_path_factory.mktemp("shells")
    (folder / "bin").mkdir()
    command = folder / "bin" / "rag"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m rag "$@"\n')
    command.chmod(0o755)
    for name in ("my papers", "mine", "$(touch x)"):
        (folder / "home" / "data" / "libraries" / name).mkdir(parents=True)
        (folder / "home" / "data" / "libraries" / name / "library.sqlite").touch()
    (folder / "draft.tex").touch()
    (folder / "drafts").mkdir()
    for name in SHELLS:
        (folder / name).write_text(script(name))

    def run(name: str, *words: str) -> list[str]:
        if not shutil.which(name):
            pytest.skip(f"no {name} here")
        argv = {
            "bash": ["bash", "-c", BASH, "bash", "./bash", *words],
            "zsh": ["zsh", "-f", "-c", ZSH, "zsh", "./zsh", *words],
            "fish": ["fish", "--no-config", "-c", f"source ./fish; complete -C '{' '.join(words)}'"],
        }[name]
        env = environment(
            PATH=f"{folder / 'bin'}:{os.environ['PATH']}", RAG_HOME=folder / "home", PYTHONPATH=ROOT, HOME=folder
        )
        done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return [line.split("\t")[0] for line in done.stdout.splitlines()]

    return run


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("rag", "a"), ["ask", "add"]),
        (("rag", "ask", "--li"), ["--library"]),
        (("rag", "ask", "--library", "m"), ["mine", "my\\ papers"]),
        (("rag", "ask", "--library", "$"), ["\\$\\(touch\\ x\\)"]),
        (("rag", "bib", "--format", "b"), ["bibtex"]),
        (("rag", "add", "--format", "pub"), ["pubmed"]),
        (("rag", "ask", "--base-url", "l"), ["lmstudio", "llamacpp"]),
        (("rag", "cite", "dra"), ["draft.tex", "drafts"]),
        (("rag", "help", "comp"), ["completion"]),
        (("rag", "library", "r"), ["rename", "remove"]),
        (("rag", "library", "remove", "mi"), ["mine"]),
        (("rag", "ask", "--deadline", ""), [""]),
    ],
)
def test_bash(shell, words, offered):
    assert sorted(shell("bash", *words)) == sorted(offered)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("rag a", {"ask", "add"}),
        ("rag ask --li", {"--library"}),
        ("rag ask --library m", {"mine", "my papers"}),
        ("rag bib --format b", {"bibtex"}),
        ("rag cite dra", {"draft.tex", "drafts/"}),
        ("rag library r", {"rename", "remove"}),
        ("rag library remove mi", {"mine"}),
    ],
)
def test_fish(shell, line, offered):
    assert {one.replace("\\ ", " ") for one in shell("fish", line)} == offered


@pytest.mark.parametrize(
    ("line", "shown"),
    [("rag compl", "rag completion "), ("rag ask --libr", "--library"), ("rag ask --library mi", "--library mine"), ("rag bib --format bi", "--format bibtex"), ("rag library ren", "library rename")],
)  # fmt: skip
def test_zsh(shell, line, shown):
    """It completes what is typed, and `echo` in front of that prints it. What is typed too soon ends a completion."""
    assert any(shown in one for seconds in ("0.2", "3", "30") for one in shell("zsh", line, seconds))


def test_the_scripts_have_every_command_and_every_option():
    commands = build()._subparsers._group_actions[0].choices
    assert set(commands) == {*COMMANDS, "help"}
    for name in SHELLS:
        text = script(name)
        assert [one for one in commands if one not in text] == []
        options = {
            option for parser in commands.values() for action in parser._actions for option in action.option_strings
        }
        plain = {
            option.removeprefix("--") if name == "fish" else option for option in options if option.startswith("--")
        }
        assert [one for one in plain if one not in text] == []


def test_help_is_the_help_of_the_command_with_examples_that_are_read(capsys):
    for name in ("add", "library"):
        said = []
        for argv in (["help", name], [name, "--help"]):
            with pytest.raises(SystemExit) as done:
                parsed(argv)
            assert done.value.code == 0
            said.append(capsys.readouterr().out)
        assert said[0] == said[1]
        assert "examples:\n  " + "\n  ".join(EXAMPLES[name]) + "\n" in said[0]
    assert set(EXAMPLES) == set(COMMANDS) - set(EVALS) | {"help"}


def test_every_example_is_taken_by_the_parser():
    import shlex

    for name, examples in EXAMPLES.items():
        for line in examples:
            words = shlex.split(line.partition(" > ")[0].replace("<(", "").replace(")", "").removeprefix("source "))
            if name == "help":
                with pytest.raises(SystemExit):
                    parsed(words[1:])
            else:
                assert parsed(words[1:]).command == name


def test_help_of_what_is_no_command():
    assert called("help", "ad")[2] == "rag: no command 'ad'; did you mean add? type: rag --help\n"
    assert called("completion", "tcsh")[0] == 2
