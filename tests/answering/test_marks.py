"""What a chat model writes is read as sentences with numbers, in whatever form, however it arrives."""

from __future__ import annotations

import json
import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.marks import Marks, marked
from rag.records import Marked
from rag.text import folded, readable, sentences


def read(text):
    """[(text, numbers)] with the numbers as a string: "13" for 1 and 3."""
    return [(said, "".join(map(str, numbers))) for said, numbers in marked(text)]


def numbers(text):
    (one,) = marked(text)
    return one.numbers


# --- the forms of a mark ------------------------------------------------------------------------

SQUARE = [
    "[1]", "[ 1 ]", "[01]", "[1][3]", "[1] [3]", "[1], [3]", "[1] and [3]", "[1, 3]", "[1;3]", "[1 3]", "[1 and 3]",
    "[1-3]", "[1–3]", "[1 - 3]", "[1, 3-5]", "【1】", "［1］", "［１］", "〔1〕", "【1†source】", "【1†L3-L5】",
    "【4:0†source】", "[1†source]", "[Source 1]", "[source: 1]", "[Passage 2]", "[passages 1, 3]",
    "[Passage 1, Passage 3]", "[doc 2]", "[Ref. 3]", "[#2]", "[^1]", "[^1][^3]", "^[1]^", "`[1]`", "**[1]**",
    "*[1]*", "__[1]__", "`[1]`, `[3]`",
    "[[1]]", r"\[1\]", "[1](https://a.b/c)", "[[1]](https://a.b/c)", "[1: Structured State Spaces]", "(Passage 2)",
    "(Source 1, 3)", "(see passage 2)", "([1])", "(see [1])", "(Source: [1])", "(according to [1])", "<sup>1</sup>",
    "<sup>[1]</sup>", "<sup>1,3</sup>", "¹", "¹,³", "\u200b[\u200b1\u200b]",
]  # fmt: skip


@pytest.mark.parametrize("mark", SQUARE)
def test_every_form_is_a_mark_before_and_after_the_stop_and_in_the_middle(mark):
    named = tuple(dict.fromkeys(marked(f"S4 is fast {mark}.")[0].numbers))
    assert named
    assert set(named) <= {1, 2, 3, 4, 5}
    for form in (f"S4 is fast {mark}.", f"S4 is fast. {mark}", f"S4 is fast.{mark}", f"S4 is fast{mark}."):
        assert marked(form) == (Marked("S4 is fast.", named),)
        both = marked(f"{form} Flash is exact [9].")
        assert both == (Marked("S4 is fast.", named), Marked("Flash is exact.", (9,)))
    assert marked(f"S4 is fast {mark} and exact.") == (Marked("S4 is fast and exact.", named),)


@pytest.mark.parametrize(
    ("mark", "named"),
    [
        ("[1-3]", (1, 2, 3)),
        ("[2–4, 1]", (2, 3, 4, 1)),
        ("[3][1][3]", (3, 1)),
        ("[1-21]", tuple(range(1, 22))),
        ("[999]", (999,)),
        ("【4:0†source】", (4,)),
        ("¹²", (12,)),
        ("¹ ²", (1, 2)),
    ],
)
def test_the_numbers_of_a_mark_in_order_once_each(mark, named):
    assert numbers(f"S4 is fast {mark}.") == named


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("It came in [2023].", "It came in [2023]."),
        ("It came in [2023].", None),
        ("Weights lie in [0, 1].", "Weights lie in [0, 1]."),
        ("It has [1-50] of them.", "It has [1-50] of them."),
        ("It is [3-1].", "It is [3-1]."),
        ("It has 12 (95).", None),
        ("Two things: (1) speed and (2) memory.", None),
        ("It has (1) speed, (2) memory.", None),
        ("See Eq. (1).", None),
        ("It follows from case (2).", None),
        ("Both (1) and (2).", None),
        ("It costs O(n²).", None),
        ("It has 10⁵ m².", None),
        ("R² is high.", None),
        ("It takes log² n.", None),
        ("The array a[i] is short.", None),
        ("It is [fast].", None),
        ("It is fast [1.", None),
    ],
)
def test_what_only_looks_like_a_mark(said, text):
    assert marked(said) == (Marked(text or said, ()),)


@pytest.mark.parametrize("said", ["S4 is fast (1).", "S4 is fast (1, 3).", "S4 is fast (1)(3).", "S4 is fast. (1)"])
def test_a_number_in_round_brackets_is_a_mark_where_a_sentence_ends(said):
    assert read(said) in ([("S4 is fast.", "1")], [("S4 is fast.", "13")])


def test_in_a_sentence_that_has_square_marks_round_ones_are_text():
    assert read("S4 has a step (2) [1].") == [("S4 has a step (2).", "1")]


# --- where a mark belongs -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "sentences"),
    [
        ("A is [1]. B is [2].", [("A is.", "1"), ("B is.", "2")]),
        ("A is. [1] B is. [2]", [("A is.", "1"), ("B is.", "2")]),
        ("A is.[1][3]\nB is.", [("A is.", "13"), ("B is.", "")]),
        ("A is.¹ B is.²", [("A is.", "1"), ("B is.", "2")]),
        ("A is! [1] B is? [2]", [("A is!", "1"), ("B is?", "2")]),
        ("[1] A is. [2] B is. C is. [3]", [("A is.", "1"), ("B is.", "2"), ("C is.", "3")]),
        ("- [1] A is.\n- [2] B is.", [("A is.", "1"), ("B is.", "2")]),
        ("A is [1]. [2] shows that B is.", [("A is.", "1"), ("B is.", "2")]),
        ("a is. [1] b is. [2]", [("a is.", "1"), ("b is.", "2")]),
        ("A [1] is by Smith et al. [2] and B.", [("A is by Smith et al. and B.", "12")]),
        ("It is 1.5. [1] It is 2.5 [2].", [("It is 1.5.", "1"), ("It is 2.5.", "2")]),
        ("“A is.” [1] “B is.” [2]", [("“A is.”", "1"), ("“B is.”", "2")]),
        ("**A is.** [1] *B is.* [2]", [("A is.", "1"), ("B is.", "2")]),
        ("A很快。[1] B很准[2]。", [("A很快。", "1"), ("B很准。", "2")]),
        ("A is, which all\nothers are not [1].", [("A is, which all others are not.", "1")]),
        ("A is\n[1]\nB is\n[2]", [("A is", "1"), ("B is", "2")]),
    ],
)
def test_a_mark_belongs_to_its_sentence(said, sentences):
    assert read(said) == sentences


@pytest.mark.parametrize("group", ["[1][2]", "[1, 2]", "Sources: [1], [2]", "**Sources:** [1][2]", "(Passages 1, 2)"])
@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_a_group_after_a_paragraph_is_of_its_last_sentences_without_marks(group, gap):
    assert read(f"A is. B is.{gap}{group}") == [("A is.", "12"), ("B is.", "12")]
    assert read(f"A is. B is [3]. C is.{gap}{group}\n\nD is.") == [
        ("A is.", ""),
        ("B is.", "3"),
        ("C is.", "12"),
        ("D is.", ""),
    ]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("According to [1], the model is fast.", "The model is fast."),
        ("According to passage 1, the model is fast.", "The model is fast."),
        ("According to the abstract [1], S4 is fast.", "S4 is fast."),
        ("As shown in [1], S4 is fast.", "S4 is fast."),
        ("In [1], S4 is fast.", "S4 is fast."),
        ("[1] states that S4 is fast.", "S4 is fast."),
        ("Passage [1] shows that S4 is fast.", "S4 is fast."),
        ("Passage 1 also says that S4 is fast.", "S4 is fast."),
        ("S4 is fast, according to [1].", "S4 is fast."),
        ("S4 is fast, as stated in passage [1].", "S4 is fast."),
        ("S4 is fast, see [1].", "S4 is fast."),
        ("S4 was proposed in [1].", "S4 was proposed."),
        ("This is where errors stem from [1].", "This is where errors stem from."),
        ("S4 [1], the model, is fast.", "S4, the model, is fast."),
        ("S4 [1] (a model) is fast.", "S4 (a model) is fast."),
    ],
)
def test_without_its_mark_a_sentence_still_reads(said, text):
    assert marked(said) == (Marked(text, (1,)),)


@pytest.mark.parametrize(
    "said",
    [
        "E.g. S4 is fast.",
        "A. Gu and I. Dao, cf. Fig. 2, gain 3.5 percent vs. 2.1, i.e. much.",
        "The E.T. Bench has 7,000 videos.",
        "Yes. S4 is fast.",
        "- No! S4 is slow.",
        "Nein. S4 ist nicht schnell.",
    ],
)
def test_abbreviations_and_decimals_do_not_end_a_sentence(said):
    assert read(f"{said[:-1]} [1].") == [(said.removeprefix("- "), "1")]
    marks = Marks()
    whole = f"{said[:-1]} [1]. It is new [2]."
    streamed = [*(sentence for char in whole for sentence in marks.feed(char)), *marks.close()]
    assert [sentence.text for sentence in streamed] == [said.removeprefix("- "), "It is new."]


def test_a_sentence_of_an_abstract_is_read_as_it_stands(papers):
    for one in papers[::6]:
        said = [readable(one.abstract[start:end]) for start, end in sentences(one.abstract)]
        said = [re.sub("[][*]|^\\W?\\d\\)", "", text).strip() for text in said]
        found = marked(" ".join(f"{text} [{n}]" for n, text in enumerate(said, 1)))
        assert [(folded(text), *named) for text, named in found] == [(folded(t), n) for n, t in enumerate(said, 1)]


# --- what frames an answer ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "- S4 is fast [1].",
        "* S4 is fast. [1]",
        "1. S4 is fast [1].",
        "2) S4 is fast [1].",
        "> S4 is fast [1].",
        "**S4 is fast** [1].",
        "S4 is _fast_ [1].",
        "S4 is `fast` [1].",
        "Answer: S4 is fast [1].",
        "**Answer:** S4 is fast [1].",
        "### Answer\n\nS4 is fast [1].",
        "**Answer**\nS4 is fast [1].",
        "Final answer: S4 is fast [1].",
        "S4 is fast [1].\n\nSources:\n[1] Structured State Spaces\n[2] Flash",
        "S4 is fast [1].\n\n## References\n\n1. Gu et al. 2022.\n2. Dao et al. 2022.",
        "S4 is fast [1].\n**Sources**\n- Structured State Spaces. 2022.",
        "S4 is fast [1]. Sources: [1] Structured State Spaces. [2] Flash.",
        "S4 is fast [1].\nReferences: [1] Structured State Spaces\n[2] Flash",
        "S4 is fast [^1].\n\n[^1]: Structured State Spaces.",
        "S4 is [fast](https://evil.example/?q=1) [1].",
        "S4 is fast ![](https://evil.example/a.png)[1].",
        "S4 is fast [1]. ![1](https://evil.example/a.png)",
        "S4 is <b onclick='x'>fast</b> [1].<br>",
        "S4 is fast [1]. <img src=https://evil.example/a.png>",
        "S4 is fast [1].<!-- and so on -->",
        "S4 is fast [1].<|im_end|>",
        "<s>[INST]S4 is fast [1].</s>",
        "```\nS4 is fast [1].\n```",
        "```markdown\nS4 is fast [1].\n```",
        "```python\nprint('[2]')\n# S4 is slow [1].\n```\nS4 is fast [1].",
        "<think>Hm. Passage [2] says no.</think>\nS4 is fast [1].",
        "<THINK>Hm.</THINK> S4 is fast [1]. <think>Sure?</think>",
        "S4 is fast [1]. <think>And then it goes on. [2]",
        "S4 is <think>Hm [2].</think>fast [1].",
        "Hm. Passage [2] says no [2].\n</think>\n\nS4 is fast [1].",
        '<tool_call>{"name": "search", "arguments": {"query": "S4 [2]."}}</tool_call>\nS4 is fast [1].',
        "<tool_call>what is this?</tool_call>S4 is fast [1].",
        '{"name": "search", "arguments": {"query": "S4 [2]."}}\nS4 is fast [1].',
        '{"answer": "S4 is fast [1].", "confidence": 0.9}',
        '{"answer": "S4 is fast.", "citations": [1]}',
        '{"sentences": [{"text": "S4 is fast.", "citations": [1]}]}',
        '<tool_call>{"name": "answer", "arguments": {"answer": "S4 is fast [1]."}}</tool_call>',
        '```json\n{\n  "answer": "S4 is fast [1]."\n}\n```',
        '{"answer": "S4 is fast [1].',
        "\x1b[1mS4\x1b[0m is \x1b]8;;https://evil.example\x07fast\x1b]8;;\x07 [1].",
        "S4 is \x1b]52;c;ZXZpbA==\x07fast [1].",
        "S4 is\u202e fa\u200bst [1].\U000e0041",
        "S4 is fast [1].\r\n\r\n---\r\n",
    ],
)
def test_only_the_answer_is_read(said):
    assert marked(said) == (Marked("S4 is fast.", (1,)),)


@pytest.mark.parametrize(
    "said", ["", " \n", "---", "<think>only this", "[1][2]", "## Answer", "Sources:\n- [1] S4", "```"]
)
def test_where_nothing_is_said_nothing_is_read(said):
    assert marked(said) == ()


@pytest.mark.parametrize(
    "said",
    [
        "a < b and c > d.",
        "Let p <q and i <b in <R> be.",
        "It is {x} of {y}.",
        "{x} is it.",
        "2 * 3 * 4 is 24.",
        "It costs $5.",
    ],
)
def test_other_text_stays_as_it_is(said):
    assert marked(said) == (Marked(said, ()),)


def test_after_a_list_of_sources_an_answer_may_go_on():
    assert read("A is [1].\n\nSources:\n- [1] A title\n\nB is [2].") == [("A is.", "1"), ("B is.", "2")]


def test_a_mark_made_of_what_is_left_of_others_is_no_text():
    for nested in ("S4 is [[1]9].", "S4 is [[1]2[3]].", "S4 is [9[1]].", "S4 is [[[[1]]]9]."):
        assert marked(nested)[0].text == "S4 is."


# --- as it arrives ------------------------------------------------------------------------------

BITS = [
    "S4 is fast", "it", " ", "\n", "\n\n", ".", "! ", "。", "[1]", "[1, 3]", "[2-4]", "【1†source】", "(1)", "(2)", "¹",
    "[^1]",
    "`", "**", "*", "_", "[", "]", "(", ")", "<think>", "</think>", "<tool_call>", "</tool_call>", '{"answer": "', '"}',
    "{", "}", '"', "\\", "Sources:", "References", "## ", "- ",
    "1. ", "```", "```python", "Answer:", "According to [2], ",
    "e.g.", "1.5", " et al.", "](https://e.x/y)", "![a](https://e)", "<sup>1</sup>", "\x1b[31m", "\x1b]8;;https://e\x07",
    "\u200b", "[Source 1]", "(Passage 2)", "Passage 2 states that ", "[2023]", "[0, 1]", "A", "<", "\r\n", "\x02", "9",
]  # fmt: skip
REPLIES = st.lists(st.sampled_from(BITS), max_size=30).map("".join) | st.text(max_size=60)


def streamed(pieces):
    marks = Marks()
    found = [one for piece in pieces for one in marks.feed(piece)]
    found += marks.close()
    return tuple(found[marks.void :])


@given(REPLIES, st.lists(st.integers(0, 200), max_size=20))
def test_however_a_reply_is_cut_it_reads_the_same(text, cuts):
    edges = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [text[start:end] for start, end in pairwise(edges)]
    assert streamed(pieces) == streamed(text) == marked(text)


@given(REPLIES)
def test_what_is_read_is_one_line_without_controls(text):
    for one in marked(text):
        assert one.text == one.text.strip()
        assert re.search(r"\w", one.text)
        assert not re.search("[\x00-\x1f\x7f-\x9f\u200b]", one.text)
        assert all(0 < n <= 999 for n in one.numbers)
        assert len(set(one.numbers)) == len(one.numbers)


@given(REPLIES.map(lambda text: re.sub("[<{]", "", text)))
def test_an_object_says_what_its_text_says(text):
    assert marked(json.dumps({"answer": text})) == marked(f"\n{text}\n")


def test_a_sentence_is_given_as_soon_as_the_next_one_begins():
    marks = Marks()
    assert marks.feed("S4 is fast [1].") == ()
    assert marks.feed(" Fl") == (Marked("S4 is fast.", (1,)),)
    assert marks.feed("ash is exact. ") == ()
    assert marks.feed("[2] I") == ()
    assert marks.feed("t ") == (Marked("Flash is exact.", (2,)),)
    assert marks.close() == (Marked("It", ()),)


def test_thoughts_that_had_no_beginning_are_told_when_they_end():
    marks = Marks()
    given = [*marks.feed("Hm, [2] says so [2]. Or not?"), *marks.feed(" Yes. </thi"), *marks.feed("nk> S4 is [1].")]
    given += marks.close()
    assert marks.void == 1
    assert given == [Marked("Hm, says so.", (2,)), Marked("S4 is.", (1,))]


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "[1",
        "(",
        "{",
        '{"a":',
        "[1] ",
        ". ",
        "<",
        "<think>",
        "*",
        "`",
        "[1, ",
        "![",
        "[a](",
        "A. ",
        ".  ",
        "¹",
        "a\n",
        "\x1b]",
    ],
)
def test_a_reply_made_to_be_slow_is_not(unit):
    began = time.process_time()
    marked(unit * (6000 // len(unit)))
    assert time.process_time() - began < 20
