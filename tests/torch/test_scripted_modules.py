"""``check_module`` of modules that torch.jit traced or scripted."""

import pytest
import torch
from torch import nn

import fastcheck.torch as ft

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit")


def module(dtype):
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)).to(dtype)


def data(dtype):
    return torch.randn(6, 5, dtype=dtype), torch.randn(6, 3, dtype=dtype)


KINDS = {"traced": torch.jit.trace, "scripted": lambda module, x: torch.jit.script(module)}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_they_are_checked_and_are_afterwards_as_before(kind, dtype):
    x, y = data(dtype)
    made = KINDS[kind](module(dtype), x)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    report = ft.check_module(made, nn.MSELoss(), x, y)
    assert report.ok, str(report)
    assert all(p.grad is None for p in made.parameters())
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    made(x).sum().backward()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_their_wrong_gradients_fail(kind, dtype):
    x, y = data(dtype)
    made = KINDS[kind](module(dtype), x)
    weight = dict(made.named_parameters())["3.weight"]
    weight.register_hook(lambda g: -g)
    assert [t.name for t in ft.check_module(made, nn.MSELoss(), x, y).failures] == ["3.weight"]
    assert weight.grad is None
