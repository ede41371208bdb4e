"""SwiGLU whose kernel writes every row's gradient into the first row."""

import torch
import torch.nn.functional as F

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


def forward(x):
    a, b = x.chunk(2, -1)
    return F.silu(a) * b


def right(upstream, x):
    a, b = x.chunk(2, -1)
    s = torch.sigmoid(a)
    return torch.cat([upstream * b * s * (1 + a * (1 - s)), upstream * a * s], -1)


def wrong(upstream, x):
    rows, dx = right(upstream, x), torch.zeros_like(x)
    for row in rows:  # the output pointer is not advanced
        dx[0] = row
    return dx


CASE = Case(
    source="ByteDance-Seed/Triton-distributed#180",
    mistake="The pointers of the inputs advance by a row, those of the outputs do not, so that all rows are "
    "written into the first.",
    kind="pointer",
    precision="float64",
    wrong=("input 0",),
    says=r"zero (where|but)|only the first row|rows?",
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((5, 8), seed=21))
    ),
)
