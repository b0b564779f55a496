"""Recorded replies: the whole path of a capable model is replayed; a prompt that changed is stale, neither right nor wrong."""

from __future__ import annotations

import json

import pytest

import rag
from evals import baseline, command, gold, metrics, replies, run
from evals.bench import record
from evals.cache import CachedModel, Calls
from evals.records import EXIT, Record, Run
from rag.errors import ModelError

MODEL = "capable"
FENCED = "between the lines marked === {0} ===:\n=== {0} ===\ntext\n=== {0} ==="


@pytest.fixture
def client(tmp_path):
    return Calls("only", folder=tmp_path, replies=replies.load).client(MODEL, None)


def asking(client):
    library, model = str(rag.open_library().path), CachedModel(client.parts, MODEL, 0)
    return lambda question, history, sample: rag.answer(question, history=history, model=model, library=library)


@pytest.mark.slow
def test_recorded_replies_replay_the_whole_path(client):
    """All sixty, as `rag eval --model capable --cache only` asks them."""
    questions = {question.id: question for question in gold.load()}
    chosen = [questions[id] for id in dict.fromkeys(replies.load(MODEL).ids)]
    assert len(chosen) == 60
    assert len({question.kind for question in chosen}) >= 8
    found = [run.ask_one(run.Task(question, 0, 0), asking(client)) for question in chosen]
    kept, stale = replies.parted(Run(baseline.load(baseline.path_for(MODEL)).manifest, tuple(found)))
    assert [record.error for record in kept.records if record.error] == []
    if not kept.records:
        pytest.skip(replies.told(stale, len(found)))
    abstracts = {paper.id: paper.abstract for paper in rag.open_library()}
    before = {one.id: one.answer for one in baseline.load(baseline.path_for(MODEL)).records}
    for one in kept.records:
        assert one.answer["model"] == MODEL or one.answer["status"] == "refused" or not one.answer["usage"]["calls"]
        if one.id in before:
            now, then = (
                metrics.correct(questions[one.id], answer, abstracts) for answer in (one.answer, before[one.id])
            )
            assert now >= then, one.id


def test_a_prompt_without_a_reply_is_stale_and_no_failure_of_a_model(client):
    with pytest.raises(replies.Stale, match=r"plan$") as stale:
        client.ask("You plan a search in another way", "Question", 0)
    assert not isinstance(stale.value, ModelError)  # which would be taken for an answer, such as a refusal
    rows = (Record("a", 1, 0, 0, error=f"Stale: {stale.value}"), Record("b", 1, 0, 0, error="KeyError: x"))
    kept, left_out = replies.parted(Run(baseline.load(baseline.path_for(MODEL)).manifest, rows))
    assert ([one.id for one in kept.records], [one.id for one in left_out]) == (["b"], ["a"])
    assert "1 of 2 recorded questions" in replies.told(left_out, 2)
    assert "a (plan)" in replies.told(left_out, 2)


def test_when_every_question_is_stale_the_run_is_invalid(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(replies, "FOLDER", tmp_path)
    monkeypatch.setattr(run, "RUNS", tmp_path / "runs")
    row = {"key": "0" * 16, "id": "sb001", "step": "answer", "text": "No. [1]"}
    replies.path_for(MODEL).write_text(json.dumps(row) + "\n")
    assert command.main(["run", "--model", MODEL, "--cache", "only"]) == EXIT["invalid"]
    assert "stale: 1 of 1 recorded questions, neither passed nor failed" in capsys.readouterr().err


def test_a_fence_is_in_no_key():
    keys = {replies.key_of("s", FENCED.format(token)) for token in ("0123456789ab", "ba9876543210")}
    assert len(keys) == 1
    assert replies.key_of("s", "other") not in keys


def test_a_line_that_is_no_reply_is_named(tmp_path):
    assert replies.load("other", tmp_path) is None
    replies.path_for("other", tmp_path).write_text('{"key": "a", "id": "b", "text": "c"}\n\n{"key": 1}\n')
    with pytest.raises(run.RunError, match=r"other\.jsonl:3: is no recorded reply"):
        replies.load("other", tmp_path)


def test_recording_asks_only_what_has_no_reply():
    class Server:
        name = "server"
        context = None

        def ask(self, system, user, *, deadline=None):
            if user == "down":
                raise ModelError("down")
            return rag.records.Reply(f" to {user} ", rag.records.Usage(1), "stop")

    known = replies.Replies({replies.key_of("s", "old"): "kept"}, ("q",))
    recorder = record.Recorder("q", Server(), known, 1.0)
    assert [recorder.ask("s", user).text for user in ("old", "new", "new")] == ["kept", "to new", "to new"]
    assert [row["text"] for row in recorder.rows] == ["kept", "to new"]
    with pytest.raises(replies.Stale):
        recorder.ask("s", "down")
