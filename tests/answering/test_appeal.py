"""Words copied for sentences that failed: what is asked, what is read from a reply, and when they hold."""

from __future__ import annotations

import pytest
from made import FLASH, POKER, S4, drafted, evidence

from rag.answering.appeal import MOST, Failed, appealed, copied, prompted
from rag.answering.bearing import by_copied_words, by_words
from rag.answering.verify import Verifier
from rag.prompting import prompts
from rag.records import Reply, Usage

PROMPT = next(prompt for prompt in prompts() if prompt.name == "appeal")


def test_each_sentence_is_shown_with_the_passages_it_cites_and_each_passage_once():
    _, user = prompted(PROMPT, [Failed("One says so.", (S4, POKER)), Failed("Two say [7].", (POKER,))])
    assert user.count("[1] ") == user.count("[2] ") == 1
    assert "1: One says so. [1][2]\n2: Two say (7). [2]\n" in user


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("1: [2] the words\n2: NONE", (("the words",), ())),
        ('1. [1] "the words"\n1: [2] and more', (("the words", "and more"), ())),
        ("Sentence 2: [1][2] the words", ((), ("the words",))),
        ("**1:** [1] the words … that stand there", (("the words", "that stand there"), ())),
        ("1: the words\n1: none.", ((), ())),
        ("3: no such sentence\n0: nor this", ((), ())),
        ("They are all true. I verified them.", ((), ())),
        ("", ((), ())),
    ],
)
def test_what_is_copied_is_read_line_by_line(reply, found):
    assert copied(reply, 2) == found


def test_a_long_appeal_is_heard_to_its_limit():
    said = "\n".join(f"{n}: the words" for n in range(1, 99))
    asked: list[str] = []

    def ask(_, user):
        asked.append(user)
        return Reply(said, Usage(1), "stop")

    words = appealed([Failed(f"Sentence {n}.", (S4,)) for n in range(MOST + 2)], PROMPT, ask)
    assert [len(one) for one in words] == [1] * MOST + [0, 0]
    assert len(asked) == 1


# --- when they hold -----------------------------------------------------------------------------


def held(*lines, words=None, papers=(S4, FLASH, POKER)):
    """What is shown of a draft whose failed sentences are given words, by their text."""
    asked = []

    def appeal(failed):
        asked.append([one.text for one in failed])
        return [words.get(one.text, ()) for one in failed]

    borne = by_copied_words()
    verifier = Verifier(evidence(*papers), by_words(0.9), {}, appeal=appeal, borne=borne)
    for line in lines:
        verifier.check(drafted(line))
    verifier.settle()
    return verifier.verified(), asked


FREE = "Dieses Modell löst Path-X, woran frühere Arbeiten scheiterten."
ELSE = "Path-X, long open to everybody, is solved by it."
SOURCE = "It solves Path-X, which all prior work fails on"
GOOD = "It solves Path-X, which all prior work fails on."


def test_a_sentence_in_other_words_or_another_language_holds_by_the_words_it_rests_on():
    verified, _ = held(f"{FREE} [1]", f"{ELSE} [1]", words={FREE: [SOURCE], ELSE: [SOURCE]})
    assert [claim.text for claim in verified.claims] == [FREE, ELSE]
    assert {citation.quote for claim in verified.claims for citation in claim.citations} == {GOOD}


def test_all_that_failed_is_asked_in_one_call_and_the_answer_keeps_its_order():
    verified, asked = held(f"{ELSE} [1]", f"{GOOD} [1]", f"{FREE} [1]", words={ELSE: [SOURCE]})
    assert asked == [[ELSE, FREE]]
    assert [claim.text for claim in verified.claims] == [ELSE, GOOD]
    assert [claim.text for claim in verified.removed] == [FREE]
    assert verified.text == f"{ELSE} [1] {GOOD} [1]"


def test_nobody_is_asked_where_nothing_failed():
    assert held(f"{GOOD} [1]", words={})[1] == []


def test_what_leans_on_a_sentence_holds_when_that_one_holds_by_its_appeal():
    lean = "It solves Path-X, which all the prior work fails on."
    verified, _ = held(f"{ELSE} [1]", f"{lean} [1]", words={ELSE: [SOURCE]})
    assert [claim.text for claim in verified.claims] == [ELSE, lean]
    verified, _ = held(f"{ELSE} [1]", f"{lean} [1]", words={lean: [SOURCE]})
    assert not verified.claims


@pytest.mark.parametrize(
    ("sentence", "words", "why"),
    [
        (ELSE, ["which all earlier work fails on"], "does not stand"),
        (ELSE, [SOURCE, "invented words about it"], "does not stand"),
        (ELSE, ["It solves"], "does not stand"),
        (ELSE, ["benchmark of 11,000 poker scenarios"], "does not stand"),
        (ELSE, [], "no words were found"),
        ("Path-X is one of 7 tasks that it solves.", [SOURCE], "do not give 7"),
        ("ZK9 solves Path-X before prior work did.", [SOURCE], "do not name ZK9"),
        ("Das Modell löst 17 Aufgaben, woran frühere Arbeiten scheiterten.", [SOURCE], "do not give 17"),
        ("Das Modell löst Path-Y9, woran frühere Arbeiten scheiterten.", [SOURCE], "do not name Y9"),
        ("The weather in spring is mild and sunny.", [SOURCE], "support it by"),
        ("Das Wetter wird im Frühling mild und sonnig.", [SOURCE], "nothing in common"),
        ("It cannot solve Path-X, as nobody had managed.", [SOURCE], "do not deny"),
    ],
)
def test_an_appeal_fails_unless_its_words_stand_there_and_agree(sentence, words, why):
    verified, _ = held(f"{sentence} [1]", words={sentence: words})
    (removed,) = verified.removed
    assert why in removed.reason


def test_a_title_among_the_words_says_what_is_spoken_of_and_bears_nothing_out():
    verified, _ = held(f"{ELSE} [1]", words={ELSE: [S4.title, SOURCE]})
    assert [citation.quote for claim in verified.claims for citation in claim.citations] == [GOOD]
    verified, _ = held(f"{ELSE} [1]", words={ELSE: [S4.title]})
    assert "no words were found" in verified.removed[0].reason
