"""Products of backward with random gradients of the outputs: what they prove of a Jacobian that is never formed."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._types import Array, Mask
from ..checks.jacobian.point import SHARE
from ..engines.program.trust import norm_of
from .backward import AGREE, Backward
from .directions import HIDDEN, Directions, Rise
from .tensors import random_numbers

# Share of a product along a direction that the rounding of the outputs may make up, for the direction to show anything.
RESOLVED = 1e-3
# Outputs whose rises differ by more than this factor are weighted by them, so that small ones do not drown; and how
# far a rise has to be above its rounding to be taken for one.
UNEVEN, RISEN = 1e3, 1e4
# A rise is hardly ever more than this many times its row's largest entry, by the root of their number and the shortest
# move.
TALL = 6.0
# Rows that are asked for one by one, of each output.
SINGLE = 2


@dataclass(frozen=True, eq=False)
class Product:
    """What backward makes of one gradient of some outputs.

    rows : which outputs, among all M.
    v : (their number,) their gradient.
    found : (n,) v @ Jacobian.
    """

    rows: slice
    v: Array
    found: Array

    def sizes(self, rises: Sequence[Rise]) -> list[float]:
        """Of the terms that it makes along each of some directions."""
        return [norm_of(self.found[rise.span] * rise.move) for rise in rises]


@dataclass(frozen=True, eq=False)
class Products:
    """Products of backward with random gradients of the outputs, held against what the outputs rise by.

    backward : of the outputs with gradients.
    directions : the function along random directions.
    """

    backward: Backward
    directions: Directions

    def agree(self) -> bool:
        """Tell whether products of backward and rises agree, and rounding lets them show it.

        For these to miss a wrong entry, its part of the product would have to be below ``directions.share`` of the
        whole.

        Raises
        ------
        GradcheckError : if backward gives two answers to one question, is not linear, or does not heed strides.
        """
        rises, whole = self.directions.rises, self._whole
        sizes = whole.sizes(rises)
        if not all(self._agrees(product, rises) for product in self._first) or not self._reaches_all(rises, sizes):
            return False
        expanded = self.backward.expanded(whole.v)
        if expanded is not None:
            product = Product(whole.rows, self.backward.first_numbers(whole.v), expanded)
            # One number for all of an output may give nothing where the others gave much: it is measured by those.
            least = [max(a, b) for a, b in zip(sizes, product.sizes(rises), strict=True)]
            if not self._agrees(product, rises, least):
                self.backward.require_expanded(whole.v, expanded)
        return True

    def prove(self) -> bool:
        """Whether backward is right in all entries of the Jacobian: so far as products show, and it is linear.

        Raises
        ------
        GradcheckError : as ``agree``.

        Notes
        -----
        Let D be the error of the Jacobian, u the direction and v the gradient of the outputs, of numbers from 1/2 to
        3/2 of both signs.  An error of a single entry shows as |v.D u| >= |v_i| |D_ij| / 2 steps, and is no part of
        what rounding and truncation hide if these are less than that for an entry that is off by as much as it may.
        How large a row's largest entry is, of which that is a share, its rise tells: |J_i.u| is the root of n times as
        much, about, and hardly ever several times that.
        """
        if not self.agree():
            return False
        shown = self._shown(self._first, self.directions.rises)
        if not all(self._agrees(product, self.directions.again) for product in self._second):
            return False
        shown |= self._shown(self._second, self.directions.again)
        return bool(shown.all()) and self._adds_up() and self._rows_agree()

    @property
    def _outputs(self) -> int:
        return self.directions.rows.size

    def _drawn(self, seed: int) -> Array:
        """Random numbers for all outputs, none of which are those of a direction."""
        entries = self.directions.function.theta.size
        return random_numbers(seed, entries + self._outputs)[entries:]

    @cached_property
    def _whole(self) -> Product:
        """The product with a random gradient of all outputs."""
        v = self._drawn(0)
        return Product(slice(0, v.size), v, self.backward.probed(v))

    @cached_property
    def _first(self) -> list[Product]:
        """Products of which each output has one of its own."""
        return list(self._each(self._whole))

    @cached_property
    def _second(self) -> list[Product]:
        """The same with another random gradient."""
        v = self._drawn(1)
        return list(self._each(Product(slice(0, v.size), v, self.backward.product(v))))

    def _each(self, whole: Product) -> Iterator[Product]:
        """Return the product of each output, of one with all; and one that evens out what is uneven."""
        for number, rows in enumerate(self.backward.rows):
            alone = len(self.backward.rows) == 1
            yield whole if alone else Product(rows, whole.v[rows], self.backward.product(whole.v[rows], number))
        even = self._evened(whole.v)
        if even is not None:
            yield Product(whole.rows, even, self.backward.product(even))

    def _evened(self, v: Array) -> Array | None:
        """Return a gradient of the outputs (M,) made larger where they rise little; None where they rise alike."""
        if v.size < 2:
            return None
        risen = np.abs(self.directions.rises[0].rise)
        for rise in self.directions.rises[1:]:
            risen = np.maximum(risen, np.abs(rise.rise))
        most = float(risen.max())
        if not risen.min() * UNEVEN < most < math.inf:
            return None
        risen = np.maximum(risen, RISEN * self.directions.noise)
        return None if risen.min() * UNEVEN >= most or not risen.all() else np.asarray(v * (most / risen))

    def _noise(self, product: Product) -> float:
        """What rounding may do to the outputs of a product, weighted and added."""
        return norm_of(product.v * self.directions.noise[product.rows])

    def _reaches_all(self, rises: Sequence[Rise], sizes: Sequence[float]) -> bool:
        """Tell whether no entry moves so much less than others of its input that its error hides in what those leave.

        sizes : of the whole's terms along each direction.
        """
        for rise, size in zip(rises, sizes, strict=True):
            largest = float(np.max(np.abs(self._whole.found[rise.span]), initial=0.0))
            if self.directions.share * size > SHARE * largest * rise.visible:
                return False
        return True

    def _agrees(self, product: Product, rises: Sequence[Rise], sizes: Sequence[float] | None = None) -> bool:
        """Tell whether a product is what the outputs, weighted by v, rise by along all inputs.

        sizes : of the terms that are compared, for each input; None for the product's own.
        """
        noise, share = self._noise(product), self.directions.share
        for rise, size in zip(rises, sizes or product.sizes(rises), strict=True):
            numerical = float(product.v @ rise.rise[product.rows])
            hides = self.directions.limits.atol * rise.visible
            if noise > RESOLVED * size and (size or numerical or noise > hides):
                return False
            off = abs(numerical - float(product.found[rise.span] @ rise.move))
            if not (math.isfinite(size) and off <= noise + share * size):
                return False
        return True

    def _shown(self, products: Sequence[Product], rises: Sequence[Rise]) -> Mask:
        """For each input (inputs, M), whether a wrong entry of an output's row shows in one of some products."""
        shown = np.zeros((len(rises), self._outputs), dtype=bool)
        for number, rise in enumerate(rises):
            risen = np.abs(rise.rise)
            row = SHARE * risen / (TALL * math.sqrt(max(rise.move.size, 1)))
            allowed = np.minimum(np.where(risen == 0.0, math.inf, row), self.directions.limits.atol * rise.visible)
            for product in products:
                hidden = self._noise(product) + self.directions.share * product.sizes(rises)[number]
                shown[number, product.rows] |= hidden <= HIDDEN * np.abs(product.v) * allowed[product.rows]
        return shown

    def _adds_up(self) -> bool:
        """Tell whether two parts of a gradient of the outputs give, added, what the whole gives."""
        v = self._whole.v
        some = random_numbers(2, v.size) > 0.0
        one, other = (self.backward.product(np.where(mask, v, 0.0)) for mask in (some, ~some))
        return self.backward.close(one + other, self._whole.found, np.abs(one) + np.abs(other), AGREE, 0.0)

    def _rows_agree(self) -> bool:
        """Tell whether some single rows of the Jacobian, of each output, are what those rise by."""
        for rows in self.backward.rows:
            for row in rows.start + np.argsort(self._whole.v[rows])[:SINGLE]:
                one = np.zeros(self._outputs)
                one[row] = 1.0
                product = Product(slice(row, row + 1), one[row : row + 1], self.backward.product(one))
                if not self._agrees(product, self.directions.rises, self._whole.sizes(self.directions.rises)):
                    return False
        return True
