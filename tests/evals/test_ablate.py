"""Evidence removed: what is right once the papers are gone, told from records made by hand."""

from __future__ import annotations

from judged import FAST, cite, claim, right, row, stored, wrong

from evals.ablate import Ablated, _became
from evals.records import Record

ONE = row(kind="single", papers={"pa": 2})
TWO = row()


def became(question, paper, answer) -> str:
    return _became(question, paper, Record(question.id, 1, 0, 0, answer=answer))


def test_with_nothing_left_only_a_refusal_is_right():
    assert became(ONE, "pa", right()) == "answered"
    assert became(ONE, "pa", stored([]) | {"status": "refused"}) == "refused"
    assert became(ONE.model_copy(update={"kind": "detail"}), "pa", right() | {"status": "partial"}) == "refused"
    assert _became(ONE, "pa", Record(ONE.id, 1, 0, 0, error="x")) == "errors"


def test_with_something_left_a_fact_of_the_paper_that_is_gone_is_an_invention():
    assert became(TWO, "pa", right()) == "invented"
    assert became(TWO, "pb", stored([claim(FAST, cite("pa", FAST))])) == "kept"
    assert became(TWO, "pa", wrong()) == "kept"


def test_the_figure_is_of_those_with_nothing_left():
    found = Ablated(("a", "b", "c"), ("d",), ("e",), (), ("f",))
    assert (found.share.mean, found.share.n) == (0.25, 4)
    assert (
        str(found)
        .splitlines()[0]
        .startswith("nothing left     1 of 4 answered all the same: 0.25 [0.05, 0.70]; 3 refused")
    )
    assert "1 of 1 state a fact" in str(found)
    assert [line.split()[0] for line in str(found).splitlines()[2:]] == ["answered", "invented", "error"]
