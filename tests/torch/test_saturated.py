"""Saturated units: right backward passes lose digits of 1 - a that no truth loses, and mistakes are told from that."""

import numpy as np
import pytest
import torch
from torch import nn

import fastcheck.torch as ft
from tests.torch.support import function

# Activations, their slopes by what they give, and where double and single precision have few digits left of these.
UNITS = {"sigmoid": (torch.sigmoid, lambda a: a * (1.0 - a), {torch.float64: (17.0, 29.0), torch.float32: (8.0, 12.0)}),
         "tanh": (torch.tanh, lambda a: 1.0 - a * a, {torch.float64: (9.0, 15.0), torch.float32: (4.0, 7.0)})}
MISTAKES = {"twice": 2.0, "negative": -1.0, "zero": 0.0, "5 % off": 1.05}
DTYPES = [torch.float64, torch.float32]


class Saturated(nn.Module):
    """Units that a bias saturates, with a backward by hand that is off by a factor."""

    def __init__(self, seed, dtype, factor):
        super().__init__()
        rng = np.random.default_rng(seed)
        value, slope, places = UNITS[("sigmoid", "tanh")[seed % 2]]
        self.units = function(value, lambda g, z: factor * g * slope(value(z)), vmap=False)
        width = int(rng.integers(1, 5))
        self.weight = nn.Parameter(torch.tensor(rng.standard_normal((3, width)), dtype=dtype))
        self.bias = nn.Parameter(torch.full((width,), rng.uniform(*places[dtype]), dtype=dtype))
        self.x = torch.tensor(0.1 * rng.standard_normal((int(rng.integers(1, 5)), 3)), dtype=dtype)
        self.added = float(rng.choice([0.0, 1.0, 1e4]))

    def forward(self, x):
        return self.units(x @ self.weight + self.bias)

    def loss(self, outputs):
        """A loss with a part that the parameters do not change."""
        return ((outputs - 0.3) ** 2).mean() + self.added


def verdict(seed, dtype, factor=1.0):
    module = Saturated(seed, dtype, factor)
    return ft.check_module(module, module.loss, module.x).verdict


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_modules(seed, dtype):
    assert verdict(seed, dtype) != "fail"
    for name, factor in MISTAKES.items():
        assert verdict(seed, dtype, factor) == "fail", name


def agrees(seed, factor=1.0):
    module = Saturated(seed, torch.float32, factor)
    x = module.x.to(torch.float64)

    def call(weight, bias):
        return module.loss(module.units(x.to(weight) @ weight + bias))

    return ft.gradcheck(call, (module.weight, module.bias), raise_exception=False)


@pytest.mark.filterwarnings("ignore:.*not a double precision")
@pytest.mark.parametrize("seed", range(5))
def test_gradcheck_in_single_precision(seed):
    assert agrees(seed)
    for name, factor in MISTAKES.items():
        assert not agrees(seed, factor), name
