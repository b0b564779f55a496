"""What a question leans on is put back; a question that stands alone is left alone."""

from __future__ import annotations

import pytest
from made import FLASH, POKER, S4

from rag.answering.followup import Fit, Turn, leans, numbers, quoted, resolve, respelled
from rag.answering.history import turns
from rag.errors import UsageError
from rag.records import Answer, Citation, Claim, FrozenMap, Usage

FIRST = Turn("Which layer solved Path-X?", "S4 did. [1]", ((1, S4), (2, FLASH)))


NEAR, FAR, BEST = Fit(0.5, 0.4), Fit(0.1, 0.0), Fit(0.55, 0.5)


def fits(*found):
    """The library's best fits as BEST does; the papers spoken of as given, or all of them near."""
    return lambda text, papers: ([*found, *[found[-1] if found else NEAR] * len(papers)][: len(papers)], BEST)


def stand_alone(question, history, *found):
    return resolve(question, history, fits(*found)).text


def answer(question, *cited, query=None):
    """An Answer that cites papers under numbers of their own."""
    citations = tuple(Citation(number, one, one.abstract[:9], 0, 9) for number, one in cited)
    return Answer(
        question=question,
        query=query or question,
        text="Said.",
        status="answered" if cited else "refused",
        claims=(Claim("Said.", 0, 5, citations, "quoted", ""),) if cited else (),
        removed=(),
        citations=citations,
        evidence=(),
        model="extractive",
        usage=Usage(),
        seconds=FrozenMap(),
        trace=FrozenMap(),
        run="0",
    )


@pytest.mark.parametrize(
    "question",
    [
        "And its cost?",
        "How much faster does it generate text?",
        "What about CIFAR-10?",
        "Why?",
        "Who wrote this?",
        "Is that one exact?",
        "How does it compare with that?",
        "Does the second paper agree?",
        "What does [2] say of attention in long sequences?",
        "accuracy?",
    ],
)
def test_a_question_that_leans_is_searched_with_what_was_said_before(question):
    query = stand_alone(question, (FIRST,))
    assert query != question
    assert S4.title in query or FLASH.title in query


@pytest.mark.parametrize(
    "question",
    [
        "Which benchmark tests poker playing of language models?",
        "Which benchmark shows that language models play poker badly?",
        "Is there a paper on models that write long texts?",
        "What is one good dataset of food photographs?",
        "Which method is both fast and exact on long sequences?",
        "And how good is the best vision model on satellite pictures?",
        "and PaLM, how many chips was it trained on?",
        "What about machine translation into Finnish, how is that scored?",
    ],
)
def test_a_change_of_topic_is_not_dragged_back(question):
    assert stand_alone(question, (FIRST,), FAR) == question


def test_a_question_that_opens_like_a_follow_up_goes_on_if_the_paper_spoken_of_fits():
    question = "And how long is the Path-X task in tokens?"
    assert S4.title in stand_alone(question, (FIRST,), NEAR)
    assert stand_alone(question, (FIRST,), FAR) == question


def test_a_short_question_that_the_paper_spoken_of_knows_nothing_of_stands_alone():
    assert stand_alone("What is the capital of Peru?", (FIRST,), FAR) == "What is the capital of Peru?"
    assert S4.title in stand_alone("Faster by what factor?", (FIRST,), NEAR)
    assert S4.title in stand_alone("And its cost?", (FIRST,), FAR)


def test_said_to_be_another_topic_is_another_topic():
    question = "Different question: how long is the Path-X task in tokens?"
    assert stand_alone(question, (FIRST,), NEAR) == question


def test_of_several_papers_spoken_of_the_one_that_fits_is_meant():
    query = resolve("And its accuracy on Path-X?", (FIRST,), fits(FAR, NEAR))
    assert query.papers == (FLASH,)
    assert query.own == "And its accuracy on Path-X?"


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("What does the second one score?", FLASH),
        ("How fast is the former?", S4),
        ("And the latter?", FLASH),
        ("What does the other one score?", FLASH),
    ],
)
def test_an_ordinal_counts_the_papers_on_screen(question, meant):
    assert resolve(question, (FIRST,), fits()).papers == (meant,)


def test_back_to_the_first_is_the_first_turn():
    later = Turn("Which benchmark tests poker?", "PokerBench. [3]", ((3, POKER),))
    assert resolve("Back to the first one: how fast is it?", (FIRST, later), fits()).papers == (S4,)


@pytest.mark.parametrize(
    "question", ["Is there another paper on this?", "Any other benchmark like it?", "Anything else on long sequences?"]
)
def test_another_paper_is_none_that_was_given(question):
    query = resolve(question, (FIRST,), fits())
    assert query.without == {S4.id}
    assert query.papers == ()
    assert FIRST.question in query.text


def test_what_was_quoted_is_known():
    history = turns([answer("Which?", (1, S4), (2, FLASH))])
    assert quoted(history) == {(S4.id, 0), (FLASH.id, 0)}


@pytest.mark.parametrize("question", ["And its cost?", "Which layer solved Path-X?", "Why [1]?"])
def test_a_first_question_is_searched_as_it_is(question):
    assert stand_alone(question, ()) == question


def test_a_mark_names_its_paper_and_only_that():
    query = stand_alone("What does [2] say?", (FIRST,))
    assert FLASH.title in query
    assert S4.title not in query
    assert "[2]" not in query


def test_a_mark_of_any_earlier_turn_is_known():
    later = Turn("And poker?", "Badly. [3]", ((3, POKER),))
    assert S4.title in stand_alone("What does [1] say?", (FIRST, later))


def test_it_is_what_was_last_spoken_of():
    later = Turn("Which benchmark tests poker?", "PokerBench. [3]", ((3, POKER),))
    query = stand_alone("How large is it?", (FIRST, later))
    assert POKER.title in query
    assert S4.title not in query


def test_an_unanswered_question_between_does_not_lose_the_topic():
    refused = Turn("And its carbon footprint?", "This library does not say.")
    assert S4.title in stand_alone("And its accuracy?", (FIRST, refused))


def test_pairs_alone_carry_the_topic_back():
    pairs = turns([("Which layer solved Path-X?", "S4 did."), ("Is it fast?", "Yes.")])
    assert "Path-X" in stand_alone("And its accuracy?", pairs)


def test_the_query_does_not_grow_with_the_conversation():
    history, lengths = [answer("Which layer solved Path-X?", (1, S4))], []
    for _ in range(10):
        query = stand_alone("And its accuracy?", turns(history))
        lengths.append(len(query))
        history.append(answer("And its accuracy?", (1, S4), query=query))
    assert lengths[-1] <= lengths[1]


def test_a_title_is_searched_in_its_readable_form():
    latex = Turn(
        "Which?", "That. [1]", ((1, S4.__class__(id="0" * 12, title=r"\textbf{Bold} $\alpha$", abstract="A.")),)
    )
    assert "Bold α" in stand_alone("And its cost?", (latex,))


# --- turns --------------------------------------------------------------------------------------


def test_answers_their_dicts_and_pairs_are_turns():
    said = answer("Which?", (1, S4), (2, FLASH))
    found = turns([said, said.to_dict(), ("Which?", "Said."), ["Which?", "Said."]])
    assert [turn.question for turn in found] == ["Which?"] * 4
    assert [turn.text for turn in found] == ["Said."] * 4
    assert found[0] == found[1]
    assert dict(found[0].papers) == {1: S4, 2: FLASH}


@pytest.mark.parametrize(
    "history",
    [
        [1], ["qa"], [None], [("a",)], [("a", 1)], [("a", "b", "c")], [{}], [{"version": 1}],
        [{"version": 1, "papers": []}], [{"version": 99}], "qa", answer("Which?"), answer("Which?").to_dict(),
    ],
)  # fmt: skip
def test_what_is_no_history_is_told_in_one_line(history):
    with pytest.raises(UsageError, match=r"^history .+") as raised:
        turns(history)
    assert "\n" not in str(raised.value)


def test_a_paper_keeps_the_number_it_was_given_first():
    history = turns([answer("a", (1, S4)), answer("b", (2, FLASH), (1, S4)), answer("c", (5, S4))])
    assert numbers(history) == {S4.id: 1, FLASH.id: 2}


def test_a_number_names_one_paper_even_over_two_conversations():
    given = numbers(turns([answer("a", (1, S4)), answer("b", (1, FLASH), (2, POKER))]))
    assert given[S4.id] == 1
    assert len(set(given.values())) == len(given)


@pytest.mark.parametrize(
    ("question", "expected"), [("Why?", True), ("", True), ("Who plays poker against humans?", False)]
)
def test_next_to_no_words_lean(question, expected):
    assert leans(question) is expected


@pytest.mark.parametrize(
    ("typed", "mended"),
    [
        ("How fst is the atention kernel?", "How fst is the attention kernel?"),
        ("Who is Atention, of Path-atention or gpt4atention?", "Who is Atention, of Path-atention or gpt4atention?"),
        ("", ""),
    ],
)
def test_slips_of_typing_are_mended_but_names_stay(typed, mended):
    assert respelled(typed, {"atention": "attention"}.get) == mended


@pytest.mark.parametrize("question", ["[9]?", "what about [9]?", "and its cost in [7]?"])
def test_a_number_that_no_paper_has_is_told(question):
    with pytest.raises(UsageError, match=r"no paper bears \[[79]\] here; there are \[1\], \[2\]"):
        resolve(question, (FIRST,), fits())


@pytest.mark.parametrize("question", ["[9]?", "How does attention [38] scale to long sequences of tokens?"])
def test_a_reference_in_a_question_of_its_own_is_no_number_of_ours(question):
    history = () if question == "[9]?" else (FIRST,)
    assert resolve(question, history, fits(FAR)).text
