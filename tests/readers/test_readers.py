"""Files -> Papers: the shipped files to the line, the same papers in every layout, and nothing lost in silence."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ReadError
from rag.places import resource
from rag.readers import Reading, Record, Skipped, file_of, gather, pages, read
from rag.records import Paper
from rag.text import paper_id

TITLE = "Stim: a fast stabilizer circuit simulator"
PROSE = "This paper presents Stim, a fast simulator for quantum circuits of stabilizers. It beats all the others."
MORE = "We also compare it to the tools that exist in this field today. None of them comes near it on any test."
FURNITURE = ["new", "Subscribe", "Get trending papers in your email inbox!", "byAK and the research community", "Mar 14",
             "Published on 3 May 2024", "2024-05-03", "1.2k", "·", "https://example.org/x"]  # fmt: skip


def found(text: str) -> list[tuple[str, str]]:
    records, _ = pages.read(text, "f")
    return [(record.title, record.abstract) for record in records]


def skipped(text: str) -> list[tuple[str, str, str]]:
    return [(piece.source, piece.text, piece.reason) for piece in pages.read(text, "f")[1]]


def line(folder: Path, source: str) -> str:
    name, number = source.rsplit(":", 1)
    return (folder / name).read_text("utf-8").split("\n")[int(number) - 1]


# --- the shipped files --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> Reading:
    return read([resource("data")])


def test_every_record_of_the_shipped_files_is_read(shipped: Reading) -> None:
    sources = [source.split(":")[0] for paper in shipped.papers for source in paper.sources]
    assert [sources.count(name) for name in sorted(set(sources))] == [100, 119]
    assert shipped.records == 219
    assert len(shipped.papers) == 213
    assert sorted(len(paper.sources) for paper in shipped.papers) == [1] * 207 + [2] * 6


def test_every_source_names_the_line_of_the_title(shipped: Reading) -> None:
    for paper in shipped.papers:
        for source in paper.sources:
            assert line(resource("data"), source).removeprefix("Subscribe") == paper.title


def test_every_shipped_abstract_stands_verbatim_below_its_title(shipped: Reading) -> None:
    texts = {file.name: file.read_text("utf-8") + "\n" for file in resource("data").glob("*.txt")}
    for paper in shipped.papers:
        assert len(paper.abstract.split()) > 40
        assert any(texts[s.split(":")[0]].find(f"{paper.title}\n{gap}{paper.abstract}\n") >= 0
                   for s in paper.sources for gap in ("", "\n")), paper.id  # fmt: skip


def test_what_is_no_record_of_the_shipped_files_is_reported(shipped: Reading) -> None:
    one, two = sorted(file.name for file in resource("data").glob("*.txt"))
    assert [piece.source for piece in shipped.skipped] == [f"{one}:{n}" for n in (1, 3, 5, 7, 9)] + [
        f"{two}:{n}" for n in (1, 2, 3)
    ]
    assert str(shipped.skipped[-1]) == f"{two}:3: 'Subscribe': a button's label, glued to the title"
    assert {piece.reason for piece in shipped.skipped[:-1]} == {"page furniture"}


# --- the same papers in every layout ------------------------------------------------------------

LAYOUTS: dict[str, Callable[[str, str], str]] = {
    "adjacent lines": lambda title, abstract: f"{title}\n{abstract}\n",
    "blank lines": lambda title, abstract: f"{title}\n\n{abstract}\n\n",
    "many blank lines": lambda title, abstract: f"\n\n{title}\n \n\t\n\n\n{abstract}\n\n\n",
    "indented": lambda title, abstract: f"  {title}  \n\t{abstract} \n",
    "furniture between records": lambda title, abstract: f"{title}\n{abstract}\nMar 14\nSubscribe\nnew\n",
    "furniture before the abstract": lambda title, abstract: f"{title}\nMar 14\n\nUpvote\n12\n{abstract}\n",
    "CRLF": lambda title, abstract: f"{title}\r\n\r\n{abstract}\r\n",
    "CR": lambda title, abstract: f"{title}\r{abstract}\r",
}


def assert_lines_fit(records: list[Record], text: str) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for record in records:
        assert record.title in lines[int(record.source.removeprefix("f:")) - 1]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_layout_and_order_change_nothing(layout: str, seed: int, papers: tuple[Paper, ...]) -> None:
    wanted = random.Random(seed).sample(papers, 60)
    text = "".join(LAYOUTS[layout](paper.title, paper.abstract) for paper in wanted)
    for variant in (text, "\ufeff" + text, text.rstrip()):
        assert found(variant) == [(paper.title, paper.abstract) for paper in wanted]
        assert_lines_fit(pages.read(variant, "f")[0], variant)


def test_layouts_may_be_mixed_in_one_file(papers: tuple[Paper, ...]) -> None:
    layouts = [layout for name, layout in LAYOUTS.items() if name != "CR"]
    text = "".join(layouts[n % len(layouts)](paper.title, paper.abstract) for n, paper in enumerate(papers))
    assert found(text) == [(paper.title, paper.abstract) for paper in papers]


def test_a_byte_order_mark_is_no_part_of_the_title(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(f"\ufeff{TITLE}\r\n{PROSE}\r\n".encode())
    (paper,) = read([file]).papers
    assert (paper.id, paper.title, paper.abstract, paper.sources) == (paper_id(TITLE), TITLE, PROSE, ("a.txt:1",))


@pytest.mark.parametrize("gap", ["\n", "\n\n", "\r\n \r\n"])
def test_an_abstract_of_two_paragraphs_is_kept_whole_and_verbatim(gap: str) -> None:
    assert found(f"{TITLE}\n{PROSE}{gap}{MORE}\nNext\n{MORE}") == [(TITLE, PROSE + gap + MORE), ("Next", MORE)]


@pytest.mark.parametrize("odd", ["\u2028", "\x0b", "\x0c", "\x85", "\x1c"])
def test_only_line_ends_end_a_line(odd: str) -> None:
    text = f"{TITLE}\n{PROSE.replace(' fast', odd + 'fast')}\nNext\n{MORE}"
    records, passed_over = pages.read(text, "f")
    assert [record.source for record in records] == ["f:1", "f:3"]
    assert odd in records[0].abstract
    assert not passed_over


# --- what is no record --------------------------------------------------------------------------


@pytest.mark.parametrize("furniture", FURNITURE)
def test_furniture_is_reported_and_becomes_no_title(furniture: str) -> None:
    assert found(f"{furniture}\n{TITLE}\n{furniture}\n{PROSE}\n{furniture}") == [(TITLE, PROSE)]
    assert skipped(f"{TITLE}\n{furniture}\n{PROSE}") == [("f:2", furniture, "page furniture")]


def test_a_title_without_an_abstract_is_reported() -> None:
    text = f"Lonely title\n{TITLE}\n{PROSE}\nAnother one"
    assert found(text) == [(TITLE, PROSE)]
    assert skipped(text) == [
        ("f:1", "Lonely title", "no abstract below it"),
        ("f:4", "Another one", "no abstract below it"),
    ]


@pytest.mark.parametrize("over", ["", "Mar 14\n", f"{TITLE}\n{MORE}\nSubscribe\n"])
def test_an_abstract_without_a_title_is_reported_and_given_to_nobody(over: str) -> None:
    number = over.count("\n") + 1
    assert (f"f:{number}", PROSE, "an abstract with no title over it") in skipped(over + PROSE)
    assert all(abstract == MORE for _, abstract in found(over + PROSE))


@pytest.mark.parametrize("label", ["Subscribe", "Upvote", "Share"])
def test_a_label_glued_to_a_title_below_furniture_is_taken_off_and_reported(label: str) -> None:
    text = f"Mar 14\n{label}{TITLE}\n{PROSE}"
    assert found(text) == [(TITLE, PROSE)]
    assert ("f:2", label, "a button's label, glued to the title") in skipped(text)


@pytest.mark.parametrize("text", ["{t}\n{p}", "{t}\nMar 14\n{p}", "First\n{p}\n{t}\nUpvote\n{p}"])
def test_a_title_that_begins_like_a_label_keeps_its_beginning(text: str) -> None:
    assert ("ShareGPT4V: a model", PROSE) in found(text.format(t="ShareGPT4V: a model", p=PROSE))


def test_a_long_piece_is_cut_in_the_report() -> None:
    assert len(str(Skipped("f:1", "x" * 1000, "why"))) < 90


lines = st.lists(st.sampled_from([TITLE, "Next", PROSE, MORE, "", " ", "\ufeff", "SubscribeOn it", *FURNITURE]) | st.text(max_size=9))  # fmt: skip


@given(lines, st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_any_page_is_read_and_every_line_of_it_accounted_for(lines: list[str], end: str) -> None:
    text = end.join(lines)
    records, passed_over = pages.read(text, "f")
    assert_lines_fit(records, text)
    kept = "\n".join([*(r.title + "\n" + r.abstract for r in records), *(piece.text for piece in passed_over)])
    assert all(record.abstract in text for record in records)
    assert sorted("".join(kept.replace("\ufeff", "").split())) == sorted("".join(text.replace("\ufeff", "").split()))


# --- merging ------------------------------------------------------------------------------------


def test_records_of_one_title_become_one_paper_with_the_fullest_abstract(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"{TITLE}\n{PROSE}\nNext\n{MORE}\n")
    (tmp_path / "b.md").write_text(f"\n{TITLE.upper()}!\n{PROSE}\n{MORE}\n")
    reading = read([tmp_path])
    assert [paper.title for paper in reading.papers] == [TITLE, "Next"]
    assert reading.papers[0].abstract == f"{PROSE}\n{MORE}"
    assert reading.papers[0].sources == ("a.txt:1", "b.md:2")
    assert reading.records == 3


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(f"{TITLE}\n{PROSE}\n")
    reading = read([file, tmp_path, file])
    assert reading.records == 1
    assert reading.papers[0].sources == ("a.txt:1",)


def test_a_folder_is_read_in_sorted_order_without_hidden_and_foreign_files(tmp_path: Path) -> None:
    for name in ("b.txt", "sub/a.text", ".hidden/c.txt", "README.md", "d.pdf", "folder.txt/e.md"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"Title of {name}\n{PROSE}\n")
    assert [paper.title for paper in read([tmp_path]).papers] == [f"Title of {n}" for n in ("b.txt", "folder.txt/e.md", "sub/a.text")]  # fmt: skip


# --- what cannot be read ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.txt", None, "no such file or folder"),
        ("x" * 300, None, "no such file or folder"),
        ("binary.txt", b"%PDF\0\1\2", "binary"),
        ("utf16.txt", TITLE.encode("utf-16"), "no title with an abstract"),
        ("empty.txt", b"", "no title with an abstract"),
        ("titles.txt", b"A title\nAnother title\n", "no title with an abstract"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=says) as caught:
        read([tmp_path / name])
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_with_nothing_to_read_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.pdf").write_bytes(b"%PDF")
    with pytest.raises(ReadError, match=r"x\.pdf: is a PDF \(papers are not read, records are: export them") as caught:
        read([tmp_path])
    assert "\n" not in str(caught.value)


def test_nothing_to_read_at_all_is_an_error() -> None:
    with pytest.raises(ReadError, match="no file"):
        read([])


# --- files read again ---------------------------------------------------------------------------


@pytest.mark.parametrize("is_again", [True, False])
def test_the_shipped_files_read_again_give_the_stored_papers(shipped: Reading, is_again: bool) -> None:
    again = {file_of(source) for paper in shipped.papers for source in paper.sources} if is_again else ()
    reading = gather([resource("data")], known=shipped.papers, again=again)
    assert {paper.id: paper for paper in reading.papers} == {paper.id: paper for paper in shipped.papers}


def test_what_a_file_says_now_replaces_what_it_said(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(f"{TITLE}\n{PROSE} {MORE}\n", "utf-8")
    (stored,) = read([file]).papers
    file.write_text(f"\n\n{TITLE}\n{PROSE}\n", "utf-8")
    (kept,) = gather([file], known=[stored]).papers
    (now,) = gather([file], known=[stored], again={"a.txt"}).papers
    assert (kept.id, kept.abstract, kept.sources) == (stored.id, f"{PROSE} {MORE}", ("a.txt:1", "a.txt:3"))
    assert (now.id, now.abstract, now.sources) == (stored.id, PROSE, ("a.txt:3",))


def test_a_paper_of_another_file_too_keeps_what_that_one_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"{TITLE}\n{PROSE} {MORE}\n", "utf-8")
    (tmp_path / "b.txt").write_text(f"{TITLE}\n{PROSE}\n", "utf-8")
    (stored,) = read([tmp_path]).papers
    (now,) = gather([tmp_path / "b.txt"], known=[stored], again={"b.txt"}).papers
    assert now == stored
