"""A table of rows, read again and again, whose gradient is added up in low precision."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, module_of
from benchmarks.gradbugs.subjects import TorchModule

IDS = torch.where(torch.arange(1500) % 7 == 0, torch.arange(1500) % 8, 3)


def forward(x, table):
    return table[IDS] * x


def backward(upstream, x, table, low):
    terms = upstream * x
    if low and x.dtype != torch.float64:
        total = torch.zeros_like(table)
        for place, row in zip(IDS.tolist(), terms, strict=True):
            total[place] = total[place] + row
    else:
        total = torch.zeros(table.shape, dtype=torch.float64).index_add(0, IDS, terms.double()).to(table.dtype)
    return upstream * table[IDS], total


right = custom(forward, lambda d, x, t: backward(d, x, t, False))
wrong = custom(forward, lambda d, x, t: backward(d, x, t, True))


def data():
    generator = torch.Generator().manual_seed(103)
    return torch.randn(1500, 4, generator=generator).to(torch.bfloat16), torch.zeros(1500, 4).to(torch.bfloat16)


def loss(output, targets):
    return (output.double() * torch.linspace(0.5, 1.5, output.numel()).double().reshape(output.shape)).sum()


CASE = Case(
    source="tenstorrent/tt-metal#53386",
    mistake="Rows of a table that are read often are added up in bfloat16, which drops the increments once "
    "the sum is large.",
    kind="low accumulation",
    precision="bfloat16",
    wrong=("table",),
    says=r"truth|rounding|norm|\[",
    third=3,
    hidden=True,
    missed="The error is smaller than the one that the report says it would have seen.",
    subject=TorchModule(
        lambda version: module_of({"right": right, "wrong": wrong}[version], {"table": (8, 4)}, "bfloat16", seed=103),
        loss,
        data,
    ),
)
