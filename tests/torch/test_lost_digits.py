"""Right gradients of modules that lose digits inside, in units that are saturated or by cancelling, are not wrong."""

import numpy as np
import pytest
import torch
from torch import nn

import fastcheck as fc
import fastcheck.torch as ft
from fastcheck.torch.program.operators import EXACT
from tests.support.lost_digits import CASES
from tests.torch.support import function
from tests.torch.watched import ALWAYS

SEEDS = range(3)
WRONG = (1.01, -1.0)


class Number(nn.Module):
    """A function of one parameter, with a gradient that loses no digits and may be off by a factor."""

    def __init__(self, case, seed, dtype, factor):
        super().__init__()
        self.t = nn.Parameter(torch.tensor(case.at(np.random.default_rng(seed)), dtype=dtype))
        self.value = function(lambda t: case.value(torch, t), lambda g, t: factor * g * torch.as_tensor(
            case.slope(t.detach().to(torch.float64).numpy()), dtype=t.dtype), vmap=False)

    def forward(self, x):
        return x * self.value(self.t)


def verdict(name, seed, dtype=torch.float64, factor=1.0, method=None):
    module = Number(CASES[name], seed, dtype, factor)
    return ft.check_module(module, lambda found: found, torch.ones((), dtype=dtype), method=method).verdict


@pytest.mark.parametrize("method", [None, "directional"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_functions(name, dtype, method):
    for seed in SEEDS:
        assert verdict(name, seed, dtype, method=method) != "fail"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_mistakes_in_functions(name, dtype):
    for seed in SEEDS:
        for factor in WRONG:
            assert verdict(name, seed, dtype, factor) == "fail"


def classifier(z, seed, deep, factor=1.0):
    """Return a classifier whose surest answer, of logit ``z``, is wrong, and its data."""
    torch.manual_seed(seed)
    before = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1)) if deep else nn.Sequential(nn.Linear(4, 1))
    module = nn.Sequential(before, nn.Sigmoid()).double()
    wrong = function(lambda z: z.clone(), lambda g, z: factor * g)
    if factor != 1.0:
        before.register_forward_hook(lambda part, given, out: wrong(out))
    x = torch.randn(16, 4, dtype=torch.float64)
    with torch.no_grad():
        share = z / before(x).max()
        for parameter in before[-1].parameters():
            parameter *= share
        logits = before(x)
        y = (logits > 0).double()
        y[logits.argmax()] = 0.0
    return module, x, y


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("z", [18.0, 20.0, 22.0, 24.0, 27.0])
def test_cross_entropy_of_a_wrong_answer_that_is_sure(z, deep):
    for seed in (0, 2, 3, 5):
        module, x, y = classifier(z, seed, deep)
        report = ft.check_module(module, nn.BCELoss(), x, y)
        assert report.verdict != "fail"
        assert report.engine != "differences"


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("factor", WRONG)
def test_mistakes_beside_it(factor, deep):
    for z in (18.0, 22.0):
        module, x, y = classifier(z, 2, deep, factor)
        assert ft.check_module(module, nn.BCELoss(), x, y).verdict == "fail"


@pytest.mark.parametrize("factor", [1.0, *WRONG])
def test_watched_steps(factor):
    module, x, y = classifier(22.0, 2, deep=True, factor=factor)
    watch, loss = ft.Watch(module, nn.BCELoss(), x, y, overhead=ALWAYS), nn.BCELoss()
    caught = None
    for number in range(3):
        here = (1.0 + 1e-3 * number) * x
        module.zero_grad()
        loss(module(here), y).backward()
        try:
            watch(here, y)
        except fc.GradientMismatch as error:
            caught = error
    assert (caught is None) == (factor == 1.0)


def test_operators_that_only_move_numbers_are_known():
    aten = torch.ops.aten
    assert {aten.view.default, aten.permute.default, aten.slice.Tensor, aten.expand.default, aten.cat.default,
            aten.as_strided.default, aten.clone.default, aten.alias.default, aten.detach.default} <= EXACT
    assert not EXACT & {aten.add.Tensor, aten.mul.Tensor, aten.mm.default, aten.sum.dim_IntList, aten.cumsum.default,
                        aten.mean.default, aten.exp.default, aten.scatter_add.default, aten.index_add.default}
