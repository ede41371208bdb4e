"""How a backward pass rounds that runs in less than double precision: by the same one in double precision."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..._constants import NOISE_SIGMAS, UNIT_ROUNDOFFS
from ..._types import Array
from ..gradients import Rounding
from .calling import Values

# Roundings of its precision, times the largest gradient and the root of the number of terms, that a right backward may
# be off by; a mistake in one precision alone is not rounding.
MOST_ROUNDINGS = 256.0
# An error that follows the gradient this closely is not rounding; fewer entries than this tell nothing about it.
SYSTEMATIC, ENOUGH = 0.999, 8


def rounding_of(
    gradients_of: Callable[[tuple[Any, ...], Values], dict[str, Any]], given: tuple[Any, ...], cotangents: Values,
    gradients: dict[str, Any],
) -> Rounding | None:
    """Return how far the same backward in double precision is from what it gave in less: its rounding, as it is.

    None where all is in double precision, where the layer does not run in it, and where it is not the same every time.
    """
    wide, more = in_double(given), in_double(cotangents)
    if all(a is b for a, b in zip((*wide, *more), (*given, *cotangents), strict=True)):
        return None
    try:
        with np.errstate(all="ignore"):
            doubles, again = gradients_of(wide, more), gradients_of(given, cotangents)
    except Exception:  # a layer may know one precision alone, and raise what it likes: nothing is known then
        return None
    if not all(np.array_equal(np.asarray(value), np.asarray(again[name]), equal_nan=True)
               for name, value in gradients.items()):
        return None
    dtypes = [value.dtype.name for value in (*given, *cotangents) if isinstance(value, np.ndarray)]
    unit = max(UNIT_ROUNDOFFS.get(dtype, 0.0) for dtype in dtypes)
    terms = sum(math.prod(np.shape(value)[1:]) for value in given if np.ndim(value))
    return rounding_between(gradients, doubles, unit, terms)


def rounding_between(
    gradients: Mapping[str, Any], doubles: Mapping[str, Any], unit: float, terms: int
) -> Rounding | None:
    """Return the rounding of gradients of which the same ones in double precision are known.

    Parameters
    ----------
    gradients, doubles : by name, in less than double precision and in it.
    unit : the unit roundoff of the former.
    terms : how many numbers are summed into an entry, about.

    Returns
    -------
    Rounding, or None where the doubles are not what they should be.
    """
    found: dict[str, tuple[Array, Array]] = {}
    for name, value in gradients.items():
        double, single = np.asarray(doubles[name]), np.asarray(value)
        if double.dtype != np.float64 or double.shape != single.shape or not np.isfinite(double).all():
            return None
        found[name] = single.astype(np.float64).reshape(-1) - double.reshape(-1), double.reshape(-1)
    scale = max(float(np.max(np.abs(double), initial=0.0)) for _, double in found.values())
    most = MOST_ROUNDINGS * unit * math.sqrt(max(terms, 1)) * scale
    errors = {
        name: np.asarray(np.zeros_like(error) if _systematic(error, double) else np.minimum(np.abs(error), most))
        for name, (error, double) in found.items()
    }

    def of_tensor(name: str, unit: float) -> Array:
        return errors[name] / NOISE_SIGMAS

    return of_tensor


def _systematic(error: Array, gradient: Array) -> bool:
    """Tell whether an error follows the gradient, as a factor does and rounding does not."""
    off, size = float(np.linalg.norm(error)), float(np.linalg.norm(gradient))
    return error.size >= ENOUGH and off <= size and abs(float(error @ gradient)) > SYSTEMATIC * off * size


def in_double(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return the values, floating arrays of less than double precision as float64."""
    low = [isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype.itemsize < 8 for value in values]
    return tuple(value.astype(np.float64) if one else value for value, one in zip(values, low, strict=True))
