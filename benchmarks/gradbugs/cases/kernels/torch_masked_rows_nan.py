"""Causal attention of unequal lengths: a query that sees no key divides zero by zero on the way back."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

SEEN = torch.ones(6, 3, dtype=torch.bool).tril(-3)  # the first three queries see no key


def weights(q, k):
    e = torch.where(SEEN, torch.exp(q @ k.mT), 0.0)
    total = e.sum(-1, keepdim=True)
    return e / torch.where(total == 0, 1.0, total), total


def forward(q, k, v):
    return weights(q, k)[0] @ v


def backward(upstream, q, k, v, guarded):
    p, total = weights(q, k)
    dp = upstream @ v.mT
    if not guarded:
        p = torch.where(total == 0, p / total, p)
    ds = p * (dp - (dp * p).sum(-1, keepdim=True))
    return ds @ k, ds.mT @ q if guarded else torch.nan_to_num(ds).mT @ q, torch.nan_to_num(p).mT @ upstream


CASE = Case(
    source="Dao-AILab/flash-attention#443",
    mistake="Queries to which the causal mask leaves no key get a gradient of NaN.",
    kind="not finite", precision="float64", wrong=("input 0",), says=r"nan|not finite|finite",
    subject=TorchFunction(forward, custom(forward, lambda d, *a: backward(d, *a, guarded=True)),
                          custom(forward, lambda d, *a: backward(d, *a, guarded=False)),
                          lambda: tensors(*normal((6, 4), (3, 4), (3, 4), seed=30))),
)
