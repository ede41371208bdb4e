"""RMS normalisation with a fast path that has no backward pass at all."""

import torch
from torch import nn

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.subjects import TorchModule


class RMSNorm(nn.Module):
    def __init__(self, fast):
        super().__init__()
        generator = torch.Generator().manual_seed(81)
        self.before = nn.Parameter(torch.randn(4, 4, generator=generator, dtype=torch.float64))
        self.weight = nn.Parameter(torch.randn(4, generator=generator, dtype=torch.float64))
        self.fast = fast

    def forward(self, x):
        x = x @ self.before
        normed = x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
        if self.fast and x.is_contiguous():
            normed = normed.data
        return normed * self.weight


def data():
    generator = torch.Generator().manual_seed(82)
    return (torch.randn(3, 4, generator=generator, dtype=torch.float64),
            torch.randn(3, 4, generator=generator, dtype=torch.float64))


CASE = Case(
    source="huggingface/candle#2168",
    mistake="For contiguous inputs a fast path without a backward pass is taken, and nothing before it learns.",
    kind="missing gradient", precision="float64", wrong=("before",), says=r"zero|no gradient|detach|missing",
    subject=TorchModule(lambda version: RMSNorm(version == "wrong"), nn.MSELoss(), data), third=2,
)
