"""What a column of a table asks, and the sentence of an abstract that says it, or none.

A column such as "task", "data set" or "best result" is known by its name, whatever words an abstract has for it: words that
a sentence must have, words that speak for it and against it. Of a column such as "year" the paper itself knows. Any other is
a question: the sentence that answers it best fills the cell, if it holds enough of the column's words and, where a number
is asked for, gives one. A cell that nothing surely fills stays empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rag import bibliography
from rag.answering.relevance import Question, Scored
from rag.errors import UsageError
from rag.numbers import Quantity, quantities
from rag.records import Paper
from rag.text import readable

MOST = 12  # columns
LONGEST = 200  # characters of a column's name
HELD = 0.5  # least share of a free column's words that a sentence must hold
LIKELY = 0.5  # ... and how likely it must answer


class Kind(NamedTuple):
    """How the sentences of a kind of column are told.

    must     what one has to have
    likes    what speaks for it, each with its weight; weights against it are below 0
    figures  what each figure in it weighs (a factor, a share, a decimal), up to three
    late     what it weighs to stand at the end of the abstract rather than at its beginning
    least    the least weight of a sentence that fills a cell
    """

    must: re.Pattern[str]
    likes: tuple[tuple[re.Pattern[str], float], ...]
    figures: float = 0.0
    late: float = 0.0
    least: float = 0.5


class Column(NamedTuple):
    """A column: its name as typed, and what it is: a fact of the paper, a known kind, or a question of its own."""

    name: str
    fact: Callable[[Paper], str] | None
    kind: Kind | None
    question: str


def _any(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_DOES = r"(?:propos|introduc|present|stud|address|investigat|explor|examin|develop|describ|tackl|analy[sz]|characteri[sz]|design|aim|consider|releas|construct|build|built|formulat|provid|show|argu|reveal|deriv)\w*"
_GENERIC = _any(
    r"\b(?:existing|current|previous|prior|traditional|recent|many|most|several) (?:\w+ ){0,2}(?:benchmarks?|data ?sets?|methods|approaches|works?|studies|models|evaluation)\b|"
    r"\b(?:however|despite|although|lack|unfortunately|remains?|suffer|struggle|limit(?:s|ed|ation))\b"
)
_TASK = Kind(
    _any(
        rf"\bwe (?:\w+ )?{_DOES}|\b(?:this|the|our) (?:present )?(?:paper|work|study|report|article|proposal|survey)\b|\bour (?:method|approach|goal|aim|system)\b|\b(?:is|are) (?:designed|intended|developed) to\b|\baims? (?:to|at)\b"
    ),
    (
        (_any(rf"\bwe (?:\w+ )?{_DOES}"), 1.0),
        (_any(r"\bin this (?:paper|work|study|report)\b|\bthis (?:paper|work|study|report|proposal)\b"), 0.6),
        (_any(r"\b(?:problem|task|challenge|goal|aim|framework|benchmark|method|approach|system|technique)\b"), 0.4),
        (
            _any(
                r"\b(?:code|data|models?)\b[^.]*\b(?:available|released)\b|\b(?:results|experiments) (?:\w+ )?(?:show|demonstrate)|https?:"
            ),
            -1.5,
        ),
        (
            _any(
                r"\b(?:finally|moreover|furthermore|additionally|in addition|also|empirically|overall|in summary|we (?:find|observe|evaluate))\b"
            ),
            -0.8,
        ),
        (_GENERIC, -0.4),
    ),
    late=-1.0,
)
_DATA = Kind(
    _any(
        r"\b(?:data ?sets?|benchmarks?|corpus|corpora|test ?sets?|collections?|database|cohort|samples of)\b|"
        r"\b(?:ImageNet|CIFAR|MNIST|COCO|GLUE|SuperGLUE|SQuAD|WMT|MMLU|GSM8K|HumanEval|OpenWebText|C4|LRA|MS ?MARCO|BEIR|Atari|MIMIC|UK Biobank)\b|"
        r"\bconsist(?:s|ing) of [\d,]+|\bdatabase of [\d,]+"
    ),
    (
        (_any(r"\b(?:consists?|compris\w+|contain\w*|collect\w*|curat\w+|cover\w*|span\w*|includ\w+|feature\w*|derived from|built from|based on)\b"), 0.5),
        (_any(r"\b(?:test\w*|evaluat\w+|train\w*|experiments?|results?|validat\w+|appl(?:y|ied)) (?:\w+ ){0,4}(?:on|with|across|over|using)\b"), 0.6),
        (_any(r"\bwe (?:\w+ )?(?:introduc|present|propos|releas|construct|buil|collect|creat|develop|provid|curat|gather)\w*[^.]*\b(?:data ?set|benchmark|corpus|collection)\b(?!-)"), 0.8),
        (re.compile(r"\b(?:on|of|the|called|introduce|present|propose) (?:the )?[A-Z][\w+.-]*[A-Z0-9][\w+.-]*"), 0.3),
        (_any(r"\b[\d,.]+(?:k|m|\+)? (?:\w+[ -]){0,3}(?:tasks?|questions?|examples?|samples?|images?|papers?|documents?|instances?|prompts?|problems?|pairs|datasets?|languages|functions|measurements|scenarios|patients|participants|queries|annotations)\b"), 0.6),
        (_GENERIC, -1.2),
        (_any(r"https?:|\bavailable at\b"), -0.3),
    ),
    least=0.7,
)  # fmt: skip
_RESULT = Kind(
    _any(
        r"\b(?:achiev|outperform|improv|reduc|increas|surpass|superior|reach|attain|yield|exceed|faster|better|best|highest|lowest|accuracy|"
        r"results?|show|demonstrat|found|observe|reveal|score|gain|speed-?up|savings?|comparable|confirm|perform|degrad|correlat)\w*"
    ),
    (
        (_any(r"\b(?:results?|experiments?|evaluations?|findings?|analysis|empirically)\b[^.]*\b(?:show|demonstrat|reveal|indicat|suggest|confirm)\w*"), 0.6),
        (_any(r"\b(?:outperform|surpass|exceed|state-of-the-art|superior|best|highest|fastest|achiev|improv|reduc|match|comparable)\w*"), 0.5),
        (_any(r"\bwe (?:find|show|observe|demonstrate|obtain|achieve)\b|\bour (?:method|model|approach|results?|findings)\b|\b(?:faster|speed-?up|better) \b"), 0.3),
        (_any(r"\bwe (?:propose|introduce|present|develop|design|describe|collect|release)\b"), -0.5),
        (_any(r"\bwe (?:evaluate|benchmark|compare|conduct|test)\b"), -0.2),
        (_any(r"\b(?:discuss|implications?|insights?|future|foundational|room for improvement|highlights? (?:the|critical|important)|underscor\w+|necessity|need for)\b"), -0.7),
        (_GENERIC, -0.4),
    ),
    figures=0.7,
    late=0.8,
    least=1.0,
)  # fmt: skip
_METHOD = Kind(
    _any(r"\bwe (?:\w+ )?(?:propos|introduc|present|develop|design|devis|us|employ|combin|appl|leverag|formulat|deriv|train)\w*|\bour (?:method|approach|model|technique|algorithm|framework)\b|\bthis (?:paper|work) (?:proposes|introduces|presents)\b"),
    (
        (_any(r"\bwe (?:\w+ )?(?:propos|introduc|present|develop|design|devis)\w*|\bthis (?:paper|work) (?:proposes|introduces|presents)\b"), 1.0),
        (_any(r"\b(?:method|approach|model|technique|algorithm|framework|architecture|layer|system|scheme|strategy|procedure)\b"), 0.5),
        (_any(r"https?:|\bavailable\b"), -1.0),
    ),
    late=-0.5,
)  # fmt: skip
_CODE = Kind(
    _any(r"https?://|\bwww\.|\b(?:code|data ?sets?|models?|weights|implementation|package)\b[^.]*\b(?:available|released?|open[- ]sourced?|published)\b|\b(?:release|open[- ]source)\b[^.]*\b(?:code|data|models?|weights|implementation)\b"),
    ((_any(r"https?://"), 1.0), (_any(r"\b(?:code|implementation|github|source)\b"), 1.0)),
)  # fmt: skip
_LIMIT = Kind(
    _any(r"\b(?:limitations?|limited|fail\w*|struggl\w+|challeng\w+|difficult\w*|drawbacks?|weakness\w*|shortcomings?|suffer\w*|degrad\w+|bottleneck\w*|room for improvement|future work|remains?)\b"),
    (
        (_any(r"\b(?:limitations?|drawbacks?|weakness\w*|shortcomings?|fail\w*|struggl\w+|room for improvement|future work)\b"), 0.7),
        (_any(r"\b(?:our|we|results?|findings?|all|even|still|remains?)\b"), 0.4),
    ),
    late=0.8,
    least=0.8,
)  # fmt: skip
KINDS: Mapping[str, tuple[Kind, tuple[str, ...]]] = {
    "task": (_TASK, ("task", "problem", "goal", "aim", "objective", "topic", "purpose", "research question", "what it is about")),
    "data": (_DATA, ("data set", "dataset", "data", "benchmark", "corpus", "evaluation data", "test set", "sample")),
    "result": (_RESULT, ("best result", "result", "main result", "key result", "finding", "main finding", "key finding", "performance", "outcome", "conclusion", "headline result")),
    "method": (_METHOD, ("method", "approach", "technique", "algorithm", "model", "architecture", "contribution", "main contribution", "system", "key idea", "idea")),
    "code": (_CODE, ("code", "link", "code link", "repository", "repo", "github", "availability", "software")),
    "limitation": (_LIMIT, ("limitation", "limit", "challenge", "drawback", "weakness", "shortcoming", "future work", "open problem")),
}  # fmt: skip
_BY_NAME = {name: kind for kind, names in KINDS.values() for name in names}
_FACTS: Mapping[str, Callable[[Paper], str]] = {
    "title": lambda paper: readable(paper.title),
    "author": lambda paper: "; ".join(paper.authors),
    "year": lambda paper: str(paper.year or ""),
    "venue": lambda paper: paper.venue or "",
    "journal": lambda paper: paper.venue or "",
    "doi": lambda paper: paper.doi or "",
    "url": lambda paper: paper.url or "",
    "id": lambda paper: paper.id,
    "key": bibliography.key,
    "arxiv": lambda paper: paper.extra.get("arxiv", ""),
    "pmid": lambda paper: paper.extra.get("pmid", ""),
    "keyword": lambda paper: paper.extra.get("keywords", ""),
}


def columns(asked: str | Sequence[str]) -> tuple[Column, ...]:
    """The columns of "task; data set; best result", or of several names. Raises UsageError for none, or too many."""
    names = [" ".join(name.split()) for name in (asked.split(";") if isinstance(asked, str) else asked)]
    names = list(dict.fromkeys(name for name in names if name))
    if not any(char.isalnum() for name in names for char in name):
        raise UsageError('no column is named; give some, such as "task; data set; best result"')
    if wrong := next((name for name in names if len(name) > LONGEST or not any(map(str.isalnum, name))), None):
        raise UsageError(f"{wrong[:40]!r} is no column: it needs a word, and has at most {LONGEST} characters")
    if len(names) > MOST:
        raise UsageError(f"{len(names)} columns; at most {MOST}: ask for the others in a second table")
    return tuple(_column(name) for name in names)


def _column(name: str) -> Column:
    plain = re.sub(r"[^a-z ]+", " ", name.lower()).strip()
    plain = re.sub(r"^(?:the|its|their|which|what|used) ", "", " ".join(plain.split()))
    single = plain if plain in _BY_NAME or plain in _FACTS else re.sub(r"s$", "", plain)
    question = name if name.endswith("?") else f"What is the {name}?"
    if counted := re.fullmatch(r"(?:the )?(?:number|count|amount) of (.+)", name, re.IGNORECASE):
        question = f"How many {counted[1]}?"
    return Column(name, _FACTS.get(single), _BY_NAME.get(single), question)


def known(column: Column, abstract_sentences: Sequence[str]) -> int | None:
    """Which sentence of an abstract fills a column of a known kind; None for none."""
    assert column.kind
    count = len(abstract_sentences)
    weights = [_weight(column.kind, text, at / max(count - 1, 1)) for at, text in enumerate(abstract_sentences)]
    best = max(range(count), key=lambda at: (weights[at], -at), default=None)
    return best if best is not None and weights[best] >= column.kind.least else None


def _weight(kind: Kind, text: str, place: float) -> float:
    if not kind.must.search(text):
        return -1.0
    figures = min(3, sum(_is_figure(one) for one in quantities(text))) if kind.figures else 0
    base = 0.5 if kind.late >= 0 else 0.5 - kind.late  # an early one has that much to lose
    return (
        base
        + sum(weight for pattern, weight in kind.likes if pattern.search(text))
        + kind.figures * figures
        + kind.late * place
    )


def _is_figure(one: Quantity) -> bool:
    """Is it a result: a factor, a share, or a number with decimals?"""
    return one.unit in ("x", "%") or one.value != int(one.value)


def answered(question: Question, scored: Sequence[Scored]) -> int | None:
    """Which sentence answers a column that is a question of its own; None for none."""
    weigh, total = dict(question.weights), question.total or 1.0

    def fits(one: Scored) -> bool:
        held = sum(weigh[term] for term in one.covered) / total
        counted = not question.number or bool(quantities(readable(one.text)))
        return held >= HELD and one.score >= LIKELY and counted

    fitting = [at for at, one in enumerate(scored) if fits(one)]
    return max(fitting, key=lambda at: scored[at].score, default=None)
