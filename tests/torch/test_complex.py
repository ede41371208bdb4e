"""Modules with real parameters and complex numbers on the way, parts of which are written in place."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcheck.torch as ft

X = torch.tensor([0.3, -1.1, 0.8, 0.5], dtype=torch.float64)


def parts_written(w):
    z = torch.zeros(4, dtype=torch.complex128)
    z.real = w
    z.imag = X * w
    return z.abs()


def parts_changed(w):
    z = torch.complex(w, X) * 2
    z.real.mul_(w)
    z.imag[1:].add_(w[:-1])
    return (z * z).abs()


def seen_as_real(w):
    z = torch.complex(w, X)
    pairs = torch.view_as_real(z)
    pairs[:, 0] *= 2
    return z.abs().pow(2) + pairs.sum(1)


def seen_as_complex(w):
    pairs = torch.stack([w, X * w], 1).clone()
    z = torch.view_as_complex(pairs)
    z *= 1j
    return pairs[:, 0] ** 3 + z.imag


def square(z):
    return z.view(2, 2)


EXACT = {
    "exp": lambda w: torch.view_as_real(torch.exp(torch.complex(w, X))),
    "size": lambda w: torch.complex(w, X).abs(),
    "polar": lambda w: torch.polar(w.abs(), X).imag,
    "angle of polar": lambda w: torch.polar(X.abs(), w).real,
    "conjugate": lambda w: (torch.complex(w, X).conj() * torch.complex(w, w)).imag,
    "inverse transform": lambda w: torch.fft.ifft(torch.complex(X, w)).abs(),
    "matrix product": lambda w: (square(torch.complex(w, X)) @ square(torch.complex(X, w))).abs(),
    "inverse": lambda w: torch.linalg.inv(square(torch.complex(w, X))).abs(),
    "complex number": lambda w: (torch.complex(w, X) * (2 + 1j)).abs(),
    "convolution": lambda w: F.conv1d(torch.complex(X, w)[None, None], torch.complex(w[:2], X[2:])[None, None]).abs(),
    "parts written": parts_written,
    "parts changed": parts_changed,
    "seen as real": seen_as_real,
    "seen as complex": seen_as_complex,
}  # fmt: skip
ORDINARY = {
    "complex exponent": lambda w: (torch.complex(w, X) ** (0.5 + 0.2j)).real,
    "logarithm": lambda w: torch.complex(w, X).log().imag,
    "hyperbolic tangent": lambda w: torch.complex(w, X).tanh().imag,
}


class Of(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.9, 0.4, -0.7, 1.3], dtype=torch.float64))
        self.function = function

    def forward(self, _inputs):
        return self.function(self.w)


@pytest.mark.parametrize("method", ["all", "directional"])
@pytest.mark.parametrize("name", [*EXACT, *ORDINARY])
def test_right_and_wrong(name, method):
    module = Of({**EXACT, **ORDINARY}[name])
    report = ft.check_module(module, lambda out: (out**2).sum(), X, method=method)
    assert (report.verdict, report.engine) == ("pass", "program" if name in EXACT else "differences")
    module.w.register_hook(lambda gradient: 1.001 * gradient)
    assert ft.check_module(module, lambda out: (out**2).sum(), X, method=method).verdict == "fail"


class Filter(nn.Module):
    """Complex parameters in single precision."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(5, dtype=torch.complex64))

    def forward(self, x):
        return torch.fft.irfft(torch.fft.rfft(x) * self.w, n=8)


def test_complex_parameters_in_single_precision():
    torch.manual_seed(0)
    module, x = Filter(), torch.randn(3, 8)
    assert ft.check_module(module, lambda out: (out**2).mean(), x).ok
    module.w.register_hook(lambda gradient: 1.01 * gradient)
    report = ft.check_module(module, lambda out: (out**2).mean(), x)
    assert [t.name for t in report.failures] == ["w"]
