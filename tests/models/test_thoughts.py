"""What a chat model does not mean for the reader, in the tokens of many families, whole and in any pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.models.thoughts import VOID, Cleaner, cleaned

SAYS = "A lantern in fog is counted by its halo, if 1 < p and q > 2 [1]. Two halos are one lantern [2]."
HM = "They ask how lanterns are counted. Passage 1 says by the halo [1]. So I write that."


def in_pieces(reply, size):
    return cut_at(reply, range(size, len(reply), size))


def cut_at(reply, places):
    cleaner = Cleaner()
    out = "".join(cleaner.feed(reply[a:b]) for a, b in pairwise([0, *places, len(reply)]))
    return (out + cleaner.close()).rpartition(VOID)[2]


HIDDEN = [
    "<think>{}</think>",
    "<THINK>{}</THINK>\n",
    "<thinking>\n{}\n</thinking>\n\n",
    "<thought>{}</thought>",
    "<reasoning>{}</reasoning>",
    '<reasoning effort="high">{}</reasoning>',
    "<reasoning_process>{}</reasoning_process>",
    "<seed:think>{}</seed:think>",
    "<seed:cot_budget_reflect>{}</seed:cot_budget_reflect>",
    "<ponder>{}</ponder>\n",
    "<working_out>{}</working_out>\n\n",
    "<scratchpad>{}</scratchpad>",
    "<details><summary>Thought for 3 s</summary>{}</details>\n",
    "[THINK]{}[/THINK]",
    "[REASONING]{}[/REASONING]",
    "[WORKING]{}[/WORKING]",
    "◁think▷{}◁/think▷",
    "<|think|>{}<|/think|>",
    "<|thinking_start|>{}<|thinking_end|>",
    "<|begin_of_thought|>{}<|end_of_thought|>",
    "<|START_THINKING|>{}<|END_THINKING|>",
    "<｜begin▁of▁thought｜>{}<｜end▁of▁thought｜>",
    "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>",
    "<|start|>assistant<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>",
    "<|channel|>analysis<|message|>{}<|end|>",
    "<|channel|>commentary to=functions.find <|constrain|>json<|message|>{}<|call|><|start|>assistant<|channel|>final<|message|>",
    "<|channel>thought\n{}<channel|>",
    "<|turn>model\n<|channel>thought\n{}\n<channel|>\n",
    "analysis{}assistantfinal",
    "analysis\n{}\nassistantfinal\n",
    "**Reasoning:** {}\n\n**Answer:** ",
    "Thinking: {}\nFinal answer: ",
    "{}</think>\n\n",
    "{}[/THINK]",
    "{}◁/think▷",
    "{}<|end_of_thought|>",
    "{}</seed:think>",
    "thought\n{}<channel|>",
    "<|tool_calls_section_begin|>{}<|tool_calls_section_end|>",
    "<think><think>{}</think></think>",
    "<think>{}</think><think></think>",
]
AROUND = [
    "{}",
    "{}<|im_end|>",
    "{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "<|im_start|>assistant\n{}<|im_end|>\n<|im_start|>user\nAnd in rain? [1]<|im_end|>",
    "{}<|im_end|>\n<|im_start|>user\nAnd in rain?<|im_end|>\n<|im_start|>assistant\nIn rain they are not counted [1].",
    "<|im_start|>user\nHow?<|im_end|>\n<|im_start|>assistant\n{}<|im_end|>",
    "<|start_header_id|>assistant<|end_header_id|>\n\n{}<|eot_id|>",
    "<|START_RESPONSE|>{}<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",
    "<｜Assistant｜>{}<｜end▁of▁sentence｜><｜User｜>And in rain?",
    "<|assistant|>\n{}<|user|>\nAnd in rain?",
    "{}<end_of_turn>\n<start_of_turn>user\nAnd in rain?",
    "<start_of_turn>model\n{}<end_of_turn>",
    "<|turn>model\n{}<turn|>",
    "<s>{}</s>",
    "[/INST] {} </s>",
    "<unk>{}<pad><pad>",
    "<bos>{}<eos>",
    "<answer>{}</answer>",
    "<output>{}</output>\n",
    "<final_answer>{}</final_answer>",
    "<|begin_of_solution|>{}<|end_of_solution|>",
    "<|begin_of_box|>{}<|end_of_box|>",
    "{}<|endoftext|>Human: and in rain?",
    "{}<|fim_pad|>",
    "{}user\nAnd in rain?",
    "{}assistant",
]


@pytest.mark.parametrize("size", [1, 3, 8, 10_000])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_thoughts_are_left_out(hidden, size):
    reply = hidden.format(HM) + SAYS
    assert cleaned(reply).strip() == SAYS
    assert in_pieces(reply, size).strip() == SAYS


@pytest.mark.parametrize("size", [1, 3, 8, 10_000])
@pytest.mark.parametrize("around", AROUND)
def test_tokens_and_the_turns_of_others_are_left_out(around, size):
    reply = around.format(SAYS)
    assert in_pieces(reply, size).strip() == SAYS
    assert in_pieces(f"<think>{HM}</think>\n{reply}", size).strip() == SAYS


@pytest.mark.parametrize(
    "text",
    [
        SAYS,
        "We need a<b and c>d, or x <y> z, i.e. a<bc>d [1].",
        "|x|<|y|>|z| and |mu|<|nu|>0 [1].",
        "The gap <|r|> of <psi|H|psi> is small [1].",
        "It masks words with <mask> or [MASK] and ends with </doc> in text [1].",
        "Use <sup>1</sup>H and H<sub>2</sub>O, <i>in vivo</i> [1]. <br>Then [2].",
        "[1] Lanterns are counted. [2, 3]",
        "1. First [1]\n2. Second [2]",
        "It calls f[i] and g[N] in [GPU] mode [1].",
        "Analysis of lanterns shows halos [1].",
        "analysis of lanterns shows halos [1].",
        "Thinking of lanterns, halos help [1].",
        "final halos are counted [1].",
        "Reasoning models count halos [1].",
        '{"answer": "Lanterns <b>are</b> counted", "citations": [1]}',
        "The user assistant helps. assistants are counted [1].",
        "It is so small that p<0.05, n>3 [1].",
        "a < b",
        "<",
        "[",
        "",
        "Ġorġ lives in Malta [1].",
        '<tool_call>{"name": "answer", "arguments": {"answer": "x [1]"}}</tool_call>',
    ],
)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_what_only_looks_like_one_is_text(text, size):
    assert in_pieces(text, size) == text


@pytest.mark.parametrize(
    "reply",
    [
        f"<think>{HM}",
        f"<|channel|>analysis<|message|>{HM}",
        f"<|channel|>analysis<|message|>{HM}<|end|><|start|>assistant",
        f"analysis{HM}",
        f"[THINK]{HM}",
        f"<|tool_call|>{HM}",
    ],
)
def test_a_reply_of_thoughts_alone_says_nothing(reply):
    assert cleaned(reply).strip() == ""


@pytest.mark.parametrize(
    "reply", [f"<report>{SAYS}</report>", f"[REPORT]{SAYS}", f"<report>{SAYS}", f"**Reasoning:** {SAYS}"]
)
def test_what_encloses_all_of_a_reply_is_no_thought(reply):
    assert SAYS in cleaned(reply)


def test_an_end_without_a_beginning_is_passed_on():
    cleaner = Cleaner()
    assert cleaner.feed(f"{HM} ") == f"{HM} "
    assert cleaner.feed(f"</think>{SAYS}") == f"{VOID}{SAYS}"
    assert cleaner.orphan


def test_who_waits_gives_nothing_that_may_be_a_thought():
    cleaner = Cleaner(waits=True)
    assert cleaner.feed(HM) == ""
    assert cleaner.feed(f"[/THINK]{SAYS}") == SAYS
    plain = Cleaner(waits=True)
    assert plain.feed(SAYS) == ""
    assert plain.close() == SAYS


def test_a_sentence_is_not_held_back_for_long():
    cleaner = Cleaner()
    first, rest = SAYS[:66], SAYS[66:]
    assert cleaner.feed(first) == first
    assert cleaner.feed(rest) == rest


PIECES = st.lists(
    st.sampled_from(
        [
            *"<|channel|> analysis final <|message|> <|end|> <|start|> assistant <think> </think> <think </x> <x> [THINK] [/THINK] ◁think▷ "
            "<channel|> <|channel> thought <|im_end|> </s> <answer> </answer> user Yes. [1] < > [ | a<b 1>0 ◁ <tool_call> </tool_call>".split(),
            *"<<SYS>> <</SYS>> <|nu|> <|user|> assistant Ġ analysisWe assistantfinalYes thinking: Answer: **Reasoning:** href='x'>".split(),
            "\n",
            " ",
            ".",
            "a" * 45,
        ]
    ),
    max_size=14,
)


@settings(max_examples=400)
@given(PIECES, st.lists(st.integers(0, 300), max_size=6), st.integers(1, 9))
def test_how_a_reply_is_cut_does_not_matter(parts, places, size):
    reply = "".join(parts)
    assert in_pieces(reply, size) == cleaned(reply)
    assert cut_at(reply, sorted(place for place in places if place < len(reply))) == cleaned(reply)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ("<|channel|>|<|end|>analysis", "analysis"),  # what is hidden may be a bar, too
        ("| a | b |<|end|>", "| a | b |"),
        ("<<SYS>>Be brief.<</SYS>> Halos [1].", "Be brief. Halos [1]."),
        ("thinking:<|end_header_id|>Answer:assistantfinalYes", "thinking:Answer:assistantfinalYes"),
        ("analysisWe</think><|channel>assistantfinalYes", ""),
        (f"<|start|>{'a' * 60}.\nYes [1].", f"{'a' * 60}.\nYes [1]."),
        ("TwoĠĠblanks [1].", "Two  blanks [1]."),
        ("TheĠassistantĠuser [1].", "The assistant user [1]."),
        (f'<think effort="{"x" * 60}">{HM}</think>{SAYS}', SAYS),
        (f'<think\n  effort="high">{HM}</think>{SAYS}', SAYS),
        (f"<|{'x' * 200}|>{SAYS}", f"<|{'x' * 200}|>{SAYS}"),
        (f"Thinking: {'####### Answer: ' * 3}\n##Answer: {SAYS}", SAYS),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_token_is_one_wherever_a_reply_is_cut(reply, says, size):
    assert in_pieces(reply, size) == says


@settings(max_examples=300)
@given(st.text(st.characters(blacklist_characters="<[◁Ġ", blacklist_categories=["Cs"])))
def test_text_without_tokens_is_unchanged(text):
    plain = text.lstrip("*#_ \n\t").lower()
    if (
        not plain.startswith(("analysis", "commentary", "final", "assistant", "think", "thought", "reason"))
        and "assistant" not in text
    ):
        assert cleaned(text) == text
