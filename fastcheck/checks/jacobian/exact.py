"""Jacobians against exact differences: what disagrees is wrong, but at kinks, where several derivatives are right."""

import numpy as np

from ..._types import Array, Indices, Mask
from .mismatch import BETWEEN, NOISY, Mismatch
from .point import ROUNDINGS, SHARE, Point, Tolerances
from .quotients import ExactJacobian

# A derivative that is zero but for rounding: this many unit roundoffs of the outputs, over the size of the input; and
# this share of them at most.
ZEROS, MOST_ZERO = 1e3, 1e-2


def compare_exactly(point: Point, analytical: Array, exact: ExactJacobian, limits: Tolerances) -> Mismatch | None:
    """Judge a Jacobian (M, n) by its exact one; None where they agree.

    At kinks an output's derivatives are right where they are those of a convention held at every tie, all together.  A
    derivative between both sides that follows none is neither right nor wrong: the Jacobian is not passed.
    """
    numerical = exact.central
    allowed = _allowed(point, numerical, limits, analytical)
    wrong = _apart(analytical, numerical, allowed)
    doubted = np.flatnonzero(wrong.any(axis=0))
    if doubted.size:
        # At the edge of a domain slopes go like a root of the step.
        exact = exact.looked_nearer(doubted)
        numerical = exact.central
        allowed = _allowed(point, numerical, limits, analytical)
        wrong = _apart(analytical, numerical, allowed)
    between = np.zeros_like(wrong)
    columns = np.flatnonzero(exact.flagged)
    with np.errstate(invalid="ignore"):
        apart = np.abs(exact.right[:, columns] - exact.left[:, columns]) > 2.0 * allowed[:, columns]
    # The mean of both sides is right for one entry; for several of one output it may be nobody's gradient.
    if wrong[:, columns].any() or (apart.sum(axis=1) > 1).any():
        # One side may be absurdly large: by it no number is right that is not so by its own size.
        close = np.minimum(allowed, _allowed(point, _smaller(analytical, numerical), limits, analytical))
        found = _at_kinks(analytical[:, columns], exact, columns, close[:, columns])
        wrong[:, columns], between[:, columns] = found
    places = np.argwhere(wrong)
    if not places.size and between.any():
        return Mismatch(point, analytical, numerical, np.argwhere(between), BETWEEN)
    if not places.size:
        return None
    with np.errstate(all="ignore"):
        excess = np.abs(analytical - numerical) / allowed
    order = np.argsort(-np.nan_to_num(excess[tuple(places.T)], nan=np.inf), kind="stable")
    unknown = bool((~np.isfinite(numerical[wrong]) & np.isfinite(analytical[wrong])).all())
    return Mismatch(point, analytical, numerical, places[order], NOISY if unknown else "")


def _smaller(analytical: Array, numerical: Array) -> Array:
    """Return the smaller size of both in each entry."""
    return np.asarray(np.fmin(np.abs(analytical), np.abs(numerical)))


def _apart(analytical: Array, numerical: Array, allowed: Array) -> Mask:
    with np.errstate(invalid="ignore"):
        apart: Mask = ~(np.abs(analytical - numerical) <= allowed)
    return apart


def _at_kinks(analytical: Array, exact: ExactJacobian, columns: Indices, allowed: Array) -> tuple[Mask, Mask]:
    """Tell which derivatives by entries at kinks are wrong, and which only lie between both sides.

    Row by row: what a convention gives an output by all entries together is the gradient of a branch; values of one
    convention here and of another one there need not be.
    """
    right, left = exact.right[:, columns], exact.left[:, columns]
    follows = np.zeros(analytical.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        inside = (analytical >= np.fmin(right, left) - allowed) & (analytical <= np.fmax(right, left) + allowed)
        smooth = inside & (np.abs(right - left) <= 2.0 * allowed)
        known = np.where(np.isfinite(right), right, left)
        alone = (np.isnan(right) | np.isnan(left)) & (np.abs(analytical - known) <= allowed)
        for found in exact.under_conventions():
            fitting = (np.abs(analytical - found) <= allowed) | smooth | alone
            better = fitting.sum(axis=1) > follows.sum(axis=1)
            follows[better] = fitting[better]
            if follows.all():
                break
    return ~inside & ~follows, inside & ~follows


def _allowed(point: Point, numerical: Array, limits: Tolerances, analytical: Array) -> Array:
    """Return how far each entry may be off.

    What cancels in an entry is no larger than the largest derivative, as both have it: a numerical one that is absurdly
    large excuses no other.
    """
    allowed = np.empty_like(numerical)
    size, other = (np.abs(np.where(np.isfinite(one), one, 0.0)) for one in (numerical, analytical))
    largest = float(min(size.max(initial=0.0), other.max(initial=0.0)))
    for output, of in point.blocks():
        block = (output.span, of.span)
        entries = size[block]
        if of.is_complex:
            entries = np.repeat(np.hypot(entries[:, ::2], entries[:, 1::2]), 2, axis=1)
        unit = ROUNDINGS * max(output.unit, of.unit, limits.unit)
        rtol = max(limits.rtol, unit)
        share = max(SHARE, rtol) * entries.max(axis=1, keepdims=True, initial=0.0)
        scale = float(np.sqrt(np.mean(point.theta[of.span] ** 2))) if entries.shape[1] else 1.0
        zero = min(ZEROS * unit / ROUNDINGS, MOST_ZERO) / (scale or 1.0)
        zero *= float(np.max(np.abs(point.value[output.span]), initial=0.0))
        allowed[block] = rtol * entries + np.minimum(limits.atol, share) + unit * largest + zero
    return allowed
