"""What is markup is not shown, and what only looks like it stays; in time that grows with the text and no faster."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.markup import tags
from rag.text import readable, readable_view


@pytest.mark.parametrize(
    "text",
    [
        "holds whenever 1<p and q>2, for every i<b and all w>9",
        "holds for 0<p>q, a<b>c and x<i>y",
        "with x <p> y and (n<s or m>t)",
        'where f(a)<b = "c" and d>e',
        "a <code> token, a <div> token, a <think> token, a <mask>",
        "if i</j then k> l",
        "prices of $$ and $$$",
        "AT&T; &amplitude; &notit; R&D &c.",
        "x < p > y; 5<i; i>6; <3",
        "a_i<p, b<sup and c>sub",
        "a <İ> b, a <ſub> c, a <\u212abd> d",  # letters that equal i, s and k but for their case
    ],
)
def test_what_only_looks_like_markup_stays(text):
    assert readable(text) == text
    assert readable_view(text).text == text


OPERANDS = st.sampled_from("a b i p q s u x y n0 h1 p_i 1 20 0.5 m(t) p' em sup f(x)".split())
RELATIONS = st.sampled_from(["<", ">", " < ", " > ", " <", "> ", "<=", " and ", ", ", " or ", "=", " & "])


@given(st.lists(st.tuples(OPERANDS, RELATIONS), min_size=1, max_size=12), OPERANDS)
def test_no_inequality_goes(pairs, last):
    text = "".join(operand + relation for operand, relation in pairs) + last
    assert readable(text) == text


@given(st.text(st.characters(exclude_characters="<&\\{}$`'", exclude_categories=["Cs"])))
def test_text_without_markup_is_unchanged(text):
    assert readable(text) == text


@given(st.text("abip <>/&;\"'=ltgm", max_size=60))
def test_every_character_that_is_no_tag_is_shown(text):
    shown = tags(text)
    assert all(text[at] in "<&" and end > at for at, (end, _) in shown.items())
    assert readable(text) == readable_view(text).text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<p>One para.</p><p>Two</p><p>Three", "One para. Two Three"),
        ("<h4>Aim</h4>To ring terns.<br/>Done.", "Aim To ring terns. Done."),
        ("The <scp>DNA</scp> of <I>Sterna</I>, CO<SUB>2</SUB> and O<inf>2</inf>", "The DNA of Sterna, CO2 and O2"),
        ("from 10<sup>5</sup> to 10<sup>−3</sup> m<sup>2</sup> on the 1<sup>st</sup>", "from 10^5 to 10^−3 m2 on the 1st"),
        ('a <span class="x" id=\'y\'>word</span> <a href="https://x.example/?a=1&amp;b">link</a>', "a word link"),
        ("<jats:sec><jats:title>Aims</jats:title><jats:p>To ring <jats:italic>n</jats:italic> terns</jats:p></jats:sec>",
         "Aims To ring n terns"),
        ('the <mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML" display="inline"><mml:mi>γ</mml:mi></mml:math>-tern',
         "the γ-tern"),
        ("<math><mfrac><mn>3</mn><mn>4</mn></mfrac></math> of them", "3/4 of them"),
        ("<math><mfrac><mrow><mi>a</mi><mo>+</mo><mn>1</mn></mrow><mi>b</mi></mfrac></math>", "(a+1)/b"),
        ("<m:math><m:msup><m:mn>10</m:mn><m:mrow><m:mo>−</m:mo><m:mn>6</m:mn></m:mrow></m:msup></m:math>", "10^(−6)"),
        ("<mml:msqrt><mml:mi>n</mml:mi></mml:msqrt>", "√(n)"),
        ("<math><semantics><mi>β</mi><annotation encoding=\"application/x-tex\">\\beta</annotation></semantics></math>.", "β."),
        (r"<alternatives><tex-math>$$\beta$$</tex-math><mml:math><mml:mi>β</mml:mi></mml:math></alternatives> it", "β it"),
        (r"<tex-math>\documentclass[12pt]{minimal} \usepackage{amsmath} \begin{document}$$n^2$$\end{document}</tex-math> is", "n^2 is"),
        ("p &amp;lt; 0.01, R&amp;amp;D, &amp;#945; &frac12;", "p < 0.01, R&D, α ½"),
        ("&lt;i&gt;Sterna&lt;/i&gt; and &amp;lt;b&amp;gt;b&amp;lt;/b&amp;gt; where 1&lt;p&gt;0", "Sterna and b where 1<p>0"),
        (r"{\textcopyright} 2001 A, \textcopyright{} B, \textmu m, $a \leqslant b$", "© 2001 A, © B, µ m, a ≤ b"),
        ("one <!-- not this --> two", "one  two"),
    ],
)  # fmt: skip
def test_markup_of_known_sources_is_shown_as_what_it_means(text, shown):
    assert readable(text) == shown
    view = readable_view(text)
    assert view.text == shown
    assert list(view.offsets) == sorted(view.offsets)
    assert all(0 <= start < end <= len(text) for start, end in zip(view.offsets, view.ends, strict=False))


def test_a_quote_has_the_tags_around_it():
    text = "We ring <i>Sterna hirundo</i> with <math><mfrac><mn>1</mn><mn>2</mn></mfrac></math> rings"
    view = readable_view(text)
    at = view.text.index("Sterna hirundo")
    span = view.source(at, at + len("Sterna hirundo"))
    assert text[span.start : span.end] == "<i>Sterna hirundo</i>"
    at = view.text.index("1/2")
    span = view.source(at, at + 3)
    assert text[span.start : span.end] == "<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math>"


@pytest.mark.parametrize(
    "piece",
    ["<", "<i>", "</i>", "1<p>2 ", '<i a="x" ', "<i ", "&amp;", "&lt;i&gt;", "<mfrac><mn>", "<alternatives><tex-math>", "$$x^",
     "<p></p> x", "<msup><mrow>", "&lt;a href=&quot;x "],
)  # fmt: skip
def test_the_work_is_linear(piece):
    def cost(count: int) -> int:
        ran = 0

        def trace(*_: object) -> object:
            nonlocal ran
            ran += 1
            return trace

        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            readable_view(piece * count)
        finally:
            sys.settrace(None)
        return ran

    assert cost(600) < 15 * cost(60)
