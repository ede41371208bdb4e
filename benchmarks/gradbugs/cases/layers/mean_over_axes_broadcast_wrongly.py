"""A mean over two axes whose gradient is put back along the wrong ones."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def forward(x):
    return x.mean(axis=(0, 2))


def right(upstream, x):
    return np.ones_like(x) * np.expand_dims(upstream, (0, 2)) / (x.shape[0] * x.shape[2])


def wrong(upstream, x):
    return np.ones_like(x) * upstream / (x.shape[0] * x.shape[2])  # aligned with the last axis


CASE = Case(
    source="harvard-edge/cs249r_book#1867",
    mistake="The reduced axes are not put back where they were, and the gradient is broadcast along others.",
    kind="axis",
    precision="float64",
    wrong=("x",),
    says=r"ax(is|es)|transpos|broadcast",
    third=4,
    subject=Layer(forward, right, wrong, lambda: normal((2, 3, 3), seed=171)),
)
