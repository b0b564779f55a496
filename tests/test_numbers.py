"""Numbers in their usual forms, and those that a claim has and its quotes have not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.support import judged
from rag.numbers import missing_numbers, quantities


@pytest.mark.parametrize(
    ("variants", "value", "unit"),
    [
        (("60times", "60x", "sixty times", r"$60\times$", "60-fold", "60 × faster", "Sixty-fold"), 60, "x"),
        (("64%", r"64\%", "64 percent", "sixty-four percent", "64 pp", "64 percentage points"), 64, "%"),
        (("1,200", "1200", "1.2k", "1.2 thousand"), 1200, ""),
        (("1.5k tokens", "1,500 tokens", "1500 token"), 1500, "token"),
        (("20 million", "20M", "20,000,000", "twenty million"), 2e7, ""),
        (("7B parameters", "7 billion parameters", "seven billion parameters"), 7e9, "paramet"),
        ((".5", "0.5", "0.50"), 0.5, ""),
        (("100-layer", "100 layers", "one hundred layers"), 100, "layer"),
        (("7B", "~7B", "$7$B", "7 billion", "7,000,000,000", "7 Milliarden", "70亿", "7 mil millones"), 7e9, ""),
        (("2x", "2×", "twofold", "two-fold", "two times", "twice", "2-fach", "zu 2 mal", "2倍"), 2, "x"),
        (("64 %", "64 per cent", "64 Prozent", "达到64%"), 64, "%"),
    ],
)
def test_one_quantity_in_many_forms_is_one(variants: tuple[str, ...], value: float, unit: str) -> None:
    for variant in variants:
        (found,) = quantities(variant)
        assert found == (pytest.approx(value), unit), variant


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("from 2.3 to 1,024 in 2024.", [2.3, 1024, 2024]),
        ("LLaMA2 and v1.5 and x_3", []),
        ("GPT-4 scores 86.4%", [4, 86.4]),
        ("none, ones, attend, tent", []),
        ("twenty one, thirty", [21, 30]),
        ("", []),
    ],
)
def test_numbers_are_found_in_order_and_names_are_none(text: str, values: list[float]) -> None:
    assert [quantity.value for quantity in quantities(text)] == values


@given(st.text(alphabet="abcdefgNO 0123456789%?[]$\\{}é中\n.-", max_size=60))
def test_any_text_has_quantities(text: str) -> None:
    assert all(quantity.value >= 0 for quantity in quantities(text))


@pytest.mark.parametrize(
    ("claim", "quote"),
    [
        ("It is 60x faster.", "sixty times faster"),
        ("It is 60times faster.", "a 60-fold speedup"),
        ("It has 1.5k users.", "1,500 users"),
        ("It holds 1.5 million rows.", "1,500,000 rows"),
        ("It gains 5 %.", "a gain of 5 percentage points"),
        ("It is 3.5-4.5 times faster.", "3.5 to 4.5x"),
        ("A factor of 60 is reached.", "60x"),
        ("The 21st century saw the 2nd wave.", "nothing is counted"),
        ("(1) It is fast, (2) it is small.", "fast and small"),
        ("2. It is fast.", "fast"),
        ("Two methods save memory: A and B.", "A saves memory, and so does B"),
        ("One of these saves memory.", "A saves memory"),
        ("The two alternatives are A and B.", "A and B"),
        ("A is therefore the larger of the two.", "A has 13B parameters, B 7B"),
        ("It counts problems solved in all three versions.", "solved in each version"),
        ("Adding its two sets, 175 and 161 samples, gives 336.", "175 samples for one use and 161 samples for another"),
        ("A reaches 61.5% and B 55.8%, 5.7 points less.", "A reaches 61.5% and B 55.8%"),
        ("The 360Zhinao models are larger.", "the models are larger"),
        ("It was trained with LLaMA-7B.", "it was trained with a model"),
        ("GPT-4 is better.", "the model is better"),
        ("COVID-19 is milder now.", "the disease is milder"),
        ("It wins on WMT 2014.", "it wins on WMT14"),
        ("Llama 2 is better.", "Llama2 is better"),
        ("Llama 2 is better.", "Llama-2 is better"),
        ("A ~7B model is used.", "a model of 7,000,000,000 parameters"),
        ("A 1.3B model is used.", "1.3 billion parameters"),
        ("It is twice as fast.", "a 2x speedup"),
        ("It is two times faster.", "which doubles the speed"),
        ("It needs 50% of the memory.", "it halves memory"),
        ("It is 10x faster.", "faster by an order of magnitude"),
        (
            "Die Sammlung hat über 2.400 Fragen und 36,5 % davon sind schwer.",
            "over 2,400 questions, 36.5% of them hard",
        ),
        ("Es sind 1.110.000 Zeilen in der Tabelle und nicht mehr.", "1,110,000 rows"),
        ("Der Wert ist 1.110 und nicht höher.", "a value of 1.110"),
        ("Le modèle a 7 milliards de paramètres avec les poids.", "7B parameters"),
        ("该模型有70亿参数，准确率达到64%。", "7B parameters and 64 % accuracy"),
    ],
)
def test_a_number_said_in_another_way_is_given(claim, quote):
    assert missing_numbers(claim, [quote]) == ()


@pytest.mark.parametrize(
    ("claim", "quote", "missing"),
    [
        ("It is 70x faster.", "60 times faster", "70x"),
        ("It is 60% faster.", "60 times faster", "60%"),
        ("It is 60x faster.", "60 % faster", "60x"),
        ("It keeps 0.5 of them.", "50 % are kept", "0.5"),
        ("It reaches BLEU 28.4.", "BLEU 27.1", "28.4"),
        ("It reaches F1 92.", "F1 of 91", "92"),
        ("In 2014 it won.", "in 2015 it won", "2014"),
        ("Seven datasets were used.", "nine datasets", "7"),
        ("Two datasets were used.", "many datasets", "2"),
        ("Three methods are compared.", "two methods are compared", "3"),
        ("It runs for three hours.", "it runs for long", "3"),
        ("All three abilities are measured.", "five cognitive abilities are measured", "3"),
        ("These two hundred rows are hard.", "the rows are hard", "200"),
        ("A suite of four benchmarks helps.", "a suite of benchmarks", "4"),
        ("Its 175 and 161 samples make 346.", "175 samples and 161 samples", "346"),
        ("A has 175 samples, and 161 rows make 336.", "175 samples, and 161 rows", "336"),
        ("It gains five points.", "it gains", "5%"),
        ("It doubles in two-thirds of cases.", "it doubles", "2"),
        ("Llama 3 is better.", "Llama2 is better", "3"),
        ("A 13B model is trained.", "a 7B model is trained", "13 billion"),
        ("It took 20,000 steps.", "it took 2,000 steps", "20,000"),
        ("It is threefold faster.", "a twofold speedup", "3x"),
        ("It has 1.110 rows.", "1,110 rows", "1.11"),
        ("Die Sammlung hat über 2.500 Fragen und Antworten.", "over 2,400 questions", "2.5"),
        ("Es erreicht 4,5 Punkte und ist damit besser.", "it gains 4 points", "4.5"),
        ("准确率达到64%。", "36% accuracy", "64%"),
    ],
)
def test_a_number_that_no_quote_gives_is_a_veto(claim, quote, missing):
    assert missing_numbers(claim, [quote]) == (missing,)
    found = judged(claim, [(quote, None)])
    assert found.probability == 0
    assert found.missing_numbers == (missing,)
    assert missing in found.reason


def test_the_numbers_of_a_comparison_may_come_from_two_papers():
    quotes = ["Model A reaches 81.2 % on the test set.", "Model B reaches 79.4 % on the test set."]
    claim = "Model A reaches 81.2 % on the test set, model B 79.4 %."
    assert missing_numbers(claim, quotes) == ()
    assert missing_numbers(claim, quotes[:1]) == ("79.4%",)
