"""check_kernel: right kernels pass in their own precision; wrong numbers and broken contracts are named."""

import pytest
import torch
import torch.nn.functional as F

import fastcheck.torch as ft
from tests.torch.support import function

PRECISIONS = [torch.bfloat16, torch.float16, torch.float32]


def reference(x, w):
    return F.silu(x @ w.mT)


def forward(x, w):
    return F.silu(x.float() @ w.float().mT).to(x.dtype)


def gradients(g, x, w):
    z = x.float() @ w.float().mT
    s = torch.sigmoid(z)
    dz = g.float() * s * (1 + z * (1 - s))
    return (dz @ w.float()).to(x.dtype), (dz.mT @ x.float()).to(w.dtype)


def inputs(dtype, rows=24):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(rows, 12, generator=generator).to(dtype).requires_grad_(),
            torch.randn(10, 12, generator=generator).to(dtype).requires_grad_())


def kernel(backward=gradients, forward=forward):
    return function(forward, backward, vmap=False)


def contiguous(g, x, w):
    return gradients(g.contiguous(), x, w)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_a_right_kernel_passes_and_states_its_power(dtype):
    report = ft.check_kernel(kernel(), reference, inputs(dtype))
    assert report, str(report)
    assert 0 < max(report.power.values()) < 0.04
    assert "probability 0.999" in str(report)


def factor(g, x, w):
    dx, dw = gradients(g, x, w)
    return dx, dw * 1.02


def silu_term(g, x, w):
    z = x.float() @ w.float().mT
    dz = g.float() * torch.sigmoid(z)
    return (dz @ w.float()).to(x.dtype), (dz.mT @ x.float()).to(w.dtype)


def tail_of_block(g, x, w):
    cut = x.clone()
    cut[16:] = 0
    return gradients(g, x, w)[0], gradients(g, cut, w)[1]


def last_row(g, x, w):
    dx, dw = gradients(g, x, w)
    dx[-1] = 0
    return dx, dw


WRONG = {"factor": (factor, "input 1 is 1.02"), "silu": (silu_term, "input 0 differs"),
         "tail": (tail_of_block, "input 1"), "row": (last_row, r"input 0\[23, :\] \(the last\)")}


@pytest.mark.parametrize("dtype", PRECISIONS[:2], ids=str)
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_gradient_is_named(name, dtype):
    backward, says = WRONG[name]
    report = ft.check_kernel(kernel(backward), reference, inputs(dtype), contract=False)
    assert report.verdict == "fail", str(report)
    with pytest.raises(AssertionError, match=says):
        report.raise_if_wrong()


def test_a_wrong_forward_pass_is_named():
    wrong = kernel(forward=lambda x, w: forward(x, w) * 1.03)
    assert any(s.startswith("the output is 1.03 times") for s in
               ft.check_kernel(wrong, reference, inputs(torch.bfloat16), contract=False).failures)


def raw(g, x, w):
    size = min(g.untyped_storage().nbytes() // g.element_size(), g.numel())
    flat = g.as_strided((size,), (1,), 0)
    return gradients(torch.cat([flat, flat.new_zeros(g.numel() - size)]).view(g.shape), x, w)


def kept(g, x, w):
    return gradients(g + 0.1, x, w)


def in_place(g, x, w):
    found = gradients(g, x, w)
    g.mul_(2)
    return found


def unwritten(g, x, w):
    dx, dw = gradients(g, x, w)
    out = torch.empty_like(dx)
    out[:-1] = dx[:-1]
    return out, dw


COUNT = [0]


def random(g, x, w):
    COUNT[0] += 1
    dx, dw = gradients(g, x, w)
    return dx * (1 + 2.0**-6 * (COUNT[0] % 2)), dw


BROKEN = {
    "strides": (raw, "as if it were contiguous"), "zero": (kept, "does not pass zeros back"),
    "in place": (in_place, "changes the gradient that it is handed|raises on an expanded gradient"),
    "unwritten": (unwritten, "never written|input 0"), "random": (random, "not deterministic"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_clause_of_the_contract_is_named(name):
    backward, says = BROKEN[name]
    report = ft.check_kernel(kernel(backward), reference, inputs(torch.bfloat16))
    with pytest.raises(AssertionError, match=says):
        report.raise_if_wrong()


@pytest.mark.parametrize("dtype", [*PRECISIONS, torch.float64], ids=str)
def test_what_is_zero_in_theory_may_be_added_up_in_another_order(dtype):
    """A bias before the mean is subtracted: all of its gradient is rounding.  It failed three times over."""
    def centred(x, b):
        return torch.tanh(x + b - (x + b).mean(0))

    def backward(g, x, b):
        dz = g * (1 - centred(x, b) ** 2)
        dz = dz - dz.mean(0)
        return dz, dz.sum(0) if g.is_contiguous() else dz.flip(0).cumsum(0)[-1]

    generator = torch.Generator().manual_seed(0)
    given = [torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_() for shape in ((24, 5), (5,))]
    report = ft.check_kernel(kernel(backward, centred), centred, given)
    assert report, str(report)
    wrong = ft.check_kernel(kernel(lambda g, x, b: (backward(g, x, b)[0], 0.1 * g.sum(0)), centred), centred, given)
    assert "input 1" in wrong.failures[0]


def test_odd_and_empty_sizes_are_tried():
    def even(x, w):
        if len(x) % 2:
            raise RuntimeError("rows must be even")
        return forward(x, w)

    def not_empty(x, w):
        if not len(x):
            raise RuntimeError("invalid launch configuration")
        return forward(x, w)

    assert "with 23 rows" in str(ft.check_kernel(kernel(forward=even), reference, inputs(torch.bfloat16)))
    assert "empty inputs" in str(ft.check_kernel(kernel(forward=not_empty), reference, inputs(torch.bfloat16)))


def test_large_numbers_are_tried():
    def softmax(x):
        e = torch.exp(x)
        return e / e.sum(-1, keepdim=True)

    x = torch.randn(6, 8, generator=torch.Generator().manual_seed(1)).half().requires_grad_()
    report = ft.check_kernel(softmax, lambda x: torch.softmax(x, -1), (x,))
    assert any("64 times as large" in sentence for sentence in report.failures), str(report)


def test_further_inputs_are_held_against_the_reference_too():
    def wrong(g, x, w):
        dx, dw = gradients(g, x, w)
        return dx, dw * (2.0 if len(x) == 7 else 1.0)

    report = ft.check_kernel(kernel(wrong), reference, inputs(torch.bfloat16),
                             more_inputs=[inputs(torch.bfloat16, rows=7)], contract=False)
    assert any("more_inputs[0]" in sentence for sentence in report.failures)


def test_a_reference_that_is_wrong_or_does_not_fit_is_refused():
    wrong = function(lambda x, w: F.silu(x @ w.mT), lambda g, x, w: (g @ w, g.mT @ x), vmap=False)
    with pytest.raises(ft.GradcheckError):
        ft.check_kernel(kernel(), wrong, inputs(torch.bfloat16))
    with pytest.raises(ValueError, match="reference: expected outputs of shapes"):
        ft.check_kernel(kernel(), lambda x, w: x, inputs(torch.bfloat16))
    with pytest.raises(ValueError, match="requires a gradient"):
        ft.check_kernel(kernel(), reference, [value.detach() for value in inputs(torch.bfloat16)])


def test_settings_and_inputs_are_left_alone():
    given = inputs(torch.bfloat16)
    before = [value.detach().clone() for value in given]
    on, filled = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    ft.check_kernel(kernel(), reference, given)
    assert all(torch.equal(a, b) for a, b in zip(before, given, strict=True))
    assert torch.are_deterministic_algorithms_enabled() == on
    assert torch.utils.deterministic.fill_uninitialized_memory == filled


def test_inputs_that_are_no_tuple():
    """One tensor was taken for its rows."""
    x = torch.randn(6, 3, requires_grad=True)
    assert ft.check_kernel(lambda x: x**2, lambda x: x * x, x).verdict == "pass"
    with pytest.raises(TypeError, match="inputs: expected a tuple of tensors, got function"):
        ft.check_kernel(lambda x: x**2, (x,), lambda x: x * x)


def test_one_tensor_alone_is_taken_as_gradcheck_takes_it():
    x = torch.randn(4, 3, requires_grad=True)
    assert ft.check_kernel(F.silu, lambda x: x * torch.sigmoid(x), x).ok
