"""A weight's gradient averaged over the parts of a sequence."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.training import mean_over_tokens


def combined(gradients, batches):
    total = sum(len(y) for _, y in batches)
    mean = sum(g["W1"] for g in gradients) / total / len(gradients)
    return {"W1": mean, "W2": sum(g["W2"] for g in gradients) / total}


CASE = Case(
    source="EleutherAI/gpt-neox#1259",
    mistake="The gradients of a replicated weight are averaged over the parts of the sequence instead of summed.",
    kind="accumulation factor", precision="float64", wrong=("W1",), says=r"0\.333|divided|factor|times",
    subject=mean_over_tokens(combined), third=2,
)
