"""One backward pass again and again, beside the point by about one rounding: how its rounding spreads.

The points come in pairs, to both sides of the point by the same move.  The derivative changes along a move by its
first order alone, to within the square of a rounding, and that cancels in the mean of the two: each pair gives the
derivative at the point itself, with another rounding.  So no truth is needed beside each run.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._constants import UNIT_ROUNDOFFS
from ..._types import Array

# Pairs of runs; fewer where they would take longer than this in all, but not less than the least.
PAIRS, LEAST_PAIRS, SECONDS = 16, 8, 10.0
# Points at which rounding is not shared with that point are moved by this, relative to each entry.
FURTHER = 2.0**-11


@dataclass(frozen=True)
class Repeats:
    """A backward pass that can be run again.

    Parameters
    ----------
    gradient_at : values -> the gradient (n,) there, in double precision, whatever it was computed in.
    values : at the point itself; floating arrays among them move.
    seed : of the moves.
    deadline : of ``time.perf_counter``.
    """

    gradient_at: Callable[[tuple[Any, ...]], Array]
    values: tuple[Any, ...]
    seed: int
    deadline: float

    def __call__(self, *, further: bool = False) -> Array | None:
        """Return the gradients (pairs, n), each the mean of a pair; None where time is up or a run fails.

        ``further`` : at points so far apart that they share no rounding.
        """
        least = FURTHER if further else UNIT_ROUNDOFFS["float32"]
        generator, found = np.random.default_rng(self.seed), []
        started = time.perf_counter()
        end = min(self.deadline, started + SECONDS)
        try:
            for pair in range(PAIRS):
                spent = time.perf_counter() - started
                if pair and started + spent + spent / pair * max(1, LEAST_PAIRS - pair) > end:
                    break
                found.append(self._mean(generator, least))
        except Exception:
            return None  # a backward pass may refuse what is not exactly its input, and raise what it likes
        return np.stack(found) if len(found) >= LEAST_PAIRS else None

    def _mean(self, generator: np.random.Generator, least: float) -> Array:
        sides = moved(self.values, generator, least)
        above, below = (self.gradient_at(values) for values in sides)
        return np.asarray(0.5 * (above + below))


def moved(
    values: Sequence[Any], generator: np.random.Generator, least: float
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the values moved to either side: every number by one or two roundings of its precision.

    Zeros stay, and everything but floating arrays.

    Parameters
    ----------
    values : the point.
    generator : draws the moves.
    least : of a rounding; double precision moves by those of single precision, so that float32 buffers inside round
        otherwise.
    """
    pairs = [_pair(value, generator, least) for value in values]
    return tuple(above for above, _ in pairs), tuple(below for _, below in pairs)


def _pair(value: Any, generator: np.random.Generator, least: float) -> tuple[Any, Any]:
    if isinstance(value, dict):
        pairs = {key: _pair(one, generator, least) for key, one in value.items()}
        return {key: above for key, (above, _) in pairs.items()}, {key: below for key, (_, below) in pairs.items()}
    if isinstance(value, (list, tuple)):
        sides = [_pair(one, generator, least) for one in value]
        return type(value)(above for above, _ in sides), type(value)(below for _, below in sides)
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return value, value
    unit = max(UNIT_ROUNDOFFS.get(value.dtype.name, 0.0), least)
    move = 2.0 * unit * (0.5 + 0.5 * generator.random(value.shape)) * generator.choice((-1.0, 1.0), value.shape)
    above = (value * (1.0 + move)).astype(value.dtype)
    return above, value - (above - value)  # exactly as far, in the numbers that the precision has
