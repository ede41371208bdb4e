"""A mean over the last axis that views the upstream gradient through its memory."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


def forward(x):
    return x.mean(-1)


def right(upstream, x):
    return (upstream / x.shape[-1])[..., None].expand(x.shape)


def wrong(upstream, x):
    memory = torch.as_strided(upstream, (min(upstream.numel(), upstream.untyped_storage().nbytes() // 8),), (1,))
    flat = memory.repeat(upstream.numel() // memory.numel() + 1)[: upstream.numel()]
    return (flat.reshape(upstream.shape) / x.shape[-1])[..., None].expand(x.shape)


CASE = Case(
    source="torch/nn#345",
    mistake="The backward pass assumes a contiguous upstream gradient, which two means in a row do not give.",
    kind="strides",
    precision="float64",
    wrong=("input 0",),
    says=r"contiguous|stride",
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((3, 4, 5), seed=25))
    ),
)
