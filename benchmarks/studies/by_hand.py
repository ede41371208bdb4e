"""Right backward passes by hand, in half precision: how many are doubted because they round more than autograd does.

    python -m benchmarks.studies.by_hand --seeds 40

Each of 17 kinds, the usual activations, normalisations, softmax, attention and a gated unit, computes its backward pass
in the precision that it is given, operation by operation.  It stands between two linear layers, and is judged by
check_module.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from fastcheck.torch import check_module

HALVES = (torch.bfloat16, torch.float16)
# Coefficients of tanh's argument in the usual approximation of gelu.
INNER, CUBIC = 0.7978845608, 0.044715


def silu_back(d: Any, x: Any) -> Any:
    """d s (1 + x (1 - s)), with s = sigmoid(x)."""
    s = torch.sigmoid(x)
    return d * (s * (1 + x * (1 - s)))


def gelu(x: Any) -> Any:
    """By its approximation with tanh, written out."""
    return 0.5 * x * (1 + torch.tanh(INNER * (x + CUBIC * x**3)))


def gelu_back(d: Any, x: Any) -> Any:
    """Of the approximation with tanh."""
    t = torch.tanh(INNER * (x + CUBIC * x**3))
    return d * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * INNER * (1 + 3 * CUBIC * x**2))


def mish_back(d: Any, x: Any) -> Any:
    """Of x tanh(softplus(x))."""
    t = torch.tanh(F.softplus(x))
    return d * (t + x * (1 - t * t) * torch.sigmoid(x))


def softmax_back(d: Any, x: Any) -> Any:
    """p (d - sum of p d), along the last axis."""
    p = torch.softmax(x, -1)
    return p * (d - (p * d).sum(-1, keepdim=True))


def layer_norm(x: Any) -> Any:
    """Written out, along the last axis."""
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-5)


def layer_norm_back(d: Any, x: Any) -> Any:
    """(d - mean of d - n mean of d n) / s."""
    s = torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-5)
    n = (x - x.mean(-1, keepdim=True)) / s
    return (d - d.mean(-1, keepdim=True) - n * (d * n).mean(-1, keepdim=True)) / s


def rms_norm(x: Any) -> Any:
    """Written out, along the last axis."""
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)


def rms_norm_back(d: Any, x: Any) -> Any:
    """r (d - n mean of d n)."""
    r = torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)
    n = x * r
    return r * (d - n * (d * n).mean(-1, keepdim=True))


def attention(q: Any, k: Any, v: Any) -> Any:
    """One head."""
    return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, -1) @ v


def attention_back(d: Any, q: Any, k: Any, v: Any) -> Any:
    """Through the values, the softmax and the scores."""
    c = q.shape[-1] ** -0.5
    p = torch.softmax(q @ k.mT * c, -1)
    dp = d @ v.mT
    ds = p * (dp - (p * dp).sum(-1, keepdim=True)) * c
    return ds @ k, ds.mT @ q, p.mT @ d


def swiglu_back(d: Any, a: Any, b: Any) -> Any:
    """Of silu(a) b."""
    return silu_back(d * b, a), d * F.silu(a)


# Forward and backward passes by name; the inputs of the forward pass are so many linear layers of one input.
KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "silu": (F.silu, silu_back),
    "silu, written out": (lambda x: x * torch.sigmoid(x), silu_back),
    "silu in float32": (F.silu, lambda d, x: silu_back(d.float(), x.float()).to(x.dtype)),
    "gelu": (lambda x: F.gelu(x, approximate="tanh"), gelu_back),
    "gelu, written out": (gelu, gelu_back),
    "mish": (F.mish, mish_back),
    "softplus": (F.softplus, lambda d, x: d * torch.sigmoid(x)),
    "tanh": (torch.tanh, lambda d, x: d * (1 - torch.tanh(x) ** 2)),
    "sigmoid": (torch.sigmoid, lambda d, x: d * torch.sigmoid(x) * (1 - torch.sigmoid(x))),
    "relu": (torch.relu, lambda d, x: d * (x > 0)),
    "square": (lambda x: x * x, lambda d, x: 2 * d * x),
    "softmax": (lambda x: torch.softmax(x, -1), softmax_back),
    "layer norm": (lambda x: F.layer_norm(x, x.shape[-1:]), layer_norm_back),
    "layer norm, written out": (layer_norm, layer_norm_back),
    "RMS norm": (rms_norm, rms_norm_back),
    "attention": (attention, attention_back),
    "gated unit": (lambda a, b: F.silu(a) * b, swiglu_back),
}
INPUTS = {"attention": 3, "gated unit": 2}


class ByHand(nn.Module):
    """Linear layers, a function with a backward pass by hand, and a linear layer."""

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any], inputs: int) -> None:
        super().__init__()
        self.before = nn.ModuleList(nn.Linear(8, 6) for _ in range(inputs))
        self.after = nn.Linear(6, 3)

        class Function(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *given: Any) -> Any:
                ctx.save_for_backward(*given)
                return forward(*given)

            @staticmethod
            def backward(ctx: Any, d: Any) -> Any:
                return backward(d, *ctx.saved_tensors)

        self.function = Function.apply

    def forward(self, x: Any) -> Any:
        """Through all of them."""
        return self.after(self.function(*(layer(x) for layer in self.before)))


def report_on(kind: str, dtype: torch.dtype, seed: int) -> Any:
    """The report on a right backward pass of a kind."""
    torch.manual_seed(seed)
    net = ByHand(*KINDS[kind], INPUTS.get(kind, 1)).to(dtype)
    inputs = (torch.randn(24, 8) * 10.0 ** (torch.rand(()) - 0.3)).to(dtype)
    return check_module(net, lambda out, y: ((out.float() - y) ** 2).mean(), inputs, torch.randn(24, 3), seed=seed)


def main() -> None:
    """Print the verdicts of each kind and precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    given = parser.parse_args()
    print("| kind | precision | pass | inconclusive | fail | doubted for its rounding |\n|---|---|---|---|---|---|")
    for kind in KINDS:
        for dtype in HALVES:
            reports = [report_on(kind, dtype, seed) for seed in range(given.first, given.first + given.seeds)]
            counts = Counter(report.verdict for report in reports)
            rough = sum(any(t.cause == "rough" for t in report.tensors) for report in reports)
            print(f"| {kind} | {str(dtype).removeprefix('torch.')} | {counts['pass']} | {counts['inconclusive']} | "
                  f"{counts['fail']} | {rough} |", flush=True)


if __name__ == "__main__":
    main()
