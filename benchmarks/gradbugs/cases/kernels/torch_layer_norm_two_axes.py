"""Layer normalisation whose backward pass takes every input for a matrix."""

import torch.nn.functional as F

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


def forward(x, weight):
    return F.layer_norm(x, weight.shape, weight)


def over(upstream, x, weight):
    """The gradient of layer normalisation over the last axis of a matrix."""
    s = (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    n, dn = (x - x.mean(-1, keepdim=True)) / s, upstream * weight
    return (dn - dn.mean(-1, keepdim=True) - n * (dn * n).mean(-1, keepdim=True)) / s, (upstream * n).sum(0)


def right(upstream, x, weight):
    dx, dweight = over(upstream.reshape(-1, len(weight)), x.reshape(-1, len(weight)), weight)
    return dx.reshape(x.shape), dweight


def wrong(upstream, x, weight):
    rows, repeated = len(x), weight.repeat(x[0].numel() // len(weight))
    dx, dweight = over(upstream.reshape(rows, -1), x.reshape(rows, -1), repeated)
    return dx.reshape(x.shape), dweight[:len(weight)]


CASE = Case(
    source="flagos-ai/FlagGems#5392",
    mistake="The backward pass takes the rows from the first axis alone and normalises over all others together.",
    kind="axis", precision="float64", wrong=("input 0", "input 1"), says=r"ax(is|es)|row",
    subject=TorchFunction(forward, custom(forward, right), custom(forward, wrong),
                          lambda: tensors(*normal((2, 3, 5), (5,), seed=23))),
)
