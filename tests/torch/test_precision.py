"""Inputs that the step is lost in, and inputs and kernels of low precision."""

import warnings

import pytest
import torch

import fastcheck.torch as ft
from tests.torch.support import function, tensor

LOW = [torch.float32, torch.float16, torch.bfloat16]


@pytest.fixture(autouse=True)
def _no_advice():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not a double precision")
        yield


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize("values", [[33.0, 64.0], [300.0, 4096.0], [0.1, 2.0], [0.0, 1.0]])
def test_the_step_is_not_lost_in_inputs_of_low_precision(values, dtype, fast):
    given = torch.tensor(values, dtype=dtype, requires_grad=True)
    assert ft.gradcheck(lambda x: x / 10, (given,), fast_mode=fast)
    wrong = function(lambda x: x / 10, lambda g, x: g / 9)
    with pytest.raises(ft.GradcheckError, match="mismatch"):
        ft.gradcheck(wrong, (given,), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("size", [1e10, 1e11, 1e13, 1e-9])
def test_the_step_is_not_lost_in_double_precision_either(size, fast):
    given = (size * torch.tensor([1.0, 3.0], dtype=torch.float64)).requires_grad_()
    assert ft.gradcheck(lambda x: x / 10, (given,), fast_mode=fast)
    with pytest.raises(ft.GradcheckError, match="mismatch"):
        ft.gradcheck(function(lambda x: x / 10, lambda g, x: g / 9), (given,), fast_mode=fast)


def only(dtype, forward, backward):
    """A function with a kernel for one precision alone."""
    def typed(x):
        if x.dtype != dtype:
            raise TypeError(f"expected {dtype}, got {x.dtype}")
        return forward(x)
    return function(typed, backward)


SMOOTH = {
    "sin": (torch.sin, lambda g, x: g * x.cos()),
    "square": (lambda x: x * x, lambda g, x: 2 * g * x),
    "exp": (torch.exp, lambda g, x: g * x.exp()),
    "tanh": (torch.tanh, lambda g, x: g * (1 - x.tanh() ** 2)),
    "sum of squares": (lambda x: (x * x).sum(), lambda g, x: 2 * g * x),
    "softmax": (lambda x: x.softmax(-1), lambda g, x: x.softmax(-1) * (g - (g * x.softmax(-1)).sum(-1, keepdim=True))),
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SMOOTH)
def test_kernels_of_single_precision(name, seed, fast):
    forward, backward = SMOOTH[name]
    torch.manual_seed(seed)
    given = tensor(3, 5, dtype=torch.float32)
    assert ft.gradcheck(only(torch.float32, forward, backward), (given,), fast_mode=fast)
    for factor in (1.01, -1.0, 0.0):
        with pytest.raises(ft.GradcheckError, match="mismatch"):
            ft.gradcheck(only(torch.float32, forward, lambda g, x, f=factor: f * backward(g, x)), (given,),
                         fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", SMOOTH)
def test_kernels_of_half_precision(name, dtype, seed, fast):
    """Right ones are never called wrong; grossly wrong ones are found."""
    forward, backward = SMOOTH[name]
    torch.manual_seed(seed)
    given = tensor(3, 5, dtype=dtype)
    assert ft.gradcheck(only(dtype, forward, backward), (given,), fast_mode=fast)
    for factor in (25.0, -1.0, 0.0, 1.5):
        with pytest.raises(ft.GradcheckError, match="mismatch"):
            ft.gradcheck(only(dtype, forward, lambda g, x, f=factor: f * backward(g, x)), (given,), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("dtype", LOW)
@pytest.mark.parametrize("name", SMOOTH)
def test_functions_that_can_run_in_double_are_checked_to_one_percent(name, dtype, fast):
    forward, backward = SMOOTH[name]
    given = tensor(3, 5, dtype=dtype)
    assert ft.gradcheck(function(forward, backward), (given,), fast_mode=fast)
    with pytest.raises(ft.GradcheckError, match="mismatch"):
        ft.gradcheck(function(forward, lambda g, x: 1.01 * backward(g, x)), (given,), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
def test_single_precision_hidden_in_double(fast):
    """The function takes double precision and works in single."""
    given = tensor(3, 5)
    assert ft.gradcheck(lambda x: x.float().sin().double(), (given,), fast_mode=fast)
    wrong = function(lambda x: x.float().sin().double(), lambda g, x: 1.01 * g * x.cos())
    with pytest.raises(ft.GradcheckError, match="mismatch"):
        ft.gradcheck(wrong, (given,), fast_mode=fast)


def test_a_mistake_of_the_low_precision_alone_is_found():
    """Right in double precision, wrong in single."""
    func = function(torch.sin, lambda g, x: g * x.cos() * (1.0 if x.dtype == torch.float64 else 1.1), vmap=False)
    assert ft.gradcheck(func, (tensor(4),))
    for fast in (False, True):
        with pytest.raises(ft.GradcheckError, match="mismatch"):
            ft.gradcheck(func, (tensor(4, dtype=torch.float32),), fast_mode=fast)


def test_float16_square_with_a_backward_25_times_too_large_in_fast_mode():
    func = only(torch.float16, lambda x: x * x, lambda g, x: 50 * g * x)
    with pytest.raises(ft.GradcheckError, match="mismatch"):
        ft.gradcheck(func, (tensor(6, dtype=torch.float16),), fast_mode=True)


def _casting(x, w):
    return torch.nn.functional.silu(x.float() @ w.float().mT).to(x.dtype)


def _casting_backward(g, x, w, factor=1.0):
    z = x.float() @ w.float().mT
    s = torch.sigmoid(z)
    dz = g.float() * s * (1 + z * (1 - s))
    return (dz @ w.float()).to(x.dtype), (factor * dz.mT @ x.float()).to(w.dtype)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
def test_kernels_that_cast_by_themselves_are_differenced_in_double_precision(dtype, fast):
    generator = torch.Generator().manual_seed(0)
    given = tuple(torch.randn(n, 12, generator=generator).to(dtype).requires_grad_() for n in (24, 10))
    right = function(_casting, _casting_backward, vmap=False)
    assert ft.gradcheck(right, given, fast_mode=fast)
    wrong = function(_casting, lambda g, x, w: _casting_backward(g, x, w, 1.02), vmap=False)
    with pytest.raises(ft.GradcheckError, match="with respect to input 1"):
        ft.gradcheck(wrong, given, fast_mode=fast)


@pytest.mark.parametrize("dtype", LOW, ids=str)
def test_what_a_function_closes_over_keeps_its_precision(dtype):
    """Products refuse to mix precisions; a constant of less is none of what is checked."""
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(n, 12, generator=generator).to(dtype) for n in (24, 10))
    for factor in (1.0, 1.02):
        own = function(torch.tanh, lambda g, z, factor=factor: factor * g * (1.0 - z.tanh() ** 2), vmap=False)
        found = ft.gradcheck(lambda w, own=own: own(x @ w.mT).sum(), (w.clone().requires_grad_(),),
                             raise_exception=False)
        assert found == (factor == 1.0)


def _linear_of(dtype, factor):
    """x W^T whose weight gradient is off by a factor in one precision alone."""
    class Linear(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x @ w.mT

        @staticmethod
        def backward(ctx, upstream):
            x, w = ctx.saved_tensors
            return upstream @ w, (upstream.mT @ x) * (factor if x.dtype == dtype else 1.0)

    return Linear.apply


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(("dtype", "factor"), [
    (torch.float32, 1.001), (torch.float16, 1.01), (torch.float16, 0.98), (torch.bfloat16, 1.02),
    (torch.bfloat16, 0.96),
])
def test_a_factor_of_the_low_precision_alone_is_found_by_its_spread(dtype, factor, fast):
    """Tolerances allow entries several per cent there; the spread of all of them together does not."""
    generator = torch.Generator().manual_seed(0)
    given = tuple(torch.randn(n, 12, generator=generator).to(dtype).requires_grad_() for n in (24, 10))
    assert ft.gradcheck(_linear_of(dtype, 1.0), given, fast_mode=fast)
    with pytest.raises(ft.GradcheckError, match="with respect to input 1"):
        ft.gradcheck(_linear_of(dtype, factor), given, fast_mode=fast)
