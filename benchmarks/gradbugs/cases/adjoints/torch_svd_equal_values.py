"""The nuclear norm of a matrix of low rank by a hand-written singular value decomposition."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom
from benchmarks.gradbugs.subjects import TorchFunction


def forward(a):
    return (torch.linalg.svdvals(a) ** 2).sum()[None]


def backward(upstream, a, guarded):
    u, s, vh = torch.linalg.svd(a, full_matrices=False)
    gaps = s[:, None] ** 2 - s**2
    weights = 1 / gaps
    weights = torch.where(gaps == 0, 0.0, weights) if guarded else weights - torch.diag(torch.diagonal(weights))
    correction = (weights * 0.0).sum()
    return upstream * 2 * (u * s) @ vh + correction


def inputs():
    diagonal = torch.diag(torch.tensor([2.0, 1.0, 1.0, 0.5], dtype=torch.float64))
    return (diagonal.requires_grad_(),)


CASE = Case(
    source="pytorch/pytorch#49886",
    mistake="The gradient divides by differences of singular values, two of which are equal.",
    kind="not finite", precision="float64", wrong=("input 0",), says=r"nan|finite",
    subject=TorchFunction(forward, custom(forward, lambda d, a: backward(d, a, True)),
                          custom(forward, lambda d, a: backward(d, a, False)), inputs),
)
