"""Eigenvalues and eigenvectors of symmetric matrices.

Changes that are small beside the gaps between eigenvalues are had by ``perturbations``, others by ``rotations``.
"""

from typing import Any

from .base import Changes, Rule, Values
from .linear_algebra import from_lower, transposed
from .namespaces import identity, take_along
from .perturbations import mixtures, shifts, turns
from .rotations import diagonalised, without_rounding
from .sorting import order_of_sums, sorted_change


def eigh(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> tuple[Any, Any]:
    """Return the changes of eigenvalues and eigenvectors, of which the lower triangle counts.

    Where eigenvalues stay apart, the eigenvectors' sign is the one that they have at A.
    """
    w, v, s = as_seen(xp, out, changes[0])
    x = mixtures(xp, w, s, s.shape[-1], values_alone=False)
    if x is not None:
        return shifts(xp, s, x), v @ turns(xp, x)
    shift, turned = diagonalised(xp, w, s)
    dw = sorted_change(xp, w, shift, branches)[1]
    order = order_of_sums(xp, w + 0.0 * shift, shift)
    unit = identity(xp, s.shape[-1], s)
    order = xp.broadcast_to(order[..., None, :], turned.shape)
    return dw, v @ (take_along(xp, turned, order) + (take_along(xp, unit, order) - unit))


def as_seen(xp: Any, out: Any, change: Any) -> tuple[Any, Any, Any]:
    """Return eigenvalues, eigenvectors, and the change as these see it."""
    w, v = without_rounding(xp, out[0]), out[1]
    s = transposed(xp, v) @ from_lower(xp, change) @ v
    return w, v, 0.5 * (s + transposed(xp, s))


def eigvalsh(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the eigenvalues' changes alone."""
    decomposed = xp.linalg.eigh(values[0])
    w, _, s = as_seen(xp, decomposed, changes[0])
    x = mixtures(xp, w, s, s.shape[-1], values_alone=True)
    return eigh(xp, values, changes, decomposed, branches)[0] if x is None else shifts(xp, s, x)


SPECTRAL: dict[str, Rule] = {
    "eigh": Rule(eigh, elementwise=False),
    "eigvalsh": Rule(eigvalsh, elementwise=False),
}
