"""A sliding maximum whose backward pass remembers one window per input."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def forward(x):
    return np.maximum(x[:-1], x[1:])


def right(upstream, x):
    dx = np.zeros_like(x)
    first = x[:-1] >= x[1:]
    dx[:-1] += upstream * first
    dx[1:] += upstream * ~first
    return dx


def wrong(upstream, x):
    winner = np.zeros(len(x), bool)
    for window in range(len(x) - 1):  # the gate of an entry is that of the last window that looked at it
        winner[window] = x[window] >= x[window + 1]
        winner[window + 1] = x[window + 1] > x[window]
    dx = np.zeros_like(x)
    dx[:-1] += upstream * winner[:-1]
    dx[1:] += upstream * winner[1:]
    return dx


CASE = Case(
    source="ahrefs/ocannl#512",
    mistake="One flag an entry says whether it won its window, and the last window that it is in decides for all "
            "of them.",
    kind="pooling",
    precision="float64",
    wrong=("x",),
    says=r"overwritten|mask|zero where|not zero|window",
    subject=Layer(forward, right, wrong, lambda: normal((10,), seed=64)),
    third=2,
)
