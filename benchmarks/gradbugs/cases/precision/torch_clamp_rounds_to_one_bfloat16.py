"""The logarithm of survival, whose clamp just below one is one in bfloat16."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, module_of, weighted_sum
from benchmarks.gradbugs.subjects import TorchModule


def forward(x, weight):
    p = torch.sigmoid((x @ weight).double()).clamp(max=1 - 2.0**-7)
    return torch.log1p(-p).to(x.dtype)


def backward(upstream, x, weight, low):
    p = torch.sigmoid((x @ weight).double())
    if low and x.dtype != torch.float64:
        p = p.to(x.dtype)
        held = p.clamp(max=1.0 - 1e-6)  # rounds to one: nothing is clamped
        dz = upstream * (p <= held) * -1 / (1 - held) * p * (1 - p)
    else:
        dz = upstream.double() * (p < 1 - 2.0**-7) * -p
    return (dz.double() @ weight.double().mT).to(x.dtype), (x.double().mT @ dz.double()).to(x.dtype)


right = custom(forward, lambda d, x, w: backward(d, x, w, False))
wrong = custom(forward, lambda d, x, w: backward(d, x, w, True))


def data():
    generator = torch.Generator().manual_seed(162)
    return (4 * torch.randn(40, 5, generator=generator)).bfloat16(), torch.zeros(40, 3).bfloat16()


CASE = Case(
    source="fastino-ai/GLiNER2#155",
    mistake="1 - 1e-6 rounds to one in half precision, so that the clamp holds nothing and log1p's derivative is "
    "infinite at saturated probabilities.",
    kind="not finite",
    precision="bfloat16",
    wrong=("weight",),
    says=r"nan|inf|finite",
    third=4,
    subject=TorchModule(
        lambda version: module_of({"right": right, "wrong": wrong}[version], {"weight": (5, 3)}, "bfloat16", seed=163),
        weighted_sum,
        data,
    ),
)
