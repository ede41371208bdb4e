"""Entries whose noise turns out to be the cost's own fast change have their slopes taken where steps resolve it."""

import math
from contextlib import suppress

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array, Indices
from ...problems.parameters.tensor import Tensor
from .check import Check
from .estimates import Estimates
from .lines import OutOfTime
from .steps import first_step
from .structure import LOUD, resolving_step, slopes_at


def resolved(check: Check, places: Indices, estimates: Estimates) -> Estimates:
    """Return estimates with slopes at steps that resolve the cost's fast change, where noise turns out to be that.

    One entry of each tensor whose cost is loud is asked, as long as there is time.

    Parameters
    ----------
    places : of the entries that the estimates are of, ascending.
    """
    if check.method.epsilon is not None or check.method.complex_step or not math.isfinite(check.problem.cost):
        return estimates
    loud = estimates.noise > LOUD * UNIT_ROUNDOFF * abs(check.problem.cost)
    if not np.count_nonzero(loud):
        return estimates
    with suppress(OutOfTime):
        for tensor in check.tensors:
            rows = check.rows_of(tensor, places)
            if np.count_nonzero(loud[rows]):
                estimates = _resolved_in(tensor, check, places[rows], rows, estimates)
    return estimates


def _resolved_in(tensor: Tensor, check: Check, places: Indices, rows: slice, estimates: Estimates) -> Estimates:
    """Return estimates with other slopes for the entries of one tensor, where its noise is resolved.

    Parameters
    ----------
    places, rows : of the tensor's entries; the cost is loud at some of them.
    """
    which, noise, cost = check.positions[places], estimates.noise[rows], check.problem.cost
    if tensor not in check.resolving:
        one = int(np.nanargmax(noise))
        check.resolving[tensor] = _resolving_step_of(check, which[[one]], first_step(check.values[places])[one],
                                                     float(noise[one]))
    step = check.resolving[tensor]
    if not step:
        return estimates
    found = slopes_at(check.lines, which, step, cost)
    check.refined.append((places, found))
    check.noise.known[tensor] = UNIT_ROUNDOFF / 2.0 * abs(cost)
    return estimates.with_entries(rows, Estimates.from_slopes(found))


def _resolving_step_of(check: Check, one: Indices, longest: float, noise: float) -> float:
    """Ask one entry (1,)."""

    def along(distances: Array) -> Array:
        costs: Array = check.lines(one, distances[None])[1][0]
        return costs

    return resolving_step(along, check.problem.cost, longest, noise)
