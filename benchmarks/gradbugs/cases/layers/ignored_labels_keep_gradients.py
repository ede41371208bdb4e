"""A cross-entropy that ignores some samples, whose gradient does not."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal, softmax
from benchmarks.gradbugs.subjects import Layer

LABELS = np.array([2, 1, 0, 3, 1, 2])
IGNORED = 1
COUNTED = LABELS != IGNORED


def forward(logits):
    losses = -np.log(softmax(logits)[np.arange(6), LABELS])
    return (losses * COUNTED).sum() / COUNTED.sum()


def right(upstream, logits):
    return upstream * (softmax(logits) - np.eye(4)[LABELS]) * COUNTED[:, None] / COUNTED.sum()


def wrong(upstream, logits):
    return upstream * (softmax(logits) - np.eye(4)[LABELS]) / COUNTED.sum()


CASE = Case(
    source="PaddlePaddle/Paddle#28622",
    mistake="Samples whose label is to be ignored add nothing to the loss but get a gradient.",
    kind="mask", precision="float64", wrong=("logits",), says=r"mask|not zero where|zero where",
    subject=Layer(forward, right, wrong, lambda: normal((6, 4), seed=16)),
)
