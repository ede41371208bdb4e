"""The verdict on a tensor whose rounding was measured: the backward pass ran at several points."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import takewhile

import numpy as np

from .._constants import (
    NOISE_SIGMAS,
    RESOLVED,
    RESOLVED_LOW,
    SINGLE_SEEN,
    SMALLEST_NORMALS,
    SMALLEST_TERMS,
    UNIT_ROUNDOFFS,
)
from .._types import Array
from ..problems.gradients import Dithered, RunAgain
from .comparison import Comparison, relative
from .entries import broken_entries
from .explanations import Evidence, Explanations
from .judgement import Disagreeing, TensorVerdict
from .outcome import FAIL, INCONCLUSIVE, PASS, Cause, Verdict
from .shared import FURTHER_OFF_DOUBLE, is_mostly_rounding, is_rounding_alone, power_beside
from .spread import Spread, spread_of
from .yardstick import in_words, times_as_rough
from .zero import scale_beside, unresolved, zero

# More digits make rounding smaller by far more than this; mistakes they leave as they are.
DIGITS = 16.0
# A gradient of zeros is wrong where the truth is this many times a typical error of the runs beside.
TYPICAL = 16.0
# Entries of a tensor spread by this share of what is usual in it at least: few runs may show too little of one.
EVENLY = 0.5
# Runs from nearer points that differ by less than this share of the others differ as a derivative does.
CURVED = 0.1
# Rounding in extended precision, in units of that in double precision.
EXTENDED = float(np.finfo(np.longdouble).eps / np.finfo(np.float64).eps)


def by_spread(comparison: Comparison, given: Evidence, runs: Dithered) -> TensorVerdict:
    """Return the verdict on a gradient in low precision, by runs with the truth beside each."""
    sizes, tensor = comparison.norms(given.norm), comparison.tensor
    found = TensorVerdict(comparison, relative(sizes.error, sizes.gradient, sizes.approx))
    if not sizes.finite:
        return replace(found, verdict=FAIL, entries=broken_entries(comparison), cause=Cause.NOT_FINITE)
    gradients, truths = (part[:, tensor.start : tensor.stop] for part in (runs.gradients, runs.truths))
    least = max(runs.unit * scale_beside(found, given), SMALLEST_NORMALS[_precision(runs)])
    typical = _typical_error(gradients, truths) if gradients.any() else 0.0
    if not gradients[0].any() and comparison.approx_rms > max(least, TYPICAL * typical):
        return replace(found, verdict=FAIL, entries=broken_entries(comparison), cause=Cause.SPREAD,
                       finding="is exactly zero, where the truth is not")
    size = max(comparison.approx_rms, math.sqrt(float(np.mean(gradients[0] ** 2))))
    if 0.0 < size <= SMALLEST_TERMS[_precision(runs)]:
        return replace(found, verdict=INCONCLUSIVE, cause=Cause.COARSE)
    spread = spread_of(gradients, truths, tensor.shape, runs.unit, alone=runs.alone)
    if not spread.resolved:
        return unresolved(replace(found, comparison=comparison.held(spread.power, 1.0)), given, runs, spread.finding)
    if not spread.finding:
        return _rough(_right(found, spread.power), runs)
    power = _power_further(comparison, spread, runs)
    if math.isfinite(power):
        return _rough(_right(found, max(power, spread.power)), runs)
    return replace(found, comparison=comparison.held(spread.power, 1.0), verdict=FAIL, cause=Cause.SPREAD,
                   finding=spread.finding, power=spread.power, entries=Disagreeing(wrong=spread.wrong))


def _typical_error(gradients: Array, truths: Array) -> float:
    """Return the median size of the errors of all runs but the first, where there is anything to be wrong about.

    A loss that is met but for rounding has gradients that are nothing else; a sum that overflows, or a threshold, makes
    zeros of some gradients, and leaves those of most runs as they should be.
    """
    errors = np.abs(gradients[1:] - truths[1:])[truths[1:] != 0.0]
    return float(np.median(errors)) if errors.size else 0.0


def by_more_digits(found: TensorVerdict, given: Evidence, again: RunAgain) -> TensorVerdict | None:
    """Return the verdict on a tensor that disagrees by no more than its own rounding in double precision; else None.

    The same backward pass, from numbers with some three digits more, is then right, or off by far less than what the
    digits are apart: what it rounds (1 - a where a is next to one) is lost in double precision, and no mistake.  What
    is saturated so far that these digits lose it as well is held to what they may lose.
    """
    c = found.comparison
    sharper = again.sharper if c.sizes.finite and c.checked else None
    if sharper is None:
        return None
    plain, sharp = map(c.entries_of, sharper)
    own = np.abs(sharp - c.gradient)
    if not (np.isfinite(own).all() and (np.abs(plain - c.gradient) <= own / DIGITS).all()):
        return None  # it gives something else every time
    allowed = c.tolerance * (np.abs(sharp) + np.abs(c.reference)) + NOISE_SIGMAS * c.noise + own / DIGITS
    if given.differences.lost is not None:
        allowed += NOISE_SIGMAS * EXTENDED * given.differences.lost[c.first : c.first + c.checked]
    if not (np.abs(sharp - c.reference) <= allowed).all():
        return None
    size = max(c.sizes.gradient, c.sizes.approx)
    verdict: Verdict = PASS if c.sizes.error <= RESOLVED * size else INCONCLUSIVE
    return replace(found, verdict=verdict, cause=Cause.ROUNDING, entries=Disagreeing())


def by_running_again(found: TensorVerdict, given: Evidence, dtype: str | None, again: RunAgain) -> TensorVerdict | None:
    """Return the same verdict, unless the same backward pass, rounded otherwise, shows that it was rounding.

    A mistake repeats itself and rounding does not.  In double precision something has to round as single precision
    does (a float32 buffer in which sums are collected), unless the tensor is zero in theory: what is left of terms that
    cancel can be any multiple of the other tensors' rounding (a sample that hardly varies, normalised).

    Parameters
    ----------
    found : the verdict without that.
    dtype : the precision of the gradient, None for double.
    again : runs the pass.

    Returns
    -------
    The verdict; None where the pass cannot be run again.
    """
    c, unit = found.comparison, UNIT_ROUNDOFFS[dtype or "float32"]
    scale = max(c.root_mean_square, given.scale_beside(c))
    off = c.sizes.error / math.sqrt(max(c.checked, 1))
    if not c.sizes.finite or not c.checked:
        return found
    if not off <= (RESOLVED if dtype is None else RESOLVED_LOW) * scale or c.noise_floor > unit * scale:
        return found
    runs = again()
    if runs is None or not np.isfinite(runs).all():
        return None
    gradients, explanations = np.vstack([c.gradient, c.entries_of(runs)]), Explanations(given, c, dtype)
    if explanations.zero_in_theory and off <= RESOLVED * scale and _is_nothing(gradients, c, dtype, again):
        return zero(found, explanations)
    rounding = math.sqrt(float(np.mean(np.var(gradients[1:], axis=0, ddof=1))))
    if c.where is not None or rounding < SINGLE_SEEN * unit * scale:
        return found
    if dtype is None and _is_curved(gradients, c, again):
        return found  # what spreads is the derivative: it changes within moves as short as a rounding
    return _by_its_spread(found, gradients, unit, again)


def is_within_its_spread(c: Comparison, again: RunAgain) -> bool:
    """Tell whether all errors are what the same backward pass spreads by, a rounding beside."""
    runs = again()
    if runs is None or not np.isfinite(runs).all():
        return False
    spread = np.std(c.entries_of(runs), axis=0, ddof=1)  # of means of two
    allowed = math.sqrt(2.0) * NOISE_SIGMAS * np.hypot(spread, EVENLY * math.sqrt(float(np.mean(spread**2))))
    allowed += c.tolerance * (np.abs(c.gradient) + np.abs(c.reference))
    return bool((np.abs(c.gradient - c.reference) <= allowed).all())


def _is_curved(gradients: Array, c: Comparison, again: RunAgain) -> bool:
    """Tell whether runs (runs, entries), the judged one first, differ as the derivative does, and not by rounding.

    From points 32 times as near, rounding in single precision is some fifth as large in the mean, since fewer
    numbers are rounded otherwise; what a derivative changes by to second order is the thousandth part.
    """
    runs = again.nearer
    if runs is None or not np.isfinite(runs).all():
        return False
    near, far = (float(np.sqrt(np.mean((each - c.gradient) ** 2))) for each in (c.entries_of(runs), gradients[1:]))
    return near <= CURVED * far


def _by_its_spread(found: TensorVerdict, gradients: Array, unit: float, again: RunAgain) -> TensorVerdict:
    """The same verdict, unless the spread of gradients (runs, entries), the judged one first, explains the errors."""
    c = found.comparison
    truths = np.broadcast_to(c.derivative, gradients.shape)
    spread = spread_of(gradients, truths, c.tensor.shape, unit)
    if not spread.resolved:
        return replace(found, verdict=PASS, cause=Cause.ZERO) if is_rounding_alone(gradients - truths) else found
    power = spread.power
    if spread.finding and not spread.here:
        away = ((truths[:1] + c.entries_of(low - double), truths[:1] + 0.0 * c.entries_of(low))
                for low, double in _further(again))
        power = _least_power(gradients[1:] - truths[1:], truths[1:], away, c.tensor.shape, unit)
    if spread.here or power > RESOLVED_LOW:
        return found
    return replace(_right(found, power), entries=Disagreeing())


def _right(found: TensorVerdict, power: float) -> TensorVerdict:
    """A gradient in which rounding explains everything: right, unless it hides errors of several per cent."""
    held = replace(found, comparison=found.comparison.held(power, 1.0), power=power)
    if power > RESOLVED_LOW:
        return replace(held, verdict=INCONCLUSIVE, cause=Cause.COARSE)
    return replace(held, verdict=PASS, cause=Cause.SPREAD)


def _rough(found: TensorVerdict, runs: Dithered) -> TensorVerdict:
    """The same verdict, unless the backward pass rounds more than it would have to."""
    if found.verdict != PASS or runs.yardstick is None:
        return found
    part = slice(found.comparison.tensor.start, found.comparison.tensor.stop)
    errors, truths = runs.gradients[:, part] - runs.truths[:, part], runs.truths[:, part]
    times = times_as_rough(errors, runs.yardstick[:, part], truths, runs.unit)
    if not times:
        return found
    return replace(found, verdict=INCONCLUSIVE, cause=Cause.ROUGH, finding=in_words(times, "automatic differentiation"))


def _power_further(comparison: Comparison, spread: Spread, runs: Dithered) -> float:
    """What is seen where rounding that all runs share explains what seems wrong in them; infinity where it does not."""
    if spread.here and not runs.alone:
        return math.inf
    tensor, judged = comparison.tensor, slice(0, 1) if spread.here else slice(None)
    part = slice(tensor.start, tensor.stop)
    truths = runs.truths[judged, part]
    away = ((one.gradients[1:, part], one.truths[1:, part]) for one in runs.further)
    return _least_power(runs.gradients[judged, part] - truths, truths, away, tensor.shape, runs.unit)


def _least_power(
    errors: Array, truths: Array, further: Iterable[tuple[Array, Array]], shape: tuple[int, ...], unit: float
) -> float:
    """What is seen beside the first of several distances at which rounding explains the errors; infinity for none."""
    powers = (power_beside(errors, truths, away, shape, unit) for away in further)
    return next(filter(math.isfinite, powers), math.inf)


def _is_nothing(gradients: Array, c: Comparison, dtype: str | None, again: RunAgain) -> bool:
    """Tell whether the runs (runs, entries) of a gradient that is zero in theory are rounding.

    Where little moves, runs near by round alike in low precision; those further away do not, but a mistake may vary.
    """
    if dtype is None:
        return is_mostly_rounding(gradients, FURTHER_OFF_DOUBLE)
    if is_mostly_rounding(gradients):
        return True
    return any(is_rounding_alone(np.vstack([gradients[:1], c.entries_of(away)])) for away, _ in _further(again))


def _further(again: RunAgain) -> Iterator[tuple[Array, Array]]:
    """Give gradients at points further and further away, as they come and in double precision, while all is finite."""
    return takewhile(lambda found: bool(np.isfinite(found).all()), again.further())


def _precision(runs: Dithered) -> str:
    """Return the name of the precision that the runs compute in, which flushes what is too small for it to zero."""
    return next((name for name, unit in UNIT_ROUNDOFFS.items() if unit == runs.unit), "float32")
