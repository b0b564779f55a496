"""What a draft states and cites; keys put in change nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.drafts import filled, form_of, statements, wanting

TEX = r"""\documentclass{article}
\title{A title that claims nothing at all}
\begin{document}
\section{Long memories are hard to have}
Piers need strong wood~\citep{gull2017,tern18}. Docks rot in
salt water \cite{?}, % a comment that claims something
while nets rust in rain [CITE]. We count all of the terns here \cite{?}.
\citet{gull2017} count 97\% of all terns on \emph{old} piers. Gulls sleep.\footcite[p.~3]{dock}
\begin{table}\caption{Gulls are larger than most of the terns}\end{table}
\begin{itemize}
\item Boats with sails need no fuel at sea \parencite{}.
\end{itemize}
The sum $a_i$ of all waves stays below the pier.
\end{document}
This stands behind the end of the draft.
"""
MD = """---
title: Terns and gulls rest on many old piers
---
# Piers are made of wood that rots

Piers need **strong** wood [@gull2017; @tern18, p. 3]. Docks rot in salt water [CITE], while nets rust
in rain [@?]. @gull2017 counts 97% of all terns on old piers. Mail to ada@example.org about [boats](http://x.y/z).

```
code claims that all terns are gulls
```
- Boats with sails need no fuel at sea
> Do all of the gulls sleep at night?

| a table | of terns |
<!-- a comment on all of the gulls -->
"""


def told(text: str, form: str) -> list[tuple[str, tuple[str, ...], bool]]:
    return [(one.text, one.marks[0].keys, one.marks[0].waits) for one in statements(text, form) if one.marks]


def test_a_draft_in_latex():
    assert told(TEX, "latex") == [
        ("Piers need strong wood.", ("gull2017", "tern18"), False),
        ("Docks rot in salt water", (), True),
        ("while nets rust in rain.", (), True),
        ("We count all of the terns here.", (), True),
        ("It count 97% of all terns on old piers.", ("gull2017",), False),
        ("Gulls sleep.", ("dock",), False),
        ("Boats with sails need no fuel at sea.", (), True),
    ]
    rest = [one.text for one in statements(TEX, "latex") if not one.marks]
    assert rest == ["The sum a_i of all waves stays below the pier."]
    assert [one.line for one in statements(TEX, "latex")] == [5, 5, 5, 7, 8, 8, 11, 13]


def test_a_draft_in_markdown():
    assert told(MD, "markdown") == [
        ("Piers need strong wood.", ("gull2017", "tern18"), False),
        ("Docks rot in salt water", (), True),
        ("while nets rust in rain.", (), True),
        ("It counts 97% of all terns on old piers.", ("gull2017",), False),
    ]
    rest = [one.text for one in statements(MD, "markdown") if not one.marks]
    assert rest == [
        "Mail to ada@example.org about boats.",
        "Boats with sails need no fuel at sea",
        "Do all of the gulls sleep at night?",
    ]


def test_where_nothing_waits_every_claim_without_a_citation_is_wanted():
    text = "Piers need strong wood in the sea [@a]. Docks rot in cold salt water. We saw it in this work too. Is it so with boats?\n\nNets rust."
    assert [one.text for one in wanting(statements(text, "markdown"))] == ["Docks rot in cold salt water."]
    assert [one.text for one in wanting(statements(MD, "markdown"))] == [
        "Docks rot in salt water",
        "while nets rust in rain.",
    ]


def test_a_subject_that_is_cited_stays_with_what_is_said_of_it():
    text = r"Oak \cite{a} rots slowly in salt water [CITE], whereas iron rusts in any water \cite{?}."
    assert [(one.text, one.marks[0].waits) for one in statements(text, "latex")] == [
        ("Oak rots slowly in salt water, whereas iron rusts in any water.", False),
        ("Oak rots slowly in salt water", True),
        ("whereas iron rusts in any water.", True),
    ]


def test_a_piece_that_leans_on_the_rest_is_taken_with_it():
    text = r"Oak rots slowly in salt water \cite{?}, and it lasts a hundred years \cite{?}."
    assert [one.text for one in statements(text, "latex")] == [
        "Oak rots slowly in salt water",
        "Oak rots slowly in salt water, and it lasts a hundred years.",
    ]


@pytest.mark.parametrize(
    ("text", "form", "after"),
    [
        (r"Oak rots \cite{?}.", "latex", r"Oak rots \cite{a,b}."),
        (r"Oak rots \citep[see][p. 2]{old,?}.", "latex", r"Oak rots \citep[see][p. 2]{old,a,b}."),
        (r"Oak rots \parencite{}.", "latex", r"Oak rots \parencite{a,b}."),
        ("Oak rots [CITE].", "latex", r"Oak rots \cite{a,b}."),
        ("Oak rots [CITE].", "markdown", "Oak rots [@a; @b]."),
        ("Oak rots [@?].", "markdown", "Oak rots [@a; @b]."),
        ("Oak rots [see @old; @?, p. 2].", "markdown", "Oak rots [see @old; @a; @b, p. 2]."),
        ("Oak of the north rots slowly.", "markdown", "Oak of the north rots slowly [@a; @b]."),
        ("Oak of the north rots slowly!\n", "latex", "Oak of the north rots slowly~\\cite{a,b}!\n"),
    ],
)
def test_keys_are_put_in(text, form, after):
    assert filled(text, form, [(one, ["a", "b"]) for one in wanting(statements(text, form))]) == after


@pytest.mark.parametrize(("text", "form"), [(TEX, "latex"), (MD, "markdown")])
def test_nothing_but_keys_changes(text, form):
    found = filled(text, form, [(one, ["KEY"]) for one in wanting(statements(text, form))])
    assert found.count("KEY") == len(wanting(statements(text, form))) > 1
    marks = r"\\(?:cite|parencite)\{(?:\?|KEY)?\}|\[(?:CITE|@\?|@KEY)\]"
    assert re.sub(marks, "*", found) == re.sub(marks, "*", text)
    assert filled(text, form, [(one, []) for one in wanting(statements(text, form))]) == text


@pytest.mark.parametrize(
    ("text", "suffix", "form"),
    [("", ".tex", "latex"), ("", ".md", "markdown"), (r"See \citep{a}.", "", "latex"), ("See [@a].", "", "markdown"),
     (r"See \cite{a}.", ".md", "markdown"), (r"\begin{document}", ".txt", "markdown")],
)  # fmt: skip
def test_what_a_draft_is_written_in(text, suffix, form):
    assert form_of(text, suffix) == form


CRUMBS = ["\\cite{?}", "\\citet{a}", "[CITE]", "[@?]", "@a", "[@a; @b]", "{", "}", "%", "$", "\\", "\n", "\n\n", ". ", "Oak rots", " slowly",
          "```", "---\n", "# ", "\\begin{table}", "\\end{table}", "\\begin{document}", "[", "]", "(", "`", "*", "> ", "| ", "é", "\r\n"]  # fmt: skip


@given(
    st.lists(st.sampled_from(CRUMBS) | st.text(max_size=3), max_size=25).map("".join),
    st.sampled_from(["latex", "markdown"]),
)
def test_any_text_is_read_and_stays_itself_without_keys(text, form):
    found = statements(text, form)
    assert all(0 <= one.start < one.end <= len(text) and one.line >= 1 for one in found)
    assert all(0 <= mark.start < mark.end <= len(text) for one in found for mark in one.marks)
    assert filled(text, form, [(one, []) for one in found]) == text
    keyed = filled(text, form, [(one, ["KEY"]) for one in wanting(found)])
    assert keyed.count("KEY") - text.count("KEY") <= 2 * len(wanting(found))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20000,
        "\\begin{table}" * 1500,
        "{" * 20000,
        "[@" * 20000,
        "*" * 50000,
        "@a " * 5000,
        "\\cite{" * 5000,
        "$$" * 20001,
        "<!--" * 2500,
    ],
)
def test_no_draft_takes_longer_than_its_length_asks(text):
    for form in ("latex", "markdown"):
        statements(text, form)
