"""Accumulated gradients that are clipped each time, one micro-batch by itself."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    kept = {name: np.zeros_like(g) for name, g in gradients[0].items()}
    for g in gradients:
        norm = np.sqrt(sum(float(np.sum((part / total) ** 2)) for part in g.values()))
        kept = {name: kept[name] + g[name] / total * min(1.0, 0.08 / norm) for name in kept}
    return kept


CASE = Case(
    source="tenstorrent/tt-metal#17568",
    mistake="Gradients are clipped after each backward pass although the step comes after several.",
    kind="clipping",
    precision="float64",
    wrong=("W1", "W2"),
    says=r"clip",
    subject=mean_over_tokens(combined),
    third=3,
)
