"""A trained reader -> `rag/weights/reader.onnx`: int8, one pair at a time, as the shipped embedder is.

    python -m evals.training.export STATE --dev dev.jsonl        # prints how far int8 lies from float32

Inputs: `input_ids` and `types` int64 (tokens,); `members` float32 (sentences, tokens), each token's share in the mean
of its sentence. Outputs, logits: `sentences` (sentences,), `answered` (1,), `support` (3,): supported, contradicted,
not said. The nodes are built by `rag/weights/convert.py`; layers are int8, the heads float32.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from evals.training import measure, network, pairs
from evals.training.network import Reader
from evals.training.pairs import Pair
from rag.library.reader import LONGEST, tokens_of

WEIGHTS = Path(__file__).parents[2] / "rag" / "weights"
OUT = WEIGHTS / "reader.onnx"
CURVE = Path(__file__).with_name("curve.svg")
CALIBRATED = 12  # pairs of the dev set that show which columns stand out
COMPARED = 300

sys.path.insert(0, str(WEIGHTS))
convert: Any = importlib.import_module("convert")  # the maintainers' tool beside the weights


def by_bert(reader: Reader) -> dict[str, np.ndarray]:
    """The encoder's weights by BERT's names."""
    found = {}
    for own, value in reader.state_dict().items():
        parts = own.split(".")
        if parts[0] == "layers":
            found[f"encoder.layer.{parts[1]}.{network.LAYER[parts[2]]}.{parts[3]}"] = value.numpy()
    return found


def build(reader: Reader, numbers: Any, extra: Iterable[str] = ()) -> bytes:
    """The graph of a reader with its numbers as `convert.Float32` or `convert.Int8` has them."""
    graph, weights, state = convert.Graph(), by_bert(reader), {k: v.numpy() for k, v in reader.state_dict().items()}
    x = _embedded(graph, state, numbers)
    for index in range(len(reader.layers)):
        prefix = f"encoder.layer.{index}."
        layer = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        x = convert.attention(graph, x, layer, numbers, str(index))
        x = convert.feed_forward(graph, x, layer, numbers, str(index))
    _heads(graph, x, state)
    return _serialized(graph, extra)


def _embedded(graph: Any, state: dict[str, np.ndarray], numbers: Any) -> str:
    words = numbers.rows(graph, state["words.weight"], "words")
    table = graph.constant("positions", state["positions.weight"][:LONGEST])
    length = graph.node("Shape", ["input_ids"], "length")
    positions = graph.node("Slice", [table, graph.constant("start", [0]), length], "position")
    types = graph.node("Gather", [graph.constant("types.table", state["types.weight"]), "types"], "typed")
    total = graph.node("Add", [graph.node("Add", [words, positions], "placed"), types], "embedded")
    named = {f"embedded.{part}": state[f"embedded.{part}"] for part in ("weight", "bias")}
    return str(convert.layer_norm(graph, total, named, "embedded", "normed"))


def _heads(graph: Any, x: str, state: dict[str, np.ndarray]) -> None:
    plain = convert.Float32()

    def linear(source: str, name: str) -> str:
        layer = convert.Linear(state[f"{name}.weight"].T, state[f"{name}.bias"])
        return str(plain.linear(graph, source, layer, f"head.{name}"))

    first = graph.node("Gather", [x, graph.constant("zero", np.array([0]))], "first", axis=0)  # (1, width)
    cls = graph.node("Tanh", [linear(first, "pooler")], "cls")
    means = graph.node("MatMul", ["members", x], "means")
    size = graph.node("Shape", [means], "means.shape")
    wide = graph.node("Expand", [cls, size], "cls.each")
    both = graph.node("Concat", [means, wide], "both", axis=1)
    scores = linear(graph.node("Gelu", [linear(both, "beside")], "beside.gelu"), "sentence")  # (sentences, 1)
    shares = graph.node("Softmax", [scores], "where", axis=0)
    pooled = graph.node("MatMul", [graph.node("Transpose", [shares], "where.row", perm=[1, 0]), means], "pooled")
    told = graph.node("Concat", [cls, pooled], "told", axis=1)
    support = linear(graph.node("Gelu", [linear(told, "supporting")], "supporting.gelu"), "support")
    answered, flat = linear(told, "answered"), graph.constant("whole", [-1])
    for name, source in (("sentences", scores), ("answered", answered), ("support", support)):
        graph.node("Reshape", [source, flat], name)


def _serialized(graph: Any, extra: Iterable[str]) -> bytes:
    integer, real = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
    inputs = [helper.make_tensor_value_info(name, integer, ["tokens"]) for name in ("input_ids", "types")]
    inputs.append(helper.make_tensor_value_info("members", real, ["sentences", "tokens"]))
    sizes: dict[str, list[Any]] = {"sentences": ["sentences"], "answered": [1], "support": [3]}
    results = [helper.make_tensor_value_info(name, real, size) for name, size in sizes.items()]
    results += [helper.make_tensor_value_info(name, real, ["tokens", network.HIDDEN]) for name in extra]
    made = helper.make_graph(graph.nodes, "reader", inputs, results, list(graph.constants.values()))
    opsets = [helper.make_opsetid("", convert.OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=convert.IR_VERSION, producer_name="abstracts-rag")
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def outputs(model: bytes, asked: Sequence[Pair]) -> list[list[np.ndarray]]:
    """What a graph gives for each pair."""
    tokens = measure.tokenizer()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = []
    for pair in asked:
        read = tokens_of(tokens, pair.text, pairs.passage(pair))
        ids, types, members = (tensor.numpy() for tensor in network.tensors(read))
        found.append(session.run(None, {"input_ids": ids, "types": types, "members": members}))
    return found


def largest(reader: Reader, asked: Sequence[Pair]) -> dict[str, np.ndarray]:
    """The largest magnitude in each input column of the layers that have outlier columns."""
    layers = range(len(reader.layers))
    inputs = {f"{i}.attention": f"{i - 1}.done" if i else "normed" for i in layers}
    inputs |= {f"{i}.wide": f"{i}.attended" for i in layers}
    seen = [
        [np.abs(values).max(0) for values in one[3:]]
        for one in outputs(build(reader, convert.Float32(), inputs.values()), asked)
    ]
    return dict(zip(inputs, np.max(seen, axis=0), strict=True))


def curve(log: Path) -> str:
    """The mean loss of each stretch of steps, as a picture."""
    rows = [line.split("\t") for line in log.read_text("utf-8").splitlines()]
    points = [(int(step), float(loss)) for step, loss, *_ in rows]
    last, top = max(step for step, _ in points), max(loss for _, loss in points)
    line = " ".join(f"{50 + 500 * step / last:.0f},{20 + 220 * (1 - loss / top):.0f}" for step, loss in points)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 290" font-family="sans-serif" font-size="13">'
        '<rect width="600" height="290" fill="#fff"/><path d="M50 20V240H550" fill="none" stroke="#222"/>'
        f'<polyline points="{line}" fill="none" stroke="#0b6e99" stroke-width="2"/>'
        f'<text x="44" y="28" text-anchor="end">{top:.2f}</text><text x="44" y="244" text-anchor="end">0</text>'
        f'<text x="550" y="260" text-anchor="end">{last} steps</text><text x="60" y="16">mean loss of a pair</text></svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    CURVE.write_text(curve(args.state.with_name("log.tsv")), "utf-8")
    reader = measure.restored(args.state)
    dev = list(pairs.own(pairs.rows([args.dev])))
    small = build(reader, convert.Int8(largest(reader, dev[:: max(1, len(dev) // CALIBRATED)])))
    args.out.write_bytes(small)
    some = dev[:: max(1, len(dev) // COMPARED)]
    exact = [[s.sentences, np.array([s.answered]), s.support] for s in measure.seen(reader, some)]
    for at, name in enumerate(("sentences", "answered")):
        far = [np.abs(a[at][: len(b[at])] - b[at]).max() for a, b in zip(outputs(small, some), exact, strict=True)]
        print(f"{name}: int8 from float32 {np.mean(far):.3f} in mean, {np.max(far):.3f} at most")
    print(f"{args.out.name} {len(small):,} bytes sha256 {hashlib.sha256(small).hexdigest()}")


if __name__ == "__main__":
    main()
