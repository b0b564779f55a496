r"""A draft in LaTeX or Markdown -> its sentences, each with the citations in it; and the draft with keys put in.

A citation is `\cite{key}` (any command of natbib or biblatex that cites), `[@key; @other]` or `@key`. One that waits
for a key is `[CITE]`, `\cite{?}`, `\cite{}` or `[@?]`. What is no prose (headings, code, formulas, figures, tables, the
preamble, comments) is passed over. Offsets are code points of the draft as given: nothing but keys is ever changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from rag.text import Span, readable, sentences

Form = Literal["latex", "markdown"]

LATEX, MARKDOWN = (".tex", ".latex", ".ltx"), (".md", ".markdown", ".txt", ".rst", ".qmd", ".rmd", ".org", ".text")
LEAST_WORDS, LEAST_CITED = 5, 2  # of a sentence that claims something; of one that cites something for it
PIECE = 4  # words before a citation that are a claim of their own, where a sentence has several

_ARGUMENT = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
_OPTIONS = r"(?:\s?\[[^\[\]]*\]){0,2}"
_COMMAND = rf"\\(?P<name>[A-Za-z]*cite[A-Za-z]*)\*?{_OPTIONS}\{{(?P<keys>[^{{}}]*)\}}"
_GROUP = r"\[(?P<group>[^\[\]\n]*?-?@[^\[\]]*)\]"
_BARE = r"(?<![\w@.\[;])-?@(?P<bare>[A-Za-z][\w:.+/-]*\w)(?:\s\[(?:p|pp|ch|sec)\.[^\[\]]*\])?"
_WAITING = r"(?P<waiting>\[(?:CITE|citation needed|cite|TODO:? cite)\])"
_CITATION = re.compile(f"{_COMMAND}|{_WAITING}|{_GROUP}|{_BARE}")
_KEY = re.compile(r"-?@\{?([\w:.#$%&+?<>~/-]*[\w?])\}?")
_NO_CITATION = re.compile(r"nocite|citestyle|citename|DeclareCite", re.IGNORECASE)
_NARRATIVE = re.compile(r"(?:citet|textcite|citeauthor|citealt|Citet|Textcite|citeA)$")
_BLOCKS = (
    "figure table equation align gather eqnarray multline verbatim lstlisting tabular tabularx thebibliography tikzpicture "
    "algorithm algorithmic minted comment displaymath math listing code"
)
_LATEX_BLOCKS = re.compile(
    rf"\A.*?\\begin\{{document\}}|\\end\{{document\}}.*\Z|\\begin\{{(?P<name>(?:{'|'.join(_BLOCKS.split())})\*?)\}}.*?\\end\{{(?P=name)\}}|"
    rf"\\(?:(?:sub)*section|chapter|part|paragraph|title|author|date|caption|bibliography|bibliographystyle|printbibliography|"
    rf"maketitle|tableofcontents|usepackage|documentclass|newcommand|renewcommand|input|include)\*?{_OPTIONS}(?:{_ARGUMENT})*|"
    r"\\(?:begin|end)\{[^{}]*\}(?:\[[^\]]*\])?|\\item\b(?:\s?\[[^\]]*\])?|\\\\(?:\[[^\]]*\])?",
    re.DOTALL,
)
_LATEX_INLINE = re.compile(
    rf"\\\[.*?\\\]|\$\$.*?\$\$|\\(?:label|ref|eqref|autoref|cref|Cref|pageref|index|footnote|vspace|hspace|thanks){_OPTIONS}{_ARGUMENT}|"
    r"(?<!\\)~|\\(?:noindent|smallskip|medskip|bigskip|newpage|clearpage|par)\b",
    re.DOTALL,
)
_LATEX_COMMENT = re.compile(r"(?<!\\)%[^\n]*(?:\n[ \t]*)?")
_MARKDOWN_BLOCKS = re.compile(
    r"\A---\n.*?\n(?:---|\.\.\.)\n|^[ \t]*(?P<fence>```+|~~~+).*?(?:^[ \t]*(?P=fence)[^\n]*$|\Z)|<!--.*?-->|^#{1,6}[ \t][^\n]*$|"
    r"^[^\n]+\n(?:=+|-+)[ \t]*$|^[ \t]*\|[^\n]*$|^\[[^\]\n]+\]:[^\n]*$|\$\$.*?\$\$|^[ \t]*(?:>|[-*+]|\d{1,3}[.)])(?=[ \t])|^[ \t]*(?:[-*_][ \t]*){3,}$",
    re.DOTALL | re.MULTILINE,
)
_MARKDOWN_INLINE = re.compile(
    r"!\[[^\]]*\]\([^()]*\)|\[\^[^\]]+\]|(?<=\])\([^()\s]*(?:\s\"[^\"]*\")?\)|</?[a-zA-Z][^<>\n]*>|[*`]+|(?<!\w)_+|_+(?!\w)"
)
_LEANS = re.compile(
    r"\W*(?:(?:and|but|so|while|yet|or) )?(?:it|its|they|their|this|these|which|that|who|whose)\b", re.IGNORECASE
)
_OURS = re.compile(
    r"\b(?:we|our|ours|us|I|my)\b|\b(?:this|the (?:next|following|present|rest of this)) (?:paper|section|chapter|work|thesis|article|report)\b|"
    r"\b(?-i:Section|Figure|Table|Appendix|Chapter|Equation|Eq|Fig|Sec)s?\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A citation: where it stands, its keys, and whether it waits for one."""

    start: int
    end: int
    keys: tuple[str, ...]
    waits: bool
    narrative: bool = field(default=False, compare=False)  # part of the sentence: "Gray (2019) shows"


class Statement(NamedTuple):
    """What a draft states at a place: plain text, where it stands, the line it begins on (from 1), its citations."""

    text: str
    start: int
    end: int
    line: int
    marks: tuple[Mark, ...]

    @property
    def claims(self) -> bool:
        """Does it claim something of the world, and not of the draft or its authors?"""
        least = LEAST_CITED if self.marks else LEAST_WORDS
        return (
            len(re.findall(r"\w+", self.text)) >= least
            and not self.text.endswith(("?", ":"))
            and not _OURS.search(self.text)
        )


def form_of(text: str, suffix: str = "") -> Form:
    """What a draft is written in, by the ending of its file or else by its text."""
    if suffix.lower() in LATEX:
        return "latex"
    tells = re.search(r"\\(?:documentclass|begin\{|[a-z]*cite[a-z]*\*?[\[{]|(?:sub)?section\*?\{)", text)
    return "latex" if tells and suffix.lower() not in MARKDOWN else "markdown"


def statements(text: str, form: Form) -> list[Statement]:
    """The sentences of a draft with their citations; of one with several citations a statement for each."""
    prose, marks = _prose(text, form)
    spans = sentences(prose)
    held: dict[int, list[Mark]] = {}
    for mark in marks:
        if (at := _sentence_of(mark, spans, prose)) is not None:
            held.setdefault(at, []).append(mark)
    return [one for at, span in enumerate(spans) for one in _stated(text, prose, span, held.get(at, []))]


def wanting(stated: Sequence[Statement]) -> list[Statement]:
    """Those that a paper is looked for: those that wait for a key, or if none does, all that claim and cite nothing."""
    waiting = [one for one in stated if any(mark.waits for mark in one.marks)]
    return waiting or [one for one in stated if one.claims and not one.marks]


def filled(text: str, form: Form, chosen: Sequence[tuple[Statement, Sequence[str]]]) -> str:
    """The draft with keys where they are wanted; a statement without a key stays as it is."""
    edits: dict[Span, str] = {}
    for stated, keys in chosen:
        waiting = [mark for mark in stated.marks if mark.waits]
        for mark in waiting if keys else ():
            edits[Span(mark.start, mark.end)] = _keyed(text[mark.start : mark.end], keys, form)
        if keys and not stated.marks:
            at = stated.end - 1 if text[stated.end - 1] in ".!?" else stated.end
            edits[Span(at, at)] = f"~\\cite{{{','.join(keys)}}}" if form == "latex" else f" {_group(keys)}"
    for span, new in sorted(edits.items(), reverse=True):
        text = text[: span.start] + new + text[span.end :]
    return text


# --- citations ----------------------------------------------------------------------------------


def _keyed(mark: str, keys: Sequence[str], form: Form) -> str:
    """A citation with keys in the place of what waits."""
    if mark.startswith("\\"):
        begin = mark.rindex("{") + 1
        held = [key.strip() for key in mark[begin:-1].split(",")]
        return mark[:begin] + ",".join([*(key for key in held if key and key != "?"), *keys]) + "}"
    if "@?" in mark:
        return mark.replace("@?", "; ".join(f"@{key}" for key in keys), 1)
    return f"\\cite{{{','.join(keys)}}}" if form == "latex" else _group(keys)


def _group(keys: Sequence[str]) -> str:
    return f"[{'; '.join(f'@{key}' for key in keys)}]"


def _marks(text: str, prose: str) -> Iterator[Mark]:
    """The citations of a draft that stand in its prose."""
    for found in _CITATION.finditer(text):
        if not prose[found.start() : found.start() + 1].strip() or _NO_CITATION.search(found["name"] or ""):
            continue
        if found["keys"] is not None:
            keys = tuple(key for part in found["keys"].split(",") if (key := part.strip()) and key != "?")
            waits = "?" in found["keys"] or not found["keys"].strip()
        elif found["group"] is not None:
            said = _KEY.findall(found["group"])
            keys, waits = tuple(key for key in said if key != "?"), "?" in said
        else:
            keys, waits = ((found["bare"],) if found["bare"] else ()), bool(found["waiting"])
        if keys or waits:
            yield Mark(*found.span(), keys, waits, _is_narrative(found, text))


def _is_narrative(found: re.Match[str], text: str) -> bool:
    """Does it speak in its sentence, so that this begins with it?"""
    if found["bare"] or _NARRATIVE.search(found["name"] or ""):
        return True
    before, after = text[: found.start()].rstrip()[-1:], text[found.end() :].lstrip()[:1]
    return (not before or before in ".!?") and after.islower()


def _sentence_of(mark: Mark, spans: Sequence[Span], prose: str) -> int | None:
    """The sentence that a citation belongs to: the one around it, else the one before it, in the same paragraph."""
    inside = next((n for n, span in enumerate(spans) if span.start <= mark.start < span.end), None)
    if inside is not None:
        return inside
    before = max((n for n, span in enumerate(spans) if span.end <= mark.start), default=None)
    if before is not None and not re.search(r"\n[ \t]*\n", prose[spans[before].end : mark.start]):
        return before
    return next((n for n, span in enumerate(spans) if span.start >= mark.end), before)


# --- sentences ----------------------------------------------------------------------------------


def _stated(text: str, prose: str, span: Span, marks: Sequence[Mark]) -> Iterator[Statement]:
    """A sentence as one statement, or as a statement for each of its citations."""
    pieces = [span] * len(marks)
    if len(marks) > 1:
        begins = [span.start, *(mark.end for mark in marks[:-1])]
        ends = [*(mark.start for mark in marks[:-1]), span.end]
        for at in range(1, len(begins)):  # "Gray [1] shows": the subject belongs to what comes after
            if len(prose[begins[at - 1] : ends[at - 1]].split()) < PIECE:
                begins[at] = begins[at - 1]
        cut = [Span(begin, max(begin, end)) for begin, end in zip(begins, ends, strict=True)]
        pieces = [_whole(prose, piece, span) for piece in cut]
    for piece, own in zip(pieces, [(mark,) for mark in marks], strict=True) if marks else [(span, ())]:
        yield Statement(_plain(prose[piece.start : piece.end]), span.start, span.end, _line(text, span.start), own)


def _whole(prose: str, piece: Span, sentence: Span) -> Span:
    """A piece of a sentence that says something by itself; one that leans on what stands before it, with that."""
    if _LEANS.match(said := prose[piece.start : piece.end]):
        return Span(sentence.start, piece.end)
    return piece if len(said.split()) >= PIECE else sentence


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _plain(prose: str) -> str:
    """Prose as a person reads it, on one line, without the blanks that citations left before a stop."""
    line = " ".join(re.sub(r"[\[\]{}]", " ", readable(prose)).split())
    return re.sub(r"\(\s*\)", "", re.sub(r" (?=[.,;:!?)])", "", line)).strip(" ,;")


def _prose(text: str, form: Form) -> tuple[str, list[Mark]]:
    """The draft at its own length, with blanks where it is no prose and where its citations stand; the citations."""
    blocks, inline = (_LATEX_BLOCKS, _LATEX_INLINE) if form == "latex" else (_MARKDOWN_BLOCKS, _MARKDOWN_INLINE)
    prose = text
    if form == "latex":
        prose = _LATEX_COMMENT.sub(lambda found: " " * len(found[0]), prose)
    prose = _blanked(prose, blocks.finditer(prose), "\n")
    marks = list(_marks(prose, prose))
    for mark in reversed(marks):
        filling = ("It" if mark.narrative else "").ljust(mark.end - mark.start)
        prose = prose[: mark.start] + filling + prose[mark.end :]
    return _blanked(prose, inline.finditer(prose), " "), marks


def _blanked(text: str, found: Iterable[re.Match[str]], filling: str) -> str:
    """The text with filling in the place of what was found, at its own length."""
    parts, at = [], 0
    for one in found:
        parts += [text[at : one.start()], filling * (one.end() - one.start())]
        at = one.end()
    return "".join([*parts, text[at:]])
