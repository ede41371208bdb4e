"""Jacobians against exact differences: what disagrees is wrong, but at kinks, where several derivatives are right."""

import numpy as np

from ..._types import Array, Indices, Mask
from .mismatch import Mismatch
from .point import ROUNDINGS, SHARE, Point, Tolerances
from .quotients import ExactJacobian

# A derivative that is zero but for rounding: this many unit roundoffs of the outputs, over the size of the input; and
# this share of them at most.
ZEROS, MOST_ZERO = 1e3, 1e-2


def compare_exactly(point: Point, analytical: Array, exact: ExactJacobian, limits: Tolerances) -> Mismatch | None:
    """Judge a Jacobian (M, n) by its exact one; None where they agree.

    A derivative at a kink is right where it is that of a convention held at every tie, or else lies between both
    one-sided derivatives.
    """
    numerical = exact.central
    allowed = _allowed(point, numerical, limits)
    wrong = _apart(analytical, numerical, allowed)
    doubted = np.flatnonzero(wrong.any(axis=0))
    if doubted.size:
        # At the edge of a domain slopes go like a root of the step.
        exact.right[:, doubted], exact.left[:, doubted] = exact.nearer(doubted)
        numerical = exact.central
        wrong[:, doubted] = _apart(analytical[:, doubted], numerical[:, doubted], allowed[:, doubted])
    if (wrong & exact.flagged).any():
        columns = np.flatnonzero(exact.flagged)
        wrong[:, columns] &= ~_one_sided(analytical[:, columns], exact, columns, allowed[:, columns])
    places = np.argwhere(wrong)
    if not places.size:
        return None
    with np.errstate(all="ignore"):
        excess = np.abs(analytical - numerical) / allowed
    order = np.argsort(-np.nan_to_num(excess[tuple(places.T)], nan=np.inf), kind="stable")
    unknown = bool((~np.isfinite(numerical[wrong]) & np.isfinite(analytical[wrong])).all())
    return Mismatch(point, analytical, numerical, places[order], inconclusive=unknown)


def _apart(analytical: Array, numerical: Array, allowed: Array) -> Mask:
    with np.errstate(invalid="ignore"):
        apart: Mask = ~(np.abs(analytical - numerical) <= allowed)
    return apart


def _one_sided(analytical: Array, exact: ExactJacobian, columns: Indices, allowed: Array) -> Mask:
    """Tell which derivatives at kinks are those of a convention, column by column, or lie between both sides."""
    right, left = exact.right[:, columns], exact.left[:, columns]
    with np.errstate(invalid="ignore"):
        fine: Mask = (analytical >= np.fmin(right, left) - allowed) & (analytical <= np.fmax(right, left) + allowed)
        for found in () if fine.all() else exact.under_conventions():
            fine |= (np.abs(analytical - found) <= allowed).all(axis=0)
    return fine


def _allowed(point: Point, numerical: Array, limits: Tolerances) -> Array:
    """Return how far each entry may be off."""
    allowed = np.empty_like(numerical)
    size = np.abs(np.where(np.isfinite(numerical), numerical, 0.0))
    largest = float(size.max(initial=0.0))
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
