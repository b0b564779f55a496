"""The table of formats: what each is called, how it is known, which code reads and writes it.

One row a format, read by all who need to know: the readers, exports, the help of the command line and the
chat, completion. Code is named, not imported ("module:function"), so that a list of names costs nothing.

The order is the order in which a content is tried against `tells`. `tells` is what only this format holds;
`smells` is what makes it likely, and is tried where no format tells. XML, JSON, tables and prose are told
by their structure, which `rag.readers.sniff` and the modules it asks know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from rag.errors import UsageError


@dataclass(frozen=True, slots=True)
class Format:
    """A format. What it has no code for is "".

    label      how it is called in reports
    names      what may be typed for it, in lower case, its own name first; none if it cannot be asked for
    suffixes   endings of files, with the dot, that say it
    reader     of `rag.readers`, as "module:function"
    tells      what only this format holds
    smells     what makes it likely
    papers     the function of `rag.show.export` that writes papers whole, to be read back
    citation   the one that writes how papers are cited
    answers    the one that writes the answers of a chat
    """

    label: str
    names: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    reader: str = ""
    tells: re.Pattern[str] | None = None
    smells: re.Pattern[str] | None = None
    papers: str = ""
    citation: str = ""
    answers: str = ""

    @property
    def name(self) -> str:
        """What it is called in a command."""
        return self.names[0]


def _lines(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE)


def _all(*lines: str, case: bool = True) -> re.Pattern[str]:
    """Has a text, at the beginning of lines that may be indented, each of these?"""
    ahead = "".join(rf"(?=(?:.*\n)*?[ \t]*(?:{line}))" for line in lines)
    return re.compile(ahead, 0 if case else re.IGNORECASE)


FORMATS: tuple[Format, ...] = (
    Format("RIS", ("ris",), (".ris",), "tagged:ris", _lines(r"^TY {1,2}-(?:\s|$)"),
           _all(r"(?:ti|t1)[ \t]{0,4}-", r"(?:ab|n2)[ \t]{0,4}-", r"(?:ty|er)[ \t]{0,4}-", case=False),
           papers="ris_whole", citation="ris"),
    Format("MEDLINE", ("medline", "nbib"), (".nbib", ".medline"), "tagged:medline", _lines(r"^PMID ?- ?\d"),
           _all(r"pmid[ \t]{0,2}-", r"ti[ \t]{0,4}-", case=False)),
    Format("RefWorks", ("refworks",), (), "tagged:refworks",
           re.compile(r"\A\s*RT [A-Z]\w+.*\n(?:[A-Z][A-Z0-9] .*\n){2}"), _all(r"RT [A-Z]\w+", "T1 ", "(?:AB|A1) ")),
    Format("Web of Science", ("wos",), (".ciw", ".isi"), "tagged:wos", _lines(r"^PT [JBSPC]\b"),
           _all(r"PT [JBSPC]\b", "TI ", "(?:AB|AU|SO) ")),
    Format("EndNote tags", ("enw",), (".enw",), "tagged:endnote", _lines(r"\A\s*%0 \S"), _all("%0 ", "%T ", "%[XAD] ")),
    Format("BibTeX", ("bibtex", "biblatex"), (".bib", ".bibtex", ".biblatex"), "bibtex:read",
           re.compile(r"^[ \t]*@[ \t]*(?:(?:string|comment|preamble)[ \t]*[{(]|"
                      r"\w+[ \t]*[{(]\s{0,9}(?:[^\s{}(),=\"]*\s{0,9},|[^{}=\"@]{0,200}=\s{0,9}[{\"\w]))",
                      re.IGNORECASE | re.MULTILINE),
           _all(r"title\s{0,9}=\s{0,9}[{\"]", r"abstract\s{0,9}=\s{0,9}[{\"]", case=False),
           papers="bibtex_whole", citation="bibtex"),
    Format("JSON", ("json", "crossref"), (".json",), "jsons:read", answers="as_json"),
    Format("CSL-JSON", ("csl", "csl-json"), (".csl",), "jsons:read", papers="csl_whole", citation="csl"),
    Format("JSON lines", ("jsonl",), (".jsonl", ".ndjson"), "jsons:read_lines", papers="jsonl"),
    Format("PubMed XML", ("pubmed",), (), "xmls:read"),
    Format("EndNote XML", ("endnote",), (), "xmls:read"),
    Format("Atom", ("atom",), (".atom",), "xmls:read"),
    Format("OAI-PMH", ("oai",), (), "xmls:read"),
    Format("arXiv XML", ("arxiv",), (), "xmls:read"),
    Format("ACL Anthology XML", ("acl",), (), "xmls:read"),
    Format("XML", ("xml",), (".xml",), "xmls:read"),
    Format("Embase CSV", ("embase",), (), "tables:read_records"),
    Format("table", ("csv", "tsv"), (".csv", ".tsv", ".tab"), "tables:read"),
    Format("Markdown", ("markdown",), (".md", ".markdown"), "plain:read", citation="references", answers="notes"),
    Format("plain text", ("text",), (".txt", ".text"), "plain:read"),
    Format("pages", ("pages",), (), "pages:read"),
)  # fmt: skip
BY_LABEL: Mapping[str, Format] = {one.label: one for one in FORMATS}
BY_NAME: Mapping[str, Format] = {name: one for one in FORMATS for name in one.names}
OWN_NAMES = tuple(sorted(one.name for one in FORMATS if one.names))  # without the other names they have
BY_SUFFIX: Mapping[str, Format] = {suffix: one for one in FORMATS for suffix in one.suffixes}
PAPERS: Mapping[str, Format] = {one.name: one for one in sorted(FORMATS, key=lambda one: one.names) if one.papers}
CITED: Mapping[str, Format] = {one.name: one for one in sorted(FORMATS, key=lambda one: one.names) if one.citation}
DEFAULT = BY_NAME["bibtex"]  # what papers are written in where nothing else is said
SUFFIXES = frozenset((*BY_SUFFIX, ".csl", ".gz", ".zip"))  # of files that are meant to be read
# by the ending: whole papers of a library, where JSON is CSL's; a chat, where it is the answers
PAPERS_BY_SUFFIX: Mapping[str, Format] = {
    **{suffix: one for one in PAPERS.values() for suffix in one.suffixes}, ".json": BY_NAME["csl"]
}  # fmt: skip
CHAT_BY_SUFFIX: Mapping[str, Format] = {
    **{one.suffixes[0]: one for one in FORMATS if one.answers}, **{one.suffixes[0]: one for one in PAPERS.values()}
}  # fmt: skip


def named(name: str, among: Mapping[str, Format] = BY_NAME) -> Format:
    """The format of that name among some, by any of its names, in any case.

    Raises UsageError with the nearest name, or all of them.
    """
    wanted = name.strip().lower()
    found = BY_NAME.get(wanted)
    if found and any(found is one for one in among.values()):
        return found
    known = {alias: one for alias, one in BY_NAME.items() if any(one is held for held in among.values())}
    near = get_close_matches(wanted, known, 1, 0.6)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"no format is called {name[:40]!r}; {hint}there are {', '.join(sorted(among))}")


def listed(among: Mapping[str, Format]) -> str:
    """Their names, as one says them: "bibtex, csl or ris"."""
    names = list(among)
    return f"{', '.join(names[:-1])} or {names[-1]}"
