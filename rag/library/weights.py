"""The files of the models in `rag/weights`, opened when they are first used; several texts share the cores.

Whatever the packages raise becomes one EmbedError line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rag.errors import EmbedError

WEIGHTS = Path(__file__).parents[1] / "weights"
WORKERS = 8  # at most; more gain little on graphs this small
REPAIR = "reinstall abstracts-rag"
GIT_LFS = b"version https://git-lfs"

Given = TypeVar("Given")
Made = TypeVar("Made")


def load_tokenizer(path: Path) -> Any:
    """The tokenizer of a file; it cuts nothing off."""
    data = _read(path)
    try:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(data.decode("utf-8"))
    except Exception as error:  # the package raises plain Exception
        raise _unusable(path, error) from error
    tokenizer.no_truncation()  # count() is of the whole text
    return tokenizer


def load_session(path: Path) -> Any:
    """The graph of a file, ready to run on one thread."""
    data = _read(path)
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One thread a text, several texts at once: less of the CPU than several threads a text.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # what fails is raised as well
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the package's errors have no common base
        raise _unusable(path, error) from error


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EmbedError(f"the model's file {path} cannot be read ({error.strerror}); {REPAIR}") from error
    if data.startswith(GIT_LFS):
        raise EmbedError(f"{path} is only a git-lfs pointer; run `git lfs pull`, or {REPAIR}")
    return data


def _unusable(path: Path, error: Exception) -> EmbedError:
    if isinstance(error, ImportError):
        return EmbedError(f"the shipped models cannot start ({line_of(error)}); {REPAIR}")
    kind = type(error).__name__
    return EmbedError(f"the model's file {path} is damaged or cut short ({kind}); {REPAIR}")


def encodable(text: str) -> str:
    """The text with a question mark for each lone surrogate, which has no UTF-8; offsets stay."""
    return text.encode("utf-8", "replace").decode("utf-8")


def in_parallel(function: Callable[[Given], Made], given: Sequence[Given]) -> Generator[Made, None, None]:
    """Results in the order of what is given, by a few threads; closing it drops what has not begun."""
    from concurrent.futures import ThreadPoolExecutor

    workers = min(len(given), _cores())
    if workers == 1:
        yield from map(function, given)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        yield from pool.map(function, given)
    finally:
        pool.shutdown(cancel_futures=True)


def _cores() -> int:
    """Cores that this process may use, at most WORKERS."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(WORKERS, len(affinity(0)) if affinity else os.cpu_count() or 1)


def line_of(error: Exception) -> str:
    """What an error says, at most 160 characters on one line, nothing a terminal would obey."""
    words = " ".join(str(error).split())
    return "".join(char for char in words if char.isprintable())[:160]
