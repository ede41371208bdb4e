"""Batch normalisation with a term too many in the gradient of the mean."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer

EPSILON = 1e-3


def forward(x):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + EPSILON)


def backward(upstream, x, extra):
    m = len(x)
    centred, inverse = x - x.mean(0), 1 / np.sqrt(x.var(0) + EPSILON)
    dvariance = -0.5 * (upstream * centred).sum(0) * inverse**3
    dmean = -(upstream * inverse).sum(0) + extra * dvariance * -2 * x.sum(0) / m
    return upstream * inverse + dvariance * 2 * centred / m + dmean / m


CASE = Case(
    source="apache/mxnet#1053",
    mistake="The gradient of the mean keeps a second term, of the variance by the mean, that vanishes; it is computed "
            "from x instead of from x minus its mean.",
    kind="term too many", precision="float64", wrong=("x",), says=r"constant|same .*(column|axis)|shift|column",
    subject=Layer(forward, lambda d, x: backward(d, x, 0.0), lambda d, x: backward(d, x, 1.0), lambda: normal((6, 4))),
)
