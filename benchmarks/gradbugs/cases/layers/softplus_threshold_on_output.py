"""Softplus with beta and threshold, whose backward pass holds the threshold against the output."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal, sigmoid
from benchmarks.gradbugs.subjects import Layer

BETA, THRESHOLD = 3.0, 1.0


def forward(x):
    return np.where(BETA * x > THRESHOLD, x, np.log1p(np.exp(np.minimum(BETA * x, THRESHOLD))) / BETA)


def right(upstream, x):
    return upstream * np.where(BETA * x > THRESHOLD, 1.0, sigmoid(BETA * x))


def wrong(upstream, x):
    return upstream * np.where(BETA * forward(x) > THRESHOLD, 1.0, sigmoid(BETA * x))


CASE = Case(
    source="pytorch/pytorch#61568",
    mistake="The backward pass compares beta times the output with the threshold, the forward pass beta times the "
            "input.",
    kind="activation",
    precision="float64",
    wrong=("x",),
    says=r"branch|threshold|derivative|\b1\b|constant",
    subject=Layer(forward, right, wrong, lambda: (normal((4, 6), seed=63)[0] * 0.25,)),
    third=2,
)
