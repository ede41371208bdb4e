"""Gradient accumulation that averages the means of unequal batches."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    return {name: sum(g[name] / len(y) for g, (_, y) in zip(gradients, batches, strict=True)) / len(batches)
            for name in gradients[0]}


CASE = Case(
    source="meta-pytorch/torchtune#1875",
    mistake="Each micro-batch's mean is averaged again, although the batches have unequal numbers of tokens.",
    kind="mean of means", precision="float64", wrong=("W1", "W2"), says=r"mean of means|unequal|weight",
    subject=mean_over_tokens(combined),
)
