"""Rises of a function along random directions, and what they prove of its Jacobian."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._types import Array, Indices
from ..checks.jacobian.point import SHARE, Tolerances, steps_of
from .function import TorchFunction
from .tensors import random_numbers

# Relative error that truncation leaves along a random direction, at least, and in units of the step squared.
AGREE, TRUNCATION = 1e-9, 1e2
# The steps of all entries together are no longer than this many single steps: truncation grows with their square.
LONGEST = 8.0
# Where rows of a Jacobian are compared: the relative error that truncation may leave, and the share of what single
# entries may be off by that rounding and truncation may make up, so that no entry that is off by more hides in them.
TRUNCATED, HIDDEN = 1e-8, 0.5
# Numbers of a Jacobian that are compared at a time, while a processor keeps them.
CACHED = 1 << 15
# Share of itself that an entry is moved by where longer steps do not agree with a function's operators.
NEAR = 2.0**-17
# Rounding of a value, in unit roundoffs, that noise is not expected to exceed.
NOISE = 8.0


@dataclass(frozen=True, eq=False)
class Rise:
    """What one direction, along which one input moves, does to the outputs.

    span : where the input lies among the entries of theta.
    move : (its size,) from one end to the other.
    rise : (M,) of the outputs, meanwhile.
    """

    span: slice
    move: Array
    rise: Array

    @cached_property
    def visible(self) -> float:
        """What a derivative of one, by a single entry, shows as at least, halved."""
        return 0.5 * float(np.abs(self.move).min(initial=math.inf))


@dataclass(frozen=True, eq=False)
class Directions:
    """A function along random directions, one for each input, so that small inputs do not drown in large ones.

    function : at one point, after ``function.value()``.
    rows : places (M,) of the outputs with gradients among the numbers of all outputs.
    limits : the tolerances and the step.
    jitter : how much the outputs may differ between two calls.
    """

    function: TorchFunction
    rows: Indices
    limits: Tolerances
    jitter: float

    @cached_property
    def rises(self) -> list[Rise]:
        """Along one direction for each input."""
        return self._rises(random_numbers(0, self.function.theta.size))

    @cached_property
    def again(self) -> list[Rise]:
        """Along another one for each."""
        return self._rises(random_numbers(1, self.function.theta.size))

    @property
    def left_out(self) -> float:
        """The share of its terms that truncation may make up of a rise."""
        return max(TRUNCATED, TRUNCATION * self.limits.eps**2)

    @property
    def share(self) -> float:
        """The same of the rises of all outputs, weighted at random and added."""
        return max(AGREE, TRUNCATION * self.limits.eps**2)

    def _rises(self, drawn: Array) -> list[Rise]:
        function, found = self.function, []
        for number, span in enumerate(function.spans):
            theta = function.theta[span]
            steps = steps_of(theta, function.unit, self.limits.eps) * drawn[span]
            if theta.size > LONGEST**2:
                steps *= LONGEST / math.sqrt(theta.size)
            found.append(self._rise(number, steps))
        return found

    @cached_property
    def nearer(self) -> list[Rise]:
        """The same as ``rises``, along moves of which none is more than a small share of the entry itself: which may be
        of another unit than others, or nearer to the edge of the function's domain than a step is long.
        """
        found = []
        for number, rise in enumerate(self.rises):
            theta, steps = self.function.theta[rise.span], 0.5 * rise.move
            near = np.where(theta == 0.0, np.abs(steps), NEAR * np.abs(theta))
            found.append(self._rise(number, np.copysign(np.minimum(np.abs(steps), near), steps)))
        return found

    def _rise(self, number: int, steps: Array) -> Rise:
        """Return what an input's move by steps to both sides does."""
        span = self.function.spans[number]
        theta = self.function.theta[span]
        above, below = theta + steps, theta - steps
        high, low = self.function.with_input(number, (above, below))
        with np.errstate(invalid="ignore"):  # entries at infinity show nothing along a direction
            return Rise(span, above - below, self._of_rows(high - low))

    def _of_rows(self, values: Array) -> Array:
        return values if self.rows.size == values.size else values[self.rows]

    @cached_property
    def noise(self) -> Array:
        """What rounding may do to the rises (M,)."""
        return NOISE * self.function.unit * np.abs(self._of_rows(self.function.plain)) + 2.0 * self.jitter

    def prove(self, jacobian: Array) -> bool:
        """Whether a Jacobian (M, n) is right in all its entries: each of its rows rises along random directions as the
        outputs do, to far less than any of its entries may be off by.

        Notes
        -----
        Let D be the error of a row, u the direction, of entries of sizes from 1/2 to 3/2 steps and of both signs.  An
        error of a single entry shows as |D.u| >= |D_j| / 2 steps.  Several errors can make up for one another along u
        only by chance; for them to do so along two directions is beyond what is worth asking.
        """
        largest: dict[int, Array] = {}
        if not all(self._row_by_row(jacobian[:, rise.span], rise, largest) for rise in self.rises):
            return False
        more = (rise for rise in self.again if rise.move.size > 1)
        return all(self._row_by_row(jacobian[:, rise.span], rise, largest) for rise in more)

    def _row_by_row(self, jacobian: Array, rise: Rise, largest: dict[int, Array]) -> bool:
        """Tell whether the outputs rise along one direction as the rows of an input's Jacobian (M, its size) say.

        largest : by where inputs begin, the largest entries of rows (M,), as far as they are known; added to.
        """
        if not rise.move.size:
            return True
        known = rise.span.start in largest
        top = largest.setdefault(rise.span.start, np.empty(len(jacobian)))
        along, size = np.empty((2, len(jacobian)))
        with np.errstate(all="ignore"):
            for first in range(0, len(jacobian), rows := max(1, CACHED // rise.move.size)):
                part = slice(first, first + rows)
                if not known:
                    np.abs(jacobian[part]).max(axis=1, out=top[part])
                terms = jacobian[part] * rise.move
                along[part], size[part] = terms.sum(axis=1), np.sqrt(np.einsum("ij,ij->i", terms, terms))
            off = np.abs(along - rise.rise)
            hidden = self.noise + self.left_out * size
            allowed = np.minimum(self.limits.atol, SHARE * top) * rise.visible
            # Outputs that do not move at all: no more than atol hides in their rounding.
            still = (top == 0.0) & (rise.rise == 0.0) & (self.noise <= self.limits.atol * rise.visible)
            return bool((still | ((off <= hidden) & (hidden <= HIDDEN * allowed))).all())
