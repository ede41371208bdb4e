"""Responses of units to changes of their pre-activations, as polynomials."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._types import Array, Indices, Rows

# Up to this change of a pre-activation r is a quadratic to a relative 1e-13, ...
QUADRATIC_REACH = 2e-7
# ... and up to this one a quartic.
QUARTIC_REACH = 1e-3
# A step that crosses no kink but those it stands on.
TINY = 1e-100


@dataclass(frozen=True)
class Responses:
    """Responses of one layer's units to the samples of a block.

    units : (u,) those that were evaluated.
    powers : (6, m, n_l) coefficients of x, x^2, x^3, x^4, |x|, x|x|.
    degrees : (n_l,) how many of them are in use (2, 4 or 6), the same for all units of a task.
    bounds : (2, m, n_l) one-sided derivatives at kinks.
    kinds : (m, n_l) what each unit met (``columns.CLEAN`` ...).
    """

    units: Indices
    powers: Array
    degrees: Any
    bounds: Array
    kinds: Any

    def odd(self, rows: Rows, epsilon: float) -> Array:
        """Coefficients of the odd powers of epsilon a, one below the other, (m * degree/2, rows)."""
        return self._scaled(rows, epsilon, [(0, 1), (2, 3), (5, 2)])

    def even(self, rows: Rows, epsilon: float) -> Array:
        """Coefficients of the even powers, likewise."""
        return self._scaled(rows, epsilon, [(1, 2), (3, 4), (4, 1)])

    def degree(self, rows: Rows) -> int:
        """Return the degree of some units."""
        return int(self.degrees[rows].max())

    def _scaled(self, rows: Rows, epsilon: float, terms: list[tuple[int, int]]) -> Array:
        chosen = terms[: self.degree(rows) // 2]
        parts = [self.powers[p][:, rows] * epsilon**k for p, k in chosen]
        return np.asarray(parts[0] if len(parts) == 1 else np.concatenate(parts))


def powers_of(a: Array, degree: int) -> tuple[Array, Array]:
    """Return the powers of the inputs (m, n + 1) that ``Responses.odd`` and ``Responses.even`` go with."""
    if degree == 2:
        return a, a * a
    size = np.abs(a)
    odd, even = [a, a**3, a * size], [a * a, a**4, size]
    return np.vstack(odd[: degree // 2]), np.vstack(even[: degree // 2])
