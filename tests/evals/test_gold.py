"""The gold set loads, and whatever is wrong with a row is one line that names file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from judged import row

from evals import gold
from evals.gold import GoldError, load

ROW = row().model_dump(mode="json")


def written(folder: Path, *lines: str) -> Path:
    path = folder / "gold.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    return path


def changed(**fields: object) -> str:
    return json.dumps(ROW | fields)


def without(name: str) -> str:
    return json.dumps({key: value for key, value in ROW.items() if key != name})


def fact(**fields: object) -> str:
    return changed(facts=[ROW["facts"][0] | fields])


MALFORMED = {
    "no JSON": ("{'id': 1}", "not JSON"),
    "cut short": (json.dumps(ROW)[:40], "not JSON"),
    "a list": ("[]", "row"),
    "a number": ("3", "row"),
    "an unknown key": (changed(knid="single"), "knid"),
    "a missing key": (without("split"), "split"),
    "an unknown kind": (changed(kind="multiple"), "kind"),
    "an unknown split": (changed(split="train"), "split"),
    "a bad id": (changed(id="q1"), "id"),
    "rev 0": (changed(rev=0), "rev"),
    "rev as text": (changed(rev="1"), "rev"),
    "an empty question": (changed(question=""), "question"),
    "no group": (changed(group=""), "group"),
    "a grade of 3": (changed(papers={"pa": 3}), "papers.pa"),
    "papers as a list": (changed(papers=["pa"]), "papers"),
    "history as text": (changed(history="What?"), "history"),
    "a fact without support": (fact(support=[]), "facts.0.support"),
    "a support without quote": (fact(support=[{"paper": "pa", "quote": ""}]), "facts.0.support.0.quote"),
    "an unknown key of a fact": (fact(vitl=True), "facts.0.vitl"),
    "an unknown matcher": (fact(match={"type": "semantic"}), "facts.0.match"),
    "a matcher without type": (fact(match={"any": ["x"]}), "facts.0.match"),
    "a matcher without any": (fact(match={"type": "phrase"}), "facts.0.match"),
    "any as text": (fact(match={"type": "phrase", "any": "exact"}), "facts.0.match"),
    "an empty any": (fact(match={"type": "phrase", "any": []}), "facts.0.match"),
    "an empty phrase": (fact(match={"type": "phrase", "any": [""]}), "facts.0.match"),
    "a broken pattern": (fact(match={"type": "regex", "any": ["("]}), "facts.0.match"),
    "a number without value": (fact(match={"type": "number"}), "facts.0.match"),
    "a value as text": (fact(match={"type": "number", "value": "60"}), "facts.0.match"),
    "a unit as text": (fact(match={"type": "number", "value": 60, "unit": "times"}), "facts.0.match"),
    "a misspelt option": (fact(match={"type": "number", "value": 60, "tol": 1}), "facts.0.match"),
    "all of nothing": (fact(match={"type": "all", "of": []}), "facts.0.match"),
    "a wrong part": (fact(match={"type": "any", "of": [{"type": "regex", "any": ["["]}]}), "facts.0.match"),
    "a wrong forbidden matcher": (
        changed(forbidden=[{"text": "x", "why": "y", "match": {"type": "regex", "any": ["("]}}]),
        "forbidden.0.match",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_row_is_one_line_with_file_and_line(tmp_path, name):
    line, where = MALFORMED[name]
    path = written(tmp_path, json.dumps(ROW), "", line)
    with pytest.raises(GoldError) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(f"gold.jsonl:3: {where}")
    assert "\n" not in text
    assert len(text) < 200


def test_the_first_wrong_line_is_named(tmp_path):
    with pytest.raises(GoldError, match=r"gold\.jsonl:2: "):
        load(written(tmp_path, changed(), changed(rev=0), "nonsense"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(GoldError, match="cannot be read"):
        load(tmp_path / "none.jsonl")


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "gold.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GoldError, match="cannot be read"):
        load(path)


@pytest.mark.parametrize("lines", [(), ("", "  ")])
def test_a_file_without_questions(tmp_path, lines):
    with pytest.raises(GoldError, match="holds no question"):
        load(written(tmp_path, *lines))


def test_a_row_as_it_was_meant(tmp_path):
    (question,) = load(written(tmp_path, changed()))
    assert question == row()
    assert question.answerable
    assert question.essential == {"pa", "pb"}
    assert question.acceptable == {"pa", "pb", "pc"}


def test_the_gold_set_loads():
    questions = gold.load()
    assert len({question.id for question in questions}) == len(questions) >= 150
    assert {question.split for question in questions} == {"dev", "gate"}
    assert {question.kind for question in questions} == set(gold.Kind.__args__)
