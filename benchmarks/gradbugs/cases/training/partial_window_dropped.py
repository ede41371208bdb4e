"""Gradient accumulation that never applies its last, shorter window."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    return {name: sum(g[name] for g in gradients[:-1]) / total for name in gradients[0]}


CASE = Case(
    source="ml-explore/mlx-lm#1413",
    mistake="The last accumulation window, which is not full, is dropped.",
    kind="samples dropped", precision="float64", wrong=("W1", "W2"), says=r"sample|dropped|last|batch",
    subject=mean_over_tokens(combined), third=2,
)
