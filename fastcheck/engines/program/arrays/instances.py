"""Objects of SciPy that stand where the user's code looks up names, and take plain arrays alone."""

import sys
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from .run import Handler
from .sparse import factors_of

# Of an object, such as a distribution of scipy.stats, by the name of its method.
OfMethods = Mapping[str, Handler]


class WithMethods:
    """Stands in for an object of which some methods are replaced, and for what it gives when it is called.

    A distribution of scipy.stats that is called with shapes, a location and a scale gives one that has them: a method
    of that is the distribution's with these behind its own arguments.

    Parameters
    ----------
    stands_for : the object.
    attribute : gives its attributes by name, replaced ones among them.
    """

    def __init__(self, stands_for: Any, attribute: Callable[[str], Any]) -> None:
        self.stands_for, self._attribute = stands_for, attribute

    def __getattr__(self, name: str) -> Any:
        found = self._attribute(name)
        setattr(self, name, found)
        return found

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return what stands in for what the object gives."""
        def attribute(name: str) -> Any:
            found = self._attribute(name)
            if isinstance(found, FunctionType):
                return lambda first, *more: found(first, *more, *args, **options)
            return getattr(self.stands_for(*args, **options), name)

        return WithMethods(self.stands_for, attribute)


def original_of(found: Any) -> Any:
    """Return a frozen distribution, a sparse matrix's factors, or what stands in for one; None for anything else."""
    if type(found) is WithMethods:  # another thread is inside a run
        found = found.stands_for
    factors = factors_of(found)
    distributions = sys.modules.get("scipy.stats.distributions")
    frozen = distributions is not None and isinstance(found, getattr(distributions, "rv_frozen", ()))
    return found if frozen else factors
