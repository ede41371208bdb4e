"""Outputs that share the memory of the inputs, and outputs that are cut off from them."""

import pytest
import torch
from torch import nn

import fastcheck.torch as ft
from tests.torch.support import tensor, theirs

VIEWS = {
    "the input itself": lambda x: x,
    "view": lambda x: x.view(-1),
    "new axis": lambda x: x[None],
    "transposed": lambda x: x.t(),
    "row": lambda x: x[1],
    "slice with steps": lambda x: x[:, ::2],
    "narrow": lambda x: x.narrow(1, 1, 2),
    "diagonal": lambda x: x.diagonal(),
    "expanded": lambda x: x[:1].expand(3, 4),
    "unfold": lambda x: x.unfold(1, 2, 1),
    "as_strided": lambda x: x.as_strided((2, 2), (1, 2)),
    "split": lambda x: x.split(2, dim=1),
    "unbind": lambda x: x.unbind(),
    "nn.Identity": nn.Identity(),
    "dropout in eval mode": nn.Dropout(0.5).eval(),
    "reshape": lambda x: x.reshape(2, 6),
    "contiguous": lambda x: x.contiguous(),
    "the input and more": lambda x: (x, x.sin(), x.view(-1)),
    "real as complex": lambda x: torch.view_as_complex(x.view(3, 2, 2)),
}
COMPLEX = {
    "the input itself": lambda z: z,
    "conj": lambda z: z.conj(),
    "imaginary part": lambda z: z.imag,
    "real part": lambda z: z.real,
    "negative bit": lambda z: z.conj().imag,
    "view as real": lambda z: torch.view_as_real(z),
    "adjoint": lambda z: z.mH,
}
DETACHED = {
    "detach": lambda x: x.detach(),
    "data": lambda x: x.data,
    "view of detach": lambda x: x.detach().view(-1)[1:],
    "NumPy": lambda x: torch.from_numpy(x.detach().numpy()),
    "copy": lambda x: x.detach().clone(),
    "no_grad": torch.no_grad()(lambda x: x.view(-1)),
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", VIEWS)
def test_views_of_the_input_are_right(name, fast):
    given = (tensor(3, 4),)
    assert theirs(VIEWS[name], given)
    assert ft.gradcheck(VIEWS[name], given, fast_mode=fast)
    if not fast:
        assert ft.gradgradcheck(VIEWS[name], given)
        assert ft.gradcheck(VIEWS[name], given, check_forward_ad=True, check_batched_grad=True)


@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("name", ["the input itself", "row", "transposed", "reshape", "slice with steps"])
def test_views_of_inputs_that_are_moved_one_by_one(name, contiguous):
    """A function that asks for a number defies vmap: its input is moved in place, under its own view."""
    given = tensor(3, 4) if contiguous else tensor(4, 3).detach().t().requires_grad_()

    def asks(x):
        assert x.sum().item() < 1e3
        return VIEWS[name](x)

    assert ft.gradcheck(asks, (given,))


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", COMPLEX)
def test_views_of_complex_inputs_are_right(name, fast):
    given = (tensor(3, 4, dtype=torch.complex128),)
    assert theirs(COMPLEX[name], given)
    assert ft.gradcheck(COMPLEX[name], given, fast_mode=fast)
    assert ft.gradcheck(COMPLEX[name], given, check_forward_ad=True)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", DETACHED)
def test_outputs_cut_off_from_the_input_are_found(name, fast):
    given = (tensor(3, 4),)
    before = given[0].detach().clone()
    with pytest.raises(ft.GradcheckError, match="expected to be zero"):
        ft.gradcheck(DETACHED[name], given, fast_mode=fast)
    assert torch.equal(given[0].detach(), before)


@pytest.mark.parametrize("fast", [False, True])
def test_one_output_cut_off_from_the_input_beside_a_right_one(fast):
    """torch passes this: outputs that need no gradient are left out of its Jacobian, and so of ours."""
    given = (tensor(3, 4),)
    assert theirs(lambda x: (x, x.detach()), given)
    assert ft.gradcheck(lambda x: (x, x.detach()), given, fast_mode=fast)


def test_a_wrong_gradient_of_a_view_is_found():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            return 2.0 * g

    for fast in (False, True):
        with pytest.raises(ft.GradcheckError, match="2.000 times"):
            ft.gradcheck(Twice.apply, (tensor(3, 4),), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("name", ["conj", "neg", "adjoint", "conj of a slice"])
def test_inputs_with_a_conjugate_or_negative_bit(name, asks, fast):
    """They share the memory of what they were made from, with other signs."""
    z = torch.randn(3, 3, dtype=torch.complex128)
    x = {"conj": z.conj(), "neg": z.conj().imag, "adjoint": z.mH, "conj of a slice": z[:, ::2].conj()}[name]
    assert x.is_conj() or x.is_neg()
    x.requires_grad_()
    before = x.detach().clone()

    def func(x):
        assert not asks or abs(x.sum().item()) < 1e9
        return x * x + x.sum()

    assert theirs(func, (x,))
    assert ft.gradcheck(func, (x,), fast_mode=fast)
    assert ft.gradcheck(lambda x: torch.dot(x.flatten(), x.flatten()), (x,), fast_mode=fast, check_forward_ad=True)
    assert torch.equal(x.detach(), before)
