"""Forty-one PyTorch layers and small models with the shapes of their inputs, for studies of low precision."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

Make = Callable[[], nn.Module]


@dataclass(frozen=True)
class LayerCase:
    """A module, and the shape of its input; integer inputs are ids below ``ids``."""

    make: Make
    shape: tuple[int, ...]
    ids: int = 0

    def inputs(self, generator: torch.Generator) -> torch.Tensor:
        """Random inputs, normal or integer."""
        if self.ids:
            return torch.randint(0, self.ids, self.shape, generator=generator)
        return torch.randn(self.shape, generator=generator)


class Pick(nn.Module):
    """The first of a module's outputs."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> Any:
        return self.body(x)[0]


class Attention(nn.Module):
    """Self-attention, causal or not, written out."""

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> Any:
        n, t, width = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.mT / (width // self.heads) ** 0.5
        if self.causal:
            scores = scores.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), -torch.inf)
        return self.out((torch.softmax(scores, -1) @ v).transpose(1, 2).reshape(n, t, width))


class Block(nn.Module):
    """A transformer layer with the normalisation in front."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, 2, causal=True)
        self.body = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> Any:
        x = x + self.attention(self.first(x))
        return x + self.body(self.second(x))


class Gated(nn.Module):
    """SwiGLU."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(12, 24), nn.Linear(12, 24), nn.Linear(24, 12)

    def forward(self, x: torch.Tensor) -> Any:
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Residual(nn.Module):
    """A residual block of two convolutions with batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
                                  nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))

    def forward(self, x: torch.Tensor) -> Any:
        return F.relu(x + self.body(x))


def _mlp(activation: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(12, 24), activation, nn.Linear(24, 10))


def _after(linear: nn.Module, layer: nn.Module) -> nn.Module:
    return nn.Sequential(linear, layer)


_IMAGE = (6, 4, 8, 8)
LAYERS: dict[str, LayerCase] = {
    "linear": LayerCase(lambda: nn.Linear(12, 10), (32, 12)),
    **{f"mlp {name}": LayerCase(partial(lambda make: _mlp(make()), make), (48, 12)) for name, make in {
        "relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "elu": nn.ELU,
        "leaky relu": nn.LeakyReLU, "softplus": nn.Softplus, "mish": nn.Mish, "selu": nn.SELU, "prelu": nn.PReLU,
        "hardswish": nn.Hardswish,
    }.items()},
    "conv 1d": LayerCase(lambda: nn.Conv1d(4, 6, 3), (6, 4, 16)),
    "conv 2d": LayerCase(lambda: nn.Conv2d(4, 6, 3), _IMAGE),
    "conv 2d strided": LayerCase(lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1), _IMAGE),
    "conv 2d grouped": LayerCase(lambda: nn.Conv2d(4, 8, 3, groups=2), _IMAGE),
    "conv 2d dilated": LayerCase(lambda: nn.Conv2d(4, 6, 3, dilation=2), _IMAGE),
    "conv 3d": LayerCase(lambda: nn.Conv3d(2, 3, 2), (3, 2, 5, 5, 5)),
    "conv transposed": LayerCase(lambda: nn.ConvTranspose2d(4, 3, 3, stride=2), (4, 4, 5, 5)),
    "conv, relu, pool": LayerCase(lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.MaxPool2d(2)), _IMAGE),
    "conv, average pool": LayerCase(lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.AvgPool2d(2)), _IMAGE),
    "conv, adaptive pool": LayerCase(lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.AdaptiveAvgPool2d(3)), _IMAGE),
    "batch norm": LayerCase(lambda: _after(nn.Linear(12, 10), nn.BatchNorm1d(10)), (48, 12)),
    "batch norm 2d": LayerCase(lambda: _after(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)), _IMAGE),
    "layer norm": LayerCase(lambda: _after(nn.Linear(12, 16), nn.LayerNorm(16)), (32, 12)),
    "group norm": LayerCase(lambda: _after(nn.Conv2d(4, 6, 3), nn.GroupNorm(2, 6)), _IMAGE),
    "instance norm": LayerCase(lambda: _after(nn.Conv2d(4, 6, 3), nn.InstanceNorm2d(6, affine=True)), _IMAGE),
    "rms norm": LayerCase(lambda: _after(nn.Linear(12, 16), nn.RMSNorm(16)), (32, 12)),
    "embedding": LayerCase(lambda: nn.Sequential(nn.Embedding(20, 8), nn.Linear(8, 6)), (8, 10), ids=20),
    "attention": LayerCase(lambda: Attention(16, 2), (4, 8, 16)),
    "causal attention": LayerCase(lambda: Attention(16, 2, causal=True), (4, 8, 16)),
    "transformer layer": LayerCase(Block, (4, 8, 16)),
    "rnn": LayerCase(lambda: Pick(nn.RNN(6, 8, batch_first=True)), (6, 7, 6)),
    "gru": LayerCase(lambda: Pick(nn.GRU(6, 8, batch_first=True)), (6, 7, 6)),
    "lstm": LayerCase(lambda: Pick(nn.LSTM(6, 8, batch_first=True)), (6, 7, 6)),
    "gated": LayerCase(Gated, (32, 12)),
    "glu": LayerCase(lambda: nn.Sequential(nn.Linear(12, 24), nn.GLU(), nn.Linear(12, 6)), (32, 12)),
    "residual": LayerCase(Residual, _IMAGE),
    "softmax": LayerCase(lambda: nn.Sequential(nn.Linear(12, 10), nn.Softmax(-1)), (32, 12)),
    "log softmax": LayerCase(lambda: nn.Sequential(nn.Linear(12, 10), nn.LogSoftmax(-1)), (32, 12)),
}
