"""Recomputed activations for which the dropout mask is drawn anew."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

FIRST, SECOND = (torch.tensor((normal((6, 4), seed=seed)[0] > 0) * 2.0) for seed in (76, 77))


def forward(x, w):
    return torch.tanh(x @ w) * FIRST @ w.mT


def backward(upstream, x, w, mask):
    h = torch.tanh(x @ w)
    dh = upstream @ w * mask
    dz = dh * (1 - h**2)
    return dz @ w.mT, x.mT @ dz + upstream.mT @ (h * mask)


CASE = Case(
    source="pytorch/pytorch#190758",
    mistake="The backward pass recomputes the activations with fresh random numbers, and so with another dropout "
            "mask.",
    kind="mask", precision="float64", wrong=("input 0", "input 1"), says=r"mask|not zero where|zero where|rows?",
    subject=TorchFunction(forward, custom(forward, lambda d, x, w: backward(d, x, w, FIRST)),
                          custom(forward, lambda d, x, w: backward(d, x, w, SECOND)),
                          lambda: tensors(*normal((6, 3), (3, 4), seed=78))), third=2,
)
