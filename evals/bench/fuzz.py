"""Exports broken in every way there is: what do the readers make of them?

    python evals/bench/fuzz.py --seconds 600 [--seed 1] [--keep FOLDER]
    python evals/bench/fuzz.py --files 60       so many, however fast this machine is: slow is not looked for

A file is one of the tests' made-up exports, cut, doubled, flipped, nested, stretched, written in another
encoding, packed, and packed and then damaged. Reading it must give papers that can be stored, or one line
that says why not; at no other exception, within a time and a memory that its size allows. The work is done
in a process of its own, whose address space is limited. What fails is kept in FOLDER, with its seed.
"""

from __future__ import annotations

import argparse
import gzip
import io
import math
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "readers")]

from exports import NOTHING_IN_THEM, PROGRAMS  # type: ignore[import-not-found]  # noqa: E402  the tests' own
from test_formats import CRUMBS, EXPORTS  # type: ignore[import-not-found]  # noqa: E402

from rag.formats import BY_NAME  # noqa: E402
from rag.readers import Reading, gather, nothing  # noqa: E402
from rag.readers.files import File, texts  # noqa: E402

SEEDS: list[bytes] = [
    text.encode() for text in (*(text for text, _, _ in EXPORTS.values()), *PROGRAMS.values(), *NOTHING_IN_THEM)
]
MEMORY = 1 << 30  # bytes of address space for the process that reads
LARGEST = 1 << 20  # bytes of a file
SLOW = 0.3, 10e-6  # seconds of the processor that a file may take, and each character of it more
STUCK = 60  # seconds after which a file is given up
OPENERS = (
    "{",
    "[",
    "<a>",
    '{"a":',
    '"',
    "\\",
    "{\\a{",
    "<entry>",
    "(",
    "@a{",
    "''",
    "&#",
    "$",
    "/*",
    "- ",
    "# ",
    "\t",
    "<!--",
)


# --- breaking a file ----------------------------------------------------------------------------


def broken(rng: random.Random) -> bytes:
    """An export, broken."""
    raw = rng.choice(SEEDS)
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        raw = rng.choice(WAYS)(raw, rng)[:LARGEST]
    if rng.random() < 0.1:
        raw = _packed(raw, rng)
        raw = rng.choice((_same, _flipped, _cut, _doubled))(raw, rng)
    return raw


def _span(raw: bytes, rng: random.Random, longest: int = 400) -> tuple[int, int]:
    start = rng.randrange(len(raw) + 1)
    return start, min(len(raw), start + rng.randrange(longest + 1))


def _same(raw: bytes, rng: random.Random) -> bytes:
    return raw


def _cut(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def _flipped(raw: bytes, rng: random.Random) -> bytes:
    out = bytearray(raw)
    for _ in range(rng.randrange(1, 9) if out else 0):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _without(raw: bytes, rng: random.Random) -> bytes:
    start, end = _span(raw, rng)
    return raw[:start] + raw[end:]


def _doubled(raw: bytes, rng: random.Random) -> bytes:
    start, end = _span(raw, rng)
    return raw[:end] + raw[start:]


def _mixed(raw: bytes, rng: random.Random) -> bytes:
    """A piece of another export in the middle."""
    start, end = _span(other := rng.choice(SEEDS), rng, 2000)
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + other[start:end] + raw[at:]


def _sprinkled(raw: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(raw) + 1)
        raw = raw[:at] + rng.choice(CRUMBS).encode("utf-8", "surrogatepass") + raw[at:]
    return raw


def _stretched(raw: bytes, rng: random.Random) -> bytes:
    """A piece many times over: huge fields, long lines, thousands of records."""
    start, end = _span(raw, rng, rng.choice((1, 3, 40, 2000)))
    return raw[:start] + raw[start:end] * rng.choice((10, 1000, 30_000)) + raw[end:]


def _nested(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + rng.choice(OPENERS).encode() * rng.choice((10, 1000, 50_000)) + raw[at:]


def _on_one_line(raw: bytes, rng: random.Random) -> bytes:
    return raw.replace(b"\n", rng.choice((b"", b" ", b"\r", b"\x0b", b"\0", b"\xe2\x80\xa8")))


def _reencoded(raw: bytes, rng: random.Random) -> bytes:
    name = rng.choice(
        ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "gbk", "shift_jis", "cp037")
    )
    return raw.decode("utf-8", "replace").encode(name, "replace")


WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut, _flipped, _without, _doubled, _mixed, _sprinkled, _stretched, _nested, _on_one_line, _reencoded,
)  # fmt: skip


def _packed(raw: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.5:
        return gzip.compress(raw)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for n in range(rng.randrange(1, 4)):
            archive.writestr(rng.choice(("a.ris", "../a.ris", "x/", "\n", "é.bib")) + str(n), raw)
    return out.getvalue()


# --- reading it ---------------------------------------------------------------------------------


class Stuck(BaseException):
    """A file that takes far too long."""


def wrong(file: Path, format: str | None = None) -> str:
    """What is wrong with what the readers make of a file, in one line; "" if nothing is."""
    began = time.process_time()
    try:
        reading = gather([file], format=format)
        why = _unsound(reading, str(nothing([file], reading)) if not reading.papers else "")
    except (Exception, Stuck) as error:  # noqa: BLE001  that is the question
        return f"{type(error).__name__}: {str(error)[:200]}"
    seconds = time.process_time() - began
    size = sum(len(text) for _, text, _ in texts(File(file, "", True)) if isinstance(text, str))
    if seconds > SLOW[0] + SLOW[1] * size and not why:
        return f"slow: {seconds:.1f} s for {size:,} characters"
    return why


def _unsound(reading: Reading, line: str) -> str:
    for paper in reading.papers:
        if not (paper.title.strip() and paper.abstract.strip()):
            return f"an empty paper: {paper.sources}"
        "".join((paper.title, paper.abstract, *paper.authors, *paper.extra.values(), paper.venue or "")).encode()
    if len({paper.id for paper in reading.papers}) < len(reading.papers):
        return "two papers of one id"
    kinds = Counter(piece.kind for piece in reading.skipped)
    if reading.records != len(reading.papers) + len(reading.merged) + kinds["no abstract"]:
        return f"{reading.records} records are not accounted for"
    return f"several lines: {line[:200]!r}" if "\n" in line or not (line or reading.papers) else ""


def run(seconds: float, files: float, seed: int, keep: Path | None) -> Counter[str]:
    """Break and read files for so long, or so many; how often each thing was found wrong, and how many files there were."""

    def give_up(*_: Any) -> None:
        raise Stuck(f"more than {STUCK} s")

    signal.signal(signal.SIGALRM, give_up)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        file, end = Path(folder) / "any.export", time.process_time() + seconds
        while time.process_time() < end and found["files"] < files:
            rng = random.Random(f"{seed}.{found['files']}")
            file.write_bytes(broken(rng))
            signal.alarm(STUCK)
            said = wrong(file, rng.choice([None, None, None, rng.choice(sorted(BY_NAME))]))
            signal.alarm(0)
            found["files"] += 1
            if said:
                found[said.split(":")[0]] += 1
                print(f"{seed}.{found['files'] - 1}: {said}", flush=True)
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{seed}.{found['files'] - 1}").write_bytes(file.read_bytes())
    return found


def main() -> int:
    """Run in a process whose memory is limited; print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, help="of the processor (default: 60)")
    parser.add_argument("--files", type=int, help="so many, instead")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for the files that fail")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.inside:
        return subprocess.run([sys.executable, *sys.argv, "--inside"], check=False).returncode
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    seconds = math.inf if given.files else given.seconds or 60
    found = run(seconds, given.files or math.inf, given.seed, given.keep)
    if given.files:
        found.pop("slow", None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    files = found.pop("files")
    print(
        f"{files:,} files in {time.process_time():.0f} s: {sum(found.values())} wrong {dict(found)}, peak {peak:.0f} MB"
    )
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
