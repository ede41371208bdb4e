"""The engine distrusts itself: one parameter by literal perturbed forward propagation, in every run.

Where there are many samples it is tried in a quarter of them, or fewer: what an engine gets wrong it gets wrong in
most, and all would take a tenth of a check's time.
"""

from collections.abc import Callable
from typing import Any
from zlib import crc32

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array
from ..response.literal_losses import CLOSE, INTERPOLATED, SAFETY, require_agreement
from .found import LayerFound
from .literally import literal_parts
from .point import DRAWN_BY, Point

LiteralAt = Callable[[Point, tuple[int, int, int], slice], tuple[Array, float]]
# The parameter is tried in about a quarter of the samples, but in no fewer and no more than these.
FEWEST, MOST = 8, 32


def spot_check(
    point: Point, layers: list[LayerFound], literal_at: LiteralAt,
) -> dict[str, Any]:
    """Compare one parameter, drawn at random, with literal forward propagation, to within its rounding.

    Parameters
    ----------
    layers : what was found, by layer.
    literal_at : odd and even part in some samples, by plain propagation, and a bound of all that rounding can do to
        them near theta.

    Returns
    -------
    {"spot_checked": number of parameters, "spot_check_error": the disagreement in units of its bound}

    Raises
    ------
    EngineError : where they disagree.
    """
    draw = crc32(point.problem.theta[:DRAWN_BY].data)
    found = layers[draw % len(layers)]
    units = np.arange(point.net.widths[found.layer + 1])[found.units]
    row = draw // 7 % units.size
    column = draw // 11 % (point.net.widths[found.layer] + 1)
    place = found.layer, int(units[row]), int(column)
    samples = _some_samples(point, found, row, draw // 13)
    own = _own(point, found, row, column, samples)
    if not np.isfinite(own).all():
        return {"spot_checked": 0, "spot_check_error": 0.0}
    losses = point.losses[samples]
    literal = _literal(point, place, samples, losses)
    slopes = _moved_by_rounding(point, layers, found.layer, samples)
    bound = SAFETY * (slopes + 8.0 * UNIT_ROUNDOFF * float(np.abs(losses).sum())) + CLOSE * float(np.abs(own).max())
    error = float(np.abs(literal - own).max())
    if not error <= bound:  # what rounding does at theta alone does not explain it
        error, bound = _looked_closer(point, place, samples, own, literal_at)
    return {"spot_checked": 1, "spot_check_error": error / bound if bound else 0.0}


def _some_samples(point: Point, found: LayerFound, row: int, draw: int) -> slice:
    """Return the samples in which a unit's parameter is tried: all where some of its sums stand only as a whole."""
    step = max(1, point.m // min(max(FEWEST, point.m // 4), MOST))
    if found.literal is not None and row in found.literal.rows:
        step = 1
    return slice(draw % step, None, step)


def _own(point: Point, found: LayerFound, row: int, column: int, samples: slice) -> Array:
    """Return the odd and even part of the losses' sum at one parameter, as the engine's own sums have them."""
    inputs, epsilon = point.inputs[found.layer], point.epsilon
    a = inputs[column, samples] if column < len(inputs) else np.ones(point.m)[samples]
    x = epsilon * a
    powers = [power[row, samples] for power in found.powers]
    odd, even = powers[0] * x, powers[1] * x * x
    if len(powers) > 2:
        odd, even = odd + powers[2] * x**3, even + powers[3] * x**4
    parts = np.array([odd.sum(), even.sum()])
    if found.literal is not None:
        where = np.flatnonzero(found.literal.rows == row)
        if where.size:
            parts += (found.literal.odd[where[0], column], found.literal.even[where[0], column])
    return parts


def _literal(point: Point, place: tuple[int, int, int], samples: slice, losses: Array) -> Array:
    """Return the odd and even part by plain propagation of theta +- epsilon e, beside the losses at theta."""
    layer, unit, column = place
    net, parameters, count = point.net, point.problem.parameters, len(losses)
    own = net.places[layer]
    perturbed = own.of_unit(point.problem.theta, unit)
    base, reads = perturbed[column], point.inputs[layer][:, samples]
    z = np.tile(point.run.Z[layer][:, samples], 2)
    for k, value in enumerate((base + point.epsilon, base - point.epsilon)):
        perturbed[column] = value
        z[unit, k * count : (k + 1) * count] = perturbed[:-1] @ reads + perturbed[-1]
    for k in range(layer, point.last):
        following = net.places[k + 1]
        z = following.layer.forward(following.values(parameters), point.entries[k].value(z))
    targets = np.tile(point.problem.Y[:, samples], 2)
    up, down = net.cost_entry.losses(z, point.entries[-1].value(z), targets).reshape(2, count)
    return np.array([0.5 * (up - down).sum(), (0.5 * (up + down) - losses).sum()])


def _moved_by_rounding(point: Point, layers: list[LayerFound], first: int, samples: slice) -> float:
    """How far rounding of pre-activations from a layer on may move the losses' sum, by the slopes found at theta."""
    return sum(
        float(np.vdot(np.abs(found.powers[0][:, samples]), point.slacks[found.layer][found.units][:, samples]))
        for found in layers if found.layer >= first
    )


def _looked_closer(
    point: Point, place: tuple[int, int, int], samples: slice, own: Array, literal_at: LiteralAt
) -> tuple[float, float]:
    """The same held against all that rounding can do near theta too, and against columns at the steps themselves.

    Where targets are met exactly the loss is flat, and a response's odd part begins with its cubic term: the polynomial
    is then right to all digits of the slope's scale, but not to those of the odd part.
    """
    layer, unit, column = place
    literal, bound = literal_at(point, place, samples)
    bound += CLOSE * float(np.abs(own).max())
    error = float(np.abs(literal - own).max())
    if not error <= bound:
        inputs, chosen = point.inputs[layer], np.arange(point.m)[samples]
        units = np.full(len(chosen), unit)
        steps = point.epsilon * (inputs[column, chosen] if column < len(inputs) else np.ones(len(chosen)))[:, None]
        odd, even, _ = literal_parts(point, layer, units, chosen, steps)
        far, bend, _ = literal_parts(point, layer, units, chosen, point.steps[layer][chosen, None])
        at_steps = np.array([odd.sum(), even.sum()])
        require_agreement(own, at_steps, INTERPOLATED * float(np.abs(far).sum() + np.abs(bend).sum()) + 1e-300, place)
        error = require_agreement(literal, at_steps, bound, place)
    return error, bound
