"""Attention without a mask whose backward pass visits the blocks that a causal mask leaves."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

BLOCK = 2


def forward(q, k, v):
    return torch.softmax(q @ k.mT, -1) @ v


def backward(upstream, q, k, v, causal):
    p, dp = torch.softmax(q @ k.mT, -1), upstream @ v.mT
    ds = p * (dp - (dp * p).sum(-1, keepdim=True))
    dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    for i in range(0, len(q), BLOCK):
        for j in range(0, len(k), BLOCK):
            if causal and j > i:
                continue
            here, there = slice(i, i + BLOCK), slice(j, j + BLOCK)
            dq[here] += ds[here, there] @ k[there]
            dk[there] += ds[here, there].mT @ q[here]
            dv[there] += p[here, there].mT @ upstream[here]
    return dq, dk, dv


CASE = Case(
    source="triton-lang/triton#5660",
    mistake="The loops of the backward kernel start where a causal mask lets them, also where there is no mask.",
    kind="blocks",
    precision="float64",
    wrong=("input 0", "input 1", "input 2"),
    says=r"block|last rows?|rows?|mask|right only",
    subject=TorchFunction(
        forward,
        custom(forward, lambda d, *a: backward(d, *a, causal=False)),
        custom(forward, lambda d, *a: backward(d, *a, causal=True)),
        lambda: tensors(*normal((6, 3), (6, 3), (6, 3), seed=26)),
    ),
)
