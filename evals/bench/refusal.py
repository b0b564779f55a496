"""When to refuse: fit the logistic of `rag.answering.rerank.confidence`, and show what it gets wrong.

    python evals/bench/refusal.py

From the dev split (answerable, and unanswerable off-topic ones) and the plain questions below, which
are in no gold set: half of them about anything but this library, half naming a thing it has. The
gate split is not read. Near misses are left out: they are about papers that are here, and no
cosine or shared word tells them from answerable questions (`evals/LOG.md`).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from evals import gold
from rag.answering.opening import open_assistant
from rag.answering.relevance import Sentences
from rag.answering.rerank import covered
from rag.answering.search import CONSIDERED
from rag.settings import load

ELSEWHERE = (
    "What is the capital of Mongolia?", "How do I bake sourdough bread?", "Who won the football world cup in 2014?",
    "What are the side effects of ibuprofen?", "How tall is Mount Everest?", "What is the boiling point of ethanol?",
    "Which treaty ended the Thirty Years War?", "How many bones does an adult human have?",
    "What is the best way to learn the violin?", "When should I prune roses?", "Who painted the Night Watch?",
    "How does a heat pump work?", "What is the average rainfall in Seattle?", "Which vitamins are in carrots?",
    "How do interest rates affect inflation?", "What is the time difference between Tokyo and London?",
    "How many moons does Jupiter have?", "What language do people speak in Brazil?", "Which enzyme unwinds DNA?",
    "How long should I boil an egg?", "Who wrote Pride and Prejudice?", "What is the maximum speed of a cheetah?",
    "How do vaccines train the immune system?", "When did the Berlin wall fall?", "What is the price of gold today?",
    "Which instrument has 88 keys?", "How far is the moon?", "Why is the sky blue?", "What causes tides?",
    "How is cheese made?",
)  # fmt: skip
HERE = (
    "Which layer first solved Path-X?", "Which model was the first to solve Path-X?", "s4 path-x", "FlashAttention",
    "What is MTEB?", "Path-X", "JudgeBench accuracy gpt-4o", "What does Stim do?", "BIG-Bench Extra Hard",
    "CleverHans", "what is D4RL", "CIFAR-10 accuracy S4", "EMMET vs MEMIT",
)  # fmt: skip


def main() -> None:
    """Fit, print the numbers and the questions near the threshold."""
    assistant = open_assistant(load(model="extractive"))

    def features(text: str) -> list[tuple[float, float]]:
        """(mean cosine, squared share of words held) of each paper that could be evidence."""
        search, found = assistant._search, []
        vector = search.vector(text)
        hits, question = search.retrieved(text, vector, None)[:CONSIDERED], search.compared(text, vector)
        sentences = Sentences(assistant.library.sentences([hit.paper.id for hit in hits]), frozenset())
        for hit in hits[: assistant.settings.k]:
            near = sentences.matched(question, hit.paper)
            nearest = max(s.cosine for s in near)
            dense = next((f.score for f in hit.found if f.search == "dense"), nearest)
            found.append(((nearest + dense) / 2, covered(hit.paper, question, near) ** 2))
        return found

    dev = [q for q in gold.load() if q.split == "dev" and not q.history and (q.answerable or "off-topic" in q.tags)]
    asked = [(q.answerable, q.question) for q in dev] + [(False, q) for q in ELSEWHERE] + [(True, q) for q in HERE]
    seen = [features(text) for _, text in asked]
    y = np.array([float(here) for here, _ in asked])
    weight = np.where(y == 1, 1.0, y.sum() / (y == 0).sum())

    def scores(b: np.ndarray) -> np.ndarray:
        return np.array([max(b[0] * cosine + b[1] * words + b[2] for cosine, words in papers) for papers in seen])

    def loss(b: np.ndarray) -> float:
        z = scores(b)
        return float((weight * (np.logaddexp(0, z) - y * z)).sum() + 0.01 * (b[0] ** 2 + b[1] ** 2))

    best = minimize(loss, [15, 4, -6], method="Nelder-Mead", options={"maxiter": 4000}).x
    print(f"COSINE, COVERED, OFFSET = {best[0]:.1f}, {best[1]:.1f}, {best[2]:.1f}   from {len(asked)} questions")
    least = assistant.settings.least_support
    for p, (here, text) in sorted(zip(1 / (1 + np.exp(-scores(best))), asked, strict=True)):
        if (p < least) == here or abs(p - least) < 0.15:
            print(f"{p:.2f} {'here' if here else 'elsewhere':<10} {text[:90]}")


if __name__ == "__main__":
    main()
