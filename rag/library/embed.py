"""Texts -> unit vectors, so that the cosine of two texts is the dot product of their rows.

Two embedders answer to one interface. `MiniLM` is the shipped all-MiniLM-L6-v2: an int8 ONNX graph
that needs no network and no key; `rag/weights/PROVENANCE.md` says how it was made. The graph takes
one text at a time: batches were never faster on a CPU, and this way a vector depends on its text
alone, whatever it was embedded with, in whatever order. Several texts share the cores instead.
`Endpoint` is any server with OpenAI's /embeddings interface, reached by the rules of `rag.models.network`.

Nothing heavy is imported, read or connected to before it is needed, and counting tokens needs the
tokenizer only. Whatever the packages or the network raise becomes one EmbedError line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from rag.errors import Cancelled, EmbedError, RagError, UsageError
from rag.library.weights import REPAIR, WEIGHTS, encodable, in_parallel, line_of, load_session, load_tokenizer
from rag.models.servers import NO_KEY, OPENAI, url_of
from rag.remedies import Remedy

if TYPE_CHECKING:
    import numpy as np

    Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]

REQUEST_TEXTS = 64  # texts in one request
ENDPOINT_TOKENS = 512  # the shortest limit that is common among embedding models
ENDPOINT_PIECE = re.compile(r"[A-Za-z]{1,5}|[0-9]{1,2}|[^\sA-Za-z0-9]")


class Embedder(Protocol):
    """What the rest of the package knows of an embedder."""

    @property
    def name(self) -> str:
        """Which model made a vector: vectors of different names are never compared."""

    @property
    def dimensions(self) -> int:
        """Length of every vector, at least 1."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are read, two special ones included; what follows is ignored.

        A text is read whole if `count(text) <= max_tokens - 2`.
        """

    def count(self, text: str) -> int:
        """Tokens of the text, special ones not included, however long it is; 0 for an empty text."""

    def cuts(self, text: str) -> list[int]:
        """Offsets into the text (code points, ascending) at which its tokens begin: `count(text)` of them."""

    def encode(
        self,
        texts: Sequence[str],
        *,
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Vectors:
        """float32 (len(texts), dimensions), rows of length 1 in the order of the texts; no text gives 0 rows.

        An empty text or one of white space has a vector too, near nothing in particular. `progress` is
        called in this thread with the number of texts done so far; `cancelled` is asked between texts,
        and True raises Cancelled. Raises EmbedError when the model's files or its server fail.
        """


class MiniLM:
    """all-MiniLM-L6-v2 from the files of this package, int8, on the CPU. Loads when first used.

    One object may serve several threads. Same text, same bytes: on one machine a vector does not
    depend on the other texts of a call, nor on the number of cores.
    """

    name = "all-MiniLM-L6-v2-int8"
    dimensions = 384
    max_tokens = 256

    def __init__(self, folder: Path = WEIGHTS) -> None:
        """`folder` holds model.onnx and tokenizer.json; it is read on first use."""
        self._folder = folder
        self._lock = Lock()
        self._tokenizer: Any = None
        self._session: Any = None

    def count(self, text: str) -> int:
        """Tokens of the text, the two special ones not included. Raises EmbedError."""
        return len(self._tokens(text))

    def cuts(self, text: str) -> list[int]:
        """Offsets into the text (code points) at which its tokens begin. Raises EmbedError."""
        return [start for start, _ in self._tokens(text).offsets]

    def encode(
        self,
        texts: Sequence[str],
        *,
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Vectors:
        """See Embedder. About 40 ms of CPU for an abstract, 3 ms for a question."""
        import numpy as np

        vectors: Vectors = np.empty((len(texts), self.dimensions), np.float32)
        if not len(texts):
            return vectors
        with closing(in_parallel(self._vector, texts)) as results:
            for done, vector in enumerate(results):
                _stop_if(cancelled, done, len(texts))
                vectors[done] = vector
                if progress:
                    progress(done + 1)
        return vectors

    def _vector(self, text: str) -> Any:
        """The text's vector, float32 (384,), of length 1."""
        import numpy as np

        ids = self._tokens(text).ids[: self.max_tokens - 2]
        special = self._tokenizer.token_to_id
        try:
            ids = np.array([special("[CLS]"), *ids, special("[SEP]")], np.int64)
            return self._model().run(None, {"input_ids": ids})[0]
        except EmbedError:
            raise
        except Exception as error:  # the package's errors have no common base
            raise EmbedError(f"the shipped embedder failed ({line_of(error)}); {REPAIR}") from error

    def _tokens(self, text: str) -> Any:
        """The text's `tokenizers.Encoding`, neither truncated nor with special tokens."""
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = load_tokenizer(self._folder / "tokenizer.json")
        return self._tokenizer.encode(encodable(text), add_special_tokens=False)

    def _model(self) -> Any:
        with self._lock:
            if self._session is None:
                self._session = load_session(self._folder / "model.onnx")
        return self._session


class Endpoint:
    """An embedding model behind an OpenAI-compatible server; vectors are normalised here.

    Tokens are estimated, since the server's tokenizer is not known: every 5 letters of a word, every 2
    digits and every other mark count as one. On 213 English abstracts that was at least 14 % above what
    BERT's and OpenAI's tokenizers count (a third in mean); of single sentences 3 % came out too low, by a
    fifth at worst. Other scripts count one per character, which can be too few. One object may serve
    several threads.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        api_key: str | None = None,
        *,
        max_tokens: int = ENDPOINT_TOKENS,
        timeout: float = 60.0,
        max_retries: int = 2,
    ) -> None:
        """`timeout` in seconds for each attempt; nothing is sent yet.

        Raises UsageError for a base URL that is none.
        """
        self.name = name
        self.max_tokens = max_tokens
        self.base_url = url_of(base_url)
        self._key = (api_key or "").strip() or NO_KEY
        self._options = {"timeout": timeout, "max_retries": max_retries}
        self._dimensions = 0
        self._lock = Lock()
        self._client: Any = None

    @property
    def dimensions(self) -> int:
        """Length of the server's vectors; asks it once if it has not answered yet. Raises EmbedError."""
        if not self._dimensions:
            self._request(["dimensions"])
        return self._dimensions

    def count(self, text: str) -> int:
        """Estimated tokens of the text (see the class)."""
        return len(self.cuts(text))

    def cuts(self, text: str) -> list[int]:
        """Offsets into the text (code points) at which the estimated tokens begin."""
        return [piece.start() for piece in ENDPOINT_PIECE.finditer(text)]

    def encode(
        self,
        texts: Sequence[str],
        *,
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Vectors:
        """See Embedder. Up to 64 texts a request; servers refuse an empty one, so a full stop is sent."""
        import numpy as np

        parts = []
        for start in range(0, len(texts), REQUEST_TEXTS):
            _stop_if(cancelled, start, len(texts))
            part = texts[start : start + REQUEST_TEXTS]
            parts.append(self._request([encodable(text) if text.strip() else "." for text in part]))
            if progress:
                progress(start + len(part))
        return np.concatenate(parts) if parts else np.empty((0, self.dimensions), np.float32)

    def _request(self, texts: list[str]) -> Vectors:
        """The vectors of up to 64 texts that are not empty."""
        import openai

        try:
            reply = self._open().embeddings.create(model=self.name, input=texts, encoding_format="float")
            vectors = _unit_rows(reply.data, len(texts))
        except RagError as error:
            raise _as_ours(error) from error
        except openai.OpenAIError as error:
            raise _translated(error, self.name, self.base_url) from error
        except Exception as error:  # the client passes on whatever reading a strange reply raises
            raise EmbedError(
                f"{self.base_url} answered, but not with {len(texts)} embeddings ({line_of(error)}); "
                "check that the base URL is that of an OpenAI-compatible embedding server"
            ) from error
        with self._lock:
            self._dimensions = self._dimensions or vectors.shape[1]
        if vectors.shape[1] != self._dimensions:
            raise EmbedError(
                f"{self.base_url} answered with vectors of {vectors.shape[1]} numbers after some of "
                f"{self._dimensions}; check what it serves as {self.name!r}, then embed again"
            )
        return vectors

    def _open(self) -> Any:
        from rag.models.network import openai_client

        with self._lock:
            if self._client is None:
                self._client = openai_client(self.base_url, self._key, **self._options)
        return self._client


def open_embedder(name: str | None = None, *, base_url: str | None = None, api_key: str | None = None) -> Embedder:
    """The shipped embedder, or the model called `name` on the server at `base_url`. Nothing is sent yet.

    No name, or the shipped one's with no URL, means the shipped embedder. A name alone means OpenAI's own
    server. Without `api_key` RAG_API_KEY is used, and for OpenAI's own server OPENAI_API_KEY. Raises
    UsageError for a URL that is none or has no name with it, EmbedError if OpenAI's key is missing.
    """
    if base_url is None and name in (None, MiniLM.name, MiniLM.name.removesuffix("-int8")):
        return MiniLM()
    if not name:
        raise UsageError(f"{base_url}: which embedding model? Name one that this server offers")
    url = url_of(base_url)
    return Endpoint(name, url, api_key or _key(url))


def _stop_if(cancelled: Callable[[], bool] | None, done: int, total: int) -> None:
    if cancelled and cancelled():
        raise Cancelled(f"embedding stopped after {done} of {total} texts")


def _key(base_url: str) -> str | None:
    """The key for a server from the environment; None where none is set and none may be needed."""
    own = os.environ.get("RAG_API_KEY")
    if own or urlsplit(base_url).hostname != urlsplit(OPENAI).hostname:
        return own  # OPENAI_API_KEY is not sent to anybody else
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        raise EmbedError("OpenAI's models need a key: set OPENAI_API_KEY, or give a local server's base URL")
    return key


def _unit_rows(data: Any, size: int) -> Vectors:
    """The embeddings of a reply in the order of their `index`, of length 1. ValueError if they are not."""
    import numpy as np

    rows = {item.index: item.embedding for item in data}
    if len(data) != size or set(rows) != set(range(size)):
        raise ValueError(f"{len(data)} items with {len(rows)} indices")
    vectors = np.array([rows[index] for index in range(size)], np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if vectors.ndim != 2 or not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise ValueError("a vector is zero, not finite or no list of numbers")
    units: Vectors = (vectors / lengths).astype(np.float32)
    return units


def _translated(error: Exception, name: str, where: str) -> EmbedError:
    """Any error of the openai package as one line that says what to do."""
    from rag.models.failures import unreached

    if isinstance(error.__cause__, RagError):  # a redirect that was not followed
        return _as_ours(error.__cause__)
    status, kind = getattr(error, "status_code", None), type(error).__name__
    if kind == "APIConnectionError":
        problem, remedy = unreached(error, where, Remedy.CHECK_EMBEDDER)
        return EmbedError(f"{where} {problem}", remedy)
    if status in (401, 403):
        problem = f"refused the key (HTTP {status}); set RAG_API_KEY to one that is valid there"
    elif status == 404:
        problem = f"has no embedding model {name!r} (HTTP 404); check it, and that the base URL ends in /v1"
    elif status == 429:
        problem = "says too many requests or no credit left (HTTP 429); try again later"
    elif status is not None and status < 500:
        problem = f"did not take the texts (HTTP {status}: {line_of(error)}); check the model {name!r}"
    elif status is not None:
        problem = f"failed (HTTP {status}: {line_of(error)}); try again, or look at the server's log"
    elif kind == "APITimeoutError":
        problem = "did not answer in time; try again, or look at the server's log"
    else:
        problem = f"gave no usable answer ({kind}: {line_of(error)}); check the base URL"
    return EmbedError(f"{where} {problem}")


def _as_ours(error: RagError) -> EmbedError:
    """What is wrong with the way to a server."""
    return EmbedError(error.message, *error.remedies, **error.values)
