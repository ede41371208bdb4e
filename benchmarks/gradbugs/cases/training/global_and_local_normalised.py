"""Micro-batches' means divided by the tokens of all."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    return {
        name: sum(g[name] / len(y) for g, (_, y) in zip(gradients, batches, strict=True)) / total
        for name in gradients[0]
    }


CASE = Case(
    source="OpenNMT/OpenNMT-py#2209",
    mistake="Each micro-batch's loss is divided by the tokens of the whole accumulated batch although it is a "
            "mean already.",
    kind="accumulation factor",
    precision="float64",
    wrong=("W1", "W2"),
    says=r"mean|factor|times|weight",
    subject=mean_over_tokens(combined),
    third=2,
)
