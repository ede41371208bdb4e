"""Losses' exact differences for arrays (z, a, y, d), by the cost's name, outputs first.

They are those of each output's share where the loss is separable, else of the whole loss.  A cost that has none here is
differenced by its kernel alone, and its small checks are compiled as well.

``z`` and ``a`` are the output's pre-activations and activations, ``y`` the targets, all broadcast against the changes
``d``: of the pre-activations where the cost names an output activation, else of the activations.
"""

from collections.abc import Callable

import numpy as np

from .._types import Array
from .losses import Cost
from .namespaces import largest
from .neural import binary_cross_entropy_with_logits
from .short_series import SERIES_REACH
from .small import log1p
from .softmax import logsumexp


def binary_cross_entropy_change(z: Array, a: Array, y: Array, d: Array) -> Array:
    """(1 - y) D(z, d) + y D(-z, -d), D softplus' change, of each output."""
    return np.asarray(binary_cross_entropy_with_logits(np, (z, y), (d, None), None, None))


def cross_entropy_change(z: Array, a: Array, y: Array, d: Array) -> Array:
    """log1p(sum_k p_k expm1(d_k - dbar)), dbar = sum y_k d_k, times the targets' total weight.

    Changes too long for that are taken from the logits, which loses the digits that log(sum p) - dbar does.
    """
    weight = y.sum(axis=0)
    mean = (y / weight * d).sum(axis=0)
    u = d - mean
    if largest(np, u) <= SERIES_REACH:
        grown = u * (1.0 + u * (0.5 + u * (1.0 / 6.0 + u * (1.0 / 24.0 + u * (1.0 / 120.0)))))
        total = (a * grown).sum(axis=0)
        return np.asarray(weight * log1p(np, total))
    with np.errstate(all="ignore"):
        total = (a * np.expm1(u)).sum(axis=0)
        short = (total > -0.5) & np.isfinite(total)
        found = weight * np.log1p(total)
        if short.all():
            return np.asarray(found)
        grown = logsumexp(np, (z,), (d,), None, None, axes=(-d.ndim,))
        return np.asarray(np.where(short, found, weight * (grown - mean)))


def cross_entropy_parts(a: Array, y: Array, odd: Array, even: Array) -> tuple[Array, Array]:
    """Return the odd and even part of the same for changes even +- odd of some 1e-6 at most, to rounding.

    With u = e +- o relative to dbar, the parts of expm1(u) are o (1 + e + o^2 / 6) and e + o^2 / 2, and those of
    log1p(t) are t_o (1 - t_e + t_o^2 / 3) and t_e - t_o^2 / 2, up to terms of the fourth order.

    Parameters
    ----------
    a, y : (outputs, m).
    odd, even : (outputs, columns, m).
    """
    weight = y.sum(axis=0)
    share = y / weight
    o = odd - np.einsum("km,kcm->cm", share, odd)
    e = even - np.einsum("km,kcm->cm", share, even)
    square = o * o
    t_even = np.einsum("km,kcm->cm", a, 0.5 * square + e)
    square *= 1.0 / 6.0
    square += e
    square += 1.0
    square *= o
    t_odd = np.einsum("km,kcm->cm", a, square)
    half = 0.5 * t_odd * t_odd
    return weight * (t_odd * ((1.0 - t_even) + (2.0 / 3.0) * half)), weight * (t_even - half)


def cross_entropy_powers(
    a: Array, y: Array, first: Array | None = None, second: Array | None = None, third: Array | None = None
) -> Array:
    """Return the powers of the same, (3, columns + outputs, m), for changes first d + second d^2 + third d^3.

    The last columns are changes d of one output's logit alone.  With v = first - sum y first / sum(y), t = sum a v,
    u = v - t and g = a - y / sum(y), the powers are the cumulants

        t        sum g second + sum a u^2 / 2        sum g third + sum a u second + sum a u^3 / 6

    Where one class is certain, v is zero there, and g is made without cancelling: all keep their digits.  With
    q = 1 - a, those of one output alone are g, a q / 2 and a q (q - a) / 6.

    Parameters
    ----------
    a, y : (outputs, m).
    first, second, third : (outputs, columns, m), of second and third those columns that come first; None for zeros.
    """
    weight = np.add.reduce(y, axis=0)
    share = y / weight
    others = np.ones((len(a), len(a)))
    np.fill_diagonal(others, 0.0)
    q = others @ a
    g = a * (others @ share) - share * q  # both columns sum to one, and 1 - a is the sum of the others
    columns = 0 if first is None else first.shape[1]
    powers = np.empty((3, columns + len(a), len(weight)))
    alone = powers[:, columns:]
    alone[0] = g
    np.multiply(a, q, out=alone[1])
    alone[1] *= 0.5
    np.multiply((1.0 / 3.0) * (q - a), alone[1], out=alone[2])
    if first is not None:
        _cumulants(a, share, g, (first, second, third), powers[:, :columns])
    powers *= weight
    return powers


def _cumulants(
    a: Array, share: Array, g: Array, changes: tuple[Array, Array | None, Array | None], powers: Array
) -> None:
    """Write what ``cross_entropy_powers`` has of given columns, by one unit of weight."""
    first, second, third = changes
    slope, bend, twist = powers
    if first.shape[2] != a.shape[1]:
        first = np.broadcast_to(first, (*first.shape[:2], a.shape[1]))
    u = first - np.einsum("km,kcm->cm", share, first)
    u -= np.einsum("km,kcm->cm", a, u, out=slope)
    weighted = a[:, None] * u
    power = weighted * u
    np.multiply(0.5, np.add.reduce(power, axis=0), out=bend)
    power *= u
    np.multiply(1.0 / 6.0, np.add.reduce(power, axis=0), out=twist)
    if second is not None and third is not None:
        curved = second.shape[1]
        bend[:curved] += np.einsum("km,kcm->cm", g, second)
        twist[:curved] += np.einsum("km,kcm->cm", g, third)
        twist[:curved] += np.einsum("kcm,kcm->cm", weighted[:, :curved], second)


def relative_to_targets(y: Array) -> Array:
    """Changes (m, outputs, outputs) of all logits by one of each, less their mean by the targets y (outputs, m)."""
    share = (y / np.add.reduce(y, axis=0)).T
    return np.asarray(np.eye(len(y)) - share[:, None])


def moments(weights: list[Array], u: Array, into: list[Array]) -> None:
    """Write sums over outputs of u, u^2, ..., (m, columns) each.

    Parameters
    ----------
    weights : (m, outputs) of each power, or of more than there are.
    u : (m, outputs, columns).
    """
    power = u
    for number, (weight, out) in enumerate(zip(weights, into, strict=False)):
        if number == 1:
            power = u * u
        elif number:
            power *= u
        np.matmul(weight[:, None], power, out=out[:, None])


def cross_entropy_cumulants(sums: list[Array]) -> None:
    """Turn moments into the powers of the same, for changes u d of the logits, less their mean by the targets.

    They are the cumulants k_n / n! of u under a: what they are for targets of total weight one.

    Parameters
    ----------
    sums : (m, columns) each, ``moments`` of u (see ``relative_to_targets``) with weights a: two to four, which become
        as many powers.
    """
    t1, t2, *more = sums
    square = t1 * t1
    if len(more) > 1:
        t4 = more[1]
        t4 -= 4.0 * more[0] * t1
        t4 -= 3.0 * t2 * t2
        t4 += square * (12.0 * t2 - 6.0 * square)
        t4 *= 1.0 / 24.0
    if more:
        t3 = more[0]
        twice = (2.0 / 3.0) * square
        twice -= t2
        twice *= 0.5 * t1
        t3 *= 1.0 / 6.0
        t3 += twice
    t2 -= square
    t2 *= 0.5


def squared_error_change(z: Array, a: Array, y: Array, d: Array) -> Array:
    """d (2 (a - y) + d), of each output."""
    return np.asarray(d * (2.0 * (a - y) + d))


LOSS_CHANGES: dict[str, Callable[[Array, Array, Array, Array], Array]] = {
    "binary_cross_entropy": binary_cross_entropy_change,
    "cross_entropy": cross_entropy_change,
    "squared_error": squared_error_change,
    "mean_squared_error": squared_error_change,
}

# Losses that mix the outputs, for both signs of a short change at once.
LOSS_PARTS: dict[str, Callable[[Array, Array, Array, Array], tuple[Array, Array]]] = {
    "cross_entropy": cross_entropy_parts,
}

# ... and for changes that are power series in a step.
LOSS_POWERS: dict[str, Callable[..., Array]] = {"cross_entropy": cross_entropy_powers}

# ... and with samples first, from moments, for changes that are straight in a step.
LOSS_CUMULANTS: dict[str, Callable[[list[Array]], None]] = {
    "cross_entropy": cross_entropy_cumulants,
}


def change_of_losses(cost: Cost, z: Array, a: Array, y: Array, d: Array) -> Array:
    """Return the changes (columns, m) of the samples' losses, by the cost's rule, or by its kernel where it has none.

    Parameters
    ----------
    z, a, y : (outputs, m).
    d : (outputs, columns, m).
    """
    if cost.name in LOSS_CHANGES:
        found = LOSS_CHANGES[cost.name](z[:, None], a[:, None], y[:, None], d)
        return np.asarray(found.sum(axis=0) if cost.separable else found)
    changes = np.empty(d.shape[1:])
    for s in range(d.shape[2]):
        cost.columns(z[:, s], a[:, s], y[:, s], d[:, :, s], changes[:, s])
    return changes
