"""Distributions of scipy.stats: their densities and distribution functions, made of what SciPy makes them of."""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from ...._errors import NoRule
from .array import DifferenceArray
from .composed import composed
from .rearranging import arrays_in, value_of
from .run import Run

# Methods of numbers, by what becomes of the standard distribution's answer behind a scale and in front of a location.
_OF_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "logpdf": lambda found, scale: found - np.log(scale),
    "pdf": lambda found, scale: found / scale,
    **dict.fromkeys(("logpmf", "pmf", "cdf", "logcdf", "sf", "logsf"), lambda found, scale: found),
}
_OF_SHARES = ("ppf", "isf")
METHODS = (*_OF_NUMBERS, *_OF_SHARES)


def distributions_of(module: ModuleType) -> list[str]:
    """Return the names of the distributions in scipy.stats."""
    generic = (module.rv_continuous, module.rv_discrete)
    return [name for name, one in vars(module).items() if isinstance(one, generic)]


def handled(run: Run, function: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """A method of a distribution; anything else about it goes to the method itself."""
    if not arrays_in(args) and not arrays_in(dict(options)):
        return function(*args, **options)
    return composed(_definition(function.__self__, function.__name__))(run, function, args, options)


def _definition(distribution: Any, name: str) -> Callable[..., Any]:
    standard = getattr(distribution, f"_{name}")

    def definition(x: Any, *args: Any, **named: Any) -> Any:
        """Of numbers or shares x, shapes, location and scale, as scipy.stats takes them."""
        shapes, loc, scale = distribution._parse_args(*args, **named)
        x = x if type(x) is DifferenceArray else np.asarray(x)
        if name in _OF_SHARES:
            return standard(x, *shapes) * scale + loc
        y = (x - loc) / scale
        low, high = distribution._get_support(*value_of(shapes))
        here = value_of(y)
        inside = (low <= here) & (here <= high)
        with np.errstate(all="ignore"):
            return np.where(inside, _OF_NUMBERS[name](standard(y, *shapes), scale), 0.0)

    return definition


class Distribution:
    """Stands in for a distribution of scipy.stats, which makes plain arrays of what it is handed.

    Parameters
    ----------
    original : the distribution.
    asked : makes what stands in for one of its methods.
    """

    def __init__(self, original: Any, asked: Callable[[Any], Callable[..., Any]]) -> None:
        self._original = original
        for name in METHODS:
            if hasattr(original, name):
                setattr(self, name, asked(getattr(original, name)))

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Return the distribution with its shapes, location and scale."""
        return _Frozen(self, args, named)

    def frozen(self, *args: Any, **named: Any) -> Any:
        """Return what SciPy makes of it with shapes, location and scale."""
        if any(one.change is not None for one in arrays_in((args, tuple(named.values())))):
            raise NoRule("other methods of a distribution with parameters that move", "write them out")
        return self._original(*value_of(args), **value_of(named))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class _Frozen:
    """A distribution with shapes, location and scale, which may carry changes."""

    def __init__(self, distribution: Distribution, args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        self._given = distribution, args, named

    def __getattr__(self, name: str) -> Any:
        distribution, args, named = self._given
        if name not in METHODS:
            return getattr(distribution.frozen(*args, **named), name)
        return lambda x: getattr(distribution, name)(x, *args, **named)
