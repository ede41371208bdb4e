"""Gradients of a loss in less than double precision against the truth, which exact differences prove.

The gradient runs again and again at points that differ by about one rounding, with the truth beside each run, so that
the spread of its rounding is measured (``fastcheck.verdict.spread``).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import NoRule
from .._types import Array
from ..checks.low_precision import (
    LEAST_RUNS,
    NOT_PROVEN,
    RUNS,
    RUNS_FURTHER,
    SECONDS,
    NoTruthError,
    errors_of_yardstick,
    is_enough,
    judged_by_runs,
    report_of,
    the_telling_one,
)
from ..problems.gradients import Dithered
from ..report.report import Report
from ..verdict.outcome import FAIL, Cause
from .function import JaxFunction, as_real, joined
from .program.program import QUICKLY, double_precision, values_of
from .replayed import Replayed
from .trees import plain_array

# Leaves of a pytree and a factor -> gradients of the loss times that, as they run.
Gradients = Callable[[Sequence[Any], float], Sequence[Any]]
# Gradients and a tolerance -> the report on them by exact differences.
Judged = Callable[[Sequence[Any], float | None], Report]


@dataclass(frozen=True)
class Truth:
    """The gradient of a loss in double precision, at any point.

    Parameters
    ----------
    gradient : real arrays of the parameters -> (n,).
    """

    gradient: Callable[[Sequence[Array]], Array]


def truths_of(function: JaxFunction, wide: JaxFunction | None) -> list[Truth]:
    """Return what may be the truth: the loss called in double precision, and its equations, one by one.

    The first keeps what functions with derivatives of their own hold at kinks, but is no truth where these are wrong or
    fix their precision; the second has no such derivatives.

    Parameters
    ----------
    function : the loss as the caller runs it; wide : in double precision, where that can be.
    """
    found = []
    if wide is not None and wide.dtype == "float64":
        found.append(Truth(partial(_by_calls, Replayed(partial(_gradient_of, wide), whole=True))))
    if function.traced is not None:
        found.append(Truth(partial(_by_equations, function)))
    return found


def _by_calls(gradient: Replayed, real: Sequence[Array]) -> Array:
    with double_precision():
        return joined(gradient([jnp.asarray(value, jnp.float64) for value in real]))


def _gradient_of(function: JaxFunction, real: Sequence[Any]) -> Sequence[Any]:
    found: Sequence[Any] = jax.grad(lambda parts: function(*parts)[0])(list(real))
    return found


def in_runs(gradients: Callable[..., Sequence[Any]], *, by_caller: bool) -> Gradients:
    """Return gradients at leaves as gradients of the loss times a factor, which are run many times.

    Parameters
    ----------
    gradients : leaves, and a factor unless they are by the caller's own function -> gradients.
    """
    replayed = Replayed(gradients)
    if not by_caller:
        return replayed
    return lambda leaves, factor: [np.asarray(plain_array(g), np.float64) * factor if factor != 1.0 else g
                                   for g in replayed(leaves)]


def _by_equations(function: JaxFunction, real: Sequence[Array]) -> Array:
    traced = function.traced
    if traced is None:
        raise NoTruthError(function.reason)
    build = partial(values_of, traced, range(len(real)))
    run = traced.once("true gradient", lambda: jax.jit(
        jax.grad(lambda given, constants: build(constants, given)[0]), compiler_options=QUICKLY))
    with double_precision():
        return joined(run([jnp.asarray(value, jnp.float64) for value in real], traced.constants))


def at_point(truth: Truth, leaves: Sequence[Any]) -> Array:
    """Return the truth (n,) at leaves of whatever precision.

    Raises
    ------
    NoTruthError : where it cannot be had.
    """
    try:
        return truth.gradient([np.asarray(as_real(leaf), np.float64) for leaf in leaves])
    except NoTruthError:
        raise
    except (NoRule, TypeError, ValueError, NotImplementedError, KeyError) as error:
        raise NoTruthError(f"no gradient in double precision ({str(error)[:200]})") from error


def dithered(
    gradients: Gradients, truth: Truth, leaves: Sequence[Any], unit: float, seed: int, seconds: float | None,
    most_runs: int = RUNS,
) -> Dithered:
    """Run the gradient at the caller's point and beside it, with the truth at each.

    Parameters
    ----------
    gradients : of the loss times a factor, as it runs.
    truth : proven at the caller's point.
    leaves : the caller's point.
    unit : unit roundoff of the lowest precision that it computes in, or what the points are to be moved by.
    seed : of the points.
    seconds : how long that may take, beside the least number of runs; None for some seconds.
    most_runs : how many runs.

    Raises
    ------
    NoTruthError : where either cannot be had.
    """
    started, most = time.perf_counter(), SECONDS if seconds is None else min(seconds, SECONDS)
    generator = np.random.default_rng(seed)
    low, true = [], []
    linear = _follows_factors(gradients, leaves, unit)
    for number in range(most_runs):
        point = list(leaves) if not number else [_jiggled(leaf, unit, generator) for leaf in leaves]
        # The loss's own factor is moved too: what it hands backward would be rounded alike in every run otherwise.
        factor = int(generator.integers(96, 160)) / 128 if number and linear else 1.0
        low.append(flat_gradient(_as_they_run(gradients, point, factor)) / factor)
        true.append(at_point(truth, point))
        if is_enough(len(low), time.perf_counter() - started, most):
            break
    return Dithered(np.stack(low), np.stack(true), unit)


def _as_they_run(gradients: Gradients, leaves: Sequence[Any], factor: float) -> Sequence[Any]:
    try:
        return gradients(leaves, factor)
    except Exception as error:  # what JAX says of a loss that has no reverse mode, where the gradients are others
        raise NoTruthError(f"no gradient at other points ({str(error)[:200]})") from error


def _follows_factors(gradients: Gradients, leaves: Sequence[Any], unit: float) -> bool:
    """Tell whether half the loss has half the gradient; what a wrong backward pass leaves there is not rounding."""
    whole, half = (flat_gradient(_as_they_run(gradients, leaves, factor)) for factor in (1.0, 0.5))
    with np.errstate(all="ignore"):
        apart = np.linalg.norm(2.0 * half - whole) > np.sqrt(unit) * np.linalg.norm(whole)
    return not apart


def flat_gradient(gradients: Sequence[Any]) -> Array:
    """Return gradients end to end; complex ones as pairs of real numbers, df/dx and df/dy."""
    return joined([np.asarray(as_real(jnp.conj(g) if jnp.iscomplexobj(g) else g), np.float64) for g in gradients])


def _jiggled(leaf: Any, unit: float, generator: np.random.Generator) -> Any:
    """Return every entry moved by up to two roundings of the low precision, to either side."""
    real = np.asarray(as_real(leaf), np.float64)
    sides = generator.choice((-1.0, 1.0), real.shape)
    moved = real * (1.0 + 2.0 * unit * sides * generator.uniform(0.25, 1.0, real.shape))
    leaf = jnp.asarray(leaf)
    if jnp.iscomplexobj(leaf):
        return jnp.asarray(moved[..., 0] + 1j * moved[..., 1], leaf.dtype)
    return jnp.asarray(moved, leaf.dtype)


@dataclass(frozen=True)
class Low:
    """Gradients of a loss in low precision that are to be judged.

    Parameters
    ----------
    function : the loss as the caller runs it.
    gradients : JAX's own, at any point.
    given : those that are judged.
    judged : judges gradients by exact differences.
    yardstick : gradients by automatic differentiation in the same precision, where those judged are somebody's own.
    """

    function: JaxFunction
    gradients: Gradients
    given: Sequence[Any]
    judged: Judged
    yardstick: Gradients | None

    def report(
        self, wide: JaxFunction | None, norm: float, seed: int, seconds: float | None
    ) -> Report | None:
        """Return the report by the spread of rounding; None where there is no truth in double precision.

        Parameters
        ----------
        wide : the loss in double precision, where it runs there.
        norm, seed, seconds : as in ``check``.
        """
        started = time.perf_counter()
        leaves = [leaf.assembled(r) for leaf, r in zip(self.function.inputs, self.function.real, strict=True)]
        try:
            truth, proven = self._truth(leaves, wide)
            if truth is None:
                return None
            runs = dithered(self.gradients, truth, leaves, self._unit, seed, seconds)
        except NoTruthError:
            return None
        given = flat_gradient(self.given)
        runs = replace(runs, alone=not np.array_equal(given, runs.gradients[0], equal_nan=True))
        runs.gradients[0] = given
        runs = replace(runs, yardstick=self._errors_of_yardstick(truth, leaves, seed, seconds))

        def report_on(found: Dithered) -> Report:
            return report_of(
                tuple(part.tensor for part in self.function.parts()[0]), self.function.theta,
                float(self.function.value[0]), found, norm=norm, seed=seed, seconds=time.perf_counter() - started,
            )

        report = judged_by_runs(
            report_on, runs,
            lambda reach: dithered(self.gradients, truth, leaves, reach, seed, seconds, RUNS_FURTHER),
        )
        return report if proven else report.held_open(Cause.COARSE).noted(NOT_PROVEN)

    def again(
        self, report: Report, wide: JaxFunction | None, norm: float, seed: int, seconds: float | None
    ) -> Report:
        """Return a report on single precision that did not pass, or what the spread of rounding says instead."""
        found = self.report(wide, norm, seed, seconds)
        return report if found is None else the_telling_one(report, found)

    def _errors_of_yardstick(
        self, truth: Truth, leaves: Sequence[Any], seed: int, seconds: float | None
    ) -> Array | None:
        """Return the errors of the yardstick (runs, n); None where there is none, and as in the function called."""
        gradients, unit = self.yardstick, self._unit
        if gradients is None:
            return None
        return errors_of_yardstick(
            lambda: dithered(gradients, truth, leaves, unit, seed, seconds, LEAST_RUNS), unit)

    @property
    def _unit(self) -> float:
        """The unit roundoff of the lowest precision in the loss and in its gradients."""
        types = [jnp.finfo(g.dtype).eps / 2.0 for g in self.given if hasattr(g, "dtype")]
        return max(self.function.unit, *(float(unit) for unit in types))

    def _truth(self, leaves: Sequence[Any], wide: JaxFunction | None) -> tuple[Truth | None, bool]:
        """Return the truth that exact differences prove, else one that they leave open; and whether it is proven."""
        left_open: Truth | None = None
        stops = np.cumsum([r.size for r in self.function.real])[:-1]
        for truth in truths_of(self.function, wide):
            try:
                flat = np.split(at_point(truth, leaves), stops)
            except NoTruthError:
                continue
            parts = [part.reshape(r.shape) for part, r in zip(flat, self.function.real, strict=True)]
            found = self.judged(parts, None)
            if found.ok:
                return truth, True
            if found.verdict != FAIL:
                left_open = left_open or truth
        return left_open, False
