"""Paper -> Chunks: spans that fit, lose nothing and cut no word without need."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.library.chunks import chunk, passage
from rag.library.embed import open_embedder
from rag.records import Chunk, Paper
from rag.text import label

PAPER = Paper("1f", "A title", "")


def words(text: str) -> int:
    return len(text.split())


def pieces(text: str) -> int:
    """Like a word-piece tokenizer: long words are several tokens, white space is none."""
    return sum(ceil(len(word) / 4) for word in text.split())


def assert_nothing_lost(chunks: tuple[Chunk, ...], paper: Paper) -> None:
    at = 0
    for number, one in enumerate(chunks):
        assert one.id == f"{paper.id}.{number}"
        assert one.paper is paper
        assert at <= one.start <= one.end
        left = paper.abstract[at : one.start].strip()
        assert not left or label(f"{left} We").strip() == left  # only a section's label is left out
        assert one.text == one.text.strip()
        at = one.end
    assert not paper.abstract[at:].strip()


abstracts = st.lists(
    st.sampled_from(["We go on. ", "A longer sentence of eight words stands here. ", "no stop ", "x" * 90, "\n", "é. ", "word\n"])
    | st.text(max_size=8),
    max_size=30,
).map("".join)  # fmt: skip


@settings(max_examples=50)
@given(abstracts, st.integers(14, 60), st.sampled_from([words, pieces, len]))
def test_chunks_hold_everything_once_in_order_and_fit(abstract: str, limit: int, count: object) -> None:
    paper = replace(PAPER, abstract=abstract)
    chunks = chunk(paper, count, limit)  # type: ignore[arg-type]
    assert_nothing_lost(chunks, paper)
    assert all(one.tokens <= limit for one in chunks)
    if count is not len:  # which counts the space between sentences, too
        assert all(count(passage(paper, one.start, one.end)) <= limit for one in chunks)  # type: ignore[operator]
    assert all(one.text for one in chunks) or len(chunks) == 1


@given(abstracts, st.integers(0, 13))
def test_limits_too_small_for_anything_still_lose_nothing(abstract: str, limit: int) -> None:
    paper = replace(PAPER, abstract=abstract)
    assert_nothing_lost(chunk(paper, pieces, limit), paper)


@pytest.mark.parametrize("abstract", ["", " \n\t"])
def test_an_empty_abstract_gives_one_empty_chunk(abstract: str) -> None:
    (one,) = chunk(replace(PAPER, abstract=abstract), words, 50)
    assert (one.id, one.text, one.tokens) == ("1f.0", "", 3)


@pytest.mark.parametrize("space", [" ", "\n", "\t", "\u00a0"])
def test_an_overlong_sentence_is_cut_at_white_space(space: str) -> None:
    paper = replace(PAPER, abstract=space.join(f"word{n}" for n in range(100)))
    chunks = chunk(paper, words, 20)
    assert len(chunks) > 5
    assert [word for one in chunks for word in one.text.split()] == paper.abstract.split()


def test_a_word_longer_than_a_chunk_is_cut_all_the_same() -> None:
    paper = replace(PAPER, abstract="x" * 1000)
    chunks = chunk(paper, pieces, 20)
    assert "".join(one.text for one in chunks) == paper.abstract
    assert all(one.tokens <= 20 for one in chunks)


def test_sentences_stay_whole_and_are_spread_evenly() -> None:
    paper = replace(PAPER, abstract=" ".join(f"Sentence {n} has five words." for n in range(10)))
    chunks = chunk(paper, words, 43)  # room for 40 words: 8 sentences at most
    assert [one.text.count(".") for one in chunks] == [5, 5]


def test_no_chunk_is_a_leftover() -> None:
    sizes = [15, 31, 18, 15, 51, 69, 41, 23, 23, 8]  # 294 words, room for 240
    paper = replace(PAPER, abstract=" ".join("Word" + " word" * (size - 1) + "." for size in sizes))
    assert [one.tokens - 3 for one in chunk(paper, words, 243)] == [130, 164]


def test_the_title_is_part_of_every_chunk_and_of_its_size() -> None:
    paper = replace(PAPER, title=r"On \emph{many} things", abstract="It works. " * 30)
    chunks = chunk(paper, words, 30)
    assert all(passage(paper, one.start, one.end).startswith("On many things. It works.") for one in chunks)
    assert all(one.tokens == 4 + words(one.text) <= 30 for one in chunks)


@pytest.mark.parametrize(("limit", "step"), [(64, 4), (254, 1)])
def test_the_shipped_abstracts_fit_the_shipped_embedder(limit: int, step: int, papers: tuple[Paper, ...]) -> None:
    count = open_embedder().count
    for paper in papers[::step]:
        chunks = chunk(paper, count, limit)
        assert_nothing_lost(chunks, paper)
        title_fits = count(paper.title) < int(0.4 * limit)
        for one in chunks:
            assert one.tokens <= limit
            assert not title_fits or count(passage(paper, one.start, one.end)) <= one.tokens
        assert len(chunks) == 1 or min(one.tokens for one in chunks) > limit / 3, paper.title  # no leftover
