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

from rag.library.spellings import strong
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
    rf"\b(?:is|are) there (?:anything|something) (?:on|about|for|with)\b|\b(?:which|what) ones\b|\bwhat can i use\b|\b(?:is|are) there\b[^.?]*\b(?:anywhere|in here|in this library)\b|"
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
_PREAMBLE = re.compile(  # "Anyway, what I actually want to know:"
    r"^\W*(?:(?:anyway|so|well|ok|now)\b\W*)*(?:what (?:i|we) (?:actually |really |just )?(?:want|need|would like) to (?:know|ask|find out)(?: is)?|"
    r"(?:my|the|here is my|here's my) question(?: is)?)\s*[:,]\s*(?=\w)",
    re.IGNORECASE,
)
BACKGROUND = 3  # sentences before it are no longer part of the question
_LEANS = re.compile(
    r"\b(?:it|its|they|them|their|this|that|these|those|such|there|the (?:two|three|same|other))\b", re.IGNORECASE
)


Kind = Literal["definition", "reason", "comparison", "mention", "list", "point"]

_NOUN = (
    "benchmark|data ?set|corpus|model|paper|method|system|library|tool|framework|suite|network|layer|algorithm|approach|"
    "simulator|project|work|toolkit|leaderboard|architecture|language model|protein|drug|trial|task|metric|technique|study|test"
)
_N = rf"(?:the |an? |this )?@(?: (?:{_NOUN})s?)?"
_IS = r"(?:'?s| is| are| was| were)"
_BRIEFLY = r"(?: (?:briefly|shortly|in short|in brief|in (?:a|one|two|1|2|simple|plain) \w+|to me|simply|then))?"
_PAPERS = r"(?:papers?|abstracts?|works?|articles?|studies|study|ones?|publications|authors)"
_NAMES = r"(?:bring|brings|brought|bringing) up|(?:mention|cit|referenc|nam)(?:e|s|es|ed|d|ing)?|(?:refer|allud)(?:s|e|es|red|ring|ed|ing)? to"
_USES = (
    r"(?:us|employ|adopt|discuss)(?:e|s|es|ed|d|ing)?|(?:talk|speak|spoke|writ|wrote)(?:e|s|es|ed|ing|ten)? (?:about|of)|"
    r"(?:evaluat|test|build|built|rel|report|run|ran|train|experiment|benchmark|scor|validat)\w* (?:on|upon|with|against)|"
    r"compar\w+ (?:with|to|against|themselves (?:with|to))|work\w* with"
)
_HAVE = rf"(?:(?:also |actually )?(?:{_NAMES}|{_USES})(?: (?:or|and) (?:{_NAMES}|{_USES}))?)"
_HERE = r"(?: (?:here|in here|in this library|in the library|at all|anywhere|(?:are|is) there|in (?:its|their|the) (?:abstract|text|title)s?|in total))*"
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
    Form("mention", rf"(?:(?:which|what|how many|(?:the )?number of|count(?: the)?|list|show(?: me)?|find(?: me)?|give me|name|(?:are|is) there|do|does|did|has|have|in|all|any|every|each)(?: (?:all|the|an?|any|every|other|more|of the))* )?"
         rf"{_PAPERS}(?: (?:here|in here|in this library|that|which|do|does|did|to|is|are|there|ever|actually))* (?P<verb>{_HAVE}) (?P<of>.+?){_HERE}",
         ("Which papers mention {S4}?", "which papers use {S4}", "List all papers that refer to {BEIR}.", "papers mentioning {S4}",
          "list papers mentioning {arena-hard}", "which ones mention batch normalization", "What papers here evaluate on {Path-X}?", "how many papers mention {S4}?",
          "does any paper use {S4}?", "is there a paper that mentions {BEIR}", "number of papers citing {S4}")),
    Form("mention", rf"(?:is|are|was|were) (?P<of>.+?) (?:ever |also |even )?(?P<verb>mentioned|named|cited|used|discussed)"
         rf"(?: (?:anywhere|somewhere|at all|here|in (?:any|some|an?|one|this|the) (?:{_PAPERS}|library)|by (?:any|some|a|one|other) {_PAPERS}|by any(?:one|body)(?: else)?))+",
         ("is {S4} mentioned anywhere?", "Is {BEIR} used in any paper?", "is {S4} cited by anyone else")),
    Form("mention", rf"(?:(?:show(?: me)?|list|find|give me|how many|count) )?(?:all |any |every |the |are there )*(?P<verb>mentions?|citations?|occurrences?) (?:of|to) (?P<of>.+?){_HERE}",
         ("all mentions of {S4}", "show me every mention of {BEIR} here")),
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
_ASKING = frozenset(  # words beside a name that only ask what it is
    """what what's whats wat wats wht which it's i'd i'm that's is are was were be the a an this that it in on of to for about by with from as and so then again exactly actually
    really just please can could would you somebody someone anybody anyone do does did i we me us my let let's give get got show tell
    say explain explained explanation describe described description define definition mean means meaning meant refer refers stand
    stands short brief quick rough simple simply briefly shortly summary summarize summarise summarized sum up gist overview
    idea outline introduction intro rundown primer basics basic info information background eli5 wtf hell heck earth heard hear
    hearing read reading saw seen keep kept learn know understand need want like love wonder wondering curious help confused unsure if
    kind sort type thing something anything some all more concept term word name called line sentence sentences words plain english
    layman layman's terms own idea detail details there here""".split()
)
_WHY = re.compile(
    r"\bwhy\b|\b(?:reasons?|purpose|motivat\w+|rationale|aims?|goals?|point|inspired|prompted|gaps?)\b|\b(?:use|used|useful|good|meant) (?:of|for|at)\b|\bhow come\b|"
    r"\b(?:problems?|needs?|issues?) (?:does|do|did|is)\b"
)
_GIVING_REASONS = frozenset(
    """why how come for main idea reason reasons purpose motivation motivations motivate motivates motivated rationale aim aims goal goals point inspired inspire prompted
    behind gap gaps use used useful good make makes made making build built building create created creating design designed develop
    developed introduce introduced propose proposed invent invented exist exists they them their authors author's people one there
    need needs needed problem problems issue issues solve solves solving address addresses fix fixes fill fills meet meets tackle tackles
    trying try supposed intended main our""".split()
)
_POLITE = re.compile(
    r"^(?:(?:thanks|thank you|great|cool|nice|good|perfect|right|sure|yes|no|alright|hm+|oh|then|please|can you|could you|would you|will you|hi|hello|hey|ok|okay|so|now|well|and|but|also|kindly|quick question|just|"
    r"do you know|i wonder|i would like to know|i'd like to know) )+|(?: (?:please|thanks|thank you|again please|for me))+$"
)
_LITERAL = re.compile(rf"{_NAMES}|occur|appear|in (?:them|it|the)")
_ONE_NAME = re.compile(r"(?:the |an? )?(?:@(?: (?P<after>\w+|@))?|@ (?P<joins>and|or) @)")
_COMPARES = re.compile(
    r"\b(?:compar\w+|vs|versus|apart|relative to|stacks? up|pros and cons|advantages?|contrast\w*|overlap\w*|relation\w*|as opposed to|rather than|instead of|come first|came first|v|differ\w*|distinguish\w*|than|in common|simil\w*|same|alike|both|either|each|or|beats?|outperforms?|"
    r"better|worse|as (?:good|large|fast|big|many|much) as|trade-?offs?|respectively|two|what about|against)\b"
)
_OPPOSES = re.compile(r"\b(?:compar\w+|vs|versus|differ|differences?|contrast\w*|better than)\b")
_PLAIN = re.compile(  # words of a comparison that name no aspect
    r"\b(?:compar\w+|comparison|vs|versus|differ\w*|distinguish\w*|than|in common|simil\w*|same|alike|both|either|each|better|worse|"
    r"beats?|outperforms?|relat\w+|between|have|which|one|what|v|should|best|choose|pick|recommend\w*|prefer|use|i|about|thing|things|good|to|with|against|the|main|"
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


_STRANGE = r"(?:the )?([\w-]*[A-Z\d][\w.-]*\w|[\w-]*\d)"
_JOINED = r"(?:vs\.?|versus|or|against|(?:better|worse|faster|slower|larger|bigger|smaller|cheaper|harder|newer|stronger) than|(?:compared|compare|similar|relative) (?:with|to)|(?:differs?|different|apart) from)"
_STRANGER = re.compile(
    rf"@ {_JOINED} {_STRANGE}|{_STRANGE} {_JOINED} @|(?:[Cc]ompare|between|[Cc]ontrast) @ (?:and|with|to) {_STRANGE}|"
    rf"(?:[Cc]ompare|between|[Cc]ontrast) {_STRANGE} (?:and|with|to) @|@,? (?:and|vs\.?|or|,) {_STRANGE}\W*$"
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
    return _PREAMBLE.sub("", alone if much and stands else question)


def shape(question: str, names: Sequence[Span] = (), sure: int = MANY) -> Shape:
    """The shape of a question in which names stand at those places, in order; papers introduce so many of them.

    Parts are cut out of it in order, each with at least two words of meaning.
    """
    said = template(question, names)
    for kind, pattern in _COMPILED:
        found = pattern.fullmatch(said)
        if found and kind == "mention" and (mention := _mention(found, said, question, names)):
            return mention
        if found and kind != "mention" and said.count("@") == 1:
            return Shape(kind)
    if said.count("@") == 1 and (of_one := _asked_of_one(said)):
        return Shape(of_one)
    if sides(question) or _is_comparison(said, sure):
        return _comparison(question, names, said)
    if _LIST.search(question) and not _SEVERAL.search(question) and not _DEFINITE.search(question):
        return Shape("list")
    cut = [part.strip() for part in _CUT.split(question) if part and len(set(terms(part))) >= 2]
    return Shape("point", tuple(cut[:MOST_PARTS]) if len(cut) > 1 else ())


def _asked_of_one(said: str) -> Kind | None:
    """What is asked of the one name of a question that has no other word of meaning: what it is, or why."""
    beside = set(re.sub(rf"@ (?:{_NOUN})s?\b", "@", said).split()) - {"@"} - _ASKING - set(_NOUN.split("|"))
    if not beside:
        return "definition"
    return "reason" if _WHY.search(said) and beside <= _GIVING_REASONS else None


def compared(question: str, names: Sequence[Span]) -> Shape:
    """The shape of a question that is known to compare what is named."""
    return _comparison(question, names, template(question, names))


_ASKS_VERDICT = re.compile(
    r"\W*(?:(?:and|but|so|ok)\W+)*(?:is|are|was|were|does|do|did|can|could|has|have|will|would)\b(?!.*\b(?:or|which|what|how)\b)",
    re.IGNORECASE,
)


def asks_verdict(question: str) -> bool:
    """Does a question ask for yes or no?"""
    return bool(_ASKS_VERDICT.match(question))


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
    """What is compared with a name of a question and is none of the `names`, which stand there; "" is nothing."""
    said, at = "", 0
    for start, end in names:
        said += f"{question[at:start]} @ "
        at = end
    found = _STRANGER.search(" ".join((said + question[at:]).split()).replace(" ,", ","))
    return next((name.strip(".,?!") for name in found.groups() if name), "") if found else ""


_BETWEEN = re.compile(
    r"\W*(?:\b(?:and|or|vs|versus|with|to|than|from|against|nor)\b|[,/&])?\W*(?:\b(?:and|or|the)\b\W*)*", re.IGNORECASE
)


def joined(question: str, one: Span, names: Sequence[Span]) -> bool:
    """Does a name stand right beside another of the names, as those compared do?"""
    gaps = [(other.end, one.start) for other in names if other.end <= one.start]
    gaps += [(one.end, other.start) for other in names if one.end <= other.start]
    return any(_BETWEEN.fullmatch(question[start:end]) for start, end in gaps)


def _is_comparison(said: str, sure: int) -> bool:
    """Are two names or more compared? A long question is rather one of several parts."""
    if said.count("@") < 2 or len(said.split()) > LONGEST_COMPARISON:
        return False
    if not sure:
        return bool(_OPPOSES.search(said)) and not terms(_PLAIN.sub(" ", said.replace("@", " ")))
    if _COMPARES.search(said) or (sure > 1 and _FIGURES.search(said)):
        return True
    return sure > 1 and _ASKING.issuperset(re.findall(r"[\w']+", said))


def _mention(found: re.Match[str], said: str, question: str, names: Sequence[Span]) -> Shape | None:
    """What papers are to have; None where a topic is asked for rather than a name."""
    of = found["of"].strip()
    one = _ONE_NAME.fullmatch(of)
    if one:
        first, count = said[: found.start("of")].count("@"), 2 if one["joins"] else 1
        if (after := one["after"]) and not re.fullmatch(rf"(?:gpus?|@|{_NOUN})s?", after):  # "KV cache"
            ended = question.lower().find(after, names[first].end) + len(after)
            return Shape("mention", literal=question[names[first].start : ended])
        return Shape("mention", of=tuple(range(first, first + count)), every=one["joins"] == "and")
    if "@" in of or len(of.split()) > LONGEST_LITERAL:
        return None
    plain = re.sub(rf"(?<=\S) (?:gpus?|{_NOUN})s?$", "", of.strip("'"))
    typed = re.findall(rf"(?<!\w){re.escape(plain)}(?!\w)".replace(r"\ ", r"\W+"), question, re.IGNORECASE)
    literal = typed[-1] if typed else plain
    odd = question != question.upper() and any(strong(word) for word in re.split(r"[^\w-]+", literal))
    if odd or _LITERAL.search(found["verb"]) or re.search(r"[a-z]-?\d|\d[a-z]", of):
        return Shape("mention", literal=literal)
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
