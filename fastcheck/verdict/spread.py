"""Whether the error of a gradient in low precision is rounding, whose spread is measured and not assumed.

The same backward pass runs at several points that differ by a rounding of its inputs, and beside each run stands the
truth at its own point.  Rounding differs from run to run, a mistake does not.  So for every quantity q of the error E
(a factor, a norm, one entry) the mean over the runs is compared with its own standard error

    s = sd(q_1 ... q_n) / sqrt(n),

and a mistake is what stands many standard errors beyond a floor for the rounding that the runs share.  The factor of
a gradient G to the truth T is <G, T> / <T, T>, by least squares: rounding moves it by a thousandth, since it averages
over all entries, while a factor of 1.01 moves it by a hundredth.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .._constants import (
    ENTRY_ROUNDINGS,
    LEAST_SHARED,
    LEAST_SHARED_SINGLE,
    MOST_SHARED,
    NOISE_SIGMAS,
    NORM_SIGMAS,
    POWER_SIGMAS,
    SLICE_FLOORS,
    SPREADS_SHARED,
    UNIT_ROUNDOFFS,
)
from .._types import Array, Indices
from .alone import finding_alone, power_alone
from .judgement import NONE
from .shared import norm_of_mean

# The first run is a mistake of its own where its error is this many times the largest of the others'.
ALONE = 10.0
# Slices of an axis with less than this share of the mean slice's norm have no factor worth measuring.
FAINT = 0.05


@dataclass(frozen=True)
class Spread:
    """What the runs say about one tensor.

    Parameters
    ----------
    factor, factor_error : the least-squares factor of the gradient to the truth less one, and its standard error.
    floor : what rounding that all runs share may leave in it.
    wrong : the entries whose errors no rounding explains.
    finding : what is wrong, to follow the gradient's name; "" where nothing is.
    least : what is seen of a gradient that stands alone, where the runs are of others.
    here : whether it is wrong at the judged point alone, which the others do not share.
    resolved : whether the runs can tell the gradient from rounding at all.
    """

    factor: float = 0.0
    factor_error: float = 0.0
    floor: float = 0.0
    wrong: Indices = field(default_factory=lambda: NONE)
    finding: str = ""
    here: bool = False
    resolved: bool = True
    least: float = 0.0

    @property
    def follows(self) -> bool:
        """Whether the error follows the gradient by more than rounding leaves: the whole tensor is off by a factor."""
        return abs(self.factor) > max(self.floor, NOISE_SIGMAS * self.factor_error)

    @property
    def power(self) -> float:
        """The relative error of the whole tensor that would be seen with probability 0.999."""
        together = max(self.floor, NOISE_SIGMAS * self.factor_error) + POWER_SIGMAS * self.factor_error
        return max(self.least, together)


def spread_of(gradients: Array, truths: Array, shape: tuple[int, ...], unit: float, *, alone: bool = False) -> Spread:
    """Judge one tensor by several runs.

    Parameters
    ----------
    gradients, truths : (runs, entries), of at least four runs.
    shape : the tensor's.
    unit : the unit roundoff of the lowest precision that the backward pass computes in.
    alone : whether the first gradient came another way than the others (see ``fastcheck.verdict.alone``).
    """
    errors = gradients - truths
    size = math.sqrt(float(np.mean(truths**2)))
    resolved = size > NORM_SIGMAS * math.sqrt(float(np.mean(np.var(errors[int(alone) :], axis=0, ddof=1))))
    one = finding_alone(gradients[0], errors[1:], truths, shape, unit) if alone else ""
    if finding := one or _of_first(gradients[0], errors, truths):
        return Spread(finding=finding, here=True, resolved=resolved)
    if not resolved:
        return Spread(resolved=False)
    factor, factor_error, scatter = _factor(errors, truths)
    floor = min(max(_least_shared(unit), SPREADS_SHARED * scatter), MOST_SHARED)
    floor = max(floor, ENTRY_ROUNDINGS * unit / math.sqrt(truths.shape[1]))  # of few entries none makes up for another
    found = Spread(factor, factor_error, floor)
    wrong = _wrong_entries(errors, truths, size, unit)
    finding = (_of_factor(found, errors, truths) or _of_slices(errors, truths, shape, floor)
               or _of_norm(found, errors, truths) or _of_entries(wrong))
    least = power_alone(errors[1:], truths, shape, unit) if alone else 0.0
    return Spread(factor, factor_error, floor, wrong, finding, least=least)


def _least_shared(unit: float) -> float:
    """Return the share of a gradient that rounding which all runs share may at least leave."""
    return LEAST_SHARED if unit > UNIT_ROUNDOFFS["float32"] else LEAST_SHARED_SINGLE


def _of_first(gradient: Array, errors: Array, truths: Array) -> str:
    """A mistake that shows at the caller's own point alone, as where equal numbers are counted.

    The nearest of the truths counts: where a pre-activation stands within a rounding of a kink, those a rounding apart
    are gradients of both branches, and the caller's may be of either.
    """
    apart, size = float(np.linalg.norm(gradient - truths, axis=1).min()), float(np.linalg.norm(truths[0]))
    if not apart > max(ALONE * float(np.linalg.norm(errors[1:], axis=1).max()), MOST_SHARED * size):
        return ""
    if not size:
        return "is not zero at this very point, as the truth is"
    return (f"differs from the truth by {100 * apart / size:.3g} % of its norm at this very point, "
            "and agrees a rounding beside it")


def _factor(errors: Array, truths: Array) -> tuple[float, float, float]:
    """Mean over the runs of <E, T> / <T, T>, its standard error, and its spread from run to run.

    <T, T> is that of all runs together: a truth of few entries may nearly vanish at one of them.
    """
    each = np.sum(errors * truths, axis=1) / max(float(np.mean(np.sum(truths**2, axis=1))), np.finfo(float).tiny)
    scatter = float(np.std(each, ddof=1))
    return float(np.mean(each)), scatter / math.sqrt(len(each)), scatter


def _of_factor(found: Spread, errors: Array, truths: Array) -> str:
    """Return a factor of the whole tensor that leaves next to nothing else."""
    factor, size = found.factor, float(np.linalg.norm(truths.mean(axis=0)))
    if not found.follows:
        return ""
    left = float(np.linalg.norm((errors - factor * truths).mean(axis=0)))
    if left > max(2 * NORM_SIGMAS * norm_of_mean(errors), 0.1 * abs(factor) * size):
        return ""
    return (f"is {1.0 + factor:.4g} times the truth, to within {100 * found.factor_error:.2g} %: "
            "rounding does not do that")


def _of_norm(found: Spread, errors: Array, truths: Array) -> str:
    """Return an error of the whole tensor that is larger than rounding makes it, along the gradient or across."""
    size, shared = float(np.linalg.norm(truths.mean(axis=0))), norm_of_mean(errors)
    left = float(np.linalg.norm((errors - found.factor * truths).mean(axis=0)))
    if not found.follows and not left > NORM_SIGMAS * shared + found.floor * size:
        return ""
    apart = float(np.linalg.norm(errors.mean(axis=0)))
    return (f"differs from the truth by {100 * apart / size:.3g} % of its norm, of which rounding explains "
            f"{100 * shared / size:.2g} %")


def _of_slices(errors: Array, truths: Array, shape: tuple[int, ...], floor: float) -> str:
    """Return a row, column or any other slice that is off as a whole."""
    for axis, length in enumerate(shape):
        if length < 2 or length == truths.shape[1]:
            continue
        others = tuple(a + 1 for a in range(len(shape)) if a != axis)
        e, t = errors.reshape(-1, *shape), truths.reshape(-1, *shape)
        squares = np.mean(np.sum(t**2, axis=others), axis=0)
        each = np.sum(e * t, axis=others) / np.maximum(squares, np.finfo(float).tiny)
        mean, error = each.mean(axis=0), each.std(axis=0, ddof=1) / math.sqrt(len(each))
        norms = np.sqrt(squares)
        seen = norms > FAINT * math.sqrt(float(np.mean(norms**2)))
        off = seen & (np.abs(mean) > np.maximum(SLICE_FLOORS * floor, NOISE_SIGMAS * error))
        if 0 < np.count_nonzero(off) <= length / 2:
            return _slices_in_words(mean, off, axis, len(shape))
    return ""


def _slices_in_words(mean: Array, off: NDArray[np.bool_], axis: int, axes: int) -> str:
    places = np.flatnonzero(off)
    worst = int(places[np.argmax(np.abs(mean[places]))])
    index = ", ".join(str(worst) if a == axis else ":" for a in range(axes))
    more = f", and {places.size - 1} more along that axis are off" if places.size > 1 else ""
    last = " (the last)" if worst == len(mean) - 1 else ""
    return f"[{index}]{last} is {1.0 + mean[worst]:.4g} times the truth{more}: rounding does not do that"


def _wrong_entries(errors: Array, truths: Array, size: float, unit: float) -> Indices:
    """Single entries that are off by more than their own spread and some roundings explain."""
    mean = errors.mean(axis=0)
    error = errors.std(axis=0, ddof=1) / math.sqrt(len(errors))
    shared = max(ENTRY_ROUNDINGS * unit, LEAST_SHARED_SINGLE)
    allowed = (2 * NOISE_SIGMAS) * error + shared * (np.abs(truths.mean(axis=0)) + size)
    return np.flatnonzero(np.abs(mean) > allowed)


def _of_entries(wrong: Indices) -> str:
    if not wrong.size:
        return ""
    return f"is off in {wrong.size:,} entr{'y' if wrong.size == 1 else 'ies'} by more than rounding explains"
