"""``gradcheck`` and ``gradgradcheck``: torch.autograd's names, arguments and answers."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.autograd.gradcheck import GradcheckError

from .._errors import NondeterministicError
from .._types import Array
from .._validation import real_number
from ..checks.jacobian import Point, Tolerances, compare, numerical_jacobian
from ..engines.finite.noise import ROUNDING
from ..problems.functions.vjp import input_names
from . import derivatives
from .function import Tensors, TorchFunction, as_tuple, parts, real_outputs, theirs, unit_of, vector

log = logging.getLogger("fastcheck.torch")

# Random directions that fast_mode takes; and how far, of what they measure, off rounding leaves them.
DIRECTIONS, AGREE = 2, 1e-6


class RandomFunctionError(GradcheckError, NondeterministicError):
    """The function gives different values for the same inputs: it has no derivative to check."""


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
    eps : the step.  An entry that disagrees is looked at again with steps of its own before it fails.
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

    Notes
    -----
    A function at a kink, between whose one-sided derivatives the gradient lies, passes.  The logger "fastcheck.torch"
    says, at level INFO, why an input was moved by one call each instead of vmap.
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    given = as_tuple(inputs)
    theirs._check_inputs(given)
    check = Check(func, given, _tolerances(atol, rtol, eps),
                  real_number("nondet_tol", nondet_tol), check_grad_dtypes, masked, fast_mode)
    return _answered(lambda: _checked(check, check_forward_ad, check_backward_ad, check_undefined_grad,
                                      check_batched_grad, check_batched_forward_grad), raise_exception)


def _tolerances(atol: Any, rtol: Any, eps: Any) -> Tolerances:
    return Tolerances(real_number("atol", atol), real_number("rtol", rtol), real_number("eps", eps))


def _answered(check: Callable[[], None], raise_exception: bool) -> bool:
    try:
        check()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _checked(
    check: "Check", forward: bool, backward: bool, undefined: bool, batched: bool, batched_forward: bool
) -> None:
    """All that was asked for; the small tests beside the Jacobian are torch's own."""
    with torch.inference_mode(False), torch.enable_grad():
        check.run(forward, backward)
        func, inputs = check.call, check.inputs
        if forward and undefined:
            for part, values in derivatives.halves(func, inputs):
                theirs._test_undefined_forward_mode(part, part(*values), values)
        if batched_forward:
            theirs._test_batched_grad_forward_ad(func, inputs)
        outputs = theirs._differentiable_outputs(func(*inputs))
        if not backward or not outputs:
            return
        for number, output in enumerate(outputs if batched else ()):
            theirs._test_batched_grad(inputs, output, number)
        theirs._test_backward_mul_by_grad_output(outputs, inputs, check.masked)
        if undefined:
            theirs._test_undefined_backward_mode(func, outputs, inputs)


class Check:
    """One function at one point, and how it is to be checked."""

    def __init__(
        self, call: Callable[..., Any], inputs: tuple[Any, ...], limits: Tolerances, nondet_tol: float,
        dtypes: bool, masked: bool | None, fast: bool, stacked: Callable[..., Any] | None = None,
    ) -> None:
        self.call, self.inputs, self.limits, self.nondet_tol = call, inputs, limits, nondet_tol
        self.dtypes, self.masked, self.fast, self.stacked = dtypes, masked, fast, stacked
        self.places = tuple(k for k, i in enumerate(inputs) if isinstance(i, torch.Tensor) and i.requires_grad)
        names = input_names(call, len(inputs))
        self.names = tuple(names[k] for k in self.places)

    @property
    def wanted(self) -> Tensors:
        """The inputs that are checked."""
        return tuple(self.inputs[k] for k in self.places)

    def run(self, forward: bool, backward: bool) -> None:
        """Compare Jacobians; raises GradcheckError."""
        raw = as_tuple(self.call(*self.inputs))
        theirs._check_outputs(tuple(o for o in raw if isinstance(o, torch.Tensor)))
        if any(i.layout != torch.strided for i in self.wanted):
            self._by_torch(forward, backward)
            return
        function = TorchFunction(self.call, self.inputs, self.places, self.names, self.stacked)
        value = function.value()
        self._require_function(function, value)
        kept = [k for k, o in enumerate(value) if o.requires_grad]
        outputs = tuple(value[k] for k in kept)
        if not outputs:
            self._require_constant(function, value)
            return
        derivatives.find_kept(function, outputs, real_outputs, kept)
        function.choose(value)
        for number, reason in function.reasons.items():
            log.info("%s is moved by one call for each difference: %s", self.names[number], reason)
        point = _point(_Selected(function, _span(value, kept)), function, outputs)
        if backward and not (self.fast and self._along(function, value, outputs, kept)):
            analytical = derivatives.backward_jacobian(outputs, self.wanted, self.nondet_tol, self.dtypes)
            self._compare(point, analytical, "")
        if forward:
            analytical = derivatives.forward_jacobian(self.call, self.inputs, raw, self.places, kept)
            self._compare(point, analytical, "forward ")

    def _compare(self, point: Point, analytical: Array, mode: str) -> None:
        numerical = numerical_jacobian(point, self.limits.eps)
        found = compare(point, analytical, numerical, self.limits)
        if found is not None:
            text = str(found)
            raise GradcheckError(text.replace("Jacobian ", "Jacobian computed with forward mode ", 1) if mode else text)

    def _require_function(self, function: TorchFunction, value: Tensors) -> None:
        """Outputs are finite numbers, and the same ones at a second call."""
        again = real_outputs(self.call(*self.inputs))
        for first, second in zip(value, again, strict=True):
            scale = max(float(first.detach().abs().max()), 1e-300) if first.numel() else 0.0
            off = (first - second).detach().abs()
            allowed = max(self.nondet_tol, 1e3 * unit_of(first) * scale)
            if first.numel() and not bool((off <= allowed).all()) and bool(torch.isfinite(first).all()):
                raise RandomFunctionError(
                    f"the function is random: two calls with the same inputs differ by {float(off.max()):.3g}: there "
                    "is no derivative to check. Likely causes: dropout left on, random numbers drawn in the function, "
                    "or state that moves with each call. Switch it off (module.eval()), or fix it inside the function"
                )
        for number, output in enumerate(value):
            broken = (~torch.isfinite(output.detach())).nonzero()
            if len(broken):
                at = ", ".join(str(int(i)) for i in broken[0])
                raise GradcheckError(f"output {number} is {float(output[tuple(broken[0])])} at [{at}]: there is no "
                                     "derivative to check. Check inputs at which the function is finite")

    def _require_constant(self, function: TorchFunction, value: Tensors) -> None:
        """Without outputs that have gradients nothing may depend on the inputs."""
        function.choose(value)
        numerical = numerical_jacobian(_point(function, function, value), self.limits.eps)
        if np.any(numerical != 0.0):
            raise GradcheckError("Numerical gradient for function expected to be zero: no output requires gradients, "
                                 "yet they depend on the inputs (detach(), .data, no_grad() or NumPy inside?)")

    def _along(self, function: TorchFunction, value: Tensors, outputs: Tensors, kept: list[int]) -> bool:
        """Whether Jacobian and differences agree along random directions, as far as rounding lets."""
        generator, rows = np.random.default_rng(0), _span(value, kept)
        plain = np.concatenate([vector(o) for o in outputs])
        unit = max([unit_of(o) for o in outputs] + [ROUNDING / 2.0])
        for _ in range(DIRECTIONS):
            u, v = (generator.choice((-1.0, 1.0), n) * generator.uniform(0.5, 1.5, n)
                    for n in (function.theta.size, plain.size))
            steps = [function.rounded(np.arange(u.size), function.theta + s * self.limits.eps * u) for s in (1.0, -1.0)]
            rise = (function.at(steps[0]) - function.at(steps[1]))[rows]
            numerical = float(v @ rise) / 2.0
            product = derivatives.product(outputs, self.wanted, v) * (steps[0] - steps[1]) / 2.0
            noise = 8.0 * unit * float(np.linalg.norm(v * plain))
            size = float(np.linalg.norm(product))
            if not (np.isfinite(size) and abs(numerical - float(product.sum())) <= noise + AGREE * size):
                return False
        return True

    def _by_torch(self, forward: bool, backward: bool) -> None:
        """Sparse and other layouts: torch's own Jacobians, entry by entry."""
        log.info("inputs that are not dense are left to torch's own loop")
        if not theirs.gradcheck(
            self.call, self.inputs, eps=self.limits.eps, atol=self.limits.atol, rtol=self.limits.rtol,
            nondet_tol=self.nondet_tol, check_undefined_grad=False, check_grad_dtypes=self.dtypes,
            check_forward_ad=forward, check_backward_ad=backward, masked=self.masked,
        ):
            raise GradcheckError("torch's gradcheck of the sparse inputs failed")


class _Selected:
    """A function of which some outputs are wanted."""

    def __init__(self, function: TorchFunction, rows: Any) -> None:
        self.function, self.rows = function, rows
        self.rounded = function.rounded

    def moved(self, positions: Any, values: Array) -> Array:
        found = self.function.moved(positions, values)
        return found if self.rows.size == found.shape[1] else found[:, self.rows]


def _span(value: Tensors, kept: list[int]) -> Any:
    """Places of some outputs among the numbers of all."""
    stops = np.cumsum([0, *(o.numel() for o in value)])
    return np.concatenate([np.arange(stops[k], stops[k + 1]) for k in kept])


def _point(moved: Any, function: TorchFunction, outputs: Tensors) -> Point:
    names = ["output"] if len(outputs) == 1 else [f"output{k}" for k in range(len(outputs))]
    return Point(moved, function.theta, np.concatenate([vector(o) for o in outputs]), function.parts,
                 parts(names, outputs))


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
    theirs._check_inputs(given)
    with torch.inference_mode(False), torch.enable_grad():
        cotangents = (derivatives.random_cotangents(func, given, gen_non_contig_grad_outputs)
                      if grad_outputs is None else as_tuple(grad_outputs))
    twice = derivatives.Gradient(func, given, cotangents)
    check = Check(twice, given + cotangents, _tolerances(atol, rtol, eps),
                  real_number("nondet_tol", nondet_tol), check_grad_dtypes, masked, fast_mode, twice.functional)
    count = len(given)
    names = [*input_names(func, count), *(f"grad_output{k}" for k in range(len(cotangents)))]
    check.names = tuple(names[k] for k in check.places)
    return _answered(lambda: _checked(check, check_fwd_over_rev, check_rev_over_rev, check_undefined_grad,
                                      check_batched_grad, False), raise_exception)
