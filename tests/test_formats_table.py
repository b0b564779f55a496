"""The table of formats: every row has the code it names, and whoever offers formats offers those of the table."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from rag import formats
from rag.chat.commands import COMMANDS
from rag.chat.prompt import OFFERS
from rag.cli import main
from rag.errors import UsageError
from rag.readers import Way
from rag.show import export


def test_every_row_names_code_that_is_there():
    for one in formats.FORMATS:
        module, _, function = one.reader.partition(":")
        assert callable(getattr(import_module(f"rag.readers.{module}"), function))
        assert all(callable(getattr(export, name)) for name in (one.papers, one.citation, one.answers) if name)


def test_no_name_and_no_ending_stands_twice():
    names = [name for one in formats.FORMATS for name in one.names]
    suffixes = [suffix for one in formats.FORMATS for suffix in one.suffixes]
    assert len(names) == len(set(names))
    assert len(suffixes) == len(set(suffixes))
    assert all(name == name.lower() for name in names)


@pytest.mark.parametrize(
    ("typed", "near"),
    [("bibtxe", "bibtex"), ("risk", "ris"), ("jsnol", "jsonl"), ("pubmd", "pubmed"), ("Medlin", "medline")],
)
def test_a_slip_is_refused_with_the_nearest_name(typed, near):
    with pytest.raises(UsageError, match=f"did you mean {near}\\?"):
        Way(typed)


def test_a_format_is_found_by_any_of_its_names():
    assert formats.named("CSL-JSON", formats.CITED) is formats.named("csl")
    assert formats.named("nbib") is formats.named("MEDLINE")
    with pytest.raises(UsageError, match="there are bibtex, csl, markdown, ris"):
        formats.named("medline", formats.CITED)


def test_help_and_completion_offer_what_can_be_written(capsys):
    (cite,) = (one for one in COMMANDS if one.name == "cite")
    (told,) = (one for one in COMMANDS if one.name == "export")
    assert all(name in cite.help for name in formats.CITED)
    assert all(suffix in told.help for suffix in formats.CHAT_BY_SUFFIX)
    nothing = type("Nothing", (), {"numbers": lambda self: []})()
    assert [name for name, _ in OFFERS["cite"](nothing)] == list(formats.CITED)
    for command, among in (("bib", formats.CITED), ("export", formats.PAPERS), ("add", formats.FORMATS)):
        with pytest.raises(SystemExit):
            main.main([command, "--help"])
        said = " ".join(capsys.readouterr().out.split())
        assert all((one if isinstance(one, str) else one.name) in said for one in among)


def test_a_list_of_names_imports_no_reader():
    code = "import rag.cli.main, rag.formats, sys; print([m for m in sys.modules if m.startswith('rag.readers')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
