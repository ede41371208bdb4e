"""Rows scaled to unit length, whose backward pass cubes a reciprocal root in float16."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, module_of, weighted_sum
from benchmarks.gradbugs.subjects import TorchModule


def forward(x, weight):
    y = (x * weight).double()
    return (y / y.norm(dim=-1, keepdim=True)).to(x.dtype)


def backward(upstream, x, weight, low):
    wide = x.dtype if low else torch.float64
    y, d = (x * weight).to(wide), upstream.to(wide)
    inverse = (y * y).sum(-1, keepdim=True).rsqrt()
    dy = d * inverse - y * (inverse**3 * (d * y).sum(-1, keepdim=True))
    return (dy * weight.to(wide)).to(x.dtype), (dy.double() * x.double()).sum(0).to(x.dtype)


right = custom(forward, lambda d, x, w: backward(d, x, w, False))
wrong = custom(forward, lambda d, x, w: backward(d, x, w, x.dtype == torch.float16))


def data():
    return torch.full((4, 2), 0.01).half(), torch.zeros(4, 2).half()


CASE = Case(
    source="keras-team/keras#23546",
    mistake="The derivative of the reciprocal root is computed in the input's float16 and leaves its range for entries "
    "of 0.01.",
    kind="overflow",
    precision="float16",
    wrong=("weight",),
    says=r"nan|inf|finite",
    third=4,
    subject=TorchModule(
        lambda version: module_of({"right": right, "wrong": wrong}[version], {"weight": (2,)}, "float16", seed=165),
        weighted_sum,
        data,
    ),
)
