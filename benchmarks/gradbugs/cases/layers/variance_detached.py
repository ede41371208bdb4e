"""A normalisation whose backward pass holds the variance still."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def forward(x):
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-6)


def right(upstream, x):
    n, s = forward(x), np.sqrt(x.var(0) + 1e-6)
    return (upstream - upstream.mean(0) - n * (upstream * n).mean(0)) / s


def wrong(upstream, x):
    return (upstream - upstream.mean(0)) / np.sqrt(x.var(0) + 1e-6)


CASE = Case(
    source="abhiskk/ladder#2",
    mistake="The variance is taken from values that are detached, so that no gradient flows through it.",
    kind="detached", precision="float64", wrong=("x",), says=r"term|detach|another function|held still|variance",
    subject=Layer(forward, right, wrong, lambda: normal((7, 5), seed=2)),
)
