"""`rag add` and what belongs to it: files into a library of one's own, told record by record, and taken back."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from pathlib import Path

import made
import pytest
from running import called

from rag.errors import EmbedError, LibraryBusy, LibraryError, UsageError
from rag.library import changes
from rag.library.build import named_folder, shipped_folder
from rag.library.embed import MiniLM, open_embedder
from rag.library.store import Library, writer

FOLDS = (
    "Folding widgets save space in small kitchens. We show that a widget folds 12 times faster with a brass hinge than "
    "with a steel one. The brass hinge wears out after 9,000 folds."
)
SEA = (
    "Deep sea lanterns attract squid of many kinds. Our lantern runs for 40 days on one battery and attracts 3 times more "
    "squid than a candle. We deploy 14 lanterns in two seas."
)
MOSS = (
    "Moss on roofs holds water through dry summers. We measure 61 roofs in one town and find that moss holds 7 litres of "
    "rain per square metre. Slate roofs hold least."
)
BIB = f"""@article{{a, title={{Widgets that fold}}, author={{Gray, Ada}}, year={{2020}}, doi={{10.1000/w1}},
 abstract={{{FOLDS}}}}}
@article{{b, title={{Without anything}}, author={{Gray, Ada}}, year={{2021}}}}
"""
RIS = f"TY  - JOUR\nTI  - Lanterns under the sea\nAU  - Moss, Bo\nPY  - 2019\nAB  - {SEA}\nER  - \n"
CSV = f'Headline,Summary\nMoss on roofs,"{MOSS}"\nWidgets that fold,"{FOLDS}"\n'
LINES = json.dumps({"title": "Moss on roofs", "abstract": MOSS}) + "\n{broken\n"


class Counting(MiniLM):
    """The shipped embedder; `texts` are those it embedded. After `fails_after` batches it fails."""

    def __init__(self, fails_after: int = 99) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.left = fails_after

    def encode(self, texts, **options):
        if not self.left:
            raise EmbedError("no more")
        self.left -= 1
        self.texts += texts
        return super().encode(texts, **options)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of small files in several formats."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name, text in {"my.bib": BIB, "sea.ris": RIS, "roofs.jsonl": LINES}.items():
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Where a library may be made."""
    return str(tmp_path / "library")


def add(path: Path, place: str, embedder: MiniLM | None = None, **options) -> changes.Added:
    return changes.add([path], place, embedder or open_embedder(), **options)


def held(place: str) -> dict[str, str]:
    """{title: abstract} of a library whose collection holds what it does."""
    with closing(Library.open(place)) as library:
        chunks = {c.id for some in library.chunks([paper.id for paper in library]).values() for c in some}
        assert made.reached(Path(place)) == chunks
        return {paper.title: paper.abstract for paper in library}


# --- the command --------------------------------------------------------------------------------


def test_files_are_added_asked_and_unchanged_the_second_time(files):
    code, out, err = called("add", str(files), "--library", "fresh")
    assert (code, err) == (0, "")
    kinds, first, *rest = out.splitlines()
    assert kinds == "3 files: 1 BibTeX, 1 JSON lines, 1 RIS"
    assert first == "4 read, 3 added, 0 changed, 0 unchanged, 0 merged, 1 without abstract, 1 refused, 0 passed over"
    assert rest[0].startswith("  roofs.jsonl:2: ")
    assert rest[1] == "  my.bib:3: 'Without anything': without an abstract"
    assert rest[2] == "library fresh holds 3 papers"
    code, out, err = called("ask", "--library", "fresh", "For how many days does the lantern run on one battery?")
    assert (code, err) == (0, "")
    assert "runs for 40 days" in out
    code, out, err = called("add", str(files), "--library", "fresh", "--json")
    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert [facts[name] for name in ("added", "changed", "unchanged", "refused")] == [0, 0, 3, 1]
    assert {(piece["kind"], piece["source"]) for piece in facts["skipped"]} == {
        ("refused", "roofs.jsonl:2"),
        ("no abstract", "my.bib:3"),
    }
    with closing(Library.open(named_folder("fresh"))) as library:
        assert library.generation == 1
        first, second = library.journal()
        assert {json.dumps(piece) for piece in first["skipped"]} == {json.dumps(piece) for piece in facts["skipped"]}
        assert (second["unchanged"], second["refused"], second["files"]) == (3, 1, [])


def test_status_tells_the_files_and_whether_they_changed(files, place):
    add(files, place)
    (files / "sea.ris").write_text(RIS.replace("40 days", "41 days"), "utf-8")
    (files / "my.bib").unlink()
    code, out, _ = called("status", "--library", place, "--json")
    facts = {file["file"]: file for file in json.loads(out)["files"]}
    assert code == 0
    assert {name: file["state"] for name, file in facts.items()} == {
        "my.bib": "no longer there",
        "roofs.jsonl": "unchanged since",
        "sea.ris": "changed since",
    }
    assert {name: (file["papers"], file["format"]) for name, file in facts.items()}["sea.ris"] == (1, "RIS")
    lines = called("status", "--library", place)[1].splitlines()
    assert next(line for line in lines if "sea.ris" in line).endswith(
        f"changed since; type: rag sync --library {place}"
    )
    (skipped,) = [line for line in lines if line.startswith("skipped")]
    assert skipped.split(maxsplit=1)[1] == "1 record without an abstract, 1 refused (listed by --json)"


def test_a_paper_is_removed_and_had_back_by_the_command(files, place):
    add(files, place)
    code, out, err = called("remove", "Lanterns under the sea", "--library", place)
    assert (code, err) == (0, "")
    assert out.startswith("removed 'Lanterns under the sea' (")
    assert "Lanterns under the sea" not in held(place)
    code, out, err = called("undo", "--library", place)
    assert (code, err) == (0, "")
    assert "1 as they were before" in out
    assert held(place)["Lanterns under the sea"] == SEA
    code, _, err = called("remove", "Lanterns over land", "--library", place)
    assert code == 1
    assert f"type: rag show --library {place} " in err


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["add", "my.bib"], 2, "the shipped library is never changed; type: rag add ... --library NAME"),
        (["remove", "Widgets"], 2, "type: rag remove ... --library NAME"),
        (["undo"], 2, "type: rag undo ... --library NAME"),
        (["add", "--library", "x"], 2, "required: FILE"),
        (["add", "nowhere.bib", "--library", "x"], 1, "nowhere.bib: no such file or folder; check the spelling"),
        (["add", "nowhere.bib", "--library", " "], 2, "name is empty"),
        (["add", "my.bib", "--library", "x", "--format", "word"], 2, "no format is called 'word'; there are "),
        (["add", "my.bib", "--library", "x", "--map", "title"], 2, "--map 'title' is not FIELD=NAME; type"),
        (["add", "my.bib", "--library", "x", "--map", "tilte=H"], 2, "no field is called 'tilte'; there are "),
        (["undo", "--library", "x"], 1, "no library at "),
    ],
)
def test_what_cannot_be_done_is_one_line(argv, code, said, files, monkeypatch):
    monkeypatch.chdir(files)
    got, _, err = called(*argv)
    assert (got, len(err.splitlines())) == (code, 1)
    assert said in err
    assert not named_folder("x").exists()


def test_strict_is_exit_1_when_anything_was_refused(files, place):
    assert called("add", str(files / "my.bib"), "--library", place, "--strict")[0] == 0
    assert called("add", str(files / "roofs.jsonl"), "--library", place, "--strict")[0] == 1
    assert set(held(place)) == {"Widgets that fold", "Moss on roofs"}


def test_when_nothing_can_be_read_the_report_comes_all_the_same(tmp_path, place):
    (tmp_path / "empty.bib").write_text("@article{b, title={Without anything}, year={2021}}\n", "utf-8")
    code, out, err = called("add", str(tmp_path / "empty.bib"), "--library", place)
    assert code == 1
    assert out.splitlines()[2] == "  empty.bib:1: 'Without anything': without an abstract"
    assert "no abstract in empty.bib" in err
    assert not Path(place).exists()


def test_what_a_file_says_never_commands_the_terminal(tmp_path, place):
    (tmp_path / "bad.bib").write_text(BIB.replace("Without anything", "Red \x1b[31m\x07text"), "utf-8")
    _, out, _ = called("add", str(tmp_path / "bad.bib"), "--library", place)
    assert "text" in out.splitlines()[2]
    assert "\x1b" not in out
    assert "\x07" not in out


def test_a_folder_of_files_may_have_the_librarys_name(files, monkeypatch):
    monkeypatch.chdir(files.parent)
    assert called("add", "files", "--library", "files")[0] == 0
    assert len(held(str(named_folder("files")))) == 3
    assert not (files / "library.sqlite").exists()


# --- what is stored -----------------------------------------------------------------------------


def test_columns_may_be_named(tmp_path, place):
    (tmp_path / "table.csv").write_text(CSV, "utf-8")
    pairs = ["--map", "title=Headline", "--map", "abstract=Summary"]
    code, out, err = called("add", str(tmp_path / "table.csv"), "--library", place, *pairs)
    assert (code, err) == (0, "")
    assert out.splitlines()[1].startswith("2 read, 2 added")
    assert held(place) == {"Moss on roofs": MOSS, "Widgets that fold": FOLDS}


def test_a_dry_run_stores_nothing_and_says_what_a_run_would(files, place):
    dry = add(files, place, dry_run=True)
    assert not Path(place).exists()
    real = add(files, place)
    assert (dry.counts(), dry.added, dry.papers) == (real.counts(), real.added, real.papers)
    (files / "sea.ris").write_text(RIS.replace("40 days", "41 days"), "utf-8")
    assert len(add(files, place, dry_run=True).changed) == 1
    assert "40 days" in held(place)["Lanterns under the sea"]


def test_the_same_paper_in_a_later_file_merges_and_keeps_its_id(files, place, tmp_path):
    (id,) = add(files / "my.bib", place).added
    (tmp_path / "table.csv").write_text(CSV.replace("Headline,Summary", "title,abstract"), "utf-8")
    embedder = Counting()
    report = add(tmp_path / "table.csv", place, embedder)
    assert (len(report.added), report.changed, len(report.merged)) == (1, (id,), 1)
    assert not any("widget" in text for text in embedder.texts)  # its abstract is the same
    with closing(Library.open(place)) as library:
        assert library.paper(id).sources == ("my.bib:1", "table.csv:3")
        assert library.paper(id).doi == "10.1000/w1"
    assert held(place).keys() == {"Widgets that fold", "Moss on roofs"}


@pytest.mark.parametrize("said", ["41 days", "9 days"], ids=["as long", "shorter"])
def test_a_changed_file_is_seen_and_only_what_changed_is_embedded(files, place, said):
    add(files, place)
    (files / "sea.ris").write_text("\n\n" + RIS.replace("40 days", said), "utf-8")
    embedder = Counting()
    report = add(files, place, embedder)
    assert (len(report.changed), report.unchanged, report.added, report.merged) == (1, 2, (), ())
    assert len(embedder.texts) == 2  # one sentence, and the chunk it is in
    assert said in held(place)["Lanterns under the sea"]
    with closing(Library.open(place)) as library:
        assert library.paper("Lanterns under the sea").sources == ("sea.ris:3",)


def test_a_file_of_the_same_name_elsewhere_is_another_file(files, place, tmp_path):
    add(files / "my.bib", place)
    other = tmp_path / "my.bib"
    other.write_text(BIB.replace(FOLDS, FOLDS[:80]), "utf-8")
    report = add(other, place)
    assert (report.absent, report.added) == ((), ())
    assert held(place) == {"Widgets that fold": FOLDS}  # the fuller abstract stays


def test_a_paper_that_left_its_file_stays_and_is_told(files, place):
    added = add(files, place).added
    (files / "sea.ris").write_text(RIS.replace(SEA, MOSS).replace("Lanterns under the sea", "Roofs again"), "utf-8")
    report = add(files, place)
    assert len(report.absent) == 1
    assert set(report.absent) < set(added)
    assert any(line.startswith("no longer in their files, but kept: ") for line in report.lines())
    assert "Lanterns under the sea" in held(place)


def test_what_stops_in_the_middle_of_embedding_leaves_the_papers_as_they_were(files, place, monkeypatch):
    monkeypatch.setattr("rag.library.build.BATCH", 2)
    add(files / "my.bib", place)
    with closing(Library.open(place)) as library:
        before = (library.generation, library.fingerprint, library.counts()["vectors"])
    with pytest.raises(EmbedError):
        add(files, place, Counting(fails_after=1))
    assert set(held(place)) == {"Widgets that fold"}
    with closing(Library.open(place)) as library:
        assert (library.generation, library.fingerprint) == before[:2]
        kept = library.counts()["vectors"] - before[2]
    embedder = Counting()
    add(files, place, embedder)
    with closing(Library.open(place)) as library:
        assert kept == 2
        assert len(embedder.texts) == library.counts()["vectors"] - before[2] - kept
    assert len(held(place)) == 3


def test_changes_are_undone_one_by_one_without_embedding(files, place):
    add(files / "my.bib", place)
    add(files, place)
    whole = held(place)
    (files / "sea.ris").write_text(RIS.replace("40 days", "41 days"), "utf-8")
    add(files, place)
    add(files, place)  # changes nothing: nothing of it to undo
    embedder = Counting(fails_after=0)
    changes.undo(place, embedder)
    assert held(place) == whole
    changes.undo(place, embedder)
    assert set(held(place)) == {"Widgets that fold"}
    changes.undo(place, embedder)
    assert held(place) == {}
    with pytest.raises(LibraryError, match="no change to undo"):
        changes.undo(place, embedder)


def test_an_abstract_that_became_shorter_leaves_nothing_in_the_collection(files, place):
    long = " ".join(f"Lantern {n} stood in the deep sea for {n} days and drew squid." for n in range(40))
    (files / "sea.ris").write_text(RIS.replace(SEA, long), "utf-8")
    add(files, place)
    with closing(Library.open(place)) as library:
        assert library.counts()["chunks"] > 3
    (files / "sea.ris").write_text(RIS, "utf-8")
    add(files, place)
    assert held(place)["Lanterns under the sea"] == SEA


def test_a_collection_that_was_lost_is_filled_whole(files, place):
    add(files / "my.bib", place)
    subprocess.run(["rm", "-r", str(Path(place) / "chroma")], check=True)
    add(files, place)
    assert len(held(place)) == 3


def test_one_writer_at_a_time(files, place):
    add(files / "my.bib", place)
    with writer(Path(place)), pytest.raises(LibraryBusy, match="another process is writing"):
        add(files, place)


def test_the_shipped_library_and_folders_of_other_files_are_left_alone(files):
    with pytest.raises(UsageError, match="never changed"):
        add(files, str(shipped_folder(open_embedder())))
    with pytest.raises(UsageError, match="a folder of other files"):
        add(files, str(files))
    with pytest.raises(UsageError, match="is a file"):
        add(files, str(files / "my.bib"))
