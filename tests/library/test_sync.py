"""`rag sync`: a library stays in step with the files it came from, which are read only where they changed."""

from __future__ import annotations

import json
import zipfile
from contextlib import closing
from pathlib import Path

import made
import pytest
from running import called

from rag import readers
from rag.errors import LibraryError
from rag.library import changes, plan
from rag.library.embed import MiniLM, open_embedder
from rag.library.origins import origins, sources
from rag.library.store import Library

TEXTS = {
    "Widgets that fold": "Folding widgets save space. A widget folds 12 times faster with a brass hinge.",
    "Lanterns under the sea": "Deep sea lanterns attract squid. Our lantern runs for 40 days on one battery.",
    "Moss on roofs": "Moss on roofs holds water. We measure 61 roofs in one town, and slate holds least.",
    "Kites in the rain": "Kites fly badly in the rain. We dry 5 kites with 3 towels and fly them again.",
}
WIDGETS, SEA, MOSS, KITES = TEXTS


def lines(*titles: str, **instead: str) -> str:
    """JSON lines of these papers; `instead` are other abstracts, by the first word of a title."""
    said = {title: instead.get(title.split()[0].lower(), TEXTS[title]) for title in titles}
    return "".join(json.dumps({"title": title, "abstract": text}) + "\n" for title, text in said.items())


class Counting(MiniLM):
    """The shipped embedder; `texts` are those it embedded."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def encode(self, texts, **options):
        self.texts += texts
        return super().encode(texts, **options)


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The names of the files that are read."""
    names: list[str] = []
    real = readers.take
    monkeypatch.setattr(plan, "take", lambda file, way: names.append(file.name) or real(file, way))
    return names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "one.jsonl").write_text(lines(WIDGETS, SEA), "utf-8")
    (folder / "two.jsonl").write_text(lines(MOSS), "utf-8")
    return folder


@pytest.fixture
def place(tmp_path: Path, folder: Path) -> str:
    """A library of that folder."""
    place = str(tmp_path / "library")
    changes.add([folder], place, open_embedder())
    return place


def sync(place: str, embedder: MiniLM | None = None, **options) -> changes.Added:
    return changes.sync(place, embedder or open_embedder(), **options)


def held(place: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """{title: (abstract, sources)} of a library whose collection holds what it does."""
    with closing(Library.open(place)) as library:
        chunks = {c.id for some in library.chunks([paper.id for paper in library]).values() for c in some}
        assert made.reached(Path(place)) == chunks
        return {paper.title: (paper.abstract, paper.sources) for paper in library}


def state(place: str) -> tuple[object, ...]:
    with closing(Library.open(place)) as library:
        return library.fingerprint, library.generation, len(library.journal())


# --- what is read -------------------------------------------------------------------------------


def test_only_what_changed_is_read_and_only_what_is_new_embedded(place, folder, read):
    (folder / "two.jsonl").write_text(lines(MOSS, KITES), "utf-8")
    embedder = Counting()
    report = sync(place, embedder)
    assert read == ["two.jsonl"]
    assert (len(report.added), len(report.changed), report.unchanged) == (1, 0, 3)
    assert all("kites" in text.lower() for text in embedder.texts)
    assert set(held(place)) == set(TEXTS)


def test_nothing_changed_is_nothing_read_and_the_journal_does_not_grow(place, read):
    before = state(place)
    for _ in range(3):
        report = sync(place)
        assert (report.files, len(report.kept), report.unchanged) == ((), 2, 3)
    assert read == []
    assert state(place) == (*before[:2], before[2] + 1)
    assert "all as before, not read again" in next(report.lines())


def test_a_new_file_in_a_folder_that_was_added_is_taken_up(place, folder, read):
    (folder / "deeper").mkdir()
    (folder / "deeper" / "three.jsonl").write_text(lines(KITES), "utf-8")
    sync(place)
    assert read == ["deeper/three.jsonl"]
    assert held(place)[KITES][1] == ("deeper/three.jsonl:1",)
    assert sync(place).files == ()


def test_two_new_files_of_one_name_in_two_folders_are_two(place, folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    changes.add([other, folder], place, open_embedder())
    (folder / "new.jsonl").write_text(lines(KITES), "utf-8")
    (other / "new.jsonl").write_text(json.dumps({"title": "Snow", "abstract": "Snow is cold. It melts."}) + "\n")
    assert len(sync(place).added) == 2
    assert sorted((held(place)[KITES][1][0], held(place)["Snow"][1][0])) == [f"{other / 'new.jsonl'}:1", "new.jsonl:1"]
    assert sync(place).files == ()


def test_what_is_no_paper_in_a_folder_stays_passed_over_when_it_changes(place, folder):
    (folder / "picture.png").write_bytes(b"\x89PNG" + bytes(50))
    for more in (b"", b"more"):
        (folder / "picture.png").write_bytes(b"\x89PNG" + bytes(50) + more)
        report = sync(place)
        assert (len(report.of_kind("passed over")), report.of_kind("refused")) == (1, ())


def test_files_are_read_as_they_were_told_to_be(tmp_path, read):
    place, table = str(tmp_path / "mapped"), tmp_path / "table.csv"
    way = changes.Way(columns={"title": "Headline", "abstract": "Gist"})
    table.write_text(f'Headline,Gist\n{SEA},"{TEXTS[SEA]}"\n', "utf-8")
    changes.add([table], place, open_embedder(), way)
    table.write_text(f'Headline,Gist\n{SEA},"{TEXTS[SEA]}"\n{MOSS},"{TEXTS[MOSS]}"\n', "utf-8")
    assert len(sync(place).added) == 1
    changes.add([table], place, open_embedder(), way)
    assert read == ["table.csv"] * 2  # not a third time
    changes.add([table], place, open_embedder(), changes.Way("csv", way.columns))
    assert len(read) == 3


def test_a_file_that_another_version_of_the_readers_read_is_read_again(place, monkeypatch, read):
    monkeypatch.setattr("rag.library.origins.version", lambda: "another")
    assert sync(place).unchanged == 3
    assert read == ["one.jsonl", "two.jsonl"]


def test_the_same_records_at_other_lines_are_unchanged_and_cost_no_more_than_their_lines(place, folder):
    before = held(place)
    (folder / "one.jsonl").write_text("\n" + lines(SEA, WIDGETS), "utf-8")
    embedder = Counting()
    report = sync(place, embedder)
    assert (report.added, report.changed, report.unchanged, embedder.texts) == ((), (), 3, [])
    after = held(place)
    assert {title: text for title, (text, _) in after.items()} == {title: text for title, (text, _) in before.items()}
    assert (after[SEA][1], after[WIDGETS][1]) == (("one.jsonl:2",), ("one.jsonl:3",))


def test_what_is_said_of_a_paper_without_its_text_is_changed_without_embedding(place, folder):
    record = {"title": SEA, "abstract": TEXTS[SEA], "year": 2019}
    (folder / "one.jsonl").write_text(lines(WIDGETS) + json.dumps(record) + "\n", "utf-8")
    embedder = Counting()
    assert (len(sync(place, embedder).changed), embedder.texts) == (1, [])
    with closing(Library.open(place)) as library:
        assert library.paper(SEA).year == 2019
        assert library.words.lexical("lantern battery", 1)[0][0] == library.paper(SEA).id


def test_another_file_is_read_too_where_it_shares_a_paper_that_changed(place, folder, read):
    (folder / "two.jsonl").write_text(lines(MOSS, SEA, lanterns="Deep sea lanterns attract squid."), "utf-8")
    sync(place)
    (folder / "one.jsonl").write_text(lines(WIDGETS), "utf-8")  # the fuller abstract is gone
    read.clear()
    sync(place)
    assert sorted(read) == ["one.jsonl", "two.jsonl"]
    assert held(place)[SEA] == ("Deep sea lanterns attract squid.", ("two.jsonl:2",))


def test_a_correction_counts_though_another_file_has_the_paper_too(place, tmp_path):
    bib, csl = tmp_path / "a.bib", tmp_path / "b.json"
    entry = "@article{{a, title={{Fog nets}}, author={{Soto, {}}}, doi={{10.1000/f}}, abstract={{A net gave {} litres a day.}}}}"
    bib.write_text(entry.format("Luis", 120), "utf-8")
    csl.write_text('[{"id": "a", "type": "article", "title": "Fog nets", "DOI": "10.1000/f"}]', "utf-8")
    changes.add([bib, csl], place, open_embedder())
    bib.write_text(entry.format("Luisa", 150), "utf-8")
    report = sync(place)
    assert (len(report.changed), len(report.merged)) == (1, 1)
    with closing(Library.open(place)) as library:
        (paper,) = (paper for paper in library if paper.doi == "10.1000/f")
    assert (paper.abstract, paper.authors) == ("A net gave 150 litres a day.", ("Soto, Luisa",))
    assert {source.partition(":")[0] for source in paper.sources} == {"a.bib", "b.json"}


# --- what is gone -------------------------------------------------------------------------------


def test_what_left_its_file_is_kept_and_told_until_it_is_pruned(place, folder):
    (folder / "one.jsonl").write_text(lines(WIDGETS), "utf-8")
    (folder / "two.jsonl").unlink()
    for _ in range(2):  # also when the file is not read again
        report = sync(place)
        assert [source.file for source in report.gone] == ["two.jsonl"]
        assert len(report.absent) == 1
        assert len(held(place)) == 3
    asked: list[str] = []
    before = state(place)[0]
    report = sync(place, prune=True, agree=lambda papers: asked.extend(paper.title for paper in papers) or True)
    assert (sorted(asked), len(report.removed), report.absent) == ([SEA, MOSS], 2, ())
    assert set(held(place)) == {WIDGETS}
    assert sync(place).gone == ()
    embedder = Counting()
    changes.undo(place, embedder)
    assert (state(place)[0], embedder.texts, len(held(place))) == (before, [], 3)
    assert [source.file for source in sync(place).gone] == ["two.jsonl"]


def test_who_says_no_keeps_the_papers_and_gets_the_new_ones(place, folder):
    (folder / "one.jsonl").write_text(lines(WIDGETS, KITES), "utf-8")
    report = sync(place, prune=True, agree=lambda papers: False)
    assert (len(report.added), len(report.absent), report.removed) == (1, 1, ())
    assert set(held(place)) == set(TEXTS)


def test_a_file_that_cannot_be_read_any_more_loses_no_paper(place, folder):
    (folder / "one.jsonl").write_text(lines(WIDGETS) + '{"title": "Lant', "utf-8")
    (folder / "two.jsonl").write_text("Nothing that any reader knows." * 20, "utf-8")
    report = sync(place, prune=True)
    assert (report.removed, len(report.absent)) == ((), 2)
    assert len(held(place)) == 3


def test_when_every_file_is_gone_nothing_is_pruned(place, folder):
    folder.rename(folder.with_name("away"))
    with pytest.raises(LibraryError, match="none of the library's files is there"):
        sync(place, prune=True)
    assert len(held(place)) == 3
    assert len(sync(place).gone) == 2
    folder.with_name("away").rename(folder)
    assert (sync(place).gone, sync(place).unchanged) == ((), 3)


def test_a_renamed_file_leaves_no_trace_of_its_old_name_once_pruned(place, folder):
    (folder / "one.jsonl").rename(folder / "uno.jsonl")
    assert len(sync(place).changed) == 2  # they name a file more
    assert sync(place, prune=True).removed == ()
    assert held(place)[SEA][1] == ("uno.jsonl:2",)
    assert sync(place).gone == ()


def test_a_paper_removed_by_hand_is_not_taken_up_again_by_itself(place, folder):
    changes.remove(SEA, place, open_embedder())
    (folder / "one.jsonl").write_text(lines(WIDGETS, SEA, KITES), "utf-8")
    report = sync(place)
    assert (len(report.added), len(report.left_out)) == (1, 1)
    assert SEA not in held(place)
    assert len(changes.add([folder], place, open_embedder()).added) == 1  # named, it is
    assert SEA in held(place)


def test_a_sync_is_taken_back_whole(place, folder):
    before = state(place)[0], held(place)
    (folder / "one.jsonl").write_text(lines(KITES, WIDGETS, widgets="They fold 13 times faster. That is new."), "utf-8")
    report = sync(place, prune=True)
    assert (len(report.added), len(report.changed), len(report.removed)) == (1, 1, 1)
    changes.undo(place, open_embedder())
    assert (state(place)[0], held(place)) == before
    assert len(sync(place).added) == 1  # the file still says so


def test_what_an_undo_took_back_is_read_again_when_it_is_added_again(place, folder):
    changes.undo(place, open_embedder())
    assert held(place) == {}
    with pytest.raises(LibraryError, match="no file is known"):
        sync(place)
    assert len(changes.add([folder], place, open_embedder()).added) == 3


def test_a_dry_run_stores_nothing(place, folder):
    before = state(place)
    (folder / "one.jsonl").write_text(lines(WIDGETS, KITES), "utf-8")
    report = sync(place, prune=True, dry_run=True)
    assert (len(report.added), len(report.removed), report.papers) == (1, 1, 3)
    assert state(place) == before


def test_two_files_of_one_name_are_told_apart(tmp_path):
    place = str(tmp_path / "library")
    for name, title in (("a", SEA), ("b", MOSS)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "my.jsonl").write_text(lines(title), "utf-8")
        changes.add([tmp_path / name / "my.jsonl"], place, open_embedder())
    (tmp_path / "b" / "my.jsonl").write_text(lines(KITES), "utf-8")
    report = sync(place)
    assert (len(report.added), len(report.absent)) == (1, 1)
    assert held(place)[SEA][1] == ("my.jsonl:1",)
    assert held(place)[KITES][1] == (f"{tmp_path / 'b' / 'my.jsonl'}:1",)


# --- the command --------------------------------------------------------------------------------


def test_the_command_tells_what_it_did(place, folder):
    (folder / "two.jsonl").write_text(lines(MOSS, KITES), "utf-8")
    code, out, err = called("sync", "--library", place)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "2 files: 2 JSON lines; 1 as before, not read again",
        "4 read, 1 added, 0 changed, 3 unchanged, 0 merged, 0 without abstract, 0 refused, 0 passed over",
        f"library {place} holds 4 papers",
    ]
    facts = json.loads(called("sync", "--library", place, "--json")[1])
    assert (facts["unchanged"], facts["papers"], len(facts["kept"])) == (4, 4, 2)


def test_pruning_without_a_terminal_needs_yes(place, folder):
    (folder / "one.jsonl").write_text(lines(WIDGETS), "utf-8")
    before = state(place)
    code, out, err = called("sync", "--library", place, "--prune")
    assert (code, out) == (2, "")
    assert err.strip().endswith(f"type: rag sync --library {place} --prune --yes")
    assert state(place) == before
    code, out, _ = called("sync", "--library", place, "--prune", "--yes")
    assert code == 0
    assert "1 removed" in out
    assert set(held(place)) == {WIDGETS, MOSS}


@pytest.mark.parametrize("command", ["add", "sync"])
def test_strict_is_exit_1_as_long_as_anything_is_refused(place, folder, command):
    argv = [command, *([str(folder)] if command == "add" else []), "--library", place, "--strict"]
    assert called(*argv)[0] == 0
    (folder / "two.jsonl").write_text(lines(MOSS, KITES) + "{broken\n", "utf-8")
    assert called(*argv)[0] == 1
    assert KITES in held(place)  # the good ones are stored
    assert called(*argv)[0] == 1  # the file is as it was, and so is what was refused


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["sync"], 2, "type: rag sync ... --library NAME"),
        (["sync", "--library", "nowhere"], 1, "no library at "),
        (["sync", "--library", "nowhere", "--dry-run"], 1, "no library at "),
    ],
)
def test_what_cannot_be_synced_is_one_line(argv, code, said):
    got, _, err = called(*argv)
    assert (got, len(err.splitlines())) == (code, 1)
    assert said in err


# --- what is remembered -------------------------------------------------------------------------


def test_where_a_library_came_from_is_read_from_its_journal(place, folder):
    with closing(Library.open(place)) as library:
        known = origins(library.journal())
    assert list(known.given) == [str(folder)]
    assert [origin.source.file for origin in known.files.values()] == ["one.jsonl", "two.jsonl"]
    assert all(origin.source.is_as_read() for origin in known.files.values())


# --- names and links ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Inbox!.jsonl", "!.jsonl", "a!b!.jsonl", "in!/b.jsonl"])
def test_a_file_whose_name_holds_an_exclamation_mark_is_a_file_like_others(tmp_path, name):
    file, place = tmp_path / "exports" / name, str(tmp_path / "mine")
    file.parent.mkdir(parents=True)
    file.write_text(lines(WIDGETS, SEA), "utf-8")
    changes.add([tmp_path / "exports"], place, open_embedder())
    file.write_text(lines(WIDGETS, widgets="A widget folds 13 times faster now."), "utf-8")
    report = sync(place, prune=True)
    assert (len(report.changed), len(report.removed)) == (1, 1)
    with closing(Library.open(place)) as library:
        assert [paper.abstract for paper in library] == ["A widget folds 13 times faster now."]
        assert [one["file"] for one in sources(library)] == [name]


def test_an_archive_beside_a_file_whose_name_begins_like_a_member(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("b.jsonl", lines(WIDGETS))
    (tmp_path / "a.zip!b.jsonl").write_text(lines(SEA), "utf-8")
    place = str(tmp_path / "mine")
    changes.add([tmp_path / "a.zip", tmp_path / "a.zip!b.jsonl"], place, open_embedder())
    (tmp_path / "a.zip!b.jsonl").write_text(lines(SEA, lanterns="Lanterns last 41 days."), "utf-8")
    assert len(sync(place).changed) == 1
    with closing(Library.open(place)) as library:
        assert {paper.title: paper.abstract for paper in library}[SEA] == "Lanterns last 41 days."


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("again", ["sync", "add"])
def test_a_link_that_leads_elsewhere_says_what_is_there_now(tmp_path, is_folder, again):
    place, link = str(tmp_path / "mine"), tmp_path / "latest"
    for month, text in (("may", "Folds 44 times."), ("june", "Folds 55 times.")):
        target = tmp_path / month / "one.jsonl" if is_folder else tmp_path / month
        target.parent.mkdir(exist_ok=True)
        target.write_text(lines(WIDGETS, widgets=text), "utf-8")
    link.symlink_to("may")
    changes.add([link], place, open_embedder())
    link.unlink()
    link.symlink_to("june")
    if again == "sync":
        sync(place)
    else:
        changes.add([link], place, open_embedder())
    with closing(Library.open(place)) as library:
        assert [paper.abstract for paper in library] == ["Folds 55 times."]
        assert [(one["file"], Path(one["path"]).parts[-1 - is_folder]) for one in sources(library)] == [
            ("one.jsonl" if is_folder else "latest", "june")
        ]
    assert sync(place).files == ()


def test_a_target_that_was_named_too_stays_a_source(tmp_path):
    place, link = str(tmp_path / "mine"), tmp_path / "latest"
    (tmp_path / "may").write_text(lines(WIDGETS), "utf-8")
    (tmp_path / "june").write_text(lines(SEA), "utf-8")
    link.symlink_to("may")
    changes.add([link, tmp_path / "may"], place, open_embedder())
    link.unlink()
    link.symlink_to("june")
    sync(place)
    with closing(Library.open(place)) as library:
        assert {paper.title for paper in library} == {WIDGETS, SEA}
        assert {Path(one["path"]).name for one in sources(library)} == {"may", "june"}
