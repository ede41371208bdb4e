"""Gradient accumulation that clips what has been accumulated so far."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    kept = {name: np.zeros_like(g) for name, g in gradients[0].items()}
    for g in gradients:
        kept = {name: kept[name] + g[name] / total for name in kept}
        norm = np.sqrt(sum(float(np.sum(part**2)) for part in kept.values()))
        kept = {name: part * min(1.0, 0.3 / norm) for name, part in kept.items()}
    return kept


CASE = Case(
    source="huggingface/transformers#1563",
    mistake="Gradients are clipped after each micro-batch instead of once before the step.",
    kind="clipping", precision="float64", wrong=("W1", "W2"), says=r"clip",
    subject=mean_over_tokens(combined),
)
