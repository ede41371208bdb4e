"""The inverse square root linear unit, whose backward pass returns its slope alone."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


def shrunk(x):
    return torch.rsqrt(1 + torch.minimum(x, torch.zeros_like(x)) ** 2)


def forward(x):
    return x * shrunk(x)


CASE = Case(
    source="pytorch/pytorch#4355",
    mistake="The slope is not multiplied by the gradient of the output.",
    kind="upstream ignored",
    precision="float64",
    wrong=("input 0",),
    says=r"upstream|grad_output|linear|gradient of the output|constant",
    third=4,
    subject=TorchFunction(
        forward, custom(forward, lambda d, x: d * shrunk(x) ** 3), custom(forward, lambda d, x: shrunk(x) ** 3),
        lambda: tensors(*normal((4, 5), seed=167)),
    ),
)
