"""A bias gradient by a tree of halvings that loses rows where their number is no power of two."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


def forward(x, bias):
    return x + bias


def right(upstream, x, bias):
    return upstream, upstream.sum(0)


def wrong(upstream, x, bias):
    partial, stride = upstream.clone(), len(upstream) // 2
    while stride > 0:
        partial[:stride] += partial[stride : 2 * stride]
        stride //= 2
    return upstream, partial[0]


CASE = Case(
    source="karpathy/llm.c#439",
    mistake="The reduction halves its range until one row is left, which drops rows unless their number is a "
            "power of two.",
    kind="blocks",
    precision="float64",
    wrong=("input 1",),
    says=r"sample|rows?|sum|partial|dropped",
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((7, 3), (3,), seed=74))
    ),
    third=2,
)
