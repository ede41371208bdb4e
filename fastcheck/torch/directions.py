"""``fast_mode``: derivatives and differences along random directions, held against each other to rounding."""

import math
from dataclasses import dataclass

import numpy as np

from .._types import Array, Indices
from ..checks.jacobian.point import steps_of
from .backward import Backward
from .function import TorchFunction
from .tensors import random_numbers

# Relative error that truncation leaves along a random direction, at least, and in units of the step squared.
AGREE, TRUNCATION = 1e-9, 1e2
# Share of a product along a direction that the rounding of the outputs may make up, for the direction to show anything.
RESOLVED = 1e-3
# Rounding of a value, in unit roundoffs, that noise is not expected to exceed.
NOISE = 8.0
SIGNS = np.array([[1.0], [-1.0]])


@dataclass(frozen=True)
class Directions:
    """A function and its backward mode.

    function, backward : at one point, after ``function.value()``.
    rows : places (M,) of the outputs that backward starts from among the numbers of all outputs.
    eps : the step.
    """

    function: TorchFunction
    backward: Backward
    rows: Indices
    eps: float

    def agree(self) -> bool:
        """Whether derivatives and differences agree along random directions, and rounding lets them show it.

        One direction for each input and one for each output, so that small ones do not drown in large ones.  For these
        to miss a wrong entry, its part of the product would have to be below AGREE of the whole.

        Raises
        ------
        GradcheckError : if backward gives two answers to one question, is not linear, or does not heed strides.
        """
        function, backward = self.function, self.backward
        drawn = random_numbers(0, function.theta.size + self.rows.size)
        u, v = drawn[: function.theta.size], drawn[function.theta.size :]
        rises, moves = [], []
        for number, span in enumerate(function.spans):
            theta = function.theta[span]
            ends = theta + SIGNS * (steps_of(theta, function.unit, self.eps) * u[span])
            values = function.with_input(number, ends)
            rises.append((values[0] - values[1])[self.rows])
            with np.errstate(invalid="ignore"):  # entries at infinity show nothing along a direction
                moves.append(ends[0] - ends[1])
        once = backward.probed(v)
        for number, rows in enumerate(backward.rows):
            product = once if len(backward.rows) == 1 else backward.product(v[rows], number)
            if not self._agree(product, v, rows, rises, moves):
                return False
        expanded = backward.expanded(v)
        every, firsts = slice(0, v.size), backward.first_numbers(v)
        if expanded is not None and not self._agree(expanded, firsts, every, rises, moves):
            backward.require_expanded(v, expanded)
        return True

    def _agree(self, product: Array, v: Array, rows: slice, rises: list[Array], moves: list[Array]) -> bool:
        """Whether a product of backward is what the outputs of some rows, weighted by v, rise by along all inputs."""
        weighted = v[rows] * self.function.plain[self.rows[rows]]
        noise = NOISE * self.function.unit * math.sqrt(weighted @ weighted)
        share = max(AGREE, TRUNCATION * self.eps**2)
        for span, rise, move in zip(self.function.spans, rises, moves, strict=True):
            terms = product[span] * move
            numerical, size = float(v[rows] @ rise[rows]), math.sqrt(terms @ terms)
            if noise > RESOLVED * size and (size or numerical):
                return False
            if not (math.isfinite(size) and abs(numerical - float(terms.sum())) <= noise + share * size):
                return False
        return True
