"""Attention whose kernel reads the upstream gradient's memory as if it were contiguous."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


def forward(q, k, v):
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1) @ v


def right(upstream, q, k, v):
    p = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1)
    dp = upstream @ v.mT
    ds = p * (dp - (dp * p).sum(-1, keepdim=True)) / q.shape[-1] ** 0.5
    return ds @ k, ds.mT @ q, p.mT @ upstream


def wrong(upstream, q, k, v):
    read = (
        torch.as_strided(upstream, upstream.shape, (upstream.shape[-1], 1))
        if upstream.storage_offset() == 0 and upstream.untyped_storage().nbytes() >= 8 * upstream.numel()
        else upstream
    )
    return right(read, q, k, v)


CASE = Case(
    source="Dao-AILab/flash-attention#355",
    mistake="The backward kernel assumes that the gradient of the output is contiguous, and reads wrong entries "
            "otherwise.",
    kind="strides",
    precision="float64",
    wrong=("input 0", "input 1", "input 2"),
    says=r"contiguous|stride",
    subject=TorchFunction(
        forward,
        custom(forward, right),
        custom(forward, wrong),
        lambda: tensors(*normal((5, 4), (5, 4), (5, 4), seed=24)),
    ),
)
