"""A rotary embedding that turns the gradient before it multiplies by the sines."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

FIRST, SECOND = (torch.tensor(a) for a in normal((5, 6), (5, 6), seed=124))


def half_turn(x):
    return torch.cat([-x[:, 3:], x[:, :3]], -1)


def half_turn_back(x):
    return torch.cat([x[:, 3:], -x[:, :3]], -1)


def forward(x):
    return x * torch.cos(FIRST) + half_turn(x) * torch.sin(SECOND)


def right(upstream, x):
    return upstream * torch.cos(FIRST) + half_turn_back(upstream * torch.sin(SECOND))


def wrong(upstream, x):
    return upstream * torch.cos(FIRST) + half_turn_back(upstream) * torch.sin(SECOND)


CASE = Case(
    source="PaddlePaddle/Paddle#74716",
    mistake="The sines multiply the turned gradient instead of being turned with it, which is the same only "
    "where both halves have equal sines.",
    kind="rotary",
    precision="float64",
    wrong=("input 0",),
    says=r"half|halves|sin|block|position",
    third=3,
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((5, 6), seed=125))
    ),
)
