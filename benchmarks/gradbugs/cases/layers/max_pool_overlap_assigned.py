"""A max pool with overlapping windows whose backward pass assigns instead of adding."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer

WIDTH, STRIDE = 4, 2


def forward(x):
    return np.stack([x[..., i : i + WIDTH].max(-1) for i in range(0, x.shape[-1] - WIDTH + 1, STRIDE)], -1)


def places(x):
    for number, start in enumerate(range(0, x.shape[-1] - WIDTH + 1, STRIDE)):
        yield number, start + x[..., start : start + WIDTH].argmax(-1)


def right(upstream, x):
    dx = np.zeros_like(x)
    for number, place in places(x):
        dx[np.arange(len(x)), place] += upstream[:, number]
    return dx


def wrong(upstream, x):
    dx = np.zeros_like(x)
    for number, place in places(x):
        dx[np.arange(len(x)), place] = upstream[:, number]
    return dx


CASE = Case(
    source="jmschrei/tangermeme#95",
    mistake="Where one input is the largest of several overlapping windows, the last window's gradient replaces "
            "the others'.",
    kind="accumulation",
    precision="float64",
    wrong=("x",),
    says=r"overwritten|instead of added|not added|replaced",
    subject=Layer(forward, right, wrong, lambda: normal((3, 14))),
)
