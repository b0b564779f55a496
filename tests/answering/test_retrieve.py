"""Two searches become one list: nothing is invented, nothing twice, and order means something."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import FLASH, POKER, S4, paper

from rag.answering.retrieve import fuse, retrieve
from rag.records import Chunk

RANKING = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(-50, 50)), unique_by=lambda item: item[0])
WEIGHT = st.floats(0, 1)


def both(dense, lexical, weight=0.5):
    by = fuse({"dense": dense, "lexical": lexical}, {"dense": weight, "lexical": 1 - weight})
    return [(id, sum(found.part for found in signals)) for id, signals in by.items()]


def chunks_of(*papers):
    return {one.id: (Chunk(f"{one.id}.0", one, 0, 40, 9), Chunk(f"{one.id}.1", one, 41, 80, 9)) for one in papers}


def found(known, dense, lexical, query="a query", pool=50, weight=0.5):
    return retrieve(
        query,
        dense=lambda n: dense[:n],
        lexical=lambda n: lexical[:n],
        chunks=lambda ids: {id: known[id] for id in ids if id in known},
        pool=pool,
        dense_weight=weight,
    )


@given(RANKING, RANKING, WEIGHT)
def test_fusion_invents_nothing_and_loses_nothing(dense, lexical, weight):
    fused = both(dense, lexical, weight)
    ids = [id for id, _ in fused]
    assert set(ids) == {id for id, _ in dense + lexical}
    assert len(ids) == len(set(ids))
    assert all(0 <= score <= 1 + 1e-9 for _, score in fused)
    assert fused == sorted(fused, key=lambda item: (-item[1], item[0]))


@given(RANKING, RANKING, st.randoms())
def test_fusion_does_not_depend_on_the_order_of_its_input(dense, lexical, shuffler):
    mixed = [shuffler.sample(ranking, len(ranking)) for ranking in (dense, lexical)]
    assert both(*mixed) == both(dense, lexical)


@given(RANKING.filter(bool))
def test_an_empty_search_leaves_the_other_as_it_is(ranking):
    best, worst = max(score for _, score in ranking), min(score for _, score in ranking)
    for fused in (dict(both(ranking, [])), dict(both([], ranking))):
        assert fused.keys() == dict(ranking).keys()
        assert all(fused[id] == 1.0 for id, score in ranking if score == best)
        assert all(fused[id] == 0.0 for id, score in ranking if score == worst != best)


def test_two_empty_searches_find_nothing():
    assert both([], []) == []
    assert found({}, [], []) == ()


@pytest.mark.parametrize(("weight", "first"), [(1.0, "a"), (0.9, "a"), (0.1, "b"), (0.0, "b")])
def test_the_weight_says_which_search_is_believed(weight, first):
    assert both([("a", 0.9), ("b", 0.1)], [("b", 12.0), ("a", 1.0)], weight)[0][0] == first


def test_found_by_both_beats_found_by_one():
    dense = [("a", 0.9), ("both", 0.89), ("z", 0.1)]
    lexical = [("b", 9.0), ("both", 8.9), ("z", 0.1)]
    assert both(dense, lexical)[0][0] == "both"


def test_a_hit_is_a_paper_once_with_its_nearest_chunk():
    known = chunks_of(S4, FLASH)
    hits = found(known, [(f"{S4.id}.1", 0.9), (f"{S4.id}.0", 0.8), (f"{FLASH.id}.0", 0.2)], [(S4.id, 3.0)])
    assert [hit.chunk.id for hit in hits] == [f"{S4.id}.1", f"{FLASH.id}.0"]
    assert [hit.rank for hit in hits] == [1, 2]


def test_a_hit_says_which_search_found_it_and_how():
    known = chunks_of(S4, FLASH)
    hits = found(known, [(f"{FLASH.id}.0", 0.7), (f"{S4.id}.0", 0.6)], [(S4.id, 3.0)])
    by = {hit.paper.id: {f.search: (f.rank, f.score) for f in hit.found} for hit in hits}
    assert by == {S4.id: {"dense": (2, 0.6), "lexical": (1, 3.0)}, FLASH.id: {"dense": (1, 0.7)}}


def test_found_by_words_alone_a_paper_stands_for_the_chunk_that_shares_most():
    one = paper("Poker", "Nothing here is of any use at all to us. Models play poker with poor strategy now.")
    (hit,) = found(chunks_of(one), [], [(one.id, 2.0)], query="poker strategy of models")
    assert "poker" in hit.chunk.text


def test_a_paper_that_was_removed_is_left_out_and_ranks_stay_whole():
    known = chunks_of(FLASH, POKER)
    hits = found(known, [(f"{S4.id}.0", 0.9), (f"{FLASH.id}.0", 0.8), (f"{POKER.id}.0", 0.1)], [])
    assert [hit.paper for hit in hits] == [FLASH, POKER]
    assert [hit.rank for hit in hits] == [1, 2]


def test_each_search_is_asked_for_the_pool():
    asked = []
    retrieve(
        "q",
        dense=lambda n: asked.append(n) or [],
        lexical=lambda n: asked.append(n) or [],
        chunks=lambda ids: {},
        pool=17,
        dense_weight=0.5,
    )
    assert asked == [17, 17]


@given(st.lists(st.sampled_from(range(60)), unique=True), st.lists(st.sampled_from(range(30)), unique=True))
def test_every_hit_comes_from_what_the_searches_found(dense, lexical):
    papers = [paper(f"Paper number {n}", "word " * 30) for n in range(30)]
    known = chunks_of(*papers)
    by_chunk = [(f"{papers[n // 2].id}.{n % 2}", 1 - n / 60) for n in sorted(dense)]
    by_paper = [(papers[n].id, 30.0 - n) for n in sorted(lexical)]
    hits = found(known, by_chunk, by_paper, pool=60)
    assert {hit.paper.id for hit in hits} == {id[:-2] for id, _ in by_chunk} | {id for id, _ in by_paper}
    assert len({hit.paper.id for hit in hits}) == len(hits)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert all(hit.found and 0 <= hit.score <= 1 + 1e-9 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_equal_scores_come_in_one_order_whatever_the_order_they_came_in():
    papers = [paper(f"Paper number {n}", "word " * 30) for n in range(12)]
    ranking = [(one.id, 1.0) for one in papers]
    orders = {
        tuple(hit.paper.id for hit in found(chunks_of(*papers), [], random.Random(seed).sample(ranking, 12)))
        for seed in range(5)
    }
    assert len(orders) == 1
