"""Layer, batch, group and instance normalisation: one rule, the axes differ."""

from typing import Any

from .axes import Axes


def normalise(xp: Any, x: Any, dx: Any, axes: Axes, eps: float) -> tuple[Any, Any]:
    """(x - mean) / sqrt(variance + eps) over ``axes``, and its change.

    Parameters
    ----------
    x, dx : the value and its change, with batch axes in front; dx is None where x stands still.
    axes : negative.
    eps : added to the (biased) variance.

    Returns
    -------
    n, dn : with c and dc both centred, s^2 = variance + eps and t^2 its new value,
        dn = dc / t - c v / (s t (s + t)), v = t^2 - s^2 = mean of dc (2 c + dc); None where x stands still.
    """
    c = x - xp.mean(x, axis=axes, keepdims=True)
    s = xp.sqrt(xp.mean(c * c, axis=axes, keepdims=True) + eps)
    n = c / s
    if dx is None:
        return n, None
    dc = dx - xp.mean(dx, axis=axes, keepdims=True)
    t = xp.sqrt(xp.mean((c + dc) ** 2, axis=axes, keepdims=True) + eps)
    v = xp.mean(dc * (2.0 * c + dc), axis=axes, keepdims=True)
    return n, (dc - n * (v / (s + t))) / t
