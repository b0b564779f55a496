"""Which value wins, what is refused and how it is said, and what the fingerprint tells apart."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from rag.errors import PromptError, UsageError
from rag.places import resource
from rag.settings import Settings, load

NOT_NUMBERS = ("library", "model", "base_url", "judge", "prompts", "prices")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file of an empty RAG_HOME; not there yet."""
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    (tmp_path / "config").mkdir()
    return tmp_path / "config" / "settings.toml"


# --- precedence ---------------------------------------------------------------------------------


def test_without_any_choice_nothing_leaves_the_machine(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    settings = load()
    assert (settings.model, settings.base_url, settings.library, settings.k) == (None, None, None, None)


@pytest.mark.parametrize("name", ["library", "model", "base_url"])
def test_argument_beats_environment_beats_file_beats_default(
    name: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = [getattr(load(), name)]
    file.write_text(f'{name} = "file"')
    seen.append(getattr(load(), name))
    monkeypatch.setenv(f"RAG_{name.upper()}", "environment")
    seen.append(getattr(load(), name))
    seen.append(getattr(load(**{name: "argument"}), name))
    seen.append(getattr(load(**{name: None}), name))
    assert seen == [None, "file", "environment", "argument", "environment"]


def test_an_empty_variable_is_as_good_as_none(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('model = "m"')
    monkeypatch.setenv("RAG_MODEL", "")
    assert load().model == "m"


def test_extractive_chooses_no_model_wherever_it_stands(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_MODEL", "gpt-x")
    assert load(model="extractive").model is None
    monkeypatch.setenv("RAG_MODEL", "extractive")
    assert load().model is None
    assert load(model="gpt-x").model == "gpt-x"


def test_k_comes_from_the_file_or_an_argument(file: Path) -> None:
    file.write_text("k = 3")
    assert (load().k, load(k=5).k) == (3, 5)


@pytest.mark.parametrize("k", [0, -1, 101, True, 2.5, "8"])
def test_a_wrong_k_is_refused(k: object, file: Path) -> None:
    with pytest.raises(UsageError, match=r"k is .* from 1 to 100"):
        load(k=k)


@pytest.mark.parametrize("k", [1, 100])
def test_k_may_be_anything_from_1_to_100(k: int, file: Path) -> None:
    assert load(k=k).k == k


def test_the_room_for_passages_comes_from_the_nearest_place(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [load().prompt_tokens]
    file.write_text("prompt_tokens = 1000")
    seen.append(load().prompt_tokens)
    monkeypatch.setenv("RAG_PROMPT_TOKENS", " 2000 ")
    seen.append(load().prompt_tokens)
    seen.append(load(prompt_tokens=3000).prompt_tokens)
    assert seen == [None, 1000, 2000, 3000]


@pytest.mark.parametrize("value", [0, -1, 99, 1_000_001, True, 500.5, "many", "-500", "1e4"])
def test_a_wrong_room_for_passages_is_refused(value: object, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says = "prompt_tokens is .* from 100 to 1,000,000"
    with pytest.raises(UsageError, match=says):
        load(prompt_tokens=value)
    monkeypatch.setenv("RAG_PROMPT_TOKENS", str(value))
    with pytest.raises(UsageError, match=says):
        load()


# --- the settings file --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'modle = "x"', "unknown setting 'modle'; did you mean 'model'"),
        (b"zzz = 1", "unknown setting 'zzz'; it may set library, model, base_url, judge, k"),
        (b'temperature = "hot"', "unknown setting 'temperature'"),
        (b'k = "3"', "k is '3', not a number"),
        (b"k = true", "k is True, not a number"),
        (b'prompt_tokens = "3"', "prompt_tokens is '3', not a number"),
        (b"prices = 5", r'prices of .models.: 5 is none; write \[prices."HOST"\], below it "MODEL" = { prompt'),
        (b'[prices]\n"a.b" = 5', "prices of 'a.b': 5 is none"),
        (b'[prices."a.b"]\nm = 5', "prices of 'm': 5 is none"),
        (b'[prices."a.b"]\nm = { prompt = 1 }', "prices of 'm': {'prompt': 1} is none"),
        (b'[prices."a.b"]\nm = { prompt = 1, completion = "2" }', "prices of 'm'"),
        (b'[prices."a.b"]\nm = { prompt = -1, completion = nan }', "prices of 'm'"),
        (b'[price."a.b"]\nm = { prompt = 1, completion = 2 }', "unknown setting 'price'; did you mean 'prices'"),
        (b"model = 5", "model is 5, not a text"),
        (b"[model]\nx = 1", "model is .*, not a text"),
        (b"model = ", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_wrong_settings_file_is_named_in_one_line(content: bytes, says: str, file: Path) -> None:
    file.write_bytes(content)
    with pytest.raises(UsageError, match=says) as caught:
        load()
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_k_in_the_file_is_refused(file: Path) -> None:
    file.write_text("k = 1000")
    with pytest.raises(UsageError, match="k is 1000"):
        load()


def test_a_settings_file_that_is_a_folder_is_refused(file: Path) -> None:
    file.mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        load()


def test_prices_are_read_and_do_not_change_what_an_answer_is_made_by(file: Path) -> None:
    before = load().fingerprint
    file.write_text('[prices."A.b"]\nm = { prompt = 1, completion = 2.5 }\n[prices.c]\n')
    assert load().prices == {"a.b": {"m": {"prompt": 1, "completion": 2.5}}, "c": {}}
    assert (load().fingerprint, hash(load()) == hash(load())) == (before, True)


# --- the fingerprint ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [f.name for f in fields(Settings) if f.name not in NOT_NUMBERS])
def test_the_fingerprint_changes_with_any_number(name: str) -> None:
    base = load()
    other = replace(base, **{name: (getattr(base, name) or 0) + 1})
    assert other.fingerprint != base.fingerprint
    assert replace(other, **{name: getattr(base, name)}).fingerprint == base.fingerprint


@pytest.mark.parametrize("name", ["name", "version", "system", "user"])
def test_the_fingerprint_changes_with_any_prompt(name: str) -> None:
    base = load()
    assert base.prompts
    for number, prompt in enumerate(base.prompts):
        changed = replace(prompt, **{name: getattr(prompt, name) + (1 if name == "version" else " ")})
        prompts = (*base.prompts[:number], changed, *base.prompts[number + 1 :])
        assert replace(base, prompts=prompts).fingerprint != base.fingerprint


@pytest.mark.parametrize("name", ["library", "model", "base_url"])
def test_the_fingerprint_does_not_change_with_library_or_model(name: str) -> None:
    assert replace(load(), **{name: "x"}).fingerprint == load().fingerprint


# --- prompts ------------------------------------------------------------------------------------


def test_every_prompt_file_is_loaded_and_can_be_filled() -> None:
    names = {path.stem for path in resource("prompts").glob("*.md")} - {"README"}
    assert {prompt.name for prompt in load().prompts} == names
    filled = load().prompt("answer").fill(question="Why so?", passages="[1] Because.", fence="====")
    assert "Why so?" in filled
    assert "[1] Because." in filled
    assert "$" not in filled


def test_a_prompt_that_is_not_there_is_named() -> None:
    with pytest.raises(PromptError, match="no prompt named 'nope'"):
        load().prompt("nope")


@pytest.mark.parametrize(("text", "told"), [("papers_read = -1", "from 0 to 20"), ("papers_read = 21", "from 0 to 20"), ('papers_read = "4"', "not a number")])  # fmt: skip
def test_how_many_papers_are_read_is_a_small_number(file, text, told):
    file.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=told):
        load()


def test_the_reader_is_switched_off_in_the_settings_file(file):
    file.write_text("papers_read = 0", "utf-8")
    assert load().papers_read == 0
