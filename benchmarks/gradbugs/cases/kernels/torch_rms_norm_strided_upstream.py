"""RMS normalisation whose kernel assumes that the gradient of its output is contiguous."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


def forward(x):
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()


def right(upstream, x):
    inverse = (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    n = x * inverse
    return inverse * (upstream - n * (upstream * n).mean(-1, keepdim=True))


def wrong(upstream, x):
    size = min(upstream.numel(), upstream.untyped_storage().nbytes() // upstream.element_size())
    memory = torch.as_strided(upstream, (size,), (1,), 0)
    return right(memory.repeat(upstream.numel())[: upstream.numel()].reshape(upstream.shape), x)


CASE = Case(
    source="flagos-ai/FlagGems#1082",
    mistake="The gradient of the output is not made contiguous, and the kernel reads other rows by the "
    "strides of its own.",
    kind="strides",
    precision="float64",
    wrong=("input 0",),
    says=r"contiguous|stride",
    third=3,
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((4, 6), seed=121))
    ),
)
