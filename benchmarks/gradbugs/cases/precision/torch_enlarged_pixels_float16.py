"""A small image enlarged many times, whose pixels' gradients are added up in float16."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, module_of
from benchmarks.gradbugs.repeated_rows import added_in_turn
from benchmarks.gradbugs.subjects import TorchModule

COPIES = 8192


def forward(x, pixels):
    return (x * pixels).expand(COPIES, -1)


def backward(upstream, x, pixels, low):
    total = added_in_turn(upstream) if low and x.dtype == torch.float16 else upstream.double().sum(0).to(x.dtype)
    return total * pixels, total * x


right = custom(forward, lambda d, x, p: backward(d, x, p, False))
wrong = custom(forward, lambda d, x, p: backward(d, x, p, True))

CASE = Case(
    source="pytorch/pytorch#104157",
    mistake="Each output pixel adds one to the gradient of its source in float16, which stops at 2048.",
    kind="low accumulation",
    precision="float16",
    wrong=("pixels",),
    says=r"times the truth|truth|lost",
    third=4,
    subject=TorchModule(
        lambda version: module_of({"right": right, "wrong": wrong}[version], {"pixels": (4,)}, "float16", seed=166),
        lambda output, targets: output.double().sum(),
        lambda: (torch.ones(4).half(), torch.zeros(4).half()),
    ),
)
