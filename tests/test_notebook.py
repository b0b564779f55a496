"""How values look in a notebook: what opens, and that no text of a paper or a model is obeyed."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from made import hits

import rag
from rag.records import STRUCK, Answer, Citation, Claim, FrozenMap, Paper, Usage, Where

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> </details> \"'` $x^2$ [a](javascript:b) | *b*"
PAPER = Paper(
    "0123456789ab", f"Odd {EVIL}", f"It is odd. {EVIL} All of it.", ("A " + EVIL,), 2020, url="javascript:alert(3)"
)
QUOTE = Citation(1, PAPER, PAPER.abstract, 0, len(PAPER.abstract))
CLAIM = Claim(f"It is odd {EVIL}.", 0, 10, (QUOTE,), "supported", "")
GONE = Claim(f"It is even {EVIL}.", 0, 0, (), "unsupported", f"no {EVIL}")
ANSWER = Answer(
    f"Is it {EVIL}?", "", f"It is odd {EVIL}. [1]\n\n{STRUCK}It is even{STRUCK}", "answered", (CLAIM,), (GONE,), (QUOTE,), (),
    f"model {EVIL}", Usage(1), FrozenMap(), FrozenMap(), "r", Where(EVIL, 1, 2),
)  # fmt: skip
BEARING = rag.Bearing(PAPER, "supports", (QUOTE,), 0.9, EVIL)
VALUES = {
    "answer": ANSWER,
    "hits": rag.Hits(hits(PAPER)),
    "paper": PAPER,
    "attribution": rag.Attribution(EVIL, (BEARING,)),
    "table": rag.Table((EVIL,), (rag.Row(PAPER, (rag.Cell("odd", QUOTE),)),)),
}


class Elements(HTMLParser):
    """The elements of a page, their attributes, and whether all of them were closed in their order."""

    def __init__(self, page):
        super().__init__()
        self.names, self.attributes, self._open, self.text = [], [], [], ""
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs
        self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("name", VALUES)
def test_no_text_is_obeyed(name):
    page = Elements(VALUES[name]._repr_html_())
    assert set(page.names) <= set("div p details summary blockquote s b table thead tbody tr th td".split())
    assert {attribute for attribute, _ in page.attributes} <= {"class", "style"}
    assert "<script>alert(1)</script>" in page.text
    assert page.attributes[0] == ("class", "rag tex2jax_ignore mathjax_ignore")


@pytest.mark.parametrize("name", ["answer", "hits", "table"])
def test_markdown_has_no_more_html_than_its_own(name):
    text = VALUES[name]._repr_markdown_()
    raw = re.findall(r"(?<!\\)</?(?!details>|summary>)[a-z]", text)
    assert raw == []
    assert not re.search(r"(?<!\\)\]\((?!\\)", text)


def test_an_answer_opens_its_quotes_and_what_was_taken_out():
    page = ANSWER._repr_html_()
    assert page.count("<details>") == 2
    assert "1 sentence of the model taken out" in page
    assert STRUCK not in page
    assert ANSWER._repr_markdown_().count("<details>") == 2
    assert "taken out" not in replace(ANSWER, removed=())._repr_html_()


@pytest.mark.parametrize(
    ("changes", "link"),
    [
        ({"url": "https://example.org/a?b=1&c='2'"}, "https://example.org/a?b=1&amp;c=&#x27;2&#x27;"),
        ({"url": None, "doi": "10.1000/xyz"}, "https://doi.org/10.1000/xyz"),
        ({"url": 'https://example.org/"onclick="x', "doi": None}, "https://example.org/&quot;onclick=&quot;x"),
        ({"url": "file:///etc/passwd", "doi": None}, None),
        ({"url": "data:text/html,x", "doi": 'x" onclick="y'}, None),
    ],
)
def test_a_title_links_to_the_web_alone(changes, link):
    links = re.findall(r'href="([^"]*)"', replace(PAPER, **changes)._repr_html_())
    assert links == ([link] if link else [])


def test_reprs_are_one_short_line(papers):
    answer = rag.answer("Which attention is IO-aware?")
    found = rag.cite("FlashAttention is exact and fast.")
    table = rag.table("; ".join(f"how many {n} things there are" for n in range(9)), papers=["ab71d384aa75"])
    long = replace(papers[0], title="long " * 500, extra=FrozenMap({"a": "b" * 900}))
    values = [answer, answer.claims[0], answer.citations[0], answer.evidence[0], answer.usage, answer.trace, long, long.extra,
              rag.search("attention"), rag.search("attention")[0], rag.search("attention")[0].found[0], found, found.bearings[0],
              table, table.rows[0], table.rows[0].cells[0], rag.open_library(), rag.stream("x"), rag.astream("x"),
              replace(found.bearings[0], reason="r" * 900), rag.Draft((), (), "refused", "m" * 900)]  # fmt: skip
    assert {repr(value) for value in values if len(repr(value)) > 300 or "\n" in repr(value)} == set()
