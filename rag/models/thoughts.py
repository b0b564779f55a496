"""What of a chat model's reply is meant for the reader: not its thoughts, not its control tokens, not another's turn.

A model's family writes these in tokens of its own, and a server that does not know the family passes
them on as text. They are told by their shape, `<|...|>`, `<...>`, `[...]`, `◁...▷` and their halves, and
by what their name says: a beginning or an end, a thought, an answer, a role, a channel, a tool. A tag that
nobody knows is a thought when it encloses the beginning of a reply that goes on after it. What only looks
like one is text: an inequality, a citation, a known element of HTML.

`Cleaner` takes a reply in pieces; how it was cut does not matter. An end without a beginning, as "</think>"
where the thought began in the prompt, makes a thought of all before it. The one "</think>" that is then
passed on says so to who has read that already.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

VOID = "</think>"  # in what `feed` gives: all that was given before it was thought

_NAME = r"[A-Za-z][\w▁:.-]*(?:[ ▁][\w▁:.]+){0,4}"
_ATTRIBUTE = r"""\s+[\w:-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>=]+)"""
_TOKEN = re.compile(  # at most 92 characters, so that no more need to be held back
    rf"(?=<[^<>]{{0,90}}>|<<|\[|◁)(?:<[|｜](?P<pipe>/?{_NAME})[|｜]>|<[|｜](?P<left>/?[A-Za-z_]{{3,30}})>|<(?P<right>/?[A-Za-z_]{{3,30}})[|｜]>|"
    rf"<(?P<tag>/?[A-Za-z][\w:.-]{{0,40}})(?:{_ATTRIBUTE}){{0,5}}\s*/?>|\[(?P<square>/?[A-Z][A-Z_]{{2,30}})\]|"
    r"◁(?P<tri>/?\w{2,30})▷|<<(?P<sys>/?SYS)>>)"
)
_UNFINISHED = re.compile(  # may still become a token
    r"(?:<(?:[|｜][^<>|｜\n]{0,88}[|｜]?|<?/?S?Y?S?>?|/?[A-Za-z_][^<>]{0,89})?|\[/?[A-Z_]{0,31}|◁/?\w{0,30})\Z"
)
_ELEMENTS = frozenset(
    "a abbr b blockquote br cite code div em font form h1 h2 h3 h4 h5 h6 hr i iframe img input kbd li mark meta object "
    "ol p pre q script small source span strong style sub sup svg table tbody td th thead tr u ul video math".split()
)
_THOUGHT = re.compile(
    r"think|thought|reason|reflect|scratch|monolog|deliberat|analy[sz]|rationale|ponder|contemplat|brainstorm|details"
)
_ANSWER = re.compile(r"(?:final_?)?(?:answer|output|response|result|solution|reply|conclusion|text|content)?(?:final)?")
_TOOL = re.compile(r"tool|function|python_tag|plugin|interpreter")
_OURS, _OTHERS = {"assistant", "model", "bot", "gpt", "ai", ""}, {"user", "human", "system", "developer", "observation", "query", "ipython", "environment"}  # fmt: skip
_HEADERS = {"start", "im_start", "start_header_id", "header_start", "start_of_turn", "turn", "channel", "role_start"}
_ENDS = re.compile(
    r"(?:im_)?end|return|call|s|eo[smt](?:_?id)?|eo[smt]_token|eod|endoftext|end_?of_?(?:text|turn|sentence|message|document|utterance)|turn_end"
)
_BARE = re.compile(r"\s*(?:(?P<hides>analysis|commentary)(?=[A-Z\n])|(?:assistant)?final(?=[A-Z\n]))")
_BARE_END = re.compile(rf"assistant\s{{0,2}}final(?=[A-Z\s])|{VOID}")
_HEADING = re.compile(
    r"\s*[*#_ ]{0,6}(?:thinking|thoughts?|reasoning|analysis)(?: process)?[*_]{0,6}:[*_ ]{0,6}", re.IGNORECASE
)
_HEADING_END = re.compile(
    rf"\n[*#_ ]{{0,6}}(?:final )?(?:answer|response)[*_]{{0,6}}:[*_ ]{{0,6}}(?=[^*_ ])|{VOID}", re.IGNORECASE
)  # under _LONGEST_BEGINNING
_BEGINNINGS = ("analysis", "commentary", "assistantfinal", "final", "thinking", "thought", "reasoning")
_LONGEST_BEGINNING = 40  # characters from which a heading or a bare channel is told
_HEADER = 60  # characters a header may have
_STOP = '.!?…])"”*'
_GLUED = ("assistant", "user", "system")  # what is left of a turn's header whose tokens were taken out
_GLUING = re.compile(r"(?<=[.!?…\])\"”*])([a-z]{1,9})(\s*)\Z")
_ROLE = re.compile(r"(?<=[.!?…\])\"”*])(assistant|user|system)(?=[ \t]*\n|\s*\Z)")

Kind = Literal["thought", "answer", "role", "header", "end", "tool", "drop", "unknown", "text", "through"]


class Token(NamedTuple):
    """A control token: what it is, its bare name, and whether it ends what that name began."""

    kind: Kind
    name: str
    closes: bool
    raw: str


def cleaned(reply: str) -> str:
    """What a whole reply says to the reader."""
    cleaner = Cleaner()
    return (cleaner.feed(reply) + cleaner.close()).rpartition(VOID)[2]


class Cleaner:
    """A reply in pieces: `feed` each, then `close`; both give what is known to be meant for the reader.

    `orphan` is true once an end came without a beginning, `told` once thoughts were told by both or by that.
    With `waits` nothing is given before an orphan, or the end.
    """

    def __init__(self, *, waits: bool = False) -> None:
        self.orphan = self.told = False
        self._waits = waits
        self._left = ""  # not yet read
        self._begun = False  # the beginning has been looked at
        self._said = ""  # the last characters that were given
        self._line = "\n"  # the character before what is left; a heading begins a line
        self._last = ""  # the character before what is left, given or not
        self._raw = ""  # the last character that was to be given, as it came
        self._out = ""
        self._hidden: Kind | Literal["turn", "channel", "bare", "heading"] | None = None
        self._name = ""  # of what is hidden
        self._depth = 0
        self._inside = ""  # what an unknown tag or a heading encloses, in case nothing follows
        self._spare = ""
        self._header: str | None = None
        self._header_name = ""
        self._glue = ""  # may be the name of a role that begins another turn
        self._through = ""  # a tool call, which is left to who reads it
        self._pending = ""  # an unknown tag that may be the end
        self._over = False  # an answer, and another's turn
        self._doubt = False  # an unknown tag ended what none began

    def feed(self, text: str) -> str:
        """Read one more piece."""
        self._left += text
        self._read(final=False)
        return self._given()

    def close(self) -> str:
        """Nothing more comes."""
        self._read(final=True)
        if self._header is not None and not self._header_name:
            self._say(self._header)
        if self._hidden is None:
            self._say("", last=True)
        if not self._said.strip():
            kept = self._spare or (self._inside if self._hidden in ("unknown", "heading") else "")
            self._hidden, self._pending = None, ""
            again = Cleaner()
            again._begun = True
            self._say(f"{again.feed(kept)}{again.close()}".rpartition(VOID)[2] if kept else "", last=True)
        self._waits = False
        return self._given()

    def _given(self) -> str:
        if self._waits:
            return ""
        out, self._out = self._out, ""
        return out

    # --- reading --------------------------------------------------------------------------------

    def _read(self, *, final: bool) -> None:
        if not self._begun and not self._begin(final):
            return
        while self._left:
            if self._hidden == "bare" or self._hidden == "heading":
                if not self._reach(_BARE_END if self._hidden == "bare" else _HEADING_END, final):
                    return
                continue
            found, held = _TOKEN.search(self._left), None if final else _UNFINISHED.search(self._left)
            if not found or (held and held.start() < found.start()):
                cut = held.start() if held else len(self._left)
                self._last = (self._last + self._left[:cut])[-1:]
                self._text(self._left[:cut], final)
                self._left = self._left[cut:]
                return
            before, self._left = self._left[: found.start()], self._left[found.end() :]
            token = _as_token(found, (self._last + before)[-1:])
            self._last = found[0][-1]
            self._text(before, False)
            self._take(token)

    def _begin(self, final: bool) -> bool:
        """Look at the first characters: is it a channel without its tokens, or a heading? False: too few are here."""
        text = self._left.lstrip()
        start = text.lstrip("*#_ ").lower()
        known = any(word.startswith(start[: len(word)]) for word in _BEGINNINGS)
        if known and len(text) < _LONGEST_BEGINNING and not final:
            return False
        if not text and not final:
            return False
        self._begun = True
        if bare := _BARE.match(self._left):
            self._left = self._left[bare.end() :]
            self._hidden = "bare" if bare["hides"] else None
        elif heading := _HEADING.match(self._left):
            self._inside = self._left[: heading.end()]
            self._left, self._hidden = self._left[heading.end() :], "heading"
        return True

    def _reach(self, end: re.Pattern[str], final: bool) -> bool:
        """Go to where what is hidden without tokens ends. False: not yet here."""
        if found := end.search(self._line + self._left):
            self._left, self._hidden, self._inside = found.string[found.end() :], None, ""
            return True
        cut = max(0, len(self._left) - (0 if final else _LONGEST_BEGINNING))
        self._inside += self._left[:cut]
        self._line, self._left = (self._line + self._left[:cut])[-1:], self._left[cut:]
        return False

    def _text(self, text: str, final: bool) -> None:
        if self._header is not None and not self._over:
            text = self._head(text)
        if self._hidden:
            self._inside += text if self._hidden == "unknown" else ""
        elif text:
            self._say(text)

    def _head(self, text: str) -> str:
        """Text in a header: a role, a channel; what follows it in the text."""
        whole = f"{self._header}{text}"
        name, newline, rest = whole.partition("\n")
        if newline and len(name) <= _HEADER and (name.strip() or self._header_name == "channel"):
            self._header = name
            self._decide()
            return rest
        if len(whole) > _HEADER:  # no header: the token meant something else
            self._header = None
            return whole
        self._header = whole
        return ""

    def _decide(self) -> None:
        """A header is whole: is what follows meant for the reader?"""
        word = re.match(r"\s*([A-Za-z_]*)", self._header or "")[1].lower()  # type: ignore[index]
        if self._header_name == "channel":
            self._hidden, self.told = None if _ANSWER.fullmatch(word) and word else "channel", True
        else:
            self._turn(word)
        self._header = None

    def _turn(self, role: str) -> None:
        """A turn begins. After an answer and somebody else's turn, what follows is made up, whoever says it."""
        self._over |= role not in _OURS and bool(self._said.strip())
        self._hidden = None if role in _OURS and not self._over else "turn"

    # --- tokens ---------------------------------------------------------------------------------

    def _take(self, token: Token) -> None:
        if self._over:
            return
        if self._through or token.kind == "through":
            self._through = "" if token.closes and token.name == self._through else self._through or token.name
            self._say(token.raw)
        elif token.kind == "text":
            self._text(token.raw, False)
        elif (token.name == "message" and self._header is not None) or (
            token.closes and token.name.endswith("header_id") and self._header is not None
        ):
            self._decide()
        elif token.kind == "header" and not token.closes:
            self._header, self._header_name = "", token.name
            self._hidden = None if self._hidden != "unknown" else self._hidden
        elif self._header is not None and token.kind == "drop":
            self._header += " "
        else:
            if self._header is not None:
                self._decide()
            (self._take_hidden if self._hidden else self._take_open)(token)

    def _take_hidden(self, token: Token) -> None:
        if self._hidden == "unknown":
            self._take_unknown(token)
        elif token.raw == VOID or (token.kind == "answer" and not token.closes and self._hidden == "thought"):
            self._hidden = None
        elif token.kind == "role":
            self._turn(token.name)
        elif self._hidden == "thought" and token.kind == "thought":
            self._depth += -1 if token.closes else token.name == self._name
            self._hidden = None if self._depth <= 0 else self._hidden
        elif (self._hidden == "tool" and token.kind == "tool" and token.closes) or (
            self._hidden == "channel" and (token.kind == "end" or (token.closes and token.kind == "header"))
        ):
            self._hidden = None

    def _take_unknown(self, token: Token) -> None:
        if token.closes and token.name == self._name:
            self._hidden, self._spare, self._inside = None, self._inside, ""
        elif token.raw == VOID:
            self._hidden, self._inside = None, ""
        else:
            self._inside += token.raw

    def _take_open(self, token: Token) -> None:
        if token.kind == "thought" or (token.kind == "header" and token.closes):
            if token.closes:
                self._void()
            else:
                self._hidden, self._name, self._depth, self.told = "thought", token.name, 1, True
        elif token.kind == "role":
            self._turn(token.name)
        elif token.kind == "end":
            self._hidden = "turn" if self._said.strip() else None
        elif token.kind == "tool":
            self._hidden = None if token.closes else "tool"
        elif token.kind == "unknown":
            self._meet(token)
        elif token.kind == "answer":
            self._pending = ""

    def _meet(self, token: Token) -> None:
        """An unknown tag: a thought where it opens the reply, else text if text follows it."""
        if not token.closes and not self._said.strip():
            self._hidden, self._name, self._inside = "unknown", token.name, ""
        elif token.closes and self._said.rstrip(" ")[-1:] in f"{_STOP}\n" and f"<{token.name}" not in self._said:
            self._doubt = True
        else:
            self._pending += token.raw

    def _void(self) -> None:
        self.told = True
        if self._said.strip():
            self.orphan = True
            self._out = "" if self._waits else f"{self._out}{VOID}"
        self._waits, self._said, self._pending, self._doubt, self._spare = False, "", "", False, ""

    def _say(self, text: str, *, last: bool = False) -> None:
        """Give text to the reader; a role's name that is glued to a sentence begins another turn."""
        if self._doubt:
            if not text.strip():
                return
            self._void()
            text = text.lstrip()
        if self._pending:
            text, self._pending = self._pending + text, "" if text.strip() else self._pending + text
            if self._pending:
                return
        before, self._raw = self._raw, (self._raw + text)[-1:]
        text = re.sub(r"(?<=\S)Ġ", " ", before + text)[len(before) :]  # a blank as tokenizers write it
        text, self._glue = self._glue + text, ""
        held = None if last else _GLUING.search(self._said[-1:] + text)
        if held and any(role.startswith(held[1]) for role in _GLUED):
            self._glue = held[1] + held[2]
            text = text.removesuffix(self._glue)
        while glued := _ROLE.search(self._said[-1:] + text):
            at = glued.start() - len(self._said[-1:])
            if glued[1] != "assistant":
                text, self._hidden, self._over = text[:at], "turn", True
                break
            text = f"{text[:at]}\n{text[at + len(glued[1]) :]}"
        self._out += text
        self._said = (self._said + text)[-200:]


def _as_token(found: re.Match[str], before: str) -> Token:
    """What a token is, by its shape and its name."""
    shape, raw = str(found.lastgroup), found[0]
    name = re.sub(r"[▁ .-]+", "_", found[shape].lower()).rpartition(":")[2]
    closes = found[shape].startswith("/") or shape == "right"
    name = name.lstrip("/")
    if shape in ("pipe", "left", "right") and (len(name) < 3 or _is_measure(name, before)):
        return Token("text", name, closes, raw)
    if shape == "tag" and name in _ELEMENTS - {"s"}:
        return Token("text", name, closes, raw)
    if name == "turn" and closes:
        return Token("end", name, closes, raw)
    if name in _HEADERS:
        return Token("header", name, closes, raw)
    if (shape != "square" and _ENDS.fullmatch(name)) and not (shape == "tag" and name in ("end", "call", "return")):
        return Token("drop" if name == "s" and not closes else "end", name, closes, raw)
    base = re.sub(r"^(?:begin|start|end|eo)_?(?:of_?)?|_?(?:begin|start|end)$", "", name) or name
    closes = closes or bool(re.match(r"end_?(?:of_?)?\w|eo_?[^mst]", name)) or name.endswith("_end")
    if base in _OURS | _OTHERS and shape in ("pipe", "left"):
        return Token("role", base, closes, raw)
    if name.endswith("header_id"):
        return Token("drop", name, True, raw)
    if _TOOL.search(base):
        return Token("through" if shape == "tag" else "tool", base, closes, raw)
    if _THOUGHT.search(base):
        return Token("thought", base, closes, raw)
    if base and _ANSWER.fullmatch(base):
        return Token("answer", base, closes, raw)
    if shape == "sys" or base == "inst":
        return Token("drop", base, closes, raw)
    if shape in ("tag", "square"):
        return Token("unknown", base, closes, raw)
    return Token("drop", name, closes, raw)


def _is_measure(name: str, before: str) -> bool:
    """Is "<|nu|>" a quantity in an inequality, as in "|mu|<|nu|>0"?"""
    known = name in _HEADERS | _OURS | _OTHERS or _ENDS.fullmatch(name)
    return len(name) <= 6 and "_" not in name and before == "|" and not known
