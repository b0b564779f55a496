"""What is exported can be read by what reads it: nothing in a title or quote is obeyed by LaTeX or Markdown."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import FLASH, S4
from test_followup import answer

from rag.export import as_json, bibtex, cited, csl, key, latex, markdown, notes, references
from rag.records import Answer, Paper, Where

HOSTILE = r"50% \input{x} of_A & B #1 ~ $x$ [link](http://evil.test) *bold* <b> `code` | a^b {"
EVIL = Paper(
    id="0123456789ab", title=HOSTILE, abstract=f"One. {HOSTILE}", authors=("Gödel, Kurt", "Ada Lovelace"), year=1931,
    venue="A & B", doi="10.1/x}y", url="https://example.org/a_b",
)  # fmt: skip
SPECIAL = re.compile(r"(?<!\\)[%&#_$]")  # unescaped


def test_a_bibtex_entry_holds_nothing_that_latex_obeys():
    entry = bibtex([EVIL], abstracts=True)
    fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.MULTILINE))
    assert set(fields) == {"title", "author", "year", "journal", "doi", "url", "abstract"}
    for name in ("title", "author", "journal", "abstract"):
        assert not SPECIAL.search(fields[name]), fields[name]
        assert fields[name].replace(r"\{", "").count("{") == fields[name].replace(r"\}", "").count("}")
        assert not re.search(r"\\(?!text(?:backslash|asciitilde|asciicircum|less|greater)\{\}|[%&#_${}])", fields[name])
    assert fields["author"] == "Gödel, Kurt and Ada Lovelace"
    assert fields["doi"] == "10.1/xy"


@given(st.text())
def test_any_text_has_balanced_braces_in_latex(text):
    shown = re.sub(r"\\[{}]", "", latex(text))
    depth = 0
    for char in shown:
        depth += (char == "{") - (char == "}")
        assert depth >= 0
    assert depth == 0
    assert not SPECIAL.search(shown)


@pytest.mark.parametrize(
    "text", ["1. one", "- one", "# one", "> one", "+ one", "* one", "a *b* _c_", "[a](b)", "<x y>", "=="]
)
def test_markdown_finds_nothing_to_obey(text):
    assert re.search(r"\\", markdown(text))
    assert markdown(text).replace("\\", "") == text


def test_text_without_anything_special_stays_as_it_is():
    plain = "It is 2.5 times faster (up to 16K), on all tasks."
    assert latex(plain) == markdown(plain) == plain


def test_keys_are_readable_stable_and_unique():
    other = Paper(id="ba9876543210", title=EVIL.title, abstract="Two.", authors=EVIL.authors, year=1931)
    assert key(EVIL) == "godel193150-0123456789ab"
    assert key(EVIL) != key(other)
    assert bibtex([other, EVIL, EVIL]).count("@") == 2
    assert re.findall(r"@\w+\{(.*),", bibtex([EVIL, other])) == [key(EVIL), key(other)]
    assert re.fullmatch(r"[a-z0-9]+-[0-9a-f]{12}", key(S4))
    assert key(Paper(id="0" * 12, title="Über “Größen”", abstract="")) == "uber-000000000000"
    assert key(Paper(id="0" * 12, title="…", abstract="")) == "paper-000000000000"


def test_csl_is_what_pandoc_reads():
    (item,) = json.loads(csl([EVIL], abstracts=True))
    assert item["id"] == key(EVIL)
    assert item["issued"] == {"date-parts": [[1931]]}
    assert item["author"] == [{"literal": "Gödel, Kurt"}, {"literal": "Ada Lovelace"}]
    assert item["DOI"] == EVIL.doi
    assert "abstract" not in json.loads(csl([S4]))[0]


def test_a_chat_in_markdown_has_a_footnote_for_every_mark_with_its_quotes():
    first = answer("Which [layer]?", (1, S4), (2, FLASH))
    said = Answer.from_dict(first.to_dict() | {"text": "S4 did. [1] [2] Not [9] *this*."})
    page = notes([said, answer("And?", (1, S4))])
    assert "## Which \\[layer\\]?" in page
    assert "S4 did.[^1][^2] Not \\[9\\] \\*this\\*." in page
    assert (
        set(re.findall(r"\[\^(\d+)\](?!:)", page))
        == set(re.findall(r"^\[\^(\d+)\]:", page, re.MULTILINE))
        == {"1", "2"}
    )
    assert page.count(f"> {markdown(S4.abstract[:9])}") == 1
    assert cited([said]) == [S4, FLASH]


def test_a_chat_in_markdown_says_which_papers_were_asked():
    page = notes([replace(answer("a", (1, S4)), where=Where('author:"A *b*"', 1, 2))])
    assert '*Only papers with author:"A \\*b\\*" (1 of 2).*' in page


def test_a_number_that_two_papers_bear_names_both():
    page = notes([answer("a", (1, S4)), answer("b", (1, FLASH))])
    assert markdown(S4.title) in page
    assert markdown(FLASH.title) in page


def test_json_gives_the_answers_back():
    said = [answer("Which?", (1, S4)), answer("And?")]
    assert [Answer.from_dict(data) for data in json.loads(as_json(said))] == said


def test_a_list_of_references():
    assert references([S4]) == f"- *{markdown(S4.title)}*. ({S4.id})\n"
    assert references([EVIL]).endswith("1931. https://example.org/a\\_b\n")
