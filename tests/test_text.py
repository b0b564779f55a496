"""Sentences, readable and folded views with their way back, words, numbers, and what a terminal may see."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.records import Paper
from rag.text import (
    View,
    compounds,
    folded,
    folded_view,
    foreign,
    label,
    looks_english,
    may_be_cut,
    paper_id,
    porter,
    printable,
    readable,
    readable_view,
    sentences,
    stem,
    terms,
    title_key,
    unstyled,
    without_login,
    words,
)

PIECES = [
    *"aZ19 .!?…\n\t,;()\"'”[]{}$_^&<>\\-é。İß×“\u00a0\u200b",
    *r"\textbf{ {\em \alpha \% \[ \] \unknown mathbb{ $x_1$ &lt; &nbsp; &#955; <sub> </i> <b `` '' \\ e.g. al.".split(),
    *("\r\n", "\n\n", " A. ", "(i) ", "ﬁ", "e\u0301"),
]
scholarly = st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=20)


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


# --- sentences ----------------------------------------------------------------------------------


def assert_nothing_lost(text: str) -> None:
    spans, at = sentences(text), 0
    for start, end in spans:
        assert at <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        assert not text[at:start].strip() or label(text[at:].lstrip()).strip() == text[at:start].strip()
        at = end
    assert not text[at:].strip()


@given(scholarly)
def test_sentences_hold_every_character_that_is_not_space_in_order(text: str) -> None:
    assert_nothing_lost(text)


def test_sentences_of_the_shipped_abstracts_hold_everything_and_read_as_sentences(papers: tuple[Paper, ...]) -> None:
    for paper in papers:
        assert_nothing_lost(paper.abstract)
        for sentence in split(paper.abstract):
            assert len(sentence) >= 14, (paper.id, sentence)  # the shortest one is "3) Efficiency."
            assert not sentence[0].islower() or sentence[1].isupper(), (paper.id, sentence)


@pytest.mark.parametrize(
    "text",
    [
        "It works. | We tried!",
        "Does it? | It does! | Yes…",
        'He said "no." | Then "yes!") | End',
        "As in e.g. Smith et al. and i.e. us. | Next.",
        "Cf. Eq. (3) and Fig. 4 vs. Sec. 2. | Done.",
        "By A. Smith and J. R. Jones. | Good.",
        "Ms. Lee and Dr. Who agree. | Good.",
        "We present E.T. Bench by J. R. Doe. | It is new.",
        "It grows with model size, N. | Finally, it stops at N. | We say why.",
        "It runs in 5 ms. | We are glad.",
        "Of size n. | Then m.",
        "1. Do it. | 2. Then that.",
        "(i) Speed. | (ii) Size. | A) More.",
        "Version 3.5 costs $5.00. | Fine.",
        "See v1.2.3 of x.y.z today. | Fine.",
        "We use scikit vs. torch. mathematics goes on.",
        "It is multilingual. | mGPT is.",
        "这是。| 那是。| 吗？| 好",
        "A heading\n\n | and a paragraph",
        "One line\nof many. | Two.",
        "We propose E.T. Bench and use it. | It is new.",
        "The U.S. Census and the U.K. Biobank are used. | Good.",
        "It was made in the U.S. | We then left.",
        "Labels of the Yahoo! Answers set are noisy. | It works! | Then it stopped.",
        "No stop at the end",
        "",
        " \n\t ",
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str) -> None:
    expected = [piece.strip() for piece in text.split("|") if piece.strip()]
    assert split(text.replace("| ", "")) == expected


@pytest.mark.parametrize("told", ["Results:", "MATERIALS AND METHODS:", "Conclusion:", "Main outcomes and measures:"])
def test_labels_of_sections_are_no_part_of_a_sentence(told: str) -> None:
    assert split(f"BACKGROUND: It hurts. {told} It heals.") == ["It hurts.", "It heals."]
    assert split(f"The {told} are these. We propose: a thing.") == [f"The {told} are these.", "We propose: a thing."]


# --- readable -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"up to 64\% of $\textbf{60times}$", "up to 64% of 60×"),
        (
            "60times faster, 1.37times/1.24times, 4timesRTX, 3 times, 2timestamps",
            "60× faster, 1.37×/1.24×, 4×RTX, 3 times, 2timestamps",
        ),
        (r"\textbf{Bold}, \emph{it} and {\em more}", "Bold, it and more"),
        (r"\textbf{a {b} c}", "a {b} c"),
        (r"{\bf not closed", "not closed"),
        (r"$O(n^2)$ for $k$-NN", "O(n^2) for k-NN"),
        (r"$\alpha$-divergence, 1$\times$1, H$_2$O", "α-divergence, 1×1, H_2O"),
        ("only $25 and $10", "only $25 and $10"),
        (r"x_{i}^{2} in mathbb{R}^d, teal{foo}", "x_i^2 in R^d, foo"),
        ("{a, b} in JSON", "{a, b} in JSON"),
        ("a &lt; b &amp; c&#955;", "a < b & cλ"),
        ("x<sup>2</sup>, <i>a</i> <b>, a < b > c", "x2, a , a < b > c"),
        ("``Stim'' is new", '"Stim" is new'),
        (r"\[ x \] and \(y\)", " x  and y"),
        (r"\unknown{x} \LaTeX \ie this", r"\unknown{x} LaTeX i.e. this"),
        ("}{ $ $$ \\ \\\\", "}{ $ $$ \\ \\\\"),
        ("plain", "plain"),
    ],
)
def test_residue_of_latex_and_html_is_shown_as_characters(text: str, shown: str) -> None:
    assert readable(text) == readable_view(text).text == shown


def assert_maps_back(view: View, text: str) -> None:
    assert len(view.offsets) == len(view.text) + 1
    assert len(view.ends) == len(view.text)
    assert view.offsets[-1] == len(text)
    assert list(view.offsets) == sorted(view.offsets)
    assert list(view.ends) == sorted(view.ends)
    assert all(0 <= start < end <= len(text) for start, end in zip(view.offsets, view.ends, strict=False))


@given(scholarly)
def test_every_character_of_the_readable_view_maps_back(text: str) -> None:
    view = readable_view(text)
    assert_maps_back(view, text)
    assert view.text == readable(text)
    for char, start, end in zip(view.text, view.offsets, view.ends, strict=False):
        assert end - start > 1 or text[start] == char


@given(scholarly)
def test_every_character_of_the_folded_view_maps_back(text: str) -> None:
    view = folded_view(text)
    assert_maps_back(view, text)
    assert view.text == view.text.casefold()
    assert "  " not in view.text
    assert not view.text[:1].isspace()


@pytest.mark.parametrize(
    ("text", "found", "original"),
    [
        (r"We gain 64\% there", "64%", r"64\%"),
        ("a &lt; b here", "a < b", "a &lt; b"),
        (r"use \textbf{Bold} type", "bold", r"\textbf{Bold}"),
        (r"use \textbf{Bold} type", "use", "use"),
        (r"use \textbf{Bold} type", "type", "type"),
        (r"{\em Arena} is one", "arena is", r"{\em Arena} is"),
        (r"an $\alpha$ value", "α", r"$\alpha$"),
        (r"in $O(n^2)$.", "o(n^2)", r"$O(n^2)$"),
        ("x<sup>2</sup> and", "2", "<sup>2</sup>"),
        (r"empty \textbf{} here", "here", r"here"),
        ("say “Path–X”  now", '"path-x" now', "“Path–X”  now"),
        ("of eﬃcient nets", "efficient", "eﬃcient"),
    ],
)
def test_what_is_found_in_the_folded_view_can_be_quoted_from_the_original(text: str, found: str, original: str) -> None:
    view = folded_view(text)
    at = view.text.index(found)
    start, end = view.source(at, at + len(found))
    assert text[start:end] == original


def test_every_sentence_of_the_shipped_abstracts_is_found_again_through_its_folded_form(
    papers: tuple[Paper, ...],
) -> None:
    for paper in papers:
        view = folded_view(paper.abstract)
        for sentence in split(paper.abstract):
            wanted = folded(sentence)
            at = view.text.index(wanted)
            start, end = view.source(at, at + len(wanted))
            assert paper.abstract[start:end] == sentence


@pytest.mark.parametrize(
    "variants",
    [
        ("State–Space", "state-space", "STATE‐SPACE", "state\u200b-space"),
        ("“it’s”", '"it\'s"', "``it's''"),
        ("a  b", " a\n\tb ", "A\u00a0B"),
        ("ﬁne", "fine", "fi\u00adne"),
        ("Straße", "STRASSE"),
    ],
)
def test_typographic_variants_fold_to_one(variants: tuple[str, ...]) -> None:
    assert len({folded(variant) for variant in variants}) == 1


# --- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("State-Space models", ["state", "space", "models"]),
        ("BERT-4's 3.5 C++ GPU/CPU", ["bert", "4", "s", "3.5", "c", "gpu", "cpu"]),
        ("naïve 模型 x_y", ["naïve", "模型", "x", "y"]),
        ("?! 🙂", []),
    ],
)
def test_words_are_folded_and_split_at_hyphens(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_terms_are_stems_of_the_words_that_carry_meaning() -> None:
    assert terms("Which of these papers solved it?") == terms("what is solving") == ["solv"]
    assert terms("models, modeling, modeled") == ["model"] * 3


def test_a_hyphenated_word_is_a_term_of_its_own_too():
    assert terms("Path-X solves it") == ["path", "x", "solv", "path-x"]
    assert set(terms("state-space models")) >= set(terms("state space model"))


@pytest.fixture
def busy_threads() -> Iterator[None]:
    """Threads take turns after a few instructions, so that what they share shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("stemmed", [stem, porter])
def test_a_stem_does_not_depend_on_what_other_threads_stem(stemmed, busy_threads, papers):
    known = sorted({word for paper in papers for word in words(f"{paper.title} {paper.abstract}")})
    uncached = stemmed.__wrapped__
    alone = [uncached(word) for word in known]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda first: [uncached(word) for word in known[first::8]], range(8)))
    assert together == [alone[first::8] for first in range(8)]


@given(scholarly)
def test_any_text_has_words_and_terms(text: str) -> None:
    assert len(terms(text)) <= len(words(text)) + len(compounds(text))
    assert all(words(text))


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("LAB-Bench umfasst über 2.400 Fragen und misst sie.", True),
        ("La méthode atteint 64 % sur ce jeu de données avec peu de calcul.", True),
        ("LAB-Bench包含超过2400个选择题。", True),
        ("El método reduce los errores con una tasa del 5 %.", True),
        ("S4 reaches 91% accuracy on sequential CIFAR-10.", False),
        ("Poincaré embeddings of the Erdős graph are small.", False),
        ("It was trained in Los Angeles for 3 days.", False),
        ("", False),
    ],
)
def test_a_sentence_in_another_language_is_told(text: str, other: bool) -> None:
    assert foreign(text) is other


def test_no_sentence_of_the_shipped_abstracts_is_foreign(papers: tuple[Paper, ...]) -> None:
    said = [paper.abstract[start:end] for paper in papers for start, end in sentences(paper.abstract)]
    assert [text for text in said if foreign(text)] == []


# --- the terminal -------------------------------------------------------------------------------

NASTY = ["\x1b[31m", "\x9b2J", "\x07", "\x00", "\r", "\r\n", "\x85", "\u202e", "\u2066", "\u200f", "\u2028", "\ud800", "\udcff"]  # fmt: skip


@given(st.lists(st.sampled_from(NASTY) | st.characters(), max_size=20).map("".join))
def test_nothing_a_terminal_could_obey_survives(text: str) -> None:
    shown = printable(text)
    for char in shown:
        assert char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs")
        assert unicodedata.bidirectional(char) not in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        assert char not in "\u061c\u200e\u200f"
    assert printable(shown) == shown


@pytest.mark.parametrize("nasty", NASTY)
def test_harmless_text_around_a_control_survives(nasty: str) -> None:
    shown = printable(f"a\tb\n{nasty}é🙂模")
    assert shown.startswith("a\tb\n")
    assert shown.endswith("é🙂模")
    assert nasty not in shown


def test_foreign_line_ends_become_newlines() -> None:
    assert printable("a\r\nb\u2028c\u2029d") == "a\nb\nc\nd"


# --- identity -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variant",
    [
        "Mamba: Linear-Time",
        "MAMBA -- linear   time",
        r"\textbf{Mamba}: Linear-Time",
        "<i>Mamba</i>: Linear–Time.",
        "mamba_linear_time",
    ],
)
def test_one_title_typed_in_many_ways_is_one_paper(variant: str) -> None:
    assert title_key(variant) == "mamba linear time"
    assert paper_id(variant) == "23ea68ccaf27"  # stored in libraries: it may never change


def test_greek_letters_in_titles_meet_their_latex() -> None:
    assert paper_id(r"The $\alpha$-net") == paper_id("The α net") != paper_id("The net")


def test_ids_of_the_shipped_papers_are_distinct(papers: tuple[Paper, ...]) -> None:
    assert len({paper.id for paper in papers}) == len(papers)
    assert all(paper.id == paper_id(paper.title) for paper in papers)


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("How many languages does the benchmark cover?", True),
        ("flashattention path-x accuracy", True),
        ("s4", True),
        ("", True),
        ("Combien de langues couvre le banc d'essai qui entraîne un juge peu coûteux ?", False),
        ("Wie viele Sprachen deckt der Benchmark für mehrsprachige Suche ab?", False),
        ("¿Cuántos idiomas cubre la prueba que entrena un juez sustituto barato?", False),
        ("用DataComp筛选出的14亿图文对从头训练的零样本准确率是多少？", False),
    ],
)
def test_what_does_not_look_english(text, english):
    assert looks_english(text) is english


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"O(\sqrt{\log n}) and $\sqrt{s_{NN}}$", "O(√(log n)) and √(s_NN)"),
        (r"\frac{\log K}{\Delta_{min}}", r"\frac{log K}{Δ_min}"),  # not known, but not torn either
        (r"B/(\eta{\lambda}D), {\alpha}{\beta}", "B/(ηλD), αβ"),
        (r"$\tilde{O}(d)$, \widehat P, \hat{x}", "Õ(d), P̂, x̂"),
        (r"\mathcal X, \bm x and \mathbf{y}", "X, x and y"),
        (r"O\left( \sum_{i} x \right)", "O( ∑_i x )"),
        (r"H\o{}j, \O sterg\aa{}rd, \LaTeX{}", "Høj, Østergård, LaTeX"),
        (r"a\textbackslash{}b \textbraceleft{}c\textbraceright{} x\textasciicircum{}2", r"a\b {c} x^2"),
        ("<h4>Aims</h4>To see.<h4>Results</h4>Seen.", "Aims To see. Results Seen."),
    ],
)
def test_mathematics_and_headings_that_exports_hold(text, shown):
    assert readable(text) == shown
    view = readable_view(text)
    for at in range(len(view.text)):  # each character has its place in what was given
        span = view.source(at, at + 1)
        assert 0 <= span.start < span.end <= len(text)


@pytest.mark.parametrize(
    ("styled", "plain"),
    [
        ("How many \x1b[31mpoker\x1b[0m scenarios?", "How many poker scenarios?"),
        ("\x1b[1;38;5;208mbold\x1b[m \x1b[4:3mwavy\x1b[24m\x1b[K", "bold wavy"),
        ("\x1b]0;title\x07a \x1b]8;;http://x.test\x1b\\link\x1b]8;;\x1b\\", "a link"),
        ("\x9b31mred\x1b(B\x1b7\x07", "red"),
        ("GPT-4 [31m] is 50% \\x1b[0m", "GPT-4 [31m] is 50% \\x1b[0m"),
    ],
)
def test_what_a_program_coloured_is_text_again(styled, plain):
    assert unstyled(styled) == plain
    assert unstyled(plain) == plain


@given(st.text())
def test_text_without_escape_sequences_is_not_touched(text):
    if not set(text) & set("\x1b\x9b\x07"):
        assert unstyled(text) == text


def test_bytes_of_a_file_name_are_shown_as_the_characters_they_are():
    name = "Zoë 模型.bib".encode().decode("ascii", "surrogateescape")
    assert printable(name) == "Zoë 模型.bib"
    assert printable(b"caf\xe9.bib".decode("utf-8", "surrogateescape")) == "caf\ufffd.bib"
    assert printable(b"\xc2\x9b2J \xe2\x80\xae".decode("ascii", "surrogateescape")) == "\ufffd2J \ufffd"


def test_a_line_that_fills_the_terminal_may_be_cut():
    assert may_be_cut("é" * 2047 + "\n")
    assert may_be_cut("x" * 5000)
    assert not may_be_cut("x" * 1000 + "\n")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("https://ann:secret@example.org/a?b#c", "https://example.org/a?b#c"),
        ("see http://ann@example.org and ftp://a:b@c.d/e", "see http://example.org and ftp://c.d/e"),
        ("https://example.org/@ann", "https://example.org/@ann"),
        ("mail ann@example.org, or a:b@c", "mail ann@example.org, or a:b@c"),
    ],
)
def test_no_login_stays_in_a_url(text: str, wanted: str) -> None:
    assert without_login(text) == wanted
