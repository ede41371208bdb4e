"""A masked mean in each micro-batch, averaged over micro-batches."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    each = [{name: part / len(y) for name, part in g.items()} for g, (_, y) in zip(gradients, batches, strict=True)]
    return {name: sum(g[name] for g in each) / len(each) for name in each[0]}


CASE = Case(
    source="allenai/open-instruct#1161",
    mistake="The loss is divided by the valid tokens of its own micro-batch, and the micro-batches are averaged.",
    kind="mean of means",
    precision="float64",
    wrong=("W1", "W2"),
    says=r"mean of means|unequal|weight",
    subject=mean_over_tokens(combined),
    third=3,
)
