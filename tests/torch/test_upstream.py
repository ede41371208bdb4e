"""Gradients of the outputs as networks hand them to backward: strided, expanded, zero, and of some outputs only."""

import logging

import pytest
import torch

import fastcheck.torch as ft
from tests.torch.support import function, tensor, theirs


def raw(g):
    """The numbers as they lie in memory, read as if they were contiguous: what a kernel that ignores strides sees."""
    size = g.untyped_storage().size() // g.element_size() - g.storage_offset()
    flat = g.as_strided((min(size, g.numel()),), (1,))
    return torch.cat((flat, flat.new_zeros(g.numel() - flat.numel()))).view(g.shape)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("shape", [(3, 4), (5,), (2, 3, 2)])
def test_a_backward_that_ignores_strides_is_named(shape, fast):
    wrong = function(lambda x: x.sin(), lambda g, x: raw(g) * x.cos(), vmap=False)
    given = tensor(*shape)
    assert theirs(wrong, (given,))
    with pytest.raises(ft.GradcheckError, match=r"as if it were contiguous.*grad_output.contiguous\(\)"):
        ft.gradcheck(wrong, (given,), fast_mode=fast)
    right = function(lambda x: x.sin(), lambda g, x: raw(g.contiguous()) * x.cos(), vmap=False)
    assert ft.gradcheck(right, (given,), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
def test_a_backward_that_ignores_only_expansion_is_named(fast):
    """It heeds strides, but takes a stride of zero for one number that stands for the sum of all."""
    def backward(g, x):
        return x.cos() * (g / g.numel() if 0 in g.stride() else g)

    with pytest.raises(ft.GradcheckError, match="expanded"):
        ft.gradcheck(function(lambda x: x.sin(), backward, vmap=False), (tensor(3, 4),), fast_mode=fast)


def test_a_backward_of_several_outputs_that_ignores_the_strides_of_one():
    def forward(x):
        return x.sin(), x.exp()

    wrong = function(forward, lambda g, h, x: g * x.cos() + raw(h) * x.exp(), vmap=False)
    with pytest.raises(ft.GradcheckError, match="as if it were contiguous"):
        ft.gradcheck(wrong, (tensor(3, 4),))


ODD = {
    "in place": lambda g, x: g.mul_(x.cos()),
    "view": lambda g, x: (g.view(-1) * x.cos().view(-1)).view(x.shape),
    "NumPy": lambda g, x: torch.from_numpy(g.numpy().reshape(-1)).view(x.shape) * x.cos(),
    "in place, by index": lambda g, x: (g.__setitem__((0, 0), g[0, 0] * 1.0), g * x.cos())[1],
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", ODD)
def test_a_backward_that_raises_on_other_layouts_is_noted_and_passes(name, fast, caplog):
    func = function(lambda x: x.sin(), ODD[name], vmap=False)
    given = tensor(3, 4)
    assert theirs(func, (given,))
    with caplog.at_level(logging.WARNING, logger="fastcheck.torch"):
        assert ft.gradcheck(func, (given,), fast_mode=fast)
    if name in ("in place", "view"):
        assert "expanded in memory" in caplog.text or "non-contiguous in memory" in caplog.text


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("ignored", [0, 1])
def test_a_backward_that_ignores_one_output_is_found_in_both_modes(ignored, scale, fast):
    """Whatever the scale of that output beside the other."""
    def forward(x):
        return x.sin(), scale * x.exp()

    def backward(g, h, x):
        return (g * x.cos() if ignored == 1 else 0.0) + (h * scale * x.exp() if ignored == 0 else 0.0)

    given = tensor(3, 4)
    with pytest.raises(ft.GradcheckError, match=f"Jacobian mismatch for output {ignored} with respect to input 0"):
        ft.gradcheck(function(forward, backward), (given,), fast_mode=fast)
    right = function(forward, lambda g, h, x: g * x.cos() + h * scale * x.exp())
    assert ft.gradcheck(right, (given,), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
def test_a_backward_that_adds_a_constant_is_found_by_a_zero_gradient(fast):
    func = function(lambda x: x.sin(), lambda g, x: g * x.cos() + 1e-9)
    with pytest.raises(ft.GradcheckError, match="not multiplied by grad_output|not linear|mismatch"):
        ft.gradcheck(func, (tensor(3, 4),), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
def test_undefined_gradients_are_handed_to_backward_as_torch_does(fast):
    class Needs(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(x)
            return x.sin(), x.exp()

        @staticmethod
        def backward(ctx, g, h):
            (x,) = ctx.saved_tensors
            return g * x.cos() + h * x.exp()

    given = tensor(3)
    for check in (torch.autograd.gradcheck, ft.gradcheck):
        with pytest.raises(TypeError, match="NoneType"):
            check(Needs.apply, given, fast_mode=fast)


def test_a_function_of_no_outputs_passes_as_in_torch():
    for func in (lambda x: (), lambda x: x.argmax(), lambda x: ((x > 0).long(), x.argmax())):
        assert theirs(func, (tensor(3, 4),))
        assert ft.gradcheck(func, (tensor(3, 4),))
        assert ft.gradcheck(func, (tensor(3, 4),), fast_mode=True)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("change", ["shape", "dtype"])
def test_outputs_whose_form_depends_on_the_values_are_refused(change, fast):
    given = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)

    def func(x):
        if float(x[0].detach()) > 0.0:
            return x[:1] if change == "shape" else x.float()
        return x * 1.0

    with pytest.raises(AssertionError, match=f"same {change}"):
        torch.autograd.gradcheck(func, given, fast_mode=fast)
    with pytest.raises((ft.GradcheckError, AssertionError), match=f"same {change}"):
        ft.gradcheck(func, given, fast_mode=fast)


def test_without_backward_mode_backward_is_not_run():
    def never(g, x):
        raise RuntimeError("backward was run")

    class Forward(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x.sin()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, g):
            never(g, g)

        @staticmethod
        def jvp(ctx, t):
            return t * ctx.saved_tensors[0].cos()

    for fast in (False, True):
        assert ft.gradcheck(Forward.apply, (tensor(9),), check_forward_ad=True, check_backward_ad=False, fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("size", [1e-6, 1e-8])
def test_jitter_of_the_function_is_found_unless_it_is_allowed(size, fast):
    generator = torch.Generator().manual_seed(0)
    func = function(lambda x: x.sin() + size * torch.rand((), generator=generator, dtype=torch.float64),
                    lambda g, x: g * x.cos(), vmap=False)
    given = tensor(3, 4)
    with pytest.raises(ft.RandomFunctionError, match="the function is random"):
        ft.gradcheck(func, (given,), fast_mode=fast)
    assert ft.gradcheck(func, (given,), fast_mode=fast, nondet_tol=2 * size)
    wrong = function(lambda x: x.sin() + size * torch.rand((), generator=generator, dtype=torch.float64),
                     lambda g, x: 1.5 * g * x.cos(), vmap=False)
    with pytest.raises(ft.GradcheckError, match="mismatch"):
        ft.gradcheck(wrong, (given,), fast_mode=fast, nondet_tol=2 * size)


def test_an_output_of_half_precision_with_a_dropped_entry():
    wrong = function(lambda x: x.sin().half(), lambda g, x: (g.double() * x.cos()) * (torch.arange(6) != 2))
    right = function(lambda x: x.sin().half(), lambda g, x: g.double() * x.cos())
    for fast in (False, True):
        assert ft.gradcheck(right, (tensor(6),), fast_mode=fast)
        with pytest.raises(ft.GradcheckError, match="mismatch"):
            ft.gradcheck(wrong, (tensor(6),), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("shape", [(0,), (2, 0, 3), (3, 4), ()])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_outputs_of_any_shape_complex_and_empty_ones_too(shape, dtype, fast):
    given = tensor(*shape, dtype=dtype)
    for func in (lambda x: x.exp(), lambda x: x.real, lambda x: (x.sin(), x.abs().sum()), lambda x: x.resolve_conj()):
        assert theirs(func, (given,))
        assert ft.gradcheck(func, (given,), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
def test_a_complex_backward_that_ignores_strides_is_named(fast):
    wrong = function(lambda x: x * x, lambda g, x: 2 * raw(g) * x.conj(), vmap=False)
    with pytest.raises(ft.GradcheckError, match="as if it were contiguous"):
        ft.gradcheck(wrong, (tensor(3, 4, dtype=torch.complex128),), fast_mode=fast)


@pytest.mark.parametrize("fast", [True, False])
def test_a_backward_that_raises_always_is_not_blamed_for_strides(caplog, fast):
    def raising(g, x):
        raise ValueError("a bug of its own")

    with caplog.at_level(logging.WARNING, logger="fastcheck.torch"), pytest.raises(ValueError, match="a bug of its"):
        ft.gradcheck(function(lambda x: 2.0 * x, raising), (tensor(3, 4),), fast_mode=fast)
    assert not caplog.text
