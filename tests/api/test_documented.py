"""Every public name says what it is, with an example that runs."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path

import pytest

import rag

BIB = """@article{one, title={Tidal pools that add}, year={2021}, author={Doe, Jane},
  abstract={We present a tidal pool that adds two numbers. It takes six hours for one sum.}}
@article{two, title={Folding maps in the wind}, year={2019}, author={Roe, Ann},
  abstract={We fold maps in strong wind. Nine of ten folds hold.}}






@article{three, title={Nothing more}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the examples call `folder`: it has a bibliography in it."""
    (tmp_path / "my.bib").write_text(BIB, "utf-8")
    return tmp_path


def examples(name: str) -> list[doctest.DocTest]:
    return [one for one in doctest.DocTestFinder(recurse=True).find(getattr(rag, name), name) if one.examples]


@pytest.mark.parametrize("name", rag.__all__)
def test_its_example_runs(name, folder):
    found = examples(name)
    assert found, f"rag.{name} has no example"
    for one in found:
        one.globs = {"rag": rag, "folder": folder, **{public: getattr(rag, public) for public in rag.__all__}}
        told: list[str] = []
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(one, out=told.append)
        assert not told, "".join(told)


@pytest.mark.parametrize("page", ["api", "integrations"])
def test_the_sessions_of_a_page_run(page):
    from rag.integrations.llama_index import LibraryChatEngine

    text = (Path(rag.__path__[0]) / page / "README.md").read_text("utf-8")
    session = re.sub(r"^```.*$", "", text, flags=re.MULTILINE)
    known = {"rag": rag, "LibraryChatEngine": LibraryChatEngine}
    told: list[str] = []
    runner = doctest.DocTestRunner()
    runner.run(doctest.DocTestParser().get_doctest(session, known, page, None, 0), out=told.append)
    assert (runner.tries > 1, "".join(told)) == (True, "")


@pytest.mark.parametrize("name", rag.__all__)
def test_every_method_says_what_it_does(name):
    public = getattr(rag, name)
    parts = [
        public,
        *(part for part_name, part in inspect.getmembers(public, inspect.isroutine) if part_name[0] != "_"),
    ]
    ours = [part for part in parts if (getattr(part, "__module__", "") or "").startswith("rag")]
    assert [part for part in ours if not (part.__doc__ or "").strip()] == []


def test_the_doors_with_a_model_have_its_options():
    """One who knows `answer` knows them all."""
    wanted = {"model", "base_url", "judge", "deadline", "prompt_tokens", "keep_unverified", "library", "where"}
    doors = [rag.answer, rag.aanswer, rag.answer_many, rag.stream, rag.astream, rag.cite, rag.table]
    assert [door for door in doors if wanted - inspect.signature(door).parameters.keys()] == []
    assert not wanted - {"library", "where"} - inspect.signature(rag.Library.open).parameters.keys()
