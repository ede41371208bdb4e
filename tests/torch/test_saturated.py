"""Saturated units: right backward passes lose digits of 1 - a that no truth loses, and mistakes are told from that."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

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


def learned(margin, part):
    """Classifiers that give every sample its class, by that margin at least, and their data."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), part(), nn.GELU(), nn.Linear(8, 3))
    x = torch.randn(10, 4)
    with torch.no_grad():
        best = module(x).topk(2, dim=1)
        for parameter in module[-1].parameters():
            parameter *= margin / float((best.values[:, 0] - best.values[:, 1]).min())
    return module, x, best.indices[:, 0]


PARTS = {"none": nn.Identity, "layer": lambda: nn.LayerNorm(8), "batch": lambda: nn.BatchNorm1d(8)}


@pytest.mark.parametrize("margin", [10.0, 15.0, 20.0])
@pytest.mark.parametrize("part", PARTS)
def test_classifiers_that_have_learned_everything(part, margin):
    """In single precision nothing but rounding is left of p - 1, at all points around."""
    module, x, y = learned(margin, PARTS[part])
    assert ft.check_module(module, nn.CrossEntropyLoss(), x, y).ok


@pytest.mark.parametrize("margin", [10.0, 20.0])
@pytest.mark.parametrize("factor", [1.05, -1.0])
@pytest.mark.parametrize("place", ["module", "loss"])
def test_mistakes_where_everything_is_learned(place, factor, margin):
    module, x, y = learned(margin, PARTS["layer"])
    wrong = function(lambda z: z.clone(), lambda g, z: factor * g)
    if place == "module":
        module.register_forward_hook(lambda part, given, out: wrong(out))
    report = ft.check_module(module, lambda z, t: cross_entropy(wrong(z) if place == "loss" else z, t), x, y)
    assert report.verdict == "fail"


@pytest.mark.parametrize("part", ["none", "layer"])
def test_gradients_below_the_smallest_numbers_are_no_mistakes(part):
    module, x, y = learned(300.0, PARTS[part])
    assert ft.check_module(module, nn.CrossEntropyLoss(), x, y).verdict != "fail"


def divergence(margin, factor=1.0, seed=0):
    """Return the verdict on a classifier by its divergence from what it has learned, with its output's gradient off."""
    torch.manual_seed(seed)
    module, x = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double(), torch.randn(10, 4).double()
    with torch.no_grad():
        best = module(x).topk(2, dim=1)
        for parameter in module[-1].parameters():
            parameter *= margin / float((best.values[:, 0] - best.values[:, 1]).min())
    wrong = function(lambda z: z.clone(), lambda g, z: factor * g)
    module.register_forward_hook(lambda part, given, out: wrong(out))
    targets = torch.nn.functional.one_hot(best.indices[:, 0], 3).double()

    def loss(z, t):
        return torch.nn.functional.kl_div(torch.log_softmax(z, 1), t, reduction="batchmean")

    return ft.check_module(module, loss, x, targets).verdict


@pytest.mark.parametrize("margin", [37.0, 60.0, 200.0])
@pytest.mark.parametrize("seed", [0, 1, 8])
def test_a_loss_of_exactly_zero_is_no_proof_of_derivatives_of_zero(margin, seed):
    """It is taken by ordinary differences, all of which are zero: log(1 + 1e-17) is."""
    assert divergence(margin, seed=seed) == "inconclusive"
    assert divergence(20.0, seed=seed) != "fail"
    for factor in (1.05, -1.0, 0.0):
        assert divergence(20.0, factor, seed) == "fail"
