"""What words, sentences and numbers are, for every stage alike.

Three views of one abstract: as given (stored and quoted), readable (LaTeX and HTML residue turned
into characters; shown and indexed) and folded (case, accents of typography and white space gone;
compared). The last two come with offsets back into the first, so that whatever is found in a view
can be quoted verbatim. `printable` is the only door to a terminal: text from files, models and
servers passes through it, so that no control sequence survives.

The file is long because each view is made from the one before, with the same tables of characters.
"""

from __future__ import annotations

import hashlib
import html
import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from html.entities import html5
from typing import NamedTuple

from rag.markup import LESS, TAG, tags


class Span(NamedTuple):
    """Half-open code-point offsets."""

    start: int
    end: int


# --- identity -----------------------------------------------------------------------------------


def title_key(title: str) -> str:
    """The words of a title, without case, punctuation or LaTeX: equal for the same title typed twice."""
    plain = unicodedata.normalize("NFKC", readable(title)).casefold().replace("_", " ")
    return " ".join(re.findall(r"\w+", plain))


def paper_id(title: str) -> str:
    """12 hex digits that depend on the normalised title alone."""
    return hashlib.sha256(title_key(title).encode()).hexdigest()[:12]


# --- sentences ----------------------------------------------------------------------------------

_STOP = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]}]*+(?=\s)|\n\s*\n|(?<=[。！？])")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:e\.g|i\.e|cf|vs|al|resp|approx|fig|figs|eq|eqs|sec|no|nos|vol|(?-i:Dr|Mr|Mrs|Ms|Prof|St)|"
    r"ca|viz|incl|ed|eds|dept|univ|inc)\.$",  # "Ms. Lee" goes on; "in 5 ms." ends
    re.IGNORECASE,
)
_INITIAL = re.compile(r"(?:^|[\s(\[])[A-Z]\.$")  # "A. Smith" goes on
_AFTER_INITIAL = re.compile(r"([A-Z][a-z]+)[\s,]")  # "size, N. Finally, we": what is hardly a name begins a sentence
_TOPICS = (
    "aims?|backgrounds?|conclusions?|contexts?|design|discussion|findings?|importance|interpretation|introduction|materials|"
    "methods?|methodology|motivation|objectives?|participants|patients|purpose|rationale|results?|setting|"
    "significance|summary|outcomes?|measures|measurements|interventions?|limitations"
)
_LABEL = re.compile(  # "RESULTS:", "Materials and Methods:"
    rf"(?=[A-Z])(?:(?:main|key|study|primary) )?(?:{_TOPICS})(?:(?:,| and| &|/) ?(?:{_TOPICS}))*\s?:\s+(?=\S)",
    re.IGNORECASE,
)
STOPPED_NAME = re.compile(
    r"(?:^|[\s(\[-])(?:[A-Za-z]\.){2,}$|[a-z,;:] [A-Z]\w+!$"
)  # "E.T. Bench", "the Yahoo! Answers"
_ENUMERATOR = re.compile(r"\(?(?:\d{1,2}|[ivx]{1,4}|[a-z])\)?[.)]+")
_CLOSED = re.compile(r"(?:^|\s)[a-zα-ω]\.$")  # "of size n." ends a sentence; "A. Smith" does not


def sentences(text: str) -> tuple[Span, ...]:
    """Spans of the sentences of `text`, in order, without surrounding white space.

    Together they hold every character that is not white space, except labels of sections ("Results:").
    Rules for scholarly prose: no stop after an abbreviation or an initial, nor before a lower-case word
    (unless all of the text is), nor within a name that has stops ("E.T. Bench"), unless a word such as "We" or
    "However" follows.
    """
    spans, start, cased = [], 0, text != text.lower()
    for stop in _STOP.finditer(text):
        if _ends_sentence(text, start, stop.end(), cased):
            spans.append(_trimmed(text, start, stop.end()))
            start = stop.end()
    spans.append(_trimmed(text, start, len(text)))
    return tuple(_unlabelled(text, span) for span in spans if span.start < span.end)


def label(text: str, at: int = 0) -> str:
    """The label of a section that a text has there, with what parts it from its sentence; "" is none."""
    found = _LABEL.match(text, at)
    return found[0] if found else ""


def _unlabelled(text: str, span: Span) -> Span:
    start = span.start + len(label(text, span.start))
    return Span(start, span.end) if start < span.end else span


def _ends_sentence(text: str, start: int, end: int, cased: bool) -> bool:
    if _ENUMERATOR.fullmatch(text[start:end].strip()):
        return False
    if "\n" in text[end - 1 : end] or text[end - 1 : end] in "。！？":
        return True
    following = text[end:].lstrip()[:2]
    if cased and following[:1].islower() and not following[1:].isupper():  # "mGPT is" starts a sentence, "is" does not
        return False
    before = text[max(start, end - 12) : end].rstrip("\"'”’)]}")
    if STOPPED_NAME.search(before) and not _opens_sentence(text[end:]):
        return False
    if _INITIAL.search(before):
        opener = _AFTER_INITIAL.match(text[end:].lstrip())
        return opener is not None and opener[1].lower() in _OPENERS
    return bool(_CLOSED.search(before)) or not _ABBREVIATION.search(before)


def _opens_sentence(rest: str) -> bool:
    """Does a text begin with a word that begins sentences rather than the second half of a name?"""
    word = re.match(r"\W*([^\W\d_]*)", rest)
    return not word or not word[1] or word[1].casefold() in _OPENERS


def _trimmed(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    return Span(start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip()))


# --- readable -----------------------------------------------------------------------------------

_SYMBOLS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ",
    "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ",
    "Psi": "Ψ", "Omega": "Ω", "times": "×", "cdot": "·", "pm": "±", "leq": "≤", "le": "≤", "geq": "≥",
    "ge": "≥", "neq": "≠", "approx": "≈", "sim": "~", "infty": "∞", "rightarrow": "→", "to": "→",
    "ll": "≪", "gg": "≫", "in": "∈", "ell": "ℓ", "log": "log", "exp": "exp", "max": "max", "min": "min",
    "ldots": "…", "dots": "…", "LaTeX": "LaTeX", "TeX": "TeX", "ie": "i.e.", "eg": "e.g.", "etal": "et al.",
    "textless": "<", "textgreater": ">", "textendash": "–", "textemdash": "—", "textquoteright": "’",
    "textquoteleft": "‘", "textquotedblleft": "“", "textquotedblright": "”", "textasciitilde": "~",
    "textbackslash": "\\", "textasciicircum": "^", "textbraceleft": "{", "textbraceright": "}",
    "sqrt": "√", "sum": "∑", "prod": "∏", "int": "∫", "partial": "∂", "nabla": "∇", "propto": "∝", "asymp": "≍",
    "equiv": "≡", "subset": "⊂", "subseteq": "⊆", "cup": "∪", "cap": "∩", "notin": "∉", "forall": "∀", "exists": "∃",
    "otimes": "⊗", "oplus": "⊕", "circ": "∘", "star": "*", "ast": "*", "cdots": "⋯", "ln": "ln", "top": "⊤",
    "mid": "|", "lvert": "|", "rvert": "|", "langle": "⟨", "rangle": "⟩", "Rightarrow": "⇒", "mapsto": "↦",
    **dict.fromkeys("left right big Big bigl bigr bigg limits allowbreak displaystyle smash".split(), ""),
    **{f"text{name}": char for name, char in (("copyright", "©"), ("pm", "±"), ("times", "×"), ("minus", "−"),
       ("bullet", "•"), ("section", "§"), ("euro", "€"), ("sterling", "£"), ("dollar", "$"), ("underscore", "_"), ("bar", "|"),
       ("ellipsis", "…"), ("quotesingle", "'"), ("quotedbl", '"'), ("onehalf", "½"), ("rightarrow", "→"),
       ("alpha", "α"), ("beta", "β"), ("gamma", "γ"), ("delta", "δ"), ("kappa", "κ"), ("lambda", "λ"), ("omega", "ω"))},
    "leqslant": "≤", "geqslant": "≥", "lesssim": "≲", "gtrsim": "≳", "lt": "<", "gt": ">", "ne": "≠", "simeq": "≃",
    "cong": "≅", "perp": "⊥", "dagger": "†", "prime": "′", "hbar": "ħ", "mp": "∓", "div": "÷", "emptyset": "∅",
    "textregistered": "®", "texttrademark": "™", "textdegree": "°", "textmu": "µ", "copyright": "©",
}  # fmt: skip
IN_LATEX = str.maketrans(  # what stands for a character that LaTeX obeys; BibTeX counts braces, escaped or not
    {"\\": r"\textbackslash{}", "{": r"\textbraceleft{}", "}": r"\textbraceright{}", "^": r"\textasciicircum{}",
     "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}"} | {char: f"\\{char}" for char in "$&#%_"}
)  # fmt: skip
_ACCENTS = dict(
    zip("`'^~=u.\"rHvck", "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327\u0328", strict=True)
)
_LETTERS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł",
    "i": "i", "j": "j",
}  # fmt: skip
# r"\"{o}", r"\c{c}", and r"Poincar\'e" inside a word only, where it can be no escaped quotation mark
_ACCENT = (
    r"\\[`'^~=.\"]\{\\?[A-Za-z]\}|\\u\{\\?[aegiouAEGIOU]\}|\\v\{[acdeglnrstzACDEGLNRSTZ]\}|\\c\{[cegstCEGST]\}|"
    r"\\H\{[ouOU]\}|\\k\{[aeiuAEIU]\}|\\r\{[auAU]\}|(?<=[A-Za-z{])\\[`'^~\"](?:\\[ij](?![A-Za-z]) ?|[aeiouyncAEIOUYNC])"
)
_FONTS = (
    "textbf|textit|textrm|textsc|texttt|textsf|textsuperscript|textsubscript|emph|text|mathbf|mathrm|mathcal|"
    "mathbb|mathit|mathsf|mathtt|operatorname|underline|url|mbox|bm|boldsymbol"
)
_STRIPPED = "mathcal|mathbb|mathbf|textbf|textit|teal|orange|red|blue|green|purple"  # seen without backslash
TEXT_COMMANDS = frozenset(
    [*_SYMBOLS, *_LETTERS, *_FONTS.split("|"), "tilde", "hat", "bar", "vec", "dot", "em", "it", "bf"]
)  # show text, no more
_MATH = re.compile(r"\$(?:(?=\S)[^$\n]{0,200}?[\\^_{=][^$\n]{0,200}|[A-Za-z])\$")
_HATS = {"tilde": "\u0303", "hat": "\u0302", "bar": "\u0304", "vec": "\u20d7", "dot": "\u0307"}
_HAT = rf"\\(?:wide)?(?:{'|'.join(_HATS)})(?: ?\{{[A-Za-z]\}}| [A-Za-z](?![A-Za-z]))"
_COMMAND = re.compile(r"\\([A-Za-z]+)$")
_CLOSING = re.compile(rf"\}}|\\[)\]]|{LESS}/|\\end\{{")
_DISPLAYED = re.compile(r"\$\$(?:(?=\S)[^$\n]{0,400}?[\\^_{=<>][^$\n]{0,400}|[A-Za-z])\$\$")
_PREAMBLE = (  # Springer writes each formula as a whole document
    r"\\documentclass(?:\[[^\]\n]{0,60}\])?\{[^{}]{0,40}\}[^<>]{0,1500}?\\begin\{document\}|\\end\{document\}"
)
_BARE_BRACE = re.compile(r"[\^_]\{|\{\\")
_MARKS = ("\\", "{", "}", "``", "''", "$", "&", "<", "times")  # no residue without one of them
_RESIDUE = re.compile(
    rf"(?P<accent>{_ACCENT})|(?P<preamble>{_PREAMBLE})|(?P<letter>\\(?:{'|'.join(_LETTERS)})(?:\{{\}}|(?![A-Za-z(_^{{])(?: (?=[a-z]))?))|"
    rf"(?P<hat>{_HAT})|(?P<root>\\sqrt\{{)|(?P<bare>\\(?:{_FONTS}) (?=\\?[A-Za-z](?![A-Za-z])))|"
    rf"(?P<font>(?:\\(?:{_FONTS})|\\?\b(?:{_STRIPPED}))\s*\{{)|(?P<switch>\{{\\(?:em|it|bf|tt|sc|sl|rm)\b\s*)|"
    r"(?P<escaped>\\[%&_#${}])|(?P<times>(?<=\d)times(?![a-z]))|(?P<math>\\[()\[\]])|(?P<symbol>\\[A-Za-z]+(?:\{\})?)|(?P<open>\{)|(?P<close>\})|"
    rf"(?P<quote>``|'')|(?P<dollar>\$\$?)|(?P<tag>{TAG})|(?P<comment><!--[^<>]{{0,500}}-->)|"
    r"(?P<entity>&(?:amp;){0,3}(?:[A-Za-z][A-Za-z0-9]{1,31}|#\d{2,7}|#x[0-9A-Fa-f]{2,6});)"
)


@dataclass(frozen=True, slots=True)
class View:
    """A text made from another. Character i came from `offsets[i]:ends[i]`; one more offset for the end."""

    text: str
    offsets: tuple[int, ...]
    ends: tuple[int, ...]

    def source(self, start: int, end: int) -> Span:
        """The span of the original that `text[start:end]` came from; start < end."""
        return Span(self.offsets[start], self.ends[end - 1])


def readable(text: str) -> str:
    """`text` as a person would want to read it: LaTeX and HTML residue turned into characters."""
    marked = any(mark in text for mark in _MARKS)  # twenty times cheaper to ask than the pattern
    return readable_view(text).text if marked and _RESIDUE.search(text) else text


def readable_view(text: str) -> View:
    """`readable` with the way back: where in `text` every character came from.

    Markup that is not shown belongs to the character it opens before or closes after, so that a
    quote found in the view has both of its braces.
    """
    out: list[str] = []
    offsets: list[int] = []
    ends: list[int] = []
    opened: int | None = None  # where markup began that the next character takes along
    in_math = False
    for piece, start, end in _pieces(text):
        if not piece and start < end:
            in_math ^= text[start] == "$"
            closes = _CLOSING.match(text, start) or (text[start] == "$" and not in_math)
            if closes and ends and opened is None:
                ends[-1] = end
            elif opened is None:
                opened = start
        elif piece:
            copied = len(piece) == end - start
            out.append(piece)
            offsets.extend(range(start, end) if copied else [start] * len(piece))
            ends.extend(range(start + 1, end + 1) if copied else [end] * len(piece))
            offsets[-len(piece)] = start if opened is None else opened
            opened = None
    return View("".join(out), (*offsets, len(text)), tuple(ends))


def _pieces(text: str) -> Iterator[tuple[str, int, int]]:
    """(text, start and end of what it came from) for each piece of the readable form."""
    closers: list[str] = []  # for each open brace: what is shown for its partner
    math, at, closed = "", 0, -1  # `math` is what opened the formula, which closes it too
    marked = tags(text)
    for found in _RESIDUE.finditer(text):
        if found.start() < at:  # within an element that is not shown
            continue
        yield text[at : found.start()], at, found.start()
        at = found.end()
        kind, piece = str(found.lastgroup), found[0]
        shown = _shown(kind, piece)
        if kind == "tag":
            at, shown = marked.get(found.start(), (at, _character(piece)))
        elif kind == "dollar":
            closes = math == piece
            opens = not math and (_MATH if piece == "$" else _DISPLAYED).match(text, found.start())
            math = "" if closes else piece if opens else math
            shown = "" if closes or opens else piece
        elif kind in ("font", "switch", "open", "root"):
            closers.append(_closer(kind, text, found.start(), found.start() == closed))
            shown = {"": "", ")": "√("}.get(closers[-1], piece)
        elif kind == "close" and closers:
            shown = closers.pop()
            closed = at if shown == "}" else -1
        yield shown, found.start(), at
    yield text[at:], at, len(text)


def _closer(kind: str, text: str, at: int, follows: bool) -> str:
    """What is shown for the brace that closes the one at `at`: nothing where that is not shown either.

    It is where it holds an argument of a command that is not known; `follows` says, a second one.
    """
    if kind != "open":
        return ")" if kind == "root" else ""
    if not _BARE_BRACE.search(text[max(0, at - 1) : at + 2]):
        return "}"
    command = _COMMAND.search(text[max(0, at - 30) : at])
    return "}" if follows or (command and command[1] not in _SYMBOLS) else ""


def _shown(kind: str, piece: str) -> str:
    if kind == "escaped":
        return piece[1]
    if kind == "symbol":
        return _SYMBOLS.get(piece[1:].removesuffix("{}"), piece)
    if kind == "entity":
        return _character(piece)
    if kind == "hat":
        mark = next(mark for name, mark in _HATS.items() if name in piece)
        return unicodedata.normalize("NFC", piece.rstrip("}")[-1] + mark)
    if kind == "accent":
        return unicodedata.normalize("NFC", piece.rstrip("} ")[-1] + _ACCENTS[piece[1]])
    if kind == "letter":
        return _LETTERS[piece[1:].rstrip(" {}")]
    return {"quote": '"', "times": "×", "math": "", "bare": "", "comment": "", "preamble": ""}.get(kind, piece)


def _character(piece: str) -> str:
    """What an entity stands for, escaped once or several times; a name that is none stays."""
    plain = re.sub(r"&(?:amp;)+(?=#?\w+;)", "&", piece)
    return re.sub(r"&(?:#\w+|\w+);", lambda one: html.unescape(one[0]) if _is_entity(one[0]) else one[0], plain)


def _is_entity(piece: str) -> bool:
    return piece.startswith("&#") or piece[1:] in html5


# --- folded -------------------------------------------------------------------------------------

KEPT = 10_000  # characters of a text, at most, whose folded view is kept
_TYPOGRAPHY = str.maketrans(
    dict.fromkeys("‐‑‒–—−", "-")
    | dict.fromkeys("‘’‚ʼ`", "'")
    | dict.fromkeys("“”„«»", '"')
    | {"×": "x", "\u00ad": "", "[": "(", "]": ")"}
)


def folded_view(text: str) -> View:
    """Readable, without case, typographic variants, zero-width characters and repeated white space."""
    return _folded_view(text) if len(text) <= KEPT else _folded_view.__wrapped__(text)


@lru_cache(maxsize=64)  # each sentence of an answer is looked for in the same few abstracts
def _folded_view(text: str) -> View:
    base = readable_view(text)
    out: list[str] = []
    offsets: list[int] = []
    ends: list[int] = []
    last = " "
    for char, offset, end in zip(base.text, base.offsets, base.ends, strict=False):
        for piece in _folded_character(char):
            if piece == last == " ":
                continue
            out.append(piece)
            offsets.append(offset)
            ends.append(end)
            last = piece
    return View("".join(out), (*offsets, len(text)), tuple(ends))


@lru_cache(maxsize=4096)
def _folded_character(char: str) -> str:
    plain = unicodedata.normalize("NFKC", char).translate(_TYPOGRAPHY).casefold()
    spaced = "".join(" " if piece.isspace() else piece for piece in plain)
    return "".join(piece for piece in spaced if unicodedata.category(piece) != "Cf")


def folded(text: str) -> str:
    """The text of `folded_view`, trimmed; in plain ASCII, as nearly all abstracts are, without the detour."""
    plain = readable(text)
    if plain.isascii():
        return " ".join(plain.translate(_TYPOGRAPHY).lower().split())
    return folded_view(text).text.strip()


# --- words --------------------------------------------------------------------------------------

_WORD = re.compile(r"[^\W_]+(?:[.'’+#-][^\W_]+)*\+*", re.UNICODE)
STOPWORDS = frozenset(
    """a about above after again against all also am an and any are as at be because been before being below
    between both but by can could did do does doing down during each few for from further had has have having he
    her here hers him his how i if in into is it its itself just like many may me might more most much my no nor
    not now of off on once one only or other our ours out over own per please s same shall she should so some such
    t tell than that the their theirs them then there these they this those through to too under until up us use
    used uses using very via was we were what when where which while who whom whose why will with within without
    would you your yours any anything does say says said paper papers abstract abstracts library show find give
    explain describe list name know""".split()
)
_OPENERS = STOPWORDS | frozenset(
    """accordingly additionally although based besides building compared consequently despite experiments extensive finally first following
    furthermore given here hence however inspired instead interestingly lastly many meanwhile moreover motivated
    nevertheless notably recent recently results second several since specifically surprisingly third therefore though
    thus together two unlike whereas yet code conversely indeed nonetheless overall similarly""".split()
)  # of sentences


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The Snowball (Porter 2) English stem of a folded word."""
    return _stemmed("english", word)


@lru_cache(maxsize=65536)
def porter(word: str) -> str:
    """The stem that SQLite's index has of a folded word (Porter, 1980)."""
    return _stemmed("porter", word)


def _stemmed(algorithm: str, word: str) -> str:
    """A stemmer holds the word it works on, so threads cannot share one; a new one costs less than 1 µs."""
    import snowballstemmer

    return str(snowballstemmer.stemmer(algorithm).stemWord(word))


def words(text: str) -> list[str]:
    """Folded words in order; "State-Space" gives "state" and "space"."""
    return [part for word in _tokens(text) for part in _parts(word)]


def compounds(text: str) -> list[str]:
    """Folded words with a hyphen in them, in order: "Path-X" is more than "path" and "x"."""
    found = [_parts(word) for word in _tokens(text) if "-" in word]
    return ["-".join(parts) for parts in found if len(parts) > 1]


@lru_cache(maxsize=64)
def _tokens(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(folded(text)))


def _parts(word: str) -> list[str]:
    if re.fullmatch(r"[\d.,]+", word):
        return [word]
    return [part for part in re.split(r"[.'’+#-]+", word) if part]


def terms(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order, repeats kept; then those of hyphenated words."""
    single = [stem(word) for word in words(text) if word not in STOPWORDS]
    return single + [compound_stem(word) for word in compounds(text)]


def compound_stem(compound: str) -> str:
    """The stem of a hyphenated word: those of its parts, joined."""
    return "-".join(stem(part) for part in compound.split("-"))


_FOREIGN = frozenset(
    """de la le les des du un une et est que qui quel quelle pour dans sur avec par combien comment pourquoi der die das
    ein eine und ist sind wie viele was welche welcher auf für mit von den dem nicht warum el los las del al en por para
    con qué cuál cuántos cuántas cómo es se su il lo gli di che per con quanti quale come o os as da do em um uma não
    het een van voor hoeveel wat welke""".split()
)  # function words of six neighbours of English


def looks_english(text: str) -> bool:
    """False for a text mostly in another script, or with more function words of other languages than of English."""
    found = words(text)
    script = sum(char.isalpha() and not char.isascii() for char in text) > len(text) / 3
    foreign, common = sum(word in _FOREIGN for word in found), sum(word in STOPWORDS for word in found)
    return not script and (foreign < 2 or foreign <= common)


_FOREIGN_ALONE = frozenset(
    """und oder auf für mit von dem nicht ist sind wird werden einen einer eines einem bei zu zum zur über als auch durch
    sich dass sie es wurde wurden nur les des une est qui dans sur avec par pour sont pas aux leur cette ces ses plus
    los las del una por para con qué más son fue fueron sus entre gli che per non sono della delle degli nel nella
    dell um uma não dos das mais pelo pela het een van voor niet zijn wordt""".split()
)  # function words that English has not, nor names of English papers often


def apart(text: str) -> str:
    """A text with spaces between ideographs and other letters and digits: "达到64%" as "达到 64%"."""
    return _SEAM.sub(" ", text)


def foreign(text: str) -> bool:
    """Is a sentence in another language than English, as far as its letters and function words tell?

    Stricter than `looks_english`, which asks whether a question is meant as English: one word is enough here, if
    English ones do not outnumber it.
    """
    letters = [char for char in text if char.isalpha()]
    if sum(not char.isascii() and not _LATIN_OR_GREEK.match(char) for char in letters) > len(letters) / 5:
        return True
    found = re.findall(r"[^\W\d_]+", text)
    strange = sum(word.casefold() in _FOREIGN_ALONE or bool(_ACCENTED.fullmatch(word)) for word in found)
    return strange > sum(word.casefold() in _ENGLISH_ALONE for word in found)


IDEOGRAMS = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # written without spaces
_SEAM = re.compile(rf"(?<=[{IDEOGRAMS}])(?=[^\W{IDEOGRAMS}])|(?<=[^\W{IDEOGRAMS}])(?=[{IDEOGRAMS}])")
_LATIN_OR_GREEK = re.compile("[\u00c0-\u03ff\u1e00-\u1fff]")
_ACCENTED = re.compile("[a-zß-ÿœ]*[ß-ÿœ][a-zß-ÿœ]*(?<!naïve)")  # in lower case: no name
_ENGLISH_ALONE = STOPWORDS - frozenset("a am an as do has he her i in is it me no of on par so to was who will".split())


# --- the terminal -------------------------------------------------------------------------------

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


_BYTES = re.compile("[\udc80-\udcff]+")  # of a file name that the locale could not decode
_STYLE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours and movements
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, links and other strings
    r"|\x1b[ -/]*[0-~]|\x07"
)
CANONICAL = 1024 if sys.platform == "darwin" else 4096  # bytes of a line, its end included, that a terminal passes on


def unstyled(text: str) -> str:
    """`text` as it was before a program coloured it for a terminal: without escape sequences and bells."""
    return _STYLE.sub("", text)


def may_be_cut(line: str) -> bool:
    """Is a line so long that a terminal which reads whole lines may have dropped its end?"""
    return len(line.rstrip("\r\n").encode("utf-8", "replace")) >= CANONICAL - 2


def printable(text: str) -> str:
    """`text` with control characters, bidirectional overrides and lone surrogates made harmless.

    Newlines and tabs stay; everything a terminal could obey becomes the replacement character. Bytes of a
    file name that are UTF-8 are shown as that.
    """
    text = _BYTES.sub(lambda found: found[0].encode("utf-8", "surrogateescape").decode("utf-8", "replace"), text)
    return UNSAFE.sub("\ufffd", text.replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n"))


# --- for a prompt -------------------------------------------------------------------------------

_BRACKETS = str.maketrans("[]【】［］〔〕", "()()()()")
_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")


def harmless(text: str) -> str:
    """Text for a prompt: without invisible characters, and with nothing to be taken for our marks and fences."""
    plain = _INVISIBLE.sub("", printable(text)).translate(_BRACKETS)
    return re.sub(r"={3,}", "=", plain)


_LOGIN = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/?#@]*@", re.I)


def without_login(text: str) -> str:
    """The text with no user and password in any URL of it: what is stored is for other eyes."""
    return _LOGIN.sub(r"\1", text)
