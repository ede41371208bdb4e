"""Max pooling by twos with a stride of one, backwards as if the windows did not overlap."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def windows(x):
    return np.lib.stride_tricks.sliding_window_view(x, (2, 2))


def forward(x):
    return windows(x).max((-2, -1))


def backward(upstream, x, add):
    dx = np.zeros_like(x)
    for i in range(x.shape[0] - 1):
        for j in range(x.shape[1] - 1):
            place = np.unravel_index(x[i:i + 2, j:j + 2].argmax(), (2, 2))
            dx[i + place[0], j + place[1]] = upstream[i, j] + (dx[i + place[0], j + place[1]] if add else 0.0)
    return dx


CASE = Case(
    source="devitocodes/joey#5",
    mistake="With a stride smaller than the window the gradients of overlapping windows replace one another.",
    kind="accumulation", precision="float64", wrong=("x",), says=r"overwritten|instead of added|not added|replaced",
    subject=Layer(forward, lambda d, x: backward(d, x, True), lambda d, x: backward(d, x, False),
                  lambda: normal((5, 6), seed=65)), third=2,
)
