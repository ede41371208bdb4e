"""Zoneout in a recurrent network: the backward pass takes the first step's mask for all steps."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer

KEPT = np.random.default_rng(13).random((6, 4)) < 0.6


def run(x, W):
    h, steps = np.zeros(len(W)), []
    for t, now in enumerate(x):
        new = np.tanh(now + h @ W)
        steps.append((h, new))
        h = np.where(KEPT[t], new, h)
    return steps, h


def forward(x, W):
    return run(x, W)[1]


def backward(upstream, x, W, mask):
    dx, dW, dh = np.zeros_like(x), np.zeros_like(W), upstream.copy()
    for t, (before, new) in reversed(list(enumerate(run(x, W)[0]))):
        kept = mask(t)
        dz = np.where(kept, dh, 0.0) * (1 - new**2)
        dx[t] = dz
        dW += np.outer(before, dz)
        dh = np.where(kept, 0.0, dh) + W @ dz
    return dx, dW


CASE = Case(
    source="lmnt-com/haste#43",
    mistake="The gradients of every step use the zoneout mask of the first step.",
    kind="mask", precision="float64", wrong=("x", "W"), says=r"mask|zero where|not zero|step",
    subject=Layer(forward, lambda d, x, W: backward(d, x, W, lambda t: KEPT[t]),
                  lambda d, x, W: backward(d, x, W, lambda t: KEPT[0]), lambda: normal((6, 4), (4, 4), seed=14)),
)
