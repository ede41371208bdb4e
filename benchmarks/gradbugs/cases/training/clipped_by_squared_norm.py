"""Gradients clipped by the square of their norm."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    mean = {name: sum(g[name] for g in gradients) / total for name in gradients[0]}
    squared = sum(float(np.sum(g**2)) for g in mean.values())
    return {name: g * min(1.0, 0.01 / squared) for name, g in mean.items()}


CASE = Case(
    source="paiml/entrenar#311",
    mistake="The norm in the clipping factor is squared once too often.",
    kind="clipping", precision="float64", wrong=("W1", "W2"), says=r"times|factor|clip",
    subject=mean_over_tokens(combined),
)
