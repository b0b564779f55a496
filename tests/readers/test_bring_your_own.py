"""`rag add my.FILE --library mine && rag ask --library mine "..."`, on every format as a person would try it."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from exports import PROGRAMS, TEXT, TITLE
from readers.test_formats import EXPORTS, ONE, ONE_TEXT, TWO, TWO_TEXT

from rag import Answer
from rag.answering import opening
from rag.cli.main import main
from rag.library import embed
from rag.text import folded

QUESTION = "How many hours does a tidal pool take to add two numbers?"
PROSE = f"{ONE_TEXT} Nobody had expected it to be any faster than that, and nobody who saw it would wish it to be so."
MORE = f"{TWO_TEXT} It was tried out for a whole winter by two people who like to be outdoors when nobody else does."


def zipped(name: str, text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return packed.getvalue()


SPACED = f"New\n\n{ONE}\n\n{PROSE}\n\n{TWO}\n\n{MORE}\n"
GLUED = f"Trending\n{ONE}\n{PROSE}\n{TWO}\n{MORE}\n"
CHINESE = f"TY  - JOUR\nTI  - 潮汐池作为慢速计算机\nAB  - 我们让潮汐池做加法。{TEXT}\nER  - \n"
FILES: dict[str, str | bytes] = {
    **{f"{name}.txt": text for name, (text, _, _) in EXPORTS.items()},
    "zotero.csv": PROGRAMS["Zotero CSV"],
    "openalex.json": PROGRAMS["OpenAlex"],
    "spaced.txt": SPACED,
    "glued.txt": GLUED,
    "one.md": f"# {TITLE}\n\n## Abstract\n\n{TEXT}\n",
    "front.md": f'---\ntitle: "{TITLE}"\n---\n\n{TEXT}\n',
    "wrapped.txt": f"{TITLE}\n\nIt was seen in the year of the great storms that every pool along the shore\ncounts "
    f"the waves. {TEXT.replace('It takes', 'It takes about')}\nNone of it was known when all of this was begun by us\n"
    "and by the others.\n",
    "packed.ris.gz": gzip.compress(EXPORTS["ris"][0].encode()),
    "packed.zip": zipped("deep/in/it.bib", EXPORTS["bibtex"][0]),
    "wide.csv": EXPORTS["csv"][0].encode("utf-16"),
    "latin.bib": EXPORTS["bibtex"][0].replace("Oli", "Olé").encode("latin-1"),
    "gbk.ris": CHINESE.encode("gbk"),
}


@pytest.fixture(scope="module", autouse=True)
def _one_embedder():
    """Loaded once: a process has one, and this is many processes in one."""
    shared = embed.open_embedder()
    with pytest.MonkeyPatch.context() as patch:
        for module in (embed, opening):
            patch.setattr(module, "open_embedder", lambda: shared)
        yield


@pytest.mark.parametrize("name", FILES)
def test_it_is_added_and_asked(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = FILES[name]
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["add", name, "--library", "./mine"]) == 0
    added = capsys.readouterr().out
    assert re.search(r"[12] added, 0 changed, 0 unchanged, 0 merged, [01] without abstract, 0 refused", added)
    assert main(["ask", QUESTION, "--library", "./mine", "--json"]) == 0
    answer = Answer.from_dict(json.loads(capsys.readouterr().out))  # only a verbatim quote makes a Citation
    assert answer.status == "answered"
    quoted = [one for one in answer.citations if "nine hours" in folded(one.quote)]
    assert quoted, answer.text
    for one in quoted:
        file, _, line = one.paper.sources[0].rpartition(":")
        assert file.partition("!")[0] == name
        assert int(line) >= 1
