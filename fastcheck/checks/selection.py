"""Which parameters a check is to take: the options that all front doors share."""

from dataclasses import dataclass
from typing import Any, cast

from .._names import Method
from .._validation import integer, known, only_for

METHODS = ("all", "sample", "directional")


@dataclass(frozen=True)
class Selection:
    """Options that say which parameters are checked, validated.

    Parameters
    ----------
    method : "all", "sample" or "directional".
    count : entries in all for "sample", directions for each tensor for "directional"; None for the default.
    seed : of random choices.
    """

    method: Method
    count: int | None
    seed: int

    @classmethod
    def of(cls, method: Any, samples: Any, directions: Any, seed: Any) -> "Selection":
        """Return what a caller asked for.

        Raises
        ------
        ValueError, TypeError : for an unknown method, numbers below 1, and for a number that belongs to another method.
        """
        known("method", method, METHODS)
        only_for("samples", samples, "sample", method)
        only_for("directions", directions, "directional", method)
        given = {"samples": samples, "directions": directions}
        counts = [integer(name, value, 1) for name, value in given.items() if value is not None]
        return cls(cast(Method, method), counts[0] if counts else None, integer("seed", seed, 0))
