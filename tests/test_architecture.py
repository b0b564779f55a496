"""The staircase of modules, who may use which package, and house rules that a reader relies on."""

from __future__ import annotations

import ast
import re
import shutil
import statistics
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import rag

ROOT = Path(__file__).parents[1]


def rooms() -> dict[str, tuple[set[str], set[str]]]:
    """The table of rooms in README.md, the one place where it stands: room -> (rooms, packages) that it may import."""
    text = (ROOT / "README.md").read_text("utf-8").partition("<!-- rooms -->")[2].partition("<!-- end -->")[0]
    cells = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in text.strip().splitlines()[2:]]
    return {row[0].strip("`/"): (set(re.findall(r"[a-z]+", row[2])), set(re.findall(r"\w+", row[3]))) for row in cells}


ROOMS = rooms()
TOP = "rag"  # the modules beside the rooms
TYPES = {"numpy", "rich"}  # packages that any room may name in an annotation
ORDER = {
    "answering": {"assistant", "finding", "writing", "plain", "detailed", "drafting", "survey", "search", "opening"}
}  # in a room of stages, the modules that know their order
NAMES = set(
    """answer aanswer answer_many stream astream search cite table Cell Row Table add Added Attribution Bearing Library backup restore Backup
    open_library Stream AsyncStream Hits Paper Chunk Found Hit Evidence Draft Claim Citation Usage FrozenMap Answer
    RagError UsageError ReadError LibraryError LibraryMissing LibraryBusy LibraryDamaged LibraryNewer
    PaperNotFound EmbedError ModelError PromptError Cancelled""".split()
)

PARTS = {"chromadb_rust_bindings": "chromadb"}  # a module -> the package that brings it, where the names differ
HEAVY = set("chromadb llama_index openai onnxruntime tokenizers numpy rich tiktoken prompt_toolkit".split())


# --- who imports what ---------------------------------------------------------------------------


def parsed() -> dict[str, ast.Module]:
    """The modules of `rag` by dotted name; a package is its `__init__`."""
    found = {}
    for path in sorted((ROOT / "rag").rglob("*.py")):
        if "weights" not in path.parts:  # the maintainers' tool, not in the wheel
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text("utf-8"))
    return found


MODULES = parsed()


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[1:] and parts[1] in ROOMS else TOP


def imported(tree: ast.Module, *, typing: bool = True) -> set[str]:
    """Dotted names of all that a file imports, inside functions too; without `typing` only what it imports when it runs."""
    found: set[str] = set()
    checks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    guarded = {node for check in checks for node in ast.walk(check)}
    for node in ast.walk(tree):
        if node in guarded and not typing:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names}
    return found


def ours(module: str) -> set[str]:
    """The modules of `rag` that a module imports; a name that is no module comes from the package before it."""
    names = {name for name in imported(MODULES[module]) if name.split(".")[0] == "rag"}
    return {name if name in MODULES else name.rpartition(".")[0] for name in names} - {module}


def test_the_rooms_of_the_readme_are_the_folders():
    folders = {path.name for path in (ROOT / "rag").iterdir() if (path / "__init__.py").is_file()}
    assert set(ROOMS) == folders | {TOP}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_room_imports_the_rooms_that_the_table_says(module):
    room = room_of(module)
    doors = {"rag", "rag.__main__"}  # the Python door and the command: they open every room
    if module not in doors:
        assert {room_of(other) for other in ours(module)} - {room} <= ROOMS[room][0]
        assert "rag" not in ours(module) or room in ("cli", "chat"), "the Python door is for those outside"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_package_is_imported_in_its_room_alone(module):
    for typing, more in ((False, set()), (True, TYPES)):
        packages = {name.split(".")[0] for name in imported(MODULES[module], typing=typing)} - {"rag"}
        assert packages - sys.stdlib_module_names <= ROOMS[room_of(module)][1] | more


def test_each_package_of_the_table_is_used():
    used = {(room_of(m), name.split(".")[0]) for m, tree in MODULES.items() for name in imported(tree)}
    assert {(room, package) for room, (_, packages) in ROOMS.items() for package in packages} <= used


def test_a_stage_imports_no_stage():
    """Beside those that know the order, a module imports of its room only what itself imports nothing of it."""
    for room, order in ORDER.items():
        inside = {m: {o for o in ours(m) if room_of(o) == room} for m in MODULES if m.startswith(f"rag.{room}.")}
        tools = {module for module, others in inside.items() if not others}
        stages = {module: others - tools for module, others in inside.items() if module.split(".")[-1] not in order}
        assert {module: others for module, others in stages.items() if others} == {}


def test_the_evals_judge_from_outside():
    """They use the public names, values and settings, but for the four at the end."""
    inner = {
        path.stem: {
            name.split(".")[1] for name in imported(ast.parse(path.read_text("utf-8"))) if name.startswith("rag.")
        }
        & {"answering", "library"}
        for path in (ROOT / "evals").glob("*.py")  # bench breaks stages on purpose
    }
    assert {module for module, rooms in inner.items() if rooms} <= {
        "plain",  # an answerer of its own, over the same vectors
        "judge",  # one judge prompt, one reader of it; the offline check, scored
        "ablate",  # papers are taken out of a copy of a library
        "versus",  # settings that no option of `rag` names
    }


def test_imports_are_absolute_but_in_the_evals_which_have_two_names():
    """`evals` in a checkout and `rag_evals` in a wheel: they import each other by no name."""
    assert [m for m, tree in MODULES.items() if any(name.startswith(".") for name in imported(tree))] == []
    files = [*(ROOT / "evals").glob("*.py"), *(ROOT / "evals" / "report").glob("*.py")]
    names = {name.split(".")[0] for file in files for name in imported(ast.parse(file.read_text("utf-8")))}
    assert len(files) > 20
    assert not names & {"evals", "rag_evals"}


def test_no_module_is_imported_in_a_circle():
    order = list(TopologicalSorter({module: ours(module) for module in MODULES}).static_order())
    assert order.index("rag.records") < order.index("rag.answering.assistant") < order.index("rag.cli.main")


# --- what callers see ---------------------------------------------------------------------------


def test_the_exported_names():
    assert set(rag.__all__) == NAMES
    assert all(hasattr(rag, name) for name in NAMES)


@pytest.mark.parametrize(
    "code",
    [
        "import rag",
        "import rag.cli.main; rag.cli.main.main(['--help'])",
        "import rag.cli.main; rag.cli.main.main(['ask', '--help'])",
        "import rag.cli.main; rag.cli.main.main(['--version'])",
        "import rag.cli.main; rag.cli.main.main(['aks'])",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(python, code):
    ran = python(f"import sys\ntry:\n {code}\nexcept SystemExit:\n pass\nprint('@', *{HEAVY} & sys.modules.keys())")
    assert ran.stdout.splitlines()[-1] == "@", ran.stderr


def test_a_prompt_waits_for_nothing_but_what_edits_it(python):
    late = HEAVY | {"rag.answering.assistant", "rag.library.store", "rag.show.lines"}
    ran = python(
        f"import sys\nimport rag.cli.main, rag.chat.repl, rag.chat.prompt\nprint('@', *{late} & sys.modules.keys())"
    )
    assert ran.stdout.splitlines()[-1] == "@ prompt_toolkit", ran.stderr


def test_every_command_stands_in_the_readme(capsys):
    from rag.cli.main import main

    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.findall(r"^    (\w+) ", capsys.readouterr().out, re.MULTILINE)
    assert {"ask", "search", "chat", "log", "replay", "list", "show", "status"} <= set(commands)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [command for command in commands if f"rag {command}" not in readme] == []


def test_the_installed_versions_are_those_that_go_together():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [Requirement(line) for line in project["dependencies"]]
    assert [str(r) for r in wanted if not r.specifier.contains(metadata.version(r.name), prereleases=True)] == []
    assert metadata.version("openai").startswith("2.")  # 3 would make resolvers fall back to llama-index 0.10
    assert metadata.version("llama-index-core").startswith("0.14.")
    extra = [Requirement(line) for name in ("local", "mcp") for line in project["optional-dependencies"][name]]
    assert {r.name.replace("-", "_") for r in [*wanted, *extra]} >= {
        PARTS.get(package, package) for _, packages in ROOMS.values() for package in packages
    }


# --- house rules --------------------------------------------------------------------------------


def test_functions_stay_short():
    lengths = {
        f"{module}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > 80} == {}
    assert statistics.median(lengths.values()) < 16


def test_classes_and_modules_stay_small():
    methods = {
        f"{module}.{node.name}": sum(isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) for part in node.body)
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    assert {name: count for name, count in methods.items() if count > 25} == {}
    long = {
        module: lines
        for module, tree in MODULES.items()
        if (lines := max(node.end_lineno or 0 for node in tree.body)) > 470
        and " long because " not in ast.get_docstring(tree)
    }
    assert long == {}, "part it, or say in its header why it is long"


@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "mypy"], ids=["lint", "format", "types"])
def test_the_tools_find_nothing(command):
    tool, *arguments = command.split()
    if not (found := shutil.which(tool, path=str(Path(sys.executable).parent)) or shutil.which(tool)):
        pytest.skip(f"{tool} is not installed; type: pip install -e '.[dev]'")
    run = subprocess.run([found, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
