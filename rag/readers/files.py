"""Files and folders -> texts, with what was found wrong; nothing a file does can fill memory or disk.

A file may be gzipped or a zip of files; both are unpacked in memory, piece by piece, and given up at
a limit: on bytes, on members, and on how much smaller than its content an archive may be (text shrinks
ten- or twenty-fold; what shrinks more is a bomb). A member's name is only shown, never a path that is
written to; one that tries to leave its folder is refused all the same. Text is UTF-8 unless it says
or shows otherwise: a byte order mark, an XML declaration, zero bytes at every other place, and for
the rest what charset-normalizer thinks likeliest of the encodings that reference managers write.
"""

from __future__ import annotations

import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from rag.addresses import address_at
from rag.readers.record import Skipped

FILE_BYTES = 512 * 2**20  # of one file, unpacked; the yearly PubMed files have up to 300 MB
ARCHIVE_BYTES = 2 * 2**30  # of all members of one archive
MEMBERS = 10_000
SHRINK = 100  # how many times smaller than its content an archive may be
_STEP = 2**20
_CANDIDATES = (
    "cp1252 cp1250 cp1251 cp1253 cp1254 gb18030 big5 shift_jis euc_jp euc_kr koi8_r mac_roman iso8859_2 iso8859_5"
).split()
_LATIN = {"cp1250", "cp1254", "mac_roman", "iso8859_2"}
_KINDS = {b"PAR1": "a Parquet table (save it as CSV or JSON lines)", b"%PDF": "a PDF (papers are not read, records are: export them from a reference manager)", b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"GIF8": "a picture",
          b"SQLite format 3": "a database", b"\xd0\xcf\x11\xe0": "an Office document (save it as CSV or text)", b"7z\xbc\xaf": "a 7z archive",
          b"BZh": "a bzip2 archive", b"\xfd7zXZ": "an xz archive", b"Rar!": "a RAR archive",
          b"\x28\xb5\x2f\xfd": "a zstd archive", b"\x7fELF": "a program"}  # fmt: skip


class File(NamedTuple):
    """A file to read: its path, the name shown for it, and whether the caller named it or a folder holds it."""

    path: Path
    name: str
    named: bool


class Refused(Exception):
    """Why a file, or the rest of it, cannot be read."""


def listed(paths: Iterable[Path]) -> tuple[list[File], list[Skipped]]:
    """The files of paths and folders in sorted order, each once, and the paths that do not exist.

    A file is shown under its name, or its path in the folder; where two would be the same, under its whole path. One
    that was brought from an address is shown as that.
    """
    found: dict[str, File] = {}
    missing: list[Skipped] = []
    for path in paths:
        if os.path.isdir(path):  # unlike Path's own, never raises
            inside = [file for file in _inside(path, missing) if _is_shown(file, path)]
            files = [File(file, file.relative_to(path).as_posix(), False) for file in inside]
        elif os.path.exists(path):
            files = [File(path, address_at(path) or path.name, True)]
        else:
            is_web = re.match(r"https?:/", str(path))
            why = (
                "pages are not fetched; save it as a file, or name the paper: doi:..., arxiv:... or pmid:..."
                if is_web
                else "no such file or folder; check the spelling"
            )
            missing.append(Skipped(str(path), "", why, "refused"))
            continue
        for file in files:
            found.setdefault(os.path.realpath(file.path), file)
    counts: dict[str, int] = {}
    for file in found.values():
        counts[file.name] = counts.get(file.name, 0) + 1
    return [f if counts[f.name] == 1 else f._replace(name=f.path.as_posix()) for f in found.values()], missing


def _inside(folder: Path, unread: list[Skipped]) -> list[Path]:
    """All files below a folder, sorted; folders that cannot be read are told."""

    def tell(error: OSError) -> None:
        why = f"cannot be read ({error.strerror or error}); check its permissions"
        unread.append(Skipped(str(error.filename), "", why, "refused"))

    return sorted(Path(at) / name for at, _, names in os.walk(folder, onerror=tell) for name in names)


def _is_shown(file: Path, folder: Path) -> bool:
    parts = file.relative_to(folder).parts
    return not any(part.startswith(".") for part in parts) and parts[-1] != "README.md"


def texts(file: File) -> Iterator[tuple[str, str | Refused, str]]:
    """(name, text, remark) of a file, or of each member of an archive; for a text that cannot be had, why.

    The remark is "", or says what had to be assumed to read it.
    """
    try:
        raw = _bytes(file.path)
        if raw.startswith(b"PK\x03\x04"):
            yield from _members(raw, file.name)
            return
        text, remark = decoded(_unzipped(raw) if raw.startswith(b"\x1f\x8b") else raw)
        del raw  # not held while the text is read
        yield file.name, text, remark
    except Refused as refused:
        yield file.name, refused, ""
    except OSError as error:
        yield file.name, Refused(f"cannot be read ({error.strerror or error}); check its permissions"), ""


def _bytes(path: Path) -> bytes:
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise Refused("is no ordinary file; copy its content into one")
    with open(path, "rb") as file:
        raw = file.read(FILE_BYTES + 1)
    if len(raw) > FILE_BYTES:
        raise Refused(f"is larger than {_megabytes(FILE_BYTES)}; split it")
    return raw


def _megabytes(count: int) -> str:
    return f"{count / 2**20:.0f} MB"


# --- archives -----------------------------------------------------------------------------------


def _unzipped(raw: bytes) -> bytes:
    """The content of a gzip file, one or several of them end to end."""
    out, rest = bytearray(), raw
    while rest.startswith(b"\x1f\x8b"):
        stream = zlib.decompressobj(wbits=31)
        while not stream.eof:
            try:
                piece = stream.decompress(rest, _STEP)
            except zlib.error as error:
                raise Refused(f"is a damaged gzip file ({error}); fetch it again") from error
            out += piece
            rest = stream.unconsumed_tail
            if not piece and not rest and not stream.eof:
                raise Refused("is a gzip file that ends too early; fetch it again")
            _within(len(out), len(raw), FILE_BYTES)
        rest = stream.unused_data
    return bytes(out)


def _within(size: int, packed: int, limit: int) -> None:
    if size > limit:
        raise Refused(f"unpacks to more than {_megabytes(limit)}; split it")
    if size > 4 * _STEP and size > SHRINK * packed:
        raise Refused(f"unpacks to more than {SHRINK} times its size, as no text does (a zip bomb?)")


def _members(raw: bytes, name: str) -> Iterator[tuple[str, str | Refused, str]]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
        members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, UnicodeDecodeError, OverflowError) as error:
        raise Refused(f"is a damaged zip file ({_short(error)}); fetch it again") from error
    names = {member.filename for member in members}
    if names & {"[Content_Types].xml", "mimetype"}:
        raise Refused("is an Office document or an e-book; save a table as CSV, other text as a text file")
    if len(members) > MEMBERS:
        raise Refused(f"has more than {MEMBERS:,} members; unpack it")
    if _overlap(members):
        raise Refused("has members that overlap (a zip bomb?)")
    allowance = _Allowance(len(raw))
    for member in members:
        hidden = any(part.startswith((".", "__MACOSX")) for part in member.filename.split("/"))
        if (member.is_dir() or hidden) and ".." not in member.filename:
            continue
        shown = f"{name}!{member.filename}"
        try:
            text, remark = decoded(_member(archive, member, allowance))
            yield shown, text, remark
        except Refused as refused:
            yield shown, refused, ""


class _Allowance:
    """How much an archive of so many bytes may still unpack to; what a refused member took is gone too."""

    def __init__(self, packed: int) -> None:
        self.packed, self.spent = packed, 0

    def take(self, piece: int, member: int) -> None:
        """Of a member that has so many bytes by now, the last so many. Raises Refused."""
        self.spent += piece
        _within(member, self.packed, FILE_BYTES)
        if self.spent > ARCHIVE_BYTES:
            raise Refused(f"is in an archive of more than {_megabytes(ARCHIVE_BYTES)}; split it")


def _overlap(members: list[zipfile.ZipInfo]) -> bool:
    """Do two members share bytes? No program that packs does that, and it unpacks to any size (Fifield, 2019)."""
    places = sorted((member.header_offset, member.header_offset + member.compress_size) for member in members)
    return any(end > begin for (_, end), (begin, _) in pairwise(places))


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, allowance: _Allowance) -> bytes:
    """The content of one member."""
    path = member.filename.replace("\\", "/")
    if path.startswith("/") or ".." in path.split("/") or re.match(r"[A-Za-z]:", path):
        raise Refused("has a path that leaves its folder; unpack the archive yourself if you trust it")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise Refused("is a link, not a file")
    if member.flag_bits & 1:
        raise Refused("is locked with a password; unpack it first")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # the others unpack without a limit
        raise Refused("is packed in a way not read here; unpack it first")
    out = bytearray()
    try:
        with archive.open(member) as stream:
            while piece := stream.read(_STEP):
                out += piece
                allowance.take(len(piece), len(out))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError, RuntimeError) as error:
        raise Refused(f"is a damaged member of a zip file ({_short(error)}); fetch it again") from error
    if out.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        raise Refused("is an archive in an archive; unpack it first")
    return bytes(out)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__


# --- encodings ----------------------------------------------------------------------------------


def decoded(raw: bytes) -> tuple[str, str]:
    """(text, remark) of bytes in whatever encoding. Raises Refused for what is no text."""
    for magic, kind in _KINDS.items():
        if raw.startswith(magic):
            raise Refused(f"is {kind}, a binary file, not text")
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"),
                           (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):  # fmt: skip
        if raw.startswith(mark):
            text = raw.decode(encoding, "replace").removeprefix("\ufeff")
            return text, _remark(text, f"says it is {encoding.upper()} but is not everywhere: ")
    if b"\0" in raw[:_STEP]:
        return _wide(raw), ""
    try:
        return raw.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        return _guessed(raw, error.start)


def _remark(text: str, what: str) -> str:
    lost = text.count("\ufffd")
    return f"{what}{lost} characters could not be read and stand as \ufffd" if lost else ""


def _wide(raw: bytes) -> str:
    """UTF-16 without its mark; otherwise text with a stray NUL, or no text at all."""
    head = raw[: 2 * (len(raw[:4096]) // 2)]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) / 8 and min(even, odd) <= len(head) / 100:
        return raw.decode("utf-16-le" if odd > even else "utf-16-be", "replace")
    strange = sum(raw[:4096].count(byte) for byte in range(32) if byte not in b"\t\n\r\f\x1b\0")
    if raw.count(b"\0") * 1000 < len(raw) and strange * 100 < len(raw[:4096]):
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            pass
    raise Refused("is a binary file, not text")


def _guessed(raw: bytes, at: int) -> tuple[str, str]:
    """Text that is not UTF-8 at byte `at`: by its declaration, as UTF-8 with foreign lines, or by its letters."""
    line = raw.count(b"\n", 0, at) + 1
    declared = re.match(rb"\s*<\?xml[^>]{0,200}?encoding=[\"']([\w.-]{2,30})[\"']", raw)
    if declared and (text := _as(raw, declared[1].decode())) is not None:
        return text, ""
    lines = raw.split(b"\n")
    foreign = [n for n, piece in enumerate(lines) if not piece.isascii() and _as(piece, "utf-8") is None]
    if len(foreign) * 2 < sum(not piece.isascii() for piece in lines):  # one record pasted in from elsewhere
        texts = [_as(piece, "utf-8") or piece.decode("cp1252", "replace") for piece in lines]
        return "\n".join(texts), f"is UTF-8 text but for {len(foreign)} lines from line {line} on, read as Windows-1252"
    encoding = _likeliest(b"\n".join(lines[n] for n in foreign[:2000])[:_STEP])
    text = raw.decode(encoding, "replace")
    if sum(not char.isprintable() and not char.isspace() for char in text[:4096]) * 10 > len(text[:4096]):
        raise Refused("is a binary file, not text")
    return text, f"is not UTF-8 (line {line}); read as {encoding}, the likeliest by its letters"


def _as(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _likeliest(sample: bytes) -> str:
    """What charset-normalizer says, but for two ties it breaks the wrong way in short texts."""
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=_CANDIDATES).best()
    encoding = best.encoding if best else "cp1252"
    if encoding in _LATIN and _as(sample, "cp1252") is not None:  # western Europe is likelier than its neighbours
        return "cp1252"
    if encoding == "euc_kr" and _as(sample, "gb18030") is not None:  # Korean has few Chinese characters
        letters = [char for char in sample.decode(encoding, "replace") if not char.isascii()]
        hangul = sum("\uac00" <= char <= "\ud7a3" for char in letters)
        return encoding if hangul > 0.9 * len(letters) else "gb18030"
    return encoding
