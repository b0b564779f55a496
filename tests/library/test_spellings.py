"""How names are written: keys, spellings, words, short and long forms."""

from __future__ import annotations

import pytest

from rag.library.spellings import clean, is_word, name_key, named, pairs, pieces, spelling, strong


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("FlashAttention", "flash attention"),
        ("Flash-Attention", "FLASHATTENTION"),
        ("Mamba-2", "Mamba 2"),
        ("E.T. Bench", "et bench"),
        ("GPT‑4o", "gpt-4o"),  # a hyphen that does not break
        ("BT^2", "BT2"),
        ("Ｋ-Sort", "k-sort"),
    ],
)
def test_spellings_of_one_name_have_one_key(one, other):
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("C", "C++"), ("C#", "C"), ("S4", "S4D"), ("GPT-4", "GPT-4o"), ("∞Bench", "Bench")]
)
def test_names_that_differ_have_other_keys(one, other):
    assert name_key(one) != name_key(other)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("FlashAttention", "It extends Flash Attention to blocks."),
        ("FlashAttention", "built on flash-attention."),
        ("Flash Attention", "built on FlashAttention."),
        ("S4", "S4's kernel"),
        ("S4", "(S4)"),
        ("SSM", "such SSMs are fast"),
        ("Mamba-2", "than Mamba 2, which"),
        ("GPT-4", "GPT-4-based judges"),
        ("E.T. Bench", "on E.T. Bench we"),
        ("LongVQ", "LongVQ/S4"),
        ("BRIGHT", "scores on BRIGHT."),
    ],
)
def test_a_name_is_found_however_it_is_joined(name, text):
    assert spelling(name).search(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("S4", "S4D and S5"),
        ("GPT-4", "GPT-4o and GPT-4.5"),
        ("S4", "the model's 4 layers"),
        ("H3", "CH3 groups"),
        ("BRIGHT", "a bright idea"),
        ("5", "2.5 times"),
        ("LRA", "LRAM"),
    ],
)
def test_a_name_is_not_found_inside_another(name, text):
    assert not spelling(name).search(text)


def test_a_long_text_is_searched_in_no_time():
    assert not spelling("A-B-C-D-E-F").search("a-b-c-d-e " * 20_000)


@pytest.mark.parametrize("word", ["bright", "Helmet", "models", "the"])
def test_words_of_the_language(word):
    assert is_word(word)


@pytest.mark.parametrize("word", ["LongVQ", "larotrectinib", "S4", "zzq"])
def test_names_are_no_words(word):
    assert not is_word(word)


def test_shapes():
    assert [
        w for w in ("PoNet", "S4", "BERT", "iPad", "Paris", "F-coref", "well", "2", "3D", "Part-Of") if strong(w)
    ] == [
        "PoNet",
        "S4",
        "BERT",
        "iPad",
        "3D",
    ]
    assert [w for w in ("Paris", "s4", "well", "42") if named(w)] == ["Paris", "s4"]
    assert (clean("“LongVQ’s"), clean("LLMs"), clean("E.T."), clean("HCN.")) == ("LongVQ", "LLM", "E.T.", "HCN")
    assert pieces("FlashAttention-2") == ["Flash", "Attention", "2"]


@pytest.mark.parametrize(
    ("text", "short", "long"),
    [
        ("We test on Long Range Arena (LRA).", "LRA", "Long Range Arena"),
        ("the Quick Meal Index (QMI) is", "QMI", "Quick Meal Index"),
        ("QMI (Quick Meal Index) is", "QMI", "Quick Meal Index"),
        ("the Happy Happy Hens (H3) layer", "H3", "Happy Happy Hens"),
        ("we train large kettle models (LKMs) here", "LKMs", "large kettle models"),
        ("a perturb-then-pour (PTP) method", "PTP", "perturb-then-pour"),
        ("quality of life (QoL; 12 items)", "QoL", "quality of life"),
        (
            "peroxisome proliferator activated receptor gamma (PPAR-gamma)",
            "PPAR-gamma",
            "peroxisome proliferator activated receptor gamma",
        ),
        ("a Pooling Network (PoNet)", "PoNet", "Pooling Network"),
        ("“Tea for Two” (TfT)", "TfT", "Tea for Two"),
    ],
)
def test_short_and_long_forms(text, short, long):
    assert pairs(text) == ((short, long),)


@pytest.mark.parametrize(
    "text",
    [
        "we saw it (see Fig. 2)",
        "in 2019 (Smith et al., 2018)",
        "the rate fell (p < 0.05)",
        "a model (BERT) for tea",
        "(LRA)",
        "tea (n = 12)",
        "cups ()",
    ],
)
def test_brackets_that_spell_nothing_out(text):
    assert pairs(text) == ()
