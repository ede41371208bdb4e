"""Eigenvalues and eigenvectors of symmetric matrices, by rotations of the change (``rotations``)."""

from typing import Any

from .base import Changes, Rule, Values
from .linear_algebra import from_lower, transposed
from .namespaces import identity, take_along
from .rotations import diagonalised, without_rounding
from .sorting import order_of_sums, sorted_change


def eigh(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> tuple[Any, Any]:
    """Return the changes of eigenvalues and eigenvectors, of which the lower triangle counts.

    Where eigenvalues stay apart, the eigenvectors' sign is the one that they have at A.
    """
    w, v = without_rounding(xp, out[0]), out[1]
    s = transposed(xp, v) @ from_lower(xp, changes[0]) @ v
    shift, turned = diagonalised(xp, w, 0.5 * (s + transposed(xp, s)))
    dw = sorted_change(xp, w, shift, branches)[1]
    order = order_of_sums(xp, w + 0.0 * shift, shift)
    unit = identity(xp, s.shape[-1], s)
    order = xp.broadcast_to(order[..., None, :], turned.shape)
    return dw, v @ (take_along(xp, turned, order) + (take_along(xp, unit, order) - unit))


def eigvalsh(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the eigenvalues' changes alone."""
    w, v = xp.linalg.eigh(values[0])
    return eigh(xp, values, changes, (w, v), branches)[0]


SPECTRAL: dict[str, Rule] = {
    "eigh": Rule(eigh, elementwise=False),
    "eigvalsh": Rule(eigvalsh, elementwise=False),
}
