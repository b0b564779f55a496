"""The plain pipeline by itself, and how much better than it a run is."""

from __future__ import annotations

import math

import pytest
from judged import ABSTRACTS, EXACT, FAST, cite, claim, right, row, run, stored, unanswerable, wrong
from made import FLASH, POKER, S4, library

from evals import metrics, plain
from evals.gains import Gain, all_facts, confidence, gains, lines, threshold, to_dict
from evals.gold import Question
from evals.run import Task, ask_one
from rag.library.store import Library
from rag.records import Answer

PAPERS = (S4, FLASH, POKER)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> plain.Plain:
    return plain.Plain(Library.open(library(tmp_path_factory.mktemp("plain"), *PAPERS)))


# --- the pipeline -------------------------------------------------------------------------------


def test_it_says_the_three_nearest_sentences_of_the_best_paper_in_their_order(asked):
    question = "How accurate is S4 on sequential CIFAR-10?"
    made = asked.ask(question)
    vector = asked.vector(question)
    sentences = asked.library.sentences([S4.id])[S4.id]
    assert len(sentences) == 4
    farthest = min(sentences, key=lambda sentence: float(sentence.vector @ vector)).span
    wanted = [S4.abstract[start:end] for (start, end), *_ in sentences if (start, end) != farthest]
    assert [claim.text for claim in made.claims] == [quote.quote for quote in made.citations] == wanted
    assert {quote.paper for quote in made.citations} == {S4}
    assert made.text == " ".join(f"{sentence} [1]" for sentence in wanted)
    assert [made.text[claim.start : claim.end] for claim in made.claims] == wanted
    assert (made.status, made.model, Answer.from_dict(made.to_dict())) == ("answered", "plain", made)


def test_it_keeps_what_every_answer_promises(asked):
    question = row(question="Which exact attention is IO-aware?", papers={FLASH.id: 2})
    record = ask_one(Task(question, 0, 0), asked.ask)
    assert record.error is None
    abstracts = {paper.id: paper.abstract for paper in PAPERS}
    scored = metrics.score(question, record.answer, abstracts)
    assert {scored[name] for name in (*metrics.PROMISED, "quote whole", "text claimed", "first cited")} == {1.0}
    assert record.answer["retrieved"][0][0] == FLASH.id
    assert {paper for paper, _ in record.answer["retrieved"]} == {paper.id for paper in PAPERS}


def test_it_never_refuses_and_its_evidence_holds_the_best_cosine(asked):
    for question in ("How do I bake sourdough bread?", "What is PokerBench?"):
        made = asked.ask(question)
        assert made.status == "answered"
        best = float((asked.matrix @ asked.vector(question)).max())
        assert max(evidence.score for evidence in made.evidence) == pytest.approx(max(best, 0.0))


def test_a_follow_up_is_searched_as_it_was_typed(asked):
    first = asked.ask("What is PokerBench?")
    assert asked.ask("And how fast is it?", [first]) == asked.ask("And how fast is it?")


def test_its_searches_give_papers_best_first(asked):
    query = "poker scenarios"
    for search in (asked.lexical, asked.dense, asked.search):
        found = search(query, 2)
        assert found[0][0] == POKER.id
        assert len(found) <= 2
        assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_fusion_by_hand():
    dense, lexical = [("a", 0.9), ("b", 0.5), ("c", 0.1)], [("c", 8.0), ("d", 4.0), ("b", 3.0)]
    assert plain.fuse(dense, lexical) == [("a", 0.5), ("c", 0.5), ("b", 0.25), ("d", pytest.approx(0.1))]
    assert plain.fuse(dense, []) == [("a", 1.0), ("b", pytest.approx(0.5)), ("c", 0.0)]
    assert plain.fuse([], [("d", 4.0)]) == [("d", 1.0)]
    assert plain.fuse([], []) == []


# --- gains --------------------------------------------------------------------------------------


def found(pairs: list[tuple[Question, dict, dict]]) -> dict[tuple[str, str], Gain]:
    """The gains of runs in which each question got the first answer plainly, the second from us."""
    plainly, ours = (run((question, answers[at]) for question, *answers in pairs) for at in (0, 1))
    table = gains(plainly, ours, [question for question, *_ in pairs], ABSTRACTS)
    return {(gain.kind, gain.figure): gain for gain in table}


def scored(*scores: float) -> dict:
    """An answer whose papers have these evidence scores."""
    return right() | {"evidence": [[paper, score] for paper, score in zip(("pa", "pb", "pc"), scores, strict=False)]}


def test_means_are_of_a_kind_and_paired():
    half = stored([claim(FAST, cite("pa", FAST))])
    table = found(
        [
            (row("aa001"), wrong(), right()),
            (row("aa002"), half, right()),
            (row("aa003"), right(), right()),
            (row("aa004", kind="single"), right(), wrong()),
            (row("aa005", kind="list", facts=[]), half, wrong()),
        ]
    )
    facts = table["multi", "required facts"]
    assert (facts.plain, facts.ours, facts.change.mean, facts.change.n) == (0.5, 1.0, 0.5, 3)
    assert facts.change.low <= 0.5 <= facts.change.high
    assert table["multi", "all required facts"].plain == pytest.approx(1 / 3)
    assert table["multi", "essential papers cited"].change.mean == pytest.approx(0.5)
    assert table["single", "right paper cited first"].change.mean == -1
    assert (table["list", "papers found"].plain, table["list", "papers found"].ours) == (0.5, 0.0)
    assert table["list", "cited papers that belong"].change.mean == 0
    assert ("followup", "all required facts") not in table
    assert (table["all", "quotes verbatim"].ours, table["all", "quotes verbatim"].change.n) == (1.0, 5)


def test_sentences_are_counted_where_something_was_said():
    one, two = stored([claim(FAST, cite("pa", FAST))]), right()
    singles = [row(f"aa00{n}", kind="single") for n in range(3)]
    table = found([(singles[0], two, one), (singles[1], two, one), (singles[2], two, stored())])
    assert [table["single", f"sentences, {which}"].change.mean for which in ("median", "most")] == [-1, -1]
    assert table["single", "sentences, median"].change.n == 2
    assert table["all", "answerable ones answered"].change.mean == pytest.approx(-1 / 3)


def test_questions_of_one_group_are_resampled_together():
    pairs = [(row(f"aa00{n}", group="one"), wrong() if n % 2 else right(), right()) for n in range(6)]
    gain = found(pairs)["multi", "all required facts"]
    assert (gain.change.mean, gain.change.low, gain.change.high) == (0.5, 0.5, 0.5)


def test_only_what_both_answered_at_todays_revision_is_compared():
    old, new = row("aa001"), row("aa001", rev=2)
    other, crashed = row("aa002"), row("aa003")
    plainly = run([(old, right()), (other, right()), (crashed, right())])
    ours = run([(new, right()), (other, right()), (crashed, None)])
    table = gains(plainly, ours, [new, other, crashed], ABSTRACTS)
    assert {gain.change.n for gain in table} == {1}


def test_the_threshold_refuses_at_most_its_share():
    scores = [n / 100 for n in range(1, 41)]
    assert sum(score < threshold(scores) for score in scores) == 2
    assert threshold(scores[:19]) == scores[0]
    assert threshold([]) == 0.0
    assert (confidence(scored(0.2, 0.7)), confidence(stored(evidence=[]))) == (0.7, 0.0)


def test_refusals_are_read_off_the_top_score_of_each_side_by_itself():
    here = [(row(f"aa0{n}1"), scored(0.1, 0.5 + n / 100), scored(0.8 + n / 100)) for n in range(10)]
    elsewhere = [(unanswerable(f"un00{n}"), scored(0.4 + n / 5), stored(evidence=[["pa", 0.3]])) for n in range(2)]
    near = unanswerable("un010", tags=["near-miss"]), scored(0.55), scored(0.9)
    table = found([*here, *elsewhere, near])
    refused = table["off-topic", "refused at 5% over-refusal"]
    assert (refused.plain, refused.ours, refused.change.n) == (0.5, 1.0, 2)
    shipped = table["off-topic", "refused as shipped"]
    assert (shipped.plain, shipped.ours) == (0.0, 1.0)
    off_topic, near_miss = (table[kind, "AUROC of the top score"] for kind in ("off-topic", "near-miss"))
    assert (off_topic.plain, off_topic.ours) == (0.5 * (1.0 + 0.0), 1.0)
    assert off_topic.change.low <= off_topic.change.mean == 0.5 <= off_topic.change.high
    assert (near_miss.plain, near_miss.ours) == pytest.approx((0.45, 0.0))
    assert table["unanswerable", "AUROC of the top score"].change.n == 3


def test_all_facts_is_all_or_nothing():
    half = stored([claim(EXACT, cite("pb", EXACT))])
    assert [all_facts(row(), answer, ABSTRACTS) for answer in (right(), half, stored())] == [1.0, 0.0, 0.0]
    assert all_facts(row(facts=[]), right(), ABSTRACTS) is None


def test_the_table_lines_up_and_the_json_holds_the_same():
    table = list(found([(row("aa001"), wrong(), right()), (row("aa002", kind="single"), right(), right())]).values())
    told = [text for text, _ in lines(table, "dev")]
    assert len(told) == 3 + len(table)
    assert "split dev" in told[0]
    assert len({len(text) for text in told[2:]}) == 1
    data = to_dict(table, "dev")
    assert data["split"] == "dev"
    assert {(g["kind"], g["figure"]) for g in data["gains"]} == {(gain.kind, gain.figure) for gain in table}
    assert not any(isinstance(value, float) and math.isnan(value) for g in data["gains"] for value in g.values())
