"""What papers are called: made-up titles and abstracts of several fields, and what is no name in them."""

from __future__ import annotations

import pytest

from rag.library.namings import namings


def introduced(title: str, abstract: str) -> set[str]:
    """The names that a paper introduces, without those that it defines or spells out alone."""
    return {naming.name for naming in namings(title, abstract) if naming.how in ("both", "introduced", "title")}


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("We propose TeaNet, a network that brews.", {"TeaNet"}),
        ("In this paper, we introduce TeaBench: a benchmark of 300 cups.", {"TeaBench"}),
        ("We present a novel brewing benchmark, TeaBench, to measure cups.", {"TeaBench"}),
        ("This paper presents a corpus named KettleLog.", {"KettleLog"}),
        ("We build a realistic, diverse, and large dataset, TeaLeaves-5k, of leaves.", {"TeaLeaves-5k"}),
        ("To this end, we devise a method (dubbed BrewQ) for slow kettles.", {"BrewQ"}),
        ("We introduce the Quick Meal Index (QMI), a measure of haste.", {"QMI", "Quick Meal Index"}),
        ("We propose steep-then-pour (STP), a simple method for leaves.", {"STP", "steep-then-pour"}),
        ("We propose two new metrics, TScore and CScore, for cups.", {"TScore", "CScore"}),
        ("Based on this, we introduce the K4-PTD and K5-PTD models.", {"K4-PTD", "K5-PTD"}),
        ("We create a large TeaLog-Pro dataset of cups.", {"TeaLog-Pro"}),
        ("Our benchmark, CupME, consists of cups.", {"CupME"}),
        ("Our final model K4D is a diagonal version of kettles.", {"K4D"}),
        ("This leads to our proposed LongBrew, which is fast.", {"LongBrew"}),
        ("The resulting model is called TCNCA, a cup with chunks.", {"TCNCA"}),
        ("We describe a fast simulator, which we call “Stirrer”, and test it.", {"Stirrer"}),
        ("We present weighted steeping: a way to brew that needs no clock.", {"weighted steeping"}),
        ("We release a graph dataset, named cupcat, derived from menus.", {"cupcat"}),
        (
            "In this work, we propose 'Breaking the Brew Barrier' (B3), a new strategy.",
            {"B3", "Breaking the Brew Barrier"},
        ),
        ("A reference-pour alignment (Ref-PA) module is proposed to align cups.", {"Ref-PA"}),
        ("We introduce an efficient kettle scheduler Sencha-Serve inspired by older ones.", {"Sencha-Serve"}),
        ("Here we describe the CALM trial, a randomised trial of camomile.", {"CALM"}),
        ("We developed the Cup Handling Questionnaire (CHQ) for nurses.", {"CHQ", "Cup Handling Questionnaire"}),
        ("We propose a framework called <brewster>, which predicts taste.", {"brewster"}),
    ],
)
def test_names_that_a_sentence_introduces(sentence, names):
    assert introduced("How tea is made", f"Tea is old. {sentence} It works well.") == names


@pytest.mark.parametrize(
    "sentence",
    [
        "We evaluate our method on ImageNet and on a recent dataset called TeaLog.",
        "We propose a BERT-based model for tea.",
        "We present a Transformer architecture for large language models (LLMs).",
        "We introduce a new text-to-cup (T2C) generation task.",
        "Recently, Smith et al. proposed TeaNet, a network that brews.",
        "TeaNet was introduced by others in 2017.",
        "We devise a pipeline leveraging foundation models, namely GPT-4V and DALL-E 3.",
        "The proposed method outperforms Lemming and Morfette.",
        "Our method helps to build better LLMs.",
        "We report that TLR4 is expressed in leaves treated with IL-10.",
        "Overexpression of SIRT1 delays ageing of MSCs in our cells.",
        "We study how tea is made in English and Chinese homes.",
        "We collected 120 samples (58 women) from January to March.",
        "We present the first results (see Table 2).",
    ],
)
def test_names_of_others_and_words_about_what_was_made(sentence):
    assert introduced("How tea is made", f"Tea is old. {sentence} It works well.") == set()


def test_a_name_that_stood_before_is_not_new():
    abstract = "Kettles often use TeaNet. We propose TeaNet pruning, a way to shrink TeaNet models."
    assert introduced("How to shrink kettles", abstract) == set()


@pytest.mark.parametrize(
    ("title", "abstract", "names"),
    [
        ("TeaNet: A Network that Brews", "Tea is old.", {"TeaNet"}),
        ("BRIGHT: A Hard Benchmark of Cups", "We introduce BRIGHT, the first cup benchmark.", {"BRIGHT"}),
        ("Stirrer: a fast simulator", "This paper presents “Stirrer”, a fast simulator.", {"Stirrer"}),
        (
            "Long Cup Arena: A Benchmark of Kettles",
            "We propose a benchmark, Long-Cup Arena (LCA).",
            {"Long Cup Arena", "LCA"},
        ),
        (
            "The Cuppa Kitchen: Tea at Scale",
            "The Cuppa Kitchen serves as a code base. The Cuppa Kitchen is open.",
            {"Cuppa Kitchen"},
        ),
        ("LiveCup -- A Live Benchmark", "Cups change.", {"LiveCup"}),
        ("Oolong Leaf Dataset", "We release leaves.", {"Oolong Leaf Dataset"}),
        ("An Oolong Brewing System", "We brew.", {"Oolong Brewing System"}),
        ("The Oolong Waiting Corpus: a resource for brewers", "We describe leaves.", {"Oolong Waiting Corpus"}),
        ("Tea Error Estimation: e-TER", "We estimate errors.", {"e-TER"}),
        ("KETTLE-X at SemEval-2021 Task 1: Boiling Words", "We took part.", {"KETTLE-X"}),
        ("Larotrinib: a new drug", "Larotrinib is a drug.", {"larotrinib"}),
    ],
)
def test_names_in_a_title(title, abstract, names):
    found = introduced(title, abstract)
    assert {name.lower() for name in found} >= {name.lower() for name in names}


@pytest.mark.parametrize(
    ("title", "abstract"),
    [
        ("Mind the Gap: Why Kettles Whistle", "Kettles whistle."),
        ("Diabetes: A Review of Ten Years", "We review diabetes. In diabetes, sugar rises."),
        ("What Are the Best Cups? New Perspectives", "Cups differ."),
        ("Breaking the Cup: A Study", "We study cups."),
        ("Benchmarking Tea Training Algorithms", "We benchmark algorithms."),
        ("AI Predicts AGI: Asking Kettles", "We ask kettles."),
        ("Kettle whistling and its causes", "Kettles whistle."),
        ("Dual role of tea virus (RTV)-induced sleep", "RTV is common."),
        ("", ""),
    ],
)
def test_titles_without_a_name(title, abstract):
    assert introduced(title, abstract) == set()


def test_what_both_name_comes_first_and_shows_its_sentence():
    abstract = "Tea is old. We propose TeaNet, a network. It needs BrewBench (Brew Benchmark). TeaNet is fast."
    first, *rest = namings("TeaNet: A Network that Brews", abstract)
    assert (first.name, first.how) == ("TeaNet", "both")
    assert abstract[slice(*first.span)] == "We propose TeaNet, a network."
    assert ("BrewBench", "spelt", "Brew Benchmark") in {(n.name, n.how, n.long) for n in rest}


def test_a_title_alone_shows_the_sentence_that_has_the_name_or_says_what_was_made():
    (found,) = namings(
        "SCALE: Harder Tests of Kettles", "Kettles grew. We introduce a new benchmark of kettles. It is hard."
    )
    assert (found.name, found.how) == ("SCALE", "title")
    assert found.span == (14, 54)
    assert namings("SCALE: Harder Tests of Kettles", "Kettles grew.")[0].span is None


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        ("Apalutamide is a drug against tea stains.", "Apalutamide"),
        ("CVT-301 is a powder of leaves.", "CVT-301"),
        ("Bartter syndrome is a severe disease.", "Bartter syndrome"),
        ("NRAGE, a member of the tea family, mediates taste.", "NRAGE"),
        ("OBJECTIVE: Kettleopathy is a rare disease of kettles.", "Kettleopathy"),
    ],
)
def test_what_a_sentence_defines(sentence, name):
    assert (name, "defined") in {(n.name, n.how) for n in namings("On tea", sentence)}


@pytest.mark.parametrize(
    "sentence",
    ["This is a test.", "Conversation is a part of tea.", "It is the first.", "Intuitively, the more, the better, we say.", "Our model is a cup.",
     "Essential to tea is the leaf."],
)  # fmt: skip
def test_ordinary_subjects_define_no_name(sentence):
    assert namings("On tea", sentence) == ()


def test_residue_of_markup_is_no_part_of_a_name():
    abstract = r"Our method, \textbf{Cup Arena}, ranks cups. \textbf{Cup Arena} is \emph{fast}."
    assert introduced("Cup Arena: A Tournament of Cups", abstract) == {"Cup Arena"}


@pytest.mark.parametrize(
    "text", ["(" * 5000, "We propose " * 4000, "A" * 50_000, "We propose a " + "very, " * 20_000, "Aa-" * 20_000]
)
def test_odd_texts_take_no_time(text):
    namings(text[:2000], text)
