"""A convolution whose weight gradient is started anew for each sample."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def columns(image):
    return np.lib.stride_tricks.sliding_window_view(image, (2, 2)).reshape(-1, 4)


def forward(x, w):
    return np.stack([columns(image) @ w for image in x])


def backward(upstream, x, w, keep):
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for number, image in enumerate(x):
        dw = keep * dw + columns(image).T @ upstream[number]
        dcolumns = (upstream[number] @ w.T).reshape(3, 3, 2, 2)
        for i in range(3):
            for j in range(3):
                dx[number, i : i + 2, j : j + 2] += dcolumns[i, j]
    return dx, dw


CASE = Case(
    source="LBANN/lbann#1022",
    mistake="The buffer of the weight gradient is scaled anew for each sample instead of once for the "
    "batch, so that only the last sample is left in it.",
    kind="samples dropped",
    precision="float64",
    wrong=("w",),
    says=r"sample|batch|last",
    subject=Layer(
        forward,
        lambda d, x, w: backward(d, x, w, 1),
        lambda d, x, w: backward(d, x, w, 0),
        lambda: normal((3, 4, 4), (4, 2), seed=60),
    ),
    third=2,
)
