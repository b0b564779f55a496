"""An embedder of one's own choice behind a server, brought to the scale that the numbers of this package are fitted for.

Embedders differ in how near two texts are that have nothing to do with each other: a cosine of .05 for one, of .8 for
another. Thresholds and weights here are fitted for MiniLM's. So vectors are centred on the mean of some reference texts
(Mu and Viswanath, 2018: "All-but-the-Top", its first step), which takes away what all texts share, and get one more
number, the same for all, so that texts that have nothing in common are as near as MiniLM has them. All cosines
follow. The mean is kept in the library: a vector made later is on the same scale.
"""

from __future__ import annotations

import base64
import os
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from rag.errors import EmbedError, LibraryDamaged, LibraryError, TextLeaves, UsageError
from rag.library.build import named_folder
from rag.library.database import FILE
from rag.library.embed import Embedder, Endpoint, MiniLM, open_embedder
from rag.library.store import Library
from rag.models.servers import is_remote, shown, url_of
from rag.places import home, private
from rag.remedies import Remedy

if TYPE_CHECKING:
    import numpy as np

    from rag.library.embed import Vectors

BACKGROUND = 0.056  # mean cosine of two of REFERENCE in MiniLM's vectors
REFERENCE = (  # texts of one request that have nothing in common but that they are texts
    "Copper pipes corrode faster where the water is soft.", "How long does it take to bake a loaf of rye bread?",
    "We sequence the genome of a freshwater snail.", "The treaty of 1648 ended thirty years of war.",
    "A sparse matrix can be stored by its non-zero entries.", "Which birds fly south before the first frost?",
    "Patients given the drug slept two hours longer.", "The violin has four strings, tuned in fifths.",
    "Interest rates rose by half a point in March.", "What is the tallest mountain in South America?",
    "Our robot folds towels with two arms.", "Volcanic ash keeps sunlight from the ground.",
    "Children learn the names of colours before those of numbers.", "The court held that the contract was void.",
    "Neutron stars spin several hundred times a second.", "Why do cats purr?",
    "We train a neural network to translate sentences.", "Clay tablets record the sale of barley.",
    "A bridge of steel cables spans the strait.", "Bees tell each other where flowers are by dancing.",
    "The enzyme cuts the strand at a fixed sequence.", "How is paper made from wood?",
    "Voters in cities turned out in larger numbers.", "The recipe asks for three eggs and a lemon.",
    "Random numbers are drawn from a normal distribution.", "Glaciers in the Alps lost a third of their ice.",
    "The striker scored twice in the second half.", "Which vitamins are in spinach?",
    "Light of one wavelength excites the crystal.", "The novel tells of a sailor and a whale.",
    "Soil with more fungi holds more carbon.", "We prove that the problem is hard even on trees.",
    "Trains between the two towns run every hour.", "Can a tooth be saved after its root is damaged?",
    "Old photographs fade when they hang in the sun.", "The protocol keeps messages secret from the server.",
    "Wool is spun into yarn and dyed with madder.", "What does a heat pump do in winter?",
    "The museum opens at ten and closes at five.", "Whales sing at frequencies below twenty hertz.",
)  # fmt: skip
SHIPPED = "shipped"  # the name of the embedder that needs no server
URL, MEAN = "embedder_url", "embedder_mean"
NOTHING_KEPT = {URL: "", MEAN: ""}


class Served:
    """An Endpoint's vectors on MiniLM's scale. One object may serve several threads."""

    def __init__(self, endpoint: Endpoint, mean: np.ndarray | None = None) -> None:
        """`mean` is that of the reference texts; None asks the server for it when it is first needed."""
        self.endpoint = endpoint
        self._mean = mean
        self._lock = Lock()
        if is_remote(endpoint.base_url):
            _warn(f"{shown(endpoint.base_url)} ({endpoint.name})")

    @property
    def name(self) -> str:
        """The model's."""
        return self.endpoint.name

    @property
    def dimensions(self) -> int:
        """Length of every vector: one more than the server's. Raises EmbedError."""
        return len(self.mean) + 1

    @property
    def max_tokens(self) -> int:
        """The endpoint's."""
        return self.endpoint.max_tokens

    @property
    def mean(self) -> np.ndarray:
        """Mean vector of the reference texts, float32. Raises EmbedError."""
        with self._lock:
            if self._mean is None:
                self._mean = self.endpoint.encode(REFERENCE).mean(axis=0)
            return self._mean

    def count(self, text: str) -> int:
        """See Embedder."""
        return self.endpoint.count(text)

    def cuts(self, text: str) -> list[int]:
        """See Embedder."""
        return self.endpoint.cuts(text)

    def encode(
        self,
        texts: Sequence[str],
        *,
        progress: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Vectors:
        """See Embedder."""
        import numpy as np

        mean = self.mean
        if not len(texts):
            return np.empty((0, len(mean) + 1), np.float32)
        vectors = self.endpoint.encode(texts, progress=progress, cancelled=cancelled)
        if vectors.shape[1] != len(mean):
            raise EmbedError(
                f"{self.endpoint.base_url} answers with vectors of {vectors.shape[1]} numbers as {self.name!r}, "
                f"which gave {len(mean)} before; check what it serves under that name"
            )
        return aligned(vectors, mean)


@cache
def _warn(where: str) -> None:
    """Say, once a process and server, that text is about to leave this machine; the command says it in its own way."""
    warnings.warn(f"texts to embed, of papers and questions, go to {where}", TextLeaves, stacklevel=4)


def aligned(vectors: np.ndarray, mean: np.ndarray) -> Vectors:
    """Unit vectors (n, d) centred on a mean (d,), with a last number that all share: unit vectors (n, d + 1)."""
    import numpy as np

    centred = vectors - mean
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    units = centred / np.where(lengths > 1e-6, lengths, 1.0)
    shared = np.sqrt(1 - (1 - BACKGROUND) * (lengths > 1e-6))  # a text that is the mean has nothing else
    found: Vectors = np.hstack([np.sqrt(1 - BACKGROUND) * units, shared]).astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


# --- which embedder -----------------------------------------------------------------------------


def chosen(name: str | None, url: str | None) -> Embedder:
    """The embedder of that name at a server (OpenAI's if none is named); the shipped one by its names, or for none.

    Raises UsageError or EmbedError.
    """
    if name == SHIPPED and url is None:
        name = None
    if url is not None and name in (SHIPPED, MiniLM.name):
        raise UsageError(f"{name!r} is the shipped embedder, which needs no server; give the model there another name")
    found = open_embedder(name, base_url=url)
    if not isinstance(found, Endpoint):
        return found
    _trust(found.base_url)
    return Served(found)


def embedder_of(library: Library) -> Embedder:
    """The embedder that made a library's vectors, or would.

    Raises LibraryDamaged, EmbedError, or UsageError for a server elsewhere that nobody named on this machine: whoever made
    the library would else be told what it is asked, and the key.
    """
    url, mean = library.told(URL), library.told(MEAN)
    if not url:
        return open_embedder()
    if is_remote(url) and url not in _named():
        raise UsageError(
            f"{library.path} sends what it is asked to {shown(url)} ({library.embedder}), which was not named here before",
            Remedy.TRUST_EMBEDDER,
            library=library.path,
        )
    found = open_embedder(library.embedder, base_url=url)
    assert isinstance(found, Endpoint)
    return Served(found, _unpacked(library, mean))


def embedder_for(name: str, wanted: str | None = None, url: str | None = None) -> Embedder:
    """The embedder of the library of that name; where there is none yet, the one that is wanted.

    Raises UsageError when another is wanted than the library has.
    """
    folder = named_folder(name)
    if not os.path.isfile(folder / FILE):
        return chosen(wanted, url)
    try:
        library = Library.open(folder)
    except LibraryError:  # who opens it to read or mend it says what is wrong
        return open_embedder()
    try:
        _check_same(library, name, wanted, url)
        if url is not None:
            _trust(library.told(URL))
        return embedder_of(library)
    finally:
        library.close()


def kept_of(embedder: Embedder) -> dict[str, str]:
    """What a library keeps of its embedder beside the name."""
    if not isinstance(embedder, Served):
        return {}
    return {URL: embedder.endpoint.base_url, MEAN: base64.b64encode(embedder.mean.astype("<f4").tobytes()).decode()}


def _check_same(library: Library, name: str, wanted: str | None, url: str | None) -> None:
    asked = (MiniLM.name if wanted == SHIPPED else wanted), (url_of(url) if url else None)
    has = library.embedder, library.told(URL)
    if any(one is not None and one != held for one, held in zip(asked, has, strict=True)):
        raise UsageError(f"{name} was embedded with {library.embedder!r}", Remedy.EMBED_ANEW)


def _servers() -> Path:
    """The file of the servers elsewhere that were named as embedders."""
    return home("config") / "embedding-servers.txt"


def _named() -> list[str]:
    try:
        return _servers().read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return []


def _trust(url: str) -> None:
    """Remember a server that was named."""
    if not is_remote(url) or url in _named():
        return
    try:
        private(_servers())
        with _servers().open("a", encoding="utf-8") as file:
            file.write(f"{url}\n")
    except OSError as error:
        raise EmbedError(
            f"{_servers()}: cannot be written ({error.strerror}); set RAG_HOME to a folder of yours"
        ) from error


def _unpacked(library: Library, mean: str) -> np.ndarray:
    import numpy as np

    try:
        found = np.frombuffer(base64.b64decode(mean, validate=True), "<f4")
    except ValueError as error:
        raise LibraryDamaged(f"{library.path} is damaged (its {MEAN})", Remedy.EXAMINE, library=library.path) from error
    if len(found) + 1 != int(library.meta("dimensions")):
        raise LibraryDamaged(f"{library.path} is damaged (its {MEAN})", Remedy.EXAMINE, library=library.path)
    return found.astype(np.float32)
