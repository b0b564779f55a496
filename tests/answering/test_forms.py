"""The tables of wordings: every example is read as its row says, and what is like one is not."""

from __future__ import annotations

import re

import pytest

from rag.answering import acts, details, metadata
from rag.answering.acts import ACTS
from rag.answering.details import DETAILS, Detail
from rag.answering.shape import FORMS, compared, shape, strangers, template
from rag.text import Span


def _read(example: str) -> tuple[str, list[Span]]:
    """A question whose names stand in braces, without them, and where the names are."""
    text, names = "", []
    for piece in re.split(r"(\{[^}]*\})", example):
        if piece.startswith("{"):
            names.append(Span(len(text), len(text) + len(piece) - 2))
        text += piece.strip("{}") if piece.startswith("{") else piece
    return text, names


@pytest.mark.parametrize(("kind", "example"), [(form.kind, one) for form in FORMS for one in form.examples])
def test_an_example_of_a_shape_has_it(kind, example):
    question, names = _read(example)
    assert shape(question, names, len(names)).kind == kind
    assert shape(question.upper(), names, len(names)).kind == kind


@pytest.mark.parametrize(
    ("example", "kind"),
    [
        ("wtf is {S4}", "definition"),
        ("ELI5 {S4}", "definition"),
        ("I need a short explanation of {S4}", "definition"),
        ("what kind of model is {S4}", "definition"),
        ("What motivated {BEIR}?", "reason"),
        ("what need does {BEIR} meet?", "reason"),
        ("who is behind {S4}", "point"),
        ("what does {S4} use", "point"),
        ("why is {S4} faster", "point"),
    ],
)
def test_words_that_only_ask_make_no_other_question(example, kind):
    question, names = _read(example)
    assert shape(question, names, len(names)).kind == kind


@pytest.mark.parametrize(
    "example",
    ["what sets {S4} apart from {H3}?", "{S4} / {H3}", "pros and cons of {S4} vs {H3}", "{S4} relative to {H3}"],
)
def test_two_names_are_compared_in_other_words_too(example):
    question, names = _read(example)
    assert shape(question, names, 2).kind == "comparison"


@pytest.mark.parametrize(
    ("example", "kind"),
    [
        ("What is {S4} trained on?", "point"),
        ("How much faster is {S4}?", "point"),
        ("Does {S4} use {HiPPO}?", "point"),
        ("What is the best paper?", "point"),
        ("Which papers use reinforcement learning?", "list"),
        ("Which papers study batch size?", "list"),
        ("which benchmarks mention long contexts", "list"),
        ("papers that use {S4} for long video understanding", "list"),
        ("Why do {SSMs} fail on copying?", "point"),
    ],
)
def test_what_is_like_a_shape_of_names_is_none(example, kind):
    question, names = _read(example)
    assert shape(question, names, len(names)).kind == kind


@pytest.mark.parametrize(
    ("example", "aspect", "figures"),
    [
        ("Compare {S4} and {S4D}", "", False),
        ("{S4} vs {H3}", "", False),
        ("Is {S4} better than {H3}?", "", False),
        ("What do {S4} and {H3} have in common?", "", False),
        ("Which is larger, {BEIR} or {BRIGHT}?", "larger", True),
        ("Which has more questions, {BEIR} or {BRIGHT}?", "questions", True),
        ("how does {S4D} do on long range arena compared with {S5-PTD}", "long range arena", False),
        ("{GLM-130B} vs {360Zhinao} parameters", "parameters", True),
        ("{EvoCodeBench}, {AixBench}: which is larger?", "larger", True),
    ],
)
def test_a_comparison_has_an_aspect_where_one_is_asked(example, aspect, figures):
    question, names = _read(example)
    found = shape(question, names, 2)
    assert found.kind == "comparison"
    assert found.figures is figures
    assert (aspect in found.aspect) if aspect else not found.aspect
    assert compared(question, names) == found


def test_names_that_no_paper_introduces_make_no_comparison_by_a_figure():
    question, names = _read("With 128 {GPUs}, how many minutes for {English to German}?")
    assert shape(question, names, 0).kind == "point"


@pytest.mark.parametrize(
    ("example", "of", "every", "literal"),
    [
        ("which papers use {S4} or {H3}?", (0, 1), False, ""),
        ("which papers mention {S4} and {H3}?", (0, 1), True, ""),
        ("who used {A100} {GPUs}?", (0,), False, ""),
        ("papers mentioning weight decay", (), False, "weight decay"),
        ("who used rtx4090 gpus?", (), False, "rtx4090"),
        ("which papers use SQuAD?", (), False, "SQuAD"),
        ("how many papers talk about {KV} cache?", (), False, "KV cache"),
    ],
)
def test_papers_that_have_a_name_are_asked_for(example, of, every, literal):
    question, names = _read(example)
    found = shape(question, names, len(names))
    assert (found.kind, found.of, found.every, found.literal) == ("mention", of, every, literal)


@pytest.mark.parametrize(
    ("example", "name"),
    [
        ("{S4} vs Foobar", "Foobar"),
        ("Is QuuxNet better than {S4}?", "QuuxNet"),
        ("Compare {S4} with BarBench-2.", "BarBench-2"),
        ("Compare {S4} with others", ""),
        ("Compare {S4}, {H3} and Foobar", "Foobar"),
        ("is {S4} better than gpt-5?", "gpt-5"),
        ("Is {S4} better than its rivals?", ""),
    ],
)
def test_what_is_compared_and_is_no_name_of_the_library(example, name):
    question, names = _read(example)
    assert strangers(question, names) == name


def test_a_question_is_read_without_its_marks_and_manners():
    question, names = _read("Hi, could you please explain {S4}'s idea, thanks?")
    assert template(question, names) == "explain @ idea"


# --- acts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("act", "example"), [(form.act, one) for form in ACTS for one in form.examples])
def test_an_example_of_an_act_is_one(act, example):
    assert acts.act(example) == act
    assert acts.act(f"  {example.upper()}!! ") == act


@pytest.mark.parametrize(
    "text",
    [
        "What is S4?", "thanks, and what is H3?", "test time training?", "stop words", "why?", "what about H3?",
        "summary of S4", "good benchmarks?", "is it better?", "no free lunch?", "any other papers on batch size?",
        "more benchmarks for code", "continue pretraining", "help with retrieval", "", "?!", "next token prediction",
    ],
)  # fmt: skip
def test_a_question_is_no_act(text):
    assert acts.act(text) is None


# --- details ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detail", "question"), [(detail, one) for detail in DETAILS for one in detail.asking], ids=str
)
def test_an_example_asks_for_its_detail(detail: Detail, question: str):
    assert details.wanted(template(question.replace("@", "S4", 1), [Span(question.index("@"), question.index("@") + 2)])) is detail if "@" in question else True  # fmt: skip


@pytest.mark.parametrize(
    ("detail", "sentence", "given"),
    [(detail, one, True) for detail in DETAILS for one in detail.giving]
    + [(detail, one, False) for detail in DETAILS for one in detail.silent],
    ids=str,
)
def test_an_example_gives_its_detail_or_does_not(detail: Detail, sentence: str, given: bool):
    assert details.gives(detail, sentence) is given


@pytest.mark.parametrize(
    "question", ["what is @", "how fast is @", "the computational cost of @", "does @ use a cost function", "why @"]
)
def test_other_questions_ask_for_no_detail(question):
    assert details.wanted(question) is None


@pytest.mark.parametrize(
    ("question", "sentence", "given"),
    [
        ("how many layers has @", "A model with 130 billion parameters.", False),
        ("how many layers has @", "It has 24 layers.", True),
        ("how many questions does @ have", "It consists of 11,000 most important scenarios.", True),
        ("how many people annotated @", "Five expert annotators wrote them.", True),
        ("how many people annotated @", "A set of 1,227 human-written questions.", False),
        ("number of patients in @", "We enrolled 210 healthy women.", True),
    ],
)
def test_a_number_is_that_of_what_is_counted(question, sentence, given):
    detail = details.wanted(question)
    assert detail
    assert details.gives(detail, sentence) is given


def test_digits_of_names_are_no_figures():
    assert details.figures_of("We test GPT-4, ChatGPT 3.5 and GPT-3 175B on CIFAR-10.").count("4") == 0
    assert "91%" in details.figures_of("S4 reaches 91% on CIFAR-10, and BLEU 30.1.")
    assert "30.1" in details.figures_of("It reaches BLEU 30.1.")


def test_a_measure_that_is_named_is_the_one_that_is_asked_for():
    found = details.metric("what bleu score does @ get")
    assert found
    assert found[0] == "a BLEU score"
    assert not found[1].search("95.7% accuracy")
    assert details.metric("what accuracy does @ reach") is None


def test_the_data_set_of_a_score_is_what_it_is_on():
    assert details.data_set("ponet f1 on squad") == "squad"
    assert details.data_set("accuracy of @") == ""


# --- the library itself -------------------------------------------------------------------------


@pytest.mark.parametrize(("about", "example"), [(form.about, one) for form in metadata.FORMS for one in form.examples])
def test_an_example_asks_about_the_library(about, example):
    found = metadata.asked(example)
    assert found
    assert found.about == about


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("papers by Ada Smith?", "Ada Smith"),
        ("papers from 2020", "2020"),
        ("papers after 2019", "2020-"),
        ("anything before 2019", "-2018"),
        ("papers since 2021", "2021-"),
        ("papers between 2018 and 2020", "2018-2020"),
        ("papers until 2020", "-2020"),
    ],
)
def test_what_is_known_of_papers_is_a_filter(question, value):
    found = metadata.asked(question)
    assert found
    assert found.value == value


@pytest.mark.parametrize(
    "question", ["what papers study batch size?", "how many papers mention S4", "papers about 2020 elections", "which papers are there on S4?"]
)  # fmt: skip
def test_a_question_about_a_topic_is_none_about_the_library(question):
    assert metadata.asked(question) is None
