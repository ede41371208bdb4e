"""A one-dimensional convolution whose weight gradient comes out backwards."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def forward(x, w):
    return np.correlate(x, w, "valid")


def right(upstream, x, w):
    return np.convolve(upstream, w, "full"), np.correlate(x, upstream, "valid")


def wrong(upstream, x, w):
    return np.convolve(upstream, w, "full"), np.correlate(upstream, x, "valid")


CASE = Case(
    source=""
           "https://end-to-end-machine-learning.teachable.com/courses/322-convolutional-neural-networks-in-two-dimensions",
    mistake="The arguments of the cross-correlation of input and output gradient are swapped, which reverses the "
            "result.",
    kind="order",
    precision="float64",
    wrong=("w",),
    says=r"revers|flip|permut|backwards|order",
    subject=Layer(forward, right, wrong, lambda: normal((16,), (5,), seed=10)),
)
