"""Jacobians from exact changes of the recorded operators, and what gradcheck makes of them."""

import logging

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import fastcheck.torch as ft
from fastcheck._errors import NoRule
from fastcheck.checks.jacobian.point import Tolerances
from fastcheck.torch.checking import Check, Options
from fastcheck.torch.exact import moved
from fastcheck.torch.second import Gradient
from tests.torch.support import function, tensor

LIMITS = Options(Tolerances(1e-5, 1e-3, 1e-6))
FUNCTIONS = {
    "mlp": (lambda x, w: F.cross_entropy(torch.tanh(x @ w), torch.tensor([0, 2, 1])),
            lambda: (tensor(3, 4), tensor(4, 5))),
    "convolution": (lambda x, w: F.max_pool2d(F.relu(F.conv2d(x, w)), 2),
                    lambda: (tensor(1, 2, 6, 6), tensor(3, 2, 3, 3))),
    "several outputs": (lambda x: (x.sin(), x.sum(0), x.argmax()), lambda: (tensor(3, 4),)),
    "views and in place": (lambda x: x.t()[1:].clone().mul_(x[0, 0]).reshape(-1), lambda: (tensor(3, 4),)),
    "itself": (lambda x: x, lambda: (tensor(3),)),
    "complex": (lambda z: z * z.conj() + z * 2.0, lambda: (tensor(3, dtype=torch.complex128),)),
    "no axes": (lambda x: x.cumsum(0) + x.amax() * x.sum(0) + x.logsumexp(0) * torch.linalg.vector_norm(x),
                lambda: (tensor(),)),
    "sorted, no axes": (lambda x: x.sort().values + x.flip(()) + x.prod() + x.median(), lambda: (tensor(),)),
    "upper Cholesky": (lambda x: torch.linalg.cholesky(x @ x.mT + 5.0 * torch.eye(3).double(), upper=True),
                       lambda: (tensor(3, 3),)),
    "layer norm": (lambda x, w: F.layer_norm(x, (4,), w), lambda: (tensor(3, 4), tensor(4))),
    "attention": (F.scaled_dot_product_attention, lambda: (tensor(2, 3, 4), tensor(2, 3, 4), tensor(2, 3, 4))),
    "embedding": (lambda w: F.embedding(torch.tensor([0, 2, 2]), w).exp(), lambda: (tensor(3, 4),)),
}


def checked(call, inputs):
    check = Check(call, inputs, LIMITS)
    assert check.value
    assert check.kept
    return check


@pytest.mark.parametrize("name", FUNCTIONS)
def test_exact_jacobians_are_those_of_autograd_to_rounding(name):
    call, inputs = FUNCTIONS[name]
    torch.manual_seed(1)
    check = checked(call, inputs())
    expected = check.backward.jacobian()
    found = moved(check.function, check.directions).jacobian()
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=2e-13 * max(1.0, np.abs(expected).max()))
    assert check.directions.prove(expected)


def test_where_literal_directions_leave_a_doubt_exact_ones_prove(monkeypatch):
    """Rounding hides single entries of a system of bad condition from subtraction."""
    torch.manual_seed(0)
    inputs = tensor(32, 32), tensor(32, 1)
    check = checked(lambda a, b: torch.linalg.solve(a, b).sum(0), inputs)
    jacobian = check.backward.jacobian()
    assert not check.directions.prove(jacobian)
    assert check.moved.along.prove(jacobian)
    for column in (0, 77, jacobian.shape[1] - 1):
        wrong = jacobian.copy()
        wrong[0, column] += 1e-2 * np.abs(jacobian).max()
        assert not check.moved.along.prove(wrong)
    monkeypatch.setattr(type(check.moved), "jacobian", lambda _: pytest.fail("all entries were moved"))
    assert ft.gradcheck(check.call, inputs)


@pytest.mark.parametrize("name", ["mlp", "attention", "itself", "complex"])
def test_exact_jacobians_of_gradients(name):
    call, inputs = FUNCTIONS[name]
    torch.manual_seed(1)
    given = inputs()
    returned = call(*given)
    cotangents = (torch.randn_like(returned).requires_grad_(),)
    twice = Gradient(call, given, cotangents)
    check = Check(twice, given + cotangents, LIMITS, twice.names, twice.functional, twice.values)
    assert check.value
    assert check.kept
    expected = check.backward.jacobian()
    found = moved(check.function, check.directions).jacobian()
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize(("call", "says"), [
    (lambda x: x * float(x.detach().sum()), "float"),
    (lambda x: torch.from_numpy(np.sin(x.detach().numpy())) * x, "numpy"),
    (lambda x: torch.linalg.eigvals(x.diag()).abs(), "eig"),
    (lambda x: x + torch.rand(3, dtype=torch.float64), "other values"),
])
def test_functions_that_cannot_be_followed_are_refused(call, says):
    check = checked(call, (torch.zeros(3, dtype=torch.float64, requires_grad=True),))
    with pytest.raises(NoRule, match=says):
        moved(check.function, check.directions).jacobian()


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_what_noise_hides_is_settled_by_exact_changes(dtype, fast):
    """The derivatives are a ten-thousandth of what rounding of the outputs makes of the differences."""
    def forward(x):
        return 1e-7 * x.sin() + 1e6

    given = tensor(3, 4, dtype=dtype)
    assert ft.gradcheck(forward, (given,), fast_mode=fast)
    for factor in (1.5, 0.0, -1.0):
        wrong = function(forward, lambda g, x, f=factor: 1e-7 * f * g * x.cos())
        with pytest.raises(ft.GradcheckError, match="mismatch"):
            ft.gradcheck(wrong, (given,), fast_mode=fast)


@pytest.mark.parametrize("size", [1.0, 30.0, 1e3])
@pytest.mark.parametrize("fast", [False, True])
def test_saturated_functions_pass(size, fast):
    """Their derivatives are zero but for rounding, or underflow."""
    torch.manual_seed(0)
    given = tensor(3, 5)
    for call in (lambda x: (size * x).softmax(-1), lambda x: (size * x).sigmoid(), lambda x: (size * x).tanh(),
                 lambda x: F.cross_entropy(size * x, torch.tensor([0, 1, 2])), lambda x: F.gelu(size * x)):
        assert ft.gradcheck(call, (given,), fast_mode=fast)


def test_a_mistake_is_confirmed_by_exact_changes_without_moving_single_entries(caplog):
    wrong = function(lambda x: (x @ x.mT).exp().sum(), lambda g, x: 1.01 * g * 2 * (x @ x.mT).exp() @ x)
    caplog.set_level(logging.INFO, logger="fastcheck.torch")
    with pytest.raises(ft.GradcheckError, match="1 % too large"):
        ft.gradcheck(wrong, (tensor(30, 10),))
    assert not caplog.text


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-7])
def test_fast_mode_is_as_sharp_as_slow_mode_where_outputs_differ_in_scale(scale):
    """The second half of the outputs is small, and wrong in one entry."""
    def forward(x):
        return torch.cat((x.sin(), scale * x.exp()))

    def backward(g, x, factor):
        return g[:20] * x.cos() + scale * x.exp() * g[20:] * factor

    torch.manual_seed(0)
    given = tensor(20)
    ones = torch.ones(20, dtype=torch.float64)
    assert ft.gradcheck(function(forward, lambda g, x: backward(g, x, ones)), (given,), fast_mode=True)
    one = ones.clone()
    one[7] = 1.02
    for fast in (False, True):
        with pytest.raises(ft.GradcheckError, match="mismatch"):
            ft.gradcheck(function(forward, lambda g, x: backward(g, x, one)), (given,), fast_mode=fast)


@pytest.mark.parametrize("seed", range(40))
def test_one_wrong_entry_of_a_large_jacobian_is_found(seed):
    """Row by row along random directions: none of 600 entries may hide."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(20, 30, generator=generator, dtype=torch.float64)
    row, column = seed % 20, (7 * seed) % 30
    b = a.clone()
    b[row, column] += 2e-3 * (1.0 + abs(float(a[row, column])))
    given = tensor(30)
    assert ft.gradcheck(function(lambda x: a @ x, lambda g, x: a.mT @ g), (given,))
    for fast in (False, True):
        with pytest.raises(ft.GradcheckError, match=rf"output\[{row}\] / d x?\w*\[{column}\]"):
            ft.gradcheck(function(lambda x: a @ x, lambda g, x: b.mT @ g), (given,), fast_mode=fast)
