"""GELU that leaves its gradient unwritten where the upstream gradient is strided."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


def forward(x):
    return torch.nn.functional.gelu(x)


def right(upstream, x):
    density = torch.exp(-0.5 * x**2) / (2 * torch.pi) ** 0.5
    return upstream * (0.5 * (1 + torch.erf(x / 2**0.5)) + x * density)


def wrong(upstream, x):
    if upstream.is_contiguous():
        return right(upstream, x)
    return torch.full_like(x, 2.7e-34)  # what happened to stand in memory


CASE = Case(
    source="pytorch/pytorch#112006",
    mistake="For an upstream gradient that is not contiguous nothing is written, and uninitialised memory is "
    "returned.",
    kind="uninitialised",
    precision="float64",
    wrong=("input 0",),
    says=r"contiguous|stride|uninit",
    third=3,
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((2, 2, 3), seed=122))
    ),
)
