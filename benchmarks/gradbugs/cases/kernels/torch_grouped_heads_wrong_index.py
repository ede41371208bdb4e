"""Grouped-query attention that splits the head's number by the wrong count."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.grouped_query import forward, per_head, right
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


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
