"""A state gradient that is stored in float16 between chunks and overflows."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, module_of, weighted_sum
from benchmarks.gradbugs.subjects import TorchModule


def forward(x, weight):
    return torch.tanh(x @ weight.mT)


def backward(upstream, x, weight, overflow):
    h = torch.tanh(x @ weight.mT)
    state = (
        (upstream * 3e4 * (1 - h**2)).double()
        if not overflow or x.dtype == torch.float64
        else (upstream * 3e4 * (1 - h**2) * 4)
    )
    scale = 3e4 if not overflow or x.dtype == torch.float64 else 12e4
    dz = (state.double() / scale).to(x.dtype)
    return dz @ weight, (dz.double().mT @ x.double()).to(x.dtype)


right = custom(forward, lambda d, x, w: backward(d, x, w, False))
wrong = custom(forward, lambda d, x, w: backward(d, x, w, True))


def data():
    generator = torch.Generator().manual_seed(109)
    return torch.randn(32, 8, generator=generator).to(torch.float16), torch.zeros(32, 5).to(torch.float16)


CASE = Case(
    source="fla-org/flash-linear-attention#1214",
    mistake="An intermediate gradient beyond 65504 is stored in float16, and infinity times zero makes NaN.",
    kind="overflow",
    precision="float16",
    wrong=("weight",),
    says=r"nan|inf|finite",
    third=3,
    subject=TorchModule(
        lambda version: module_of({"right": right, "wrong": wrong}[version], {"weight": (5, 8)}, "float16", seed=109),
        weighted_sum,
        data,
    ),
)
