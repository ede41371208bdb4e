"""One backward pass again and again, beside the point by about one rounding: how its rounding spreads.

The points come in pairs, to both sides of the point by the same move.  The derivative changes along a move by its
first order alone, to within the square of a rounding, and that cancels in the mean of the two: each pair gives the
derivative at the point itself, with another rounding.  So no truth is needed beside each run.
"""

import copy
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._constants import FURTHER, UNIT_ROUNDOFFS
from ..._types import Array
from ..._validation import no_result
from ...runtime.cached_property import cached_property

# Pairs of runs; fewer where they would take longer than this in all, but not less than the least.
PAIRS, LEAST_PAIRS, SECONDS = 16, 8, 10.0
# Points are moved by this many times less than a rounding in single precision where the derivative may change within
# one.
NEARER = 32.0
# How many points there are at each distance at which rounding is not shared with that point.
POINTS = 24
# A pass in extended precision takes up to this many times as long: BLAS does not know it.
SLOWER = 100.0
# Whether there is extended precision, by some three digits at least.
MORE_DIGITS = float(np.finfo(np.longdouble).eps) < 1e-3 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Repeats:
    """A backward pass that can be run again.

    Parameters
    ----------
    gradient_at : values -> the gradient (n,) there, in double precision, whatever it was computed in.
    values : at the point itself; floating arrays among them move.
    seed : of the moves.
    deadline : of ``time.perf_counter``.
    keeping : puts back what the pass keeps from call to call, which must not stay in a precision that is not its own.
    sharpens : whether the pass computes with as many digits as the values have.
    """

    gradient_at: Callable[[tuple[Any, ...]], Array]
    values: tuple[Any, ...]
    seed: int
    deadline: float
    keeping: Callable[[], AbstractContextManager[None]] = nullcontext
    sharpens: bool = True

    def __call__(self) -> Array | None:
        """Return the gradients (pairs, n), each the mean of a pair; None where time is up or a run fails."""
        return self._runs

    @cached_property
    def _runs(self) -> Array | None:
        return self._gradients(UNIT_ROUNDOFFS["float32"])

    def _gradients(self, least: float) -> Array | None:
        """Return means of pairs (pairs, n) for moves of one rounding, and of that much at least."""
        generator, found = np.random.default_rng(self.seed), []
        started = time.perf_counter()
        end = min(self.deadline, started + SECONDS)
        try:
            for pair in range(PAIRS):
                spent = time.perf_counter() - started
                if pair and started + spent + spent / pair * max(1, LEAST_PAIRS - pair) > end:
                    break
                sides = moved(self.values, generator, least)
                if (above := self._before(end, sides[0])) is None or (below := self._before(end, sides[1])) is None:
                    break
                found.append(0.5 * (above + below))
        except Exception:
            return None  # a backward pass may refuse what is not exactly its input, and raise what it likes
        return np.stack(found) if len(found) >= LEAST_PAIRS else None

    def further(self) -> Iterator[tuple[Array, Array]]:
        """Give what the pass gives at points so far apart that they share no rounding, and in double precision there.

        Both are (points, n), one pair for each of ``FURTHER``, while time is left and no run fails.  What it gives in
        double precision is right or wrong as the pass is.
        """
        generator, end = np.random.default_rng(self.seed), min(self.deadline, time.perf_counter() + SECONDS)
        for reach in FURTHER:
            found: list[Array] = []
            for _ in range(POINTS):
                values, _ = moved(self.values, generator, 0.5 * reach)
                for precision in (values, in_precision(values, np.float64)):
                    try:
                        with self.keeping():
                            one = self._before(end, precision)
                    except Exception:
                        return
                    if one is None:
                        return
                    found.append(one)
            yield np.stack(found[::2]), np.stack(found[1::2])

    @cached_property
    def sharper(self) -> tuple[Array, Array] | None:
        """The gradient at the point itself, once more and from numbers of extended precision; both (n,).

        None where all is not in double precision, where the machine or the pass has no more digits than that, where the
        pass raises or takes long.
        """
        if not (MORE_DIGITS and self.sharpens and _all_double(self.values)):
            return None
        started = time.perf_counter()
        end = min(self.deadline, started + SECONDS)
        try:
            plain = self._before(end, self.values)
            spent = time.perf_counter() - started
            with warnings.catch_warnings(), np.errstate(all="ignore"), self.keeping():
                warnings.simplefilter("ignore")
                sharp = self._before(end - SLOWER * spent, in_precision(self.values, np.longdouble))
        except Exception:
            return None
        return None if plain is None or sharp is None else (plain, sharp)

    @cached_property
    def nearer(self) -> Array | None:
        """The same, (pairs, n), of points a few times nearer than single precision rounds; None as before.

        What rounds in single precision on the way rounds otherwise at some of them, and is as far off there; the
        derivative changes by the square of what is left of the move.
        """
        return self._gradients(UNIT_ROUNDOFFS["float32"] / NEARER) if _all_double(self.values) else None

    @cached_property
    def doubled(self) -> "tuple[Array, Repeats] | None":
        """The gradient (n,) at the same numbers in double precision, and what runs that again.

        None where all is in double precision as it is, where the pass is not the same every time, does not run in it,
        or raises.
        """
        if not self.sharpens or _all_double(self.values):
            return None

        def gradient_at(values: tuple[Any, ...]) -> Array:
            with warnings.catch_warnings(), np.errstate(all="ignore"), self.keeping():
                warnings.simplefilter("ignore")
                return self.gradient_at(values)

        wide = replace(self, gradient_at=gradient_at, values=in_precision(self.values, np.float64))
        end = min(self.deadline, time.perf_counter() + SECONDS)
        try:
            first, second = self._before(end, self.values), self._before(end, self.values)
            found = wide._before(end, wide.values)
        except Exception:
            return None
        if first is None or second is None or found is None:
            return None
        return (found, wide) if np.isfinite(found).all() and np.array_equal(first, second) else None

    def _before(self, end: float, values: tuple[Any, ...]) -> Array | None:
        """Return the gradient at a point, unless time is up."""
        return None if time.perf_counter() >= end else np.asarray(self.gradient_at(values))


def called(
    gradients: Any, given: tuple[Any, ...], flat: Callable[[Any, tuple[Any, ...]], Array], seed: int, end: float,
    keeping: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[Any, Repeats | None]:
    """Return gradients, and what runs them again where they came as a function.

    Parameters
    ----------
    gradients : as the caller has them; or a function of ``given``, which gets copies.
    flat : (gradients, what they were called with) -> (n,) in double precision.
    seed, end, keeping : of ``Repeats``.
    """
    if not callable(gradients):
        return gradients, None

    def gradient_at(values: tuple[Any, ...]) -> Array:
        return flat(gradients(*copy.deepcopy(values)), values)

    try:
        first = gradients(*copy.deepcopy(given))
    except Exception as error:
        error.add_note("fastcheck: raised by gradients, which is called with the parameters and what follows them")
        raise
    if nothing := no_result(first):
        raise TypeError(f"gradients: expected a function that returns gradients, got {nothing}")
    return first, Repeats(gradient_at, given, seed, end, keeping)


def in_precision(value: Any, dtype: type[np.floating[Any]]) -> Any:
    """Return a value whose floating arrays are in some precision, in nested tuples, lists and dictionaries too."""
    if isinstance(value, dict):
        return {key: in_precision(one, dtype) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(in_precision(one, dtype) for one in value)
    return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def _all_double(value: Any) -> bool:
    """Whether floating arrays are in double precision, in nested tuples, lists and dictionaries too."""
    if isinstance(value, dict):
        return all(map(_all_double, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_all_double, value))
    return not (isinstance(value, np.ndarray) and value.dtype.kind == "f") or value.dtype == np.float64


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
