"""What a user installs: the wheel holds all that an answer needs, and answers from any folder."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from running import LONGEST_WAIT, ROOT, called, environment

from rag.places import resource

pytestmark = pytest.mark.slow
LEFT_OUT = shutil.ignore_patterns(".git", ".*_cache", ".hypothesis", "__pycache__", "runs", "cache", "dist", "build")
FOLDERS = "import sys; from rag.places import resource; print(*map(resource, sys.argv[1:]), sep='\\n')"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the tree, with nothing fetched."""
    pytest.importorskip("build", reason="type: pip install -e '.[dev]'")
    pytest.importorskip("hatchling", reason="type: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("wheel")
    tree = shutil.copytree(ROOT, folder / "tree", ignore=LEFT_OUT)
    _run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(tree))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed in it, beside the packages that are here already."""
    folder = tmp_path_factory.mktemp("installed")
    _run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder), str(wheel))
    return folder


def _run(*command: str, code: int = 0, **env: object) -> str:
    ran = subprocess.run(
        [sys.executable, *command],
        cwd="/",
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=LONGEST_WAIT,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout


def test_the_wheel_holds_what_an_answer_needs_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    info = next(name for name in names if ".dist-info/" in name).split("/")[0]
    shipped = {f"rag/{kind}/{file.name}" for kind in ("prompts", "data") for file in (ROOT / kind).iterdir()}
    modules = {str(file.relative_to(ROOT)) for file in (ROOT / "rag").rglob("*.py") if file.name != "convert.py"}
    skill = {"rag/integrations/skill.md"}
    weights = {
        f"rag/weights/{name}"
        for name in ("model.onnx", "reader.onnx", "tokenizer.json", "LICENSE", "NOTICE", "PROVENANCE.md")
    }
    tables = {str(path.relative_to(ROOT)) for path in (ROOT / "rag").rglob("*.toml")}
    assert {name for name in names if name.startswith("rag/")} == shipped | modules | skill | weights | tables | {
        "rag/py.typed"
    }
    harness = {file for kind in ("*.py", "*.toml", "judge_items.jsonl") for file in (ROOT / "evals").glob(kind)}
    harness |= {file for file in (ROOT / "evals" / "report").iterdir() if file.is_file()}
    travels = {f"rag_evals/{file.relative_to(ROOT / 'evals')}" for file in harness}
    assert {name for name in names if name.startswith("rag_evals/")} == travels  # not our gold set, no bench
    assert {name.split("/")[0] for name in names} == {"rag", "rag_evals", info}  # no tests
    assert {f"{info}/licenses/{name}" for name in ("LICENSE", "NOTICE")} < set(names)
    assert wheel.stat().st_size < 60_000_000


def test_the_wheel_says_what_the_project_file_says(wheel):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    with zipfile.ZipFile(wheel) as archive:
        info = next(name for name in archive.namelist() if ".dist-info/" in name).split("/")[0]
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        assert archive.read(f"{info}/entry_points.txt").decode().split("\n")[:2] == [
            "[console_scripts]",
            "rag = rag.cli.main:main",
        ]
    needed = [line for line in metadata.get_all("Requires-Dist") or () if "extra ==" not in line]
    assert len(needed) == len(project["dependencies"])
    assert (metadata["Name"], metadata["License-Expression"]) == ("abstracts-rag", "MIT")
    assert str(metadata.get_payload()).strip() == (ROOT / "README.md").read_text("utf-8").strip()


def test_what_was_installed_answers_from_another_folder(installed):
    """With its own data and prompts: the library it names is the one that was built from the checkout."""
    script = str(installed / "bin" / "rag")
    answer = json.loads(_run(script, "ask", "--json", "Which attention is IO-aware?", PYTHONPATH=installed))
    assert "FlashAttention" in answer["text"]
    assert _run(script, "frobnicate", code=2, PYTHONPATH=installed) == ""
    places = _run("-c", FOLDERS, "data", "prompts", "weights", PYTHONPATH=installed).splitlines()
    assert places == [str(installed / "rag" / kind) for kind in ("data", "prompts", "weights")]
    there = json.loads(_run("-m", "rag", "status", "--json", PYTHONPATH=installed))
    assert there == json.loads(called("status", "--json")[1])


ROW = {
    "id": "my001",
    "rev": 1,
    "question": "Which attention is IO-aware?",
    "kind": "single",
    "split": "dev",
    "group": "g",
}


def test_the_evals_judge_a_gold_set_of_ones_own_from_another_folder(installed, tmp_path):
    """Without a checkout: the wheel's own harness, with what it makes beside the gold set."""
    script = str(installed / "bin" / "rag")
    (tmp_path / "my.jsonl").write_text(json.dumps(ROW | {"missing": "all of it", "kind": "unanswerable"}))
    mine = ("--gold", str(tmp_path / "my.jsonl"))
    _run(script, "eval", "lint", "--accept", *mine, PYTHONPATH=installed)
    out = _run("-c", SHIPPED, *mine, PYTHONPATH=installed)
    assert "unanswerable 0 refused, 1 answered" in out
    assert {file.name for file in (tmp_path / "my.evals").iterdir()} == {".gitignore", "gold.lock", "runs"}
    assert out.endswith("0 2 rag_evals\n"), "the gold set of the shipped abstracts stays in the repository"


SHIPPED = """
import sys
from rag.cli.main import main
codes = main(["eval", "run", *sys.argv[1:]]), main(["eval", "run"])
print(*codes, *{name for name in sys.modules if name in ("evals", "rag_evals")})
"""
RIGHT = """
from rag import Answer, Hit, Library, add, answer, answer_many, open_library, search, stream

found: Answer = answer("Which attention is IO-aware?", k=3, where="year>=2020")
starts: list[int] = [citation.start for citation in found.citations]
hits: tuple[Hit, ...] = search("attention")
with stream("What is S4?") as pieces:
    said: str = "".join(pieces) + pieces.answer.text
added: tuple[str, ...] = add(["my.bib"], library="mine").added
titles: list[str] = [paper.title for paper in open_library()]
with Library.open("mine", judge="same", model="m") as mine:
    asked: Answer = mine.using(k=3).ask("What is S4?", history=[found, {"role": "user", "content": "Hi"}])
"""
WRONG = """
from rag import answer, search

answer("Which attention is IO-aware?", k="three")
answer(3)
start: str = answer("What is S4?").citations[0].start
search("attention", limit=3)
"""


def test_a_type_checker_of_a_user_sees_the_types(installed, tmp_path):
    """Installed as by a user, in an environment that knows nothing of this checkout."""
    mypy = shutil.which("mypy", path=str(Path(sys.executable).parent))
    if not mypy:
        pytest.skip("mypy is not installed; type: pip install -e '.[dev]'")
    venv.create(tmp_path / "env", symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    (site,) = (tmp_path / "env").glob("lib/*/site-packages")
    shutil.copytree(installed, site, dirs_exist_ok=True)
    for name, text in (("right.py", RIGHT), ("wrong.py", WRONG)):
        (tmp_path / name).write_text(text.lstrip(), "utf-8")
    options = ["--strict", "--no-error-summary", "--python-executable", str(python), "--cache-dir", str(tmp_path / "c")]
    ran = subprocess.run(
        [mypy, *options, "right.py", "wrong.py"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=None, MYPYPATH=None),
        capture_output=True,
        text=True,
        timeout=LONGEST_WAIT,
    )
    told = re.findall(r"^(.*?): error: .*\[(.*)\]$", ran.stdout, re.MULTILINE)
    wrong = zip((3, 4, 5, 6), ("arg-type", "arg-type", "assignment", "call-arg"), strict=True)
    assert told == [(f"wrong.py:{line}", kind) for line, kind in wrong], ran.stdout + ran.stderr


def test_a_checkout_finds_its_resources_from_another_folder():
    places = _run("-c", FOLDERS, "data", "prompts", "weights", PYTHONPATH=ROOT).splitlines()
    assert places == [str(path) for path in (ROOT / "data", ROOT / "prompts", ROOT / "rag" / "weights")]
    assert [str(resource(kind)) for kind in ("data", "prompts", "weights")] == places
