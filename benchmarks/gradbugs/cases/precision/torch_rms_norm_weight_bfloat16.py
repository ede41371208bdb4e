"""RMS normalisation whose weight gradient is reduced in bfloat16."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, module_of, weighted_sum
from benchmarks.gradbugs.subjects import TorchModule


def forward(x, weight):
    wide = x.float()
    return (wide * (wide.square().mean(-1, keepdim=True) + 1e-6).rsqrt()).to(x.dtype) * weight


def backward(upstream, x, weight, low):
    wide, g = x.float(), upstream.float() * weight.float()
    inverse = (wide.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    n = wide * inverse
    dx = inverse * (g - n * (g * n).mean(-1, keepdim=True))
    terms = upstream * n.to(x.dtype)
    if not low or x.dtype == torch.float64:
        return dx.to(x.dtype), terms.float().sum(0).to(x.dtype)
    total = torch.zeros_like(weight)
    for row in terms:
        total = total + row
    return dx.to(x.dtype), total


right = custom(forward, lambda d, x, w: backward(d, x, w, False))
wrong = custom(forward, lambda d, x, w: backward(d, x, w, True))


def data():
    generator = torch.Generator().manual_seed(101)
    return torch.randn(512, 8, generator=generator).to(torch.bfloat16), torch.zeros(512, 8).to(torch.bfloat16)


CASE = Case(
    source="linkedin/Liger-Kernel#950",
    mistake="The weight gradient is summed over the rows in bfloat16, before it is added to a float32 buffer.",
    kind="low accumulation",
    precision="bfloat16",
    wrong=("weight",),
    says=r"truth|rounding|norm",
    third=3,
    hidden=True,
    subject=TorchModule(
        lambda version: module_of({"right": right, "wrong": wrong}[version], {"weight": (8,)}, "bfloat16", seed=101),
        weighted_sum,
        data,
    ),
)
