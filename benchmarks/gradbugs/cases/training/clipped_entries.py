"""Gradients clipped entry by entry instead of by their norm."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    return {name: np.clip(sum(g[name] for g in gradients) / total, -0.05, 0.05) for name in gradients[0]}


CASE = Case(
    source="NVIDIA/caffe#462",
    mistake="Clipping by the norm sees one entry at a time, and so clips every entry by itself.",
    kind="clipping", precision="float64", wrong=("W1", "W2"), says=r"clip|\+-|±",
    subject=mean_over_tokens(combined),
)
