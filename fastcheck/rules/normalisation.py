"""Layer, batch, group and instance normalisation: one rule, the axes differ."""

from typing import Any

from .axes import Axes, centred, count_along


def normalise(xp: Any, x: Any, dx: Any, axes: Axes, eps: float) -> tuple[Any, Any, Any]:
    """(x - mean) / sqrt(variance + eps) over ``axes``, its change, and that of 1 / sqrt(variance + eps).

    Parameters
    ----------
    x, dx : the value and its change, with batch axes in front; dx is None where x stands still.
    axes : negative.
    eps : added to the (biased) variance.

    Returns
    -------
    n, dn, dr : with c and dc both centred, s^2 = variance + eps and t^2 its new value,
        dn = dc / t - c v / (s t (s + t)), v = t^2 - s^2 = mean of dc (2 c + dc), and dr = 1 / t - 1 / s
        = -v / (s t (s + t)), with axes of length one; both None where x stands still.
    """
    count = count_along(x, axes)
    c = centred(xp, x, axes)
    s = xp.sqrt(xp.sum(c * c, axis=axes, keepdims=True) / count + eps)
    n = c / s
    if dx is None:
        return n, None, None
    dc = centred(xp, dx, axes)
    moved = c + dc
    t = xp.sqrt(xp.sum(moved * moved, axis=axes, keepdims=True) / count + eps)
    v = xp.sum(dc * (c + moved), axis=axes, keepdims=True) / count
    v = v / (s + t)
    return n, (dc - n * v) / t, -v / (s * t)
