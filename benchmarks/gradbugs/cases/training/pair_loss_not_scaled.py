"""A loss over gathered samples whose gradient lacks the number of workers."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    return {name: sum(g[name] for g in gradients) / total / len(gradients) for name in gradients[0]}


CASE = Case(
    source="JohnGiorgi/DeCLUTR#212",
    mistake="Each worker passes gradients to its own samples only and the sum is averaged over the workers, which "
            "leaves a share of one worker.",
    kind="ranks",
    precision="float64",
    wrong=("W1", "W2"),
    says=r"0\.333|divided|factor|times",
    subject=mean_over_tokens(combined),
    third=2,
)
