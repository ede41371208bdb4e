"""A normalisation weight used twice, of whose two gradients the later replaces the earlier."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


def normed(x):
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()


def forward(x, y, weight):
    return normed(x) * weight + normed(y) * weight


def back(d, x):
    n, s = normed(x), (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    return (d - d.mean(-1, keepdim=True) - n * (d * n).mean(-1, keepdim=True)) / s


def right(upstream, x, y, weight):
    d = upstream * weight
    return back(d, x), back(d, y), (upstream * (normed(x) + normed(y))).sum(0)


def wrong(upstream, x, y, weight):
    d = upstream * weight
    return back(d, x), back(d, y), (upstream * normed(x)).sum(0)


CASE = Case(
    source="karpathy/llm.c#408",
    mistake="The kernel stores the weight's gradient instead of adding to what is there.",
    kind="accumulation",
    precision="float64",
    wrong=("input 2",),
    says=r"accumul|added|partial|use",
    third=3,
    subject=TorchFunction(
        forward,
        custom(forward, right),
        custom(forward, wrong),
        lambda: tensors(*normal((4, 5), (4, 5), (5,), seed=130)),
    ),
)
