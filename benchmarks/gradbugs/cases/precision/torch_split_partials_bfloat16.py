"""A weight gradient in many parts, each rounded to bfloat16 before the parts are added."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, module_of, weighted_sum
from benchmarks.gradbugs.subjects import TorchModule

PARTS = 64


def forward(x, weight):
    return x @ weight.mT


def backward(upstream, x, weight, low):
    dx = upstream @ weight
    if not low or x.dtype == torch.float64:
        return dx, (upstream.double().mT @ x.double()).to(x.dtype)
    total = torch.zeros_like(weight)
    for d, part in zip(upstream.chunk(PARTS), x.chunk(PARTS), strict=True):
        total = total + (d.float().mT @ part.float()).to(x.dtype)
    return dx, total


right = custom(forward, lambda d, x, w: backward(d, x, w, False))
wrong = custom(forward, lambda d, x, w: backward(d, x, w, True))


def data():
    generator = torch.Generator().manual_seed(106)
    return torch.randn(512, 8, generator=generator).to(torch.bfloat16), torch.zeros(512, 6).to(torch.bfloat16)


CASE = Case(
    source="ROCm/rocm-libraries#8029",
    mistake="Each of 64 parts of the sum is rounded to bfloat16 and added in bfloat16.",
    kind="rounded partials",
    precision="bfloat16",
    wrong=("weight",),
    says=r"truth|rounding|norm",
    third=3,
    hidden=True,
    subject=TorchModule(
        lambda version: module_of(
            {"right": right, "wrong": wrong}[version], {"weight": (6, 8)}, "bfloat16", seed=106
        ),
        weighted_sum,
        data,
    ),
)
