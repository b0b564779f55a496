"""A draft is a proposal: what is passed on was found in a cited abstract, verbatim; the rest is taken out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import FLASH, POKER, S4, drafted, evidence, paper

from rag.answering import quotes
from rag.answering.bearing import by_support, by_words, misplaced, untitled
from rag.answering.quotes import locate
from rag.answering.relevance import sentence
from rag.answering.verify import Verifier, verify
from rag.library.embed import open_embedder
from rag.places import resource
from rag.readers import read
from rag.records import Draft, Marked
from rag.text import readable, sentences

SHIPPED = read([resource("data")]).papers


def checked(*lines, papers=(S4, FLASH, POKER), numbers=None, least=0.5):
    draft = Draft(tuple(map(drafted, lines)), evidence(*papers), "answered", "a model")
    return verify(draft, judge=by_words(least), numbers=numbers or {})


def only(verified):
    (claim,) = verified.claims
    return claim


# --- quotes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "It solves Path-X, which all prior work fails on.",
        "It solves Path-X, which all prior work fails on",
        "IT SOLVES PATH-X,   which all\nprior work fails on.",
        "It solves Path‑X, which all prior work fails on.",
        "It solves Path\u200b-X, which all prior work fails on.",
        "all prior work fails on",
    ],
)
def test_an_exact_quote_is_found_whatever_its_case_and_typography(said):
    claim = only(checked(f"{said} [1]"))
    assert claim.verdict == "quoted"
    assert claim.citations[0].quote in "It solves Path-X, which all prior work fails on."


@pytest.mark.parametrize(
    "said",
    [
        r"S4 reaches 91\% accuracy on sequential CIFAR-10, and generates text 60$\times$ faster.",
        "S4 reaches 91% accuracy on sequential CIFAR-10, and generates text 60× faster.",
        "s4 reaches 91% accuracy on sequential CIFAR–10, and generates text 60x faster",
    ],
)
def test_latex_and_its_readable_form_are_one_quote(said):
    (citation,) = only(checked(f"{said} [1]")).citations
    assert citation.quote == r"S4 reaches 91\% accuracy on sequential CIFAR-10, and generates text 60$\times$ faster."


@pytest.mark.parametrize("one", SHIPPED[::8], ids=lambda one: one.id)
def test_every_sentence_of_a_shipped_abstract_is_found_where_it_stands(one):
    spans = sentences(one.abstract)
    lines = [f"{readable(one.abstract[start:end]).replace('[', '(').replace(']', ')')} [1]" for start, end in spans]
    verified = checked(*lines, papers=(one,))
    assert [claim.verdict for claim in verified.claims] == ["quoted"] * len(spans)
    assert [(c.citations[0].start, c.citations[0].end) for c in verified.claims] == list(spans)


VARIANTS = {"-": "-‐‑–—", "'": "'’‘ʼ", '"': '"“”', " ": [" ", "  ", "\u00a0", "\n", " \u200b"]}


@st.composite
def perturbed(draw):
    """(paper, one of its sentences, that sentence with another typography)."""
    one = draw(st.sampled_from(SHIPPED))
    span = draw(st.sampled_from(sentences(one.abstract)))
    said = readable(one.abstract[span.start : span.end]).replace("[", "(").replace("]", ")")
    case = draw(st.sampled_from([str, str.upper, str.lower, str.swapcase]))
    return one, span, "".join(draw(st.sampled_from(VARIANTS.get(char, [char]))) for char in case(said))


@settings(max_examples=40)
@given(perturbed())
def test_a_sentence_typed_in_another_way_is_the_same_quote(perturbation):
    one, span, said = perturbation
    claim = only(checked(f"{said} [1]", papers=(one,)))
    assert claim.verdict == "quoted"
    assert span.start <= claim.citations[0].start < claim.citations[0].end <= span.end


@pytest.mark.parametrize(
    ("quote", "source"),
    [
        ("no", "A novel method."),
        ("it gains 4", "So it gains 4.5 points."),
        ("it gains 45", "So it gains 1,45 points, it gains 450."),
        ("5 points", "It gains 4.5 points."),
        ("state", "statement"),
        ("", "anything"),
        (".", "anything."),
    ],
)
def test_part_of_a_word_or_of_a_number_is_no_quote(quote, source):
    assert locate(quote, source) is None


def test_a_sentence_copied_as_it_is_stands_where_its_folded_form_does(monkeypatch):
    said = [(one.abstract[s.start : s.end], one.abstract) for one in SHIPPED[::4] for s in sentences(one.abstract)]
    found = [locate(quote, abstract) for quote, abstract in said]
    monkeypatch.setattr(quotes, "_verbatim", lambda quote, source: None)
    assert found == [locate(quote, abstract) for quote, abstract in said]


@pytest.mark.parametrize(
    ("quote", "source", "found"),
    [
        ("We win 91%", r"First. We win 91\%. Last.", r"We win 91\%."),
        ("learning rate η", r"A learning rate {\eta}. Last.", r"learning rate {\eta}."),
        ("Varco Arena wins", r"First. \textbf{Varco Arena} wins.", r"\textbf{Varco Arena} wins."),
        ("60×", r"It is 60\times faster.", r"60\times"),
        ("it is (1) fast", "So it is [1] fast.", "it is [1] fast."),
    ],
)
def test_markup_at_the_edge_belongs_to_the_quote(quote, source, found):
    span = locate(quote, source)
    assert span is not None
    assert source[span.start : span.end] == found


# --- support ------------------------------------------------------------------------------------


def test_a_paraphrase_is_supported_by_the_sentences_that_hold_its_words():
    claim = only(checked("Path-X was solved by S4, on which all prior work fails. [1]"))
    assert claim.verdict == "supported"
    assert "It solves Path-X, which all prior work fails on." in [c.quote for c in claim.citations]


@pytest.mark.parametrize(
    "said",
    [
        "FlashAttention trains GPT-2 5 times faster. [2]",
        "It reaches 61.5% accuracy on Path-X. [2]",
        "It trains GPT-2 forty times faster. [2]",
        "PokerBench is a benchmark of 12,000 poker scenarios. [3]",
    ],
)
def test_a_number_that_the_sources_do_not_give_takes_the_sentence_out(said):
    verified = checked("FlashAttention is exact and IO-aware. [2]", said)
    assert len(verified.claims) == 1
    assert [claim.verdict for claim in verified.removed] == ["unsupported"]
    assert verified.removed[0].reason
    assert said.removesuffix(" [2]").removesuffix(" [3]") not in verified.text


@pytest.mark.parametrize(
    "said",
    [
        "FlashAttention trains GPT-2 three times faster. [2]",
        "FlashAttention trains GPT-2 3x faster. [2]",
        "There are 11000 poker scenarios in the benchmark PokerBench. [3]",
    ],
)
def test_the_same_number_written_in_another_way_is_supported(said):
    assert only(checked(said)).verdict == "supported"


def test_a_number_is_looked_for_in_all_of_the_cited_abstracts_and_its_sentence_is_a_quote():
    claim = only(checked("S4 solves Path-X, which all prior work fails on, at 91% accuracy elsewhere. [1]"))
    assert any("91" in citation.quote for citation in claim.citations)
    both = "S4 reaches 91% accuracy, and PokerBench has 11,000 scenarios. [1][3]"
    assert {citation.paper.title for citation in only(checked(both)).citations} == {S4.title, POKER.title}
    assert not checked(both.replace("[1][3]", "[2]")).claims


TWO = (
    paper(
        "Alpha-1: a system",
        "We propose Alpha-1, a system for search. Alpha-1 reaches 86% on the common test of systems.",
    ),
    paper(
        "Beta-2: another",
        "We propose Beta-2, another system for search. Beta-2 reaches 71% on the common test of systems.",
    ),
)


@pytest.mark.parametrize(
    ("claim", "wrong"),
    [
        ("On the common test Alpha-1 reaches 86% and Beta-2 71%.", False),
        ("On the common test 71% is reached by Beta-2 and 86% by Alpha-1.", False),
        ("One system reaches 86%, the other 71%.", False),
        ("On the common test Beta-2 reaches 71%.", False),
        ("Alpha-1 is a system, and the 71% of the common test belong to another.", False),
        ("Alpha-1 reaches 86% and Beta-2 71%, a gap of 15%.", False),
        ("Of the two systems Beta-2 reaches 86%.", True),
        ("Alpha-1 is ahead, while Beta-2 reaches 86% on the common test.", True),
        ("Alpha-1 is a system for search and Beta-2 one that reaches 86%.", True),
    ],
)
def test_a_figure_belongs_to_the_paper_that_gives_it(claim, wrong):
    assert bool(misplaced(claim, TWO)) is wrong
    assert misplaced(claim, TWO[:1]) == ""


def test_a_sentence_about_something_else_is_unsupported():
    verified = checked("Bread rises because yeast ferments sugar. [1]")
    assert verified.text == ""
    assert [claim.verdict for claim in verified.removed] == ["unsupported"]


@pytest.mark.parametrize("said", ["No. [1]", "Yes. [2]", "On. [1]"])
def test_a_word_is_no_quote(said):
    assert checked(said).claims == ()


@pytest.mark.parametrize("mark", ["[1]", "[2]", "[1][2]", "[9]", ""])
def test_support_from_a_passage_that_is_not_named_is_credited_to_that_passage(mark):
    claim = only(checked(f"PokerBench is a benchmark of 11,000 poker scenarios. {mark}"))
    assert {citation.paper for citation in claim.citations} == {POKER}
    assert re.match("no mark for it, or a wrong one; ", claim.reason)


def test_support_from_a_paper_that_is_no_passage_does_not_count():
    verified = checked("PokerBench is a benchmark of 11,000 poker scenarios. [1]", papers=(S4, FLASH))
    assert [claim.verdict for claim in verified.removed] == ["unsupported"]


@pytest.mark.parametrize("said", ["State space model.", "Path-X.", "Long sequences."])
def test_a_few_words_that_stand_anywhere_are_credited_to_nobody(said):
    assert checked(said).claims == ()


# --- marks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "unknown"), [("[9]", 1), ("[0]", 1), ("[4]", 1), ("[9][8]", 2), ("[7][8][9]", 3), ("", 0), ("[a]", 0)]
)
def test_a_sentence_with_no_mark_that_names_a_passage_is_uncited_and_unknown_ones_are_counted(mark, unknown):
    verified = checked(f"It solves the riddle of the Sphinx, which all prior work fails on. {mark}")
    assert verified.text == ""
    assert [claim.verdict for claim in verified.removed] == ["uncited"]
    assert verified.unknown_marks == unknown


def test_an_unknown_mark_beside_a_known_one_is_dropped():
    verified = checked("It solves Path-X, which all prior work fails on. [9][1]")
    assert verified.text == "It solves Path-X, which all prior work fails on. [1]"
    assert verified.unknown_marks == 1


@pytest.mark.parametrize("mark", ["[1][2]", "[2][1][2]"])
def test_one_sentence_may_rest_on_several_papers(mark):
    claim = only(checked(f"Path-X was approached with 61.4% accuracy, and all prior work fails on it. {mark}"))
    assert {citation.paper for citation in claim.citations} == {S4, FLASH}


def test_a_sentence_that_stands_in_several_passages_is_quoted_from_each():
    twins = [paper(f"Twin {n}", "The very same sentence stands in each.") for n in (1, 2, 3)]
    verified = checked("The very same sentence stands in each. [1][2][3]", papers=twins)
    assert verified.text == "The very same sentence stands in each. [1][2][3]"


def test_marks_are_numbered_anew_in_order_of_first_mention():
    verified = checked(
        "PokerBench is a benchmark of 11,000 poker scenarios. [3]",
        "It solves Path-X, which all prior work fails on. [1]",
        "All state-of-the-art models play poorly before fine-tuning. [3]",
    )
    assert re.findall(r"\[\d+\]", verified.text) == ["[1]", "[2]", "[1]"]
    assert {(c.number, c.paper) for claim in verified.claims for c in claim.citations} == {(1, POKER), (2, S4)}


def test_papers_of_earlier_turns_keep_their_number_and_new_ones_go_on():
    verified = checked(
        "It solves Path-X, which all prior work fails on. [1]",
        "FlashAttention is exact and IO-aware. [2]",
        numbers={"elsewhere": 3, FLASH.id: 2},
    )
    assert re.findall(r"\[\d+\]", verified.text) == ["[4]", "[2]"]


# --- the text -----------------------------------------------------------------------------------


def test_claims_stand_in_the_text_at_their_offsets_and_nothing_else_does():
    verified = checked(
        "It solves Path-X, which all prior work fails on. [1]",
        "Bread rises because yeast ferments sugar. [2]",
        "  [2]  ",
        "FlashAttention is exact [2] and IO-aware.",
    )
    assert [verified.text[claim.start : claim.end] for claim in verified.claims] == [c.text for c in verified.claims]
    assert (
        verified.text
        == "It solves Path-X, which all prior work fails on. [1] FlashAttention is exact and IO-aware. [2]"
    )
    assert [(claim.start, claim.end) for claim in verified.removed] == [(0, 0)]


LINE = st.builds(
    Marked,
    st.sampled_from([s for one in (S4, FLASH, POKER) for s in re.split(r"(?<=\.) ", readable(one.abstract))])
    | st.text(alphabet="ab 19[].,$€\u200b–", max_size=30),
    st.sampled_from([(1,), (2,), (3,), (1, 2, 3), (5,), (0, 999), ()]),
)


@given(st.lists(LINE, max_size=6).map(tuple))
def test_whatever_the_draft_every_citation_is_verbatim_and_every_mark_names_one(lines):
    verified = verify(Draft(lines, evidence(S4, FLASH, POKER), "answered", "m"), judge=by_words(0.5), numbers={})
    cited = [citation for claim in verified.claims for citation in claim.citations]
    assert all(c.paper.abstract[c.start : c.end] == c.quote != "" for c in cited)
    assert all(claim.citations for claim in verified.claims)
    assert all(verified.text[claim.start : claim.end] == claim.text for claim in verified.claims)
    ends = [claim.start for claim in verified.claims] + [len(verified.text)]
    for claim, end in zip(verified.claims, ends[1:], strict=True):
        assert not re.search(r"\[\s*\^?\d{1,3}(\s*[,;–-]\s*\d{1,3})*\s*\]", claim.text)
        assert set(re.findall(r"\[(\d+)\]", verified.text[claim.end : end])) == {str(c.number) for c in claim.citations}


def test_an_empty_draft_gives_an_empty_text():
    assert checked() == ("", (), (), 0)


# --- titles, and sentences that lean on others --------------------------------------------------

WORDY = paper(
    "Counting Many Sheep in the Dark: A Study", "We count sheep. Sheep are counted at 91% in the dark. It is dark."
)


def said_of(*lines):
    return [claim.text for claim in checked(*lines, papers=(WORDY, S4)).claims]


@pytest.mark.parametrize(
    "line",
    [
        "Counting Many Sheep in the Dark: A Study [1]",
        "Counting many sheep in the dark: a study. [1]",
        "Counting Many Sheep in the Dark [1]",
        "Counting Many Sheep in the Dark: A Study Structured State Spaces [1][2]",
        "Structured State Spaces [2]",
    ],
)
def test_a_title_says_nothing(line):
    verified = checked(line, papers=(WORDY, S4))
    assert (verified.claims, verified.removed) == ((), ())


@pytest.mark.parametrize(
    "line",
    [
        "Counting Many Sheep in the Dark: A Study: Sheep are counted at 91% in the dark. [1]",
        "Counting Many Sheep in the Dark: A Study Sheep are counted at 91% in the dark. [1]",
    ],
)
def test_a_title_in_front_of_a_sentence_is_left_out(line):
    assert said_of(line) == ["Sheep are counted at 91% in the dark."]


def test_the_mark_of_a_title_holds_for_what_stands_below_it():
    assert said_of("Counting Many Sheep in the Dark: A Study [1]", "In the dark, sheep are counted at 91%.")
    assert not said_of("In the dark, 91% sheep.")


def test_a_short_title_may_begin_a_sentence():
    flash = "FlashAttention is exact and IO-aware."
    assert [claim.text for claim in checked(f"{flash} [2]").claims] == [flash]


NEGATED = paper(
    "Sheep Might Be Guilty but Goats are not Innocent: A Study", "People count sheep aloud, which keeps them awake."
)


@pytest.mark.parametrize(
    "title", ["“Sheep might be guilty but goats are not innocent”", "Sheep Might Be Guilty but Goats are not Innocent"]
)
def test_a_title_within_a_sentence_names_what_is_spoken_of_and_says_nothing(title):
    assert len(supported(f"{title} has people count sheep aloud, which keeps them awake. [1]", NEGATED).claims) == 1
    assert not supported(f"{title} has people count goats in silence, and they sleep. [1]", NEGATED).claims
    assert untitled(f"{title} counts.", [NEGATED]) == f"{title} counts."  # nothing else would be left


@pytest.mark.parametrize("count", ["Two", "2", "two of these"])
def test_a_writer_may_count_the_papers_that_a_sentence_cites(count):
    line = "{} papers reach results on Path-X: all prior work fails on it, one has 61.4% accuracy. [1][2]"
    assert checked(line.format(count)).claims
    (removed,) = checked(line.format(7)).removed
    assert removed.reason == "the cited sentences do not give 7"


def test_what_is_looked_for_again_keeps_the_reason_for_which_it_was_taken_out():
    verifier = Verifier(evidence(S4), by_words(0.9), {})
    for line in ("S4 generates text 50 times faster. [1]", "It has 7 layers, they say. [1]"):
        verifier.check(drafted(line))
    before = verifier.verified().removed
    verifier.again(evidence(POKER))
    assert verifier.verified().removed == before


@pytest.mark.parametrize("opening", ["This", "It", "These sheep", "They", "Such a study"])
def test_a_sentence_goes_with_the_one_that_it_leans_on(opening):
    leaning = f"{opening} solves what all prior work fails on, Path-X. [2]"
    gone = checked("Sheep fly at 300 km/h. [1]", leaning, papers=(WORDY, S4))
    assert gone.claims == ()
    assert gone.removed[1].reason == "it leans on a sentence that was taken out"
    other = checked("In the dark, sheep are counted at 91%. [1]", leaning, papers=(WORDY, S4))
    assert len(other.claims) == 1
    same = checked("S4 reaches 91% on sequential CIFAR-10. [2]", leaning, papers=(WORDY, S4))
    assert len(same.claims) == 2
    assert len(checked(leaning, papers=(WORDY, S4)).claims) == 1


def test_a_verbatim_sentence_leans_on_nobody():
    assert said_of("Sheep fly at 300 km/h. [1]", "It solves Path-X, which all prior work fails on. [2]")


def test_a_question_states_nothing():
    (removed,) = checked("Does S4 solve Path-X, which all prior work fails on? [1]").removed
    assert removed.reason == "it asks, and states nothing"


# --- support ------------------------------------------------------------------------------------


EMBEDDER = open_embedder()
MANY = 200  # papers of a library


def sentences_of(one):
    spans = sentences(one.abstract)
    vectors = EMBEDDER.encode([readable(one.abstract[start:end]) for start, end in spans])
    return [sentence(one.abstract, *found) for found in zip(spans, vectors, strict=True)]


def supported(line, *papers, least=0.4, common=()):
    def frequency(word):
        return MANY // 2 if word in common else 1

    judge = by_support(least, sentences_of, EMBEDDER.encode, frequency=frequency, papers=MANY)
    draft = Draft((drafted(line),), evidence(*(papers or (S4, FLASH, POKER))), "answered", "a model")
    return verify(draft, judge=judge, numbers={})


@pytest.mark.parametrize(
    "line",
    [
        "S4 generates text 60 times faster. [1]",
        "On sequential CIFAR-10, S4 has an accuracy of 91%. [1]",
        "S4 can solve Path-X, where all prior work fails. [1]",
        "Structured State Spaces, S4 for short, solve Path-X, on which all prior work fails. [1]",
    ],
)
def test_what_an_abstract_says_in_other_words_is_supported(line):
    (claim,) = supported(line).claims
    assert claim.verdict == "supported"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("S5-PTD reaches 91% accuracy on sequential CIFAR-10. [1]", "do not name S5-PTD"),
        ("S4 generates text 50 times faster. [1]", "do not give 50"),
        ("S4 was accepted at a conference about text. [1]", "support 0.27, less than 0.40"),
        ("Butterflies pollinate sequences of purple text. [1]", "of its words"),
    ],
)
def test_what_it_does_not_say_is_taken_out_with_the_reason(line, why):
    (removed,) = supported(line).removed
    assert why in removed.reason


def test_an_acronym_that_many_papers_have_names_none_of_them():
    line = "The SSM of S4 solves Path-X, which all prior work fails on. [1]"
    odd = line.replace("SSM", "QXM")
    assert supported(line).claims  # "state space model"
    assert not supported(odd).claims
    assert supported(odd, common=("qxm",)).claims


def test_a_higher_threshold_lets_less_pass():
    line = "S4 can solve Path-X, where all prior work fails. [1]"
    assert supported(line, least=0.1).claims
    assert not supported(line, least=0.99).claims
