"""`rag.add`: files into a library from Python, beside `rag.answer`."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from readers.test_formats import BIBTEX, JSONL, ONE, RIS

from rag import Added, ReadError, UsageError, add, answer


def test_files_are_added_and_answered_from(tmp_path, monkeypatch):
    (tmp_path / "my.bib").write_text(BIBTEX + "@article{x, title={Nothing more}}\n", "utf-8")
    (tmp_path / "more.jsonl").write_text(JSONL + "{broken\n", "utf-8")
    place, told = str(tmp_path / "mine"), []
    dry = add(tmp_path / "my.bib", library=place, dry_run=True)
    assert (len(dry.added), Path(place).exists()) == (2, False)
    report = add(
        [tmp_path / "my.bib", str(tmp_path / "more.jsonl")], library=place, progress=lambda *what: told.append(what)
    )
    assert isinstance(report, Added)
    assert report.counts() == {
        "read": 5, "added": 2, "changed": 0, "unchanged": 0, "merged": 2, "without abstract": 1, "refused": 1,
        "passed over": 0,
    }  # fmt: skip
    assert {(piece.source, piece.kind) for piece in report.skipped} == {
        ("my.bib:12", "no abstract"),
        ("more.jsonl:4", "refused"),
    }
    assert told[-1][1] == told[-1][2] > 0
    assert pickle.loads(pickle.dumps(report)) == report  # noqa: S301
    assert hash(report) == hash(pickle.loads(pickle.dumps(report)))  # noqa: S301
    monkeypatch.setenv("RAG_LIBRARY", place)
    assert add(str(tmp_path / "my.bib")).unchanged == 2
    said = answer("How many hours does a tidal pool take to add two numbers?", library=place)
    assert said.citations[0].paper.title == ONE


def test_a_library_must_be_named_and_something_be_read(tmp_path, capsys):
    with pytest.raises(UsageError, match="the shipped library is never changed"):
        add(tmp_path)
    with pytest.raises(ReadError, match=r"nowhere\.ris: no such file or folder"):
        add(tmp_path / "nowhere.ris", library=str(tmp_path / "mine"))
    with pytest.raises(UsageError, match="no field is called 'heading'"):
        add(tmp_path, library=str(tmp_path / "mine"), columns={"heading": "x"})
    (tmp_path / "a.txt").write_text(RIS, "utf-8")
    assert len(add(tmp_path / "a.txt", library=str(tmp_path / "mine"), format="ris").added) == 2
    assert capsys.readouterr() == ("", "")
