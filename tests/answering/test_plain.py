"""Answers without a chat model by the shape of the question, over the shipped abstracts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import rag
from rag import Answer

S4, PONET, H3, S4D = "005efae14363", "8c253c625bc8", "5f9f9fbbb7ed", "a1eafce19736"


def ask(*questions: str, k: int | None = None) -> Answer:
    """The answer to the last question, those before asked first."""
    history: list[Answer] = []
    for question in questions:
        history.append(rag.answer(question, history=history, model="extractive", k=k))
    return history[-1]


def cited(answer: Answer) -> list[str]:
    return list(dict.fromkeys(citation.paper.id for citation in answer.citations))


def sound(answer: Answer) -> None:
    """Every claim is a quote, stands where it says, and bears its marks."""
    for claim in answer.claims:
        assert claim.verdict == "quoted"
        assert answer.text[claim.start : claim.end] == claim.text
        assert claim.citations


@pytest.mark.parametrize("question", ["What is PoNet?", "ponet?", "Define PoNet.", "tell me about PoNet"])
def test_a_name_is_told_by_the_sentence_that_introduces_it(question):
    answer = ask(question)
    sound(answer)
    assert "novel Pooling Network (PoNet)" in answer.claims[0].text
    assert cited(answer) == [PONET]
    assert len(answer.claims) <= 2


def test_why_a_thing_was_made_is_told_by_the_problem():
    answer = ask("Why was PoNet made?")
    sound(answer)
    assert "quadratic" in answer.claims[0].text
    assert answer.text.startswith("… the core of Transformer")


@pytest.mark.parametrize("question", ["Compare S4 and PoNet", "S4 vs PoNet", "is s4 better than ponet?"])
def test_both_of_two_names_are_told(question):
    answer = ask(question)
    sound(answer)
    assert set(cited(answer)) >= {S4, PONET}


def test_a_figure_of_each_is_told_where_one_is_asked():
    answer = ask("more images: RxRx1 or CENSUS-HWR?")
    assert "125,510" in answer.text
    assert "1,812,014" in answer.text


def test_a_name_that_no_paper_has_is_told():
    answer = ask("S4 vs Foobarium")
    sound(answer)
    assert answer.status == "partial"
    assert answer.text.startswith("No paper of this library mentions Foobarium.")
    assert cited(answer) == [S4]


def test_the_papers_that_have_a_name_are_complete_and_counted():
    answer = ask("Which papers mention Path-X?")
    sound(answer)
    assert answer.text.startswith("3 of 213 papers mention Path-X:")
    assert len(cited(answer)) == 3
    assert all("Path-X" in claim.text for claim in answer.claims)


def test_a_list_obeys_k():
    answer = ask("Which papers mention Path-X?", k=1)
    assert answer.text.startswith("3 of 213 papers mention Path-X. 1 of them:")
    assert len(cited(answer)) == 1
    assert len(cited(ask("Which papers study batch size?", k=2))) <= 2


def test_a_name_that_none_has_is_refused_in_a_line():
    answer = ask("Which papers mention Foobarium?")
    assert (answer.status, answer.text, answer.citations) == (
        "refused",
        "No paper of this library mentions Foobarium.",
        (),
    )


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What licence is PoNet under?", "The abstract of PoNet does not give a licence; nearest:"),
        ("S4D ImageNet top-1?", "The abstract of S4D does not give a score on ImageNet; nearest:"),
        ("PoNet's parameters?", "The abstract of PoNet does not give a number of parameters; nearest:"),
        ("Which university is behind PoNet?", "The abstract of PoNet does not say who made it; nearest:"),
    ],
)
def test_a_detail_that_is_not_given_is_said_to_be_missing(question, said):
    answer = ask(question)
    sound(answer)
    assert answer.status == "partial"
    assert answer.text.startswith(said)
    assert len(answer.claims) == 1
    assert len(cited(answer)) == 1


@pytest.mark.parametrize(
    ("question", "said"),
    [("sequential cifar-10: what does S4 score", "91%"), ("github link of UDS?", "github.com/gfyddha/UDS"), ("on which GPU was F-coref timed", "V100")],
)  # fmt: skip
def test_a_detail_that_is_given_is_given(question, said):
    answer = ask(question)
    assert answer.status == "answered"
    assert said in answer.text


def test_the_library_itself_is_listed():
    answer = ask("what papers are there?")
    sound(answer)
    assert answer.text.startswith("This library holds 213 papers; here are 8:")
    assert len(cited(answer)) == 8
    assert "author" in ask("papers by Smith").text


# --- conversations ------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["thanks", "ok", "hello", "are you sure?", "test", "stop", "Help me", "good morning"])
def test_small_talk_is_answered_with_a_line_and_searches_nothing(said):
    for before in ((), ("What is PoNet?",)):
        answer = ask(*before, said)
        assert not answer.citations
        assert len(answer.text) < 200
        assert not answer.evidence


@pytest.mark.parametrize("said", ["tell me more", "go on", "shorter please", "give me a summary", "again", "in one sentence?"])  # fmt: skip
def test_what_is_on_screen_is_told_again_or_further(said):
    answer = ask("What is PoNet?", said)
    sound(answer)
    assert cited(answer) == [PONET]


def test_more_is_what_was_not_told_yet():
    first, more = ask("What is PoNet?"), ask("What is PoNet?", "more")
    assert not {c.start for c in first.citations} & {c.start for c in more.citations}


def test_others_are_other_papers():
    answer = ask("Which benchmark tests long generated text?", "any others?")
    assert answer.status == "answered"
    assert not set(cited(answer)) & set(cited(ask("Which benchmark tests long generated text?")))


@pytest.mark.parametrize("said", ["more", "shorter please", "any others?", "are you sure?", "again"])
def test_nothing_is_on_screen_at_the_beginning(said):
    answer = ask(said)
    assert (answer.status, answer.citations) == ("refused", ())
    assert "Nothing was asked yet" in answer.text


@pytest.mark.parametrize(
    ("questions", "query", "papers"),
    [
        (("What is S4?", "and PoNet?"), "What is PoNet?", [PONET]),
        (("What is S4?", "thanks", "what about PoNet?"), "What is PoNet?", [PONET]),
        (("What is S4?", "compare it with PoNet"), "compare S4 with PoNet", [S4, PONET]),
        (("What is S4?", "and compared to PoNet?"), "S4: compared to PoNet?", [S4, PONET]),
        (("What is S4?", "What is PoNet?", "Compare [1] with [2]"), "Compare S4 with PoNet", [S4, PONET]),
        (("What is S4?", "and H3?", "which of the two is faster?"), "which of S4 and H3 is faster?", [S4, H3]),
        (("What is S4?", "does it use PoNet?"), "does S4 use PoNet?", [S4]),
    ],
)
def test_a_paper_that_is_named_counts_more_than_the_one_spoken_of(questions, query, papers):
    answer = ask(*questions)
    assert answer.query == query
    assert set(cited(answer)) == set(papers)


def test_a_mark_that_is_not_on_screen_is_told():
    with pytest.raises(rag.UsageError, match=r"no paper bears \[9\] here"):
        ask("What is S4?", "Compare [1] with [9]")


def test_what_comes_in_pieces_is_the_text():
    for question in ("Which papers mention Path-X?", "What licence is PoNet under?", "thanks"):
        with rag.stream(question, model="extractive") as pieces:
            told: Sequence[str] = list(pieces)
        assert "".join(told) == pieces.answer.text


# --- what no paper says -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("how many layers has GLM-130B", "The abstract of GLM-130B does not give a number of layers; nearest:"),
        ("What BLEU score does PoNet get?", "The abstract of PoNet does not give a BLEU score; nearest:"),
        ("who is the first author of PaLM", "The abstract of PaLM does not give its authors; nearest:"),
        ("Was PoNet tested on SQuAD?", "The abstract of PoNet does not mention SQuAD; nearest:"),
        ("What accuracy does Mamba reach on ImageNet?", "No abstract that mentions Mamba gives a score on ImageNet; nearest:"),
        ("how well does Llama 2 do on LongBench", "No abstract that mentions Llama-2 gives a score on LongBench; nearest:"),
        ("is mamba better than gpt-5?", "No paper of this library mentions gpt-5."),
    ],
)  # fmt: skip
def test_what_is_asked_and_not_given_is_said_to_be_missing(question, told):
    answer = ask(question)
    sound(answer)
    assert answer.text.startswith(told)
    assert answer.status == "partial"
    assert len(answer.claims) == 1


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("What is Foobarnet?", "This library does not say: no paper of it mentions Foobarnet."),
        ("What accuracy does GPT-5 reach on ImageNet?", "This library does not say: no paper of it mentions GPT-5."),
        ("is there anything on chess?", "This library does not say: no paper of it mentions chess."),
        ("which papers evaluate on GSM8K?", "No paper of this library mentions GSM8K."),
    ],
)
def test_what_stands_in_no_paper_is_refused_in_a_line(question, told):
    answer = ask(question)
    assert (answer.status, answer.text) == ("refused", told)


def test_a_name_that_is_only_mentioned_is_told_as_that():
    answer = ask("what is BERT")
    assert answer.text.startswith("No paper of this library introduces BERT; of those that mention it:")
    assert "BERT" in answer.claims[0].text


def test_sizes_are_those_of_the_models_compared():
    answer = ask("Which is bigger, GLM-130B or PaLM?")
    assert "130 billion parameters" in answer.text
    assert "540-billion parameter" in answer.text
    assert "175B" not in answer.text


@pytest.mark.parametrize(
    ("questions", "query"),
    [
        (("what accuracy does S4 get on Path-X?", "and on ImageNet?"), "what accuracy does S4 get on ImageNet?"),
        (("what accuracy does S4 get on Path-X?", "and Mamba?"), "what accuracy does Mamba get on Path-X?"),
        (("What is FlashAttention?", "and GPT-5?"), "What is GPT-5?"),
        (("Compare HELMET and LongBench", "which has more tasks?"), "which has more tasks, HELMET or LongBench?"),
        (("What is S4?", "Compare PoNet and Foobarnet"), "Compare PoNet and Foobarnet"),
        (("What is FlashAttention?", "which papers are about poker?"), "which papers are about poker?"),
        (("What is FlashAttention?", "which papers use H3?"), "which papers use H3?"),
        (("What is S4?", "What is PoNet?", "what is H3?", "compare the first two"), "compare S4 and PoNet"),
        (("What is S4?", "What is PoNet?", "which of them is cheaper?"), "which of S4 and PoNet is cheaper?"),
    ],
)
def test_what_a_follow_up_means(questions, query):
    assert ask(*questions).query == query


@pytest.mark.parametrize(
    "question",
    ["what can S4 do that H3 can't?", "Tell me about S4 and about H3", "how do S4 and H3 relate?", "S4 v. H3"],
)
def test_two_things_named_are_both_told(question):
    answer = ask(question)
    sound(answer)
    assert set(cited(answer)) >= {S4, H3}


def test_a_detail_in_which_things_are_compared_is_said_to_be_missing_where_it_is():
    answer = ask("is S4 newer than H3?")
    assert answer.text.startswith("The abstracts of S4 and H3 do not give a date; nearest:")
    assert answer.status == "partial"
    assert ask("which has more tasks, SCBench or HELMET?").status == "answered"


def test_a_number_on_screen_is_asked_for_before_anything_is():
    with pytest.raises(rag.UsageError, match=r"no paper bears .1. here: nothing was answered yet"):
        ask("Compare [1] with [9]")


def test_other_papers_are_those_that_have_the_name():
    assert ask("what is S4?", "thanks, any others?").text.startswith("4 other papers mention S4:")
    assert ask("what is LongVQ?", "any others?").text == "No other paper of this library mentions LongVQ."
