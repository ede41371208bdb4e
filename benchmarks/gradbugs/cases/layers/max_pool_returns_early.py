"""A max pool whose backward pass returns from inside its loop."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def windows(x):
    for i in range(x.shape[0] // 2):
        for j in range(x.shape[1] // 2):
            yield i, j, x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]


def forward(x):
    out = np.zeros((x.shape[0] // 2, x.shape[1] // 2, x.shape[2]))
    for i, j, window in windows(x):
        out[i, j] = window.max(axis=(0, 1))
    return out


def right(upstream, x):
    dx = np.zeros_like(x)
    for i, j, window in windows(x):
        dx[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = upstream[i, j] * (window == window.max(axis=(0, 1)))
    return dx


def wrong(upstream, x):
    dx = np.zeros_like(x)
    for i, j, window in windows(x):
        dx[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = upstream[i, j] * (window == window.max(axis=(0, 1)))
        return dx
    return dx


CASE = Case(
    source="riccardoandreoni0/CNN-from-scratch#1",
    mistake="The return statement stands inside the loop over windows, so that only the first window passes a "
            "gradient.",
    kind="loop",
    precision="float64",
    wrong=("x",),
    says=r"only the first|zero (where|but)|zeros?\b.*not|are zero",
    subject=Layer(forward, right, wrong, lambda: normal((6, 6, 2))),
)
