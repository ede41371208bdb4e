"""A worker that keeps its own share of the gradient."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    return {name: gradients[0][name] / total for name in gradients[0]}


CASE = Case(
    source="NVIDIA/Megatron-LM#1685",
    mistake="The gradients are never reduced over the workers: each keeps those of its own samples.",
    kind="ranks", precision="float64", wrong=("W1", "W2"), says=r"partial|sample|all.reduce|dropped|rank",
    subject=mean_over_tokens(combined),
)
