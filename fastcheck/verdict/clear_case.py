"""The usual case told apart at once: small gradients that agree everywhere to far more digits than is asked of them."""

import math

import numpy as np

from .._constants import NEGLIGIBLE, NOISE_SIGMAS, TOLERANCE
from .._types import Array
from ..problems.gradients import AnalyticGradient, NumericalGradient
from .comparison import SAFE_SQUARES, relative

# Beyond this many entries the sums are no longer small beside the rest of a check.
MOST = 1 << 14
# Entries that differ by this share of what they may differ agree in every norm, rounding included.
AGREES = 0.99


@np.errstate(all="ignore")
def difference_if_clear(
    subject: AnalyticGradient, differences: NumericalGradient, norm: float, tolerance: float | None
) -> float | None:
    """The overall difference of gradients that are right beyond any doubt; None where they must be looked at closely.

    They are where all errors of a tensor together are below what is allowed its smallest entry, or each below what is
    allowed that entry by itself; and the noise below what can be seen of each tensor: what ``judge`` then finds of
    every tensor is "pass".
    """
    kinks, noise = differences.kinks, np.asarray(differences.noise)
    plain = (
        norm == 2 and subject.indices is None and not subject.precision and differences.truncation is None
        and subject.dithered is None and not differences.limits and (kinks is None or not kinks.where.size)
        and noise.size in (len(subject.tensors), subject.gradient.size) and subject.gradient.size <= MOST
    )
    if not plain or not math.isfinite(differences.cost):
        return None
    starts, sizes = [tensor.start for tensor in subject.tensors], [t.stop - t.start for t in subject.tensors]
    if starts[0] != 0 or subject.tensors[-1].stop != subject.gradient.size or not min(sizes):
        return None
    squares = np.empty((3, subject.gradient.size))  # of errors, gradients and differences
    np.subtract(subject.gradient, differences.gradapprox, out=squares[0])
    squares[1], squares[2] = subject.gradient, differences.gradapprox
    squares *= squares
    of_errors, of_gradient, of_approx = np.add.reduceat(squares, starts, axis=1).tolist()
    noise = noise * noise if noise.size == len(sizes) else np.add.reduceat(noise * noise, starts) / sizes
    allowed = TOLERANCE if tolerance is None else tolerance
    together = allowed * NEGLIGIBLE
    together *= together  # infinite for the largest tolerances
    low, high = SAFE_SQUARES
    by_itself = False
    for size, error, own, other, blur in zip(sizes, of_errors, of_gradient, of_approx, noise.tolist(), strict=True):
        square = own if own > other else other
        if not (low < own < high and low < other < high and size * blur <= NOISE_SIGMAS**2 * square):
            return None
        by_itself |= not size * error <= together * square
    if by_itself and not _each_agrees(subject.gradient, differences.gradapprox, allowed):
        return None
    return relative(*(math.sqrt(math.fsum(each)) for each in (of_errors, of_gradient, of_approx)))


def _each_agrees(gradient: Array, approx: Array, tolerance: float) -> bool:
    """Tell whether every entry agrees, with room for the rounding of norms."""
    return bool((np.abs(gradient - approx) <= AGREES * tolerance * (np.abs(gradient) + np.abs(approx))).all())
