"""Chats are kept whole, by several processes at once, and a file that fails says so in one line."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from answering.test_followup import answer
from made import S4
from running import LONGEST_WAIT, environment

from rag.chat.prompt import History
from rag.chat.store import FILE, Chats
from rag.errors import RagError


@pytest.fixture
def store(tmp_path: Path) -> Chats:
    return Chats(tmp_path / "data" / FILE)


def test_an_answer_comes_back_whole(store):
    said = answer("Which layer?", (1, S4))
    chat = store.begin("some/library")
    store.answer(store.ask(chat, "Which layer?"), said)
    kept = store.chat()
    assert (kept.id, kept.library, kept.answers) == (chat, "some/library", (said,))
    assert [(turn.number, turn.question, turn.answer) for turn in kept.turns] == [(1, "Which layer?", said)]


def test_a_question_without_an_answer_is_kept_too(store):
    store.ask(store.begin(None), "Which?")
    assert [turn.answer for turn in store.chat().turns] == [None]
    assert store.chat().answers == ()


def test_a_question_asked_again_counts_once_but_its_feedback_stays(store):
    chat = store.begin(None)
    first = store.ask(chat, "Which?")
    store.answer(first, answer("Which?", (1, S4)))
    store.judge(first, "bad", "too \x1b[2Jshort")
    store.retried(first)
    again = replace(answer("Which?", (1, S4)), run="again")
    store.answer(store.ask(chat, "Which?"), again)
    kept = store.chat(chat)
    assert kept.answers == (again,)
    assert [(turn.verdict, turn.note, turn.retried) for turn in kept.turns] == [
        ("bad", "too \ufffd[2Jshort", True),
        (None, None, False),
    ]


def test_chats_are_found_by_words_of_questions_answers_and_notes_latest_first(store):
    for question in ("About zebras?", "About lions?", "Löwen?"):
        turn = store.ask(store.begin(None), question)
        store.answer(turn, answer(question))
    store.judge(turn, "good", "well put")
    assert [chat.id for chat in store.find()] == [3, 2, 1]
    assert [chat.id for chat in store.find("ABOUT said")] == [2, 1]
    assert [chat.id for chat in store.find("well löwen")] == [3]
    assert list(store.find("100%_'\"")) == []


@pytest.mark.parametrize("id", [None, 7, 0, 10**30])
def test_a_chat_that_is_not_there_is_told(store, id):
    with pytest.raises(RagError, match=r"no chat .*; at a terminal type: rag (chat|log)"):
        store.chat(id)


def test_what_was_kept_survives_a_kill(tmp_path):
    code = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; from rag.chat.store import Chats\n"
        "store = Chats(Path(sys.argv[1])); store.ask(store.begin(None), 'Which?'); print('asked', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    file = tmp_path / FILE
    ran = subprocess.run(
        [sys.executable, "-c", code, str(file), str(Path(__file__).parents[1])], env=environment(), capture_output=True
    )
    assert (ran.returncode, ran.stdout) == (-signal.SIGKILL, b"asked\n"), ran.stderr
    assert [turn.question for turn in Chats(file).chat().turns] == ["Which?"]


def test_several_processes_write_at_once_from_the_first_moment_on(tmp_path):
    code = (
        "import sys; from pathlib import Path; from rag.chat.store import Chats\n"
        "store = Chats(Path(sys.argv[1])); chat = store.begin(None)\n"
        "for n in range(20): store.ask(chat, f'question {n}')"
    )
    file = tmp_path / FILE
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(file)], env=environment(), stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [process.communicate(timeout=LONGEST_WAIT)[1] for process in running] == [b""] * 3
    assert [len(chat.turns) for chat in Chats(file).find()] == [20] * 3


def another_table(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE chats (x)")
        connection.execute("PRAGMA user_version = 1")
    connection.close()


def later_version(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda file: file.write_bytes(os.urandom(5000)), "is damaged .*; move it away"),
        (lambda file: file.mkdir(), "cannot be written .*; set RAG_HOME"),
        (another_table, "has no column|no such table"),
        (later_version, "later version; at a terminal type: pip install --upgrade"),
    ],
)
def test_a_file_that_fails_says_so_in_one_line(tmp_path, harm, why):
    harm(tmp_path / FILE)
    with pytest.raises(RagError, match=why) as raised:
        Chats(tmp_path / FILE).begin(None)
    assert "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RagError, match=r"cannot be written .*; set RAG_HOME to a folder of yours"):
        Chats(tmp_path / "file" / FILE)


def test_an_answer_that_cannot_be_read_is_no_answer(store):
    turn = store.ask(store.begin(None), "Which?")
    for text in ("{", "[]", '{"version": 99}', '"x"'):
        with sqlite3.connect(store.file) as connection:
            connection.execute("UPDATE turns SET answer = ? WHERE id = ?", (text, turn))
        connection.close()
        assert store.chat().turns[0].answer is None


def modes(*paths):
    return [oct(path.stat().st_mode & 0o777) for path in paths]


def test_chats_and_what_was_typed_can_be_read_by_their_owner_alone(tmp_path):
    before = os.umask(0o022)
    try:
        file = tmp_path / "home" / "data" / FILE
        store = Chats(file)
        store.ask(store.begin(None), "Which?")
        History(file.parent / "history").store_string("Which?")
        made = sorted(file.parent.iterdir())
    finally:
        os.umask(before)
    assert {path.name for path in made} >= {FILE, f"{FILE}-wal", "history"}
    assert set(modes(*made)) == {"0o600"}
    assert modes(file.parent, file.parent.parent) == ["0o700", "0o700"]
    store.close()


def test_chats_of_an_earlier_version_are_closed_to_others(tmp_path):
    file = tmp_path / FILE
    Chats(file).close()
    file.chmod(0o644)
    Chats(file).close()
    assert modes(file) == ["0o600"]
