"""Products scattered by an index that is shorter than the source."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

INDEX = torch.tensor([[0, 2]])


def forward(x, source):
    return x.scatter_reduce(1, INDEX, source, "prod")


def right(upstream, x, source):
    dx, dsource = upstream.clone(), torch.zeros_like(source)
    used = source[:1, :2]
    dx[:1, INDEX[0]] = upstream[:1, INDEX[0]] * used
    dsource[:1, :2] = upstream[:1, INDEX[0]] * x[:1, INDEX[0]]
    return dx, dsource


def wrong(upstream, x, source):
    dx, _ = right(upstream, x, source)
    whole = upstream[:1, INDEX[0]] * x[:1, INDEX[0]]
    return dx, torch.cat([whole, whole], 0).repeat(1, 2)[:, : source.shape[1]]


CASE = Case(
    source="pytorch/pytorch#188843",
    mistake="Gradients of the index's shape are broadcast against the larger source, and entries that were "
    "never read get some.",
    kind="broadcast",
    precision="float64",
    wrong=("input 1",),
    says=r"not zero where|zero|broadcast|mask",
    third=3,
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((2, 4), (2, 3), seed=123))
    ),
)
