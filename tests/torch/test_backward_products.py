"""Large Jacobians: proven by products of backward with random gradients, and formed only where those prove nothing."""

import pytest
import torch
from torch.autograd.gradcheck import GradcheckError
from torch.nn import functional as F

import fastcheck.torch as ft
from fastcheck.checks.jacobian.point import Tolerances
from fastcheck.torch.backward import Backward
from fastcheck.torch.backward_products import Products
from fastcheck.torch.checking import Check, Options
from tests.torch.support import function, tensor

LIMITS = Options(Tolerances(1e-5, 1e-3, 1e-6))
SIZE = 300
FUNCTIONS = {
    "one input": (torch.sin, (SIZE,)),
    "two inputs": (lambda x, y: x.sin() * y, (SIZE,), (SIZE,)),
    "several outputs": (lambda x, y: (x.sin() * y, (x * y).cumsum(0), y.sum()), (SIZE,), (SIZE,)),
    "outputs that differ in scale": (lambda x: x.sin() * torch.logspace(-4, 4, SIZE).double(), (SIZE,)),
    "outputs that do not move": (F.relu, (SIZE,)),
    "an empty input": (lambda x, y: x.exp() + y.sum(), (SIZE,), (0,)),
    "complex outputs": (torch.fft.fft, (SIZE,)),
    "a matrix product": (torch.matmul, (16, 20), (20, 18)),
    "rounding": (lambda x: (x + 1e4).sin(), (SIZE,)),
}


def checked(call, *inputs):
    """A check of which the function is known, and that its Jacobian is large."""
    check = Check(call, inputs, LIMITS)
    assert check.value
    assert check.kept
    assert check._large
    return check


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_right_jacobian_is_never_formed(name, monkeypatch):
    call, *shapes = FUNCTIONS[name]
    monkeypatch.setattr(Backward, "jacobian", lambda *_: pytest.fail("the Jacobian was formed"))
    torch.manual_seed(0)
    assert ft.gradcheck(call, tuple(tensor(*shape) for shape in shapes))


WRONG = {
    "an entry": lambda g, x: g * x.cos() * torch.where(torch.arange(SIZE) == SIZE // 2, 1.01, 1.0),
    "a factor": lambda g, x: g * x.cos() * 1.01,
    "shifted": lambda g, x: (g * x.cos()).roll(1),
    "a wrong place": lambda g, x: g * x.cos() + torch.where(torch.arange(SIZE) == 3, g[SIZE - 1] * 1e-4, 0.0),
}


@pytest.mark.parametrize("weights", [1.0, torch.logspace(-1, 6, SIZE).double()], ids=["alike", "differ in scale"])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_entry_is_not_proven_and_is_found(name, weights):
    torch.manual_seed(0)
    x = tensor(SIZE)
    call = function(lambda x: x.sin() * weights, lambda g, x: WRONG[name](g * weights, x))
    check = checked(call, x)
    assert not Products(check.backward, check.directions).prove()
    assert not Products(check.backward, check.moved.along).prove()
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        ft.gradcheck(call, (x,))


@pytest.mark.parametrize("chosen", [
    lambda g: torch.where(g.abs() == g.abs().max(), g, 0.0),
    lambda g: torch.where(g.abs() >= g.abs().median(), g, 0.0),
    lambda g: g * (1.0 if (g == 0.0).any() else 2.0),
], ids=["the largest", "the larger half", "whether there are zeros"])
def test_a_backward_that_does_not_add_up_is_not_proven(chosen):
    """Each is right, or wrong by a factor only, for each row by itself, and heeds factors."""
    x = tensor(SIZE)
    call = function(torch.sin, lambda g, x: chosen(g) * x.cos())
    check = checked(call, x)
    assert not Products(check.backward, check.directions).prove()
    with pytest.raises(GradcheckError):
        ft.gradcheck(call, (x,))


def test_what_rounding_hides_of_a_row_is_not_proven():
    """A row that is smaller than the others' rounding: right or wrong, products cannot tell."""
    torch.manual_seed(0)
    weights = torch.where(torch.arange(SIZE) == 7, 1e-9, 1e3).double()
    x = tensor(SIZE)
    for factor in (1.0, 1.1):
        wrong = torch.where(torch.arange(SIZE) == 7, factor, 1.0).double()
        call = function(lambda x: x.sin() * weights + 1e3, lambda g, x, w=wrong: g * x.cos() * weights * w)
        check = checked(call, x)
        assert not Products(check.backward, check.directions).prove()


@pytest.mark.parametrize("fast", [False, True])
def test_outputs_without_numbers(fast):
    assert ft.gradcheck(lambda x: x[:0] * 2, (tensor(3),), fast_mode=fast)
    assert ft.gradcheck(lambda x: (x[:0] * 2, x.sin()), (tensor(3),), fast_mode=fast)
