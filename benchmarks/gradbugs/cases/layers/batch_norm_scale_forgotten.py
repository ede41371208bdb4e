"""Batch normalisation whose input gradient leaves the scale out."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def normalised(x):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)


def forward(x, gamma, beta):
    return gamma * normalised(x) + beta


def backward(upstream, dn, x):
    n, s = normalised(x), np.sqrt(x.var(0) + 1e-5)
    return (dn - dn.mean(0) - n * (dn * n).mean(0)) / s, (upstream * n).sum(0), upstream.sum(0)


def right(upstream, x, gamma, beta):
    return backward(upstream, upstream * gamma, x)


def wrong(upstream, x, gamma, beta):
    return backward(upstream, upstream, x)


CASE = Case(
    source="denizyuret/Knet.jl#288",
    mistake="The upstream gradient is multiplied by the scale into a variable that the input gradient does not read.",
    kind="factor", precision="float64", wrong=("x",), says=r"column|axis|scaled|times.*(by|along)",
    subject=Layer(forward, right, wrong, lambda: normal((8, 5), (5,), (5,))),
)
