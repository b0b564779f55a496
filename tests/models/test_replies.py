"""What a reply says, in every shape in which servers send it."""

from __future__ import annotations

import pytest

from rag.models.replies import ServerSaid, piece, said_in, text_of, whole
from rag.models.streamed import Part
from rag.records import Usage


def choice(**of):
    return {"choices": [{"index": 0, **of}]}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Yes.", "Yes."),
        (None, ""),
        ([], ""),
        ([{"type": "text", "text": "Ye"}, {"type": "text", "text": "s."}], "Yes."),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Yes."}],
            "Yes.",
        ),
        ([{"type": "reasoning", "text": "Hm."}, {"type": "output_text", "text": "Yes."}], "Yes."),
        (["Ye", "s."], "Yes."),
        ([{"text": "Yes."}], "Yes."),
        ({"type": "text", "text": "Yes."}, "Yes."),
        ([{"type": "image_url", "image_url": {"url": "x"}}, "Yes."], "Yes."),
        ([{"type": "text", "text": None}, None, 3], ""),
    ],
)
def test_content_is_a_text_or_parts(content, text):
    assert text_of(content) == text
    assert whole(choice(message={"content": content}, finish_reason="stop")).delta == text


@pytest.mark.parametrize(
    ("chunk", "said", "part"),
    [
        (choice(delta={"content": "Yes."}, finish_reason=None), "", Part("Yes.")),
        (choice(delta=None, finish_reason="stop"), "Yes.", Part("", "stop")),
        (choice(finish_reason="stop"), "Yes.", Part("", "stop")),
        (choice(delta={}, finish_reason="max_tokens"), "Yes.", Part("", "length")),
        (choice(message={"content": "Yes."}, finish_reason="stop"), "", Part("Yes.", "stop")),
        (choice(delta={}, message={"content": "Yes. No."}, finish_reason="stop"), "Yes.", Part(" No.", "stop")),
        (choice(delta={"content": "A" * 30 + "B"}), "A" * 30, Part("B")),
        (choice(delta={"content": "ha"}), "ha", Part("ha")),
        (
            {"choices": None, "usage": {"prompt_tokens": 3, "completion_tokens": "x"}},
            "",
            Part("", None, Usage(1, 3, 0)),
        ),
        ({"usage": {"prompt_tokens": 3.0, "completion_tokens": 4}}, "", Part("", None, Usage(1, 3, 4))),
        ({"choices": []}, "", None),
        ({"type": "ping"}, "", None),
        ({}, "", None),
        (3, "", None),
        (None, "", None),
    ],
)
def test_chunks(chunk, said, part):
    assert piece(chunk, said) == part


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"error": {"message": "Compute error.", "code": 500}}, "Compute error."),
        ({"error": "crashed"}, "crashed"),
        ({"choices": None, "error": {"detail": "gone"}}, "gone"),
        ({"code": 422, "details": "too long"}, "too long"),
        ({"status": 500, "message": "no"}, "no"),
        ({"error": {"code": 7}}, ""),
    ],
)
def test_an_error_is_told_in_the_servers_words(raw, words):
    if words:
        for read in (whole, lambda raw: piece(raw, "")):
            with pytest.raises(ServerSaid, match=words):
                read(raw)
    else:
        with pytest.raises(ValueError, match="no choices"):
            whole(raw)
    assert said_in(raw.get("error", "")) == (words if "error" in raw else "")
