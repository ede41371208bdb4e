"""Scatter, whose overwritten entries still hand a gradient to what stood there before."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

INDEX = torch.tensor([4, 1])


def forward(x, updates):
    return x.index_copy(0, INDEX, updates)


def right(upstream, x, updates):
    return upstream.index_fill(0, INDEX, 0.0), upstream[INDEX]


def wrong(upstream, x, updates):
    return upstream.clone(), upstream[INDEX]


CASE = Case(
    source="PaddlePaddle/Paddle#30604",
    mistake="The rows that the updates replace are not set to zero in the gradient of the original.",
    kind="mask",
    precision="float64",
    wrong=("input 0",),
    says=r"not zero where|mask|should be zero|expected to be zero|zero",
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((6, 3), (2, 3), seed=27))
    ),
)
