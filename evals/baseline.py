"""The baseline: a run that was accepted, with its answers, in one committed file a model.

`bless` is the only way to move it, and takes a reason, which stays in the file. Since the answers
are in it, a changed metric scores both sides anew instead of breaking history. `digests.json` beside it
says what was blessed, so that an edited file is no baseline, and a moved one shows as a changed line.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import Any

from .records import Manifest, Record, Run, write_whole
from .run import RunError

FOLDER = Path(__file__).parent / "baselines"
DIGESTS = "digests.json"
VERSION = 1


def path_for(model: str, folder: Path | None = None) -> Path:
    """Where the baseline of an answerer lies."""
    return (folder or FOLDER) / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', model)}.json.gz"


def load(path: Path) -> Run:
    """The accepted run. Raises RunError when there is none, or it cannot be read."""
    if not path.is_file():
        raise RunError(f'{path}: no baseline yet; accept a run with: rag eval bless --reason "..."')
    try:
        packed = path.read_bytes()
        data = json.loads(gzip.decompress(packed))
        if data["version"] != VERSION:
            raise ValueError(f"version {data['version']}, this reads {VERSION}")
        found = Run(Manifest(**data["manifest"]), tuple(Record.from_dict(record) for record in data["records"]))
    except (OSError, EOFError, KeyError, TypeError, ValueError, zlib.error) as error:
        raise RunError(f"{path}: is no baseline of this version ({error}); restore it from git") from error
    if hashlib.sha256(packed).hexdigest() != _digests(path).get(path.name, ""):
        raise RunError(f"{path}: is not what was blessed, says {DIGESTS} beside it; restore both from git")
    return found


def _digests(path: Path) -> dict[str, str]:
    """sha256 by file name of the baselines in the same folder, as they were blessed."""
    try:
        known = json.loads(path.with_name(DIGESTS).read_text("utf-8"))
        return {str(name): str(digest) for name, digest in known.items()}
    except (OSError, AttributeError, ValueError):
        return {}


def history(path: Path) -> list[dict[str, Any]]:
    """Earlier blessings of that file, oldest first: when, why, and the headline figures then."""
    try:
        found = json.loads(gzip.decompress(path.read_bytes()))
        return list(found["history"])
    except (OSError, EOFError, KeyError, TypeError, ValueError, zlib.error):
        return []


def bless(run: Run, reason: str, headline: dict[str, float | None], path: Path) -> None:
    """Make a run the baseline; written whole or not at all. Raises RunError."""
    if not reason.strip():
        raise RunError("a baseline is moved only with a reason: --reason ...")
    if broken := sum(record.error is not None for record in run.records):
        raise RunError(f"the run has {broken} errors; a baseline has none: repeat the run, then bless it")
    asked = len({record.id for record in run.records})
    entry = {"blessed": run.manifest.created, "reason": reason, "headline": headline, "questions": asked}
    entry |= {"code": run.manifest.code}
    data = {
        "version": VERSION,
        "history": [*history(path), entry],
        "manifest": run.manifest.to_dict(),
        "records": [_lasting(record) for record in run.records],
    }
    packed = gzip.compress(json.dumps(data, ensure_ascii=False, sort_keys=True).encode(), 9, mtime=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, packed)
        known = _digests(path) | {path.name: hashlib.sha256(packed).hexdigest()}
        write_whole(path.with_name(DIGESTS), json.dumps(known, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror}); the old baseline is as it was") from error


def _lasting(record: Record) -> dict[str, Any]:
    """A record without what differs from run to run."""
    data = record.to_dict()
    if data["answer"]:
        data["answer"] = {k: v for k, v in data["answer"].items() if k not in ("seconds", "cpu")}
    return data
