"""How well a sentence answers: compared as orders, never as today's exact scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import paper

from rag.answering.relevance import question_of, score_sentences, sentence, tells_where
from rag.library.embed import open_embedder
from rag.text import readable, sentences

EMBEDDER = open_embedder()
WORDS = st.text(alphabet="abcdefg 0123456789%?[]$\\{}é中\n.", max_size=80)


def question(text, frequency=lambda word: 1, papers=100):
    return question_of(text, EMBEDDER.encode([text])[0], frequency, papers)


def scored(text, title, abstract, **known):
    one = paper(title, abstract)
    spans = sentences(abstract)
    vectors = EMBEDDER.encode([readable(abstract[start:end]) for start, end in spans])
    return score_sentences(
        question(text, **known), one, [sentence(one.abstract, *found) for found in zip(spans, vectors, strict=True)]
    )


def best(text, *lines, title="A paper"):
    return max(scored(text, title, " ".join(lines)), key=lambda sentence: sentence.score).text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("How large is the corpus?", "The corpus holds 11,000 annotated scenarios."),
        ("Who annotated it?", "Trained linguists annotated each scenario twice."),
        ("Where can the code be downloaded?", "All code is available for download at https://example.org."),
        ("Does fine-tuning improve the models?", "Fine-tuning improves every model by a wide margin."),
        ("How do people compare with machines?", "Humans still outperform every system we tried."),
    ],
)
def test_the_sentence_that_answers_is_scored_best(text, answer):
    lines = [
        "The corpus holds 11,000 annotated scenarios.",
        "Trained linguists annotated each scenario twice.",
        "Fine-tuning improves every model by a wide margin.",
        "Humans still outperform every system we tried.",
        "All code is available for download at https://example.org.",
    ]
    assert best(text, *lines) == answer


def test_an_answer_scores_above_a_sentence_on_something_else():
    text = "How many scenarios does the poker benchmark hold?"
    answer, other = (
        scored(text, "A paper", line)[0].score
        for line in ("The poker benchmark holds 11,000 scenarios.", "Yeast ferments the sugar in dough.")
    )
    assert answer > 2 * other


def test_a_rare_word_tells_more_than_a_common_one():
    common = {"model": 90, "zorblat": 1}
    rare, usual = scored(
        "zorblat model",
        "A paper",
        "Here a zorblat is shown. Here a model is shown.",
        frequency=lambda word: common.get(word, 0),
    )
    assert rare.score > usual.score


def test_a_sentence_that_only_leads_up_to_the_answer_scores_less():
    text = "What does Zorblat do with sheep?"
    plain = scored(text, "A paper", "Zorblat is new. It was made last year.")[0]
    leading = scored(text, "A paper", "Zorblat is new. It counts sheep.")[0]
    assert leading.score < plain.score


def test_a_number_helps_only_where_one_is_asked_for():
    one = paper("A paper", "Things are held. The dataset holds 7 images. Things are done.")
    spans = sentences(one.abstract)
    asking, other = question("How many images does the dataset hold?"), question("Which images does the dataset hold?")
    made = [sentence(one.abstract, span, asking.vector) for span in spans]
    with_number = score_sentences(asking, one, made)[1].score
    assert with_number > score_sentences(replace(other, vector=asking.vector), one, made)[1].score


@pytest.mark.parametrize("word", ["solves", "solved", "Solving", "SOLVE"])
def test_endings_and_case_of_a_word_do_not_matter(word):
    (sentence,) = scored(f"Which model {word} it?", "A paper", "This one solves the task.")
    assert sentence.covered


def test_scores_are_of_the_sentences_in_order_and_name_what_they_cover():
    abstract = r"First we bake \textbf{bread}. Then we cool it. Last we eat bread."
    found = scored("Who eats bread?", "A paper", abstract)
    assert [sentence.text for sentence in found] == [abstract[start:end] for start, end in sentences(abstract)]
    assert [len(sentence.covered) for sentence in found] == [1, 0, 2]


@pytest.mark.parametrize("text", ["the of and", "???", "What is it?", "中文", "a" * 5000])
def test_a_question_with_nothing_to_compare_is_no_error(text):
    assert all(0 <= sentence.score <= 1 for sentence in scored(text, "A paper", "One thing. Another thing."))


@given(text=WORDS, abstract=WORDS, seed=st.integers(0, 99), frequency=st.integers(0, 500))
def test_scores_are_shares(text, abstract, seed, frequency):
    one, spans = paper("T", abstract), sentences(abstract)
    noise = np.random.default_rng(seed).normal(size=(len(spans) + 1, 8)).astype("float32")
    vectors = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    found = score_sentences(
        question_of(text, vectors[0], lambda word: frequency, 500),
        one,
        [sentence(one.abstract, *found) for found in zip(spans, vectors[1:], strict=True)],
    )
    assert len(found) == len(spans)
    assert all(0 <= s.score <= 1 and -1.001 <= s.cosine <= 1.001 for s in found)


def test_a_paper_without_a_sentence_has_no_score():
    assert scored("What?", "A title", "") == ()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("Code is available at https://x.org.", True),
        ("Our data and code are publicly available.", True),
        ("We release the models and the training code.", True),
        ("The project page is https://x.org.", True),
        ("It can fine-tune trillion parameter models on a single node, making large models more accessible.", False),
        ("In the batch model every continual release algorithm has a larger error.", False),
        ("We introduce SheepBench, a data set that is available to all.", False),
        ("We release three data sets of " + "many, " * 30 + "sheep.", False),
    ],
)
def test_a_sentence_that_only_says_where_something_is(text, where):
    assert tells_where(text) is where
