"""`rag eval` from its command line, on a small library and gold set, with a chat model on loopback."""

from __future__ import annotations

import gzip
import itertools
import json
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from made import FLASH, POKER, S4
from running import LONGEST_WAIT, ROOT, environment
from served import ChatServer, claim, judging, manifest, question, record, refusal

import rag
from evals import aa, baseline, cache, gold, judge, lint, run
from evals.records import Run
from rag.cli.main import main
from rag.library import build
from rag.models import prices

ASKED = "How much faster does S4 generate text?"
FACT = {
    "id": "f1",
    "text": "60 times",
    "match": {"type": "regex", "any": ["60"]},
    "support": [{"paper": S4.id, "quote": r"generates text 60$\times$ faster"}],
}
ROWS = [
    {"id": f"zz{n:03}", "rev": 1, "question": f"{ASKED} ({n})", "kind": "robustness", "split": "gate", "group": "s4",
     "papers": {S4.id: 2}, "facts": [FACT], "reference": "60 times faster."}
    for n in range(32)
]  # fmt: skip
LAST = {"id": "zy001", "rev": 1, "question": "And its accuracy on sequential CIFAR-10?", "kind": "followup",
        "split": "dev", "group": "cifar", "history": [ASKED], "papers": {S4.id: 2}, "reference": "91% accuracy.",
        "facts": [{"id": "f1", "text": "91%", "match": {"type": "regex", "any": ["91"]},
                   "support": [{"paper": S4.id, "quote": r"S4 reaches 91\% accuracy"}]}]}  # fmt: skip
RIGHT = "S4 generates text 60 times faster [1]."


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def lines(text: str) -> list[str]:
    """What the command says of an error; the sum of its calls is another matter."""
    return [line for line in text.splitlines() if not line.startswith("rag: model calls:")]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three papers in place of the shipped ones, in a RAG_HOME of their own."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "data").mkdir()
    text = "\n\n".join(f"{p.title}\n\n{p.abstract}" for p in (S4, FLASH, POKER))
    (folder / "data" / "papers.txt").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_HOME", str(folder))
        patch.setattr(build, "_shipped_files", lambda: [folder / "data" / "papers.txt"])
        yield folder


@pytest.fixture
def here(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gold set, and folders for runs, baselines and calls."""
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*ROWS, LAST]))
    lint.accept(gold.load(tmp_path / "gold.jsonl"), tmp_path / "gold.lock")
    item = {"pair": "a", "paper": S4.id, "quote": "It solves Path-X, which all prior work fails on.", "kind": "name"}
    items = [item | {"id": "a1", "claim": "S4 solves Path-X.", "supported": True},
             item | {"id": "a2", "claim": "S4 solves Path-Y.", "supported": False},
             item | {"id": "b1", "claim": "Earlier work failed on it.", "supported": True, "pair": "b"},
             item | {"id": "c1", "claim": "It is exact.", "supported": True, "pair": "c", "paper": FLASH.id,
                     "quote": "FlashAttention is exact and IO-aware."}]  # fmt: skip
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in items))
    monkeypatch.setattr(gold, "GOLD", tmp_path / "gold.jsonl")
    monkeypatch.setattr(run, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(baseline, "FOLDER", tmp_path / "baselines")
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "cache")
    monkeypatch.setattr(cache, "RETRIES", cache.RETRIES._replace(first_pause=0.01))
    monkeypatch.setattr(judge, "ITEMS", tmp_path / "items.jsonl")
    return tmp_path


@pytest.fixture
def evaluated(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def call(*argv: object) -> Ran:
        capsys.readouterr()
        code = main(["eval", *map(str, argv)])
        return Ran(code, *capsys.readouterr())

    return call


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(lambda body: RIGHT) as served:
        yield served


def rows(here: Path) -> list[dict[str, Any]]:
    [folder] = (here / "runs").iterdir()
    return [json.loads(line) for line in (folder / "records.jsonl").read_text("utf-8").splitlines()]


# --- what is wrong is one line, with the right exit code ----------------------------------------


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("{", "gold.jsonl:2: not JSON"),
        ('{"id": "zz001"}', "gold.jsonl:2: rev: Field required"),
        (json.dumps(ROWS[1] | {"kind": "hard"}), "gold.jsonl:2: kind: "),
        (json.dumps(ROWS[1] | {"extra": 1}), "gold.jsonl:2: extra: "),
    ],
)
@pytest.mark.parametrize("command", [[], ["run"], ["lint"], ["bless", "--reason", "x"], ["run", "--dry-run"]])
def test_a_bad_row_is_named_by_line(evaluated, here, edit, said, command):
    path = here / "gold.jsonl"
    text = path.read_text().splitlines()
    path.write_text("\n".join([text[0], edit, *text[2:]]))
    if command[-1:] == ["--dry-run"]:
        command = [*command, "--model", "m", "--base-url", "http://127.0.0.1:9/v1"]
    code, out, err = evaluated(*command)
    assert (code, out, len(lines(err))) == (2, "", 1)
    assert said in err


def test_a_row_that_lint_stops_at_is_not_asked(evaluated, here):
    bad = ROWS[0] | {"papers": {"0123456789ab": 2, S4.id: 2}}
    (here / "gold.jsonl").write_text(json.dumps(bad))
    (here / "gold.lock").unlink()
    lint.accept(gold.load(here / "gold.jsonl"), here / "gold.lock")
    code, out, err = evaluated()
    assert (code, out, err.splitlines()) == (
        2,
        "",
        ["rag: problem: gold.jsonl:1: zz000: no paper 0123456789ab in the library"],
    )
    assert not (here / "runs").exists()


def test_without_a_baseline_nothing_is_asked(evaluated, here, server):
    code, out, err = evaluated("--model", "m", "--base-url", server.url)
    assert (code, out) == (1, "")
    assert "m.json.gz: no baseline yet; accept a run with: rag eval bless --reason" in err
    assert len(lines(err)) == 1
    assert server.asked == []
    assert not (here / "runs").exists()


def test_another_corpus_is_not_compared(evaluated, here):
    baseline.bless(Run(manifest(corpus="other"), (record("zz000"),)), "x", {}, here / "b.json.gz")
    code, out, _ = evaluated("--id", "zz000", "--baseline", here / "b.json.gz")
    assert code == 7
    assert "not the one of the baseline" in out


def test_another_answerer_is_not_compared(evaluated, here, server):
    mine = manifest(corpus=rag.open_library().fingerprint)
    baseline.bless(Run(mine, (record("zz000"),)), "x", {}, here / "b.json.gz")
    code, out, _ = evaluated(
        "--id", "zz000", "--baseline", here / "b.json.gz", "--model", "m", "--base-url", server.url
    )
    assert code == 7
    assert "'m'" in out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["show", "zz999"], "no question 'zz999'"),
        (["run", "--id", "zz999"], "no question fits --split, --kind and --id"),
        (["run", "--kind", "hard"], "no question fits"),
        (["run", "--samples", "0"], "--samples: '0' is not a number from 1 up"),
        (["run", "--concurrency", "-1"], "--concurrency"),
        (["run", "--concurency", "2"], "did you mean --concurrency?"),
        (["run", "--cache", "maybe"], "--cache"),
        (["run", "--max-usd", "ten"], "--max-usd"),
        (["run", "--max-usd", "-1", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"], "--max-usd is -1"),
        (["run", "--base-url", "http://127.0.0.1:9/v1"], "names a server but no model"),
        (["run", "--judge-base-url", "http://127.0.0.1:9/v1"], "names a server but no judge"),
        (["run", "--model", "m", "--base-url", "nonsense"], "base URL 'nonsense' is none"),
        (["bless"], "--reason"),
        (["bless", "--reason", " "], "only with a reason"),
        (["bless", "--reason", "x", "--id", "zz000"], "a baseline is of the whole gold set"),
        (["compare", "default"], "B"),
        (["compare", "default", "nowhere"], "'nowhere' is no run, file or setting"),
        (["compare", "default", "k=1", "--model", "m"], "what is compared stands in A and B"),
        (["compare", "default", "kk=1"], "a setting is NAME=VALUE"),
        (["compare", "default", "k=many"], "k=many: not a number"),
        (["compare", "default", "k=0"], "k is 0"),
        (["compare", "default", "prompts=/nowhere/at/all"], "no .md file in it"),
        (["judge-chek"], "did you mean judge-check?"),
        (["--split", "test"], "--split"),
    ],
)
def test_a_wrong_option_is_one_line(evaluated, here, argv, said):
    code, out, err = evaluated(*argv)
    assert (code, out, len(lines(err))) == (2, "", 1)
    assert said in err
    assert not (here / "runs").exists()


def test_a_missing_key_is_said_before_anything_is_asked(evaluated, here, monkeypatch):
    monkeypatch.delenv("RAG_BASE_URL", raising=False)
    for argv in (["run", "--model", "m"], ["run", "--judge", "j"]):
        code, out, err = evaluated(*argv)
        assert (code, out) == (1, "")
        assert "set OPENAI_API_KEY" in err
    assert not (here / "runs").exists()


def test_from_a_tree_without_evals_it_is_one_line(tmp_path):
    ignored = shutil.ignore_patterns("weights", "__pycache__", "data", "prompts")
    shutil.copytree(ROOT / "rag", tmp_path / "rag", ignore=ignored)
    command = [sys.executable, "-m", "rag", "eval", "lint"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(PYTHONPATH=tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["rag: the evals are not here; type: pip install 'abstracts-rag[evals]'"]


# --- without a model ----------------------------------------------------------------------------


def test_bless_then_the_same_again_passes_and_a_worse_one_does_not(evaluated, here, monkeypatch):
    assert evaluated("bless", "--reason", "first")[0] == 0
    assert baseline.history(here / "baselines" / "extractive.json.gz")[0]["reason"] == "first"
    code, out, err = evaluated()
    assert (code, err) == (0, "")
    assert "PASS" in out.upper()
    monkeypatch.setattr(run, "code_hash", lambda: "other")
    monkeypatch.setattr("evals.run.slim", broken(run.slim))
    assert evaluated()[0] == 4


def broken(slim: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    return lambda answer: slim(answer) | {"text": "Something else.", "status": "refused", "claims": []}


def test_the_users_own_library_is_not_the_one_that_is_judged(evaluated, monkeypatch):
    monkeypatch.setenv("RAG_LIBRARY", "/nowhere/at/all")
    monkeypatch.setenv("RAG_MODEL", "a-model-that-nobody-named")
    assert evaluated("run", "--id", "zz000")[0] == 0


def test_there_is_nothing_to_split_without_a_model(evaluated, here):
    baseline.bless(Run(manifest(), (record("zz000"),)), "x", {}, here / "baselines" / "extractive.json.gz")
    code, out, _ = evaluated("aa")
    assert code == 0
    assert out.startswith("nothing to split")
    assert evaluated("aa", "--model", "m")[0] == 1


# --- a gold set of one's own --------------------------------------------------------------------


@pytest.fixture
def own(small: Path, tmp_path: Path) -> Path:
    """A file of 15 rows about a library of one's own, accepted."""
    if not (small / "data" / "libraries" / "mine").exists():
        rag.add(small / "data" / "papers.txt", library="mine")
    file = tmp_path / "my gold.jsonl"
    text = "".join(json.dumps(row) + "\n" for row in [*ROWS[:14], LAST])
    file.write_text(f"# mine\n\n{text}")
    assert main(["eval", "lint", "--accept", "--gold", str(file), "--library", "mine"]) == 0
    return file


def test_a_small_set_of_ones_own_is_blessed_broken_and_found(evaluated, own, small, monkeypatch):
    """What it makes lies beside it, and each command that is told can be typed as it stands."""
    mine = ("--gold", own, "--library", "mine")
    code, out, err = evaluated(*mine)
    assert (code, out) == (1, "")
    assert f"rag eval bless --reason \"...\" --gold '{own}' --library mine" in err
    assert evaluated("bless", "--reason", "first", *mine).code == 0
    code, out, _ = evaluated(*mine)
    assert (code, out.splitlines()[0]) == (0, "unchanged: 15 of 15 questions right; pass, exit code 0")
    assert "With 15 questions a fall of" in out
    moved = shutil.copy(small / "data" / "papers.txt", own.parent / "moved.txt")
    rag.add(moved, library=str(own.parent / "elsewhere"))  # the same papers from another file, as in CI
    assert evaluated("--gold", own, "--library", own.parent / "elsewhere").code == 0
    folder = own.with_suffix(".evals")
    assert {file.name for file in folder.iterdir()} == {".gitignore", "gold.lock", "baselines", "runs"}
    monkeypatch.setattr(run, "code_hash", lambda: "other")
    monkeypatch.setattr("evals.run.slim", broken(run.slim))
    code, out, _ = evaluated(*mine, "-k", "1")
    assert (code, out.splitlines()[0].split(":")[0]) == (4, "worse")
    command = next(line for line in out.splitlines() if line.startswith("next: ")).split("   ")[0]
    typed = shlex.split(command.removeprefix("next: rag eval "))
    code, out, err = evaluated(*typed)
    assert (code, err) == (0, "")
    told = out.splitlines()
    assert told[told.index("baseline") + 1].startswith("right (1 of 1")
    assert told[told.index("candidate") + 1].startswith("wrongly refused (0 of 1")
    assert "lost at   refusal: whether to answer was decided wrongly" in out
    looked = shlex.split(told[-1].removeprefix("next      rag "))
    assert looked[:6] == ["ask", "--abstracts", "-k", "1", "--library", "mine"]
    assert main(looked) == 0


def test_show_before_anything_was_asked_says_what_to_type(evaluated, own):
    code, out, err = evaluated("show", "zz001", "--gold", own, "--library", "mine")
    assert (code, out) == (1, "")
    assert f"zz001 was not asked yet; type: rag eval --gold '{own}' --library mine" in err
    evaluated("run", "--gold", own, "--library", "mine", "--id", "zz001")
    code, out, _ = evaluated("show", "zz001", "--gold", own, "--library", "mine")
    assert (code, "no answer to this revision in the run" in out, "right (1 of 1" in out) == (0, True, True)


def test_one_kind_alone_is_compared_and_not_judged(evaluated, own):
    mine = ("--gold", own, "--library", "mine")
    evaluated("bless", "--reason", "first", *mine)
    code, out, _ = evaluated(*mine, "--kind", "followup")
    assert (code, out.splitlines()[0]) == (5, "no verdict: 1 of 1 questions right; inconclusive, exit code 5")
    assert "withheld: 1 questions were picked out" in out


def test_a_library_that_is_not_there_is_one_line(evaluated, own):
    code, out, err = evaluated("run", "--gold", own, "--library", "nowhere")
    assert (code, out, len(lines(err))) == (1, "", 1)
    code, out, err = evaluated("run", "--gold", own.with_name("none.jsonl"))
    assert (code, out, len(lines(err))) == (2, "", 1)
    assert "none.jsonl: cannot be read" in err


def test_help_needs_nothing_of_the_extra(evaluated, monkeypatch, capsys):
    monkeypatch.setattr("evals.command.NEEDS", ("a_package_that_is_not_there",))
    with pytest.raises(SystemExit) as ended:
        main(["eval", "--help"])
    assert (ended.value.code, "--gold FILE" in capsys.readouterr().out) == (0, True)
    code, out, err = evaluated("run")
    assert (code, out) == (1, "")
    assert err.startswith("rag: rag eval needs a_package_that_is_not_there; type: pip install")


def test_two_settings_are_paired_with_what_they_cost(evaluated, own, server):
    mine = ("--gold", own, "--library", "mine", "--split", "gate")
    code, out, _ = evaluated("compare", "default", f"model=m,base_url={server.url}", *mine, "--dry-run")
    assert (code, out.splitlines()[0], server.asked) == (0, "default: no calls", [])
    assert "14 calls of m to send, 0 to replay" in out.splitlines()[1]
    code, out, _ = evaluated("compare", "default", f"model=m,base_url={server.url}", *mine)
    assert code == 0
    assert out.splitlines()[:3] == [
        "A  default", f"B  model=m,base_url={server.url}", "14 questions paired; B less A with its 95 % interval"
    ]  # fmt: skip
    table = {line.split()[0]: line.split() for line in out.splitlines() if line[:1].isalpha()}
    assert table["correct"][1:4] == ["1.000", "1.000", "+0.000"]
    assert (table["calls"][1], int(table["calls"][2]) >= 14, table["USD"][1:]) == ("0", True, ["0.0000", "0.0000"])
    page = (own.with_suffix(".evals") / "runs" / "compare.html").read_text("utf-8")
    assert f"default: 14 of 14 right; model=m,base_url={server.url}: 14 of 14 right" in page
    calls = len(server.asked)
    assert json.loads(evaluated("compare", f"model=m,base_url={server.url}", "k=1", "--json", *mine).out)["pairs"] == 14
    assert len(server.asked) == calls  # replayed


def test_runs_and_baselines_are_compared_as_they_are(evaluated, own, monkeypatch):
    mine = ("--gold", own, "--library", "mine")
    evaluated("bless", "--reason", "first", *mine)
    monkeypatch.setattr("evals.run.slim", broken(run.slim))
    evaluated("run", *mine)
    folder = max(
        (own.with_suffix(".evals") / "runs").glob("*/records.jsonl"), key=lambda f: f.stat().st_mtime_ns
    ).parent
    code, out, err = evaluated("compare", "baseline", folder, *mine)
    assert (code, err) == (0, "")
    assert next(line for line in out.splitlines() if line.startswith("correct")).split()[1:4] == [
        "1.000",
        "0.000",
        "−1.000",
    ]
    baseline.bless(Run(manifest(corpus="other"), (record("zz000"),)), "x", {}, own.with_name("b.json.gz"))
    code, out, err = evaluated("compare", own.with_name("b.json.gz"), folder, *mine)
    assert (code, out, "asked different libraries" in err) == (1, "", True)


def test_without_its_paper_a_question_is_refused_or_counted(evaluated, own):
    before = rag.open_library("mine").generation
    mine = ("--gold", own, "--library", "mine", "--id", "zz000", "--id", "zz001")
    code, out, err = evaluated("ablate-evidence", *mine, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert sorted(found["refused"] + found["answered"]) == ["zz000", "zz001"]
    assert found["share"]["n"] == 2
    assert rag.open_library("mine").generation == before
    assert "answered all the same" in evaluated("ablate-evidence", *mine).out
    assert "no question rests on papers" in evaluated("ablate-evidence", *mine[:4], "--kind", "followup").out


# --- the plain pipeline -------------------------------------------------------------------------


def test_plain_is_an_answerer_with_a_baseline_that_others_are_held_against(evaluated, here):
    assert evaluated("bless", "--model", "plain", "--reason", "x").out == "plain.json.gz is the baseline now: x\n"
    assert baseline.load(here / "baselines" / "plain.json.gz").manifest.model == "plain"
    assert evaluated("--model", "plain").code == 0
    code, _, err = evaluated("gains")
    assert (code, len(lines(err))) == (1, 1)
    assert "extractive.json.gz: no baseline yet" in err
    assert evaluated("bless", "--reason", "y").code == 0
    code, out, err = evaluated("gains")
    assert (code, err) == (0, "")
    assert "split dev" in out
    assert [line.split()[0] for line in out.splitlines()[3:]] == ["followup", "all", "all"]
    data = json.loads(evaluated("gains", "--split", "gate", "--json").out)
    assert (data["split"], {gain["change"]["n"] for gain in data["gains"]}) == ("gate", {32})


def test_a_run_that_is_not_blessed_has_gains_too(evaluated, here):
    evaluated("bless", "--model", "plain", "--reason", "x")
    assert evaluated("run", "--split", "dev", "--json").code == 0
    folder = max((here / "runs").iterdir())
    told = evaluated("gains", folder).out
    assert "followup" in told
    assert "single" not in told


def test_gains_need_the_plain_baseline_of_this_library(evaluated, here):
    code, out, err = evaluated("gains")
    assert (code, out, len(lines(err))) == (1, "", 1)
    assert "plain.json.gz: not there; make it with: rag eval bless --model plain" in err
    for name, corpus in (("plain", "one"), ("extractive", "other")):
        path = here / "baselines" / f"{name}.json.gz"
        baseline.bless(Run(manifest(corpus=corpus), (record("zz000"),)), "x", {}, path)
    code, out, err = evaluated("gains")
    assert (code, out, len(lines(err))) == (7, "", 1)


# --- with a model -------------------------------------------------------------------------------


def test_a_models_run_is_replayed_without_its_server(evaluated, here, server):
    asking = ["run", "--model", "m", "--base-url", server.url, "--id", "zz000", "--id", "zy001"]
    code, _, err = evaluated(*asking)
    assert code == 0
    assert "model calls: 4 sent (40 + 20 tokens, $0.0000), 0 replayed" in err
    assert len(server.asked) == 4  # one question, and one with an earlier turn, put into words of its own
    first = {row["id"]: row["answer"]["text"] for row in rows(here)}
    shutil.rmtree(here / "runs")
    server.says = lambda body: pytest.fail("asked")
    code, _, err = evaluated(*asking, "--cache", "only")
    assert "0 sent (0 + 0 tokens, $0.0000), 4 replayed (40 + 20 tokens" in err
    assert {row["id"]: row["answer"]["text"] for row in rows(here)} == first


def test_errors_are_rows_and_are_tried_again_by_the_same_command(evaluated, here, server):
    server.says = lambda body: refusal(400) if "(3)" in body["messages"][1]["content"] else RIGHT
    asking = ["run", "--model", "m", "--base-url", server.url, "--split", "gate"]
    code, _, err = evaluated(*asking)
    assert (code, "rag: invalid: coverage: only" in err) == (6, True)
    assert [row["id"] for row in rows(here) if row["error"]] == ["zz003"]
    calls, server.says = len(server.asked), lambda body: RIGHT
    evaluated(*asking)
    assert len(server.asked) == calls + 1
    assert [row["id"] for row in rows(here)[-1:]] == ["zz003"]
    assert len(rows(here)) == 33


def test_a_run_of_errors_is_no_success(evaluated, here, server):
    server.says = lambda body: ""
    code, _, err = evaluated("run", "--model", "m", "--base-url", server.url, "--split", "gate", "--cache", "off")
    assert code == 6
    assert "invalid: coverage: only 0 of" in err
    assert {row["error"] for row in rows(here)} == {
        "ModelError: m answered with nothing to read; try again, or name another model"
    }


def test_gold_rows_that_went_are_a_problem_whatever_is_asked(evaluated, here):
    (here / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))  # without the last
    for asked in ([], ["--id", ROWS[0]["id"]], ["bless", "--reason", "x"]):
        code, out, err = evaluated(*asked)
        assert (code, out) == (2, "")
        assert f"problem: set: 1 rows are gone ({LAST['id']})" in err


def test_money_ends_the_run_and_keeps_its_rows(evaluated, here, server, monkeypatch):
    monkeypatch.setattr(prices, "_table", lambda: {"127.0.0.1": {"m": {"prompt": 0, "completion": 1000}}})
    monkeypatch.setattr(prices, "_is_near", lambda host: False)
    asking = ["run", "--model", "m", "--base-url", server.url, "--concurrency", "1"]
    code, out, err = evaluated("--max-usd", "1.22", *asking)  # 1.2 at worst a call, 0.005 in fact
    assert (code, out, len(lines(err))) == (1, "", 1)
    assert "stopped at $0.0250 spent: the next call could pass --max-usd 1.22; finished rows are kept" in err
    assert [row["error"] for row in rows(here)] == [None] * 5
    calls = len(server.asked)
    assert evaluated(*asking, "--max-usd", "5")[0] == 0
    assert len(rows(here)) == 33
    assert len(server.asked) == calls + 33 - 5 + 2


def test_a_refused_key_ends_the_run_at_once(evaluated, here, server):
    server.says = lambda body: refusal(401)
    code, out, err = evaluated("run", "--model", "m", "--base-url", server.url, "--concurrency", "1")
    assert (code, out, len(lines(err))) == (1, "", 1)
    assert "refused the key" in err
    assert len(server.asked) == 1
    assert rows(here) == []


def test_a_dry_run_says_what_it_would_cost_and_sends_nothing(evaluated, here, server):
    asking = ["run", "--model", "m", "--base-url", server.url, "--id", "zz000", "--id", "zy001"]
    evaluated("run", "--model", "m", "--base-url", server.url, "--id", "zz000")
    calls = len(server.asked)
    code, out, _ = evaluated(*asking, "--samples", "2", "--dry-run", "--judge", "j")
    assert code == 0
    assert out.startswith("4 rows: 7 calls of m to send, 1 to replay; about ")
    assert "about $0.00, at most $0.00" in out
    assert "the judge: at most 4 calls of j, and its canaries" in out
    assert len(server.asked) == calls
    assert len(list((here / "runs").iterdir())) == 1
    assert "no calls for the answers" in evaluated("--dry-run").out


def test_options_before_the_commands_name_hold(evaluated, here, server):
    code, _, _ = evaluated("--model", "m", "--base-url", server.url, "--id", "zz000", "run")
    assert code == 0
    assert [row["id"] for row in rows(here)] == ["zz000"]


def test_ctrl_c_ends_it_at_once_though_the_server_hangs(here, small):
    script = """if True:
        import sys
        from pathlib import Path
        from evals import cache, gold, run
        from rag.cli import main as cli
        from rag.library import build
        here, small = Path(sys.argv[1]), Path(sys.argv[2])
        gold.GOLD, run.RUNS, cache.FOLDER = here / "gold.jsonl", here / "runs", here / "cache"
        build._shipped_files = lambda: [small / "data" / "papers.txt"]
        sys.exit(cli.main(["eval", "run", "--model", "m", "--base-url", sys.argv[3]]))
    """
    go_on, calls = threading.Event(), itertools.count()

    def says(body: dict[str, Any]) -> str:
        if next(calls) >= 6:
            go_on.wait(LONGEST_WAIT)
        return RIGHT

    with ChatServer(says) as server:
        running = subprocess.Popen(
            [sys.executable, "-c", script, str(here), str(small), server.url],
            cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        while len(server.asked) < 10:
            assert running.poll() is None, running.communicate()
            time.sleep(0.05)
        began = time.monotonic()
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=LONGEST_WAIT)
        took = time.monotonic() - began
        go_on.set()
    assert running.returncode == 130
    assert lines(err) == ["rag: stopped"]
    assert took < LONGEST_WAIT / 2
    assert len(rows(here)) == 6


# --- the judge, and splits ----------------------------------------------------------------------


def sound(text: str, quotes: list[str]) -> bool:
    return text in quotes or text == RIGHT.removesuffix(" [1].") + "."


def asked_by(server: ChatServer, judges: Callable[[str, list[str]], bool]) -> None:
    server.says = lambda body: judging(judges)(body) if body["model"] == "j" else RIGHT


def test_a_judge_adds_a_figure_and_changes_no_exit_code(evaluated, here, server):
    asked_by(server, sound)
    asking = ["run", "--model", "m", "--base-url", server.url, "--id", "zz000", "--judge", "j"]
    code, out, _ = evaluated(*asking)
    assert code == 0
    assert "judge j (advisory, not gated): 100.0% of an answer's claims supported" in out
    [folder] = (here / "runs").iterdir()
    assert json.loads((folder / "judge.json").read_text())["verdicts"]["zz000.0.0"][0]["supported"] is True
    asked_by(server, lambda text, quotes: True)
    code, out, err = evaluated(*asking, "--json", "--cache", "refresh")
    assert code == 0
    assert json.loads(out)
    assert "judge j (advisory, not gated): invalid, no figure" in err
    server.says = lambda body: refusal(401) if body["model"] == "j" else RIGHT
    code, out, err = evaluated(*asking, "--cache", "off")
    assert code == 0
    assert "judge j: no figure: " in err


def test_without_a_judge_the_offline_check_is_measured(evaluated, here):
    code, out, _ = evaluated("judge-check")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["sensitivity", "specificity", "kappa"]
    assert out.splitlines()[3].startswith("both right ")  # of the one pair that has two halves
    assert "1 pairs" in out.splitlines()[3]
    assert "the offline check is" in out.splitlines()[-1]


def test_judge_check_prints_its_figures(evaluated, server):
    asked_by(server, lambda text, quotes: text in quotes or text in ("S4 solves Path-X.", "It is exact."))
    code, out, _ = evaluated("judge-check", "--judge", "j", "--judge-base-url", server.url)
    assert code == 0
    assert out.splitlines()[0].split()[:2] == ["sensitivity", "0.67"]
    assert out.splitlines()[1].split()[:2] == ["specificity", "1.00"]
    assert out.splitlines()[2].split()[0] == "kappa"
    assert "b1 (name): Earlier work failed on it." in out
    code, out, _ = evaluated("judge-check", "--judge", "j", "--judge-base-url", server.url, "--dry-run")
    assert "the judge: at most 4 calls of j" in out


def sampled(right: Callable[[int, int], bool], samples: int = 4) -> Run:
    """A run of the gold set in which the n-th question's sample s is right or refused."""
    quote = r"S4 reaches 91\% accuracy on sequential CIFAR-10, and generates text 60$\times$ faster."
    cited = claim("60 times faster.", quote, S4.id)
    start = S4.abstract.index(quote)
    cited["citations"][0] |= {"start": start, "end": start + len(quote)}
    made = []
    for n in range(32):
        for s in range(samples):
            one = record(f"zz{n:03}", s, "answered" if right(n, s) else "refused", "60 times faster. [1]")
            one.answer.update(claims=[cited] if right(n, s) else [], retrieved=[[S4.id, 1.0]], evidence=[[S4.id, 1.0]])
            made.append(one)
    return Run(manifest(model="m"), tuple(made))


def test_splits_of_answers_that_vary_are_compared(evaluated, here):
    path = here / "m.json.gz"
    baseline.bless(sampled(lambda n, s: (n + s) % 4 > 0), "x", {}, path)
    code, out, _ = evaluated("aa", path, "--splits", "4")
    assert code == 0
    assert "false alarms in 4 splits" in out
    assert "32 questions with 4 samples or more, 32 of them vary" in out


def test_splits_need_samples_that_differ_and_enough_questions(evaluated, here):
    questions, abstracts = [question(f"zz{n:03}") for n in range(32)], {S4.id: S4.abstract}
    same = sampled(lambda n, s: True)
    assert str(aa.alarms(same, questions, abstracts)).startswith("nothing to split")
    with pytest.raises(run.RunError, match="every question has one sample"):
        aa.alarms(sampled(lambda n, s: True, samples=1), questions, abstracts)
    few = replace(same, records=tuple(r for r in sampled(lambda n, s: s > 1).records if r.id < "zz005"))
    with pytest.raises(run.RunError, match="the run cannot be split: 5 questions are too few"):
        aa.alarms(few, questions, abstracts)


def test_a_run_that_is_none_is_one_line(evaluated, here):
    (here / "x.json.gz").write_bytes(gzip.compress(b"{}"))
    for path in (here / "x.json.gz", here / "nowhere", here):
        code, out, err = evaluated("aa", path)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
