"""Earlier turns + a question -> a query that stands alone.

A follow-up leaves out what was said before ("and its cost?"). What it leans on is looked for where a
reader would look: a mark like [2], "the second one" or "back to the first" name a paper; a pronoun or
next to no words of its own mean what was last spoken of; "another paper" means any but those. For all
else the library decides: a question that opens like a follow-up but is nearer to other papers than
to the one spoken of is a change of topic, and is searched as it is. The paper that is meant lends its
title to what is searched, and is where the answer is looked for first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from textwrap import shorten
from typing import NamedTuple

from rag.answering import cues, details
from rag.answering.acts import act
from rag.answering.asked import Query, Subject, Turn, leading, sets_scene, words_without
from rag.answering.shape import shape, strangers
from rag.errors import UsageError
from rag.library.spellings import is_word, strong
from rag.records import Paper
from rag.text import Span, folded, harmless, readable, terms

REACH = 3  # turns gone back to find what a question leans on
OWN_TERMS = 2  # a question with at most this many words of its own leans on what was said before
NEARER = 0.2  # in cosine: another paper that is so much nearer is a change of topic
MUCH_NEARER = 0.3  # the same for a question that says "it"
NO_FIT = 0.2  # a short question of its own form with less of a fit is about something else
LEAST_FIT = 0.3  # a longer question with less of a fit (cosine, words) to the paper spoken of is about something else
WHOLE = 0.9  # of the words of a question for a list, which the paper spoken of holds if it goes on about that
ELSEWHERE = 0.5  # so much more of a short question's words in another paper: it names something of that one
LONGER = 4  # words of its own from which that is asked
TOLD = 6  # turns that a chat model is shown
LONGEST_TURN = 400  # characters of an answer that it is shown


class Fit(NamedTuple):
    """How well a paper fits a text: cosine of its nearest sentence, share of the text's words held (0..1)."""

    cosine: float
    words: float


# how well each of some papers fits a text, and how well the best of the library does
Fits = Callable[[str, Sequence[Paper]], tuple[Sequence[Fit], Fit]]


class Naming(NamedTuple):
    """What names tell: those in a text, and what a paper is called."""

    subjects: Callable[[str], tuple[Subject, ...]]
    called: Callable[[Paper], str]


def resolve(question: str, history: Sequence[Turn], fits: Fits, naming: Naming | None = None) -> Query:
    """The query a question stands for after the earlier turns. Raises UsageError when it is about a number alone
    that no paper has.

    `fits(text, papers)` says how well those papers fit a text, and how well the best of the library does.
    """
    if not history:
        _check_marks(question, " ".join(cues.NAMED.sub(" ", question).split()), history)
        return Query(question, question, shown=question)
    _check_marks(question, " ".join(cues.NAMED.sub(" ", question).split()), history)
    query = naming and _by_name(question, history, naming)
    if not query:
        query = _by_place(question, history, fits)
        query = replace(query, shown=_readable(question, query, naming))
    itself = query.text in (question, cues.OPENING.sub("", question))
    return replace(query, leans=bool(not itself or query.papers or query.without))


def others(history: Sequence[Turn]) -> Query | None:
    """The last question that papers answered, asked of all but those; None when there is none."""
    last = next((turn for turn in reversed(history) if turn.papers and act(turn.question) is None), None)
    if last is None:
        return None
    given = frozenset(paper.id for turn in history for _, paper in turn.papers)
    text = last.query or last.question
    return Query(text, text, (), given, text, listing=True, leans=True)


def _by_name(question: str, history: Sequence[Turn], naming: Naming) -> Query | None:
    """What a question means that names a paper, or compares those spoken of; None when it does neither."""
    known = naming.subjects(question)
    found = leading(question, [one for one in known if one.papers])
    plain = [one for one in found if not sets_scene(question, one)]
    if cues.WHICH_OF.match(question) and not known and len(_last_two(history)) == 2:
        return _which_of(question, _last_two(history), naming)
    if cues.COMPARES.search(question) or cues.COMPARING.search(question):
        return _comparing(question, found, history, naming)
    if marked := _by_mark(question, history, naming):
        return marked
    if cues.CHANGES.search(question):
        return None
    if not plain:
        return _elliptical(question, known, history, naming) or _complete(question, known, naming)
    rest = words_without(question, [one.span for one in found])
    if cues.PRONOUN.search(rest):
        return _of_it(question, plain, history, naming)
    if _is_elliptical(question, known, rest):
        return _standing(_instead(plain[0], history, naming), naming)
    return _standing(cues.OPENING.sub("", question), naming)


def _elliptical(question: str, known: Sequence[Subject], history: Sequence[Turn], naming: Naming) -> Query | None:
    """What "and X?" or "and on X?" means, where no paper introduces X; None where the question says more, or less."""
    rest = words_without(question, [one.span for one in known])
    if not known:
        typed = cues.UNKNOWN.fullmatch(cues.OPENING.sub("", question))
        odd = typed and (strong(typed[1]) or (typed[1][:1].isupper() and not is_word(typed[1])))
        return _standing(_instead(Subject(typed[1], Span(0, 0)), history, naming), naming) if typed and odd else None
    if not _is_elliptical(question, known, rest) or cues.PRONOUN.search(rest) or len(known) > 1:
        return None
    if not sets_scene(question, known[0]):
        return _standing(_instead(known[0], history, naming), naming)
    before = cues.OPENING.sub(
        "", next((turn.query or turn.question for turn in reversed(history) if act(turn.question) is None), "")
    )
    scenes = [one for one in naming.subjects(before) if sets_scene(before, one)]
    if not scenes:
        return None
    at = scenes[-1].span
    return _standing(before[: at.start] + known[0].name + before[at.end :], naming)


def _is_elliptical(question: str, known: Sequence[Subject], rest: str) -> bool:
    """Says a question nothing but names, so that the rest of it is that of the question before?"""
    if terms(cues.ELLIPSIS.sub(" ", cues.OPENING.sub("", rest))):
        return False
    kind = shape(question, [one.span for one in known], len(known)).kind
    return kind == "point" or (kind == "definition" and not cues.DEFINES.search(rest))


def _complete(question: str, known: Sequence[Subject], naming: Naming) -> Query | None:
    """A question that needs nothing of what was said before: about names, or for the papers that have something."""
    rest = words_without(question, [one.span for one in known])
    if (
        cues.NAMED.search(question)
        or cues.POINTS.search(rest)
        or cues.OPENS.search(question)
        or cues.OTHER.search(question)
    ):
        return None
    kind = shape(question, [one.span for one in known], 0).kind
    papers = kind == "list" and cues.PAPERS.search(question) and terms(question)
    named = kind in ("definition", "reason", "comparison") and known
    return _standing(question, naming) if kind == "mention" or papers or named else None


def _last_two(history: Sequence[Turn]) -> list[Paper]:
    """The two papers of the last answer that rests on papers, if it rests on two."""
    last = next((turn for turn in reversed(history) if turn.papers), None)
    return list(dict.fromkeys(paper for _, paper in last.papers)) if last else []


def _which_of(question: str, papers: Sequence[Paper], naming: Naming) -> Query:
    """ "which one is faster?" of the two papers on screen."""
    names = [naming.called(paper) for paper in papers]
    text = f"{cues.OPENING.sub('', question).rstrip(' ?!.')}, {names[0]} or {names[1]}?"
    subjects = tuple(_placed(text, name, paper) for name, paper in zip(names, papers, strict=True))
    return Query(text, text, tuple(papers), shown=text, subjects=subjects)


def _by_mark(question: str, history: Sequence[Turn], naming: Naming) -> Query | None:
    """A question about the one paper whose mark stands in it: "what does [1] say about Path-X?"."""
    cited = {number: paper for turn in history for number, paper in turn.papers}
    wanted = {int(n) for n in cues.NAMED.findall(question)}
    if len(wanted) != 1 or not wanted <= set(cited):
        return None
    paper = cited[wanted.pop()]
    text = cues.OPENING.sub("", cues.NAMED.sub(lambda _: naming.called(paper), question))
    return Query(text, text, (paper,), shown=text, subjects=naming.subjects(text))


def _of_it(question: str, named: Sequence[Subject], history: Sequence[Turn], naming: Naming) -> Query | None:
    """What is asked of the paper last spoken of, which "it" stands for, about another: "does it use S4?"."""
    last = next((paper for turn in reversed(history) for _, paper in turn.papers[:1]), None)
    if last is None or not cues.VERDICT.match(question) or any(last in one.papers for one in named):
        return None
    text = cues.OPENING.sub("", _with(question, naming.called(last), named))
    return Query(text, text, (last,), shown=text, subjects=naming.subjects(text))


def _standing(text: str, naming: Naming) -> Query:
    return Query(text, text, shown=text, subjects=naming.subjects(text))


def _instead(name: Subject, history: Sequence[Turn], naming: Naming) -> str:
    """The question asked before with another name in it; after one without a name, what that name is."""
    for turn in reversed(history[-REACH:]):
        before = cues.OPENING.sub("", turn.query or turn.question)
        names = leading(before, naming.subjects(before))
        if len(names) == 1 and names[0].span.end <= len(before):
            return before[: names[0].span.start] + name.name + before[names[0].span.end :]
        if names or not act(turn.question):
            break
    return f"What is {name.name}?"


def _comparing(question: str, found: Sequence[Subject], history: Sequence[Turn], naming: Naming) -> Query | None:
    """A comparison that leans on what is on screen, in words that stand alone; None when it is none."""
    known = naming.subjects(question)
    if known and not cues.NAMED.search(question) and strangers(question, [one.span for one in known]):
        return _standing(cues.OPENING.sub("", question), naming)
    nth = () if cues.NAMED.search(question) or cues.TWO.search(question) else _named(question, history)
    if nth and cues.THE_NTH.search(question):
        question = cues.THE_NTH.sub(lambda _: naming.called(nth[0]), question, count=1)
        return _comparing(question, [_placed(question, naming.called(nth[0]), nth[0])], history, naming)
    cited = {number: paper for turn in history for number, paper in turn.papers}
    wanted = [int(n) for n in cues.NAMED.findall(question)]
    marks = {n: cited[n] for n in wanted if n in cited}
    spoken = list(dict.fromkeys(paper for turn in reversed(history) for _, paper in turn.papers[:1]))
    named = [one.paper for one in found if one.paper]
    text = cues.NAMED.sub(
        lambda mark: naming.called(cited[int(mark[1])]) if int(mark[1]) in cited else mark[0], question
    )
    papers = list(dict.fromkeys([*marks.values(), *named]))
    if (
        len(papers) == 1
        and len(known) > 1
        and not cues.PRONOUN.search(words_without(question, [one.span for one in known]))
    ):
        return _standing(cues.OPENING.sub("", question), naming)
    if len(papers) == 1 and (other := next((paper for paper in spoken if paper not in papers), None)):
        text, papers = _with(text, naming.called(other), found), [other, *papers]
    elif not papers and len(both := _two_spoken(history)) > 1 and (cues.TWO.search(text) or cues.PRONOUN.search(text)):
        first = cues.FIRST_TWO.search(text) and [cited[number] for number in sorted(cited)][:2]
        papers = first or both
        names = " and ".join(naming.called(paper) for paper in papers)
        text = (
            cues.TWO.sub(lambda _: names, text, count=1)
            if cues.TWO.search(text)
            else cues.PRONOUN.sub(lambda _: names, text, count=1)
        )
    elif found and not marks:
        return _standing(cues.OPENING.sub("", question), naming) if len(papers) > 1 else None
    if len(papers) < 2:
        return None
    text = cues.OPENING.sub("", text)
    placed = {one.paper: one for one in naming.subjects(text) if one.paper}
    subjects = [placed.get(paper) or _placed(text, naming.called(paper), paper) for paper in papers]
    subjects.sort(key=lambda one: one.span)
    return Query(text, text, tuple(papers), shown=text, subjects=tuple(subjects))


def _two_spoken(history: Sequence[Turn]) -> list[Paper]:
    """The two papers last spoken of: of one answer, or of the last answers."""
    answered = [list(dict.fromkeys(paper for _, paper in turn.papers)) for turn in history if turn.papers]
    if answered and len(answered[-1]) > 1:
        return answered[-1][:2]
    return list(dict.fromkeys(papers[0] for papers in reversed(answered)))[:2][::-1]


def _with(text: str, name: str, found: Sequence[Subject]) -> str:
    """The comparison with its other side named."""
    taken = [one.name.lower() for one in found]
    for pronoun in cues.PRONOUN.finditer(text):
        if not any(pronoun[0].lower() in name for name in taken):
            ending = "'s" if pronoun[0].lower() in ("its", "their") else ""
            return f"{text[: pronoun.start()]}{name}{ending}{text[pronoun.end() :]}"
    plain = cues.OPENING.sub("", text)
    compares = cues.COMPARE_WITH.match(plain)
    return f"{compares[1]} {name} {plain[compares.start(2) :]}" if compares else f"{name}: {plain}"


def _placed(text: str, name: str, paper: Paper) -> Subject:
    at = max(0, text.find(name))
    return Subject(name, Span(at, at + len(name)), (paper,))


def _readable(question: str, query: Query, naming: Naming | None) -> str:
    """One question that says what is searched."""
    own = " ".join(cues.NAMED.sub(" ", question).split())
    if query.text == query.own or not naming:
        return query.text
    if not query.papers:
        return query.own if query.without and len(set(terms(query.own))) > OWN_TERMS else query.text
    names = " and ".join(naming.called(paper) for paper in query.papers)
    if any(naming.called(paper).lower() in own.lower() for paper in query.papers):
        return own
    own = cues.THE_NTH.sub(names, own, count=1) if len(query.papers) == 1 else own
    if names in own:
        return cues.OPENING.sub("", own)
    pronoun = cues.PRONOUN.search(own)
    if pronoun and len(query.papers) == 1:
        ending = "'s" if pronoun[0].lower() in ("its", "their") else ""
        own = f"{own[: pronoun.start()]}{names}{ending}{own[pronoun.end() :]}"
        return cues.OPENING.sub("", own)
    return f"{names}: {cues.OPENING.sub('', own)}"


def _by_place(question: str, history: Sequence[Turn], fits: Fits) -> Query:
    """What a question means by what was last spoken of, a mark or a place on screen."""
    own = " ".join(cues.NAMED.sub(" ", question).split())
    spoken = _leant_on(history)
    if cues.OTHER.search(question) and not cues.NAMED.search(question) and not _other_on_screen(question, history):
        given = frozenset(paper.id for turn in history for _, paper in turn.papers[:1])
        titles = (readable(paper.title) for turn in spoken for _, paper in turn.papers[:1])
        return Query(" ".join([own, *(turn.question for turn in spoken), *titles]), own, (), given)
    named = _named(question, history)
    papers = named or tuple(dict.fromkeys(paper for turn in spoken for _, paper in turn.papers))
    if not named and not _continues(question, papers, fits):
        return Query(question, question)
    if not named and len(papers) > 1:
        found, _ = fits(own, papers)
        papers = (papers[max(range(len(papers)), key=lambda at: (sum(found[at]), -at))],)
    before = [] if named else [turn.question for turn in spoken]
    meant = _compared(papers, history) if named and cues.COMPARES.search(question) else papers[:1]
    return Query(" ".join([own, *before, *(readable(paper.title) for paper in meant)]), own, meant)


def _compared(named: Sequence[Paper], history: Sequence[Turn]) -> tuple[Paper, ...]:
    """The papers that are compared: those named, or the one named and another, the last spoken of."""
    last = (paper for turn in reversed(history) for _, paper in turn.papers[:1])
    return tuple(dict.fromkeys([*named, *last]))[:2]


def _other_on_screen(question: str, history: Sequence[Turn]) -> Paper | None:
    """The paper that "the other one" is, when another than the one last spoken of is on screen."""
    if not cues.THE_OTHER.search(question):
        return None
    shown = [paper for turn in reversed(history) for _, paper in turn.papers]
    return next((paper for paper in shown if paper.id != shown[0].id), None)


def _check_marks(question: str, own: str, history: Sequence[Turn]) -> None:
    wanted = [int(n) for n in cues.NAMED.findall(question)]
    cited = sorted({number for turn in history for number, _ in turn.papers})
    lacking = [number for number in wanted if number not in cited]
    alone = len(set(terms(own))) <= OWN_TERMS or bool(cues.COMPARES.search(question)) or len(lacking) < len(wanted)
    if lacking and not history and cues.COMPARES.search(question) and len(set(terms(own))) <= OWN_TERMS:
        raise UsageError(f"no paper bears [{lacking[0]}] here: nothing was answered yet")
    if lacking and cited and alone:
        there = ", ".join(f"[{number}]" for number in cited)
        raise UsageError(f"no paper bears [{lacking[0]}] here; there are {there}")


def _named(question: str, history: Sequence[Turn]) -> tuple[Paper, ...]:
    """The paper that a mark, an ordinal or "back to" names; none if nothing does."""
    cited = {number: paper for turn in history for number, paper in turn.papers}
    marked = tuple(cited[int(n)] for n in cues.NAMED.findall(question) if int(n) in cited)
    if marked:
        return marked
    ordinal, last = cues.ORDINAL.search(question), [paper for _, paper in history[-1].papers]
    places = [turn.papers[0][1] for turn in history if turn.papers]
    back = cues.BACK.search(question) or (ordinal and ordinal[1].lower() in ("first", "former") and len(set(last)) < 2)
    known = places if back else last
    if ordinal and ordinal[1].lower() == "other" and (other := _other_on_screen(question, history)):
        return (other,)
    if ordinal and len(set(known)) < 2:
        known = [cited[number] for number in sorted(cited)]
    if ordinal and len(set(known)) > 1:
        at = cues.PLACES[ordinal[1].lower()]
        return (known[at],) if at < len(known) else ()
    return ()


def _continues(question: str, papers: Sequence[Paper], fits: Fits) -> bool:
    """Does the question go on about what was last spoken of?"""
    if cues.CHANGES.search(question) or not any(char.isalpha() for char in question):
        return False
    own, points = len(set(terms(question))), bool(cues.POINTS.search(question))
    if not papers:
        return leans(question)
    found, best = fits(question, papers)
    nearest, held = max(fit.cosine for fit in found), max(fit.words for fit in found)
    if own >= OWN_TERMS and held < WHOLE and not points and shape(question).listing and not cues.OPENS.search(question):
        return False
    if own <= OWN_TERMS and details.wanted(" ".join(question.lower().split())):
        return True
    if own <= OWN_TERMS:
        elsewhere = bool(cues.NAME.search(question)) and best.words - held >= ELSEWHERE
        return points or bool(cues.OPENS.search(question)) or (max(nearest, held) >= NO_FIT and not elsewhere)
    ahead = best.cosine - nearest
    if points:
        outward = any(not cues.IT.fullmatch(found[0]) for found in cues.POINTS.finditer(question))
        return outward or ahead < MUCH_NEARER or held >= LEAST_FIT / 2
    if own >= LONGER and max(nearest, held) < LEAST_FIT:
        return False
    return ahead < NEARER and (bool(cues.OPENS.search(question)) or held >= best.words)


def _leant_on(history: Sequence[Turn]) -> list[Turn]:
    """The turns a question leans on, latest first: back to one that names papers or stands alone."""
    found: list[Turn] = []
    for turn in reversed(history[-REACH:]):
        found.append(turn)
        if turn.papers or not leans(turn.question):
            break
    return found


def respelled(question: str, spelled: Callable[[str], str | None]) -> str:
    """The question with slips of typing mended; `spelled` gives the word that was meant, or None.

    A capitalised word is a name, and stays.
    """
    return cues.TYPED.sub(lambda word: (not word[0].istitle() and spelled(folded(word[0]))) or word[0], question)


def conversation(history: Sequence[Turn]) -> str:
    """The last turns, as a chat model is shown them; "" if there are none."""
    return "\n".join(line for turn in history[-TOLD:] for line in _lines(turn))


def _lines(turn: Turn) -> list[str]:
    titles = [f"[{number}] {readable(paper.title)}" for number, paper in turn.papers]
    answer = shorten(f"Answer: {turn.text}", LONGEST_TURN, placeholder=" …")
    return [harmless(line) for line in (f"Question: {turn.question}", answer, *titles)]


def leans(question: str) -> bool:
    """Does the question need an earlier turn to be understood, by its wording alone?"""
    worded = cues.OPENS.search(question) or cues.POINTS.search(question) or cues.NAMED.search(question)
    return bool(worded) or len(set(terms(question))) <= OWN_TERMS


def numbers(history: Sequence[Turn]) -> dict[str, int]:
    """The numbers that papers already have, by paper id; the first one given stays, and names one paper only."""
    given: dict[str, int] = {}
    for turn in history:
        for number, paper in turn.papers:
            if number not in given.values():
                given.setdefault(paper.id, number)
    return given


def quoted(history: Sequence[Turn]) -> frozenset[tuple[str, int]]:
    """What is on screen already: (paper id, start in its abstract) of every quote."""
    return frozenset(quote for turn in history for quote in turn.quoted)
