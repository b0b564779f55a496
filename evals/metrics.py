"""One number per question and metric; formulas with their sources.

Every metric is a pure function of a gold question, a record's answer and the abstracts. `None` says
that it does not apply (a citation metric on a refusal, say): such questions are left out of the
mean, and n is always printed. Nothing here asks a model.

Retrieval is scored through ir-measures (linear-gain nDCG as in trec_eval). Citations are scored in
layers: does the mark name a paper of the library, is the quote verbatim at its offsets, does the
claim's text come from its quotes, is it a paper that the gold set wants. Facts are decided by typed
matchers on the answer's text. Refusals are a 2x2 table (answerable or not, answered or not); a detail
that is not there may also be told by a partial answer, and "thanks" is neither answered nor refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .gold import Fact, Question
from .match import fires, fold

Answer = Mapping[str, Any]
Abstracts = Mapping[str, str]  # paper id -> abstract
Value = float | None


@dataclass(frozen=True, slots=True)
class Metric:
    """A named function of (question, answer, abstracts). `family` groups reports; more is better."""

    name: str
    family: str
    says: str
    score: Callable[[Question, Answer, Abstracts], Value]
    binary: bool = False


# --- retrieval ----------------------------------------------------------------------------------


MEASURES = ("Success(rel=2)@1", "Success(rel=2)@5", "R(rel=2)@5", "R(rel=2)@10", "RR(rel=2)@10", "nDCG@10")


def _judged(question: Question, answer: Answer) -> bool:
    return question.answerable and bool(question.essential) and answer.get("retrieved") is not None


def _retrieval(measure: str) -> Callable[[Question, Answer, Abstracts], Value]:
    """An ir-measures measure on the ranked papers; unanswerable questions do not apply."""

    def score(question: Question, answer: Answer, _: Abstracts) -> Value:
        if not _judged(question, answer):
            return None
        return _measured(tuple(question.papers.items()), tuple(paper for paper, _ in answer["retrieved"]))[measure]

    return score


@lru_cache(maxsize=4096)  # most rankings of a candidate are those of its baseline
def _measured(papers: tuple[tuple[str, int], ...], ranked: tuple[str, ...]) -> Mapping[str, float]:
    """Every measure of MEASURES on one ranking, 0..1; `papers` are (id, grade)."""
    import ir_measures

    run = {"q": {paper: float(len(ranked) - at) for at, paper in enumerate(ranked)} or {"none": 0.0}}
    parsed = {measure: ir_measures.parse_measure(measure) for measure in MEASURES}
    found = ir_measures.calc_aggregate(parsed.values(), {"q": dict(papers)}, run)
    return {measure: float(found[one]) for measure, one in parsed.items()}


def _coverage_at(k: int) -> Callable[[Question, Answer, Abstracts], Value]:
    """Share of the vital facts with a supporting paper among the first k (FreshStack's coverage@k)."""

    def score(question: Question, answer: Answer, _: Abstracts) -> Value:
        facts = [fact for fact in question.facts if fact.vital]
        if not _judged(question, answer) or not facts:
            return None
        top = {paper for paper, _ in answer["retrieved"][:k]}
        return _mean([any(s.paper in top for s in fact.support) for fact in facts])

    return score


def _judged_at(k: int) -> Callable[[Question, Answer, Abstracts], Value]:
    def score(question: Question, answer: Answer, _: Abstracts) -> Value:
        top = [paper for paper, _ in answer["retrieved"][:k]] if _judged(question, answer) else []
        return _mean([paper in question.papers for paper in top]) if top else None

    return score


def evidence_recall(question: Question, answer: Answer, _: Abstracts) -> Value:
    """Share of the essential papers that the answer could draw on."""
    if not _judged(question, answer):
        return None
    return len(question.essential & {paper for paper, _ in answer["evidence"]}) / len(question.essential)


def evidence_rank(question: Question, answer: Answer, _: Abstracts) -> Value:
    """1 / rank of the first essential paper in the evidence, 0 when there is none."""
    if not _judged(question, answer):
        return None
    ranks = [rank for rank, (paper, _) in enumerate(answer["evidence"], 1) if paper in question.essential]
    return 1 / ranks[0] if ranks else 0.0


# --- citations ----------------------------------------------------------------------------------


def citations(answer: Answer) -> list[Mapping[str, Any]]:
    """All citations of an answer, claim by claim."""
    return [citation for claim in answer["claims"] for citation in claim["citations"]]


def cited_papers(answer: Answer) -> list[str]:
    """The papers cited, each once, in order of first mention."""
    return list(dict.fromkeys(citation["paper"] for citation in citations(answer)))


def id_valid(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """Share of citations that name a paper of the library that was also in the evidence."""
    shown = {paper for paper, _ in answer["evidence"]}
    found = citations(answer)
    return _mean([c["paper"] in abstracts and c["paper"] in shown for c in found]) if found else None


def quote_verbatim(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """Share of citations whose quote is the abstract's text at its offsets."""
    found = citations(answer)
    return (
        _mean([bool(c["quote"]) and abstracts.get(c["paper"], "")[c["start"] : c["end"]] == c["quote"] for c in found])
        if found
        else None
    )


def quote_whole(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """Share of citations that begin and end at a border of a sentence, as a quote for a reader should."""
    found = [c for c in citations(answer) if c["paper"] in abstracts]
    return _mean([_whole(abstracts[c["paper"]], c["start"], c["end"]) for c in found]) if found else None


def _whole(abstract: str, start: int, end: int) -> bool:
    begins = (
        not abstract[:start].strip()
        or abstract[:start].rstrip()[-1] in ".!?:)\"'"
        or abstract[start : start + 1].isupper()
    )
    ends = not abstract[end:].strip() or abstract[end - 1 : end] in ".!?)\"'"
    return begins and ends


def claim_cited(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """Share of claims with a citation whose marks, and no others, stand at the claim in the text, each
    number naming one paper throughout; 1 is what is promised."""
    claims = answer["claims"]
    if not claims:
        return None
    papers: dict[int, set[str]] = {}
    for citation in citations(answer):
        papers.setdefault(citation["number"], set()).add(citation["paper"])
    marked = []
    for claim, behind in zip(claims, _behind(answer), strict=True):
        numbers, shown = {citation["number"] for citation in claim["citations"]}, _marks(behind)
        theirs = shown <= numbers <= shown | _marks(claim["text"])
        marked.append(bool(numbers) and theirs and all(len(papers[number]) == 1 for number in numbers))
    return _mean(marked)


def _behind(answer: Answer) -> list[str]:
    """What stands in the text behind each claim, up to the next; nothing for a claim that is not there."""
    ends, starts, at = [], [], 0
    for claim in answer["claims"]:
        found = answer["text"].find(claim["text"], at)
        starts.append(found if found >= 0 else len(answer["text"]))
        at = starts[-1] + len(claim["text"]) if found >= 0 else len(answer["text"])
        ends.append(at)
    return [answer["text"][end:start] for end, start in zip(ends, [*starts[1:], None], strict=True)]


def _marks(text: str) -> set[int]:
    return {int(number) for number in re.findall(r"\[(\d+)\]", text)}


def text_claimed(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """Share of the text's words that stand in a claim: what is said beside them was never checked."""
    if not answer["claims"]:
        return None
    rest = answer["text"]
    for claim in answer["claims"]:
        rest = rest.replace(claim["text"], "", 1)
    total = len(_unmarked(answer["text"]).split())
    return 1 - min(1.0, len(_unmarked(rest).split()) / total) if total else 0.0


def claim_supported(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """Share of claims whose words stand in their own quotes.

    A claim is supported when its quotes hold at least half of its words of four letters or more and
    all of its digits; a verbatim claim always is. Label-free and rough: it sees swapped or cut quotes,
    not a negation.
    """
    scored = [_supported(claim) for claim in answer["claims"] if claim["citations"]]
    return _mean(scored) if scored else None


_TIMES = re.compile(r"(?<=\d)times(?![a-z])")  # "60times" is shown as "60×", which folds to "60x"
_RESOLVED = re.compile(r"\[[^\]\d][^\]]*\]|…")  # what an opening "it" stands for, and what was left out


def _supported(claim: Mapping[str, Any]) -> bool:
    held = _TIMES.sub("x", fold(" ".join(c["quote"] for c in claim["citations"])))
    words = [word.strip(".,;:()[]\"'%") for word in fold(_RESOLVED.sub(" ", claim["text"])).split()]
    long = [word for word in words if len(word) >= 4]
    digits = [word for word in words if any(char.isdigit() for char in word)]
    share = sum(word in held for word in long) / len(long) if long else 1.0
    return share >= 0.5 and all(word in held for word in digits)


def gold_precision(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """Share of the cited papers that belong (grade 1 or 2); None for a refusal, or when none belongs."""
    cited = cited_papers(answer)
    return _mean([paper in question.acceptable for paper in cited]) if question.acceptable and cited else None


def gold_recall(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """Share of the essential papers (grade 2) that are cited; a wrong refusal scores 0."""
    if not question.answerable or not question.essential:
        return None
    return len(question.essential & set(cited_papers(answer))) / len(question.essential)


def cited_f1(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """Harmonic mean of gold precision and recall; a wrong refusal scores 0."""
    recall = gold_recall(question, answer, abstracts)
    precision = gold_precision(question, answer, abstracts) or 0.0
    if recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def first_cited(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """1 when the paper cited first answers (grade 2), else 0."""
    if not question.answerable or not question.essential:
        return None
    return float(cited_papers(answer)[:1] != [] and cited_papers(answer)[0] in question.essential)


# --- facts --------------------------------------------------------------------------------------


def stated(fact: Fact, answer: Answer) -> bool:
    """Does the answer's text state the fact? A refusal states nothing, whatever titles it names."""
    return answer["status"] != "refused" and fires(fact.match, _unmarked(answer["text"]))


def facts(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """Share of the vital facts stated (nugget recall, TREC QA); a wrong refusal scores 0."""
    vital = [fact for fact in question.facts if fact.vital]
    return _mean([stated(fact, answer) for fact in vital]) if question.answerable and vital else None


ASKED_IN_PART = frozenset({"near-miss", "false-premise"})  # tags of questions about papers that are there


def correct(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """1 when the question was handled right: all vital facts and nothing forbidden; lists: all essential
    papers cited and two thirds of those cited belong; unanswerable: declined (with nothing forbidden
    beside it); an act: no paper cited but those cited before."""
    if question.kind == "act":
        return float(set(cited_papers(answer)) <= set(answer.get("before", ())))
    contradicted = contradiction(question, answer, abstracts)
    if not question.answerable:
        return float(declined(question, answer) and not contradicted)
    if declined(question, answer) or contradicted:
        return 0.0
    share = facts(question, answer, abstracts)
    if share is not None:
        return float(share == 1.0)
    recall, precision = gold_recall(question, answer, abstracts), gold_precision(question, answer, abstracts)
    return float(recall == 1.0 and (precision or 0.0) >= 2 / 3)


def declined(question: Question, answer: Answer) -> bool:
    """Does the answer say that the library does not say? Where a detail is asked of what is there, `partial` says so too."""
    detail = question.kind == "detail" or (
        question.kind == "unanswerable" and not ASKED_IN_PART.isdisjoint(question.tags)
    )
    return answer["status"] == "refused" or (detail and answer["status"] == "partial")


def fact_first(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """1 when the first sentence of an answer to "What is X?" states a required fact."""
    if question.kind != "definition":
        return None
    first = answer["claims"][0]["text"] if answer["claims"] and answer["status"] != "refused" else ""
    return float(any(fires(fact.match, first) for fact in question.facts if fact.vital))


def contradiction(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """1 when the answer states something the row forbids."""
    forbidden = [f.match for f in question.forbidden if f.match]
    if not forbidden or answer["status"] == "refused":
        return None
    return float(any(fires(match, _unmarked(answer["text"])) for match in forbidden))


def _not_contradicted(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    found = contradiction(question, answer, abstracts)
    return None if found is None else 1.0 - found


def sentences_said(answer: Answer) -> int:
    """How many sentences an answer has."""
    return len(answer["claims"])


# --- refusal ------------------------------------------------------------------------------------


def answered_when_answerable(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """Coverage: 1 when an answerable question was answered at all."""
    return float(not declined(question, answer)) if question.answerable else None


def refused_when_not(tag: str | None) -> Callable[[Question, Answer, Abstracts], Value]:
    """1 when an unanswerable question (with that tag) was refused."""

    def score(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
        if question.kind != "unanswerable" or (tag and tag not in question.tags):
            return None
        return float(answer["status"] == "refused")

    return score


def missing_told(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """1 when a detail that the named abstract does not give was said to be missing."""
    return None if question.answerable or question.kind != "detail" else float(declined(question, answer))


def utility(question: Question, answer: Answer, abstracts: Abstracts) -> Value:
    """1 handled right, 0 a wrong refusal, -1 a wrong answer: neither always answering nor always
    refusing is rewarded. A partly right answer earns its share of facts (or of citations) less the rest."""
    if not question.answerable:
        return 1.0 if correct(question, answer, abstracts) else -1.0
    if declined(question, answer):
        return 0.0
    share = facts(question, answer, abstracts)
    if share is None:
        share = cited_f1(question, answer, abstracts) or 0.0
    return 2 * share - 1


# --- the table ----------------------------------------------------------------------------------

METRICS: tuple[Metric, ...] = (
    Metric("correct", "answer", "handled right, whatever the kind", correct, True),
    Metric("facts", "answer", "share of the required facts stated", facts),
    Metric("utility", "answer", "right 1, wrong refusal 0, wrong answer -1", utility),
    Metric("fact first", "answer", "what X is stands in the first sentence", fact_first, True),
    Metric("not contradicted", "answer", "states nothing the gold set forbids", _not_contradicted, True),
    Metric("first cited", "citations", "the paper cited first answers", first_cited, True),
    Metric("gold recall", "citations", "share of the essential papers cited", gold_recall),
    Metric("gold precision", "citations", "share of the cited papers that belong", gold_precision),
    Metric("cited f1", "citations", "harmonic mean of the two", cited_f1),
    Metric("id valid", "citations", "cited papers are in the library and the evidence", id_valid),
    Metric("quote verbatim", "citations", "quotes are the abstract at their offsets", quote_verbatim),
    Metric("quote whole", "citations", "quotes are whole sentences", quote_whole),
    Metric("claim cited", "citations", "every claim carries a citation, and its mark", claim_cited),
    Metric("claim supported", "citations", "claims' words stand in their quotes", claim_supported),
    Metric("text claimed", "citations", "the text's words stand in claims", text_claimed),
    Metric("coverage", "refusal", "answerable questions answered", answered_when_answerable, True),
    Metric("refused", "refusal", "unanswerable questions refused", refused_when_not(None), True),
    Metric("refused off-topic", "refusal", "... off-topic ones", refused_when_not("off-topic"), True),
    Metric("refused near-miss", "refusal", "... near misses", refused_when_not("near-miss"), True),
    Metric("refused false-premise", "refusal", "... false premises", refused_when_not("false-premise"), True),
    Metric("missing told", "refusal", "a detail that is not there said to be missing", missing_told, True),
    Metric("success@1", "retrieval", "the first paper found answers", _retrieval("Success(rel=2)@1"), True),
    Metric("success@5", "retrieval", "one of the first five answers", _retrieval("Success(rel=2)@5"), True),
    Metric("recall@5", "retrieval", "share of the essential papers among five", _retrieval("R(rel=2)@5")),
    Metric("recall@10", "retrieval", "... among ten", _retrieval("R(rel=2)@10")),
    Metric("mrr@10", "retrieval", "1 / rank of the first essential paper", _retrieval("RR(rel=2)@10")),
    Metric("ndcg@10", "retrieval", "graded ranking", _retrieval("nDCG@10")),
    Metric("coverage@5", "retrieval", "facts with a supporting paper among five", _coverage_at(5)),
    Metric("judged@5", "retrieval", "share of the first five that the gold set judged", _judged_at(5)),
    Metric("evidence recall", "rerank", "share of the essential papers in the evidence", evidence_recall),
    Metric("evidence mrr", "rerank", "1 / rank of the first essential paper there", evidence_rank),
)
BY_NAME = {metric.name: metric for metric in METRICS}
PROMISED = ("id valid", "quote verbatim", "claim cited")  # must be 1 for every question


def score(question: Question, answer: Answer, abstracts: Abstracts) -> dict[str, Value]:
    """Every metric of one answer."""
    return {metric.name: metric.score(question, answer, abstracts) for metric in METRICS}


# --- where a fact is lost -----------------------------------------------------------------------

WATERFALL = ("not retrieved", "cut before the answer", "not used", "stated, not cited", "ok")


def lost_at(question: Question, fact: Fact, answer: Answer) -> str:
    """The first stage at which a vital fact disappears; "ok" when it is stated and its paper cited."""
    wanted = {support.paper for support in fact.support}
    if not wanted & {paper for paper, _ in answer["retrieved"]}:
        return "not retrieved"
    if not wanted & {paper for paper, _ in answer["evidence"]}:
        return "cut before the answer"
    if not stated(fact, answer):
        return "not used"
    return "ok" if wanted & set(cited_papers(answer)) else "stated, not cited"


def _mean(values: Sequence[float | bool]) -> float:
    return math.fsum(values) / len(values)


def _unmarked(text: str) -> str:
    return re.sub(r"\s*\[\d+\]", "", text)
