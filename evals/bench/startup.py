"""How heavy is a question? Ratios of one run, on this machine, now.

    python evals/bench/startup.py [--rounds 5]

cold ask     processor and wall seconds of `rag ask` in a new process over those of a process that loads the embedder
             and embeds the question, which no answer can do without; medians of interleaved rounds
client       the same of `import chromadb`, for scale
build        processor seconds of building the shipped library (read, chunk, embed, store, Chroma) over those of
             embedding the same texts alone
memory       peak resident MB of `rag ask`
help         wall of `rag --help` over wall of `python -c pass`
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

QUESTION = "Which sequence model first solved Path-X, and how much faster does it generate?"
EMBED = f"from rag.library.embed import open_embedder; open_embedder().encode([{QUESTION!r}])"
BUILD = """
import json, time
from rag.library import build
from rag.library.embed import open_embedder
embedder = open_embedder(); embedder.encode(["warm up"])
began = time.process_time()
library = build.open_shipped(embedder)
whole = time.process_time() - began
_, texts = build._prepared(library, embedder)
began = time.process_time()
embedder.encode(list(texts.values()))
print(json.dumps([whole, time.process_time() - began, len(texts)]))
"""


class Cost(NamedTuple):
    """What a command cost: wall and processor seconds, and peak resident MB."""

    wall: float
    processor: float
    memory: float


def run(*command: str, home: str) -> Cost:
    """Start a command that must succeed."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | {"RAG_HOME": home}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    python = sys.executable
    with tempfile.TemporaryDirectory() as home:
        out = subprocess.run([python, "-c", BUILD], env=os.environ | {"RAG_HOME": home}, capture_output=True, text=True)
        if out.returncode:
            raise SystemExit(out.stderr)
        build, embed, texts = json.loads(out.stdout)
        commands = {
            "ask": (python, "-m", "rag", "ask", QUESTION),
            "embed": (python, "-c", EMBED),
            "client": (python, "-c", "import chromadb"),
            "help": (python, "-m", "rag", "--help"),
            "nothing": (python, "-c", "pass"),
        }
        seen = [{name: run(*command, home=home) for name, command in commands.items()} for _ in range(rounds)]
    wall, processor = ({name: statistics.median(one[name][at] for one in seen) for name in commands} for at in range(2))
    for name, label in (("ask", "cold ask"), ("client", "client")):
        print(
            f"{label:10} {processor[name] / processor['embed']:.2f}x processor, {wall[name] / wall['embed']:.2f}x wall of "
            f"the embedder ({processor[name]:.2f} over {processor['embed']:.2f} s, median of {rounds})"
        )
    print(
        f"build      {build / embed:.2f}x embedding its {texts} texts alone ({build:.1f} over {embed:.1f} s, one run)"
    )
    print(f"memory     {max(one['ask'].memory for one in seen):.0f} MB peak of `rag ask`")
    print(
        f"help       {wall['help'] / wall['nothing']:.1f}x an empty python ({wall['help']:.3f} s over {wall['nothing']:.3f} s)"
    )


if __name__ == "__main__":
    main()
