"""What to do about an error, once for each door: in Python, at a terminal, in a chat.

An error names a remedy and its values; the door that shows the error words it (`RagError.worded`).
In a template, `{name}` is a value of the error as it is typed in a shell, `{name!r}` as a literal of
Python. `{library}` is ` --library NAME`, or nothing where no library is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Literal, NamedTuple

Door = Literal["python", "terminal", "chat"]


class Words(NamedTuple):
    """A remedy at each door; an empty one for the chat is that of the terminal."""

    python: str
    terminal: str
    chat: str = ""


class Remedy(Enum):
    """What the reader of an error can do next."""

    # a question
    ASK = Words("ask something, in words", 'type: rag ask "your question"', "type a question")
    ASK_BESIDE_FILTER = Words(
        "add a question to it",
        "add a question, or type: rag list{library} {where}",
        "add a question, or type: /where {where}",
    )
    GIVE_TEXT = Words("give it as text", "type it, or pipe a text file", "type it")
    CLAIM = Words("give a sentence that claims something", 'type: rag cite "a sentence"', "type: /claim a sentence")
    REPHRASE = Words("ask in other words", "ask in other words")

    # a library
    MAKE_LIBRARY = Words(
        'to make one: rag.add("FILE", library="NAME")', "to make one type: rag add FILE --library NAME"
    )
    MAKE_OR_LEAVE_OUT = Words(
        'make one with rag.add("FILE", library="NAME"), or leave library out',
        "make one with: rag add FILE --library NAME, or leave --library out",
        "leave the chat and make one with: rag add FILE --library NAME, or type: /library shipped",
    )
    NAME_LIBRARY = Words('name one of your own: library="NAME"', "name one of your own: --library NAME")
    NAME_ANOTHER = Words("name another one", "name another one: --library NAME")
    SEE_LIBRARIES = Words("name another one", "see: rag status")
    SEE_STATUS = Words("rag.open_library({library!r}).journal() tells what was done", "type: rag status{library}")
    REPLACE_LIBRARY = Words(
        "name another one, or give force=True to replace it", "name another one, or add --force to replace it"
    )
    BACK_UP_AGAIN = Words("make another with rag.backup", "make another with: rag backup")
    NAME_BACKUP = Words("name a file that rag.backup made", "name a file of: rag backup")
    ADD_FILES_AGAIN = Words(
        'add its files again: rag.add("FILE", library="NAME")', "add its files again: rag add FILE --library NAME"
    )
    EMBED_ANEW = Words(
        "at a terminal, rag library embed moves it to another",
        "to move it to another type: rag library embed LIBRARY --embedder NAME",
    )
    TRUST_EMBEDDER = Words(
        "if you trust it, at a terminal name it once: rag library embed, with its --embedder and --embed-url",
        "if you trust it, name it once: rag library embed LIBRARY --embedder NAME --embed-url URL",
    )
    UPGRADE = Words(
        "at a terminal type: pip install --upgrade abstracts-rag", "type: pip install --upgrade abstracts-rag"
    )
    EXAMINE = Words("at a terminal type: rag doctor{library}", "type: rag doctor{library}")

    # a paper
    LIST_PAPERS = Words("search(...) finds papers by their words", "type: rag list{library}", "type: /papers QUERY")
    SHOW_PAPER = Words("its id is {id!r}", "type: rag show{library} {id}", "type: /open {id}")

    # a file
    NAME_TITLE = Words('say which with columns={{"title": "NAME"}}', "say which with --map title=NAME")
    NAME_FORMAT = Words('if it is an export, give format="NAME"', "if it is an export, add --format NAME")
    REPLACE_FILE = Words("give another name", "add --force to replace it", "give another name")

    # a chat model and its server
    AGAIN = Words("try again", "try again")
    AGAIN_IN = Words("try again in {seconds} s", "try again in {seconds} s")
    AGAIN_LATER = Words("try again later", "try again later")
    WITHOUT_MODEL = Words("leave model out", "leave --model out", "type: /model extractive")
    OTHER_MODEL = Words("name another model", "choose another --model", "name another one: /model NAME")
    OFFERED_MODEL = Words(
        "name one of those it offers; at a terminal, rag models --base-url {server} lists them",
        "type: rag models --base-url {server}, choose one of those",
    )
    CHECK_NETWORK = Words("check base_url and the network", "check --base-url and the network")
    CHECK_CONNECTION = Words("check the network", "check the network")
    CHECK_RUNNING = Words("is the server running? check base_url", "is the server running? check --base-url")
    CHECK_EMBEDDER = Words("is the server running? check embed_url", "is the server running? check --embed-url")
    START_OLLAMA = Words("is Ollama running? At a terminal type: ollama serve", "is Ollama running? Type: ollama serve")
    START_LMSTUDIO = Words(
        "is LM Studio's server running? At a terminal type: lms server start",
        "is LM Studio's server running? Type: lms server start",
    )
    START_LLAMACPP = Words(
        "is llama.cpp's server running? At a terminal type: llama-server -m FILE.gguf",
        "is llama.cpp's server running? Type: llama-server -m FILE.gguf",
    )
    START_VLLM = Words("is vLLM running? At a terminal type: vllm serve NAME", "is vLLM running? Type: vllm serve NAME")
    PULL = Words("at a terminal type: ollama pull {model}", "type: ollama pull {model}")
    CHECK_V1 = Words("check that base_url ends in /v1", "check that --base-url ends in /v1")
    CHECK_HTTPS = Words("should base_url begin with http://?", "should --base-url begin with http://?")
    CHECK_PROXY = Words("check that, or name the host in NO_PROXY", "check that, or name the host in NO_PROXY")
    CORRECT = Words("correct it or unset it", "correct it or unset it")
    CORRECT_PROXY = Words(
        "correct it, unset it, or name the host in NO_PROXY", "correct it, unset it, or name the host in NO_PROXY"
    )
    TRUST = Words(
        "set SSL_CERT_FILE to a file with the certificate of who issued it",
        "set SSL_CERT_FILE to a file with the certificate of who issued it",
    )
    TRUST_ADDRESS = Words(
        "if you trust that address, give it as base_url", "if you trust that address, give it as --base-url"
    )
    USE_HTTPS = Words(
        "give its https:// address, or set RAG_INSECURE=1 if you mean it",
        "give its https:// address, or set RAG_INSECURE=1 if you mean it",
    )
    GIVE_LONGER = Words("set RAG_DEADLINE to more seconds", "give it longer with --deadline")
    LOCAL_EXTRA = Words(
        "at a terminal type: pip install 'abstracts-rag[local]'", "type: pip install 'abstracts-rag[local]'"
    )
    MCP_EXTRA = Words("at a terminal type: pip install 'abstracts-rag[mcp]'", "type: pip install 'abstracts-rag[mcp]'")
    OTHER_FILE = Words("get it again, or name another file", "get it again, or name another file")
    VALID_KEY = Words(
        "set RAG_API_KEY or OPENAI_API_KEY to a valid one", "set RAG_API_KEY or OPENAI_API_KEY to a valid one"
    )
    SERVER_KEY = Words("set RAG_API_KEY to its key", "set RAG_API_KEY to its key")
    KEY_OR_LOCAL = Words(
        'set OPENAI_API_KEY, or name a local server: base_url="ollama"',
        "set OPENAI_API_KEY, or name a local server: --base-url ollama",
        "set OPENAI_API_KEY, or name a local server: /model NAME ollama",
    )
    LESS_TEXT = Words("lengthen it there, or try k=2", "lengthen it there, or try -k 2")

    # a kept chat
    BEGIN_CHAT = Words("at a terminal type: rag chat", "type: rag chat")
    SEE_CHATS = Words("at a terminal type: rag log", "type: rag log")

    def words(self, door: Door, values: Mapping[str, object]) -> str:
        """What to do, as that door has it."""
        template: str = getattr(self.value, door) or self.value.terminal
        return template.format_map(
            {name: _Value(name, value) for name, value in ({"library": None} | dict(values)).items()}
        )


class _Value:
    """A value in a template: `str` is its form in a shell, `repr` that in Python."""

    def __init__(self, name: str, value: object) -> None:
        self._name, self._value = name, value

    def __str__(self) -> str:
        from shlex import quote

        if self._name == "library":
            return "" if self._value is None else f" --library {quote(str(self._value))}"
        return quote(str(self._value))

    def __repr__(self) -> str:
        return repr(self._value)
