"""Layer normalisation whose weight gradient is added up by bfloat16 atomics."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, module_of, weighted_sum
from benchmarks.gradbugs.subjects import TorchModule


def forward(x, weight, bias):
    return torch.nn.functional.layer_norm(x, weight.shape, weight, bias)


def backward(upstream, x, weight, bias, low):
    wide, g = x.double(), upstream.double() * weight.double()
    s = (wide.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    n = (wide - wide.mean(-1, keepdim=True)) / s
    dx = (g - g.mean(-1, keepdim=True) - n * (g * n).mean(-1, keepdim=True)) / s
    terms, ones = upstream.double() * n, upstream.double()
    if low and x.dtype != torch.float64:
        sums = []
        for rows in (terms.to(x.dtype), ones.to(x.dtype)):
            total = torch.zeros_like(weight)
            for row in rows:
                total = total + row
            sums.append(total)
    else:
        sums = [terms.sum(0).to(x.dtype), ones.sum(0).to(x.dtype)]
    return dx.to(x.dtype), *sums


right = custom(forward, lambda d, *a: backward(d, *a, low=False))
wrong = custom(forward, lambda d, *a: backward(d, *a, low=True))


def data():
    generator = torch.Generator().manual_seed(102)
    return torch.randn(2048, 8, generator=generator).to(torch.bfloat16), torch.zeros(2048, 8).to(torch.bfloat16)


CASE = Case(
    source="karpathy/llm.c#476",
    mistake="The rows' contributions are added atomically in bfloat16, and small ones are lost beside the sum.",
    kind="low accumulation",
    precision="bfloat16",
    wrong=("weight", "bias"),
    says=r"truth|rounding|norm",
    third=3,
    later="The inputs: 600 rows became 2,048, those of two sequences.",
    subject=TorchModule(
        lambda version: module_of(
            {"right": right, "wrong": wrong}[version], {"weight": (8,), "bias": (8,)}, "bfloat16", seed=102
        ),
        weighted_sum,
        data,
    ),
)
