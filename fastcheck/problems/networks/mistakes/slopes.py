"""Mistakes in the derivative of a layer's activation."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from ...._types import Array
from ....rules.activations import ACTIVATIONS
from .backward import Backward

# The derivatives that people write in terms of the activation a, as functions of what they are handed.
BY_HAND: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "sigmoid": ("a (1 - a)", lambda a: a * (1.0 - a)),
    "tanh": ("1 - a^2", lambda a: 1.0 - a * a),
}
# Slips in them: what was written, and what it gives.
SLIPS: dict[str, tuple[tuple[str, Callable[[Array], Array]], ...]] = {
    "sigmoid": (("a (1 + a)", lambda a: a * (1.0 + a)), ("1 - a", lambda a: 1.0 - a),
                ("a^2 (1 - a)", lambda a: a * a * (1.0 - a)), ("1 - a^2", lambda a: 1.0 - a * a)),
    "tanh": (("1 - a", lambda a: 1.0 - a), ("1 + a^2", lambda a: 1.0 + a * a), ("a (1 - a)", lambda a: a * (1.0 - a)),
             ("1 + a", lambda a: 1.0 + a), ("(1 - a)^2", lambda a: (1.0 - a) ** 2)),
}  # fmt: skip
# Activations whose derivative is a mask.
MASKS = ("relu", "relu6", "hardtanh")
# Thresholds that people set for relu's mask, beside those that a batch tells apart.
THRESHOLDS = (0.1, -0.1, 0.01, -0.01, 0.5, -0.5, 1.0, -1.0, 1e-3, 1e-6)
# Every threshold of a batch is tried up to this many pre-activations.
TOLD_APART = 256


def mistaken_slopes(b: Backward, k: int) -> Iterator[tuple[str, Array]]:
    """Yield what people put in place of g'(z) in layer k: words, and the values (units, m)."""
    entry, Z, A = b.activation(k), b.Z(k), b.A(k)
    g = entry.name
    forgotten = " (its mask is forgotten)" if g in MASKS else ""
    yield f"without {g}'s derivative in layer {k}{forgotten}", np.ones_like(Z)
    yield f"with {g}'s derivative taken at a instead of z in layer {k}", entry.derivative(A)
    if g in BY_HAND:
        yield f"with {g}'s derivative, {BY_HAND[g][0]}, taken at z instead of a in layer {k}", BY_HAND[g][1](Z)
    for there, which in ((k + 1, "next"), (k - 1, "previous")):
        if 1 <= there <= b.depth and b.widths[there] == b.widths[k]:
            yield (f"with {g}'s derivative of layer {k} taken at the {which} layer's z, that of layer {there}",
                   entry.derivative(b.Z(there)))
            if b.activation(there).elementwise and b.activation(there).name != g:
                yield f"with the derivative of layer {there} instead of that of layer {k}", b.slope(there)
    for formula, slip in SLIPS.get(g, ()):
        yield f"with {formula} instead of {BY_HAND[g][0]} for {g}'s derivative in layer {k}", slip(A)
    yield f"with {g} itself instead of its derivative in layer {k}", A
    yield f"with {g}'s derivative applied twice in layer {k}", b.slope(k) ** 2
    if not entry.linear:
        yield f"with {g}'s derivative divided by instead of multiplied with in layer {k}", _inverse(b.slope(k))
    if g == "leaky_relu":
        yield f"with the branches of leaky_relu's derivative swapped in layer {k}", entry.derivative(-Z)
    if g == "relu":
        yield f"with relu's mask inverted in layer {k} (z < 0 for z > 0)", np.where(Z < 0, 1.0, 0.0)
    for name, other in ACTIVATIONS.items():
        if name not in (g, "identity") and other.elementwise:
            yield f"with {name}'s derivative instead of {g}'s in layer {k}", other.derivative(Z)


def _inverse(slope: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.where(slope == 0.0, 0.0, 1.0 / slope)


def mistaken_thresholds(b: Backward, k: int) -> Iterator[tuple[str, Array]]:
    """relu's mask with another threshold than 0 in layer k: the usual ones, then all that the batch tells apart."""
    if b.activation(k).name != "relu":
        return
    Z = b.Z(k)
    for value in THRESHOLDS:
        yield (f"with relu's mask where z > {value:g} instead of z > 0 in layer {k} (its threshold is not 0)",
               np.where(value < Z, 1.0, 0.0))
    values = np.unique(Z)
    if values.size > TOLD_APART:
        return
    for low, high in pairwise(values):
        if low > 0.0 or high < 0.0:
            yield (f"with relu's mask at a threshold between {low:.3g} and {high:.3g} instead of 0 in layer {k}",
                   np.where(0.5 * (low + high) < Z, 1.0, 0.0))


def free_slopes(b: Backward, k: int) -> Iterator[tuple[str, Array, Array]]:
    """Derivatives with one number that people get wrong: words with a place for it, the fixed part, its factor."""
    Z, g = b.Z(k), b.activation(k).name
    negative = np.where(Z > 0, 0.0, 1.0)
    if g in ("relu", "leaky_relu"):
        yield f"with slope {{:.4g}} instead of {0 if g == 'relu' else 0.01:g} for {g} below zero in layer {k}", \
            1.0 - negative, negative
    if g in ("elu", "selu"):
        yield (f"with alpha {{:.4g}} times as large in {g}'s derivative in layer {k}", (1.0 - negative) * b.slope(k),
               negative * b.slope(k))
