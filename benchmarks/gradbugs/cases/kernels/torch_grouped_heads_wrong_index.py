"""Grouped-query attention that splits the head's number by the wrong count."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

GROUP = 3


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
    place = torch.arange(len(q)) % len(k)
    return dq, torch.zeros_like(k).index_add(0, place, dk), torch.zeros_like(v).index_add(0, place, dv)


CASE = Case(
    source="XunhaoLai/native-sparse-attention-triton#27",
    mistake="The query head's number is divided by the number of heads that share a key instead of by that "
    "of the keys.",
    kind="heads",
    precision="float64",
    wrong=("input 1", "input 2"),
    says=r"head|index|group|order",
    third=3,
    subject=TorchFunction(
        forward,
        custom(forward, right),
        custom(forward, wrong),
        lambda: tensors(*normal((6, 3, 4), (2, 3, 4), (2, 3, 4), seed=132)),
    ),
)
