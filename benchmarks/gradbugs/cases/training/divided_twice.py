"""Data parallel gradients that are normalised by the workers a second time."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    return {name: sum(g[name] for g in gradients) / total / len(batches) for name in gradients[0]}


CASE = Case(
    source="meta-pytorch/torchtune#2172",
    mistake="The sum over all tokens is divided by their number, and again by the workers that the all-reduce "
            "averages over.",
    kind="ranks",
    precision="float64",
    wrong=("W1", "W2"),
    says=r"0\.333|divided|factor|times",
    subject=mean_over_tokens(combined),
)
