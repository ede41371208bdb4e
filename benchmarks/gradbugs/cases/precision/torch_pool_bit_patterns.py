"""Overlapping max pooling in bfloat16 that adds bit patterns."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, module_of, weighted_sum
from benchmarks.gradbugs.subjects import TorchModule


def forward(x, scale):
    return torch.maximum(x[:, :-1], x[:, 1:]) * scale


def backward(upstream, x, scale, patterns):
    first = x[:, :-1] >= x[:, 1:]
    pooled, d = torch.maximum(x[:, :-1], x[:, 1:]), upstream * scale
    left, right_ = d * first, d * ~first
    dx = torch.zeros_like(x)
    dx[:, :-1] += left
    dscale = (upstream.double() * pooled.double()).sum(0).to(x.dtype)
    if patterns and x.dtype == torch.bfloat16:
        both = dx[:, 1:].contiguous().view(torch.int16) + right_.contiguous().view(torch.int16)
        dx[:, 1:] = torch.nan_to_num(both.view(torch.bfloat16), 0.0, 1.0, -1.0)
    else:
        dx[:, 1:] += right_
    return dx, dscale


right = custom(lambda x, w, s: forward(x @ w, s), lambda d, x, w, s: chained(d, x, w, s, False))
wrong = custom(lambda x, w, s: forward(x @ w, s), lambda d, x, w, s: chained(d, x, w, s, True))


def chained(upstream, x, w, s, patterns):
    dz, ds = backward(upstream, x @ w, s, patterns)
    return dz @ w.mT, (x.double().mT @ dz.double()).to(w.dtype), ds


def data():
    generator = torch.Generator().manual_seed(108)
    return torch.randn(40, 6, generator=generator).to(torch.bfloat16), torch.zeros(40, 7).to(torch.bfloat16)


CASE = Case(
    source="ROCm/rocm-libraries#4455",
    mistake="The bfloat16 gradients of overlapping windows are added as the integers that store them.",
    kind="bit patterns",
    precision="bfloat16",
    wrong=("weight",),
    says=r"truth|rounding|norm|times",
    third=3,
    subject=TorchModule(
        lambda version: module_of(
            {"right": right, "wrong": wrong}[version], {"weight": (6, 8), "scale": (7,)}, "bfloat16", seed=108
        ),
        weighted_sum,
        data,
    ),
)
