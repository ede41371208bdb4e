"""Grouped-query attention whose key gradients keep one query head of each group."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.grouped_query import forward, per_head, right
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


def wrong(upstream, q, k, v):
    dq, dk, dv = per_head(upstream, q, k, v)
    return dq, dk[::2], dv[::2]


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
