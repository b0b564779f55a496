"""Which sentences answer a question about what is named, without a chat model: the right ones, and few.

Each function is given names with their papers, the sentences of a paper and how well they answer a text, and picks
sentences of the abstracts, the one that answers first. Nothing is rephrased.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from rag.answering.alone import Pick, alone
from rag.answering.asked import Subject
from rag.answering.details import Detail, figures_of, gives, wanted
from rag.answering.relevance import Scored, announces, tells_where
from rag.library.spellings import spelling
from rag.numbers import quantities
from rag.records import Paper, Sentence
from rag.text import Span, terms

ROOM = 70  # words of what a name means: a second sentence must fit in
NAMES_IT = 0.1  # what a sentence gains that has the name compared
HOLDS = 0.5  # ... that has all words of what is asked
FIGURE = 0.3  # ... and that has a figure where one is asked for
TELLING = 5  # words of meaning with which a sentence tells something, besides the name
SHORT = 2  # sentences of a summary

Of = Callable[[Paper], Sequence[Sentence]]  # the sentences of a paper
Score = Callable[[str, Paper], Sequence[Scored]]  # how well each answers a text


_NAMED_SUBJECT = r"(?:the |our )?(?:proposed |resulting |final )?(?:\w+ )?{name}(?:'s)?\b(?! ?\()"
_GOES_ON = re.compile(
    r"(?:it|they|the (?:benchmark|data ?set|corpus|model|method|system|library|framework|suite|tool|approach)|this (?:\w+ )?(?:"
    r"benchmark|data ?set|corpus|model|method|system|library|framework|suite|tool|approach))\b",
    re.IGNORECASE,
)
_ALSO = re.compile(r"\b(?:also (?:extend|propose|introduce|present|provide|release|show)|extend)\b", re.IGNORECASE)
_SAYS_WHAT = re.compile(
    r"\b(?:is|are|consists?|contains?|comprises?|covers?|includes?|provides?|offers?|uses?|supports?|enables?|allows?|serves?|spans?|features?|combines?|works?|"
    r"introduces?|extends?|leverages?|employs?|evaluates?|measures?|tests?|measures?|lets?|learns?|runs?|requires?|aims?|focus\w*|integrates?|builds?)\b",
    re.IGNORECASE,
)
_PROBLEM = re.compile(
    r"\b(?:however|but|although|despite|yet|unfortunately|challeng\w+|difficult\w*|hard|lack\w*|problem\w*|remain\w*|suffer\w*|limit\w*|fail\w*|"
    r"expensive|costly|inefficien\w*|insufficien\w*|bottleneck\w*|need\w*|crucial|important|essential|inadequa\w*|absence|"
    r"struggl\w*|unclear|unexplored|overlook\w*|rarely|little|few|no (?:\w+ ){0,3}(?:benchmark|data ?set|standard)\w*|cannot|prohibitive\w*|quadratic\w*|gap|"
    r"scarc\w*|only|not|hinder\w*|imped\w*|vulnerab\w*|contaminat\w*|bias\w*|saturat\w*)\b",
    re.IGNORECASE,
)
_PURPOSE = re.compile(
    r"\b(?:to (?!date\b)[a-z]+|for [a-z]+ing|in order to|aim\w*|designed|so that|enabl\w+|address\w*)\b", re.IGNORECASE
)
# --- what a name means --------------------------------------------------------------------------


def introducing(subject: Subject, of: Of, paper: Paper | None = None) -> Span | None:
    """The sentence of its paper that introduces a name; where only the title does, the one that says what was made."""
    paper = paper or subject.paper
    if paper is None:
        return None
    spans = [sentence.span for sentence in of(paper)]
    if subject.introduced and paper == subject.paper:
        return max(spans, key=lambda span: _shared(span, subject.introduced), default=None)
    texts = {span: Pick(paper, span).text for span in spans}
    having = [span for span in spans if subject.stands_in(texts[span])]
    return next(
        (s for s in having if announces(texts[s])),
        next(iter(having), next((s for s in spans if announces(texts[s])), None)),
    )


def _shared(one: Span, other: Span | None) -> int:
    return min(one.end, other.end) - max(one.start, other.start) if other else 0


def definition(subject: Subject, of: Of) -> list[Pick]:
    """What introduces a name, and a sentence more that says what it is, if there is room."""
    paper, first = subject.paper, introducing(subject, of)
    if paper is None or first is None:
        return []
    said = Pick(paper, first, subject.name)
    left = ROOM - len(said.text.split())
    more = [pick for pick in _following(subject, paper, first, of) if len(pick.text.split()) <= left]
    return [said, *more[:1]]


def _following(subject: Subject, paper: Paper, first: Span, of: Of, *, plain: bool = False) -> Iterable[Pick]:
    """The later sentences whose subject is the name, those that say what it is; `plain`: whatever they say of it."""
    named = re.compile(_NAMED_SUBJECT.format(name=f"(?:{spelling(subject.name).pattern})"), re.IGNORECASE)
    after = [s.span for s in of(paper) if s.span.start > first.start]
    for at, span in enumerate(after):
        pick = Pick(paper, span, subject.name)
        text = alone(pick.text).removeprefix("… ")
        about = named.match(text) or (at == 0 and _GOES_ON.match(text))
        if about and (plain or _SAYS_WHAT.search(text)) and not tells_where(text):
            yield pick


def telling(subject: Subject, papers: Sequence[Paper], of: Of, score: Score, question: str = "") -> list[Pick]:
    """The sentence that tells most of a name that no paper introduces: one that says what it is, else the nearest.

    It is the one nearest to the `question`, where another is asked than what the name is.
    """
    is_a = re.compile(
        rf"(?:the )?(?:{spelling(subject.name).pattern})(?: \([^)]*\))?,? (?:is|are|was) (?:an?|the|one|our)\b",
        re.IGNORECASE,
    )
    having = []
    for paper in papers:
        for scored in score(question or f"What is {subject.name}?", paper):
            pick = Pick(paper, scored.span, subject.name)
            if subject.stands_in(pick.text):
                says = not question and bool(is_a.match(alone(pick.text).removeprefix("… ")))
                having.append((says, scored.score, pick))
    return [pick for *_, pick in sorted(having, key=lambda one: one[:2])[-1:]]


def reason(subject: Subject, of: Of, score: Score) -> list[Pick]:
    """Which problem a named thing answers, and what for it was made, if there is room."""
    paper, first = subject.paper, introducing(subject, of)
    if paper is None:
        return []
    before = [s for s in of(paper) if first is None or s.span.start < first.start]
    said = {s.span: Pick(paper, s.span, subject.name) for s in before}
    asked = {s.span: s.score for s in score(f"Why was {subject.name} made?", paper)}
    problems = [span for span in said if _PROBLEM.search(said[span].text)]
    worst = max(problems, key=lambda span: asked.get(span, 0.0) + 0.02 * span.start / len(paper.abstract), default=None)
    made = Pick(paper, first, subject.name) if first else None
    if worst is None:
        return [made] if made else []
    room = ROOM - len(said[worst].text.split())
    more = made and _PURPOSE.search(made.text) and len(made.text.split()) <= room
    return [said[worst], made] if made and more else [said[worst]]


# --- comparisons --------------------------------------------------------------------------------


def comparison(named: Sequence[Subject], aspect: str, figures: bool, of: Of, score: Score) -> list[Pick]:
    """A line for each name, on the aspect if there is one, and one sentence that has both, if there is one."""
    lines = [_line(one, named, aspect, figures, of, score) for one in named]
    picks = [line for line in lines if line]
    both = _joint(named, aspect, of, score)
    if both and both not in picks:
        picks = [both, *(p for p in picks if p != both)]
    return list(dict.fromkeys(p._replace(about="") if p == both else p for p in picks))


def _line(one: Subject, named: Sequence[Subject], aspect: str, figures: bool, of: Of, score: Score) -> Pick | None:
    paper = one.paper
    if paper is None:
        return None
    first = introducing(one, of)
    if first and not aspect and not figures:
        return _telling(one, paper, first, of)
    alone_in = all(other.paper != paper for other in named if other is not one)

    size = figures and not terms(_SIZE.sub(" ", _JOINS.sub(" ", aspect.lower())))
    asked = [wanted("@ size"), wanted("@ parameters")] if size else [detail_of(aspect, figures)]
    aspect = "" if size else aspect
    words, units = set(terms(_MORE.sub(" ", aspect))), _units(aspect)

    def fit(sentence: Scored) -> float:
        bare = _without(sentence.text, named)
        found = quantities(bare)
        gains = HOLDS * len(words & set(terms(bare))) / (len(words) or 1)
        gains += FIGURE * (figures and bool(found)) + FIGURE * any(number.unit in units for number in found)
        own = one.stands_in(sentence.text)
        given = sum(detail is not None and gives(detail, bare) for detail in (asked if own or not size else asked[:1]))
        gains += (HOLDS if size else FIGURE) * given
        gains += HOLDS * (size and sentence.span == first and given > 0)
        strange = any(other.stands_in(sentence.text) for other in named if other is not one)
        return sentence.score + gains + NAMES_IT * own - FIGURE * (strange and not own)

    best = max(score(f"{one.name}: {_asked(aspect, figures)}", paper), key=fit, default=None)
    if best is None or (not alone_in and not one.stands_in(best.text)):
        return Pick(paper, first, one.name) if first else None
    return Pick(paper, best.span, one.name)


def _telling(one: Subject, paper: Paper, first: Span, of: Of) -> Pick:
    """The introducing sentence; where that says next to nothing, the one after it that says what the name is."""
    said = Pick(paper, first, one.name)
    own = set(terms(" ".join((one.name, *one.long))))
    telling = [word for word in set(terms(alone(said.text))) - own if word not in _SAYING]
    return said if len(telling) >= TELLING else next(iter(_following(one, paper, first, of, plain=True)), said)


_SAYING = frozenset(
    terms(
        "propose introduce present new novel study work method model benchmark approach call term name address above problem issue"
    )
)
_AGE = re.compile(r"\b(?:newer|older|newest|oldest|(?:came|come|was|is) first)\b", re.IGNORECASE)
_JOINS = re.compile(r"\b(?:compare[sd]?|comparison|vs\.?|versus|and|or|with|to|between|of (?:them|the two)?)\b")
_WHICH = re.compile(
    r"^\W*(?:which|what|who)(?: one)?(?: of)?(?: (?:has|have|had|is|are|gets?|needs?|covers?|uses?|does|do|did))? |^how much, how many: "
)
_SIZE = re.compile(r"\b(?:sizes?|larger|bigger|smaller|largest|biggest|smallest|big|large)\b", re.IGNORECASE)
_MORE = re.compile(r"\b(?:more|most|fewer|fewest|less) (?=[a-z])", re.IGNORECASE)
_HARD = re.compile(r"\b(?:harder|easier|hardest|easiest|more (?:difficult|challenging))\b", re.IGNORECASE)


def _units(aspect: str) -> frozenset[str]:
    """The units in which a figure of that aspect may stand, as `quantities` names them."""
    faster = re.search(r"\bspeed|faster|slower|multiplier|gain", aspect, re.IGNORECASE)
    return frozenset((["%"] if _HARD.search(aspect) else []) + (["x"] if faster else []))


def _asked(aspect: str, figures: bool) -> str:
    """What is asked of each thing compared: "has more questions" asks how many questions it has."""
    if not aspect:
        return "how many, how large?"
    hard = _HARD.sub("what accuracy", aspect)
    many = _MORE.sub("how many ", hard)
    return many if many != aspect or not figures else f"how much, how many: {aspect}"


def detail_of(aspect: str, figures: bool) -> Detail | None:
    """The detail in which things are compared: "more questions" is a number of questions; None is none that is known."""
    if not terms(_SIZE.sub(" ", _JOINS.sub(" ", aspect.lower()))):
        return None
    if _AGE.search(aspect):
        return wanted("when was @ released")
    plain = _WHICH.sub("", " ".join(_JOINS.sub(" ", aspect.lower()).split()))
    return wanted(f"@ {_asked(plain, figures).strip(' ?!.,:')}")


def _without(text: str, named: Sequence[Subject]) -> str:
    """A text without the names, whose digits are no figures."""
    for one in named:
        text = re.sub(rf"(?:{spelling(one.name).pattern})(?:-[\w.]*\w)*", " ", text)
    return figures_of(text)


def _joint(named: Sequence[Subject], aspect: str, of: Of, score: Score) -> Pick | None:
    """The sentence that best says something of two of the names together."""
    found = []
    for paper in dict.fromkeys(one.paper for one in named if one.paper):
        scores = {s.span: s.score for s in score(f"{' and '.join(one.name for one in named)} {aspect}", paper)}
        for sentence in of(paper):
            text = Pick(paper, sentence.span).text
            if sum(one.stands_in(text) for one in named) > 1:
                found.append((scores.get(sentence.span, 0.0), paper, sentence.span))
    if not found:
        return None
    _, paper, span = max(found, key=lambda one: one[0])
    return Pick(paper, span)


# --- papers that have a name --------------------------------------------------------------------


def showing(papers: Sequence[Paper], patterns: Sequence[re.Pattern[str]], of: Of) -> list[Pick]:
    """Of each paper the sentence that shows one of the patterns; where only the title does, what the paper is about."""
    return [pick for paper in papers if (pick := _shown(paper, patterns, of))]


def _shown(paper: Paper, patterns: Sequence[re.Pattern[str]], of: Of) -> Pick | None:
    picks = [Pick(paper, sentence.span) for sentence in of(paper)]
    having = [pick for pick in picks if any(one.search(pick.text) for one in patterns)]
    said = [pick for pick in picks if announces(pick.text)]
    return next(iter([*having, *said, *picks]), None)


# --- details ------------------------------------------------------------------------------------


def giving(
    detail: Detail, wanted: Sequence[Sequence[re.Pattern[str]]], own: Sequence[re.Pattern[str]], paper: Paper, of: Of
) -> list[Span]:
    """The sentences of a paper that give a detail of that kind and have of each of the `wanted` lists one pattern.

    Digits in names are no figures, but those of names that `own` finds.
    """
    found = []
    for sentence in of(paper):
        text = Pick(paper, sentence.span).text
        said = figures_of(text, () if detail.of_data else own) if detail.figure else text
        if gives(detail, said) and all(any(one.search(text) for one in patterns) for patterns in wanted):
            found.append(sentence.span)
    return found


def nearest(
    question: str, name: str, paper: Paper, score: Score, among: Sequence[Span] = (), *, most: int = 1
) -> list[Pick]:
    """The `most` sentences of a paper that come nearest to a question, best first; of those `among`, if there are any."""
    scored = [s for s in score(question, paper) if not among or s.span in among]
    plain = [s for s in scored if not tells_where(s.text)] if not among else scored
    best = sorted(plain or scored, key=lambda s: -s.score)[:most]
    return [Pick(paper, s.span, name) for s in best]


# --- what is on screen --------------------------------------------------------------------------


def summary(paper: Paper, first: Span | None, question: str, score: Score) -> list[Pick]:
    """What a paper introduces, and what it found."""
    scored = [s for s in score(question, paper) if not tells_where(s.text)]
    said = first or next((s.span for s in scored if announces(s.text)), scored[0].span if scored else None)
    if said is None:
        return []
    rest = sorted((s for s in scored if s.span != said), key=lambda s: -s.score)[: SHORT - 1]
    return [Pick(paper, span) for span in sorted([said, *(s.span for s in rest)])]


def unsaid(paper: Paper, told: frozenset[tuple[str, int]], question: str, score: Score, most: int = 2) -> list[Pick]:
    """The sentences of a paper that come nearest to a question and were not told before, in its own order."""
    left = [s for s in score(question, paper) if (paper.id, s.span.start) not in told]
    best = sorted(sorted(left, key=lambda s: (tells_where(s.text), -s.score))[:most], key=lambda s: s.span)
    return [Pick(paper, s.span) for s in best]
