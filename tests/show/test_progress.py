"""What is going on, told in numbers; the bar itself is seen at a terminal only."""

from __future__ import annotations

import re

import pytest
from running import called, typed

from rag.show.progress import Bar, pace


@pytest.mark.parametrize(
    ("done", "total", "seconds", "said"),
    [
        (0, 0, 9.0, ""),
        (0, 20_000, 0.0, "0/20,000"),
        (30, 20_000, 0.5, "30/20,000"),
        (1240, 20_000, 14.6, "1,240/20,000 · 85/s · 4 min left"),
        (19_000, 20_000, 200.0, "19,000/20,000 · 95/s · 11 s left"),
        (3, 20, 10.0, "3/20 · 0.3/s · 57 s left"),
        (20, 20, 10.0, "20/20 · 2.0/s · 0 s left"),
    ],
)
def test_rate_and_time_left(done, total, seconds, said):
    assert pace(done, total, seconds) == said


@pytest.mark.parametrize(("quiet", "said"), [(True, ""), (False, "Preparing: embedding\nPreparing: storing\n")])
def test_a_pipe_gets_a_line_a_stage_or_nothing(capsys, quiet, said):
    with Bar("Preparing", quiet=quiet) as bar:
        for stage, done in (("embedding", 0), ("embedding", 9), ("storing", 0)):
            bar(stage, done, 9)
    assert capsys.readouterr().err == said


def test_at_a_terminal_the_stages_of_adding_pass_by_and_the_report_stays(tmp_path):
    file = tmp_path / "papers.md"
    file.write_text(
        "# A widget folds\n\n" + " ".join(f"It folds {n} times in {n} seconds." for n in range(300)), "utf-8"
    )
    code, written = typed("add", str(file), "--library", str(tmp_path / "own"), columns=60)
    assert code == 0
    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert "Adding: embedding" in seen
    assert "holds 1 paper" in seen.splitlines()[-1]
    assert called("add", str(file), "--library", str(tmp_path / "own"))[2] == ""
