"""Which step for which parameter: noise measured per tensor, curvature from difference tables of a few entries."""

import math
import time
from dataclasses import dataclass

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array, Indices
from ...problems.parameters.tensor import Tensor
from .agreeing import agreeing
from .check import Check
from .difference_table import SlopeEstimates
from .estimates import Estimates
from .stencils import WIDEST, power_of_two
from .steps import FIRST, first_step, likely_step, median, refine

# In tensors of up to this many checked entries every entry has its step chosen by itself; in others ...
SMALL = 16
# ... this many entries are tried, at these shares of the way from the smallest to the largest.
PILOTS = 4
ACROSS = np.linspace(0.05, 0.95, PILOTS)
# A step this much smaller than a parameter would lose its digits in the sum.
LEAST_STEP = 2.0**-36
# Relative error from which no better step is looked for, by the order of the differences.
PLENTY = {2: 1e-9, 4: 1e-12, 6: 0.0}
# Evaluations that choosing a step for one entry usually takes, and that measuring a tensor's noise does.
EACH, NOISE_EACH = 8, 21
# Steps are chosen only where that takes no more than this share of the time that is left.
SHARE = 0.5
# Where there is no time to choose a step: this part of the first one tried (near the cube root of the roundoff).
UNPLANNED = 2.0**-9
# Noise that is assumed where there is no time to measure it, in units of the cost's own rounding.
ASSUMED_NOISE = 16.0


@dataclass(frozen=True)
class Plan:
    """Steps and noise of the checked entries, (k,) each, and the estimates that choosing them has left.

    Parameters
    ----------
    step, noise : one per place.
    known : places, and estimates there that need no further look.
    agreeing : places of tensors that agree but for a few entries, whichever step is taken.
    """

    step: Array
    noise: Array
    known: tuple[tuple[Indices, Estimates], ...] = ()
    agreeing: tuple[Indices, ...] = ()

    @property
    def waiting(self) -> Indices:
        """The places that are still to be looked at, ascending."""
        rest = np.ones(self.step.size, dtype=bool)
        for places, _ in self.known:
            rest[places] = False
        return np.flatnonzero(rest)


@dataclass(frozen=True)
class TensorPlan:
    """The plan of one tensor's entries: steps and noise, (p,) each, and what is known of which places."""

    step: Array
    noise: Array
    known: tuple[Indices, Estimates] | None = None


def plan(check: Check) -> Plan:
    """Find step and noise of all entries, tensor by tensor.

    Raises
    ------
    OutOfTime : where the deadline passes meanwhile.
    """
    step, noise = np.empty((2, check.positions.size))
    known, places = [], np.arange(check.positions.size)
    in_haste = _takes_too_long(check)
    tensors = [(tensor, here) for tensor in check.tensors if (here := places[check.places_of(tensor)]).size]
    agreed = agreeing(check, [(tensor, here) for tensor, here in tensors if here.size > SMALL])
    for tensor, here in tensors:
        if tensor in agreed:
            found = TensorPlan(agreed[tensor].step, agreed[tensor].noise, (here, agreed[tensor]))
        else:
            found = _unplanned(check, here) if in_haste else _planned(check, here, tensor)
        usable = (found.step > 0.0) & (found.step < np.inf)  # the parameters may not be finite
        step[here], noise[here] = np.where(usable, found.step, FIRST), found.noise
        if found.known is not None:
            known.append(found.known)
    return Plan(step, noise, tuple(known), tuple(here for tensor, here in tensors if tensor in agreed))


def _takes_too_long(check: Check) -> bool:
    """Tell whether a deadline leaves no time to choose steps."""
    if not math.isfinite(check.method.deadline):
        return False
    counts = [here.stop - here.start for here in map(check.places_of, check.tensors)]
    needed = sum(EACH * size if size <= SMALL else EACH * PILOTS + NOISE_EACH for size in counts if size)
    check.lines.time_one()
    return needed * check.lines.seconds_each > SHARE * (check.method.deadline - time.perf_counter())


def _unplanned(check: Check, here: Indices) -> TensorPlan:
    """Return steps that suit most functions, without a look at this one."""
    fixed = check.method.epsilon
    step = UNPLANNED * first_step(check.values[here]) if fixed is None else np.full(here.size, fixed)
    return TensorPlan(step, np.full(here.size, ASSUMED_NOISE * UNIT_ROUNDOFF * abs(check.problem.cost)))


def _planned(check: Check, here: Indices, tensor: Tensor) -> TensorPlan:
    """Return steps of one tensor's entries, from difference tables of a few of them (of all, in a small tensor)."""
    measured = here.size > SMALL or check.method.epsilon is not None
    noise = np.full(here.size, check.noise.of(tensor) if measured else UNIT_ROUNDOFF / 2.0 * abs(check.problem.cost))
    if check.method.epsilon is not None:
        return TensorPlan(np.full(here.size, check.method.epsilon), noise)
    if here.size <= SMALL:
        slopes = _learn(check, tensor, here, noise)
        check.refined.append((here, slopes))
        return TensorPlan(slopes.step, np.fmax(noise, slopes.noise), (here, Estimates.from_slopes(slopes)))
    return _from_pilots(check, here, tensor, noise)


def _from_pilots(check: Check, here: Indices, tensor: Tensor, noise: Array) -> TensorPlan:
    """Return steps of a large tensor's entries from those of a few."""
    order, values = check.method.order, check.values[here]
    pilots = _across(values)
    slopes = _refined(check, tensor, here[pilots], first_step(values)[pilots], noise[pilots])
    best = slopes.best_step(order)
    known = np.isfinite(slopes.error) & slopes.smooth & (slopes.bend[:, 0] > 0.0)
    known = known if known.any() else np.ones_like(known)
    likely = likely_step(values, values[pilots][known], best[known])
    step = power_of_two(np.maximum(likely, LEAST_STEP * np.abs(values)))
    usual = median(slopes.noise[known])
    check.noise.saw(tensor, usual)
    noise = np.fmax(noise, usual)
    return TensorPlan(step, noise, (here[pilots], Estimates.from_slopes(slopes)) if order == WIDEST.order else None)


def _across(values: Array) -> Indices:
    """Return the places of a few parameters of all sizes but the extreme ones."""
    places = (ACROSS * values.size).astype(np.int64)
    return np.sort(np.abs(values).argpartition(places)[places])


def _refined(check: Check, tensor: Tensor, chosen: Indices, start: Array, noise: Array) -> SlopeEstimates:
    return refine(
        check.lines, check.positions[chosen], start, check.problem.cost, noise, enough=PLENTY[check.method.order],
        measure=lambda: np.full(chosen.size, check.noise.of(tensor)),
    )


def _learn(check: Check, tensor: Tensor, chosen: Indices, noise: Array) -> SlopeEstimates:
    """Return slopes of all entries of a small tensor: the least and the largest first, whose steps tell the others'."""
    values = check.values[chosen]
    start = first_step(values)
    if chosen.size < 4:
        return _refined(check, tensor, chosen, start, noise)
    order = np.argsort(np.abs(values), kind="stable")
    ends = np.zeros(chosen.size, dtype=bool)
    ends[order[[0, -1]]] = True
    slopes = SlopeEstimates.unknown(chosen.size)
    first = _refined(check, tensor, chosen[ends], start[ends], noise[ends])
    slopes.take(first, ends, np.ones(2, dtype=bool))
    if (first.smooth & np.isfinite(first.error) & (first.bend[:, 0] > 0.0)).all():
        start = power_of_two(likely_step(values, values[ends], first.step))
    rest = _refined(check, tensor, chosen[~ends], start[~ends], noise[~ends])
    slopes.take(rest, ~ends, np.ones(chosen.size - 2, dtype=bool))
    return slopes
