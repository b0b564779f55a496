"""The command line as its parser knows it -> a script that completes it in a shell.

Commands, options and fixed values are written into the script; the names of libraries are asked for when they are
wanted (`rag completion libraries`).
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from rag import formats
from rag.cli.parser import LIBRARIES, SHELLS, build
from rag.models.servers import SERVERS

FILES = "files"  # as values: any path
_PATHS = ("output", "bib", "files", "text")  # what is a path, by the parser's name for it


class Option(NamedTuple):
    """An option by its names, what it is for, and its values: FILES, LIBRARIES, some words; None if it takes no value."""

    names: tuple[str, ...]
    help: str
    values: str | tuple[str, ...] | None


class Command(NamedTuple):
    """A command, what it is for, its options, and what may stand without an option: FILES, LIBRARIES or some words."""

    name: str
    help: str
    options: tuple[Option, ...]
    words: str | tuple[str, ...]


def script(shell: str) -> str:
    """The script for a shell of SHELLS."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](tuple(_commands()))


# --- what there is ------------------------------------------------------------------------------


def _commands() -> Iterator[Command]:
    (commands,) = _subparsers(build())
    summaries = {action.dest: action.help or "" for action in commands._choices_actions}
    for name, parser in commands.choices.items():
        inner = [part for action in _subparsers(parser) for part in action.choices.values()]
        actions = [action for part in (parser, *inner) for action in part._actions]
        options = {action.option_strings[0]: action for action in actions if action.option_strings}
        yield Command(
            name, summaries[name], tuple(_option(one) for one in options.values()), _words(name, parser, commands)
        )


def _subparsers(parser: argparse.ArgumentParser) -> list[argparse._SubParsersAction[argparse.ArgumentParser]]:
    return [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]


def _option(action: argparse.Action) -> Option:
    text = (action.help or "") if action.help != argparse.SUPPRESS else ""
    return Option(tuple(action.option_strings), text, None if action.nargs == 0 else _values(action))


def _values(action: argparse.Action) -> str | tuple[str, ...]:
    if action.dest == "library":
        return LIBRARIES
    if action.dest == "format":
        return tuple(getattr(action.type, "keywords", {}).get("among", formats.OWN_NAMES))
    if action.dest in ("base_url", "embed_url"):
        return tuple(SERVERS)
    return FILES if action.dest in _PATHS else ()


def _words(
    name: str, parser: argparse.ArgumentParser, commands: argparse._SubParsersAction[argparse.ArgumentParser]
) -> str | tuple[str, ...]:
    if name == "help":
        return tuple(commands.choices)
    if name == "completion":
        return SHELLS
    if inner := _subparsers(parser):
        return tuple(inner[0].choices)
    return FILES if any(not action.option_strings and action.dest in _PATHS for action in parser._actions) else ()


# --- as scripts ---------------------------------------------------------------------------------


def _bash(commands: tuple[Command, ...]) -> str:
    cases = "".join(
        f"    {one.name}:{name}) {_bash_values(option.values)} ;;\n"
        for one in commands
        for option in one.options
        if option.values is not None
        for name in option.names
    )
    options = "".join(
        f"    {one.name}) words={_joined(n for o in one.options for n in o.names)} ;;\n" for one in commands
    )
    others = "".join(f"    {one.name}) {_bash_values(one.words)} ;;\n" for one in commands)
    return f"""# bash completion for rag; in ~/.bashrc: source <(rag completion bash)
_rag_files() {{
  compopt -o filenames 2>/dev/null
  while IFS= read -r name; do COMPREPLY+=("$name"); done < <(compgen -f -- "$current")
}}
_rag() {{
  local words="" name
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" command="${{COMP_WORDS[1]}}"
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    words={_joined(one.name for one in commands)}
  else
    case "$command:$before" in
{cases}    library:rename|library:remove|library:embed) words=$(rag completion {LIBRARIES} 2>/dev/null) ;;
    *)
    if [[ $current == -* ]]; then
    case "$command" in
{options}    esac
    else
    case "$command" in
{others}    esac
    fi ;;
    esac
  fi
  while IFS= read -r name; do
    [[ -n $name && $name == "$current"* ]] && COMPREPLY+=("$(printf %q "$name")")
  done <<< "$words"
}}
complete -o bashdefault -F _rag rag
"""


def _joined(words: Iterator[str]) -> str:
    return "$'" + "\\n".join(words) + "'"


def _bash_values(values: str | tuple[str, ...] | None) -> str:
    if values == FILES:
        return "_rag_files; return"
    if values == LIBRARIES:
        return f"words=$(rag completion {LIBRARIES} 2>/dev/null)"
    return f"words={_joined(iter(values or ()))}"


def _zsh(commands: tuple[Command, ...]) -> str:
    names = "\n".join(f"    {shlex.quote(f'{one.name}:{one.help}')}" for one in commands)
    cases = "\n".join(f"    {one.name}) _arguments -S {' '.join(_zsh_arguments(one))} ;;" for one in commands)
    return f"""#compdef rag
# zsh completion for rag; in ~/.zshrc after compinit: source <(rag completion zsh)
_rag_libraries() {{
  local -a names
  names=(${{(f)"$(rag completion {LIBRARIES} 2>/dev/null)"}})
  compadd -a names
}}
_rag_library() {{
  if (( CURRENT == 2 )); then compadd list rename remove embed; else _rag_libraries; fi
}}
_rag() {{
  local -a commands
  commands=(
{names}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
{cases}
  esac
}}
compdef _rag rag
"""


def _zsh_arguments(command: Command) -> Iterator[str]:
    for option in command.options:
        for name in option.names:
            text = re.sub(r"([\\\[\]:])", r"\\\1", option.help)
            yield shlex.quote(f"*{name}[{text}]{_zsh_values(option.values)}")
    words = ":word:_rag_library" if command.name == "library" else _zsh_values(command.words)
    yield shlex.quote(f"*{words or ':word: '}")


def _zsh_values(values: str | tuple[str, ...] | None) -> str:
    if values is None:
        return ""
    if values in (FILES, LIBRARIES):
        return ":file:_files" if values == FILES else ":library:_rag_libraries"
    return f":value:({' '.join(values)})" if values else ":value: "


def _fish(commands: tuple[Command, ...]) -> str:
    lines = ["# fish completion for rag; into ~/.config/fish/completions/rag.fish", "complete -c rag -f"]
    for one in commands:
        lines.append(f"complete -c rag -n __fish_use_subcommand -a {one.name} -d {shlex.quote(one.help)}")
        seen = f"'__fish_seen_subcommand_from {one.name}'"
        lines += [f"complete -c rag -n {seen} {_fish_option(option)}" for option in one.options]
        if one.words:
            lines.append(f"complete -c rag -n {seen} {_fish_values(one.words)}")
    lines.append(
        f"complete -c rag -n '__fish_seen_subcommand_from rename remove embed' -a '(rag completion {LIBRARIES})'"
    )
    return "\n".join(lines) + "\n"


def _fish_option(option: Option) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    kind = "-r" if option.values == FILES else "-x"  # with -x no files
    values = "" if option.values is None else f" {kind} {_fish_values(option.values)}".rstrip()
    return f"{names}{values} -d {shlex.quote(option.help)}"


def _fish_values(values: str | tuple[str, ...]) -> str:
    if values == FILES:
        return "-F"
    if values == LIBRARIES:
        return f"-a '(rag completion {LIBRARIES})'"
    return f"-a {shlex.quote(' '.join(values))}" if values else ""
