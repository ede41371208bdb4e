"""Parts of a sequence on several workers, of which each keeps its own gradient."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    return {name: gradients[1][name] / total for name in gradients[0]}


CASE = Case(
    source="ByteDance-Seed/VeOmni#1115",
    mistake="The all-reduce runs over a group of one worker, so that each keeps the gradient of its own part of "
    "the sequence.",
    kind="ranks",
    precision="float64",
    wrong=("W1", "W2"),
    says=r"partial|sample|all.reduce|dropped|rank",
    subject=mean_over_tokens(combined),
    third=3,
)
