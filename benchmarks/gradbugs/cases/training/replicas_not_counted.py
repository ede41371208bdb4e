"""Replicas summed, and divided by the processes."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    return {name: 2 * sum(g[name] for g in gradients) / total for name in gradients[0]}


CASE = Case(
    source="pytorch/pytorch#36516",
    mistake="The sum over all replicas is divided by the number of processes, each of which runs two of them.",
    kind="accumulation factor",
    precision="float64",
    wrong=("W1", "W2"),
    says=r"2(\.0+)? times|factor|times",
    subject=mean_over_tokens(combined),
    third=3,
)
