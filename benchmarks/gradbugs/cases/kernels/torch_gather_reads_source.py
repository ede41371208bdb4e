"""A gather whose gradient is read by the source's places instead of being added by the index."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

INDEX = torch.tensor([2, 0, 2, 1])


def forward(x):
    return x[INDEX]


def right(upstream, x):
    return torch.zeros_like(x).index_add(0, INDEX, upstream)


def wrong(upstream, x):
    return upstream[INDEX[torch.arange(len(x)) % len(INDEX)]]


CASE = Case(
    source="ooples/AiDotNet.Tensors#894",
    mistake="The backward pass of the opposite operation is used: it gathers where it should add up.",
    kind="wrong adjoint",
    precision="float64",
    wrong=("input 0",),
    says=r"not zero where|repeated|index|overwritten|rearrang",
    third=3,
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((5, 3), seed=134))
    ),
)
