"""A softmax layer without the sum over the other entries."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal, softmax
from benchmarks.gradbugs.subjects import Layer


def forward(z):
    return softmax(z)


def right(upstream, z):
    p = softmax(z)
    return p * (upstream - (upstream * p).sum(-1, keepdims=True))


def wrong(upstream, z):
    return upstream * softmax(z)


CASE = Case(
    source="HomericIntelligence/Odyssey#2134",
    mistake="The upstream gradient's mean under the probabilities is not subtracted.",
    kind="softmax",
    precision="float64",
    wrong=("z",),
    says=r"softmax|add up to zero|sum",
    third=3,
    subject=Layer(forward, right, wrong, lambda: normal((4, 5), seed=141)),
)
