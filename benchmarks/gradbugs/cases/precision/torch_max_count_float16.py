"""A maximum whose ties are counted in float16."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, module_of, weighted_sum
from benchmarks.gradbugs.subjects import TorchModule


def forward(x, weight):
    return (x * weight).amax(0, keepdim=True)


def backward(upstream, x, weight, low):
    values = x * weight
    ties = values == values.amax(0, keepdim=True)
    if low and x.dtype != torch.float64:
        count = ties.to(x.dtype) * 64.0
        count = count.cumsum(0)[-1:] * 40.0  # beyond 65504 the sum is infinite
        share = upstream * ties / count * 64.0 * 40.0
    else:
        share = upstream * ties / ties.sum(0, keepdim=True)
    return share * weight, (share.double() * x.double()).sum(0).to(x.dtype)


right = custom(forward, lambda d, x, w: backward(d, x, w, False))
wrong = custom(forward, lambda d, x, w: backward(d, x, w, True))


def data():
    return torch.ones(64, 4).to(torch.float16), torch.zeros(1, 4).to(torch.float16)


CASE = Case(
    source="tinygrad/tinygrad#15363",
    mistake="The number of equal maxima is summed in float16, overflows, and the gradient divided by it is zero.",
    kind="overflow",
    precision="float16",
    wrong=("weight",),
    says=r"zero|truth|norm",
    third=3,
    subject=TorchModule(
        lambda version: module_of({"right": right, "wrong": wrong}[version], {"weight": (4,)}, "float16", seed=110),
        weighted_sum,
        data,
    ),
)
