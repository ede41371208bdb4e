"""A checkpoint that returns a view changed in place, behind which no gradient flows."""

import torch
from torch import nn

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.subjects import TorchModule


class Shifted(nn.Module):
    def __init__(self, cut):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64))
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64))
        self.cut = cut

    def forward(self, x):
        inner = torch.sigmoid(x + self.shift)
        return (inner.detach() if self.cut else inner) * self.scale


def data():
    generator = torch.Generator().manual_seed(79)
    return torch.randn(5, 3, generator=generator, dtype=torch.float64), torch.zeros(5, 3, dtype=torch.float64)


CASE = Case(
    source="pytorch/pytorch#36383",
    mistake="The checkpointed part drops out of the graph, and its parameters get no gradient.",
    kind="missing gradient", precision="float64", wrong=("shift",), says=r"zero|no gradient|detach|None|missing",
    subject=TorchModule(lambda version: Shifted(version == "wrong"), nn.MSELoss(), data), third=2,
)
