"""Functions made of pieces of curves, by what they are defined as (see ``composed``)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...._errors import NoRule
from .array import DifferenceArray
from .rearranging import value_of

# What functions make of an entry by itself and among others agrees to this, relatively.
SAME = 1e-13

def sinc(x: Any) -> Any:
    """numpy.sinc: sin(pi x) / (pi x), and as NumPy has it at zero."""
    angle = np.pi * np.where(x == 0, 1.0e-20, x)
    return np.sin(angle) / angle


def interpolated(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """numpy.interp: the first value, and the rise on the part of each piece that lies below x."""
    if period is not None:
        raise NoRule("numpy.interp with period=", "repeat its points")
    x, xp, fp = (one if type(one) is DifferenceArray else np.asarray(one, dtype=float) for one in (x, xp, fp))
    below = np.minimum(np.maximum(x[..., None], xp[:-1]), xp[1:]) - xp[:-1]
    found = fp[0] + np.sum(below * (np.diff(fp) / np.diff(xp)), axis=-1)
    if left is not None:
        found = np.where(x < xp[0], left, found)
    return found if right is None else np.where(x > xp[-1], right, found)


def integral(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """numpy.trapezoid."""
    y = np.moveaxis(y, axis, -1)
    if x is not None:
        dx = np.diff(x if np.ndim(x) == 1 else np.moveaxis(x, axis, -1))
    return np.sum(dx * (y[..., 1:] + y[..., :-1]), axis=-1) / 2.0


def pieces(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **options: Any) -> Any:
    """numpy.piecewise of functions of each entry: they see all of x, and what they are not asked for is dropped."""
    alone = np.ndim(value_of(condlist)) == np.ndim(x)
    conditions, functions = [condlist] if alone else list(condlist), list(funclist)

    def piece(function: Callable[..., Any] | Any) -> Any:
        return function(x, *args, **options) if callable(function) else function

    found = piece(functions.pop()) if len(functions) > len(conditions) else 0.0
    found = found + 0.0 * x
    for condition, function in zip(conditions, functions, strict=True):
        found = np.where(condition, piece(function), found)
    of_each = np.piecewise(value_of(x), value_of(conditions), funclist, *args, **options)
    if not np.allclose(value_of(found), of_each, rtol=SAME, atol=0.0, equal_nan=True):
        raise NoRule("numpy.piecewise of functions that look at several entries", "write it with numpy.where")
    return found


def log_of_weighted_sum(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """scipy.special.logsumexp with weights: log(sum(b exp(a))), beside the largest entry."""
    if return_sign:
        raise NoRule("scipy.special.logsumexp with b= and return_sign=", "take the logarithm of the magnitude yourself")
    level = np.max(value_of(a), axis=axis, keepdims=True)
    level = np.where(np.isfinite(level), level, 0.0)
    total = np.sum(b * np.exp(a - level), axis=axis, keepdims=True)
    found = np.log(total) + level
    return found if keepdims else np.squeeze(found, axis=axis)


def multigammaln(a: Any, d: Any) -> Any:
    """scipy.special.multigammaln but for its constant."""
    from scipy.special import gammaln

    return sum(gammaln(a - 0.5 * k) for k in range(int(d)))
