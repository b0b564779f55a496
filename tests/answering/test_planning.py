"""A chat model plans, is shown what its queries find, and is believed when it finds no answer: over a real HTTP server."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from serving import GOOD, NOT_HERE, POKER, end, streaming

import rag
from rag import Answer
from rag.answering.asked import Plan
from rag.answering.followup import LONGEST_TURN
from rag.answering.opening import open_assistant
from rag.answering.plan import KEPT, LONGEST_QUERY, QUERIES, planned
from rag.models.tokens import counter
from rag.records import EXTRACTIVE, Reply, Usage
from rag.settings import load
from rag.show import lines
from rag.show.progress import STAGES
from rag.show.render import plain_answer

NOTHING = "NOT IN THIS LIBRARY"
ARENA = "Long Range Arena: A Benchmark for Efficient Transformers"
FOLLOW_UP = "And which models were evaluated on it?"
ALSO = "Models are evaluated on poker play, including GPT-4 and ChatGPT 3.5 [1]."
PROMPT = load().prompt("plan")


def plan(*queries, question="", kind="fact"):
    return json.dumps({"question": question, "queries": queries, "kind": kind})


def made(reply, question="Who compared it?", conversation=""):
    return planned(question, conversation, PROMPT, lambda system, user: Reply(reply, Usage(1)))


def shown(body):
    """The titles of the passages in a request."""
    return re.findall(r"^\[\d+\] (.+)$", body["messages"][1]["content"], re.MULTILINE)


# --- what a reply is taken for ------------------------------------------------------------------


@pytest.mark.parametrize(
    "around",
    [
        "%s",
        "```json\n%s\n```",
        "Sure! Here is the plan:\n%s\nI hope it helps {smile}.",
        "<think>{a}</think> %s",
        "{} [] %s",
    ],
)
def test_a_plan_is_found_whatever_is_written_around_it(around):
    found = made(around % plan("attention cost", "linear attention", kind="several"))
    assert found == Plan("Who compared it?", ("attention cost", "linear attention"), "several")


@pytest.mark.parametrize(
    "reply",
    ["", "I cannot help with that.", "{", "[1, 2]", '{"queries": "one"}', '{"queries": []}', '{"queries": [""]}', "null",
     '{"question": 3}', '{"plan": {}}', "{" * 5000, '{"queries":' * 3000, "[" * 10_000, NOTHING],
)  # fmt: skip
def test_what_is_no_plan_is_none(reply):
    assert made(reply) is None


def test_queries_are_bounded_in_number_and_length_and_hold_no_control_characters():
    hostile = ["\x1b[2Ja\x07 b", "\u202ec", "d" * 5000, "word " * 500, "=== fence === [1]", 7, None, "?!", "e", "f"]
    found = made(json.dumps({"queries": hostile, "kind": "x"}))
    assert len(found.queries) == QUERIES
    assert found.queries[:2] == ("(2Ja b", "c")
    assert all(len(query) <= LONGEST_QUERY for query in found.queries)
    assert found.kind == "several"
    assert not any(re.search("[\x00-\x1f\x1b\u202e\\[\\]]|={3}", query) for query in found.queries)
    assert found.queries[3].split() == ["word"] * (LONGEST_QUERY // 5)


@pytest.mark.parametrize(
    ("question", "said", "used"),
    [
        (FOLLOW_UP, "Which models were evaluated on PokerBench?", True),
        (FOLLOW_UP, "What is the recipe for sourdough bread?", False),
        (FOLLOW_UP, "", False),
        (FOLLOW_UP, "?!", False),
        ("and the second one?", "What does FlashAttention do?", True),
        ("它评估了哪些模型?", "PokerBench 评估了哪些模型?", True),
        ("它评估了哪些模型?", "How do I bake bread?", False),
        ("¿y qué modelos evalúa?", "¿Qué modelos evalúa PokerBench?", True),
    ],
)
def test_a_stand_alone_question_is_used_if_it_asks_what_was_asked(question, said, used):
    found = made(plan("poker", question=said), question, "Question: What is PokerBench?\nAnswer: A benchmark.")
    assert found.question == (said if used else question)
    assert 0 < KEPT < 1


def test_a_first_question_stays_as_it_was_typed():
    assert made(plan("poker", question="Who compared poker?")).question == "Who compared it?"


# --- what is searched, shown and kept -----------------------------------------------------------


def test_queries_are_searched_beside_the_question_and_kept(server):
    said = plan("Long Range Arena benchmark for efficient transformers", "long sequences", kind="list")
    answer = server.says(said, "Long Range Arena evaluates efficient transformers [1].").ask(
        "Which tests are like LRA?"
    )
    assert answer.usage.calls == 2
    assert ARENA in shown(server.bodies[1])[:3]
    assert len(shown(server.bodies[1])) == 24
    assert answer.searched == ("Long Range Arena benchmark for efficient transformers", "long sequences")
    assert answer.query == answer.question == "Which tests are like LRA?"
    assert Answer.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer


def test_the_best_papers_of_each_query_are_in_sight(server):
    queries = (
        "poker playing of language models",
        "protein structure prediction",
        "offline reinforcement learning",
        "speech",
    )
    server.says(plan(*queries), NOTHING).ask("What has been tried?")
    best = {rag.search(query, k=1)[0].paper.title for query in queries}
    assert best <= set(shown(server.bodies[1]))
    assert len(shown(server.bodies[1])) == 8


@pytest.mark.parametrize("reply", ["I would rather not.", "```json\n{broken\n```", "{}"])
def test_without_a_plan_the_question_is_searched_as_typed_and_no_call_more_is_made(server, reply):
    answer = server.says(reply, GOOD).ask("How many poker scenarios are there for language models?")
    assert (answer.usage.calls, answer.searched, answer.status) == (2, (), "answered")


def test_a_question_that_names_just_its_paper_needs_no_plan(server):
    assert server.says(GOOD).ask().usage.calls == 1
    assert server.says("{}", GOOD).ask("Which papers are like PokerBench?").usage.calls > 1


def test_a_model_is_shown_what_was_typed(server):
    typed = "Does PokerBench hold senarios from price editing statins?"
    answer = server.says(GOOD).ask(typed)
    assert f"Question: {typed}\n" in server.bodies[0]["messages"][1]["content"]
    assert answer.question == typed
    assert answer.query == typed.replace("senarios", "scenarios")  # only what is searched is mended, and said
    assert "conversation" not in server.bodies[0]["messages"][1]["content"]  # nothing was resolved by one
    other = server.says(plan("price"), GOOD).ask("Does FlashAttention have senarios?", history=[answer])
    assert "conversation this means" not in server.bodies[-1]["messages"][1]["content"]
    assert other.query != other.question


def test_k_is_obeyed(server):
    said = plan("long sequences", "efficient transformers", "poker", kind="list")
    answer = server.says(said, NOTHING).ask("Which benchmarks test long sequences?", k=3)
    assert len(shown(server.bodies[1])) == 3
    assert (answer.usage.calls, len(answer.evidence), answer.status) == (2, 3, "refused")


class Reader:
    """A chat model with a context of so many tokens, that keeps what it is asked."""

    name = "reader"

    def __init__(self, context):
        self.context, self.asked = context, []

    def ask(self, system, user, *, deadline=None):
        self.asked.append((system, user))
        reply = plan("long sequences", kind="list") if system == PROMPT.system else NOTHING
        return Reply(reply, Usage(1), "stop")

    def stream(self, system, user, *, deadline=None):
        raise AssertionError("nothing is streamed here")


@pytest.mark.parametrize(
    ("context", "least", "most"), [(4096, 3, 12), (16_000, 24, 24), (None, 20, 24), (128_000, 24, 24)]
)
def test_passages_are_as_many_as_the_context_of_the_model_has_room_for(context, least, most):
    reader = Reader(context)
    answer = rag.answer("Which benchmarks test long sequences?", model=reader)
    system, user = reader.asked[1]
    titles = re.findall(r"^\[\d+\] ", user, re.MULTILINE)
    assert least <= len(titles) <= most
    assert context is None or counter()(system + user) + load().reply_tokens <= context
    assert answer.status == "refused"


def test_room_that_was_chosen_is_kept_to():
    reader = Reader(128_000)
    open_assistant(replace(load(), prompt_tokens=1500), reader).answer("Which benchmarks test long sequences?")
    passages = reader.asked[1][1].split("\n=== ")[1]
    assert 3 <= len(re.findall(r"^\[\d+\] ", passages, re.MULTILINE)) < 9
    assert counter()(passages) <= 1520


def test_a_list_says_how_many_papers_were_looked_at(server):
    answer = server.says(plan("poker benchmark", kind="list"), GOOD.replace("[1]", "[1]")).ask(
        "Which papers are on poker?"
    )
    assert answer.text.endswith("[1] (24 papers were looked at.)")
    assert len(answer.claims) == 1


# --- follow-ups ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("alone", "used"), [("Which models were evaluated on PokerBench?", True), ("Bread?", False)])
def test_a_follow_up_is_asked_as_typed_and_as_it_stands_alone(server, alone, used):
    first = server.says(GOOD).ask()
    answer = server.says(plan("models evaluated on poker", question=alone), ALSO).ask(FOLLOW_UP, history=[first])
    assert (answer.query == alone) is used
    assert answer.usage.calls == 2
    assert POKER in server.bodies[1]["messages"][1]["content"]
    asked = server.bodies[2]["messages"][1]["content"]
    assert f"Question: {FOLLOW_UP}\n" in asked
    assert answer.query in asked
    assert shown(server.bodies[2])[0].startswith("PokerBench")
    assert set(answer.numbers) == {1}


def test_a_long_answer_is_told_to_its_limit_and_cut_after_a_word(server):
    first = server.says(" ".join([GOOD] * 9)).ask()
    long = replace(first, text="Tournaments " * 50)
    server.says(plan("poker", question="Bread?"), ALSO).ask(FOLLOW_UP, history=[long])
    (told,) = re.findall("^Answer: .*$", server.bodies[1]["messages"][1]["content"], re.MULTILINE)
    assert told.endswith("Tournaments …")
    assert len(told) <= LONGEST_TURN


def test_a_follow_up_that_names_another_paper_is_told_with_what_it_means(server):
    first = server.says(GOOD).ask("How many scenarios does PokerBench contain?")
    answer = server.says(plan("scenarios", question="How many scenarios does Ref-L4 contain?"), NOTHING, NOTHING).ask(
        "and Ref-L4's?", history=[first]
    )
    asked = server.bodies[2]["messages"][1]["content"]
    assert answer.query == "How many scenarios does Ref-L4 contain?"
    assert f"Question: and Ref-L4's?\n(In the conversation this means: {answer.query})" in asked


# --- a model that finds nothing -----------------------------------------------------------------


def test_a_model_that_finds_nothing_is_shown_the_next_papers_once(server):
    answer = server.says(plan("poker", kind="fact"), NOTHING, NOTHING).ask("Which benchmark tests long sequences?")
    assert (answer.status, answer.usage.calls) == ("refused", 3)
    first, second = (shown(body) for body in server.bodies[1:])
    assert len(first) == 8
    assert second
    assert not set(first) & set(second)
    assert answer.model != EXTRACTIVE
    assert [e.paper.title for e in answer.evidence[:3]] == first[:3]


def test_who_named_a_paper_and_finds_nothing_is_looked_for_by_a_plan(server):
    answer = server.says(NOTHING, plan("poker scenarios", "games"), "A game is played [2].", NOTHING).ask()
    assert server.bodies[1]["messages"][0]["content"] == PROMPT.system
    assert answer.usage.calls == 4  # the last is the appeal of the sentence that failed
    assert len(server.bodies) == 4


@pytest.mark.parametrize(
    "question",
    [
        "Which language models of which size did PokerBench train?",
        "Which GPUs did PokerBench and FlashAttention use, and for how long?",
    ],
)
def test_the_papers_that_a_question_names_are_shown_at_every_try(server, question):
    answer = server.says(plan("training of language models"), NOTHING, NOTHING).ask(question)
    tries = [shown(body) for body in server.bodies if "numbered passages" in body["messages"][0]["content"]]
    named = [title for title in tries[0] if title.startswith(("PokerBench:", "FlashAttention:"))]
    assert len(named) == 1 + ("and" in question)
    assert [title for title in tries[-1][:2] if title in named] == named
    assert len(tries) == 2
    assert len(tries[1]) > 2
    assert len({e.paper for e in answer.evidence}) == len(answer.evidence)


def test_a_server_that_fails_while_it_is_asked_again_costs_no_refusal(server):
    answer = server.says(NOTHING, 400).ask()
    assert (answer.status, answer.usage.calls) == ("refused", 1)


def test_where_the_library_has_nothing_near_nothing_more_is_shown(server):
    answer = server.says(plan("sourdough bread recipe"), NOTHING).ask(NOT_HERE)
    assert (answer.status, answer.usage.calls) == ("refused", 2)


def test_when_no_sentence_holds_the_abstracts_own_are_shown(server):
    answer = server.says("The best model wins 73.2% of its poker games [1].").ask()
    assert (answer.model, answer.status, answer.usage.calls) == (EXTRACTIVE, "answered", 2)  # it may appeal once


# --- what a person sees -------------------------------------------------------------------------


def test_what_was_searched_is_shown_and_obeyed_by_no_terminal(server):
    said = plan("poker\x1b[2J benchmark", "games of chance")
    answer = server.says(said, GOOD).ask("How many scenarios of poker are there?")
    assert plain_answer(answer).splitlines()[-1] == "searched: poker (2J benchmark · games of chance"
    assert lines.searched(answer)[0].pieces == (("searched: poker (2J benchmark · games of chance", "dim"),)
    assert "games of chance" in lines.why(answer, 0.45)[0].pieces[0][0]
    assert "searched:" not in plain_answer(rag.answer(POKER))


def test_stages_are_told_with_what_there_is_to_count(server):
    server.says(plan("poker", "cards", "games"), streaming(GOOD, end()))
    assistant, told = open_assistant(load(model="test", base_url=server.url)), []
    list(assistant.stream("How many scenarios of poker are there?", stage=told.append))
    words = [STAGES.get(stage, stage) for stage in dict.fromkeys(told)]
    assert words[3:] == ["planning", "searching 4 queries", "reading 8 abstracts", "checking", "writing"]
