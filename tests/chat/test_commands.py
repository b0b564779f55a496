"""Every command of a chat, over the shipped library, without a terminal: what it shows, and one line when it cannot."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made import FLASH, POKER, S4, library
from serving import end, streaming

from rag import Answer
from rag.answering.opening import open_assistant, shared_assistant
from rag.chat.commands import COMMANDS, SHIPPED
from rag.chat.conversation import Conversation
from rag.chat.repl import converse, respond
from rag.chat.store import FILE, Chats
from rag.errors import LibraryError, RagError
from rag.settings import load
from rag.show.screen import Silent, plain
from rag.text import readable

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
QUESTION = "How does FlashAttention reduce memory accesses?"
FOLLOW_UP = "and how fast is it?"
POKER_QUESTION = "Which benchmark tests poker playing of language models?"


class Shown(NamedTuple):
    kind: str
    text: str


class Paper(list):
    """A screen that keeps what is written on it."""

    def put(self, lines):
        self.append(Shown("put", plain(lines)))

    def raw(self, text):
        self.append(Shown("raw", text))

    def say(self, text):
        self.append(Shown("say", text))

    def answer(self, answer):
        self.append(Shown("answer", answer.text))

    def end(self):
        pass

    def telling(self):
        return nullcontext(Silent())


class Talk:
    """A chat that is typed into, line by line."""

    def __init__(self, store: Chats | None = None, open: Callable | None = None, **chosen) -> None:
        self.notices: list[str] = []
        self.screen = Paper()
        self.chat = Conversation(
            load(**({"model": "extractive"} | chosen)),
            open or (lambda settings, progress: shared_assistant(settings)),
            store,
            say=self.notices.append,
            notice=lambda settings: self.notices.append(f"to {settings.model}"),
        )
        self.chat.opening.start()

    def __call__(self, line: str) -> str:
        """What is shown for one line; an error is its text."""
        self.screen.clear()
        try:
            respond(line, self.chat, self.screen)
        except RagError as error:
            return f"rag: {error.worded('chat')}"
        return "\n".join(shown.text for shown in self.screen)


@pytest.fixture
def talk(tmp_path) -> Talk:
    return Talk(Chats(tmp_path / FILE))


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> Talk:
    """A chat of three questions, which no test changes."""
    talk = Talk(Chats(tmp_path_factory.mktemp("asked") / FILE))
    for question in (QUESTION, FOLLOW_UP, POKER_QUESTION):
        talk(question)
    return talk


# --- what each shows ----------------------------------------------------------------------------


def test_sources_names_the_papers_and_who_cites_them(asked):
    shown = asked("/sources")
    assert re.search(r"\[1\] FlashAttention: .*  ab71d384aa75\n +cited by questions 1, 2\n", shown)
    assert re.search(r"\[2\] PokerBench: .*\n +cited by question 3$", shown)


@pytest.mark.parametrize("name", ["1", "[1]", "ab71d384aa75", "ab71d", "flashattention: fast and memory-efficient exact attention with io-awareness"])  # fmt: skip
def test_open_shows_the_abstract_with_every_quote_of_the_chat(asked, name):
    shown = asked(f"/open {name}")
    quotes = {readable(c.quote) for answer in asked.chat.history for c in answer.citations if c.number == 1}
    assert len(quotes) >= 3
    assert set(re.findall("«(.*?)»", shown)) == quotes
    assert shown.startswith("[1] FlashAttention: Fast")
    assert "id: ab71d384aa75" in shown


def test_open_shows_a_paper_that_is_not_cited_too(asked):
    shown = asked("/open Oktoberfest Food Dataset")
    assert "de4137a7d566" in shown
    assert "«" not in shown


def test_why_says_what_was_searched_each_verdict_and_the_passages(asked):
    shown = asked("/why")
    answer = asked.chat.last
    assert f"searched: {POKER_QUESTION}" in shown
    assert shown.count("quoted: ") == len(answer.claims)
    assert all(evidence.paper.title in shown for evidence in answer.evidence)
    assert answer.run in shown


def test_why_a_paper_says_how_it_was_found(asked):
    shown = asked("/why 1")
    assert re.search(r"#1 of \d+, score [\d.]+: nearness of meaning", shown)
    assert re.search(r"#1 of \d+, score [\d.]+: words in common", shown)
    assert re.search(r"\+0\.\d+ +dense #1: ", shown)
    assert "is not cited in this chat" in asked("/why Oktoberfest Food Dataset")


def test_why_of_a_refusal_says_how_far_off_it_was(talk):
    talk("What is the capital of Mongolia?")
    assert re.search(r"the best passage scores 0\.[0-3]\d; under 0\.45 the answer is a refusal", talk("/why"))


def test_papers_and_like_search_and_name_what_bears_a_number(talk):
    talk(QUESTION)
    talk(POKER_QUESTION)
    assert re.search(r"^\[2\] PokerBench: ", talk("/papers poker"))
    like = talk("/like 1").splitlines()
    assert len(like) == 5
    assert not any("FlashAttention: Fast" in line for line in like)
    assert any("Hungry Hungry Hippos" in line for line in like[:2])


def test_hits_get_numbers_that_stay_and_no_answer_takes(talk):
    talk(QUESTION)
    found = {int(n): id for n, id in re.findall(r"^\[(\d+)\] .*  (\w{12})  ", talk("/papers poker"), re.MULTILINE)}
    assert list(found) == [2, 3, 4, 5, 6]
    assert f"id: {found[4]}" in talk("/open 4")
    assert talk("/cite 5").splitlines()[0].endswith(f"-{found[5]},")
    like = dict(re.findall(r"^\[(\d+)\] .*  (\w{12})  ", talk("/like 2").replace("]  ", "] "), re.MULTILINE))
    assert all(found.get(int(number), paper) == paper for number, paper in like.items())
    assert min(set(map(int, like)) - set(found)) == 7
    assert list(talk.chat.numbers) == [1]
    assert "cited by" in talk("/sources")
    assert "is not cited in this chat" in talk("/why 3")
    assert re.search(r"no paper bears \[99\] in this chat; there are \[1\], .*, \.\.\., \[\d+\], see", talk("/open 99"))
    talk("What is PoNet?")
    assert min(set(talk.chat.last.numbers) - {1}) > max(talk.chat.listed)
    talk("/new")
    assert "no paper bears [2] in this chat; ask a question first" in talk("/open 2")


def test_a_hit_can_be_asked_about_and_then_keeps_its_number(talk):
    first = talk("/papers poker")
    assert re.match(r"\[1\] PokerBench: ", first)
    talk("What does [1] train?")
    assert talk.chat.last.question.startswith("What does PokerBench: Training Large")
    assert talk.chat.last.numbers[1].title.startswith("PokerBench")


def test_a_number_stays_that_of_a_hit_when_its_answer_is_taken_back(talk):
    talk(POKER_QUESTION)
    shown = talk("/papers poker")
    talk.chat.forget_last()
    assert talk("/papers poker") == shown


@pytest.mark.parametrize(
    "line",
    ["/dev/shm is used by which paper?", "//dev", "/etc/hosts", " /open source models for code?", "\t/new", "/zzzq is used by whom?"],
)  # fmt: skip
def test_a_question_may_begin_with_a_slash(talk, line):
    talk(line)
    assert [answer.question for answer in talk.chat.history] == [line.strip()]


@pytest.mark.parametrize("line", ["/new models of speech?", "/quit smoking?", "/opne source models?", "/xyzzy 1"])
def test_a_line_that_no_command_takes_says_how_to_ask_it_and_that_works(talk, line):
    talk(QUESTION)
    shown = talk(line)
    assert shown.startswith("rag: ")
    assert "begin with a blank" in shown
    assert len(talk.chat.history) == 1
    talk(f" {line}")
    assert [answer.question for answer in talk.chat.history] == [QUESTION, line]


def test_claim_names_what_supports_it_or_says_otherwise(talk):
    shown = talk("/claim The Navi agent completes 19.5% of the Windows tasks.")
    assert re.match(r"\[1\] Windows Agent Arena: .*\n +supports\n.*19.5%", shown)
    assert "Windows Agent Arena" in talk("/cite 1")
    shown = talk("/claim The Navi agent completes 45% of the Windows tasks.")
    assert shown.lstrip().startswith("Nothing in this library supports this.\n[1] Windows Agent Arena")
    assert "differs: the abstract says 19.5% and 74.5%, not 45%" in shown
    assert "The nearest:" in talk("/claim Coffee lowers the risk of diabetes.")
    assert "type /claim and a sentence" in talk("/claim")


def test_cite_gives_what_can_be_copied(asked):
    assert re.match(r"@misc\{flashattention-ab71d384aa75,\n  title = ", asked("/cite 1"))
    assert asked.screen[0].kind == "raw"
    assert [item["id"][-12:] for item in json.loads(asked("/cite csl"))] == ["ab71d384aa75", "6cbbc2f613df"]
    assert asked("/cite 2, 1 markdown").startswith("- *PokerBench")
    assert asked("/cite 2 RIS").startswith("TY  - ")
    assert "did you mean bibtex?" in asked("/cite bibtxe")
    assert "there are bibtex, csl, markdown, ris" in asked("/cite pubmed")


@pytest.mark.parametrize(
    ("suffix", "read"),
    [
        (".md", lambda text: re.findall(r"^## (.*)", text, re.MULTILINE)),
        (".json", lambda text: [Answer.from_dict(data).question for data in json.loads(text)]),
        (".bib", lambda text: re.findall(r"^@misc\{\w+-(.*),", text, re.MULTILINE)),
        (".csl", lambda text: [item["id"][-12:] for item in json.loads(text)]),
    ],
)
def test_export_writes_what_the_ending_says(asked, tmp_path, suffix, read):
    file = tmp_path / f"my chat{suffix.upper()}"
    assert asked(f'/export "{file}"') == f"3 answers written to {file}"
    questions = suffix in (".md", ".json")
    assert read(file.read_text("utf-8")) == ([QUESTION, FOLLOW_UP, POKER_QUESTION] if questions else ["ab71d384aa75", "6cbbc2f613df"])  # fmt: skip


def test_export_writes_over_its_own_files_and_no_others(asked, tmp_path):
    file = tmp_path / "mine.md"
    asked(f"/export {file}")
    assert "3 answers written" in asked(f"/export {file}")
    (tmp_path / "theirs.md").write_text("precious")
    assert "is there already" in asked(f"/export {tmp_path / 'theirs.md'}")
    assert (tmp_path / "theirs.md").read_text() == "precious"
    assert "cannot be written" in asked(f"/export {tmp_path / 'nowhere' / 'x.md'}")
    assert "use one of .json, .md, .bib, .csl, .jsonl, .ris" in asked(f"/export {tmp_path / 'x.pdf'}")


def test_retry_asks_again_in_place_of_the_last_answer(talk):
    talk(QUESTION)
    talk(FOLLOW_UP)
    before = list(talk.chat.history)
    assert talk("/retry").startswith(f"again: {FOLLOW_UP}\n{before[1].text}")
    assert [answer.question for answer in talk.chat.history] == [QUESTION, FOLLOW_UP]
    assert talk.chat.last.query == before[1].query


def test_retry_of_a_question_that_failed_keeps_what_was_answered(talk):
    talk(QUESTION)
    talk.chat.asked = POKER_QUESTION  # as if it had been stopped
    talk("/retry")
    assert [answer.question for answer in talk.chat.history] == [QUESTION, POKER_QUESTION]


def test_new_forgets_numbers_and_topic(talk):
    talk(POKER_QUESTION)
    assert "A new chat" in talk("/new")
    assert talk("/sources") == "rag: no paper is cited yet; ask a question first"
    assert talk("/retry") == "rag: nothing was asked yet; type a question"
    talk(QUESTION)
    assert talk.chat.last.query == QUESTION
    assert list(talk.chat.numbers) == [1]


def test_cost_adds_up(asked):
    assert re.match(r"3 answers in \d+\.\d s; 0 calls of a chat model, 0 tokens read, 0 written$", asked("/cost"))


def test_help_names_every_command_and_explains_one(asked):
    shown = asked("/help")
    assert all(f"{one.usage} " in shown and one.help in shown for one in COMMANDS)
    assert asked("help") == asked("?") == shown
    assert asked("/help open").split() == ["/open", "N", "its", "abstract,", "quotes", "highlighted"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/halp", "no command /halp; did you mean /help?"),
        ("/opne 1", "did you mean /open?"),
        ("/co", None),
        ("/l 1", "did you mean /like or /library?"),
        ("/", "no command /; type /help"),
        ("/op\ne 1", "no paper 'e 1' in this library"),
        ("/xyzzy", "no command /xyzzy; type /help"),
        ("/open", "which paper? type /open N; /sources lists them"),
        ("/open 9", "no paper bears [9] in this chat; there are [1], [2], see /sources"),
        ("/open 99999999999", "no paper '99999999999' in this library"),
        ("/open flashattention exact", "type: /open ab71d384aa75"),
        ("/like \x1b[2Jzzz", "no paper 'zzz'"),
        ("/papers", "which? type /papers QUERY"),
        ("/papers ...", "has no word in it"),
        ("/feedback", "good or bad? type /feedback good"),
        ("/export", "where? type /export FILE"),
        ("/library no-such-library", "no library at"),
        ("/model m not-a-url", "base URL 'not-a-url' is none"),
        ("...", "has no word in it"),
        ("x" * 9000, "at most 8,000"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_what_to_type(asked, line, said):
    before = (asked.chat.settings, len(asked.chat.history))
    shown = asked(line)
    assert (said or "") in shown
    if said:
        assert shown.startswith("rag: ")
        assert "\n" not in shown
    assert (asked.chat.settings, len(asked.chat.history)) == before


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([one.name for one in COMMANDS if one.name not in ("export", "library", "model", "quit")] + [""]),
    st.text(max_size=30)
    | st.sampled_from(["1", "[1]", "-1", "0", "1 1", "²", "٣", "1e9", "'", '"', "%", "*", "OR", "\0"]),
)
def test_nothing_typed_after_a_command_is_more_than_an_error(talk, name, argument):
    shown = talk(f"/{name} {argument}")
    if shown.startswith("rag: "):
        assert "\n" not in shown.strip()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60))
def test_no_question_is_more_than_an_error(talk, line):
    if not line.strip().startswith("/"):
        talk(line)


# --- what answers, and what is asked ------------------------------------------------------------


def test_model_shows_takes_and_leaves_one(talk, server):
    assert talk("/model").startswith("no chat model")
    assert f"m at {server.url}" in talk(f"/model m {server.url}")
    assert re.fullmatch(rf"model +m\nserver +{server.url}\ncontext +not known\ncalls +0 so far; .*", talk("/model"))
    assert talk.notices == ["to m"]
    server.says(streaming("FlashAttention is an IO-aware exact attention algorithm. [1]", end()))
    talk(QUESTION)
    assert talk.chat.last.model == "m"
    assert re.search(r"^calls +1 so far; \d+ tokens read, \d+ written$", talk("/model"), re.MULTILINE)
    assert re.match(
        r"1 answer in .*; 1 calls of a chat model, .* written; a server of your own, no charge$", talk("/cost")
    )
    assert talk("/model extractive").startswith("no chat model")
    talk(POKER_QUESTION)
    assert talk.chat.last.model == "extractive"


def test_library_asks_another_one_in_a_new_chat(talk, tmp_path):
    talk(QUESTION)
    folder = library(tmp_path / "small", S4, POKER)
    shown = talk(f"/library {folder}")
    assert re.search(r"^papers +2$", shown, re.MULTILINE)
    assert talk.chat.history == []
    talk("What is PokerBench?")
    assert talk.chat.numbers == {1: POKER}
    assert re.search(r"^papers +213$", talk(f"/library {SHIPPED}"), re.MULTILINE)


def test_a_library_that_changes_under_an_open_chat_is_asked_as_it_is(tmp_path):
    folder = library(tmp_path / "small", S4, POKER)
    talk = Talk(open=lambda settings, progress: open_assistant(settings), library=str(folder))
    talk("What is PokerBench?")
    assert "781ad8b684d2" not in talk("/papers exact attention on GPUs")
    library(folder, FLASH)  # as another terminal would
    talk("Is FlashAttention exact?")
    assert talk.chat.last.citations[0].paper == FLASH
    assert talk.chat.numbers == {1: POKER, 3: FLASH}
    assert "«" in talk("/open 1")


# --- what is kept -------------------------------------------------------------------------------


def test_a_chat_is_kept_and_gone_on_with(talk, tmp_path):
    talk(QUESTION)
    talk("/feedback bad it is  long")
    store = Chats(tmp_path / FILE)
    kept = store.chat()
    assert [(turn.question, turn.verdict, turn.note) for turn in kept.turns] == [(QUESTION, "bad", "it is  long")]
    later = Talk(store)
    later.chat.resume(kept)
    later(FOLLOW_UP)
    assert later.chat.numbers[1].id == "ab71d384aa75"
    assert [answer.question for answer in store.chat(kept.id).answers] == [QUESTION, FOLLOW_UP]
    assert store.chat(kept.id).answers[0] == talk.chat.history[0]


def test_an_answer_is_kept_before_it_is_shown(talk, tmp_path):
    pieces = talk.chat.ask(QUESTION, lambda stage: None)
    next(pieces)
    assert [turn.answer for turn in Chats(tmp_path / FILE).chat().turns] == [None]
    list(pieces)
    assert Chats(tmp_path / FILE).chat().answers == (talk.chat.last,)


def test_a_bad_question_is_not_kept(talk, tmp_path):
    talk("...")
    with pytest.raises(RagError, match="no chat is kept yet"):
        Chats(tmp_path / FILE).chat()


def test_a_store_that_fails_is_told_once_and_the_chat_goes_on(talk, tmp_path):
    talk(QUESTION)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("DROP TABLE turns")
    connection.close()
    for question in (FOLLOW_UP, POKER_QUESTION):
        assert "[" in talk(question)
    assert len(talk.notices) == 1
    assert talk.notices[0].endswith("; this chat is not kept")
    assert "not kept" in talk("/feedback good")


def test_without_a_store_nothing_is_noted():
    talk = Talk()
    talk(QUESTION)
    assert talk("/feedback good") == "rag: this chat is not kept, so nothing can be noted"


# --- filters ------------------------------------------------------------------------------------


@pytest.fixture
def dated(tmp_path) -> Talk:
    """A chat about three papers: two with years and authors."""
    old, new = replace(S4, year=2019, authors=("Doe, Ann",)), replace(FLASH, year=2023, authors=("Roe, Bob",))
    return Talk(Chats(tmp_path / FILE), library=str(library(tmp_path / "dated", old, new, POKER)))


def test_where_sets_shows_and_lifts_a_filter(dated):
    assert dated("/where") == "all papers are asked; /where year>=2023 author:Smith asks only some"
    said = "Only papers with year>=2020 (1 of 3; 1 more does not say). /where off asks all."
    assert dated("/where year >= 2020") == dated("/where") == said
    dated("Which model reaches which result on Path-X?")
    assert dated.chat.last.where.text == "year>=2020"
    assert {e.paper.title for e in dated.chat.last.evidence} == {"FlashAttention"}
    assert said[:-21] in dated("/why")
    for command in ("/papers path-x", f"/like {POKER.id}"):
        assert re.fullmatch(rf"\S+ FlashAttention  \S+  \S+\n{re.escape(said)}", dated(command))
    assert dated("/where off") == "all papers are asked; /where year>=2023 author:Smith asks only some"
    dated("Which model reaches which result on Path-X?")
    assert dated.chat.last.where is None


def test_a_filter_in_a_question_holds_for_it_alone_and_in_the_place_of_the_chats(dated):
    dated("/where year>=2020")
    dated("Which model reaches which result on Path-X? year:2019")
    assert dated.chat.last.where.text == "year:2019"
    dated("Which model reaches which result on Path-X? author:Roe")
    assert dated.chat.last.where.text == "year>=2020 author:Roe"
    dated("and how fast is it?")
    assert dated.chat.last.where.text == "year>=2020"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/where year>=2030", "rag: no paper of this library has year>=2030; its papers are of 2019 to 2023"),
        ("/where yaer>=2020", "rag: no filter is called 'yaer'; did you mean year?"),
        ("/where on", "rag: 'on' is no filter"),
        ("year>=2020", "rag: 'year>=2020' is a filter and asks nothing"),
    ],
)
def test_a_filter_that_is_none_or_leaves_nothing_is_told_and_not_set(dated, line, says):
    assert dated(line).startswith(says)
    assert not dated.chat.where


# --- the loop -----------------------------------------------------------------------------------


def lines(*typed):
    """A `read` that gives these lines and then ends; an exception is raised."""
    left = list(typed)

    def read():
        if not left:
            raise EOFError
        line = left.pop(0)
        if isinstance(line, BaseException):
            raise line
        return line

    return read


def test_what_fails_in_a_pipe_is_told_and_makes_the_exit_code_1(talk):
    assert converse(talk.chat, talk.screen, lines("...", QUESTION), typed=False) == 1
    assert [shown.kind for shown in talk.screen] == ["say", "answer"]
    assert converse(talk.chat, talk.screen, lines(QUESTION, "", "/quit", "..."), typed=False) == 0
    assert converse(talk.chat, talk.screen, lines("...", "exit"), typed=True) == 0


def test_ctrl_c_stops_all_of_a_piped_chat_and_nothing_of_a_typed_one(talk):
    with pytest.raises(KeyboardInterrupt):
        converse(talk.chat, talk.screen, lines(KeyboardInterrupt(), QUESTION), typed=False)
    assert converse(talk.chat, talk.screen, lines(KeyboardInterrupt(), QUESTION), typed=True) == 0
    assert [shown.kind for shown in talk.screen] == ["say", "answer"]


def test_a_library_that_cannot_be_opened_ends_a_typed_chat_at_its_first_question():
    talk = Talk(library="no-such-library", open=lambda settings, progress: open_assistant(settings))
    with pytest.raises(LibraryError, match="no library at"):
        converse(talk.chat, talk.screen, lines(QUESTION), typed=True)


def test_what_is_going_on_is_said_while_a_library_is_prepared(tmp_path):
    stages, go_on = [], []

    @contextmanager
    def telling():
        told = Silent()
        told.stage = stages.append
        yield told

    def open(settings, progress):
        progress("embedding", 512, 2261)
        while not any("512" in stage for stage in stages) and len(stages) < 300:
            pass
        go_on.append(True)
        return shared_assistant(settings)

    talk = Talk(open=open)
    talk.screen.telling = telling
    talk(QUESTION)
    assert go_on
    assert "preparing the library, once: embedding 512 of 2,261" in stages
    assert talk.chat.last.citations


def test_paths_of_libraries_are_kept_so_that_any_folder_finds_them(tmp_path, monkeypatch):
    library(tmp_path / "small", POKER)
    monkeypatch.chdir(tmp_path)
    talk = Talk(Chats(tmp_path / FILE), library="./small")
    talk("What is PokerBench?")
    assert Path(Chats(tmp_path / FILE).chat().library) == tmp_path / "small"
