"""Group normalisation in float16 whose sums go through bfloat16."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, module_of, weighted_sum
from benchmarks.gradbugs.subjects import TorchModule


def forward(x, weight):
    n = x.double()
    n = (n - n.mean(-1, keepdim=True)) / (n.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    return n.to(x.dtype) * weight


def backward(upstream, x, weight, low):
    wide, g = x.double(), upstream.double() * weight.double()
    s = (wide.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    n = (wide - wide.mean(-1, keepdim=True)) / s
    dx = (g - g.mean(-1, keepdim=True) - n * (g * n).mean(-1, keepdim=True)) / s
    total = (upstream.double() * n).sum(0)
    return dx.to(x.dtype), (total.bfloat16() if low and x.dtype != torch.float64 else total).to(x.dtype)


right = custom(forward, lambda d, x, w: backward(d, x, w, False))
wrong = custom(forward, lambda d, x, w: backward(d, x, w, True))


def data():
    generator = torch.Generator().manual_seed(107)
    return torch.randn(64, 16, generator=generator).to(torch.float16), torch.zeros(64, 16).to(torch.float16)


CASE = Case(
    source="linkedin/Liger-Kernel#1253",
    mistake="The accumulated weight gradient of a float16 model is cast to bfloat16 on its way.",
    kind="wrong dtype",
    precision="float16",
    wrong=("weight",),
    says=r"truth|rounding|norm|entr",
    third=3,
    hidden=True,
    subject=TorchModule(
        lambda version: module_of({"right": right, "wrong": wrong}[version], {"weight": (16,)}, "float16", seed=107),
        weighted_sum,
        data,
    ),
)
