"""Which step for which parameter: noise measured per tensor, curvature from difference tables of a few entries."""

import numpy as np

from ..activations import Array
from ..differences import Indices
from ..noise import ROUNDING, tensor_noise
from ..steps import Slopes, first_step, power_of_two, refine
from .work import RICHARDSON, Work

# Tensors of up to so many checked entries have the step of each entry chosen by itself; of others so many are tried.
SMALL, PILOTS = 16, 4
# Steps that noise is measured at, as parts of the parameters' size.
NEAR, FAR = 2.0**-24, 2.0**-17
# A step this much smaller than a parameter would lose its digits in the sum.
LEAST_STEP = 2.0**-36
# Values of a tensor further apart than this may need steps in proportion.
WIDE = 100.0
# Relative error from which a step serves a whole tensor.
PLENTY = 1e-9
# Nothing is subtracted: any step below the root of the rounding unit will do, and this one underflows nowhere.
COMPLEX_STEP = 2.0**-67


def plan(work: Work) -> None:
    """Find step and noise of all entries, tensor by tensor."""
    for tensor in work.problem.structure.tensors:
        first, last = np.searchsorted(work.positions, (tensor.start, tensor.stop))
        here = np.arange(first, last)
        if not here.size:
            continue
        if work.choice.complex_step:
            work.found.step[here], work.found.noise[here] = COMPLEX_STEP, 0.0
            continue
        fixed = work.choice.epsilon
        noise = ROUNDING / 2.0 * abs(work.problem.cost)
        if here.size > SMALL or fixed is not None:
            size = float(np.median(np.abs(work.problem.theta[work.positions[here]]))) or 1.0
            near, far = (NEAR * size, FAR * size) if fixed is None else (fixed, None)
            noise = tensor_noise(
                work.lines.at, work.problem.theta, tensor, near, work.problem.cost, work.generator, far
            )
        work.found.noise[here] = noise
        if fixed is not None:
            work.found.step[here] = fixed
        else:
            _try(work, here)


def _try(work: Work, here: Indices) -> None:
    """Steps of one tensor's entries, from difference tables of a few of them (of all, in a small tensor)."""
    found = work.found
    chosen = here if here.size <= SMALL else np.sort(work.generator.choice(here, PILOTS, replace=False))
    values = work.problem.theta[work.positions]
    start = first_step(values[here])[np.searchsorted(here, chosen)]
    enough = PLENTY if here.size > SMALL and work.choice.order != 6 else 0.0
    slopes = refine(work.lines, work.positions[chosen], start, work.problem.cost, found.noise[chosen], enough=enough)
    order = work.choice.order
    best = slopes.best_step(4 if order == RICHARDSON else int(order))
    if here.size > SMALL:
        _extend(work, here, values[here], np.abs(values[chosen]), best, slopes)
    else:
        found.step[here] = best
        found.noise[here] = np.fmax(found.noise[here], slopes.noise)
    if order == 6:
        found.put_slopes(chosen, slopes)


def _extend(work: Work, here: Indices, values: Array, sizes: Array, best: Array, slopes: Slopes) -> None:
    """Steps for a whole tensor from the best ones of a few entries: the same for all, or in proportion."""
    known = np.isfinite(slopes.error) & slopes.smooth
    if not known.any():
        known = np.ones_like(known)
    logs, sizes = np.log2(best[known]), sizes[known]
    step = np.full(here.size, np.exp2(np.median(logs)))
    if sizes.min() > 0.0 and sizes.max() > WIDE * sizes.min() and np.std(logs - np.log2(sizes)) < np.std(logs):
        ratio = np.exp2(np.median(logs - np.log2(sizes)))
        step = ratio * np.where(values == 0.0, np.median(sizes), np.abs(values))
    work.found.step[here] = power_of_two(np.maximum(step, LEAST_STEP * np.abs(values)))
    work.found.noise[here] = np.fmax(work.found.noise[here], np.median(slopes.noise[known]))
