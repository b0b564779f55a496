"""The reports: figures computed by hand here, text that must stay inert, and a page that a browser opens."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml, Properties
from markdown_it import MarkdownIt

from evals.compare import Changed, Comparison, Delta
from evals.gold import Question
from evals.metrics import METRICS
from evals.records import Manifest, Record, Run, Verdict
from evals.report import markdown, write_reports
from evals.report.questions import Piece, highlighted, outcome, rank_changes, word_diff
from evals.report.summary import Summary, headline, summarize
from evals.report.view import MEANS, question_view
from evals.run import RunError
from evals.statistics import Estimate
from rag.records import Paper

HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(2)> [a](javascript:alert(3)) ![i](http://evil.example/i.png) "
    "\x1b]0;owned\x07\x1b[31m </details> http://evil.example www.evil.example `````` | {{ 7*7 }} ]]> @everyone \u202e\ufffe"
)

P1 = Paper("a" * 12, "Alpha", r"Alpha is fast. It reaches 91\% on toys.")
P2 = Paper("b" * 12, "Beta", "Beta is cheap. It costs a dime.")
P3 = Paper("c" * 12, "Gamma", "Gamma is green.")
PAPERS = {paper.id: paper for paper in (P1, P2, P3)}


# --- a run made by hand -------------------------------------------------------------------------


def fact(name: str, paper: Paper, word: str) -> dict[str, Any]:
    quote = paper.abstract.split(". ")[0]
    return {
        "id": name, "text": f"says {word}", "match": {"type": "phrase", "any": [word]},
        "support": [{"paper": paper.id, "quote": quote}],
    }  # fmt: skip


def question(id: str, *facts: dict[str, Any], tags: Sequence[str] = (), variants: Sequence[str] = ()) -> Question:
    papers = {support["paper"]: 2 for each in facts for support in each["support"]}
    return Question(
        id=id, rev=1, question=f"What about {id}?", kind="single" if facts else "unanswerable", split="dev", group=id,
        papers=papers, facts=facts, reference="so" if facts else "", missing=None if facts else "all of it",
        tags=tags, variants=variants,
    )  # fmt: skip


QUESTIONS = (
    question("qa001", fact("f1", P1, "fast"), variants=("What of it?", "Well?")),
    question("qa002", fact("f1", P1, "fast"), fact("f2", P2, "cheap")),
    question("qa003", fact("f1", P3, "green")),
    question("qa004", fact("f1", P1, "fast")),
    question("qa005", fact("f1", P1, "fast"), variants=("And?",)),
    question("qa006", fact("f1", P1, "fast")),
    question("un001", tags=("off-topic",)),
    question("un002", tags=("near-miss",)),
    question("un003", tags=("false-premise",)),
)


def record(
    id: str,
    text: str,
    cites: Paper | None,
    found: Sequence[Paper],
    used: Sequence[Paper],
    sure: float,
    variant: int = 0,
) -> Record:
    """Cites the first sentence of one paper; refused without one. Took 0.1 + 0.3 seconds."""
    quote = cites.abstract.split(". ")[0] if cites else ""
    citation = {"number": 1, "paper": cites.id if cites else "", "start": 0, "end": len(quote), "quote": quote}
    claims = [{"text": text, "verdict": "quoted", "citations": [citation]}] if cites else []
    answer = {
        "status": "answered" if cites else "refused", "text": f"{text} [1]" if cites else text, "query": "q",
        "model": "extractive", "run": "r", "claims": claims, "removed": [],
        "retrieved": [[paper.id, 0.5] for paper in found],
        "evidence": [[paper.id, sure if at == 0 else 0.01] for at, paper in enumerate(used)],
        "found": {}, "usage": {"calls": 0, "prompt": 0, "reply": 0}, "seconds": {"retrieve": 0.1, "verify": 0.3},
    }  # fmt: skip
    return Record(id, 1, variant, 0, answer=answer)


RECORDS = (
    record("qa001", "Alpha is fast.", P1, [P1, P2], [P1], 0.9),
    record("qa001", "Alpha is fast.", P1, [P1, P2], [P1], 0.9, variant=1),
    record("qa001", "Beta is cheap.", P2, [P1, P2], [P2], 0.9, variant=2),
    record("qa002", "Alpha is fast.", P1, [P1, P2], [P1], 0.8),  # Beta is cut before the answer
    record("qa003", "Beta is cheap.", P2, [P1, P2], [P2], 0.3),  # Gamma is not retrieved
    record("qa004", "Not here.", None, [P1], [P1], 0.2),
    record("qa005", "Beta is fast.", P2, [P2, P1], [P2, P1], 0.6),  # stated, but Alpha is not cited
    record("qa005", "Beta is fast.", P2, [P2, P1], [P2, P1], 0.6, variant=1),
    Record("qa006", 1, 0, 0, error="ModelError: the server was asleep"),
    record("un001", "Not here.", None, [P2], [P2], 0.1),
    record("un002", "Beta is cheap.", P2, [P2], [P2], 0.7),
    record("un003", "Beta is cheap.", P2, [P2], [P2], 0.4),
)
MANIFEST = Manifest(
    created="2026-11-21T10:00:00", corpus="c0", run="r0", code="k0", gold="g0", model="extractive", version="0.1.0",
    split="dev", samples=1, settings={"k": 8},
)  # fmt: skip
RUN = Run(MANIFEST, RECORDS)


def delta(metric: str, change: float, *, fell: bool = False, part: str = "all") -> Delta:
    sides = (Estimate(0.5, 0.4, 0.6, 40), Estimate(0.5 + change, 0.3, 0.6, 40))
    return Delta(metric, part, *sides, Estimate(change, change - 0.1, change + 0.02, 40), change + 0.01, 7, 1, fell)


def compared(verdict: Verdict = "regression", reasons: Sequence[str] | None = None) -> Summary:
    """The run against a baseline in which qa003 was right and qa001 was worded otherwise."""
    said = {
        "qa003": record("qa003", "Gamma is green.", P3, [P3, P2], [P3], 0.3),
        "qa001": record("qa001", "Surely Alpha is fast.", P1, [P2, P1], [P1], 0.9),
        "qa006": record("qa006", "Alpha is fast.", P1, [P1], [P1], 0.9),
    }
    old = [said.get(r.id, r) if r.variant == 0 else r for r in RECORDS]
    changed = (Changed("qa003", "broken"), Changed("qa006", "error"))
    why = ("facts: 0.500 -> 0.300 on 40 questions", "correct: 1 right before and wrong now (qa003), 0 fixed")
    deltas = (delta("facts", -0.2, fell=True), delta("correct", -0.01), delta("recall@5", 0.0))
    result = Comparison(verdict, why if reasons is None else tuple(reasons), deltas, changed, pairs=8)
    baseline = Run(replace(MANIFEST, created="2026-11-20T10:00:00", code="k1"), tuple(old))
    return summarize(baseline, RUN, result, QUESTIONS, PAPERS, HISTORY)


HISTORY = [
    {"blessed": "2026-11-19T10:00:00", "reason": "first", "headline": {"correct": 0.25, "facts": None}, "code": "k2"},
    {"blessed": "2026-11-20T10:00:00", "reason": "more", "headline": {"correct": 0.5}, "code": "k1", "questions": 9},
]


@pytest.fixture(scope="module")
def alone() -> Summary:
    return summarize(None, RUN, None, QUESTIONS, PAPERS)


# --- figures ------------------------------------------------------------------------------------


def test_the_refusal_table_is_the_one_counted_by_hand(alone):
    table = alone.candidate.refusal
    assert (table.right, table.wrong, table.over_refused) == (("qa001", "qa005"), ("qa002", "qa003"), ("qa004",))
    assert (table.false_answers, table.refused) == (("un002", "un003"), ("un001",))
    shares = {name: (found.mean, found.n) for name, found in table.shares.items()}
    assert shares == {
        "coverage": (pytest.approx(4 / 5), 5),
        "selective accuracy": (pytest.approx(2 / 4), 4),
        "over-refusal": (pytest.approx(1 / 5), 5),
        "false answers": (pytest.approx(2 / 3), 3),
    }


def test_an_act_and_a_detail_in_the_refusal_table():
    """An act is right or wrong, and in no cell of the table; a missing detail may be told in part."""
    partly = record("un002", "Alpha is fast.", P1, [P1], [P1], 0.5)
    partly = replace(partly, answer={**partly.answer, "status": "partial"})
    cites, quiet = record("un001", "Alpha is fast.", P1, [P1], [P1], 0.5), record("un003", "Bye.", None, [], [], 0)
    kinds = {"un001": "act", "un002": "detail", "un003": "act"}
    asked = [q.model_copy(update={"kind": kinds[q.id]}) for q in QUESTIONS if q.id in kinds]
    side = summarize(None, Run(MANIFEST, (cites, partly, quiet)), None, asked, PAPERS).candidate
    known = {question.id: question for question in asked}
    words = {r.id: outcome(known[r.id], r) for r in (cites, partly, quiet)}
    assert words == {"un001": "wrong", "un002": "rightly refused", "un003": "right"}
    assert (side.refusal.refused, side.refusal.right, side.refusal.wrong) == (("un002",), (), ())


def test_every_required_fact_is_lost_at_one_stage(alone):
    assert alone.candidate.lost == {
        "not retrieved": 1, "cut before the answer": 1, "not used": 1, "stated, not cited": 1, "ok": 2,
    }  # fmt: skip
    assert alone.candidate.facts == 6


def test_confidence_is_judged_apart_for_each_trap(alone):
    curves = {curve.tag: curve for curve in alone.candidate.curves}
    assert {tag: curve.auroc for tag, curve in curves.items()} == {
        "off-topic": 1.0, "near-miss": pytest.approx(0.4), "false-premise": pytest.approx(0.6),
    }  # fmt: skip
    risks = [(1 / 6, 0), (2 / 6, 1 / 2), (3 / 6, 2 / 3), (4 / 6, 2 / 4), (5 / 6, 3 / 5), (1, 4 / 6)]
    assert curves["near-miss"].points == tuple((pytest.approx(x), pytest.approx(y)) for x, y in risks)
    assert (curves["near-miss"].answerable, curves["near-miss"].unanswerable) == (5, 1)


def test_wordings_count_as_right_only_together(alone):
    found = alone.candidate.wordings
    assert (found.questions, found.asked) == (2, 5)
    assert found.every.mean == pytest.approx(1 / 2)
    assert found.mean.mean == pytest.approx((2 / 3 + 1) / 2)
    assert found.split == {"qa001": "2 of 3"}


def test_errors_stand_beside_the_means_and_not_in_them(alone):
    side = alone.candidate
    assert (side.questions, side.rows, side.errors) == (9, 12, 1)
    assert side.metrics["correct"]["all"].mean == pytest.approx(3 / 8)
    assert side.metrics["correct"]["all"].n == 8
    assert side.worst["correct"] == pytest.approx(3 / 9)
    assert side.metrics["coverage"]["single"].mean == pytest.approx(4 / 5)
    assert side.worst["coverage"] == pytest.approx(4 / 6)
    assert side.worst["refused"] == pytest.approx(1 / 3)  # an answerable question cannot fail to be refused


def test_seconds_are_quantiles_over_answers(alone):
    total = alone.candidate.seconds["total"]
    assert (total.median, total.p95, total.n) == (pytest.approx(0.4), pytest.approx(0.4), 11)
    assert list(alone.candidate.seconds) == ["retrieve", "verify", "total"]


def test_the_headline_has_every_metric(alone):
    found = headline(RUN, QUESTIONS, {id: paper.abstract for id, paper in PAPERS.items()})
    assert list(found) == [metric.name for metric in METRICS]
    assert found["correct"] == pytest.approx(3 / 8)
    assert found["refused"] == pytest.approx(1 / 3)


def test_every_figure_has_its_n():
    data = compared().to_dict()
    for side in (data["candidate"], data["baseline"]):
        assert all({"mean", "low", "high", "n"} == set(e) for parts in side["metrics"].values() for e in parts.values())
    assert all(delta["change"]["n"] for delta in data["deltas"])
    json.dumps(data, allow_nan=False)


def test_changed_questions_come_first_and_in_the_order_of_interest():
    changed = [(item.question.id, item.how) for item in compared().items if item.how != "same"]
    assert changed == [("qa003", "broken"), ("qa006", "error"), ("qa001", "changed")]


def test_ranks_are_shown_for_the_papers_that_matter():
    item = compared().items[0]
    gamma, beta = rank_changes(item)
    assert gamma == (P3.id, 2, (1, 1), (None, None))
    assert beta == (P2.id, None, (2, None), (2, 1))


def test_a_baseline_that_cannot_be_compared_gives_no_figures():
    result = Comparison("not comparable", ("corpus: the library is another one",))
    other = summarize(RUN, RUN, result, QUESTIONS, PAPERS)
    assert other.baseline is None
    assert not other.changed
    assert other.accepted is not None
    assert other.words.command.startswith('rag eval bless --reason "..."')


@pytest.mark.parametrize(
    ("verdict", "code", "next"),
    [
        ("pass", 0, "bless"),
        ("regression", 4, "show qa003"),
        ("inconclusive", 5, "--split all"),
        ("invalid", 6, "rag eval"),
    ],
)
def test_each_verdict_says_what_to_type_next(verdict, code, next):
    words = compared(verdict).words
    assert words.exit_code == code
    assert next in words.command


# --- marked text --------------------------------------------------------------------------------


def test_a_word_diff_marks_what_only_one_side_has():
    old, new = word_diff("It is one of the fast ones here.", "It is one of the slow ones here.")
    assert old == [Piece("It is one of the ", False), Piece("fast ones here.", True)]
    assert new == [Piece("It is one of the ", False), Piece("slow ones here.", True)]


@pytest.mark.parametrize(
    ("old", "new"), [("a b c d", "a b c d"), ("", ""), ("", "x y"), ("all of it", "nothing kept here")]
)
def test_a_word_diff_loses_nothing_and_leaves_unlike_texts_alone(old, new):
    left, right = word_diff(old, new)
    assert ("".join(p.text for p in left), "".join(p.text for p in right)) == (old, new)
    assert not any(piece.marked for piece in (*left, *right))


def test_quotes_are_marked_in_the_readable_abstract_and_overlaps_merge():
    assert highlighted(P1, [(15, 33), (27, 39)]) == [
        Piece("Alpha is fast. ", False),
        Piece("It reaches 91% on toys.", True),
    ]
    assert highlighted(P3, [(-5, 0), (99, 120)]) == [Piece("Gamma is green.", False)]


def test_show_tells_what_is_right_and_what_was_answered():
    view = question_view(QUESTIONS[1], RUN, PAPERS)
    assert "fact f2   says cheap: cut before the answer" in view
    assert f"wanted    {P1.id}  Alpha  (found at 1, evidence 1, cited)" in view
    assert '[1] aaaaaaaaaaaa 0:13 "Alpha is fast"' in view
    assert "wrong (0 of 1 samples right, confidence 0.800)" in view
    assert "no answer to this revision" in question_view(QUESTIONS[1], None, PAPERS)
    assert "ModelError" in question_view(QUESTIONS[5], RUN, PAPERS)


def test_show_puts_the_latest_beside_the_baseline_and_names_the_stage_that_lost_it():
    right = record("qa003", "Gamma is green.", P3, [P3, P2], [P3], 0.3)
    view = question_view(QUESTIONS[2], Run(MANIFEST, (right,)), PAPERS, RUN, "my library")
    lines = view.splitlines()
    assert lines[lines.index("baseline") + 1].startswith("right (1 of 1")
    assert lines[lines.index("candidate") + 1].startswith("wrong (0 of 1")
    assert "says green: ok -> not retrieved" in view
    assert lines[-2] == "lost at   not retrieved: the search did not find a paper that says it"
    assert lines[-1] == "next      rag search --explain -k 20 --library 'my library' q"
    assert "the same answer" in question_view(QUESTIONS[1], RUN, PAPERS, RUN)


@pytest.mark.parametrize(
    ("at", "stage", "command"),
    [(1, "cut before the answer", "search"), (3, "refusal", "ask"), (5, "error", "ask"), (7, "refusal", "ask")],
)
def test_each_stage_has_the_command_that_looks_at_it(at, stage, command):
    told = question_view(QUESTIONS[at], None, PAPERS, RUN).splitlines()[-2:]
    assert told[0].startswith(f"lost at   {stage}: ")
    assert told[1].startswith(f"next      rag {command} ")
    assert MEANS[stage] in told[0]


# --- all formats --------------------------------------------------------------------------------


def write(folder: Path, **options: Any) -> None:
    """The reports of the hand-made comparison."""
    summary = compared()
    assert summary.accepted
    baseline = Run(summary.accepted, RECORDS)
    write_reports(baseline, RUN, summary.result, QUESTIONS, PAPERS, folder, baseline_path=folder / "none", **options)


def test_reports_lie_in_the_folder_and_where_asked(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    write(tmp_path / "run", html=tmp_path / "a.html", markdown=tmp_path / "b.md", junit=tmp_path / "c.xml")
    names = {"report.html": "a.html", "report.md": "b.md", "junit.xml": "c.xml"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == {*names, "summary.json"}
    assert all((tmp_path / "run" / name).read_bytes() == (tmp_path / copy).read_bytes() for name, copy in names.items())
    out = capsys.readouterr().out
    assert out.startswith("worse: 3 of 9 questions right; regression, exit code 4\nfacts: 0.500 -> 0.300")
    assert "\x1b" not in out


def test_json_on_standard_output_is_the_summary(tmp_path, capsys):
    write(tmp_path, as_json=True)
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "summary.json").read_text("utf-8"))


@pytest.mark.parametrize("option", ["html", "markdown", "junit"])
def test_a_path_that_cannot_be_written_is_one_line_and_costs_no_other_report(option, tmp_path, capsys):
    with pytest.raises(RunError, match=r"^.*/none/x: cannot be written \(No such file or directory\).*$") as caught:
        write(tmp_path, **{option: tmp_path / "none" / "x"})
    assert "\n" not in str(caught.value)
    assert (tmp_path / "summary.json").exists()
    assert capsys.readouterr().out.startswith("worse")


def test_the_same_runs_give_the_same_bytes_whatever_the_hash_seed(tmp_path, python, monkeypatch):
    code = (
        "import sys; sys.path[:0] = sys.argv[1:3]; import test_report; test_report.write(test_report.Path(sys.argv[3]))"
    )
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        (tmp_path / seed).mkdir()
        done = python(code, Path(__file__).parent, Path(__file__).parents[1], tmp_path / seed)
        assert done.returncode == 0, done.stderr
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes(), path.name


def test_junit_fails_what_broke_and_what_fell(tmp_path):
    write(tmp_path)
    cases = {case.name: case for suite in JUnitXml.fromfile(str(tmp_path / "junit.xml")) for case in suite}
    outcomes = {name: [type(result).__name__ for result in case.result] for name, case in cases.items() if case.result}
    assert outcomes == {"qa003": ["Failure"], "qa006": ["Error"], "facts": ["Failure"], "correct": ["Failure"]}
    assert set(cases) == {q.id for q in QUESTIONS} | {"facts", "correct"}
    assert cases["qa003"].classname == "single"
    assert {p.name: p.value for p in cases["qa002"].child(Properties)}["outcome"] == "wrong"


def test_junit_has_a_verdict_when_nothing_is_wrong():
    from evals.report import junit

    cases = [case for suite in JUnitXml.fromstring(junit.suites(compared("pass", [])).encode()) for case in suite]
    assert [case.name for case in cases if case.classname == "gate"] == ["verdict"]


# --- hostile text -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """Reports of a run in which every text is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    summary = hostile_run()
    texts = {"report.html": page(summary), "report.md": markdown.comment(summary)}
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    return folder


def page(summary: Summary) -> str:
    from evals.report import html

    return html.page(summary)


def hostile_run() -> Summary:
    papers = {
        id: replace(paper, title=f"{paper.title} {HOSTILE}", abstract=paper.abstract + HOSTILE)
        for id, paper in PAPERS.items()
    }
    questions = [
        q.model_copy(update={"question": HOSTILE, "reference": HOSTILE, "tags": (HOSTILE,)}) for q in QUESTIONS
    ]
    bad = record("qa001", HOSTILE, P1, [P1], [P1], 0.9)
    records = tuple(bad if r.key == bad.key else replace(r, error=HOSTILE) if r.error else r for r in RECORDS)
    result = compared().result
    assert result
    result = replace(result, reasons=(HOSTILE, f"{HOSTILE}: {HOSTILE}"))
    old = Run(replace(MANIFEST, settings={"base_url": HOSTILE}), RECORDS)
    history = [entry | {"reason": HOSTILE} for entry in HISTORY]
    return summarize(old, Run(replace(MANIFEST, model=HOSTILE), records), result, questions, papers, history)


class Seen(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_text_is_text_in_the_page(hostile):
    text = (hostile / "report.html").read_text("utf-8")
    seen = Seen(text)
    assert seen.tags.count("script") == 1
    assert "img" not in seen.tags
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in seen.text
    assert "{{ 7*7 }}" in seen.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", text)


@pytest.mark.parametrize("made", [compared, hostile_run])
def test_the_page_loads_nothing(made: Callable[[], Summary]):
    text = page(made())
    loads = [
        (name, value) for name, value in Seen(text).attributes if name in ("src", "href", "srcset", "data", "action")
    ]
    assert all(value == "data:," or (value or "").startswith("#") for _, value in loads)
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in text


def test_hostile_text_is_text_in_markdown(hostile):
    text = (hostile / "report.md").read_text("utf-8")
    seen = Seen(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    assert set(seen.tags) <= set(
        "h2 h3 p strong b code pre details summary ul li table thead tbody tr th td br".split()
    )
    assert seen.text.count("<script>alert(1)</script>") > 5
    assert seen.tags.count("details") == text.count("</details>\n")
    outside = re.sub(r"^(`{3,})diff$.*?^\1$", "", text, flags=re.S | re.M)
    outside = re.sub(r"`[^`\n]+`|^<!--.*-->$", "", outside, flags=re.M)
    assert not re.search(r"https?://|www\.|(?<!\w)@\w", outside), "GitHub would link or mention it"
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", text)


def test_hostile_text_does_not_reach_the_terminal(capsys, monkeypatch):
    from evals.report import terminal

    for at_terminal in (False, True):
        monkeypatch.setattr(sys.stdout, "isatty", lambda at=at_terminal: at)
        terminal.show(hostile_run(), Path("report.html"))
        out = capsys.readouterr().out
        assert "\x1b]" not in out
        assert "\x1b[31m </details>" not in out
        assert "\u202e" not in out
        assert "<script>" in out
    assert "\x1b" not in question_view(QUESTIONS[0].model_copy(update={"question": HOSTILE}), RUN, PAPERS)


def test_hostile_text_is_xml():
    from evals.report import junit

    document = JUnitXml.fromstring(junit.suites(hostile_run()).encode())
    assert any("<script>" in str(result.message) for suite in document for case in suite for result in case.result)


# --- Markdown -----------------------------------------------------------------------------------


def test_the_comment_has_its_marker_and_tables(tmp_path):
    text = markdown.comment(compared())
    assert text.startswith("<!-- rag-eval-report extractive -->\n")
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert html.count("<table>") == 6
    assert "- Gamma is green. [1]\n+ Beta is cheap. [1]" in text


def test_the_comment_stays_under_the_limit_and_names_what_is_left_out():
    many = [question(f"zz{at:03}", fact("f1", P1, "fast")) for at in range(300)]
    now = [record(q.id, "Alpha is fast. " * 40, P1, [P1], [P1], 0.9) for q in many]
    before = [record(q.id, "Beta was slow. " * 40, P2, [P1], [P1], 0.9) for q in many]
    result = Comparison("pass", (), (delta("correct", 0.1),), (), pairs=300)
    summary = summarize(Run(MANIFEST, tuple(before)), Run(MANIFEST, tuple(now)), result, many, PAPERS)
    text = markdown.comment(summary)
    assert 40_000 < len(text.encode()) <= 60_000
    assert re.search(r"Not shown here: zz\d{3}.* and \d+ more", text)


# --- a real browser -----------------------------------------------------------------------------

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=4000 --dump-dom"
).split()
FRAME = """<!doctype html><title>waiting</title><iframe id="frame" style="width:{width}px;height:800px;border:0"></iframe>
<script>
const frame = document.getElementById("frame");
frame.onload = () => {{
  const page = frame.contentDocument;
  const closed = page.documentElement.scrollWidth;
  for (const part of page.querySelectorAll("details")) part.open = true;
  document.title = `${{closed}} ${{page.documentElement.scrollWidth}}`;
}};
frame.srcdoc = {text};
</script>"""


@pytest.fixture
def browse(tmp_path: Path) -> Callable[[str], tuple[str, list[str]]]:
    """Open a page; what it became, and what its console said. Skips aloud where no browser is."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        warnings.warn("NO BROWSER: the HTML report was not opened; apt-get install chromium", stacklevel=1)
        pytest.skip("no browser; apt-get install chromium")

    def run(text: str) -> tuple[str, list[str]]:
        file = tmp_path / "page.html"
        file.write_text(text, "utf-8")
        command = [browser, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", file.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return run


def test_a_browser_runs_the_page_without_errors(browse):
    for summary in (compared(), hostile_run()):
        dom, console = browse(page(summary))
        assert console == []
        assert re.search(r'id="shown"[^>]*>\d+ of \d+<', dom), "the script did not run"


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_its_width(browse, width):
    for summary in (compared(), hostile_run(), summarize(None, RUN, None, QUESTIONS, PAPERS)):
        text = json.dumps(page(summary)).replace("</", "<\\/")
        dom, _ = browse(FRAME.format(width=width, text=text))
        title = re.search(r"<title>(\d+) (\d+)</title>", dom)
        assert title, "the page was not measured"
        assert max(map(int, title.groups())) <= width


def test_the_browser_test_would_see_an_error_and_an_overflow(browse):
    broken = page(compared()).replace("</body>", "<script>nothing.here()</script></body>")
    assert browse(broken)[1]
    wide = page(compared()).replace("</main>", '<div style="width:2000px">wide</div></main>')
    dom, _ = browse(FRAME.format(width=390, text=json.dumps(wide).replace("</", "<\\/")))
    assert int(re.search(r"<title>(\d+)", dom)[1]) > 390
