"""PyTorch layers whose backward pass is wrong in less than double precision, as a kernel's may be, and right in double.

In double precision every layer here runs PyTorch's own operators, so that the truth is right; below it, it runs
functions with a backward pass of their own, right or with one mistake.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.data.torch_layers import Gated, LayerCase

Backward = Callable[[torch.Tensor], torch.Tensor]
# Rows of a block that the sums over samples take at once.
BLOCK = 6


class _Passed(torch.autograd.Function):
    """The same numbers, with a gradient that a function changes."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, change: Backward) -> torch.Tensor:
        ctx.change = change
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        return ctx.change(upstream), None


class _SiLU(torch.autograd.Function):
    """z sigma(z), whose derivative is sigma + z sigma (1 - sigma)."""

    @staticmethod
    def forward(ctx: Any, z: torch.Tensor, wrong: bool) -> torch.Tensor:
        ctx.save_for_backward(z)
        ctx.wrong = wrong
        return F.silu(z)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        z = ctx.saved_tensors[0].float()
        s = torch.sigmoid(z)
        slope = s if ctx.wrong else s + z * s * (1 - s)
        return (upstream.float() * slope).to(upstream.dtype), None


class _Linear(torch.autograd.Function):
    """x W^T, whose weight gradient is summed block by block over the samples."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, wrong: bool) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.wrong = wrong
        return x @ weight.mT

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        x, weight = ctx.saved_tensors
        whole = len(x) // BLOCK * BLOCK if ctx.wrong else len(x)
        total = torch.zeros(weight.shape)
        for start in range(0, whole, BLOCK):
            some = slice(start, start + BLOCK)
            total += upstream[some].float().mT @ x[some].float()
        return upstream @ weight, total.to(weight.dtype), None


class _Standardised(torch.autograd.Function):
    """(x - mean) / std over the samples, with n - 1 in the variance."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, wrong: bool) -> torch.Tensor:
        std = x.float().std(0, keepdim=True)
        out = (x.float() - x.float().mean(0, keepdim=True)) / std
        ctx.save_for_backward(out, std)
        ctx.wrong = wrong
        return out.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        out, std = ctx.saved_tensors
        g, n = upstream.float(), len(out)
        along = (g * out).sum(0, keepdim=True) / (n if ctx.wrong else n - 1)
        return ((g - g.mean(0, keepdim=True) - out * along) / std).to(upstream.dtype), None


class _Attended(torch.autograd.Function):
    """softmax(masked scores) v, whose backward pass computes the softmax again."""

    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor, v: torch.Tensor, mask: torch.Tensor, wrong: bool) -> torch.Tensor:
        ctx.save_for_backward(scores, v, mask)
        ctx.wrong = wrong
        return torch.softmax(scores.masked_fill(mask, -torch.inf), -1) @ v

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        scores, v, mask = ctx.saved_tensors
        p = torch.softmax(scores.float() if ctx.wrong else scores.float().masked_fill(mask, -torch.inf), -1)
        dv, dp = p.to(v.dtype).mT @ upstream, (upstream @ v.mT).float()
        ds = p * (dp - (p * dp).sum(-1, keepdim=True))
        return ds.to(scores.dtype), dv, None, None


def _low(x: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both as autocast, where it is on, has them."""
    if torch.is_autocast_enabled("cpu"):
        return x.to(torch.get_autocast_dtype("cpu")), weight.to(torch.get_autocast_dtype("cpu"))
    return x, weight


class SiLU(nn.Module):
    """SiLU, with g (1 - sigma) left out of its derivative or not."""

    def __init__(self, wrong: bool) -> None:
        super().__init__()
        self.wrong = wrong

    def forward(self, z: torch.Tensor) -> Any:
        return F.silu(z) if z.dtype == torch.float64 else _SiLU.apply(z, self.wrong)


class GatedSiLU(Gated):
    """SwiGLU with that SiLU."""

    def __init__(self, wrong: bool) -> None:
        super().__init__()
        self.silu = SiLU(wrong)

    def forward(self, x: torch.Tensor) -> Any:
        return self.down(self.silu(self.gate(x)) * self.up(x))


class BlockLinear(nn.Linear):
    """A linear layer without bias that leaves out the last block of the samples, where that is not full, or not."""

    def __init__(self, inputs: int, outputs: int, wrong: bool) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.wrong = wrong

    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x) if x.dtype == torch.float64 else _Linear.apply(*_low(x, self.weight), self.wrong)


class Standardised(nn.Module):
    """Batch normalisation with the unbiased variance, and 1/n or 1/(n - 1) in its derivative."""

    def __init__(self, wrong: bool) -> None:
        super().__init__()
        self.wrong = wrong

    def forward(self, x: torch.Tensor) -> Any:
        if x.dtype == torch.float64:
            return (x - x.mean(0, keepdim=True)) / x.std(0, keepdim=True)
        return _Standardised.apply(x, self.wrong)


class ReLU(nn.Module):
    """ReLU, whose mask is forgotten on the way back or not."""

    def __init__(self, wrong: bool) -> None:
        super().__init__()
        self.wrong = wrong

    def forward(self, z: torch.Tensor) -> Any:
        if z.dtype == torch.float64 or not self.wrong:
            return F.relu(z)
        return _Passed.apply(z, lambda g: g) + (F.relu(z) - z).detach()


class Attention(nn.Module):
    """Causal self-attention: one head's dQ is doubled, or the mask forgotten where backward computes the softmax."""

    def __init__(self, width: int, heads: int, mistake: str) -> None:
        super().__init__()
        self.heads, self.mistake = heads, mistake
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> Any:
        n, t, width = x.shape
        q, k, v = (part(x).view(n, t, self.heads, -1).transpose(1, 2) for part in (self.q, self.k, self.v))
        if self.mistake == "head" and x.dtype != torch.float64:
            q = _Passed.apply(q, self._doubled)
        scores, mask = q @ k.mT / (width // self.heads) ** 0.5, torch.ones(t, t, dtype=torch.bool).triu(1)
        if x.dtype == torch.float64:
            found = torch.softmax(scores.masked_fill(mask, -torch.inf), -1) @ v
        else:
            found = _Attended.apply(scores, v, mask, self.mistake == "mask")
        return self.out(found.transpose(1, 2).reshape(n, t, width))

    def _doubled(self, g: torch.Tensor) -> torch.Tensor:
        twice = g.clone()
        twice[:, 1] *= 2
        return twice


@dataclass(frozen=True)
class Planted:
    """A layer that can be made right or with its mistake, and the shape of its input."""

    make: Callable[[bool], nn.Module]
    shape: tuple[int, ...]

    def layer(self, wrong: bool) -> LayerCase:
        """Return the layer, right or wrong."""
        return LayerCase(partial(self.make, wrong), self.shape)


def _mlp(activation: Callable[[bool], nn.Module], wrong: bool) -> nn.Module:
    return nn.Sequential(nn.Linear(12, 24), activation(wrong), nn.Linear(24, 10))


PLANTED: dict[str, Planted] = {
    "SiLU's derivative": Planted(partial(_mlp, SiLU), (48, 12)),
    "SiLU's derivative, gated": Planted(GatedSiLU, (32, 12)),
    "one head's dQ doubled": Planted(lambda wrong: Attention(16, 2, "head" if wrong else ""), (4, 8, 16)),
    "mask forgotten": Planted(lambda wrong: Attention(16, 2, "mask" if wrong else ""), (4, 8, 16)),
    "ReLU's mask forgotten": Planted(partial(_mlp, ReLU), (48, 12)),
    "tail not accumulated": Planted(lambda wrong: BlockLinear(12, 10, wrong), (32, 12)),
    "tail not accumulated, inside": Planted(
        lambda wrong: nn.Sequential(nn.Linear(12, 16), nn.GELU(), BlockLinear(16, 10, wrong)), (50, 12)),
    "1/n for 1/(n-1)": Planted(lambda wrong: nn.Sequential(nn.Linear(12, 10), Standardised(wrong)), (32, 12)),
}
