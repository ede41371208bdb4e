"""NumPy's functions that leave NaN out, by what they are defined as (see ``composed``)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...._errors import NoRule
from . import composed
from .rearranging import value_of


def replaced(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """numpy.nan_to_num."""
    return np.where(np.isfinite(value_of(x)), x, 0.0)


def sums(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """numpy.nansum."""
    return np.sum(np.where(np.isnan(value_of(a)), 0.0, a), axis=axis, keepdims=keepdims)


def products(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """numpy.nanprod."""
    return np.prod(np.where(np.isnan(value_of(a)), 1.0, a), axis=axis, keepdims=keepdims)


def means(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """numpy.nanmean."""
    count = np.sum(~np.isnan(value_of(a)), axis=axis, keepdims=keepdims)
    return sums(a, axis, keepdims=keepdims) / count


def variances(a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """numpy.nanvar."""
    missing = np.isnan(value_of(a))
    centred = np.where(missing, 0.0, a - means(a, axis, keepdims=True))
    count = np.sum(~missing, axis=axis, keepdims=keepdims)
    return np.sum(centred * centred, axis=axis, keepdims=keepdims) / (count - ddof)


def deviations(a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    """numpy.nanstd."""
    return np.sqrt(variances(a, axis, ddof=ddof, keepdims=keepdims))


def extreme(chosen: Callable[..., Any], never: float) -> Callable[..., Any]:
    """Return the definition of numpy.nanmax or numpy.nanmin, in which NaN becomes what is never chosen."""

    def definition(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
        return chosen(np.where(np.isnan(value_of(a)), never, a), axis=axis, keepdims=keepdims)

    return definition


def medians(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """numpy.nanmedian."""
    return _by_line(np.median, a, axis, keepdims)


def quantiles(statistic: Callable[..., Any]) -> Callable[..., Any]:
    """Return the definition of numpy.nanquantile or nanpercentile: the statistic of each line, first where of many."""

    def definition(a: Any, q: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
        found = _by_line(lambda line: statistic(line, q), a, axis, keepdims)
        return found if axis is None or np.ndim(q) == 0 else np.moveaxis(found, axis, 0)

    return definition


def _by_line(statistic: Callable[[Any], Any], a: Any, axis: Any, keepdims: bool) -> Any:
    """Return a statistic of what is not missing: of all, or of each line along an axis, in the axis's place."""

    def present(line: Any) -> Any:
        return statistic(line[~np.isnan(value_of(line))])

    if axis is None:
        found = present(np.reshape(a, -1))
        return np.reshape(found, (*np.shape(found), *(1,) * np.ndim(a))) if keepdims else found
    if keepdims or not isinstance(axis, int):
        raise NoRule("numpy.nanmedian and the like with keepdims=True or several axes", "take one axis at a time")
    return composed.along_axis(present, axis, a)


def running(cumulative: Callable[..., Any], never: float) -> Callable[..., Any]:
    """Return the definition of numpy.nancumsum or nancumprod, in which NaN becomes what changes nothing."""

    def definition(a: Any, axis: int | None = None) -> Any:
        return cumulative(np.where(np.isnan(value_of(a)), never, a), axis=axis)

    return definition
