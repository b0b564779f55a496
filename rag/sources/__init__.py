"""Papers that lie elsewhere -> files that the readers read: public services (`services`), and Zotero (`zotero`).

Nothing is fetched unless an address asks for it. What comes is kept as it came (`rag.addresses`), so that a library
can be read again without asking anybody. What cannot be had is told as a file is that cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rag.addresses import ZOTERO, Address, BadAddress, address_at, address_of
from rag.readers.record import Skipped
from rag.sources.keeping import Missed


class Brought(NamedTuple):
    """Files to read, in the order of what was named; and what could not be had, with the reason."""

    paths: tuple[Path, ...]
    missed: tuple[Skipped, ...] = ()


def brought(named: Iterable[str | Path]) -> Brought:
    """The files behind paths and addresses; what addresses name is fetched now, one request for several where that goes."""
    wanted, missed = _addresses(named)
    got = _had([one for one in wanted.values() if isinstance(one, Address)])
    paths, missing = [], list(missed)
    for text, one in wanted.items():
        if not isinstance(one, Address):
            paths.append(one)
        elif (failed := got.get(one)) is None:
            paths.append(one.file)
        else:
            missing.append(Skipped(text, "", failed.reason, "refused", failed.remedy))
    return Brought(tuple(dict.fromkeys(paths)), tuple(missing))


def refreshed(known: Iterable[str]) -> tuple[Skipped, ...]:
    """Zotero's part of some kept files, brought up to date; what of it could not be had. Nothing else is asked again."""
    addresses = (address_of(text) for path in known if (text := address_at(Path(path))))
    failed = _had([one for one in addresses if one and one.scheme == ZOTERO])
    return tuple(
        Skipped(str(one), "", why.reason, "refused", why.remedy) for one, why in failed.items() if why is not None
    )


def asked(named: Sequence[str | Path]) -> str:
    """The hosts that `brought` would ask, for a line that says so; "" if none."""
    from rag.sources.services import told

    wanted, _ = _addresses(named)
    return told([one for one in wanted.values() if isinstance(one, Address)])


def _addresses(named: Iterable[str | Path]) -> tuple[dict[str, Address | Path], list[Skipped]]:
    """What each text names: an address or a path; and the addresses that are none."""
    found: dict[str, Address | Path] = {}
    wrong = []
    for one in named:
        try:
            found[str(one)] = (address_of(one) if isinstance(one, str) else None) or Path(one)
        except BadAddress as bad:
            wrong.append(Skipped(str(one), "", str(bad), "refused"))
    return found, wrong


def _had(addresses: Sequence[Address]) -> dict[Address, Missed | None]:
    """Bring each; None for one that is kept now, else why it is not."""
    if not addresses:
        return {}
    from rag.sources.services import fetched
    from rag.sources.zotero import fetched as read_from_zotero

    of_zotero = [one for one in addresses if one.scheme == ZOTERO]
    return fetched([one for one in addresses if one.scheme != ZOTERO]) | read_from_zotero(of_zotero)
