"""Micro-batches whose gradients are copied into a shard instead of being added to it."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    summed = {name: sum(g[name] for g in gradients) / total for name in gradients[0]}
    return {"W1": gradients[-1]["W1"] / total, "W2": summed["W2"]}  # W2 has a buffer of its own


CASE = Case(
    source="ServiceNow/Fast-LLM#551",
    mistake="With buffers that stages share each flush overwrites the shard, which holds the gradient of "
    "the last micro-batch.",
    kind="samples dropped",
    precision="float64",
    wrong=("W1",),
    says=r"last|overwritten|left out|added up",
    third=4,
    subject=mean_over_tokens(combined),
)
