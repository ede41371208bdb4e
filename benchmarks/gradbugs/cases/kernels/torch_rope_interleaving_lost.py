"""A rotary embedding of neighbouring pairs that goes back by halves."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

ANGLES = torch.tensor(normal((5, 3), seed=126)[0])


def turned(x, angles, interleaved):
    a, b = (x[:, 0::2], x[:, 1::2]) if interleaved else (x[:, :3], x[:, 3:])
    c, s = torch.cos(angles), torch.sin(angles)
    first, second = a * c - b * s, a * s + b * c
    return torch.stack([first, second], -1).flatten(-2) if interleaved else torch.cat([first, second], -1)


def forward(x):
    return turned(x, ANGLES, True)


def right(upstream, x):
    return turned(upstream, -ANGLES, True)


def wrong(upstream, x):
    return turned(upstream, -ANGLES, False)


CASE = Case(
    source="Dao-AILab/flash-attention#569",
    mistake="The backward pass does not get the flag that says that pairs are interleaved.",
    kind="rotary",
    precision="float64",
    wrong=("input 0",),
    says=r"permut|order|rearrang|pairs",
    third=3,
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((5, 6), seed=127))
    ),
)
