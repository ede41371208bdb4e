"""Networks of straight pieces: what changes of one layer's units become at the outputs, all layers between at once.

Where no change of the layer's units can reach a kink further on, every layer between passes changes on by its slopes,
and the products are associative: with J_j = J_{j+1} diag(slopes of j + 1) W_{j+1}, from the outputs down, a change d of
unit i's activation moves the outputs' pre-activations by J_k[:, i] d, as if it had been carried through layer by layer.
"""

import numpy as np

from ..._types import Array
from .point import Point

# Numbers of one J at most, 32 MiB.
MOST = 1 << 22


def to_outputs(point: Point, k: int) -> Array | None:
    """J_k (outputs, units, m); None where something is curved, may meet a kink or is near, or J is too large."""
    if k + 2 >= point.last:  # two layers are crossed at once anyway
        return None
    if k not in point.ways:
        point.ways[k] = _way(point, k) if _is_clear(point, k) else None
    return point.ways[k]


def _is_clear(point: Point, k: int) -> bool:
    """Whether changes of any unit of layer k reach no kink behind it, by a bound that adds up magnitudes."""
    between = range(k + 1, point.last)
    outputs = len(point.weights[-1])
    if point.curved(k) or any(point.curved(j) for j in between) or not point.logits:
        return False
    if point.m * outputs * max(point.net.widths[1:]) > MOST:
        return False
    largest = np.abs(point.series(k).c1).max(axis=0) * point.steps[k]
    bound = np.abs(point.weights[k + 1]).max(axis=1)[:, None] * largest
    for j in between:
        margin = point.margins[j]
        if margin is not None and not bool(np.all(bound < margin)):
            return False
        bound = np.abs(point.weights[j + 1]) @ (np.abs(point.series(j).c1) * bound)
    return True


def _way(point: Point, k: int) -> Array:
    """J_k from J_{k + 1}, which is the last W at the outputs."""
    W = point.weights[k + 1]
    if k + 1 == point.last:
        return np.broadcast_to(W[:, :, None], (*W.shape, point.m))
    behind = to_outputs(point, k + 1)
    if behind is None:  # its own units are nearer to a kink than the changes that come from here
        behind = _way(point, k + 1)
    outputs, rows, m = behind.shape
    scaled = (behind * point.series(k + 1).c1).transpose(2, 0, 1).reshape(m * outputs, rows)
    return np.asarray((scaled @ W).reshape(m, outputs, W.shape[1]).transpose(1, 2, 0))
