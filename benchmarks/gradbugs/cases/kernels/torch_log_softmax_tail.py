"""A log-softmax whose blocks read past the end of the row on the way back."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

BLOCK = 4


def forward(x):
    return torch.log_softmax(x, -1)


def backward(upstream, x, fill):
    rows, columns = x.shape
    padded = torch.full((rows, -(-columns // BLOCK) * BLOCK), fill, dtype=x.dtype)
    padded[:, :columns] = upstream
    total = sum(padded[:, start : start + BLOCK].sum(-1) for start in range(0, padded.shape[1], BLOCK))
    return upstream - torch.softmax(x, -1) * total[:, None]


CASE = Case(
    source="flagos-ai/FlagGems#5888",
    mistake="The lanes behind the end of the row are loaded without a value for them and enter the sum.",
    kind="blocks",
    precision="float64",
    wrong=("input 0",),
    says=r"constant|zero upstream|linear|not zero|affine|offset",
    subject=TorchFunction(
        forward,
        custom(forward, lambda d, x: backward(d, x, 0.0)),
        custom(forward, lambda d, x: backward(d, x, 0.37)),
        lambda: tensors(*normal((3, 6), seed=75)),
    ),
    third=2,
)
