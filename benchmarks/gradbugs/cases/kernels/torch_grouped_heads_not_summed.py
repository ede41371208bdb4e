"""Grouped-query attention whose key gradients keep one query head of each group."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

GROUP = 2


def forward(q, k, v):
    keys, values = k.repeat_interleave(GROUP, 0), v.repeat_interleave(GROUP, 0)
    return torch.softmax(q @ keys.mT, -1) @ values


def per_head(upstream, q, k, v):
    keys, values = k.repeat_interleave(GROUP, 0), v.repeat_interleave(GROUP, 0)
    p, dp = torch.softmax(q @ keys.mT, -1), upstream @ values.mT
    ds = p * (dp - (dp * p).sum(-1, keepdim=True))
    return ds @ keys, ds.mT @ q, p.mT @ upstream


def right(upstream, q, k, v):
    dq, dk, dv = per_head(upstream, q, k, v)
    return dq, dk.unflatten(0, (-1, GROUP)).sum(1), dv.unflatten(0, (-1, GROUP)).sum(1)


def wrong(upstream, q, k, v):
    dq, dk, dv = per_head(upstream, q, k, v)
    return dq, dk[::GROUP], dv[::GROUP]


CASE = Case(
    source="marin-community/levanter#449",
    mistake="Keys and values are shared by a group of query heads, over which their gradients are not summed.",
    kind="heads",
    precision="float64",
    wrong=("input 1", "input 2"),
    says=r"sum|head|group|partial",
    third=3,
    subject=TorchFunction(
        forward,
        custom(forward, right),
        custom(forward, wrong),
        lambda: tensors(*normal((4, 3, 5), (2, 3, 5), (2, 3, 5), seed=131)),
    ),
)
