"""Jacobians against exact differences: what disagrees is wrong, but at kinks, where several derivatives are right."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._types import Array, Mask
from .judge import ROUNDINGS, SHARE
from .mismatch import Mismatch
from .point import Point, Tolerances

# Slopes that every tie is given in turn: those of the losing branch, of half of each, of the winning branch.
CONVENTIONS = (0.5, 0.0, 1.0)
# A derivative that is zero but for rounding: this many unit roundoffs of the outputs, over the size of the input.
ZEROS = 1e3


@dataclass(frozen=True)
class ExactJacobian:
    """One-sided exact difference quotients (M, n).

    Parameters
    ----------
    right, left : NaN where a side is not known.
    flagged : (n,) entries that stand on a kink.
    under : the quotients of those entries, (M, number of flagged), with all ties frozen to a convention.
    """

    right: Array
    left: Array
    flagged: Mask
    under: Callable[[float], Array]

    @property
    def central(self) -> Array:
        """Means of both sides; the other one where a side is not known."""
        right, left = np.isfinite(self.right), np.isfinite(self.left)
        both = 0.5 * (self.right + self.left)
        return np.where(right == left, both, np.where(right, self.right, self.left))


def compare_exactly(point: Point, analytical: Array, exact: ExactJacobian, limits: Tolerances) -> Mismatch | None:
    """Judge a Jacobian (M, n) by its exact one; None where they agree.

    A derivative at a kink is right where it is that of a convention held at every tie, or else lies between both
    one-sided derivatives.
    """
    numerical = exact.central
    allowed = _allowed(point, numerical, limits)
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(analytical - numerical) <= allowed)
        wrong &= ~((analytical == numerical) & np.isinf(numerical))
    doubted = wrong & exact.flagged
    if doubted.any():
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


def _one_sided(analytical: Array, exact: ExactJacobian, columns: Array, allowed: Array) -> Mask:
    """Which derivatives at kinks are those of a convention, column by column, or lie between both sides."""
    right, left = exact.right[:, columns], exact.left[:, columns]
    with np.errstate(invalid="ignore"):
        fine: Mask = (analytical >= np.fmin(right, left) - allowed) & (analytical <= np.fmax(right, left) + allowed)
        for convention in CONVENTIONS:
            if fine.all():
                break
            fine |= (np.abs(analytical - exact.under(convention)) <= allowed).all(axis=0)
    return fine


def _allowed(point: Point, numerical: Array, limits: Tolerances) -> Array:
    """How far each entry may be off."""
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
        zero = ZEROS * unit / ROUNDINGS * float(np.max(np.abs(point.value[output.span]), initial=0.0)) / (scale or 1.0)
        allowed[block] = rtol * entries + np.minimum(limits.atol, share) + unit * largest + zero
    return allowed
