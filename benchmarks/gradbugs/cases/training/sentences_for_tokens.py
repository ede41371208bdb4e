"""Gradients normalised by sentences instead of tokens."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    return {name: sum(g[name] for g in gradients) / len(batches) for name in gradients[0]}


CASE = Case(
    source="OpenNMT/OpenNMT-py#526",
    mistake="The loss is normalised by the number of sentences although tokens were asked for.",
    kind="batch factor", precision="float64", wrong=("W1", "W2"), says=r"times|factor|batch",
    subject=mean_over_tokens(combined),
)
