"""Columns at their own steps: single units in single samples, each change evaluated by itself.

What a pair of short polynomials cannot say is said here: on which side of a kink a change ends, and the loss after
steps that are too long.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._types import Array, Indices, Mask
from ..response.responses import TINY
from .point import BLOCK, Point


@dataclass(frozen=True)
class Columns:
    """Changes ``x`` of the pre-activations of units of one layer, each in one sample; (C,) all."""

    layer: int
    units: Indices
    samples: Indices
    x: Array


def respond(point: Point, columns: Columns, side: int = 0) -> tuple[Array, Mask]:
    """Return differences of the losses (C,), and which columns met a kink.

    Parameters
    ----------
    side : the branch that units standing on a kink are taken to: -1, 1, or 0 for where they are.
    """
    count = columns.x.size
    losses, met = np.empty(count), np.zeros(count, np.bool_)
    size = max(1, BLOCK // max(point.net.widths))
    for first in range(0, count, size):
        part = slice(first, first + size)
        block = Columns(columns.layer, columns.units[part], columns.samples[part], columns.x[part])
        losses[part] = _respond(point, block, side, met[part])
    return losses, met


def _respond(point: Point, columns: Columns, side: int, met: Mask) -> Array:
    k, units, samples = columns.layer, columns.units, columns.samples
    change = columns.x
    if point.passes(k):
        change = _activated(point, k, (units, samples), change, side, met)
    if k == point.last:
        d = np.zeros((point.net.widths[-1], change.size))
        d[units, np.arange(change.size)] = change
    else:
        d = _activated(point, k + 1, (slice(None), samples), point.weights[k + 1][:, units] * change, side, met)
        for layer in range(k + 2, point.last + 1):
            d = _activated(point, layer, (slice(None), samples), point.weights[layer] @ d, side, met)
    z, a, y = (part[:, samples] for part in (point.run.Z[-1], point.run.A[-1], point.problem.Y))
    cost = point.net.cost_entry
    if point.softmax and not point.logits:
        d = point.softmax_difference(z, a, d)
    found = point.loss_change(z, a, y, d)
    return np.asarray(found.sum(axis=0) if cost.separable else found)


def _activated(point: Point, k: int, where: Any, d: Array, side: int, met: Mask) -> Array:
    """Changes of activations from those of pre-activations of layer k, at some units and samples."""
    if not point.passes(k):
        return d
    z, gap = point.run.Z[k][where], point.gaps[k]
    if gap is not None:
        here, slack, size = gap[where], point.slacks[k][where], np.abs(d)
        near = ~(size < here - slack) & (size != 0.0)
        met |= near if near.ndim == 1 else near.any(axis=0)
        if side:
            z = np.where(here <= slack, z + side * (here + slack), z)
    return point.difference(k, z, point.entries[k].value(z), d)


def literal_parts(
    point: Point, layer: int, units: Indices, samples: Indices, steps: Array
) -> tuple[Array, Array, Mask]:
    """Odd and even part of the responses of units in samples (P,) to steps (P, J), and whether one sign met a kink."""
    count = steps.shape[1]
    repeated = Columns(layer, np.repeat(units, 2 * count), np.repeat(samples, 2 * count),
                       np.concatenate([steps, -steps], axis=1).reshape(-1))
    losses, met = respond(point, repeated)
    plus, minus = losses.reshape(-1, 2, count).transpose(1, 0, 2)
    return 0.5 * (plus - minus), 0.5 * (plus + minus), np.asarray(met.reshape(-1, 2, count).any(axis=1))


def slopes(point: Point, layer: int, units: Indices, samples: Indices) -> tuple[Array, Array]:
    """Least and greatest one-sided derivative of each unit's response in a sample, over the branches at its kinks."""
    size = len(units)
    columns = Columns(layer, np.tile(units, 2), np.tile(samples, 2), np.repeat([TINY, -TINY], size))
    found = np.concatenate([(respond(point, columns, side)[0] / columns.x).reshape(2, size) for side in (-1, 0, 1)])
    return found.min(axis=0), found.max(axis=0)
