"""Places where a program is moved, and how far: by steps so small that what curvature leaves is rounding."""

import math
from dataclasses import dataclass, field

import numpy as np

from ..._types import Array, Indices, Mask

# The engine's own step, relative to each entry.  Nothing rounds in exact differences, so it is far smaller than any
# step that subtraction allows: what a central difference leaves out is its square, 1e-29, times the curvature.
INNER_STEP = 2.0**-48
# Entries below this have their step from the others: the changes they cause would underflow.  Where the step itself is
# small, it is a larger part of the entry, so that changes keep their digits; what curvature leaves is rounding still.
LEAST_SIZE, SMALL_SIZE, SMALL_PART = 1e-306, 1e-200, 2.0**-24


@dataclass(frozen=True, eq=False)
class Place:
    """Where a program is moved: at one of its inputs, or at the output of one of its operations.

    Parameters
    ----------
    number : of the input, or of the operation.
    value : its value where nothing moves.
    inside : whether it is an operation's output.
    without : numbers of operations whose outputs stand still meanwhile: what it moves through them is known otherwise.
    only : which entries are moved, flat; None for all of them.
    several : of a place that is several operations' outputs, one behind the other, their numbers; else none.

    Attributes
    ----------
    scale, step : of each entry, flat: its size, or the usual one where it is zero, and the engine's own step.
    """

    number: int
    value: Array
    inside: bool = False
    without: frozenset[int] = frozenset()
    only: Mask | None = None
    several: tuple[int, ...] = ()
    scale: Array = field(init=False, repr=False)
    step: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        scale = scales(self.value)
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "step", _steps_of(scale))

    @property
    def size(self) -> int:
        """Number of its entries."""
        return int(self.value.size)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its value."""
        return self.value.shape

    def among(self, entries: Indices) -> Indices:
        """Return those of some entries that are moved."""
        return entries if self.only is None else entries[self.only[entries]]


def inner_steps(value: Array) -> Array:
    """Return the engine's own step for each entry, flat."""
    return _steps_of(scales(value))


def _steps_of(scale: Array) -> Array:
    if scale.size and scale.min() >= SMALL_SIZE:
        return scale * INNER_STEP
    return np.where(scale < SMALL_SIZE, SMALL_PART, INNER_STEP) * scale


def scales(value: Array) -> Array:
    """Return what each entry's steps are relative to, flat: to the entry, or to the usual one where that is zero."""
    size: Array = np.abs(value).reshape(-1)
    if size.size and size.min() > LEAST_SIZE:
        return size
    moving = size[(size > LEAST_SIZE) & np.isfinite(size)]
    largest = float(moving.max()) if moving.size else 1.0
    usual = largest * math.sqrt(float(np.mean((moving / largest) ** 2))) if moving.size else 1.0
    return np.where(size > LEAST_SIZE, size, usual)
