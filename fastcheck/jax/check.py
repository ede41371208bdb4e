"""``check``: the gradient of a loss of pytrees, as a report."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._constants import COARSE
from .._errors import NondeterministicError
from .._names import Method
from .._types import Array
from .._validation import deadline, kind_of, no_result
from ..checks.function import check_function
from ..engines.program.patience import method_of
from ..problems.functions.purity import same
from ..problems.functions.repeats import Repeats
from ..report.report import Report
from ..runtime.resources import memory_of, threads_of
from ..runtime.run import Run
from ..verdict.outcome import FAIL, Cause
from .cost import JaxCost
from .function import JaxFunction
from .low_precision import Gradients, Low, flat_gradient, in_runs
from .program.by_autodiff import by_autodiff, has_backward_by_hand
from .program.program import holds_as_traced
from .stopped import explained
from .trees import (
    HALVES,
    called_gradients,
    given_gradients,
    named_leaves,
    own_gradients,
    own_integers,
    own_rounding,
    plain_array,
)

# What is said of a loss of float64 arrays that casts them.
SINGLE_INSIDE = ("The loss computes in float32 inside, whatever its parameters are in: its gradients are rounded as "
                 "those in single precision are.")
# What is said where JAX cannot differentiate.
NOT_BY_JAX = ("fastcheck: raised by jax.grad of the loss, whose gradient is checked where no other is given; "
              "gradients=... takes one made in another way, or a function that makes it")
# What is said where nothing but a backward pass by hand is wrong.
BY_HAND = ("Without the backward passes that were written by hand (jax.custom_vjp), the gradient is right: one of them "
           "is not that of what it computes. Where that is meant (a straight-through estimator), it is right.")


def check(
    loss: Callable[..., Any],
    parameters: Any,
    gradients: Any = None,
    args: Sequence[Any] = (),
    *,
    tolerance: float | None = None,
    norm: float = 2,
    method: Method | None = None,
    samples: int | None = None,
    directions: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    memory_limit: int | None = None,
    time_limit: float | None = None,
    progress: Any = False,
) -> Report:
    """Check the gradient of a loss by every floating array of a pytree of parameters.

    The loss is differenced exactly, in double precision: its jaxpr, by the rules of its primitives.  Where a primitive
    has no rule, or the loss branches in Python, values are subtracted; the report's engine and notes say so.

    Parameters
    ----------
    loss : loss(parameters, *args) -> one real number.  It is run as the caller runs it, in whatever precision.
    parameters : a pytree; arrays that are not floating are handed on and not checked.
    gradients : a pytree like it, or a function gradients(parameters, *args) that returns one; None for jax.grad's own.
        Those of complex parameters follow JAX: df/dx - i df/dy.
    args : further arguments of the loss.
    method : None for all entries where that takes a few seconds, else directions through everything; the report says
        which.  "all", "sample" and "directional" as in ``fastcheck.check``.
    tolerance, norm, samples, directions, seed, threads, memory_limit, time_limit, progress : as in
        ``fastcheck.check``.

    Returns
    -------
    Report : of the parameters, named by their paths in the pytree: "encoder.layers.0.kernel".

    Raises
    ------
    ValueError, TypeError : for what does not fit.
    NondeterministicError : if the loss is random.

    Notes
    -----
    Gradients in float16 and bfloat16, and those that disagree in float32, or of a loss that computes in float32 inside,
    are judged by the spread of their rounding:
    the function that made them (jax.grad of the loss where they are a pytree) runs at points that differ by about a
    rounding, with the truth beside each run, which exact differences have proven; the report says how large an error
    would have been seen: a smaller one of a function than of a pytree, which stands alone.  Where there is no such
    truth (a loss that has no reverse mode), what agrees in half precision is inconclusive.

    Examples
    --------
    >>> parameters = {"w": jnp.ones(3), "b": jnp.zeros(())}
    >>> report = check(lambda p, x: jnp.mean(jnp.tanh(x @ p["w"] + p["b"])), parameters, args=(np.ones((2, 3)),))
    >>> report.verdict
    'pass'
    """
    started = time.perf_counter()
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"args: expected a tuple of further arguments, as in args=(x, y), got {type(args).__name__}")
    if isinstance(loss, type) or not callable(loss):
        raise TypeError(f"loss: expected a function of the parameters, got {kind_of(loss)}")

    cost = _of_parameters(loss, args)
    wide_cost = _of_parameters(loss, jax.tree.map(own_integers, args))
    names, places = named_leaves(parameters)
    function = JaxFunction(cost, (parameters,), loss, wide=False)
    function.rename(names)
    _require_function(function)
    found_by = partial(own_gradients, cost, parameters, places)
    called = _is_function(gradients)
    if called:
        found_by = partial(called_gradients, lambda at: gradients(at, *args), parameters, places)
    own = gradients is None or called
    given = _made_by(found_by, by_jax=gradients is None) if own else given_gradients(gradients, parameters, places)
    plain = {name: plain_array(real) for name, real in zip(names, function.real, strict=True)}
    rounding = None
    if gradients is None:
        rounding = own_rounding(wide_cost, parameters, places, dict(zip(names, given, strict=True)))
    again = _again(function, found_by, seed, deadline(started, time_limit)) if own else None
    differenced = JaxCost(_called(function, wide_cost, parameters, loss), rounding, again)
    notes: list[str] = []
    if method is None:
        method, notes = method_of(lambda: differenced.problem, Run(threads_of(threads), memory_of(memory_limit)))
    options: dict[str, Any] = {
        "norm": norm, "method": method, "samples": samples, "directions": directions, "seed": seed, "threads": threads,
        "memory_limit": memory_limit, "time_limit": time_limit, "progress": progress,
    }
    judged = _Judge(function, differenced, plain, options, notes, given if gradients is None else None,
                    lambda: own_gradients(by_autodiff(cost), parameters, places))
    coarse = tolerance is None and (function.dtype in HALVES or any(str(g.dtype) in HALVES for g in given))
    run = Low(function, in_runs(found_by, by_caller=called), given, judged,
              _yardstick(function, cost, parameters, places, gradients is None))
    if coarse and (report := run.report(_wide(wide_cost, parameters, loss), norm, seed, time_limit)) is not None:
        return report
    report = judged(given, COARSE if coarse else tolerance)
    if coarse:
        return report.held_open(Cause.COARSE)
    single = any(str(g.dtype) == "float32" for g in given)
    if report.ok or tolerance is not None or not (single or function.dtype == "float32"):
        return report
    report = run.again(report, _wide(wide_cost, parameters, loss), norm, seed, time_limit)
    return report if single else report.noted(SINGLE_INSIDE)


@dataclass(frozen=True)
class _Judge:
    """Holds gradients against exact differences.

    Parameters
    ----------
    function : the loss as the caller runs it.
    differenced, parameters : what is differenced, and where.
    options : of ``check_function``.
    notes : what else the report is to say.
    own : JAX's own gradients, if those are judged.
    by_autodiff : gives them without the backward passes that were written by hand.
    """

    function: JaxFunction
    differenced: JaxCost
    parameters: Mapping[str, Array]
    options: Mapping[str, Any]
    notes: Sequence[str]
    own: Sequence[Any] | None
    by_autodiff: Callable[[], Sequence[Any]]

    def __call__(self, found: Sequence[Any], within: float | None) -> Report:
        """Return the report on gradients, to within a tolerance."""
        report = self._report(found, within)
        report = report.noted(self.differenced.how(report.engine), *self.notes)
        if report.verdict != FAIL:
            return report
        if found is self.own and _has_backward_by_hand(self.function):
            try:
                others = self.by_autodiff()
            except Exception:  # what automatic differentiation may say of what has a backward pass by hand
                others = None
            if others is not None and self._report(others, within).ok:
                report = report.noted(BY_HAND)
        return explained(report, self.function, found)

    def _report(self, found: Sequence[Any], within: float | None) -> Report:
        arrays = {name: plain_array(g) for name, g in zip(self.parameters, found, strict=True)}
        return check_function(self.differenced, self.parameters, arrays, tolerance=within, **self.options)


def _is_function(gradients: Any) -> bool:
    """Tell a function from a pytree that can be called, as models are (Equinox's, or a dataclass with __call__)."""
    return callable(gradients) and (
        jax.tree_util.all_leaves([gradients]) or isinstance(gradients, jax.tree_util.Partial))


def _of_parameters(loss: Callable[..., Any], args: Sequence[Any]) -> Callable[[Any], Any]:
    """Return the loss as a function of the parameters alone, which raises where it is not one real number."""

    def cost(given: Any) -> Any:
        value = loss(given, *args)
        known = isinstance(value, (int, float, complex)) or hasattr(value, "dtype")
        if not known or np.shape(value) or not jnp.issubdtype(jnp.result_type(value), jnp.floating):
            raise ValueError(f"loss: expected one real number, got {_no_loss(value, known)}")
        if type(value) in (int, float):  # it has no dtype; numbers of NumPy have one
            raise ValueError("loss: expected one real number as JAX has them, got a Python number; return the array "
                             "itself, without float() and item()")
        return value

    return cost


def _no_loss(value: Any, known: bool) -> str:
    """What a loss is instead of one number, and what to do."""
    if known:
        return f"shape {np.shape(value)} and type {jnp.result_type(value)}; reduce it, e.g. with .mean()"
    if isinstance(value, (tuple, list, dict)):
        first = ", as lambda *args: loss(*args)[0] does" if isinstance(value, tuple) else ""
        return f"{type(value).__name__}; return the loss alone{first}"
    return no_result(value) or type(value).__name__


def _yardstick(
    function: JaxFunction, cost: Callable[[Any], Any], parameters: Any, places: Sequence[int], by_jax: bool
) -> Gradients | None:
    """Return what gives gradients by automatic differentiation alone; None where those judged are that already."""
    by_hand = _has_backward_by_hand(function)
    if by_jax and not by_hand:
        return None
    plain = partial(own_gradients, by_autodiff(cost) if by_hand else cost, parameters, places)
    return in_runs(plain, by_caller=False)


def _has_backward_by_hand(function: JaxFunction) -> bool:
    return function.traced is not None and has_backward_by_hand(function.traced.jaxpr.jaxpr)


def _again(function: JaxFunction, found_by: Callable[..., Sequence[Any]], seed: int, end: float) -> Repeats | None:
    """Return what runs the gradients again; None where the function is not one of real numbers in double precision."""
    if function.dtype != "float64" or any(leaf.is_complex for leaf in function.inputs):
        return None
    point = tuple(np.asarray(real) for real in function.real)
    return Repeats(lambda at: flat_gradient(found_by(list(map(jnp.asarray, at)))), point, seed, end,
                   sharpens=False)


def _wide(cost: Callable[..., Any], parameters: Any, loss: Any) -> JaxFunction | None:
    """Return the loss in double precision; None where it fails there."""
    try:
        return JaxFunction(cost, (parameters,), loss, wide=True)
    except Exception:  # what double precision does to code that fixes its own types is not the caller's mistake
        return None


def _made_by(found_by: Callable[[], list[Any]], *, by_jax: bool) -> list[Any]:
    """Return the gradients that something makes; where jax.grad cannot, say that others can be handed over."""
    try:
        return found_by()
    except Exception as error:
        if by_jax:
            error.add_note(NOT_BY_JAX)
        raise


def _require_function(function: JaxFunction) -> None:
    first, again = float(function.value[0]), float(function.at(function.theta)[0])
    if not same(first, again) and not abs(first - again) <= 1e2 * function.unit * abs(again):
        raise NondeterministicError(
            f"the loss is random or changes with each call: {first!r} and then {again!r} for the same parameters; draw "
            "its random numbers from a key that is fixed inside, or passed in args"
        )


def _called(function: JaxFunction, cost: Callable[..., Any], parameters: Any, loss: Any) -> JaxFunction:
    """The function whose values are differenced: where it cannot be traced, or parts of it keep the precision that they
    were traced in, called in double precision if it can be.
    """
    if function.traced is not None and not holds_as_traced(function.traced.jaxpr.jaxpr):
        return function
    try:
        wide = JaxFunction(cost, (parameters,), loss, wide=True)
    except Exception:  # what double precision does to code that fixes its own types is not the caller's mistake
        return function
    wide.rename([leaf.name for leaf in function.inputs])
    return wide
