"""What shape of answer does a question want: what a name means, a comparison, the papers that have a name, a point?

Read off the wording alone, by rules a person can check. A long background and orders to the machine
are not what is asked: then only the sentences that ask are searched, if they stand by themselves.
`FORMS` is the table of wordings about names, each with examples that are its tests: "@" in a pattern, braces in an
example, stand for a name of the library.
"Which benchmarks ..." and "datasets for ..." want a list: one sentence from every paper that belongs.
A question that asks several things ("how does X do A, and what did Y find?") is cut into its parts
at conjunctions and punctuation; each part may be answered by a paper of its own. Everything else
wants a point: the sentences of one paper.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rag.text import Span, sentences, terms

MOST_PARTS = 5
MANY = 9  # names that papers introduce, where nobody says how many
LONGEST_COMPARISON = 24  # words
LONGEST_LITERAL = 5  # words that papers are to have word for word
OWN_TERMS = 5  # words of meaning with which an asking sentence stands by itself
_THINGS = (
    r"(?:papers|benchmarks|data ?sets|corpora|methods|ways|models|systems|approaches|techniques|recipes|tools|testbeds|"
    r"suites|works(?! best| well| better)|studies|surveys|environments|metrics|resources|libraries|frameworks|algorithms|evaluations|collections|"
    r"proposals|attempts|projects|articles|research|literature|work)"
)
_WORDS = (
    r"(?:(?!(?:to|of|in|on|at|by|from|does|do|did|is|are|was|were|has|had|the|an?|happens?|makes?)\b)[\w-]+[ /]+){0,4}?"
)
_LIST = re.compile(
    rf"^\W*(?:please\s+)?(?:list|name|enumerate)\s+(?!of\b|the\b|an?\b)|"
    rf"\b(?:which|what)\s+{_WORDS}{_THINGS}\b|"
    rf"^\W*(?!why|how|when|where|do|does|did|is|was|were|can|could|should|will|would|if|i|we)"
    rf"{_WORDS}{_THINGS}\s+(?:for|on|about|that|of|with|to|proposing|using)\b|"
    rf"^\W*(?:anything|something|everything|overviews?|surveys?)\s+(?:of|on|about|for)\b|"
    rf"\b(?:any|all|other|more|some|are there|give me|show me|find(?: me)?)\s+{_WORDS}{_THINGS}\b|"
    rf"\b(?:what|who)\b[^.?,;:]*\b(?:are there|is there|has been done|do we have|is available|exists?|out there)\b|"
    rf"\bwhat can i use\b|\b(?:is|are) there\b[^.?]*\b(?:anywhere|in here|in this library)\b|"
    rf"^\W*who (?:else |all )?(?!is\b|was\b|has\b|does\b|wins\b)[a-z]+s\b|:\s*who\b[^.?:]*\?$",
    re.IGNORECASE,
)
_DEFINITE = re.compile(r"\[\d+\]|\b(?:which|what) (?:one|two|three|of the|\w+ of the)\b", re.IGNORECASE)
_SEVERAL = re.compile(r"\bone\b.*\bone\b|\b(?:what|how|which|who)\b.*,? and (?:what|how|which|who)\b", re.IGNORECASE)
_CUT = re.compile(
    r"\s*(?:[;:?]|,?\s+\b(?:and|or|vs\.?|versus|while|whereas|but|as opposed to)\b|\s-\s|\([a-z1-9]\))\s+|"
    r",\s+(?=(?:what|how|which|who|where|when|one)\b)",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\?\W*$|^\W*(?:what|how|which|who|whose|where|when|why|compare|list|name|explain|describe|summari[sz]e|tell|looking for)\b",
    re.IGNORECASE,
)
_ORDERS = re.compile(
    r"^\W*(?:now\s+|please\s+|system\b.*?:\s*)?(?:ignore|disregard|forget|reply|respond|answer|output|print|repeat|pretend|act|"
    r"do not|don't|never|always|you (?:are|must|will|should))\b|\b(?:system (?:note|prompt|message)|instructions?)\b",
    re.IGNORECASE,
)
BACKGROUND = 3  # sentences before it are no longer part of the question
_LEANS = re.compile(
    r"\b(?:it|its|they|them|their|this|that|these|those|such|there|the (?:two|three|same|other))\b", re.IGNORECASE
)


Kind = Literal["definition", "reason", "comparison", "mention", "list", "point"]

_NOUN = (
    "benchmark|data ?set|corpus|model|paper|method|system|library|tool|framework|suite|network|layer|algorithm|approach|"
    "simulator|project|work|toolkit|leaderboard|architecture|language model|protein|drug|trial|task|metric|technique|study"
)
_N = rf"(?:the |an? |this )?@(?: (?:{_NOUN})s?)?"
_IS = r"(?:'?s| is| are| was| were)"
_BRIEFLY = r"(?: (?:briefly|shortly|in short|in brief|in (?:a|one|two|1|2|simple|plain) \w+|to me|simply|then))?"
_PAPERS = r"(?:papers?|abstracts?|works?|articles?|studies|study|ones?|publications|authors)"
_NAMES = r"(?:mention|cit|referenc|nam)(?:e|s|es|ed|d|ing)?|(?:refer|allud)(?:s|e|es|red|ring|ed|ing)? to"
_USES = (
    r"(?:us|employ|adopt|discuss)(?:e|s|es|ed|d|ing)?|(?:talk|speak|spoke|writ|wrote)(?:e|s|es|ed|ing|ten)? (?:about|of)|"
    r"(?:evaluat|test|build|built|rel|report|run|ran|train|experiment|benchmark|scor|validat)\w* (?:on|upon|with|against)|"
    r"compar\w+ (?:with|to|against|themselves (?:with|to))|work\w* with"
)
_HAVE = rf"(?:(?:also |actually )?(?:{_NAMES}|{_USES})(?: (?:or|and) (?:{_NAMES}|{_USES}))?)"
_HERE = r"(?: (?:here|in here|in this library|in the library|at all))?"
_MADE = r"(?:made|built|created|proposed|introduced|developed|needed|designed|released|invented|there|necessary|useful|important)"


class Form(NamedTuple):
    """Wordings that ask for one kind of answer about a name, and examples of them."""

    kind: Kind
    pattern: str
    examples: tuple[str, ...]


FORMS = (
    Form("reason", rf"why (?:was|were|is|are|does|do (?:we|you|people|they)|did (?:they|the authors)|should (?:we|i|one)) "
         rf"(?:(?:make|build|create|propose|introduce|need|use|want|have) )?{_N}(?: (?:{_MADE}|exist|matter))?",
         ("Why was {S4} made?", "why do we need {PoNet}", "Why is the {BEIR} benchmark useful?", "why does {S4} exist?")),
    Form("reason", rf"why (?:use )?{_N}", ("Why {S4}?", "why use {BEIR}")),
    Form("reason", rf"what{_IS} {_N} (?:(?:made|good|used|built|meant|intended|needed) )?for",
         ("what is {BEIR} for?", "What's the {S4} model good for?")),
    Form("reason", rf"(?:what|which)(?: (?:kind|sort) of)? (?:problems?|issues?|gaps?|needs?|shortcomings?) "
         rf"(?:does|do|did|is|was) {_N} (?:(?:try|want|meant|supposed) to )?(?:solve|address|tackle|fix|fill|overcome)",
         ("What problem does {S4} solve?", "which gap does {BEIR} fill", "what issues is {S4} meant to fix?")),
    Form("reason", rf"what (?:does|do|did) {_N} (?:solve|address|tackle|fix)", ("what does {S4} solve",)),
    Form("reason", rf"(?:what{_IS} )?(?:the )?(?:purpose|point|motivation|reason|goal|aim|rationale|idea) (?:of|behind|for) {_N}",
         ("What is the purpose of {BEIR}?", "motivation behind {S4}", "what's the point of {PoNet}")),
    Form("definition", rf"(?:what|who){_IS}? {_N}(?: (?:about|again|exactly|all about|actually|short for))?",
         ("What is {S4}?", "what's {H3}", "whats {S4D} again", "What is the {BEIR} benchmark about?", "what are {SSMs}?")),
    Form("definition", rf"what (?:does|do|did) {_N} (?:do|mean|stand for|offer|provide)", ("What does {FlashConv} do?", "what does {LRA} stand for")),
    Form("definition", rf"{_N}(?: (?:what{_IS} (?:it|that|this)|what does (?:it|that) (?:do|mean)|meaning|definition|in general))?{_BRIEFLY}",
         ("{PoNet}?", "{CodeXGLUE} what is it", "{Mnemosyne}: what does it do?", "{UnMix-TNS}, in short?", "{S4} meaning")),
    Form("definition", rf"(?:define|explain|describe|introduce|summari[sz]e|sum up|(?:tell|teach) (?:me|us)(?: more)? about|what can you (?:tell|say)(?: me)? "
         rf"about|what do you know about|give me (?:a|an|the) \w+ (?:of|on)|(?:a |the )?(?:definition|summary|overview) of|"
         rf"i (?:keep|kept|am|was) (?:reading|hearing) (?:about|of)|i (?:have )?(?:heard|read|saw) (?:of|about)|(?:something|anything) about|"
         rf"(?:explain|describe|tell me|say|i want to know)(?: to me)? what|explain to me(?: what)?) {_N}(?: (?:is|are|means?|does))?"
         rf"(?: about)?(?: what{_IS} (?:that|it|this))?{_BRIEFLY}",
         ("Define {S4}.", "Can you explain {S4}?", "tell me about {BEIR}", "Explain {S4} in a sentence", "describe {ReALM} in one sentence",
          "Could you explain what the {Languini Kitchen} is?", "I keep reading about {S4}. What is that?", "Tell me what {FlashConv} is.")),
    Form("definition", rf"what do (?:people|they|you|we|the authors) mean (?:by|with) {_N}", ("what do people mean by {S4}",)),
    Form("mention", rf"(?:(?:which|what|list|show(?: me)?|find(?: me)?|give me|name|are there|in)(?: (?:all|the|any|every))* )?"
         rf"{_PAPERS}(?: (?:here|in here|that|which|do|does|to))* (?P<verb>{_HAVE}) (?P<of>.+?){_HERE}",
         ("Which papers mention {S4}?", "which papers use {S4}", "List all papers that refer to {BEIR}.", "papers mentioning {S4}",
          "list papers mentioning {arena-hard}", "which ones mention batch normalization", "What papers here evaluate on {Path-X}?")),
    Form("mention", rf"(?:who|what|which|anyone|anybody)(?: (?:else|here|all))* (?P<verb>{_HAVE}) (?P<of>.+?){_HERE}",
         ("who else talks about {S4}?", "what here cites or uses {S4}?", "Who evaluates on {Path-X}", "who used {A100} GPUs?")),
    Form("mention", rf"(?:in )?(?:which|what) {_PAPERS} (?:does|do|is|are) (?P<of>.+?) (?P<verb>occur|appear|mentioned|named|cited|used|come up)(?: in)?",
         ("In which abstracts does {S4} occur?", "which papers is {S4} mentioned in")),
    Form("mention", rf"(?P<of>.+?) (?:in )?(?:which|what) {_PAPERS} (?:is|are|do|does)?(?: (?:it|they))? ?(?P<verb>mentioned|used|cited|named|(?:mention|use|cite) it)",
         ("{HiPPO}: in which papers is it mentioned?", "{S4}, which papers use it?")),
    Form("mention", rf"(?P<of>.+?) (?:is|are|gets?) (?P<verb>mentioned|named|cited|used|discussed) (?:by|in) (?:which|what)(?: {_PAPERS})?",
         ("{DeepSpeed} is mentioned by which papers?",)),
    Form("mention", rf"where(?: else)? (?:is|are|does|do) (?P<of>.+?) (?P<verb>mentioned|named|cited|used|occur|appear|come up){_HERE}", ("where is {BLEU} mentioned",)),
    Form("mention", rf"(?:list |show |all |the |any )*{_PAPERS} (?:with|containing|that (?:have|contain)) (?P<of>.+?) (?P<verb>in (?:them|it|the (?:abstract|text|title)s?))",
         ("papers with {Bradley-Terry} in them",)),
)  # fmt: skip
_COMPILED = tuple((form.kind, re.compile(form.pattern)) for form in FORMS)
_POLITE = re.compile(
    r"^(?:(?:please|can you|could you|would you|will you|hi|hello|hey|ok|okay|so|now|well|and|but|also|kindly|quick question|just|"
    r"do you know|i wonder|i would like to know|i'd like to know) )+|(?: (?:please|thanks|thank you|again please|for me))+$"
)
_LITERAL = re.compile(rf"{_NAMES}|occur|appear|in (?:them|it|the)")
_ONE_NAME = re.compile(r"(?:the |an? )?(?:@(?: (?:\w+|@))?|@ (?P<joins>and|or) @)")
_COMPARES = re.compile(
    r"\b(?:compar\w+|vs|versus|differ\w*|distinguish\w*|than|in common|simil\w*|same|alike|both|either|each|or|beats?|outperforms?|"
    r"better|worse|as (?:good|large|fast|big|many|much) as|trade-?offs?|respectively|two|what about|against)\b"
)
_PLAIN = re.compile(  # words of a comparison that name no aspect
    r"\b(?:compar\w+|comparison|vs|versus|differ\w*|distinguish\w*|than|in common|simil\w*|same|alike|both|either|each|better|worse|"
    r"beats?|outperforms?|relat\w+|between|have|which|one|what|should|best|choose|pick|recommend\w*|prefer|use|i|about|thing|things|good|to|with|against|the|main|"
    r"how|does|do|is|are|or|and|from|of|please|me|a|in|on|it|there|contrast|two|ones?|main|me|tell|show|paper|papers|other|each)\b"
)
_FIGURES = re.compile(
    r"\b(?:larger|bigger|smaller|longer|shorter|faster|slower|cheaper|more|most|fewer|harder|easier|higher|lower|newer|older|largest|"
    r"biggest|fastest|smallest|size|how (?:much|many|large|big|fast|long|well)|parameters|score\w*)\b"
)
_VERDICT = re.compile(r"\W*(?:and |but )?(?:does|do|did|can|could|should|has|have)\b", re.IGNORECASE)
_SIDES = re.compile(
    r"compare (?P<x>the .{4,80}? paper) (?:and|with|to|against) (?P<y>the .{4,80}? paper)\b", re.IGNORECASE
)


_STRANGE = r"([\w-]*[A-Z\d][\w-]*)"
_STRANGER = re.compile(
    rf"@ (?:vs\.?|versus|or|better than|worse than|(?:compared|compare) (?:with|to)|differs? from) {_STRANGE}|"
    rf"{_STRANGE} (?:vs\.?|versus|or|better than|worse than|compared (?:with|to)|differs? from) @|"
    rf"(?:[Cc]ompare|between) @ (?:and|with|to) {_STRANGE}|(?:[Cc]ompare|between) {_STRANGE} (?:and|with|to) @"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a question wants.

    kind     "list": one sentence each from all papers that belong; "mention": from all that have a name
    parts    what is asked, if several things
    of       for "mention", what is looked for: places in the list of names, or ()
    literal  for "mention" of what is no name: the words looked for
    every    for "mention" of two names: whether a paper must have both
    aspect   for "comparison", in which respect; "" in general
    figures  for "comparison", whether a figure of each is wanted
    """

    kind: Kind
    parts: tuple[str, ...] = ()
    of: tuple[int, ...] = ()
    literal: str = ""
    every: bool = False
    aspect: str = ""
    figures: bool = False

    @property
    def listing(self) -> bool:
        """Is it a list of papers on a topic?"""
        return self.kind == "list"


def asking(question: str) -> str:
    """The sentences of a question that ask, if they can be understood without the others; else all of it.

    One or two sentences of background belong to a question; more, or an order, are left out.
    """
    said = [question[start:end] for start, end in sentences(question)]
    asks = [sentence for sentence in said if _ASKS.search(sentence)]
    rest = [sentence for sentence in said if sentence not in asks]
    much = len(rest) >= BACKGROUND or any(_ORDERS.search(sentence) for sentence in rest)
    alone = " ".join(asks)
    stands = len(set(terms(alone))) >= OWN_TERMS and not _LEANS.search(asks[0])
    return alone if much and stands else question


def shape(question: str, names: Sequence[Span] = (), sure: int = MANY) -> Shape:
    """The shape of a question in which names stand at those places, in order; papers introduce so many of them.

    Parts are cut out of it in order, each with at least two words of meaning.
    """
    said = template(question, names)
    for kind, pattern in _COMPILED:
        found = pattern.fullmatch(said)
        if found and kind == "mention" and (mention := _mention(found, said)):
            return mention
        if found and kind != "mention" and said.count("@") == 1:
            return Shape(kind)
    if sides(question) or _is_comparison(said, sure):
        return _comparison(question, names, said)
    if _LIST.search(question) and not _SEVERAL.search(question) and not _DEFINITE.search(question):
        return Shape("list")
    cut = [part.strip() for part in _CUT.split(question) if part and len(set(terms(part))) >= 2]
    return Shape("point", tuple(cut[:MOST_PARTS]) if len(cut) > 1 else ())


def compared(question: str, names: Sequence[Span]) -> Shape:
    """The shape of a question that is known to compare what is named."""
    return _comparison(question, names, template(question, names))


def template(question: str, names: Sequence[Span]) -> str:
    """The question in small letters with "@" for each name, without marks and what is only polite."""
    out, at = "", 0
    for start, end in names:
        out += question[at:start].replace("@", " ") + " @ "
        at = end
    out = (out + question[at:].replace("@", " ")).lower().replace("’", "'")
    out = re.sub(r"@ (?:'s?\b|')", "@ ", out)
    plain = " ".join(re.sub(r"[^\w\s@'/%+.-]|[.-](?=\s|$)", " ", out).split())
    return _POLITE.sub("", plain)


def sides(question: str) -> tuple[str, ...]:
    """The two papers that a question compares by what they are about."""
    found = _SIDES.search(question)
    return (found["x"], found["y"]) if found else ()


def strangers(question: str, names: Sequence[Span]) -> str:
    """What is compared with the one name of a question and is no name of the library; "" is nothing."""
    if len(names) != 1:
        return ""
    said = f"{question[: names[0].start]} @ {question[names[0].end :]}"
    found = _STRANGER.search(" ".join(said.split()))
    return next((name.strip(".,?!") for name in found.groups() if name), "") if found else ""


def _is_comparison(said: str, sure: int) -> bool:
    """Are two names or more compared? A long question is rather one of several parts."""
    if said.count("@") < 2 or not sure or len(said.split()) > LONGEST_COMPARISON:
        return False
    return bool(_COMPARES.search(said) or (sure > 1 and _FIGURES.search(said)))


def _mention(found: re.Match[str], said: str) -> Shape | None:
    """What papers are to have; None where a topic is asked for rather than a name."""
    of = found["of"].strip()
    one = _ONE_NAME.fullmatch(of)
    if one:
        first, count = said[: found.start("of")].count("@"), 2 if one["joins"] else 1
        return Shape("mention", of=tuple(range(first, first + count)), every=one["joins"] == "and")
    literal = _LITERAL.search(found["verb"]) or re.search(r"[a-z]-?\d|\d[a-z]", of)
    if "@" not in of and literal and len(of.split()) <= LONGEST_LITERAL:
        return Shape("mention", literal=re.sub(rf"(?<=\S) (?:gpus?|{_NOUN})s?$", "", of.strip("'")))
    return None


def _comparison(question: str, names: Sequence[Span], said: str) -> Shape:
    rest = _PLAIN.sub(" ", said.replace("@", " "))
    aspect = ""
    if found := _SIDES.search(question):
        aspect = question[found.end() :].strip(" :,.-")
    elif set(terms(rest)):
        aspect, at = "", 0
        for start, end in names:
            aspect += question[at:start] + " "
            at = end
        aspect = " ".join((aspect + question[at:]).split())
    verdict = aspect and _VERDICT.match(aspect)
    return Shape("comparison", aspect=aspect, figures=bool(_FIGURES.search(said)) and not verdict)
