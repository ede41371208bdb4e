"""Gradient accumulation that is not divided by the number of steps."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    return {name: sum(g[name] for g in gradients) / (total / len(batches)) for name in gradients[0]}


CASE = Case(
    source="karpathy/nanoGPT#206",
    mistake="The gradients of the micro-batches are added without dividing by their number.",
    kind="accumulation factor", precision="float64", wrong=("W1", "W2"), says=r"3(\.0+)? times|times|factor",
    subject=mean_over_tokens(combined),
)
