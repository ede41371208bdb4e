"""Upstream gradients as frameworks hand them over: not contiguous, expanded from one number, and zero.

A backward pass that reads its argument's memory without its strides, or that is not linear, gives the right gradient
for a plain array and a wrong one in use.  What it gives for such arguments beyond what it should is added to the
gradient that is checked, twice, so that the check fails whichever of the two is wrong, and a note says why.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

Values = tuple[Any, ...]
Gradients = dict[str, Any]
# Two runs of one backward pass may differ by this many unit roundoffs of the largest entry, sums in another order, and
# by this many of the largest of all gradients: of what is zero in theory they leave nothing but rounding.
SAME, BESIDE = 1e4, 256.0

STRIDED = (
    "backward gives another gradient where the upstream gradient is not contiguous in memory: it reads the array "
    "without its strides; index it, or begin with np.ascontiguousarray"
)
EXPANDED = (
    "backward gives another gradient where the upstream gradient is one number expanded (np.broadcast_to): it reads "
    "the array without its strides, or writes to it"
)
ZERO = "backward does not give zeros for an upstream gradient of zeros: it is not linear in it"
# Of each gradient, to follow its name.
IGNORED = "is the same for an upstream gradient of zeros: backward does not multiply by it, or keeps an earlier result"

LATE = "The time limit left no time to hand backward upstream gradients that are strided, expanded or zero."


class NoTimeLeft(Exception):
    """The time limit leaves no time for another backward pass."""


def in_time(call: Callable[[Values], Gradients], deadline: float, seconds: float) -> Callable[[Values], Gradients]:
    """Return the same call, which raises NoTimeLeft where it would end after a deadline of ``time.perf_counter``.

    Parameters
    ----------
    seconds : how long a call takes.
    """

    def timely(handed: Values) -> Gradients:
        if time.perf_counter() + seconds > deadline:
            raise NoTimeLeft
        return call(handed)

    return call if math.isinf(deadline) else timely


def tried(call: Callable[[Values], Gradients], cotangents: Values, gradients: Gradients) -> tuple[Gradients, list[str]]:
    """Return the gradients with what other upstream gradients bring to light, and notes.

    Parameters
    ----------
    call : runs the backward pass on cotangents of its own, gives gradients by name; NoTimeLeft from it ends the trials.
    cotangents : what the gradients were made with.
    gradients : by name.

    Returns
    -------
    The gradients, plus twice whatever differs; sentences for the report, and ``IGNORED`` for what is said of each.
    """
    notes: list[str] = []
    plain = gradients
    if any(np.asarray(value).dtype.kind not in "fiu" for value in gradients.values()):
        return gradients, notes  # what is not an array of real numbers is refused with the gradients themselves
    try:
        for kind, sentence, handed, expected in _trials(call, cotangents, gradients):
            try:
                found = call(handed)
            except NoTimeLeft:
                raise
            except Exception as error:
                # a framework may or may not hand such an argument over: it is said, and no verdict rests on it
                writes = "; does it write to its argument?" if "read-only" in kind else "."
                notes.append(f"backward raises {type(error).__name__} when the upstream gradient is {kind} ({error})"
                             f"{writes}")
                continue
            beside = max(map(_largest, expected.values()), default=0.0)
            beyond = {name: _beyond(found[name], expected[name], beside) for name in gradients}
            if any(np.any(~(part == 0.0)) for part in beyond.values()):
                ignored = kind == "zero" and _all_same(found, plain)
                notes.append(IGNORED if ignored else sentence + ".")
                gradients = {name: np.asarray(gradients[name]) + 2.0 * part for name, part in beyond.items()}
    except NoTimeLeft:
        notes.append(LATE)
    return gradients, notes


def _trials(
    call: Callable[[Values], Gradients], cotangents: Values, gradients: Gradients
) -> Iterator[tuple[str, str, Values, Mapping[str, Any]]]:
    """Yield what to hand over, what that is called, and what should come out."""
    if any(c.ndim and c.size > 1 for c in cotangents):
        yield "not contiguous", STRIDED, tuple(map(_strided, cotangents)), gradients
        same = tuple(np.full(c.shape, 0.75, c.dtype) for c in cotangents)
        expanded = tuple(np.broadcast_to(c.dtype.type(0.75), c.shape) for c in cotangents)
        yield "expanded and read-only", EXPANDED, expanded, call(same)
    zeros = tuple(np.zeros(c.shape, c.dtype) for c in cotangents)
    yield "zero", ZERO, zeros, {name: _times_zero(value) for name, value in gradients.items()}


def _times_zero(gradient: Any) -> Any:
    """Return zeros; nan where a gradient is not finite, which is another matter."""
    return np.where(np.isfinite(gradient), 0.0, np.nan)


def _all_same(found: Mapping[str, Any], gradients: Mapping[str, Any]) -> bool:
    return all(np.array_equal(found[name], value, equal_nan=True) for name, value in gradients.items())


def _strided(values: Any) -> Any:
    """Return the same numbers, every second one of a longer array."""
    if not values.ndim:
        return values.copy()
    longer = np.full((*values.shape[:-1], 2 * values.shape[-1]), np.nan, values.dtype)
    longer[..., ::2] = values
    return longer[..., ::2]


def _largest(gradient: Any) -> float:
    """Return the size of the largest entry that is finite."""
    sizes = np.abs(np.asarray(gradient)[np.isfinite(gradient)])
    return float(sizes.max(initial=0.0))


def _beyond(found: Any, expected: Any, beside: float) -> Any:
    """By how much a gradient differs from what it should be; zero where that is rounding.

    Parameters
    ----------
    beside : the largest entry of all gradients.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return np.full(expected.shape, np.nan)
    precision = max((np.finfo(a.dtype).eps for a in (found, expected) if a.dtype.kind == "f"), default=0.0)
    with np.errstate(all="ignore"):
        apart = found.astype(np.float64) - expected
        allowed = precision * (SAME * _largest(expected) + BESIDE * beside)
        alike = (np.abs(apart) <= allowed) | (found == expected) | (np.isnan(found) & np.isnan(expected))
        return np.where(alike, 0.0, apart)
