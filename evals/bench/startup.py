"""How heavy is a question? Ratios of one run, on this machine, now.

    python evals/bench/startup.py [--rounds 5]

cold ask     wall of `rag ask` in a new process over wall of `python -c "import chromadb, onnxruntime"`,
             medians of interleaved rounds; at most 2 is wanted
build        cpu seconds of building the shipped library (read, chunk, embed, store, Chroma) over those of
             embedding the same texts alone; at most 1.5 is wanted
memory       peak resident MB of `rag ask`; under 400 is wanted
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

QUESTION = "Which sequence model first solved Path-X, and how much faster does it generate?"
BUILD = """
import json, time
from pathlib import Path
from rag import ingest
from rag.library.embed import open_embedder
from rag.library.store import Library
from rag.readers import read
embedder = open_embedder(); embedder.encode(["warm up"])
began = time.process_time()
library = ingest.open_shipped(embedder)
build = time.process_time() - began
entries, texts = ingest._prepared(library, embedder)
began = time.process_time()
embedder.encode(list(texts.values()))
print(json.dumps([build, time.process_time() - began, len(texts)]))
"""


def run(*command: str, home: str) -> tuple[float, float]:
    """Wall seconds and peak resident MB of a command that must succeed."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | {"RAG_HOME": home}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


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
            "imports": (python, "-c", "import chromadb, onnxruntime"),
            "help": (python, "-m", "rag", "--help"),
            "nothing": (python, "-c", "pass"),
        }
        seen = [{name: run(*command, home=home) for name, command in commands.items()} for _ in range(rounds)]
    wall = {name: statistics.median(s[name][0] for s in seen) for name in commands}
    print(
        f"cold ask   {wall['ask'] / wall['imports']:.2f}x the imports ({wall['ask']:.2f} s over {wall['imports']:.2f} s, median of {rounds})"
    )
    print(
        f"build      {build / embed:.2f}x embedding its {texts} texts alone ({build:.1f} over {embed:.1f} cpu s, one run)"
    )
    print(f"memory     {max(s['ask'][1] for s in seen):.0f} MB peak of `rag ask`")
    print(
        f"help       {wall['help'] / wall['nothing']:.1f}x an empty python ({wall['help']:.3f} s over {wall['nothing']:.3f} s)"
    )


if __name__ == "__main__":
    main()
