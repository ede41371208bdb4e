"""PyTorch's door: torch's own gradcheck beside ours."""

import copy
import logging

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcheck as fc
import fastcheck.torch as ft
from tests.torch.support import function, tensor, theirs

GradcheckError = ft.GradcheckError


X, W, B = (lambda: tensor(3, 4)), (lambda: tensor(5, 4)), (lambda: tensor(5))
RIGHT = {
    "linear": (F.linear, lambda: (X(), W(), B())),
    "list of inputs": (lambda x, w: torch.tanh(x @ w.T), lambda: [X(), W()]),
    "one tensor": (torch.sin, X),
    "several outputs": (lambda x: (x.sin(), x.sum(), x.argmax()), lambda: (X(),)),
    "input without gradient": (lambda x, w: F.linear(x, w).exp(), lambda: (X(), W().detach())),
    "integers and numbers": (lambda x, i, p: x[i] ** p, lambda: (X(), torch.tensor([0, 2, 2]), 3)),
    "noncontiguous": (lambda x: x.cumsum(0) * x, lambda: (X().detach().t().requires_grad_(),)),
    "scalar": (torch.exp, lambda: (tensor(),)),
    "empty": (lambda x, e: x.sin(), lambda: (X(), tensor(0))),
    "complex": (lambda z: z * z.conj() + z.exp(), lambda: (tensor(3, dtype=torch.complex128),)),
    "complex to real": (lambda z: z.abs(), lambda: (tensor(3, dtype=torch.complex128),)),
    "real to complex": (lambda x: torch.fft.fft(x), lambda: (X(),)),
    "custom": (function(torch.sin, lambda g, x: g * x.cos()), lambda: (X(),)),
    "custom without vmap": (function(torch.sin, lambda g, x: g * x.cos(), vmap=False), lambda: (X(),)),
    "control flow": (lambda x: x.sin() if x.sum().item() > -100 else x, lambda: (X(),)),
    "not used": (lambda x, w: x.sin(), lambda: (X(), W())),
    "flat at zero": (lambda x: x**3, lambda: (torch.zeros(3, dtype=torch.float64, requires_grad=True),)),
    "softmax": (lambda x: x.softmax(1).sum(), lambda: (X(),)),
    "solve": (torch.linalg.solve, lambda: (tensor(4, 4), tensor(4))),
    "sparse": (lambda s, x: torch.sparse.mm(s, x), lambda: (torch.eye(3).double().to_sparse().requires_grad_(), X())),
}
SPARSE = {"sparse": {"masked": True}}
WRONG = {
    "factor": (lambda g, x: 2 * g * x.cos(), "2.000 times the numerical gradient: a factor 2 too many"),
    "sign": (lambda g, x: -g * x.cos(), "the sign is wrong"),
    "zero": (lambda g, x: torch.zeros_like(x) * g, "exactly zero everywhere"),
    "one entry": (lambda g, x: g * (x.cos() + F.one_hot(torch.tensor(5), 12).view(3, 4)), r"\[1, 1\]"),
    "inf": (lambda g, x: g * x.cos() / (x != x[0, 0]), "dx.* is (nan|inf|-inf)"),
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_pass_as_in_torch(name, fast):
    func, inputs = RIGHT[name]
    given = inputs()
    before = copy.deepcopy(given)
    assert theirs(func, given, **SPARSE.get(name, {}))
    assert ft.gradcheck(func, given, fast_mode=fast, **SPARSE.get(name, {})) is True
    for old, new in zip(before if isinstance(before, (tuple, list)) else [before],
                        given if isinstance(given, (tuple, list)) else [given], strict=True):
        if isinstance(old, torch.Tensor):
            assert torch.equal(old.to_dense(), new.to_dense())
            assert new.grad is None


@pytest.mark.parametrize("name", ["linear", "complex", "complex to real", "several outputs", "noncontiguous", "solve"])
def test_forward_mode_and_second_derivatives(name):
    func, inputs = RIGHT[name]
    given = inputs()
    assert ft.gradcheck(func, given, check_forward_ad=True, check_batched_grad=True, check_grad_dtypes=True)
    assert ft.gradgradcheck(func, given)
    assert torch.autograd.gradgradcheck(func, given)


@pytest.mark.parametrize("vmap", [True, False])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradients_fail_as_in_torch_and_are_named(name, vmap):
    backward, words = WRONG[name]
    func = function(torch.sin, backward, vmap=vmap)
    given = X()
    assert not theirs(lambda x: func(x), (given,))
    for fast in (False, True):
        with pytest.raises(GradcheckError, match=words) as caught:
            ft.gradcheck(lambda x: func(x), (given,), fast_mode=fast)
        assert "Jacobian mismatch for output 0 with respect to input 0 (x)" in str(caught.value)
        assert "analytical" in str(caught.value)
    assert ft.gradcheck(func, (given,), raise_exception=False) is False


def test_a_wrong_second_derivative():
    """The backward of sin is right, but differentiates to nothing."""
    func = function(torch.sin, lambda g, x: g * x.detach().cos())
    given = X()
    assert ft.gradcheck(func, given)
    assert not torch.autograd.gradgradcheck(func, given, raise_exception=False)
    with pytest.raises(ft.GradcheckError, match="exactly zero everywhere"):
        ft.gradgradcheck(func, given)


def test_a_wrong_forward_mode():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x.sin()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0].cos()

        @staticmethod
        def jvp(ctx, t):
            return t * ctx.saved_tensors[0].sin()

    given = X()
    assert ft.gradcheck(Wrong.apply, given)
    assert not theirs(Wrong.apply, given, check_forward_ad=True)
    with pytest.raises(ft.GradcheckError, match="Jacobian computed with forward mode mismatch"):
        ft.gradcheck(Wrong.apply, given, check_forward_ad=True)


# --- where torch passes and we do not ---------------------------------------------------------------------------


def test_blind_spot_one_wrong_entry_in_fast_mode():
    given = (5.0 + 10.0 * torch.rand(100, dtype=torch.float64)).requires_grad_()
    wrong = F.one_hot(torch.tensor(37), 100)
    func = function(lambda x: (x**2).sum(), lambda g, x: g * (2.0 * x + wrong))
    assert theirs(func, given, fast_mode=True)
    for fast in (False, True):
        with pytest.raises(GradcheckError, match=r"only one entry is wrong|One of 100 entries") as caught:
            ft.gradcheck(func, given, fast_mode=fast)
        assert "[37]" in str(caught.value)


def test_blind_spot_a_gradient_as_small_as_atol():
    func = function(lambda x: 0.01 * (x**2).mean(), lambda g, x: 0.0 * x * g)
    given = torch.rand(3000, dtype=torch.float64, requires_grad=True)
    assert theirs(func, given)
    with pytest.raises(ft.GradcheckError, match="exactly zero everywhere"):
        ft.gradcheck(func, given)
    assert ft.gradcheck(lambda x: 0.01 * (x**2).mean(), given)


def test_blind_spot_dropout_is_called_random():
    given = tensor(20)
    with pytest.raises(GradcheckError, match="Jacobian mismatch|not reentrant"):
        torch.autograd.gradcheck(F.dropout, given)
    with pytest.raises(fc.NondeterministicError, match="the function is random.*dropout"):
        ft.gradcheck(F.dropout, given)
    assert ft.gradcheck(F.dropout, given, raise_exception=False) is False


def test_blind_spot_backward_that_is_not_linear():
    func = function(torch.sin, lambda g, x: x.cos() * g.clamp(-1.0, 1.0))
    given = X()
    assert theirs(func, given)
    with pytest.raises(ft.GradcheckError, match="not linear"):
        ft.gradcheck(func, given)


def test_a_kink_is_no_mistake():
    given = torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64, requires_grad=True)
    assert not theirs(torch.relu, given)
    assert ft.gradcheck(torch.relu, given)
    assert not ft.gradcheck(function(torch.relu, lambda g, x: 2.0 * g), given, raise_exception=False)


def test_single_precision_is_judged_by_what_it_can_resolve():
    given = tensor(4, dtype=torch.float32)
    with pytest.warns(UserWarning, match="not a double precision"):
        assert ft.gradcheck(torch.sin, given)
    with pytest.warns(UserWarning, match="not a double precision"):
        assert not ft.gradcheck(function(torch.sin, lambda g, x: 1.1 * g * x.cos()), given, raise_exception=False)


# --- arguments --------------------------------------------------------------------------------------------------


def test_tolerances_mean_what_they_mean_in_torch():
    func = function(torch.sin, lambda g, x: 1.004 * g * x.cos())
    given = X()
    for options in ({}, {"rtol": 1e-2}, {"rtol": 3e-3, "atol": 0.0}, {"atol": 5e-3}, {"eps": 1e-4, "rtol": 5e-3}):
        assert ft.gradcheck(func, given, raise_exception=False, **options) == theirs(func, given, **options), options


def test_what_torch_refuses_is_refused():
    cases = [
        (torch.sin, (X().detach(),), ValueError, "at least one input tensor to require gradient"),
        (torch.sin, (torch.zeros(1, requires_grad=True).double().expand(3),), RuntimeError, "stride 0"),
        (lambda x: x.to_sparse(), (X(),), ValueError, "Sparse output is not supported"),
    ]
    for func, given, kind, words in cases:
        for check in (torch.autograd.gradcheck, ft.gradcheck):
            with pytest.raises(kind, match=words):
                check(func, given)
    for check in (torch.autograd.gradcheck, ft.gradcheck):
        with pytest.raises(AssertionError, match="at least one of check_forward_ad"):
            check(torch.sin, X(), check_backward_ad=False)
        with pytest.raises(GradcheckError, match="expected to be zero"):
            check(lambda x: x.detach() * 2, X())
        assert check(lambda x: torch.ones(2, dtype=torch.float64), X())


def test_backward_that_differs_from_call_to_call():
    func = function(torch.sin, lambda g, x: g * x.cos() * (1.0 + 1e-7 * torch.rand(())), vmap=False)
    given = X()
    assert not theirs(func, given)
    with pytest.raises(ft.GradcheckError, match="not reentrant"):
        ft.gradcheck(func, given)
    assert ft.gradcheck(func, given, nondet_tol=1e-5)


def test_inputs_that_the_function_keeps_are_moved_in_place(caplog):
    layer = nn.Linear(4, 2).double()
    x = X().detach()
    before = [p.detach().clone() for p in layer.parameters()]
    assert ft.gradcheck(lambda *_: layer(x), tuple(layer.parameters()))
    with caplog.at_level(logging.INFO, logger="fastcheck.torch"):
        assert not ft.gradcheck(lambda *_: layer(x.detach()).detach() + layer.bias, (layer.weight, layer.bias),
                                raise_exception=False)
    assert "keeps this input itself" in caplog.text
    assert all(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))


def test_outputs_that_are_not_finite():
    with pytest.raises(ft.GradcheckError, match=r"output 0 is nan at \[1\]"):
        ft.gradcheck(torch.sqrt, torch.tensor([1.0, -1.0], dtype=torch.float64, requires_grad=True))


def test_the_callers_modes_do_not_matter_and_are_left_alone():
    given = X()
    state = torch.get_rng_state()
    with torch.no_grad():
        assert ft.gradcheck(torch.sin, given)
        assert ft.gradgradcheck(torch.sin, given)
        assert not torch.is_grad_enabled()
    assert torch.equal(state, torch.get_rng_state())


def test_fast_mode_finds_one_percent_though_little_of_it_lies_along_the_direction():
    """Softmax with one dominant pair: what a random direction sees of its Jacobian may nearly cancel."""
    for seed in range(60):
        torch.manual_seed(seed)
        given = (4.0 * torch.randn(5, 5, dtype=torch.float64)).requires_grad_()
        wrong = function(lambda x: x.softmax(0),
                         lambda g, x: 1.01 * torch.func.vjp(lambda t: t.softmax(0), x)[1](g)[0], vmap=False)
        assert not ft.gradcheck(wrong, (given,), fast_mode=True, raise_exception=False), seed


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(("returned", "says"), [
    (lambda x: {"a": x.sin()}, "got dict"), (lambda x: (x.sin(), None), r"got NoneType at place 1"),
    (lambda x: float(x.sum()), "got float"), (lambda x: x.detach().numpy(), "got ndarray"),
])
def test_what_is_no_tensor_is_refused_by_its_kind(returned, says, fast):
    with pytest.raises(TypeError, match=rf"^func: expected a tensor or a tuple of tensors, {says}"):
        ft.gradcheck(returned, (tensor(3),), fast_mode=fast)


def test_a_none_that_ends_backward_is_among_what_to_look_for():
    class SineAndCosine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(x)
            return x.sin(), x.cos()

        @staticmethod
        def backward(ctx, g, h):
            (x,) = ctx.saved_tensors
            return None if g is None else g * x.cos() - (0 if h is None else h * x.sin())

    with pytest.raises(GradcheckError, match="not linear(.|\n)*where the gradient of one of them is None"):
        ft.gradcheck(SineAndCosine.apply, (tensor(4),))


def small(scale, size=4):
    return (torch.randn(size, dtype=torch.float64) * scale).requires_grad_()


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("scale", [1e-12, 1e-8, 1e-5, 1.0, 1e8])
def test_inputs_that_are_smaller_than_a_step_are_moved_by_less(scale, fast):
    """Metres of an optical path, farads: what the function does there happens within a step of ordinary inputs."""
    def call(x):
        return (x / scale).tanh() * scale

    assert ft.gradcheck(call, (small(scale),), fast_mode=fast)
    wrong = function(call, lambda g, x: 1.1 * g * (1.0 - (x / scale).tanh() ** 2))
    assert not ft.gradcheck(wrong, (small(scale),), fast_mode=fast, raise_exception=False)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("call", [torch.sqrt, torch.log, lambda x: x**0.3, lambda x: (x * torch.log(x)).sum()[None]])
def test_entries_that_are_nearer_to_the_edge_of_the_domain_than_a_step(call, fast):
    x = torch.tensor([1e-10, 1e-6, 1.0], dtype=torch.float64).requires_grad_()
    assert ft.gradcheck(call, (x,), fast_mode=fast)

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return call(x)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                return torch.autograd.grad(call(x), x, g)[0] * torch.tensor([0.5, 1.0, 1.0], dtype=x.dtype)

    assert not ft.gradcheck(Wrong.apply, (x,), fast_mode=fast, raise_exception=False)


@pytest.mark.parametrize("fast", [False, True])
def test_parameters_of_several_units_in_one_vector(fast):
    """A fitted line: where it stands, how wide it is, its background and its height."""
    units = torch.tensor([1e-9, 1e-8, 1.0, 1e3], dtype=torch.float64)
    at = torch.linspace(0.0, 2e-8, 5, dtype=torch.float64)

    def line(x):
        return x[3] * torch.exp(-(((at - x[1]) / (10.0 * x[0])) ** 2)) + x[2]

    x = (torch.tensor([0.3, 0.7, 1.1, 0.5], dtype=torch.float64) * units).requires_grad_()
    assert ft.gradcheck(line, (x,), fast_mode=fast)
    for entry in range(4):
        factor = torch.ones(4, dtype=torch.float64)
        factor[entry] = 1.1

        def scaled(x, factor=factor):
            y = x.clone()
            if y.requires_grad:
                y.register_hook(lambda g: g * factor)
            return line(y)

        assert not ft.gradcheck(scaled, (x,), fast_mode=fast, raise_exception=False), entry


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_sizes_whose_squares_are_no_numbers(size):
    """Squares that overflowed were warned of."""
    x = size * torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)
    for call in (torch.relu, torch.sum):
        assert ft.gradcheck(call, (x.clone().requires_grad_(),), fast_mode=True)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("size", [1e-9, 1e6, 1e20])
def test_an_entry_beside_a_far_larger_one_is_seen(fast, size):
    """In fast mode what is left of the large one's rounding hid it."""

    def scaled(x, factor):
        y = x * 2.0
        factors = torch.tensor([1.0, 1.0, factor], dtype=torch.float64)
        if y.requires_grad:
            y.register_hook(lambda g: None if g is None else g * factors)
        return y.sum()

    x = torch.tensor([0.3 * size, -0.7, 1.1], dtype=torch.float64, requires_grad=True)
    assert ft.gradcheck(lambda x: scaled(x, 1.0), (x,), fast_mode=fast)
    assert not ft.gradcheck(lambda x: scaled(x, 1.01), (x,), fast_mode=fast, raise_exception=False)
