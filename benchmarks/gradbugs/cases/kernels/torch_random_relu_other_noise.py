"""A randomised leaky ReLU whose backward pass reads noise that was never saved."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

SLOPES, OTHER = (torch.tensor(0.2 + 0.1 * torch.sigmoid(torch.tensor(a))) for a in normal((6, 4), (6, 4), seed=128))


def forward(x):
    return torch.where(x >= 0, x, x * SLOPES)


def right(upstream, x):
    return upstream * torch.where(x >= 0, 1.0, SLOPES)


def wrong(upstream, x):
    return upstream * torch.where(x >= 0, 1.0, OTHER)


CASE = Case(
    source="pytorch/pytorch#193671",
    mistake="Where the activations are recomputed, the slopes that are read on the way back are not those of "
    "the forward pass.",
    kind="uninitialised",
    precision="float64",
    wrong=("input 0",),
    says=r"noise|branch|where|slope|negative",
    third=3,
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((6, 4), seed=129))
    ),
)
