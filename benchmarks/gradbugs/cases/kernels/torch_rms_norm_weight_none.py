"""RMS normalisation whose backward pass gives no gradient to the weight."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


def forward(x, weight):
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * weight


def right(upstream, x, weight):
    inverse = (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    n, dn = x * inverse, upstream * weight
    return inverse * (dn - n * (dn * n).mean(-1, keepdim=True)), (upstream * n).flatten(0, -2).sum(0)


def wrong(upstream, x, weight):
    return right(upstream, x, weight)[0], None


CASE = Case(
    source="unslothai/unsloth#4533",
    mistake="The backward pass returns None for the weight, which stays where it was all through training.",
    kind="missing gradient", precision="float64", wrong=("input 1",), says=r"None|zero|missing|no gradient",
    subject=TorchFunction(forward, custom(forward, right), custom(forward, wrong),
                          lambda: tensors(*normal((2, 3, 6), (6,), seed=22))),
)
