"""The count that the readers are held against finds what is there, without them."""

from __future__ import annotations

import pytest
from readers.test_formats import EXPORTS, ONE, TWO

from evals.bench.readers import held, letters

SUFFIXES = {
    "ris": ".ris", "bibtex": ".bib", "csv": ".csv", "tsv": ".tsv", "semicolons": ".csv", "csl": ".json",
    "pubmed": ".xml", "atom": ".xml", "oai": ".xml", "wos": ".txt",
}  # fmt: skip


@pytest.mark.parametrize("name", SUFFIXES)
def test_both_titles_are_counted_and_an_empty_abstract_is_not(tmp_path, name):
    text = EXPORTS[name][0]
    file = tmp_path / f"a{SUFFIXES[name]}"
    file.write_text(text, "utf-8")
    assert held(file) == {letters(ONE), letters(TWO)}
    file.write_text(text.replace("Lanterns are hard to count in fog.", "").replace("Our method counts 412 of them with an "
                    "error of 3 %.", ""), "utf-8")  # fmt: skip
    if name != "oai":  # there a comment stands in another description
        assert held(file) == {letters(ONE)}


def test_letters_are_what_programs_agree_on():
    assert letters(r"{\"O}n <i>{DNA}</i> \& \emph{x}--2") == letters("On DNA &amp; x-2") == "ondnax2"
