"""The families of tests that torch has for its own gradcheck, written anew: the same outcomes, in the same words.

Each case is run by both checkers, in both modes.  What torch passes passes; what it refuses, by whichever exception, is
refused by an exception of the same kind, and the phrase that people search for stands in both messages.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch.autograd import forward_ad
from torch.autograd.gradcheck import GradcheckError

import fastcheck.torch as ft

DOUBLE, COMPLEX = torch.float64, torch.complex128
ERRORS = (GradcheckError, ValueError, RuntimeError, AssertionError, TypeError, NotImplementedError, Exception)


def rand(*shape: int, dtype: torch.dtype = DOUBLE) -> torch.Tensor:
    """Positive numbers that require gradients."""
    torch.manual_seed(0)
    return torch.rand(shape, dtype=dtype, requires_grad=True)


@dataclass(frozen=True)
class Case:
    """A call of gradcheck.

    func, inputs : the function; gives its inputs anew.
    phrase : a part of the message, where it is refused.
    fast : whether it is tried in fast mode as well.
    """

    func: Callable[..., Any]
    inputs: Callable[[], Any]
    phrase: str = ""
    fast: bool = True
    options: dict[str, Any] = field(default_factory=dict)


def case(func: Callable[..., Any], inputs: Callable[[], Any], phrase: str = "", *, fast: bool = True,
         **options: Any) -> Case:
    """With the options of gradcheck as keywords."""
    return Case(func, inputs, phrase, fast, options)


def custom(forward: Callable[..., Any], backward: Callable[..., Any], jvp: Callable[..., Any] | None = None,
           *, materialize: bool = True) -> Callable[..., Any]:
    """A function with backward ``backward(grads, *inputs)`` and forward mode ``jvp(tangents, *inputs)``."""
    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            ctx.set_materialize_grads(materialize)
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)
            return forward(*inputs)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return backward(grads, *ctx.saved_tensors)

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            if jvp is None:
                raise NotImplementedError("no forward mode")
            return jvp(tangents, *ctx.saved_tensors)

    return Custom.apply


def kind_of(error: Exception) -> type[Exception]:
    """The first of the kinds that an exception is of."""
    return next(kind for kind in ERRORS if isinstance(error, kind))


def outcome(check: Callable[..., bool], given: Case, *, fast: bool) -> tuple[Any, str]:
    """True, or the kind of exception; and its message."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return check(given.func, given.inputs(), fast_mode=fast, **given.options), ""
        except Exception as error:
            return kind_of(error), str(error)


# --- sparse inputs and outputs ----------------------------------------------------------------------------------

LAYOUTS = {
    "coo": lambda t: t.to_sparse(), "csr": lambda t: t.to_sparse_csr(), "csc": lambda t: t.to_sparse_csc(),
    "bsr": lambda t: t.to_sparse_bsr((2, 2)), "bsc": lambda t: t.to_sparse_bsc((2, 2)),
}


def sparse(layout: str, dtype: torch.dtype = DOUBLE) -> torch.Tensor:
    """A matrix of which half is specified."""
    torch.manual_seed(0)
    dense = torch.rand(4, 4, dtype=dtype)
    dense[:2, 2:] = 0.0
    dense[2:, :2] = 0.0
    return LAYOUTS[layout](dense).requires_grad_()


FAMILIES: dict[str, Case] = {}
for layout in LAYOUTS:
    for masked in (True, False):
        for dtype in (DOUBLE, COMPLEX):
            name = f"sparse input {layout} {'masked' if masked else 'whole'} {str(dtype)[6:]}"
            FAMILIES[name] = case(lambda x, masked=masked: x.to_dense(masked_grad=masked),
                                  lambda layout=layout, dtype=dtype: sparse(layout, dtype), masked=masked)
        FAMILIES[f"sparse input {layout} {'masked' if masked else 'whole'} to number"] = case(
            lambda x, masked=masked: x.to_dense(masked_grad=masked).sin().sum(), lambda layout=layout: sparse(layout),
            masked=masked)
    FAMILIES[f"sparse input {layout} wrong"] = case(
        custom(lambda x: x.to_dense(), lambda g, x: 2.0 * g[0].sparse_mask(x) if x.layout == torch.sparse_coo
               else 2.0 * x.detach()),
        lambda layout=layout: sparse(layout), "Jacobian mismatch for output 0 with respect to input 0", masked=True)
    FAMILIES[f"sparse output {layout}"] = case(
        lambda x, layout=layout: LAYOUTS[layout](x), lambda: rand(4, 4), "Sparse output", masked=True)
FAMILIES |= {
    "sparse input, times dense": case(lambda s, x: torch.sparse.mm(s, x),
                                      lambda: (sparse("coo"), rand(4, 3)), masked=True),
    "sparse input, csr times dense": case(lambda s, x: torch.sparse.mm(s, x),
                                          lambda: (sparse("csr"), rand(4, 3)), masked=True),
    "dense and sparse inputs": case(lambda x, y: torch.sparse.mm(x, y).sum(1),
                                    lambda: (sparse("coo"), rand(4, 2)), masked=True),
    "dense and sparse, wrong by the dense": case(
        lambda s, x: custom(lambda t: t * 1.0, lambda g, t: 1.5 * g[0])(torch.sparse.mm(s, x)),
        lambda: (sparse("coo"), rand(4, 2)), "Jacobian mismatch for output 0 with respect to input", masked=True),
    "sparse values only": case(lambda v: torch.sparse_coo_tensor([[0, 1, 2]], v, (4,)).to_dense(), lambda: rand(3)),
}

# --- inputs -------------------------------------------------------------------------------------------------------

FAMILIES |= {
    "one input": case(lambda x: x.sin(), lambda: rand(10)),
    "one input in a tuple": case(lambda x: x.sin(), lambda: (rand(10),)),
    "one input in a list": case(lambda x: x.sin(), lambda: [rand(10)]),
    "several inputs": case(lambda x, y: x * y + y.exp(), lambda: (rand(10), rand(10))),
    "one of two requires a gradient": case(lambda x, y: x * y, lambda: (rand(4), torch.rand(4))),
    "input that is no leaf": case(lambda x: x.sin(), lambda: rand(4) * 2.0),
    "input without gradients": case(lambda x: x.sin(), lambda: torch.rand(10, dtype=DOUBLE),
                                    "gradcheck expects at least one input tensor to require gradient"),
    "number for an input": case(lambda x: x, lambda: (1.0,),
                                "gradcheck expects at least one input tensor to require gradient"),
    "expanded input": case(lambda x: x.sin(), lambda: rand(10, 1).expand(10, 3), "has a dimension with stride 0"),
    "expanded input without gradient": case(lambda x, y: x * y, lambda: (rand(3), torch.rand(1).double().expand(3))),
    "noncontiguous input": case(lambda x: x.sin(), lambda: rand(3, 4).detach().t().requires_grad_()),
    "every other entry": case(lambda x: x.cumsum(0), lambda: rand(12).detach()[::2].requires_grad_()),
    "overlapping rows": case(lambda x: x * x, lambda: rand(6).detach().as_strided((2, 5), (1, 1)).requires_grad_(), ""),
    "empty input": case(lambda x, y: y.sin(), lambda: (rand(0), rand(3))),
    "complex input": case(lambda z: z * z, lambda: rand(5, dtype=COMPLEX)),
    "complex input, real output": case(lambda z: z.abs(), lambda: rand(5, dtype=COMPLEX)),
    "complex and real outputs": case(lambda x, y: (torch.complex(x, y), x + 1.0), lambda: (rand(4), rand(4))),
    "real input, complex output": case(lambda x: torch.complex(x, x.exp()), lambda: rand(5)),
    "complex output, wrong imaginary part": case(
        custom(lambda z: z * 1.0, lambda g, z: torch.complex(g[0].real, 2.0 * g[0].imag)),
        lambda: rand(3, dtype=COMPLEX),
        "Jacobian mismatch for output 0 with respect to input 0"),
    "complex output of real input, wrong": case(
        custom(lambda x: torch.complex(x, x), lambda g, x: g[0].real + 2.0 * g[0].imag), lambda: rand(3),
        "Jacobian mismatch for output 0 with respect to input 0"),
    "mkldnn input": case(lambda x: x.to_dense().double() * 1.0,
                         lambda: torch.rand(10, dtype=torch.float32).to_mkldnn().requires_grad_(),
                         atol=1e-1),
    "mkldnn and dense inputs": case(lambda x, y: x.to_dense() + y,
                                    lambda: (torch.rand(4).to_mkldnn().requires_grad_(), rand(4)),
                                    atol=1e-1),
    "mkldnn output": case(lambda x: x.float().to_mkldnn(), lambda: rand(4), atol=1e-1),
}

# --- outputs ------------------------------------------------------------------------------------------------------

FAMILIES |= {
    "several outputs": case(lambda x: (x.sin(), x.cos(), x.sum()), lambda: rand(4)),
    "outputs in a list": case(lambda x: [x.sin(), x.exp()], lambda: rand(4)),
    "an integer output": case(lambda x: (x.sin(), x.argmax()), lambda: rand(4)),
    "only integer outputs": case(lambda x: x.argmax(), lambda: rand(4)),
    "no outputs": case(lambda x: (), lambda: rand(4)),
    "constant output": case(lambda x: torch.ones(3, dtype=DOUBLE), lambda: rand(4)),
    "one constant output": case(lambda x: (x.sin(), torch.ones(3, dtype=DOUBLE)), lambda: rand(4)),
    "detached output": case(lambda x: x.detach() * 2.0, lambda: rand(4),
                            "Numerical gradient for function expected to be zero"),
    "detached complex output": case(lambda z: z.detach() * 2.0, lambda: rand(4, dtype=COMPLEX),
                                    "Numerical gradient for function expected to be zero"),
    "no_grad inside": case(lambda x: torch.no_grad()(torch.exp)(x), lambda: rand(4),
                           "Numerical gradient for function expected to be zero"),
    "shape depends on values": case(lambda x: torch.cat((x, x)) if bool((x >= 1.0).all()) else x,
                                    lambda: torch.ones(2, dtype=DOUBLE, requires_grad=True), "with the same shape"),
    "dtype depends on values": case(lambda x: x * 1.0 if bool((x >= 1.0).all()) else x.to(torch.float32),
                                    lambda: torch.ones(2, dtype=DOUBLE, requires_grad=True), "with the same dtype"),
    "output is the input": case(lambda x: x, lambda: rand(4)),
    "output is a view": case(lambda x: x.view(2, 2).t(), lambda: rand(4)),
    "output is one number": case(lambda x: x.prod(), lambda: rand(4)),
}

# --- backward -----------------------------------------------------------------------------------------------------

JACOBIAN = "Jacobian mismatch for output 0 with respect to input 0"
CALLS = [0]


def jitter(size: float) -> torch.Tensor:
    """Another number at each call."""
    CALLS[0] += 1
    return torch.tensor(size * CALLS[0], dtype=DOUBLE)


def raising(message: str) -> Callable[..., Any]:
    """A backward that cannot."""
    def backward(*_: Any) -> Any:
        raise RuntimeError(message)
    return backward


def undefined(g: tuple[Any, ...], x: torch.Tensor) -> Any:
    """Zeros, though the gradients are not defined."""
    return torch.zeros_like(x) if g[0] is None else g[0] * x.cos()


FAMILIES |= {
    "right": case(custom(torch.sin, lambda g, x: g[0] * x.cos()), lambda: rand(6)),
    "a factor": case(custom(torch.sin, lambda g, x: 1.5 * g[0] * x.cos()), lambda: rand(6), JACOBIAN),
    "a sign": case(custom(torch.sin, lambda g, x: -g[0] * x.cos()), lambda: rand(6), JACOBIAN),
    "nothing": case(custom(torch.sin, lambda g, x: None), lambda: rand(6), JACOBIAN),
    "zeros": case(custom(torch.sin, lambda g, x: torch.zeros_like(x)), lambda: rand(6), JACOBIAN),
    "NaN": case(custom(torch.sin, lambda g, x: g[0] * torch.nan), lambda: rand(6), JACOBIAN),
    "second output": case(custom(lambda x: (x.sin(), x.exp()), lambda g, x: g[0] * x.cos()), lambda: rand(6),
                          "Jacobian mismatch for output 1 with respect to input 0"),
    "second input": case(custom(lambda x, y: x * y, lambda g, x, y: (g[0] * y, 2.0 * g[0] * x)),
                         lambda: (rand(6), rand(6)), "Jacobian mismatch for output 0 with respect to input 1"),
    "wrong shape": case(custom(torch.sin, lambda g, x: (g[0] * x.cos()).sum(0)), lambda: rand(2, 3), "shape"),
    "custom error": case(custom(torch.sin, raising("Not a GradcheckError")), lambda: rand(4), "Not a GradcheckError"),
    "custom error in forward": case(raising("from forward"), lambda: rand(4), "from forward"),
    "custom error, not raised by gradcheck": case(custom(torch.sin, raising("still")), lambda: rand(4), "still",
                                                  raise_exception=False),
    "a mistake, not raised": case(custom(torch.sin, lambda g, x: 2.0 * g[0]), lambda: rand(4), raise_exception=False),
    "nondeterministic": case(custom(torch.sin, lambda g, x: g[0] * x.cos() + g[0] * jitter(1e-5)), lambda: rand(4),
                             "Backward is not reentrant"),
    "nondeterministic, allowed": case(custom(torch.sin, lambda g, x: g[0] * x.cos() * (1.0 + 1e-9 * torch.rand(()))),
                                      lambda: rand(4), nondet_tol=1e-6),
    "random by far": case(custom(torch.sin, lambda g, x: g[0] * torch.rand_like(x)), lambda: rand(4),
                          "mismatch|reentrant"),
    "not multiplied by grad_output": case(custom(torch.sin, lambda g, x: x.cos() * torch.ones_like(g[0])),
                                        lambda: rand(4),
                                          "backward not multiplied by grad_output|mismatch|not linear"),
    "constant beside it": case(custom(lambda x: x * 1.0, lambda g, x: g[0] + 1e-3), lambda: rand(4),
                               "backward not multiplied by grad_output|mismatch|not linear"),
    "undefined gradients, zeros": case(custom(torch.sin, undefined, materialize=False), lambda: rand(4)),
    "undefined gradients, not expected": case(custom(torch.sin, lambda g, x: g[0] * x.cos(), materialize=False),
                                              lambda: rand(4), "NoneType|undefined output grads"),
    "undefined gradients, refused": case(
        custom(torch.sin, lambda g, x: raising("no gradient")() if g[0] is None else g[0] * x.cos(), materialize=False),
        lambda: rand(4), "Expected backward function to handle undefined output grads"),
    "undefined gradients, ones": case(
        custom(torch.sin, lambda g, x: torch.ones_like(x) if g[0] is None else g[0] * x.cos(), materialize=False),
        lambda: rand(4), "Expected all input grads to be undefined or zero when all output grads are undefined"),
    "undefined gradients, ones, not asked": case(
        custom(torch.sin, lambda g, x: torch.ones_like(x) if g[0] is None else g[0] * x.cos(), materialize=False),
        lambda: rand(4), check_undefined_grad=False),
    "undefined gradients of one output": case(
        custom(lambda x: (x.sin(), x.exp()), lambda g, x: sum(
            (raising("both")() if part is None else part * slope)
            for part, slope in zip(g, (x.cos(), x.exp()), strict=True)),
            materialize=False),
        lambda: rand(4), "both"),
    "adjusted atol": case(lambda x: x.sum(), lambda: rand(1000)),
    "adjusted atol, many outputs": case(lambda x: x.cumsum(0), lambda: rand(40)),
    "once differentiable": case(lambda x: torch.nn.functional.embedding_bag(torch.tensor([[0, 1]]), x, mode="max"),
                                lambda: rand(3, 2)),
    "in place on a clone": case(lambda x: x.clone().mul_(x).add_(1.0), lambda: rand(4)),
    "in place on grad_output": case(custom(torch.sin, lambda g, x: g[0].mul_(x.cos())), lambda: rand(4),
                                    fast=False),  # torch's fast mode calls it not reentrant; it is noted here
    "batched": case(lambda x: x.sin() * x, lambda: rand(4), check_batched_grad=True),
    "batched, several": case(lambda x, y: (x @ y, y.exp()), lambda: (rand(2, 3), rand(3, 2)), check_batched_grad=True),
    "batched, without vmap": case(custom(torch.sin, lambda g, x: torch.from_numpy(g[0].numpy() * 1.0) * x.cos()),
                                  lambda: rand(4), "gradcheck or gradgradcheck failed while testing batched gradient",
                                  check_batched_grad=True),
    "batched, without backward": case(torch.sin, lambda: rand(4), "check_batched_grad=True requires check_backward_ad",
                                      check_batched_grad=True, check_backward_ad=False, check_forward_ad=True),
    "dtypes": case(lambda x: x.to(torch.float32).to(DOUBLE) * 1.0 if x.dtype == torch.float32 else x * 1.0,
                   lambda: rand(4),
                   check_grad_dtypes=True),
    "loose tolerances": case(custom(torch.sin, lambda g, x: 1.05 * g[0] * x.cos()), lambda: rand(6), rtol=0.1),
    "tight tolerances": case(custom(torch.sin, lambda g, x: (1.0 + 1e-5) * g[0] * x.cos()), lambda: rand(6), JACOBIAN,
                             fast=False, rtol=1e-7, atol=1e-8),
}

# --- forward mode -------------------------------------------------------------------------------------------------


def forward_right(t: tuple[Any, ...], x: torch.Tensor) -> Any:
    """The derivative of sin along a tangent."""
    return t[0] * x.cos()


def forward_no_gradient(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Fails where an input that does not require gradients has a tangent."""
    if forward_ad.unpack_dual(y).tangent is not None:
        raise RuntimeError("a tangent of what needs none")
    return x * y


BACKWARD = {"right": lambda g, x: g[0] * x.cos(), "wrong": lambda g, x: 2.0 * g[0] * x.cos()}
for backward_name, back in BACKWARD.items():
    for forward_name, ahead in (("right", forward_right), ("wrong", lambda t, x: 1.5 * t[0] * x.cos())):
        for modes in ((True, True), (True, False), (False, True)):
            wrong = (modes[0] and forward_name == "wrong") or (modes[1] and backward_name == "wrong")
            FAMILIES[f"forward mode {forward_name}, backward {backward_name}, asked {modes}"] = case(
                custom(torch.sin, back, ahead), lambda: rand(4), "mismatch" if wrong else "",
                check_forward_ad=modes[0], check_backward_ad=modes[1])
FAMILIES |= {
    "forward mode": case(lambda x, y: x * y.sin(), lambda: (rand(4), rand(4)), check_forward_ad=True),
    "forward mode, wrong": case(custom(torch.sin, BACKWARD["right"], lambda t, x: t[0] * x.sin()), lambda: rand(4),
                                "Jacobian computed with forward mode mismatch for output 0 with respect to input 0",
                                check_forward_ad=True),
    "forward mode, missing": case(custom(torch.sin, BACKWARD["right"]), lambda: rand(4), "no forward mode",
                                  check_forward_ad=True),
    "forward mode, complex": case(lambda z: z * z + z.real, lambda: rand(3, dtype=COMPLEX), check_forward_ad=True),
    "forward mode, complex, wrong": case(
        custom(lambda z: z * 1.0, lambda g, z: g[0] * 1.0, lambda t, z: t[0].conj() * 1.0),
        lambda: rand(3, dtype=COMPLEX),
        "Jacobian computed with forward mode mismatch", check_forward_ad=True),
    "forward mode, batched": case(lambda x: x.sin() * x, lambda: rand(4), check_forward_ad=True,
                                  check_batched_forward_grad=True),
    "forward mode, batched, not asked for it": case(torch.sin, lambda: rand(4),
                                                    "check_batched_forward_grad=True requires check_forward_ad",
                                                    check_batched_forward_grad=True),
    "forward mode respects requires_grad": case(forward_no_gradient, lambda: (rand(3), torch.rand(3, dtype=DOUBLE)),
                                                check_forward_ad=True, check_undefined_grad=False),
    "forward mode, undefined tangents": case(lambda x, y: x + y, lambda: (rand(3), rand(3)), check_forward_ad=True),
    "forward mode alone": case(custom(torch.sin, raising("backward was run"), forward_right), lambda: rand(4),
                               check_forward_ad=True, check_backward_ad=False),
    "forward mode, no outputs": case(lambda x: x.argmax(), lambda: rand(4), check_forward_ad=True),
    "neither mode": case(torch.sin, lambda: rand(4), "Expected at least one of check_forward_ad or check_backward_ad",
                         check_backward_ad=False),
}

@pytest.mark.parametrize("fast", [False, True], ids=["slow", "fast"])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_outcome_in_the_same_words(name: str, fast: bool) -> None:
    given = FAMILIES[name]
    if fast and not given.fast:
        pytest.skip("slow mode only")
    theirs, their_message = outcome(torch.autograd.gradcheck, given, fast=fast)
    ours, message = outcome(ft.gradcheck, given, fast=fast)
    assert ours == theirs, f"{message or 'passed'}\n\ntorch: {their_message or 'passed'}"
    if given.phrase and ours is not False:
        assert any(phrase in message for phrase in given.phrase.split("|")), message
        assert any(phrase in their_message for phrase in given.phrase.split("|")), their_message


def test_there_are_as_many_cases_as_torch_has() -> None:
    assert len(FAMILIES) >= 130
