"""A loss scaled up by the number of workers."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    return {name: sum(g[name] for g in gradients) * len(batches) / total for name in gradients[0]}


CASE = Case(
    source="neuralmagic/sparseml#135",
    mistake="The loss is multiplied by the number of workers although gradients are averaged over them.",
    kind="ranks", precision="float64", wrong=("W1", "W2"), says=r"3(\.0+)? times|factor|times",
    subject=mean_over_tokens(combined), third=2,
)
