"""`rag chat` as a person sees it: at a pseudo-terminal, key by key; and piped, one line a question."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from running import CTRL_D, LONGEST_WAIT, PROMPT, RAG, called, environment, hear_ctrl_c, silent_server, typed

from rag import open_library
from rag.chat.repl import HELP
from rag.chat.store import FILE, Chats
from rag.show.progress import STAGES

QUESTION = "How does FlashAttention reduce memory accesses?"
SAID = "optimal for a range of SRAM"
COLOUR = re.compile(r"\x1b\[[\d;]*m")
DRAWN = re.compile(r"\x1b\[[\d;?]*[A-Za-z]|\x1b[=>]|\r")  # what moves the cursor or changes how text looks


@pytest.fixture(scope="module", autouse=True)
def _library_is_built(home: Path) -> None:
    """So that no single test is a first run, whichever is run alone."""
    open_library().close()


class Chat:
    """A chat at a terminal; `text` is all that was written so far, without colours and cursor movements."""

    def __init__(self, *argv: str, columns: int = 100, rows: int = 50, **env: object) -> None:
        self.child = pexpect.spawn(
            RAG[0],
            [*RAG[1:], *argv],
            env=environment(**env),
            dimensions=(rows, columns),
            encoding="utf-8",
            codec_errors="replace",
            preexec_fn=hear_ctrl_c,
        )
        self.child.delaybeforesend = None
        self.written = ""
        self.at = 0  # what was written up to here has been waited for

    @property
    def text(self) -> str:
        return DRAWN.sub("", self.written)

    def waits(self) -> None:
        """The next prompt is there and takes keys."""
        self._reads(lambda: PROMPT in self.written[self.at :])
        self.at = self.written.index(PROMPT, self.at) + len(PROMPT)

    def types(self, keys: str) -> None:
        self.child.send(keys)

    def ask(self, line: str) -> str:
        """What is shown between a line and the next prompt."""
        at = len(self.text)
        self.types(line + "\r")
        self.waits()
        return self.text[at:]

    def rows(self, line: str) -> list[str]:
        """What is shown between a line and the next prompt, row by row."""
        at = len(self.written)
        self.ask(line)
        return rows(self.written[at : self.at])

    def sees(self, text: str) -> None:
        """A text is shown, whatever its colour and however it is wrapped."""
        self._reads(lambda: " ".join(text.split()) in " ".join(self.text.split()))

    def leaves(self) -> int:
        """Ctrl-D ends it; its exit code."""
        self.types(CTRL_D)
        return self.ends()

    def ends(self) -> int:
        """It ends by itself; its exit code."""
        with contextlib.suppress(pexpect.EOF):
            self._reads(lambda: False)
        self.child.wait()
        self.child.close()
        assert "Traceback" not in self.text
        return int(self.child.exitstatus)

    def stops(self) -> None:
        """It is ended, whatever it does, if it has not ended."""
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
            self.child.wait()  # pexpect itself waits .1 s for it, which a busy machine may not keep
        self.child.close()

    def _reads(self, enough: Callable[[], bool]) -> None:
        until = time.monotonic() + LONGEST_WAIT
        while not enough():
            assert time.monotonic() < until, f"not seen in {self.written[-2000:]!r}"
            with contextlib.suppress(pexpect.TIMEOUT):
                self.written += self.child.read_nonblocking(10_000, timeout=0.2)


def rows(written: str) -> list[str]:
    """What was written between a line that was sent and the next prompt, row by row."""
    shown = written.split("\x1b[?2004l")[1].split(PROMPT)[0]
    return [row.rstrip() for row in re.split(r"[\r\n]+", re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown))]


@contextmanager
def chatting(*argv: str, ahead: str = "", **how) -> Iterator[Chat]:
    """A chat in a process of its own, once its prompt is there; `ahead` are keys typed before anything is."""
    chat = Chat(*argv, **how)
    try:
        chat.types(ahead)
        chat.waits()
        yield chat
        assert "Traceback" not in chat.text
    finally:
        chat.stops()


@pytest.fixture
def own(tmp_path) -> dict[str, object]:
    """The environment of a home of its own that has the shipped library."""
    (tmp_path / "cache").symlink_to(Path(os.environ["RAG_HOME"]) / "cache")
    return {"RAG_HOME": tmp_path}


@pytest.fixture(scope="module")
def terminal() -> Iterator[Chat]:
    """A chat that some tests go on with."""
    with chatting() as chat:
        yield chat


# --- a person at a terminal ---------------------------------------------------------------------


def test_a_conversation(terminal):
    assert terminal.text.startswith("rag 0.1.0. " + HELP)
    first = terminal.ask(QUESTION)
    assert SAID in " ".join(first.split())
    assert re.search(r"\n\[1\] FlashAttention: Fast and Memory-Efficient.*ab71d384aa75", first)
    assert "/open 1 shows it in its abstract" in first
    second = terminal.ask("and how fast is it?")
    assert "searched: how fast is FlashAttention?" in second
    assert "[1] FlashAttention" in second
    assert "/open 1 shows" not in second
    assert "rag: no command /halp; did you mean /help?" in terminal.ask("/halp")
    assert "rag: the question '...' has no word in it" in terminal.ask("...")
    assert "A new chat" in terminal.ask("/new")
    assert "searched:" not in terminal.ask(QUESTION)


def test_a_question_typed_before_anything_is_there_is_answered_ctrl_c_clears_the_line_and_ctrl_d_leaves():
    with chatting(ahead=QUESTION + "\r") as chat:
        chat.sees(SAID)
        assert chat.text.count("? " + QUESTION) <= 2  # once where it was typed, once when it is sent
        chat.waits()
        at = len(chat.text)
        chat.types("half a quest")
        chat.sees("half a quest")
        chat.types("\x03")
        chat.sees("(Ctrl-D leaves)")
        chat.waits()
        assert "[1]" not in chat.text[at:], "it was answered"
        assert chat.leaves() == 0
        assert chat.text.endswith("\n"), "the shell's prompt begins its own line"


def test_a_question_typed_while_another_is_answered_waits_its_turn(terminal):
    terminal.types(QUESTION + "\r" + "What is PokerBench?\r")
    terminal.waits()
    terminal.sees("PokerBench: Training")
    terminal.waits()


def test_a_pasted_text_stays_one_question_until_enter(terminal):
    terminal.types("\x1b[200~How does FlashAttention\nreduce memory\r\naccesses?\x1b[201~")
    terminal.sees("accesses?")
    before = terminal.text.count("[1] FlashAttention")
    time.sleep(0.3)
    assert terminal.text.count("[1] FlashAttention") == before
    shown = terminal.ask("")
    assert SAID in " ".join(shown.split())
    assert "no word in it" not in shown


def test_alt_enter_begins_a_new_line(terminal):
    terminal.types("How does FlashAttention\x1b\rreduce memory accesses?")
    shown = terminal.ask("")
    assert SAID in " ".join(shown.split())


def test_commands_numbers_and_titles_complete(terminal):
    terminal.ask("/new")
    terminal.ask(QUESTION)
    assert "cited by question 1" in terminal.ask("/sou\t")
    assert "Memory-Efficient Exact Attention" in terminal.ask("/open \t")
    terminal.types("what about pokerb\t")
    terminal.sees("what about PokerBench")
    terminal.types("\x03")
    terminal.waits()
    terminal.types("is [\t")
    terminal.sees("is [1]")
    terminal.types("\x03")
    terminal.waits()


def test_ctrl_c_stops_an_answer_and_not_the_chat(terminal):
    terminal.ask("/new")
    with silent_server() as (url, server):
        terminal.ask(f"/model m {url}")
        terminal.types(QUESTION + "\r")
        connection, _ = server.accept()  # kept: one that is closed is an answer, too
        terminal.child.sendintr()
        terminal.sees("stopped")
        terminal.waits()
        assert "no answer yet" in terminal.ask("/why")
        connection.close()
    assert "no chat model" in terminal.ask("/model extractive")


def test_a_terminal_that_changes_its_size(terminal):
    terminal.child.setwinsize(30, 50)
    terminal.waits()
    narrow = terminal.rows(QUESTION)
    terminal.child.setwinsize(50, 100)
    terminal.waits()
    wide = terminal.rows(QUESTION)
    assert 40 < max(map(len, narrow)) <= 50 < 90 < max(map(len, wide)) <= 100
    assert SAID in " ".join(narrow)


WAITING = " ".join(("getting ready", *STAGES.values()))  # what is seen or not, as fast as the machine is
LINES = (QUESTION, "/open 1", "/why", "/help", "/like 1", "/sources")


def asked(*lines: str, columns: int, **env: object) -> tuple[str, list[list[str]]]:
    """(all that is written, the rows shown for each line) of a chat at a terminal of that width."""
    code, written = typed("chat", lines=lines, columns=columns, **env)
    assert code == 0
    parts = written.split(PROMPT)[1:-1]
    return written, [rows(part + PROMPT) for part in parts]


@pytest.fixture(scope="module")
def known() -> set[str]:
    """The words of such a chat where none need be broken."""
    _, wide = asked(*LINES, columns=200)
    return {word for shown in wide for word in re.findall(r"[a-z]{4,}", " ".join(shown))}


@pytest.mark.parametrize("columns", [60, 30])
def test_a_narrow_screen_without_colour(columns, known):
    written, narrow = asked(*LINES, columns=columns, NO_COLOR=1)
    for line, shown in zip(LINES, narrow, strict=True):
        assert max(map(len, shown)) <= columns, line
        words = set(re.findall(r"[a-z]{4,}", " ".join(shown))) - set(re.findall(r"\w+", WAITING))
        assert words - known == set(), "a word was broken"
    assert not re.search(r"\x1b\[(\d+;)*3\d", written)


def test_history_goes_on_over_runs(own):
    typed("chat", lines=["What is PokerBench?"], **own)
    code, written = typed("chat", lines=["\x1b[A"], **own)
    assert code == 0
    assert "? What is PokerBench?" in DRAWN.sub("", written)


def test_a_dumb_terminal_that_drops_the_end_of_a_line_is_told():
    code, written = typed("chat", keys=f"{'word ' * 1000}{QUESTION}\n{QUESTION}\n{CTRL_D}", TERM="dumb")
    assert code == 0
    assert "rag: this terminal drops the end of so long a line; ask in fewer words" in written
    assert written.count("[1] ") >= 1
    assert "word word" not in DRAWN.sub("", written).split("this terminal drops")[1]


def test_a_paste_with_colour_codes_is_text():
    paste = "\x1b[200~How does \x1b[31mFlashAttention\x1b[0m reduce\r\nmemory \x07accesses?\x1b]0;t\x07\x1b[201~"
    code, written = typed("chat", lines=[paste, "/sources"])
    assert code == 0
    assert SAID in " ".join(DRAWN.sub("", written).split())
    assert "\ufffd" not in written
    assert "^[" not in written


def test_a_dumb_terminal_gets_plain_lines_and_quotes_between_marks():
    code, written = typed("chat", keys=f"{QUESTION}\n/open 1\n{CTRL_D}", TERM="dumb")
    assert code == 0
    assert "[1] FlashAttention" in written
    assert "«We propose FlashAttention" in " ".join(written.split())
    assert "id: ab71d384aa75" in written
    assert "\x1b" not in written


def test_a_library_that_is_not_there_ends_it(tmp_path):
    code, written = typed("chat", "--library", str(tmp_path / "nowhere"))
    assert code == 1
    assert "rag: no library at" in DRAWN.sub("", written)


def test_kill_9_loses_nothing_but_the_line_being_typed(own, tmp_path):
    with chatting(**own) as chat:
        chat.ask(QUESTION)
        chat.types("and how fa")
        chat.sees("and how fa")
        chat.child.kill(signal.SIGKILL)
        chat.child.wait()
    assert [answer.question for answer in Chats(tmp_path / "data" / FILE).chat().answers] == [QUESTION]
    code, written = typed("chat", "-c", lines=["and how fast is it?"], **own)
    assert code == 0
    resumed, _, went_on = DRAWN.sub("", written).partition("and how fast is it?")
    assert f"? {QUESTION}" in resumed
    assert SAID in " ".join(resumed.split())
    assert "searched: how fast is FlashAttention?" in went_on
    assert len(Chats(tmp_path / "data" / FILE).chat().answers) == 2


def test_leaving_while_the_library_is_prepared(tmp_path):
    with chatting(RAG_HOME=tmp_path) as chat:
        chat.sees("(preparing the library, once: embedding")
        assert chat.leaves() == 0


def test_a_home_that_cannot_be_written_is_told_and_answers_all_the_same(own, tmp_path):
    (tmp_path / "data").write_text("")
    code, written = typed("chat", lines=[QUESTION], **own)
    assert code == 0
    text = " ".join(DRAWN.sub("", written).split())
    assert "this chat is not kept" in text
    assert SAID in text


# --- piped --------------------------------------------------------------------------------------


def test_piped_each_line_is_a_question_with_those_before_in_mind():
    lines = f"{QUESTION}\n\nand how fast is it?\n/new\n?!\nand how fast is it?"
    code, out, err = called("chat", "--json", stdin=lines.encode())
    first, second, third = _values(out)
    assert code == 1
    assert err.splitlines()[-1] == "rag: the question '?!' has no word in it; ask in words"
    assert first["query"] == first["question"] == QUESTION
    assert second["query"] == "how fast is FlashAttention?"
    assert third["query"] == third["question"] == "and how fast is it?"


def test_piped_commands_work_and_load_no_prompt(python):
    code, out, err = called(stdin=f"{QUESTION}\n/sources\n/cite 1\n".encode())
    assert (code, err) == (0, "")
    assert out.count("[1] FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness") == 2
    assert "@misc{flashattention-ab71d384aa75," in out
    ran = python(
        "import io, sys; sys.stdin = io.StringIO('What is PokerBench?'); from rag.cli.main import main; main(['chat'])\n"
        "print('prompt_toolkit' in sys.modules)"
    )
    assert ran.stdout.splitlines()[-1] == "False", ran.stderr


def test_a_chat_may_be_begun_with_a_filter():
    code, out, err = called("chat", "--year", "2020-", stdin=f"{QUESTION}\n/where off\n{QUESTION}\n".encode())
    assert code == 0
    refused, answered = out.split("\n\n", 1)
    assert "has year>=2020; none of its 213 papers has a year" in refused
    assert SAID in answered
    assert "all papers are asked" in err


def test_a_filter_is_replayed_with_its_question(own):
    called("chat", "--year", "2020-", stdin=QUESTION.encode(), **own)
    (row,) = json.loads(called("replay", "1.1", "--json", **own)[1])
    assert row["old"]["where"] == row["new"]["where"] == "year>=2020"


def test_the_last_chat_goes_on_from_a_pipe(own):
    assert called("chat", stdin=QUESTION.encode(), **own)[0] == 0
    code, out, _ = called("chat", "-c", "--json", stdin=b"and how fast is it?", **own)
    assert code == 0
    assert "FlashAttention" in json.loads(out)["query"]
    assert called("chat", "-c", "7", stdin=b"", **own)[0::2] == (1, "rag: no chat 7; type: rag log\n")


def _values(text: str) -> list[dict]:
    """The JSON values of a text, one after the other."""
    found = []
    while text := text.lstrip():
        value, end = json.JSONDecoder().raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


# --- log and replay -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chatted(tmp_path_factory) -> Path:
    """A home with one chat: two questions, one of them judged, one that failed."""
    home = tmp_path_factory.mktemp("chatted")
    (home / "cache").symlink_to(Path(os.environ["RAG_HOME"]) / "cache")
    lines = f"{QUESTION}\nand how fast is it?\n/feedback bad no [bold]number\x1b[2J\n"
    assert called("chat", stdin=lines.encode(), RAG_HOME=home)[0] == 0
    return home


@pytest.fixture
def kept(chatted, tmp_path) -> dict[str, object]:
    """The environment of a copy of it."""
    return {"RAG_HOME": shutil.copytree(chatted, tmp_path / "home", symlinks=True)}


def test_the_log_lists_finds_and_prints_chats(kept):
    code, out, err = called("log", **kept)
    assert (code, err) == (0, "")
    assert re.search(rf"^1 +\d{{4}}-\d\d-\d\d \d\d:\d\d  shipped abstracts\n1\.1 {re.escape(QUESTION)}\n1\.2 ", out)
    assert "bad: no [bold]number\n" in out
    assert "1.1" not in called("log", "--feedback", **kept)[1]
    assert called("log", "zebras", **kept)[1:] == ("", "rag: no chat holds that; type: rag log\n")
    (chat,) = json.loads(called("log", "SRAM", "--json", **kept)[1])
    assert [turn["question"] for turn in chat["turns"]] == [QUESTION, "and how fast is it?"]
    assert chat["turns"][1]["verdict"] == "bad"


def test_a_replay_shows_what_changed_since(kept):
    code, out, err = called("replay", "1", **kept)
    assert (code, err) == (0, "")
    assert out.count("the same sentences, and nothing else changed") == 2
    store = Chats(Path(str(kept["RAG_HOME"])) / "data" / FILE)
    turn = store.chat().turns[1]
    assert turn.answer
    old = turn.answer.to_dict() | {"run": "before", "model": "a model"}
    old["claims"] = [dict(claim, text="It was slow.") for claim in old["claims"]]
    store.answer(turn.id, type(turn.answer).from_dict(old))
    out = called("replay", "1.2", **kept)[1]
    assert re.search(r"fingerprint: before -> [0-9a-f]{12}\n", out)
    assert "model: a model -> extractive" in out
    assert re.search(r"^- +It was slow\.$", out, re.MULTILINE)
    assert re.search(r"^\+ +FlashAttention trains", out, re.MULTILINE)
    (row,) = json.loads(called("replay", "1.2", "--json", **kept)[1])
    assert (row["old"]["run"], row["old"]["question"]) == ("before", row["new"]["question"])


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [("x", 2, "names no chat"), ("7", 1, "no chat 7"), ("1.9", 2, "has no answer"), ("-1", 2, "names no chat")],
)
def test_what_cannot_be_replayed(kept, name, code, why):
    ran = called("replay", name, **kept)
    assert ran[0] == code
    assert why in ran[2]
    assert len(ran[2].splitlines()) == 1
