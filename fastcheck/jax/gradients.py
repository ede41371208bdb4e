"""JAX's door: ``check_grads`` in place of jax.test_util's.

All of the Jacobian is compared, in double precision, entry by entry, with exact differences of the function's jaxpr;
that of large functions along random directions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import NondeterministicError, NoRule
from .._types import Array
from .._validation import integer, positive
from ..checks.jacobian.exact import compare_exactly
from ..checks.jacobian.judge import compare, numerical_jacobian
from ..checks.jacobian.point import Point, Tolerances
from ..checks.jacobian.quotients import ExactJacobian
from .directions import along_directions
from .function import CannotDifferentiateError, JaxFunction, WrongDerivativeError
from .jacobian import ContradictedError, Exact, Moved, require_function

MODES = ("fwd", "rev", "lin")
EPS = 1e-4
# JAX's tolerances for gradients, by the precision that the function really works in.
TOLERANCES = {"float64": 1e-5, "float32": 2e-3, "float16": 1e-2, "bfloat16": 1e-1}
# A Jacobian of this many entries is compared whole; a larger one along random directions.
WHOLE = 1 << 22


def check_grads(
    f: Callable[..., Any], args: Sequence[Any], order: int, modes: Sequence[str] = ("fwd", "rev"), atol: Any = None,
    rtol: Any = None, eps: float | None = None,
) -> None:
    """Check gradients made by JAX against differences, as ``jax.test_util.check_grads`` does.

    Parameters
    ----------
    f : takes the arguments, returns arrays in any structure.  It is run in double precision, whatever the caller's
        setting, which is left alone; where it cannot be (types that it fixes itself, callbacks), as it is.
    args : arrays and numbers in any structure; those that are floating or complex are checked.
    order : derivatives up to this order.
    modes : "fwd" and "rev", as in JAX; "lin" for jax.linearize.
    atol, rtol : |derivative - numerical| <= atol + rtol |numerical|; numbers, or dictionaries by dtype.  By default
        JAX's for the lowest precision that the function works in.  Of atol no more counts than a hundredth of the
        largest derivative of that output by that argument.
    eps : the first step where values are subtracted, 1e-4; exact differences have no step to choose.

    Raises
    ------
    AssertionError : naming output, argument, index, both values, and what is wrong where that can be told.
    NondeterministicError : if f gives two values for the same arguments.
    ValueError, TypeError : for modes, orders and arguments that do not fit.

    Notes
    -----
    The differences are exact: those of f's jaxpr, by the rules of its primitives.  Where a primitive has no rule, or f
    branches in Python, values are subtracted.  Values that are not finite fail.  Jacobians of more than four million
    entries are compared along random directions.

    Examples
    --------
    >>> check_grads(jnp.sin, (np.ones(3),), order=2)
    """
    for mode in (modes := tuple(modes)):
        if mode not in MODES:
            raise ValueError(f"modes: {mode!r} found, wanted some of {', '.join(MODES)}")
    integer("order", order, 1)
    asked = Asked(modes, atol, rtol, EPS if eps is None else positive("eps", eps), f)
    args = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    try:
        function = JaxFunction(f, args, f, wide=True)
        asked.check(function, order, "")
    except (WrongDerivativeError, NondeterministicError):
        raise
    except Exception:  # what double precision does to code that fixes its own types is not the caller's mistake
        asked.check(JaxFunction(f, args, f, wide=False), order, "")


@dataclass(frozen=True)
class Asked:
    """How to check: as the arguments of ``check_grads``.

    owner : the function that compiled code is kept for.
    """

    modes: tuple[str, ...]
    atol: Any
    rtol: Any
    eps: float
    owner: Any

    def check(self, function: JaxFunction, order: int, path: str) -> None:
        """One order in all modes, then the next order of each mode's derivative."""
        numerical = Numerical(function, self.eps)
        for mode in self.modes:
            name = {"fwd": "JVP", "rev": "VJP", "lin": "LIN"}[mode] + (f" of {path}" if path else "")
            try:
                self._compare(numerical, mode, name)
            except CannotDifferentiateError as error:
                raise (error.__cause__ or error) from None
            if order > 1:
                derivative, args = _derivative(function, mode)
                with function.precision():
                    further = JaxFunction(derivative, args, self.owner, function.wide)
                self.check(further, order - 1, name)

    def _compare(self, numerical: "Numerical", mode: str, name: str) -> None:
        function = numerical.function
        limits = self.limits(function)
        if function.value.size * function.theta.size > WHOLE:
            along_directions(function, numerical.exact, mode, limits, name)
            return
        if mode == "rev":
            analytical = function.rows(np.eye(function.value.size))
        else:
            analytical = function.columns(np.eye(function.theta.size), linearize=mode == "lin").T
        found = numerical.compare(analytical, limits)
        if found is not None:
            raise WrongDerivativeError(f"{name}: {found}")

    def limits(self, function: JaxFunction) -> Tolerances:
        """Return the tolerances for a function."""
        return Tolerances(self._tolerance(self.atol, function.dtype), self._tolerance(self.rtol, function.dtype),
                          self.eps, function.unit)

    @staticmethod
    def _tolerance(given: Any, dtype: str) -> float:
        """Return a tolerance for a precision, from what the caller gave."""
        if isinstance(given, dict):
            by_name = {str(jnp.dtype(key)): value for key, value in given.items()}
            given = by_name.get(dtype)
        return TOLERANCES.get(dtype, TOLERANCES["float64"]) if given is None else float(given)


class Numerical:
    """A function's differences, found once for all modes."""

    def __init__(self, function: JaxFunction, eps: float) -> None:
        self.function, self.eps = function, eps
        inputs, outputs = function.parts()
        # What it works in inside rounds its outputs, whatever their own type.
        outputs = tuple(replace(part, unit=max(part.unit, function.unit)) for part in outputs)
        self.point = Point(Moved(function), function.theta, function.value, inputs, outputs)
        broken = np.flatnonzero(~np.isfinite(function.value))
        if broken.size:
            part = self.point.output_of(int(broken[0]))
            raise WrongDerivativeError(
                f"{part.name}{part.place(int(broken[0]))} is {function.value[broken[0]]} at these arguments: there is "
                "no derivative to check; check arguments at which f is finite"
            )
        self.exact: Exact | None = None
        self.jacobian: ExactJacobian | Array | None = None
        try:
            self.exact = Exact(function, function.program(function.theta.size + 1))
            if function.value.size * function.theta.size <= WHOLE:
                self.jacobian = self.exact.jacobian()
        except (NoRule, ContradictedError):
            self.exact = None
            require_function(function)

    def compare(self, analytical: Array, limits: Tolerances) -> Any:
        """Return what disagrees, if anything."""
        if isinstance(self.jacobian, ExactJacobian):
            return compare_exactly(self.point, analytical, self.jacobian, limits)
        if self.jacobian is None:
            self.jacobian = numerical_jacobian(self.point, self.eps)
        return compare(self.point, analytical, self.jacobian, limits)


def _derivative(function: JaxFunction, mode: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A mode's derivative as a function to be checked in its turn, at tangents or cotangents like the point itself."""
    leaves = tuple(leaf.assembled(r) for leaf, r in zip(function.inputs, function.real, strict=True))
    f = function.of_leaves
    if mode == "fwd":
        return lambda primals, tangents: jax.jvp(f, primals, tangents), (leaves, leaves)
    if mode == "lin":
        return lambda primals, tangents: _linearized(f, primals, tangents), (leaves, leaves)
    return lambda *given: _pulled_back(f, *given), leaves


def _pulled_back(f: Callable[..., Any], *args: Any) -> Any:
    value, backward = jax.vjp(f, *args)
    return backward(value)


def _linearized(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    value, forward = jax.linearize(f, *primals)
    return value, forward(*tangents)
