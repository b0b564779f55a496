"""A run and its verdict -> reports for people and machines.

    Summary -> terminal (always)   report.html   report.md   junit.xml   summary.json

All are laid out from one Summary and hold nothing that is not in the records, so that the same runs
give the same bytes. They lie in the run's folder; a path on the command line gets a copy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rag.records import Paper

from .. import baseline
from ..compare import Comparison
from ..gold import Question
from ..records import Run, write_whole
from ..run import RunError
from . import html as html_page
from . import junit as junit_xml
from . import markdown as markdown_text
from . import terminal
from .summary import Summary, summarize

FORMATS: Mapping[str, Callable[[Summary], str]] = {
    "report.html": html_page.page,
    "report.md": markdown_text.comment,
    "junit.xml": junit_xml.suites,
    "summary.json": lambda summary: json.dumps(summary.to_dict(), indent=1) + "\n",
}


def write_reports(
    accepted: Run | None,
    candidate: Run,
    result: Comparison | None,
    questions: Sequence[Question],
    papers: Mapping[str, Paper],
    folder: Path,
    *,
    html: Path | None = None,
    markdown: Path | None = None,
    junit: Path | None = None,
    as_json: bool = False,
    baseline_path: Path | None = None,
    typed: str = "",
) -> None:
    """Print the summary (as JSON with `as_json`) and write the reports into `folder` and where asked.

    `baseline_path` is where earlier blessings are read from, `typed` what names gold set and library. Raises RunError, after printing, when a
    path cannot be written; those that can are.
    """
    earlier = baseline.history(baseline_path or baseline.path_for(candidate.manifest.model))
    summary = summarize(accepted, candidate, result, questions, papers, earlier, typed)
    texts = {name: make(summary) for name, make in FORMATS.items()}
    wanted = {folder / name: text for name, text in texts.items()}
    asked = {"report.html": html, "report.md": markdown, "junit.xml": junit}
    wanted |= {path: texts[name] for name, path in asked.items() if path}
    problems = [problem for path, text in wanted.items() if (problem := _write(path, text))]
    if as_json:
        print(texts["summary.json"], end="")
    else:
        terminal.show(summary, folder / "report.html")
    if problems:
        raise RunError(problems[0])


def write_beside(summary: Summary, runs: Path, *, html: Path | None = None, markdown: Path | None = None) -> Path:
    """The page of two settings beside each other, in a folder of runs and where asked; its path. Raises RunError."""
    path = runs / "compare.html"
    page = html_page.page(summary)
    wanted = {path: page} | ({html: page} if html else {})
    wanted |= {markdown: markdown_text.comment(summary)} if markdown else {}
    runs.mkdir(parents=True, exist_ok=True)
    if problems := [problem for place, text in wanted.items() if (problem := _write(place, text))]:
        raise RunError(problems[0])
    return path


def _write(path: Path, text: str) -> str | None:
    """What went wrong, if anything did."""
    try:
        write_whole(path, text)
    except OSError as error:
        return f"{path}: cannot be written ({error.strerror}); make its folder, free some space, or name another file"
    return None
