"""Derivatives and differences along random directions, held against each other to rounding."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._types import Array, Indices
from ..checks.jacobian.point import SHARE, Tolerances, steps_of
from .backward import Backward
from .function import TorchFunction
from .tensors import random_numbers

# Relative error that truncation leaves along a random direction, at least, and in units of the step squared.
AGREE, TRUNCATION = 1e-9, 1e2
# The steps of all entries together are no longer than this many single steps: truncation grows with their square.
LONGEST = 8.0
# Share of a product along a direction that the rounding of the outputs may make up, for the direction to show anything.
RESOLVED = 1e-3
# Where rows of a Jacobian are compared: the relative error that truncation may leave, and the share of what single
# entries may be off by that rounding and truncation may make up, so that no entry that is off by more hides in them.
TRUNCATED, HIDDEN = 1e-8, 0.5
# Numbers of a Jacobian that are compared at a time, while a processor keeps them.
CACHED = 1 << 15
# Rounding of a value, in unit roundoffs, that noise is not expected to exceed.
NOISE = 8.0
# Outputs whose rises differ by more than this factor are weighted by them, so that small ones do not drown; and how
# far a rise has to be above its rounding to be taken for one.
UNEVEN, RISEN = 1e3, 1e4


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
    jitter: float = 0.0

    @cached_property
    def _drawn(self) -> Array:
        """Random numbers for all entries, and then for all outputs."""
        return random_numbers(0, self.function.theta.size + self.rows.size)

    @cached_property
    def rises(self) -> list[Rise]:
        """Along one direction for each input."""
        return self._rises(self._drawn)

    def _rises(self, drawn: Array) -> list[Rise]:
        function, found = self.function, []
        for number, span in enumerate(function.spans):
            theta = function.theta[span]
            steps = steps_of(theta, function.unit, self.limits.eps) * drawn[span]
            if theta.size > LONGEST**2:
                steps *= LONGEST / math.sqrt(theta.size)
            above, below = theta + steps, theta - steps
            high, low = function.with_input(number, (above, below))
            with np.errstate(invalid="ignore"):  # entries at infinity show nothing along a direction
                found.append(Rise(span, above - below, self._of_rows(high - low)))
        return found

    def _of_rows(self, values: Array) -> Array:
        return values if self.rows.size == values.size else values[self.rows]

    @cached_property
    def noise(self) -> Array:
        """What rounding may do to the rises (M,)."""
        return NOISE * self.function.unit * np.abs(self._of_rows(self.function.plain)) + 2.0 * self.jitter

    # --- all entries of a Jacobian at once ----------------------------------------------------------------------

    def prove(self, jacobian: Array) -> bool:
        """Whether a Jacobian (M, n) is right in all its entries: each of its rows rises along random directions as the
        outputs do, to far less than any of its entries may be off by.

        Notes
        -----
        Let D be the error of a row, u the direction, of entries of sizes from 1/2 to 3/2 steps and of both signs.  An
        error of a single entry shows as |D.u| >= |D_j| / 2 steps.  Several errors can make up for one another along u
        only by chance; for them to do so along two directions is beyond what is worth asking.
        """
        rowmax: dict[int, Array] = {}
        left_out = max(TRUNCATED, TRUNCATION * self.limits.eps**2)
        for seed in (0, 1):
            for rise in self.rises if seed == 0 else self._rises(random_numbers(seed, self.function.theta.size)):
                if seed and rise.move.size < 2:
                    continue
                if not self.row_by_row(jacobian[:, rise.span], rise, rowmax, self.noise, left_out):
                    return False
        return True

    def row_by_row(
        self, jacobian: Array, rise: Rise, largest: dict[int, Array], noise: Array | float, left_out: float
    ) -> bool:
        """Tell whether the outputs rise along one direction as the rows of an input's Jacobian (M, its size) say.

        Parameters
        ----------
        largest : by where inputs begin, the largest entries of rows (M,), as far as they are known; added to.
        noise : what rounding may do to the rises.
        left_out : the share of their terms that truncation may make up.
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
            hidden = noise + left_out * size
            allowed = np.minimum(self.limits.atol, SHARE * top) * rise.visible
            # Outputs that do not move at all: no more than atol hides in their rounding.
            still = (top == 0.0) & (rise.rise == 0.0) & (noise <= self.limits.atol * rise.visible)
            return bool((still | ((off <= hidden) & (hidden <= HIDDEN * allowed))).all())

    # --- products with one random gradient of the outputs -------------------------------------------------------

    def agree(self, backward: Backward) -> bool:
        """Tell whether products of backward and rises agree, and rounding lets them show it.

        For these to miss a wrong entry, its part of the product would have to be below AGREE of the whole.

        Parameters
        ----------
        backward : backward mode of the outputs with gradients.

        Raises
        ------
        GradcheckError : if backward gives two answers to one question, is not linear, or does not heed strides.
        """
        v = self._drawn[self.function.theta.size :]
        once = backward.probed(v)
        sizes = self._sizes(once)
        for number, rows in enumerate(backward.rows):
            product = once if len(backward.rows) == 1 else backward.product(v[rows], number)
            if not self._agree(product, v, rows, self._sizes(product)):
                return False
        weighted = self._evened(v)
        if weighted is not None:
            product = backward.product(weighted)
            if not self._agree(product, weighted, slice(0, v.size), self._sizes(product)):
                return False
        expanded = backward.expanded(v)
        if expanded is not None:
            firsts = backward.first_numbers(v)
            # One number for all of an output may give nothing where the others gave much: it is measured by those.
            least = [max(a, b) for a, b in zip(sizes, self._sizes(expanded), strict=True)]
            if not self._agree(expanded, firsts, slice(0, v.size), least):
                backward.require_expanded(v, expanded)
        return True

    def _evened(self, v: Array) -> Array | None:
        """Return a gradient of the outputs (M,) made larger where they rise little; None where they rise alike."""
        if v.size < 2:
            return None
        risen = np.abs(self.rises[0].rise)
        for rise in self.rises[1:]:
            risen = np.maximum(risen, np.abs(rise.rise))
        most = float(risen.max())
        if not risen.min() * UNEVEN < most < math.inf:
            return None
        risen = np.maximum(risen, RISEN * self.noise)
        return None if risen.min() * UNEVEN >= most or not risen.all() else np.asarray(v * (most / risen))

    def _sizes(self, product: Array) -> list[float]:
        """Of the terms that a product makes along each direction."""
        found = []
        for rise in self.rises:
            terms = product[rise.span] * rise.move
            found.append(math.sqrt(terms @ terms))
        return found

    def _agree(self, product: Array, v: Array, rows: slice, sizes: list[float]) -> bool:
        """Tell whether a product of backward is what the outputs of some rows, weighted by v, rise by along all inputs.

        sizes : of the terms that are compared, for each input.
        """
        weighted = v[rows] * self.noise[rows]
        noise, share = math.sqrt(weighted @ weighted), max(AGREE, TRUNCATION * self.limits.eps**2)
        for rise, size in zip(self.rises, sizes, strict=True):
            numerical = float(v[rows] @ rise.rise[rows])
            if noise > RESOLVED * size and (size or numerical or noise > self.limits.atol * rise.visible):
                return False
            off = abs(numerical - float(product[rise.span] @ rise.move))
            if not (math.isfinite(size) and off <= noise + share * size):
                return False
        return True
