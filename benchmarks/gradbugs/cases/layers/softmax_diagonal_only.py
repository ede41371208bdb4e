"""A softmax layer that multiplies by p (1 - p) entry by entry."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal, softmax
from benchmarks.gradbugs.subjects import Layer


def forward(z):
    return softmax(z)


def right(upstream, z):
    p = softmax(z)
    return p * (upstream - (upstream * p).sum(-1, keepdims=True))


def wrong(upstream, z):
    p = softmax(z)
    return upstream * p * (1 - p)


CASE = Case(
    source="eriklindernoren/ML-From-Scratch#125",
    mistake="The derivative of softmax is taken entry by entry, as if it were a sigmoid: only the diagonal "
    "of its Jacobian.",
    kind="softmax",
    precision="float64",
    wrong=("z",),
    says=r"diagonal|softmax|add up to zero",
    third=3,
    subject=Layer(forward, right, wrong, lambda: normal((5, 4), seed=140)),
)
