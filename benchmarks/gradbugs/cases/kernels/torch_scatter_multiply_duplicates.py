"""Multiplying entries in place, some twice: the gradient knows only one of the factors."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

INDEX = torch.tensor([1, 3, 1])


def forward(x, values):
    return x.scatter_reduce(0, INDEX, values, "prod")


def right(upstream, x, values):
    dx, dvalues = upstream * forward(torch.ones_like(x), values), torch.empty_like(values)
    for number, place in enumerate(INDEX):
        others = [values[n] for n in range(len(INDEX)) if INDEX[n] == place and n != number]
        dvalues[number] = upstream[place] * x[place] * (others[0] if others else 1.0)
    return dx, dvalues


def wrong(upstream, x, values):
    dx = upstream.clone()
    dx[INDEX] = upstream[INDEX] * values
    return dx, upstream[INDEX] * x[INDEX]


CASE = Case(
    source="tracel-ai/burn#4909",
    mistake="Where two values multiply one entry, each gradient leaves the other factor out.",
    kind="accumulation",
    precision="float64",
    wrong=("input 0", "input 1"),
    says=r"repeated|overwritten|entries? .*wrong|times",
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((5,), (3,), seed=31))
    ),
)
