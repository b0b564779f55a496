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

MAY_USE = {  # a third-party package: the modules that may import it, at the top or inside a function
    "chromadb": {"vectors"},
    "onnxruntime": {"embed"},
    "tokenizers": {"embed"},
    "numpy": {"embed", "vectors", "library", "integrity", "relevance", "support (typing)", "assistant (typing)"},
    "openai": {"embed", "chat_models"},
    "llama_index": {"chat_models"},
    "tiktoken": {"synthesize"},
    "rich": {"render", "cli", "shell", "progress", "repl"},
    "prompt_toolkit": {"terminal"},
    "filelock": {"library"},
    "platformdirs": {"settings"},
    "rapidfuzz": {"library", "readers"},
    "bibtexparser": {"readers"},
    "charset_normalizer": {"readers"},
    "snowballstemmer": {"text"},
}

# level 0: for everybody
BASE = {
    "records",
    "errors",
    "text",
    "filters",
    "marks",
    "relevance",
    "support",
    "shape",
    "servers",
    "patience",
    "judge",
}
STAGES = {
    "readers", "chunks", "embed", "library", "vectors", "retrieve", "rerank", "synthesize", "chat_models", "verify",
    "batch", "followup", "integrity", "render", "chats", "export",
}  # fmt: skip
ABOVE = {  # what every other module may import of ours besides the base; a stage imports nothing else
    "settings": set(),
    "progress": set(),
    "views": {"render"},
    "conversation": {"chats", "settings", "assistant"},
    "commands": {"conversation", "views", "render", "export"},
    "terminal": {"commands", "conversation"},
    "repl": {"__init__", "chats", "commands", "conversation", "progress", "render", "settings", "terminal", "views"},
    "log": {"assistant", "chats", "commands", "render", "settings", "views"},
    "origins": {"readers", "library"},
    "ingest": {"settings", "readers", "chunks", "embed", "library", "vectors"},
    "report": {"origins", "readers"},
    "plan": {"library", "origins", "readers", "report"},
    "changes": {"settings", "readers", "embed", "ingest", "library", "vectors", "origins", "plan", "report"},
    "doctor": {"chunks", "embed", "ingest", "integrity", "library", "origins", "vectors"},
    "assistant": {"settings", "ingest"} | STAGES - {"readers", "integrity", "chunks", "render", "chats", "export"},
    "__init__": {"settings", "assistant", "library", "embed", "changes", "readers", "report"},
    "shell": {"assistant", "filters", "library", "progress", "repl", "settings", "views"},
    "shelf": {
        "__init__",
        "changes",
        "doctor",
        "embed",
        "export",
        "ingest",
        "library",
        "origins",
        "progress",
        "render",
        "report",
    }
    | {"settings", "shell"},
    "cli": {"__init__", "assistant", "chat_models", "filters", "log", "progress", "render", "repl", "settings"}
    | {"shelf", "shell"},
    "__main__": {"cli"},
}

NAMES = set(
    """answer aanswer answer_many stream search add Added Library open_library
    Paper Chunk Found Hit Evidence Draft Claim Citation Usage FrozenMap Answer
    RagError UsageError ReadError LibraryError LibraryMissing LibraryBusy LibraryDamaged LibraryNewer
    PaperNotFound EmbedError ModelError PromptError Cancelled""".split()
)

HEAVY = set("chromadb llama_index openai onnxruntime tokenizers numpy rich tiktoken prompt_toolkit".split())


# --- who imports what ---------------------------------------------------------------------------


def parsed() -> dict[str, list[ast.Module]]:
    """The modules of `rag` by name; a folder such as readers/ is one module."""
    found: dict[str, list[ast.Module]] = {}
    for path in sorted((ROOT / "rag").rglob("*.py")):
        if path.name != "convert.py":  # the maintainers' tool, not in the wheel
            name = path.relative_to(ROOT / "rag").parts[0].removesuffix(".py")
            found.setdefault(name, []).append(ast.parse(path.read_text("utf-8")))
    return found


MODULES = parsed()


def imports(module: str, *, typing: bool = True) -> set[str]:
    """Dotted names of all that a module imports; without `typing` only what it imports when it runs."""
    return {name for tree in MODULES[module] for name in imported(tree, typing=typing)}


def imported(tree: ast.Module, *, typing: bool = True) -> set[str]:
    """The same for one file, inside functions too; `from rag import x` is rag.x."""
    found: set[str] = set()
    checks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    guarded = {node for check in checks for node in ast.walk(check)}
    for node in ast.walk(tree):
        if node in guarded and not typing:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import; here they are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(module: str) -> set[str]:
    """The modules of `rag` that a module imports; a name that is no module comes from `__init__`."""
    names = [name.split(".") for name in imports(module) if name.split(".")[0] == "rag"]
    return {name[1] if name[1:] and name[1] in MODULES else "__init__" for name in names} - {module}


def test_each_third_party_package_has_its_homes():
    used: dict[str, set[str]] = {}
    for module in MODULES:
        runtime = {name.split(".")[0] for name in imports(module, typing=False)}
        for package in {name.split(".")[0] for name in imports(module)} - sys.stdlib_module_names - {"rag"}:
            used.setdefault(package, set()).add(module if package in runtime else f"{module} (typing)")
    allowed = {package: homes | {f"{home} (typing)" for home in homes} for package, homes in MAY_USE.items()}
    assert {package: homes - allowed.get(package, set()) for package, homes in used.items()} == {p: set() for p in used}
    assert set(used) == set(MAY_USE), "a line of the table that nothing uses"


@pytest.mark.parametrize("module", sorted(BASE | STAGES))
def test_a_stage_imports_the_base_and_no_other_stage(module):
    assert ours(module) <= BASE


def test_other_modules_import_what_the_table_says():
    assert set(MODULES) - BASE - STAGES - {"weights"} == set(ABOVE), "a module without a place"
    assert {module: ours(module) - BASE - allowed for module, allowed in ABOVE.items()} == {m: set() for m in ABOVE}


def test_the_evals_judge_from_outside():
    used = {  # bench breaks stages on purpose
        path.stem: {
            name.split(".")[1] for name in imported(ast.parse(path.read_text("utf-8"))) if name.startswith("rag.")
        }
        for path in (ROOT / "evals").glob("*.py")
    }
    stages = {module: names & (STAGES | {"assistant", "ingest"}) for module, names in used.items()}
    assert {module for module, names in stages.items() if names} == {"plain"}
    assert stages["plain"] == {"embed"}  # an answerer of its own, over the same vectors


def test_no_module_is_imported_in_a_circle():
    order = list(TopologicalSorter({module: ours(module) for module in MODULES}).static_order())
    assert order.index("records") < order.index("assistant") < order.index("cli")


# --- what callers see ---------------------------------------------------------------------------


def test_the_exported_names():
    assert set(rag.__all__) == NAMES
    assert all(hasattr(rag, name) for name in NAMES)


@pytest.mark.parametrize(
    "code",
    [
        "import rag",
        "import rag.cli; rag.cli.main(['--help'])",
        "import rag.cli; rag.cli.main(['ask', '--help'])",
        "import rag.cli; rag.cli.main(['--version'])",
        "import rag.cli; rag.cli.main(['aks'])",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(python, code):
    ran = python(f"import sys\ntry:\n {code}\nexcept SystemExit:\n pass\nprint('@', *{HEAVY} & sys.modules.keys())")
    assert ran.stdout.splitlines()[-1] == "@", ran.stderr


def test_a_prompt_waits_for_nothing_but_what_edits_it(python):
    late = HEAVY | {"rag.assistant", "rag.library", "rag.views"}
    ran = python(f"import sys\nimport rag.cli, rag.repl, rag.terminal\nprint('@', *{late} & sys.modules.keys())")
    assert ran.stdout.splitlines()[-1] == "@ prompt_toolkit", ran.stderr


def test_every_command_stands_in_the_readme(capsys):
    from rag.cli import main

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
    assert {r.name.replace("-", "_") for r in wanted} >= set(MAY_USE)


# --- house rules --------------------------------------------------------------------------------


def test_functions_stay_short():
    lengths = {
        f"{module}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module, trees in MODULES.items()
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > 80} == {}
    assert statistics.median(lengths.values()) < 16


@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "mypy"], ids=["lint", "format", "types"])
def test_the_tools_find_nothing(command):
    tool, *arguments = command.split()
    if not (found := shutil.which(tool, path=str(Path(sys.executable).parent)) or shutil.which(tool)):
        pytest.skip(f"{tool} is not installed; type: pip install -e '.[dev]'")
    run = subprocess.run([found, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=110)
    assert run.returncode == 0, run.stdout + run.stderr
