"""A run: what is asked, what a crash, a kill and a full disk leave behind, and how it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from running import LONGEST_WAIT, ROOT, environment
from served import answer, manifest, question

from evals import run
from evals.run import RunError, Stop, execute, start, tasks
from rag import Answer, Paper
from rag.records import Citation, Claim

QUESTIONS = [question(f"zz{n:03}") for n in range(6)]


def always(question: str, history: list[Answer], sample: int) -> Answer:
    return answer()


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text("utf-8").splitlines()]


def refuses(wrong: str) -> run.Ask:
    def ask(question: str, history: list[Answer], sample: int) -> Answer:
        if wrong in question:
            raise ZeroDivisionError("by zero")
        return answer()

    return ask


# --- what is asked ------------------------------------------------------------------------------


def test_every_wording_is_asked_as_often_as_told(tmp_path):
    asked = []
    questions = [question("zz001", variants=("Or so?",)), question("zz002")]

    def ask(question: str, history: list[Answer], sample: int) -> Answer:
        asked.append((question, sample))
        return answer()

    made = execute(start(manifest(), tmp_path), tasks(questions, 2), ask)
    assert asked == [(text, n) for text in ("What of zz001?", "Or so?", "What of zz002?") for n in (0, 1)]
    assert [r.key for r in made.records] == [(id, 1, v, n) for id, v in (("zz001", 0), ("zz001", 1), ("zz002", 0)) for n in (0, 1)]  # fmt: skip


def test_earlier_turns_are_asked_first_and_passed_on(tmp_path):
    seen = []

    def ask(question: str, history: list[Answer], sample: int) -> Answer:
        seen.append((question, [turn.text for turn in history], sample))
        return answer(f"to {question}")

    asked = question("zz001", question="And then?", kind="followup", history=("First?", "Second?"))
    made = execute(start(manifest(), tmp_path), tasks([asked], 2)[1:], ask)
    assert seen == [("First?", [], 1), ("Second?", ["to First?"], 1), ("And then?", ["to First?", "to Second?"], 1)]
    assert made.records[0].answer["text"] == "to And then?"


def test_what_earlier_turns_cited_is_kept_once_each(tmp_path):
    papers = [Paper(id, f"On {id}", f"It is {id}.") for id in ("pa", "pb")]
    cited = {"First?": papers[:1], "Second?": papers, "Thanks": papers[1:]}

    def ask(question: str, history: list[Answer], sample: int) -> Answer:
        found = [Citation(n, p, p.abstract, 0, len(p.abstract)) for n, p in enumerate(cited[question], 1)]
        return replace(answer(), claims=(Claim("It is so.", 0, 9, tuple(found), "quoted", ""),))

    asked = question("zz001", question="Thanks", history=("First?", "Second?"))
    (kept,) = execute(start(manifest(), tmp_path), tasks([asked]), ask).records
    assert kept.answer["before"] == ["pa", "pb"]
    assert json.loads(json.dumps(kept.to_dict()))["answer"]["before"] == ["pa", "pb"]


def test_a_crash_is_a_row_and_the_others_go_on(tmp_path):
    folder = start(manifest(), tmp_path)
    made = execute(folder, tasks(QUESTIONS), refuses("zz002"))
    assert [r.error for r in made.records] == [None, None, "ZeroDivisionError: by zero", None, None, None]
    assert made.records[2].answer is None
    assert len(rows(folder)) == 6


@pytest.mark.parametrize("workers", [1, 3])
def test_stop_ends_the_run_and_keeps_what_is_finished(tmp_path, workers):
    def ask(question: str, history: list[Answer], sample: int) -> Answer:
        if "zz004" in question:
            raise Stop("no money left")
        return answer()

    folder = start(manifest(), tmp_path)
    with pytest.raises(Stop, match="no money left"):
        execute(folder, tasks(QUESTIONS), ask, workers=workers)
    kept = {row["id"] for row in rows(folder)}
    assert "zz004" not in kept
    if workers == 1:
        assert kept == {"zz000", "zz001", "zz002", "zz003"}


# --- going on -----------------------------------------------------------------------------------


def test_a_run_goes_on_where_it_was_and_tries_errors_again(tmp_path):
    folder = start(manifest(), tmp_path)
    execute(folder, tasks(QUESTIONS)[:4], refuses("zz002"))
    assert start(manifest(created="2026-11-22T10:00:00"), tmp_path) == folder
    again = []

    def ask(question: str, history: list[Answer], sample: int) -> Answer:
        again.append(question[8:13])
        return answer("now")

    made = execute(folder, tasks(QUESTIONS), ask)
    assert again == ["zz002", "zz004", "zz005"]
    assert [r.id for r in made.records] == [q.id for q in QUESTIONS]
    assert [r.error for r in made.records] == [None] * 6
    assert len(execute(folder, tasks(QUESTIONS), refuses("zz")).records) == 6


def test_a_finished_run_or_another_one_is_not_gone_on_with(tmp_path):
    folder = start(manifest(), tmp_path)
    assert start(manifest(run="2"), tmp_path) != folder
    run.finish(folder)
    assert start(manifest(), tmp_path) != folder  # in the same second, too


def test_two_runs_at_once_have_a_folder_each(tmp_path):
    """The other one is a process of its own, as the lock is one of the operating system's."""
    folder = start(manifest(), tmp_path)
    other = subprocess.run(
        [sys.executable, "-c", OTHER, str(tmp_path)], env=environment(PYTHONPATH=f"{ROOT}:{ROOT / 'tests' / 'evals'}"),
        capture_output=True, text=True, check=True, timeout=LONGEST_WAIT,
    )  # fmt: skip
    assert other.stdout.strip() not in ("", str(folder))
    execute(folder, tasks(QUESTIONS)[:2], always)
    assert start(manifest(), tmp_path) in (folder, Path(other.stdout.strip()))  # whoever ended may be gone on with


OTHER = "import sys, pathlib; from served import manifest; from evals.run import start; print(start(manifest(), pathlib.Path(sys.argv[1])))"


def test_a_torn_last_line_is_cut_off_and_asked_again(tmp_path):
    folder = start(manifest(), tmp_path)
    execute(folder, tasks(QUESTIONS)[:3], always)
    whole = (folder / "records.jsonl").read_bytes()
    (folder / "records.jsonl").write_bytes(whole[:-40])
    made = execute(folder, tasks(QUESTIONS)[:3], always)
    assert [row["id"] for row in rows(folder)] == ["zz000", "zz001", "zz002"]
    assert len(made.records) == 3


@pytest.mark.parametrize("line", ["{}", "[]", "not JSON", '{"id": "zz001"}'])
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    folder = start(manifest(), tmp_path)
    execute(folder, tasks(QUESTIONS)[:1], always)
    with (folder / "records.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(RunError, match=r"records.jsonl:2: is no record .*delete the line"):
        execute(folder, tasks(QUESTIONS), always)


def test_a_folder_that_cannot_be_made_or_read_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        start(manifest(), tmp_path / "file")
    with pytest.raises(RunError, match="is no run of this version"):
        run.read(tmp_path)


# --- several at once ----------------------------------------------------------------------------


def test_workers_ask_at_once_and_every_row_is_there_once(tmp_path):
    meeting = threading.Barrier(3)

    def ask(question: str, history: list[Answer], sample: int) -> Answer:
        meeting.wait(60)
        return answer()

    folder = start(manifest(), tmp_path)
    made = execute(folder, tasks(QUESTIONS), ask, workers=3)
    assert [r.id for r in made.records] == [q.id for q in QUESTIONS]
    assert sorted(row["id"] for row in rows(folder)) == [q.id for q in QUESTIONS]


def test_a_slow_question_keeps_no_finished_one_off_the_disk(tmp_path):
    folder = start(manifest(), tmp_path)
    slow = threading.Event()

    def ask(question: str, history: list[Answer], sample: int) -> Answer:
        if "zz000" in question:
            assert slow.wait(60)
        return answer()

    def tick(done: int, total: int) -> None:
        if done == total - 1:
            assert [row["id"] for row in rows(folder)].count("zz000") == 0
            slow.set()

    execute(folder, tasks(QUESTIONS), ask, workers=2, tick=tick)
    assert rows(folder)[-1]["id"] == "zz000"


# --- in a process of its own --------------------------------------------------------------------

SCRIPT = """
import sys, time
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
from served import answer, manifest, question
from evals.run import RunError, execute, start, tasks

def ask(question, history, sample):
    time.sleep(float(sys.argv[3]))
    return answer("x" * 2000)

folder = start(manifest(), Path(sys.argv[2]))
try:
    made = execute(folder, tasks([question(f"zz{n:03}") for n in range(60)]), ask, workers=int(sys.argv[4]))
    print(len(made.records))
except RunError as error:
    print("one line:", error)
"""


def process(
    folder: Path, seconds: float, workers: int, before: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(folder), str(seconds), str(workers)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, env=environment(), cwd=ROOT, stdout=pipe, stderr=pipe, text=True, preexec_fn=before
    )


@pytest.mark.parametrize("workers", [1, 4])
def test_ctrl_c_loses_no_finished_row_and_the_same_goes_on(tmp_path, workers):
    running = process(tmp_path, 0.5, workers, lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    written = None
    while not (written and written.stat().st_size > 5000):
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
        written = next(tmp_path.glob("*/records.jsonl"), None)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=LONGEST_WAIT)
    assert "KeyboardInterrupt" in err
    folder = written.parent
    kept = rows(folder)  # every line is whole
    assert 2 <= len(kept) < 60
    out, err = process(tmp_path, 0, workers).communicate(timeout=LONGEST_WAIT)
    assert (out, err) == ("60\n", "")
    assert rows(folder)[: len(kept)] == kept
    assert sorted(row["id"] for row in rows(folder)) == [f"zz{n:03}" for n in range(60)]


def test_a_full_disk_is_one_line_and_leaves_whole_rows(tmp_path):
    import resource

    limit = 20_000
    out, err = process(tmp_path, 0, 1, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))).communicate()
    assert err == ""
    assert out.startswith("one line: ")
    assert "cannot be written" in out
    assert "free some space, then run the same again" in out
    [folder] = tmp_path.iterdir()
    assert os.path.getsize(folder / "records.jsonl") <= limit
    out, err = process(tmp_path, 0, 1).communicate(timeout=LONGEST_WAIT)
    assert (out, err) == ("60\n", "")
    assert len(rows(folder)) == 60
