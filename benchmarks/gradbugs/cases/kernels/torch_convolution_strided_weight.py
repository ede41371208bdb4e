"""A convolution whose input gradient reads a transposed kernel as if it were contiguous."""

import torch
import torch.nn.functional as F

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction


def forward(x, w):
    return F.conv2d(x, w.transpose(0, 1))


def right(upstream, x, w):
    kernel = w.transpose(0, 1).contiguous()
    dkernel = torch.nn.grad.conv2d_weight(x, kernel.shape, upstream)
    return torch.nn.grad.conv2d_input(x.shape, kernel, upstream), dkernel.transpose(0, 1)


def wrong(upstream, x, w):
    kernel = w.transpose(0, 1)
    read = torch.as_strided(w.contiguous(), kernel.shape, kernel.contiguous().stride())
    return torch.nn.grad.conv2d_input(x.shape, read, upstream), right(upstream, x, w)[1]


CASE = Case(
    source="huggingface/candle#3735",
    mistake="The backward pass reads the memory of a transposed kernel in the order of a contiguous one.",
    kind="transposed", precision="float64", wrong=("input 0",), says=r"stride|contiguous|transpos|order|layout",
    subject=TorchFunction(forward, custom(forward, right), custom(forward, wrong),
                          lambda: tensors(*normal((1, 2, 4, 4), (2, 2, 2, 2), seed=80))), third=2,
)
