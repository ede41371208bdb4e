"""Singular values and vectors, and the matrix norms that are made of them.

The singular values of A are the positive eigenvalues of [[0, A], [A^T, 0]], whose eigenvectors are (u, v) / sqrt(2)
and, for minus the same value, (u, -v) / sqrt(2): the same perturbations and rotations apply, and values that pass zero
turn round.
"""

import math
from typing import Any

from .axes import Axes, restored
from .base import Changes, Rule, Values
from .branches import Branches
from .extremes import maximum_of, minimum_of
from .linear_algebra import transposed
from .namespaces import identity, take_along
from .perturbations import mixtures, shifts, turns
from .piecewise import absolute
from .rotations import diagonalised, without_rounding
from .sorting import order_of_sums, sorted_change

SQRT_HALF = math.sqrt(0.5)


def eigenvectors(xp: Any, a: Any, u: Any, vh: Any) -> Any:
    """Eigenvectors of [[0, A], [A^T, 0]], by ascending eigenvalues, from the singular vectors of A."""
    k = min(a.shape[-2:])
    left, _, right = xp.linalg.svd(a)
    v, rest_u, rest_v = transposed(xp, vh), left[..., :, k:], transposed(xp, right)[..., :, k:]
    zero_u = 0.0 * (u[..., :, :1] + 0.0 * rest_v[..., :1, :]) if rest_v.shape[-1] else u[..., :, :0]
    zero_v = 0.0 * (v[..., :, :1] + 0.0 * rest_u[..., :1, :]) if rest_u.shape[-1] else v[..., :, :0]
    above = (SQRT_HALF * u, rest_u, zero_u, SQRT_HALF * xp.flip(u, (-1,)))
    below = (-SQRT_HALF * v, zero_v, rest_v, SQRT_HALF * xp.flip(v, (-1,)))
    return xp.concatenate((xp.concatenate(above, axis=-1), xp.concatenate(below, axis=-1)), axis=-2)


def svd(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> tuple[Any, Any, Any]:
    """Return the changes of u, s and v^T (reduced).  Where singular values stay apart, signs are those at A."""
    levels, w, cross = as_seen(xp, values[0], out, changes[0])
    m, k = values[0].shape[-2], min(values[0].shape[-2:])
    x = mixtures(xp, levels, cross, k, values_alone=False)
    if x is not None:
        shift, vectors = shifts(xp, cross, x), w @ turns(xp, x)
    else:
        whole, turned = diagonalised(xp, levels, cross)
        shift = sorted_change(xp, levels, whole, branches)[1][..., -k:]
        order = xp.broadcast_to(order_of_sums(xp, levels + 0.0 * whole, whole)[..., None, :], turned.shape)
        unit = identity(xp, turned.shape[-1], turned)
        vectors = (w @ (take_along(xp, turned, order) + (take_along(xp, unit, order) - unit)))[..., :, -k:]
    positive = xp.flip(vectors, (-1,)) / SQRT_HALF
    return positive[..., :m, :], xp.flip(shift, (-1,)), transposed(xp, positive[..., m:, :])


def as_seen(xp: Any, a: Any, out: Any, change: Any) -> tuple[Any, Any, Any]:
    """Return eigenvalues of [[0, A], [A^T, 0]], its eigenvectors, and the change as these see it."""
    u, s, vh = out
    m, k = a.shape[-2], min(a.shape[-2:])
    w = eigenvectors(xp, a, u, vh)
    cross = transposed(xp, w[..., :m, :]) @ change @ w[..., m:, :]
    middle = 0.0 * w[..., 0, : w.shape[-1] - 2 * k]
    levels = without_rounding(xp, xp.concatenate((-s, middle, xp.flip(s, (-1,))), axis=-1))
    return levels, w, cross + transposed(xp, cross)


def singular_values(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """Return the changes of the singular values alone, in descending order."""
    decomposed = xp.linalg.svd(values[0], full_matrices=False)
    levels, _, cross = as_seen(xp, values[0], decomposed, changes[0])
    x = mixtures(xp, levels, cross, min(values[0].shape[-2:]), values_alone=True)
    if x is None:
        return svd(xp, values, changes, decomposed, branches)[1]
    return xp.flip(shifts(xp, cross, x), (-1,))


def matrix_norm(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None,
    axes: Axes = (-2, -1), keepdims: bool = False, ord: float | str = 2,
) -> Any:  # fmt: skip
    """Return a norm of matrices in two axes: of order 2 or -2 (largest, smallest singular value), "nuc" (their sum),
    1 or -1 (largest, smallest column sum of magnitudes), infinity or -infinity (row sum).
    """
    x, d = xp.moveaxis(values[0], axes, (-2, -1)), xp.moveaxis(changes[0], axes, (-2, -1))
    if ord in ("nuc", 2, -2):
        ds = singular_values(xp, (x,), (d,), None, branches)
        change = xp.sum(ds, axis=-1) if ord == "nuc" else ds[..., 0 if ord == 2 else -1]
    else:
        along = -2 if ord in (1, -1) else -1
        size = xp.abs(x)
        sums = xp.sum(size, axis=along)
        change = xp.sum(absolute(xp, (x,), (d,), size, branches), axis=along)
        if ord in (1, math.inf):
            change = maximum_of(xp, (sums,), (change,), xp.amax(sums, axis=-1), branches, (-1,))
        else:
            change = minimum_of(xp, (sums,), (change,), xp.amin(sums, axis=-1), branches, (-1,))
    return restored(change, axes, keepdims)


SINGULAR: dict[str, Rule] = {
    "svd": Rule(svd, elementwise=False),
    "svdvals": Rule(singular_values, elementwise=False),
    "matrix_norm": Rule(matrix_norm, elementwise=False),
}
