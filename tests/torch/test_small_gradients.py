"""``check_module(tolerance=...)`` of gradients in low precision near the ends of its range."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcheck.torch as ft
from tests.torch.support import function

HALVES = [torch.float16, torch.bfloat16]


class Scaled(nn.Module):
    """A layer whose gradient is multiplied by a factor on the way back."""

    def __init__(self, factor, dtype):
        super().__init__()
        self.linear = nn.Linear(5, 3, dtype=dtype)
        self.scaled = function(lambda x: x.clone(), lambda g, x: factor * g)

    def forward(self, x):
        return self.scaled(self.linear(x))


def times(factor):
    return lambda o, t: F.mse_loss(o.float(), t.float()) * factor


def data(dtype):
    return torch.randn(6, 5, dtype=dtype), torch.randn(6, 3, dtype=dtype)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("size", [1.0, 1e-3])
@pytest.mark.parametrize("factor", [-1.0, 0.0, 3.0, 1.5])
def test_wrong_gradients_of_small_losses_fail_at_a_tolerance(dtype, size, factor):
    report = ft.check_module(Scaled(factor, dtype), times(size), *data(dtype), tolerance=0.1)
    assert {t.name for t in report.failures} == {"linear.weight", "linear.bias"}, str(report)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-4, 1e-5, 1e-7])
def test_right_gradients_of_small_losses_do_not_fail_at_a_tolerance(dtype, size):
    report = ft.check_module(Scaled(1.0, dtype), times(size), *data(dtype), tolerance=0.1)
    assert report.ok or (dtype == torch.float16 and size < 1e-4 and report.verdict == "inconclusive"), str(report)


@pytest.mark.parametrize(("dtype", "size"), [(torch.float16, 1e-7), (torch.float32, 1e-38), (torch.bfloat16, 1e-38)])
@pytest.mark.parametrize("factor", [-1.0, 0.0])
def test_what_is_below_the_range_of_its_precision_passes_no_mistake(dtype, size, factor):
    report = ft.check_module(Scaled(factor, dtype), times(size), *data(dtype), tolerance=0.1)
    assert report.verdict in ("inconclusive", "fail"), str(report)


def test_gradients_in_bfloat16_keep_its_range():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).bfloat16()
    for size in (1e6, 1e-9):
        report = ft.check_module(module, lambda o, t, size=size: (F.mse_loss(o, t) * size).float(),
                                 *data(torch.bfloat16), tolerance=0.1)
        assert report.ok, str(report)


def test_gradients_in_bfloat16_are_called_by_their_name():
    report = ft.check_module(Scaled(-1.0, torch.bfloat16), times(1.0), *data(torch.bfloat16), tolerance=0.1)
    assert "float16" not in str(report).replace("bfloat16", "")
    assert "bfloat16" in str(report)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_a_loss_that_is_met_exactly_in_low_precision_alone(seed, dtype):
    """Its gradient is exactly zero and the truth is not: that is what rounding of the outputs makes of it."""
    def report(factor):
        torch.manual_seed(seed)
        module, x = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype), torch.randn(10, 4).to(dtype)
        targets = module(x).detach()
        wrong = function(lambda z: z.clone(), lambda g, z: factor * g)
        module.register_forward_hook(lambda part, given, out: wrong(out))
        return ft.check_module(module, nn.functional.mse_loss, x, targets)

    assert report(1.0).verdict != "fail", str(report(1.0))
    for factor in (0.0, 1.5, -1.0):
        assert report(factor).verdict == "fail"
