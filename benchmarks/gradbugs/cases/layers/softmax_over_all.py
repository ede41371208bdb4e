"""A softmax over rows, whose gradient treats the matrix as one vector."""

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
    return p * (upstream - (upstream * p).sum())


CASE = Case(
    source="PrincetonUniversity/PsyNeuLink#2539",
    mistake="The Jacobian is made of the flattened matrix instead of row by row.",
    kind="softmax",
    precision="float64",
    wrong=("z",),
    says=r"softmax|add up to zero|row|ax(is|es)",
    third=3,
    subject=Layer(forward, right, wrong, lambda: normal((3, 4), seed=142)),
)
