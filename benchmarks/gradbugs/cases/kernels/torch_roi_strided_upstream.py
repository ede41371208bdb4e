"""Crops from a feature map, whose backward pass reads the gradient's memory in order."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

BOXES = ((0, 2, 1, 3), (1, 4, 0, 3))


def forward(x):
    return torch.stack([x[:, top:bottom, left:right].mean((1, 2)) for top, bottom, left, right in BOXES])


def right(upstream, x):
    dx = torch.zeros_like(x)
    for row, (top, bottom, left, end) in zip(upstream, BOXES, strict=True):
        dx[:, top:bottom, left:end] += row[:, None, None] / ((bottom - top) * (end - left))
    return dx


def wrong(upstream, x):
    size = min(upstream.numel(), upstream.untyped_storage().nbytes() // upstream.element_size())
    memory = torch.as_strided(upstream, (size,), (1,), 0)
    return right(memory.repeat(upstream.numel())[: upstream.numel()].reshape(upstream.shape), x)


CASE = Case(
    source="open-mmlab/mmcv#737",
    mistake="The gradient of the output is not made contiguous before the kernel reads it.",
    kind="strides",
    precision="float64",
    wrong=("input 0",),
    says=r"contiguous|stride",
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((3, 4, 4), seed=83))
    ),
    third=2,
)
