"""A mean along an axis whose gradient is divided by the size of its result."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def forward(x):
    return np.tanh(x).mean(1)


def backward(upstream, x, count):
    return np.repeat(upstream[:, None], x.shape[1], 1) * (1 - np.tanh(x) ** 2) / count


CASE = Case(
    source="pocketpy/cTensor#24",
    mistake="The gradient of a mean is divided by the number of results instead of the number of entries averaged.",
    kind="factor",
    precision="float64",
    wrong=("x",),
    says=r"times|factor|mean",
    third=4,
    subject=Layer(
        forward, lambda d, x: backward(d, x, x.shape[1]), lambda d, x: backward(d, x, x.shape[0]),
        lambda: normal((3, 7), seed=172),
    ),
)
