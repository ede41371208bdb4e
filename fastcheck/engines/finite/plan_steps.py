"""Which step for which parameter: noise measured per tensor, curvature from difference tables of a few entries."""

import numpy as np

from ..._types import Array, Indices
from ...problems.parameters.tensor import Tensor
from .difference_table import SlopeEstimates
from .noise import ROUNDING
from .state import RICHARDSON, CheckState
from .stencils import WIDEST, power_of_two
from .steps import FIRST, first_step, likely_step, median, refine

# Tensors of up to so many checked entries have the step of each entry chosen by itself; of others so many are tried.
SMALL, PILOTS = 16, 4
# A step this much smaller than a parameter would lose its digits in the sum.
LEAST_STEP = 2.0**-36
# Relative error from which a step serves a whole tensor.
PLENTY = 1e-9
# Nothing is subtracted: any step below the root of the rounding unit will do, and this one underflows nowhere.
COMPLEX_STEP = 2.0**-67


def plan(work: CheckState) -> None:
    """Find step and noise of all entries, tensor by tensor."""
    for tensor in work.problem.layout.tensors:
        first, last = np.searchsorted(work.positions, (tensor.start, tensor.stop))
        here = np.arange(first, last)
        if not here.size:
            continue
        if work.choice.complex_step:
            work.found.step[here], work.found.noise[here] = COMPLEX_STEP, 0.0
            continue
        fixed = work.choice.epsilon
        work.found.noise[here] = ROUNDING / 2.0 * abs(work.problem.cost)
        if here.size > SMALL or fixed is not None:
            work.found.noise[here] = work.noise_of(tensor)
        if fixed is not None:
            work.found.step[here] = fixed
        else:
            _try(work, here, tensor)
            step = work.found.step[here]
            work.found.step[here] = np.where(np.isfinite(step) & (step > 0.0), step, FIRST)  # not finite parameters


def _try(work: CheckState, here: Indices, tensor: Tensor) -> None:
    """Steps of one tensor's entries, from difference tables of a few of them (of all, in a small tensor)."""
    found, order = work.found, work.choice.order
    small = here.size <= SMALL
    values = work.problem.theta[work.positions]
    chosen = here if small else here[_across(values[here])]
    start = first_step(values[here])[np.searchsorted(here, chosen)]
    enough = 0.0 if order == WIDEST.order else PLENTY
    slopes = (_learn if small else _refine)(work, tensor, chosen, start, enough)
    best = slopes.best_step(4 if order == RICHARDSON else int(order))
    if small:
        found.step[here] = best
        found.noise[here] = np.fmax(found.noise[here], slopes.noise)
    else:
        known = np.isfinite(slopes.error) & slopes.smooth & (slopes.bend[:, 0] > 0.0)
        known = known if known.any() else np.ones_like(known)
        step = likely_step(values[here], values[chosen][known], best[known])
        found.step[here] = power_of_two(np.maximum(step, LEAST_STEP * np.abs(values[here])))
        found.noise[here] = np.fmax(found.noise[here], median(slopes.noise[known]))
    if order == WIDEST.order:
        found.put_slopes(chosen, slopes)


def _across(values: Array) -> Indices:
    """Places of a few parameters of all sizes but the extreme ones."""
    places = (np.linspace(0.05, 0.95, PILOTS) * values.size).astype(np.int64)
    return np.sort(np.argpartition(np.abs(values), places)[places])


def _refine(work: CheckState, tensor: Tensor, chosen: Indices, start: Array, enough: float) -> SlopeEstimates:
    return refine(
        work.lines, work.positions[chosen], start, work.problem.cost, work.found.noise[chosen], enough=enough,
        measure=lambda: np.full(chosen.size, work.noise_of(tensor)),
    )


def _learn(work: CheckState, tensor: Tensor, chosen: Indices, start: Array, enough: float) -> SlopeEstimates:
    """Slopes of all entries of a small tensor: the least and the largest first, whose steps tell the others'."""
    if chosen.size < 4:
        return _refine(work, tensor, chosen, start, enough)
    values = work.problem.theta[work.positions[chosen]]
    order = np.argsort(np.abs(values), kind="stable")
    ends = np.zeros(chosen.size, dtype=bool)
    ends[order[[0, -1]]] = True
    slopes, first = SlopeEstimates.unknown(chosen.size), _refine(work, tensor, chosen[ends], start[ends], enough)
    slopes.take(first, ends, np.ones(2, dtype=bool))
    if (first.smooth & np.isfinite(first.error) & (first.bend[:, 0] > 0.0)).all():
        start = likely_step(values, values[ends], first.step)
    rest = _refine(work, tensor, chosen[~ends], start[~ends], enough)
    slopes.take(rest, ~ends, np.ones(chosen.size - 2, dtype=bool))
    return slopes
