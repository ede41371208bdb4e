"""Differences as integrals over [x, x + d] by Gauss-Legendre rules: nothing is subtracted, however short the way."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .namespaces import largest

# What stands for a reach of nothing, by which changes can be divided.
LEAST_REACH = 1e-300


@cache
def gauss(points: int) -> tuple[tuple[float, float], ...]:
    """Nodes on [0, 1] and weights that add up to one."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return tuple((0.5 * (1.0 + float(t)), 0.5 * float(w)) for t, w in zip(nodes, weights, strict=True))


def points_for(share: float) -> int:
    """Return how many points integrate to rounding what is analytic within the reach of the way over ``share`` <= 1/4.

    The rule of n points is off by about (4 / share)^(-2 n) then (Bernstein's ellipse).
    """
    if share <= 1e-5:
        return 2
    return 3 if share <= 1e-3 else 8


def mean_over(function: Callable[[Any], Any], x: Any, d: Any, points: int) -> Any:
    """Return the mean of ``function`` over [x, x + d]."""
    total = None
    for node, weight in gauss(points):
        part = weight * function(x + node * d)
        total = part if total is None else total + part
    return total


def integral(
    xp: Any,
    slope: Callable[[Any], Any],
    x: Any,
    d: Any,
    reach: Any,
    far: Callable[[], Any],
) -> Any:
    """Return the integral of ``slope`` from x to x + d.

    Parameters
    ----------
    slope : what is integrated.
    reach : around x, how far it is analytic, and not much larger.
    far : where the way is longer than a quarter of that: the difference by subtraction, which cancels little there.
    """
    share = largest(xp, d / reach)
    if share <= 0.25:
        return d * mean_over(slope, x, d, points_for(share))
    short = xp.clip(d / reach, -0.25, 0.25) * reach
    near = short * mean_over(slope, x, short, points_for(0.25))
    return xp.where(xp.abs(d) <= 0.25 * reach, near, far())
