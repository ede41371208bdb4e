"""A wavelet transform whose backward pass forgets how the forward pass extended the signal."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer

LOW = np.array([-0.1294, 0.2241, 0.8365, 0.4830])
HIGH = np.array([-0.4830, 0.8365, -0.2241, -0.1294])
PLACES = (np.arange(0, 12, 2)[:, None] + np.arange(4) - 1) % 12


def forward(x):
    return np.concatenate([x[PLACES] @ LOW, x[PLACES] @ HIGH])


def right(upstream, x):
    dx = np.zeros_like(x)
    np.add.at(dx, PLACES, upstream[:6, None] * LOW + upstream[6:, None] * HIGH)
    return dx


def wrong(upstream, x):
    padded = np.zeros(len(x) + 4)
    for number in range(6):
        padded[2 * number:2 * number + 4] += upstream[number] * LOW + upstream[6 + number] * HIGH
    return padded[1:13]


CASE = Case(
    source="KeKsBoTer/torch-dwt#2",
    mistake="What flows into the extension at the ends of the signal is cut off instead of led back.",
    kind="edge", precision="float64", wrong=("x",), says=r"edge|ends?\b|first|last|border",
    subject=Layer(forward, right, wrong, lambda: normal((12,), seed=46)),
)
