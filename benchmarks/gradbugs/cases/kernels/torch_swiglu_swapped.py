"""SwiGLU that stores the two gradients in each other's places, one of them with the wrong factor."""

import torch
import torch.nn.functional as F

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


def forward(e, g):
    return F.silu(e) * g


def gradients(upstream, e, g):
    s = torch.sigmoid(e)
    return upstream * g * s * (1 + e * (1 - s)), upstream * e * s


def wrong(upstream, e, g):
    de, dg = gradients(upstream, e, g)
    return dg, de


CASE = Case(
    source="unslothai/unsloth#3314",
    mistake="The gradients of the gate and of the up projection are stored in each other's places.",
    kind="swapped", precision="float64", wrong=("input 0", "input 1"), says=r"swap|each other|belongs to|other input",
    subject=TorchFunction(forward, custom(forward, gradients), custom(forward, wrong),
                          lambda: tensors(*normal((4, 6), (4, 6), seed=20))),
)
