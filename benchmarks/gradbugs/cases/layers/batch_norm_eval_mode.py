"""Batch normalisation in evaluation mode whose backward pass is that of training mode."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer

MEAN, VARIANCE = np.array([0.2, -0.4, 0.1, 0.0]), np.array([0.8, 1.4, 1.1, 2.0])


def forward(x, gamma, beta):
    return gamma * (x - MEAN) / np.sqrt(VARIANCE) + beta


def right(upstream, x, gamma, beta):
    n = (x - MEAN) / np.sqrt(VARIANCE)
    return upstream * gamma / np.sqrt(VARIANCE), (upstream * n).sum(0), upstream.sum(0)


def wrong(upstream, x, gamma, beta):
    n, s = (x - x.mean(0)) / np.sqrt(x.var(0)), np.sqrt(x.var(0))
    dn = upstream * gamma
    return (dn - dn.mean(0) - n * (dn * n).mean(0)) / s, (upstream * n).sum(0), upstream.sum(0)


CASE = Case(
    source="torch/nn#768",
    mistake="In evaluation mode the forward pass normalises with running statistics, the backward pass with the "
            "batch's.",
    kind="mode",
    precision="float64",
    wrong=("x", "gamma"),
    says=r"add(s)? up to zero|mean|batch|sum",
    subject=Layer(forward, right, wrong, lambda: normal((8, 4), (4,), (4,), seed=1)),
)
