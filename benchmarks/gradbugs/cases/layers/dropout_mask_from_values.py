"""Dropout that finds its mask again by dividing outputs by inputs, some of which are zero."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer

MASK = (np.random.default_rng(61).random((6, 5)) < 0.5) * 2.0


def forward(x):
    return x * MASK


def right(upstream, x):
    return upstream * MASK


def wrong(upstream, x):
    return np.where(x == 0, 1.0, forward(x) / np.where(x == 0, 1.0, x)) * upstream


def inputs():
    return (np.maximum(normal((6, 5), seed=62)[0], 0.0),)


CASE = Case(
    source="kaldi-asr/kaldi#3890",
    mistake="The mask is found by dividing the output by the input; where the input is zero a gradient of one is "
            "taken.",
    kind="mask",
    precision="float64",
    wrong=("x",),
    says=r"mask|not zero where|zero where",
    subject=Layer(forward, right, wrong, inputs),
    third=2,
)
