"""``gradcheck`` and ``gradgradcheck``: torch.autograd's names, arguments and answers."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.gradcheck import GradcheckError

from .._validation import real_number
from ..checks.jacobian.point import Tolerances
from . import _compat
from .checking import Check, Options
from .forward import halves
from .second import Gradient, random_cotangents
from .tensors import as_tuple


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Check gradients made by autograd against differences, as ``torch.autograd.gradcheck`` does, all of them.

    Parameters
    ----------
    func : takes the inputs, returns a tensor or a tuple of tensors.
    inputs : a tensor or a tuple; those that require gradients are checked.  float64 and complex128 are best.
    eps : the step, at most a thousandth of an input's largest entry.  An entry that disagrees is looked at again,
        exactly or with steps of its own, before it fails.
    atol, rtol : an entry agrees if |analytical - numerical| <= atol + rtol |numerical|.  Of atol no more counts than
        a hundredth (or rtol) of the largest derivative of that output by that input: a gradient that is as small as
        atol may not be missing.
    raise_exception : raise GradcheckError, or return False.
    nondet_tol : how much function and gradients may differ between two calls.
    check_undefined_grad, check_grad_dtypes, check_batched_grad, check_batched_forward_grad, check_forward_ad,
    check_backward_ad : as in torch.
    fast_mode : compare along two random directions, to rounding; where they disagree, all entries.
    masked : of sparse inputs, leave unspecified elements out.

    Returns
    -------
    True, or, unless raise_exception, False.

    Raises
    ------
    GradcheckError : torch's own, naming output, input, index, both values, and what is wrong where that can be told.
    RandomFunctionError : a GradcheckError too, where the function is random.
    ValueError, RuntimeError, AssertionError : for inputs that torch refuses as well.
    TypeError : for outputs that are no tensors.

    Notes
    -----
    The whole Jacobian of backward is held, row by row, against differences along two random directions for each input,
    far below what any entry may be off by.  A large one is not even formed: products with random gradients of the
    outputs show as little, and that backward adds up.  Where that leaves doubt, the operators that the function runs
    are recorded and differenced exactly, first along directions and then entry by entry; where they cannot be followed,
    single entries are moved.

    Inputs of less than double precision: the function is checked in double precision, and its derivatives in low
    precision are held against those: entry by entry, as far as its roundings allow, and by the spread of rounding over
    32 runs, which shows a factor far below that (``fastcheck.verdict.spread``).

    At a kink the derivative of either side passes, and their mean; what lies elsewhere between them proves too little,
    and fails.  The logger "fastcheck.torch" says, at level INFO, why operators could not be followed, or an input was
    moved by one call each instead of vmap.
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    given = as_tuple(inputs)
    _compat.check_inputs(given)
    options = Options(_limits(atol, rtol, eps), real_number("nondet_tol", nondet_tol), check_grad_dtypes, masked,
                      fast_mode, check_forward_ad, check_backward_ad)
    small = Small(check_undefined_grad, check_batched_grad, check_batched_forward_grad)
    return _answered(lambda: _checked(Check(func, given, options), small), raise_exception)


def _answered(check: Callable[[], None], raise_exception: bool) -> bool:
    try:
        check()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


@dataclass(frozen=True)
class Small:
    """Which of the small tests beside the Jacobian are wanted; they are torch's own."""

    undefined: bool
    batched: bool
    batched_forward: bool = False


def _checked(check: Check, small: Small) -> None:
    """All that was asked for, by random numbers that are not the caller's; raises GradcheckError."""
    with ordinary_mode(), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        check.run()
        func, inputs, options = check.call, check.inputs, check.options
        if options.forward and small.undefined:
            for part, values in halves(func, inputs):
                _compat.test_undefined_forward(part, part(*values), values)
        if small.batched_forward:
            _compat.test_batched_forward_grad(func, inputs)
        if not options.backward:
            return
        outputs = _compat.differentiable_outputs(check.returned)
        if not outputs:
            return
        for number, output in enumerate(outputs if small.batched else ()):
            _compat.test_batched_grad(inputs, output, number)
        # In fast mode undefined gradients, which reach most functions as zeros, tell it as well.
        told = options.fast and small.undefined and check.dense
        if not told:
            _compat.test_backward_mul_by_grad_output(outputs, inputs, options.masked)
        if small.undefined:
            # The last use of the graph, unless several outputs want one each or it is used up.
            last = told and len(outputs) == 1 and not small.batched
            try:
                _compat.test_undefined_backward((lambda *_: check.returned) if last else func, outputs, inputs)
            except GradcheckError:
                if told:  # with zeros it may say more
                    fresh = _compat.differentiable_outputs(as_tuple(func(*inputs)))
                    _compat.test_backward_mul_by_grad_output(fresh, inputs, options.masked)
                raise


@contextlib.contextmanager
def ordinary_mode() -> Iterator[None]:
    """Gradients are recorded, whatever mode the caller is in."""
    if torch.is_grad_enabled() and not torch.is_inference_mode_enabled():
        yield
        return
    with contextlib.ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        yield


def _limits(atol: Any, rtol: Any, eps: Any) -> Tolerances:
    return Tolerances(real_number("atol", atol), real_number("rtol", rtol), real_number("eps", eps))


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Check gradients of gradients, as ``torch.autograd.gradgradcheck`` does.

    Parameters
    ----------
    func, inputs : as in ``gradcheck``.
    grad_outputs : gradients of the outputs at which to check; None for random ones.
    gen_non_contig_grad_outputs : make the random ones noncontiguous.
    check_fwd_over_rev, check_rev_over_rev : forward and backward mode over the gradients.
    The others : as in ``gradcheck``.

    Returns
    -------
    True, or, unless raise_exception, False.

    Raises
    ------
    As ``gradcheck``.
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError("Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True")
    if check_undefined_grad and not check_rev_over_rev:
        raise AssertionError("Setting check_undefined_grad=True requires check_rev_over_rev to be True")
    if check_batched_grad and not check_rev_over_rev:
        raise AssertionError("Setting check_batched_grad=True requires check_rev_over_rev to be True")
    given = as_tuple(inputs)
    _compat.check_inputs(given)
    with ordinary_mode():
        cotangents = (random_cotangents(func, given, gen_non_contig_grad_outputs)
                      if grad_outputs is None else as_tuple(grad_outputs))
    twice = Gradient(func, given, cotangents)
    options = Options(_limits(atol, rtol, eps), real_number("nondet_tol", nondet_tol), check_grad_dtypes, masked,
                      fast_mode, check_fwd_over_rev, check_rev_over_rev)
    check = Check(twice, given + cotangents, options, twice.names, twice.functional, twice.values)
    return _answered(lambda: _checked(check, Small(check_undefined_grad, check_batched_grad)), raise_exception)
