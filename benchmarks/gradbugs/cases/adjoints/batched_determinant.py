"""Determinants of a batch of matrices, whose gradient takes the batch for one matrix."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def forward(a):
    return np.linalg.slogdet(a)[1]


def right(upstream, a):
    return upstream[:, None, None] * np.linalg.inv(a).transpose(0, 2, 1)


def wrong(upstream, a):
    return upstream[:, None, None] * np.linalg.inv(a).transpose(2, 1, 0)


CASE = Case(
    source="elixir-nx/nx#1748",
    mistake="The formula was written for one matrix and transposes the batch axis as well.",
    kind="axis", precision="float64", wrong=("a",), says=r"transpos|ax(is|es)|permut",
    subject=Layer(forward, right, wrong, lambda: normal((3, 3, 3), seed=72)), third=2,
)
