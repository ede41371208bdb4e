"""Gathering entries, some of them twice: the backward pass keeps the last."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer

INDEX = np.array([0, 3, 0, 1, 3, 3])


def forward(x):
    return x[INDEX]


def right(upstream, x):
    dx = np.zeros_like(x)
    np.add.at(dx, INDEX, upstream)
    return dx


def wrong(upstream, x):
    dx = np.zeros_like(x)
    dx[INDEX] += upstream
    return dx


CASE = Case(
    source="pytorch/pytorch#1631",
    mistake="The gradients of entries that are gathered several times are overwritten instead of added.",
    kind="accumulation", precision="float64", wrong=("x",), says=r"overwritten|instead of added|repeated|not added",
    subject=Layer(forward, right, wrong, lambda: normal((5,), seed=17)),
)
