"""The textbook's way for one parameter: losses at theta and to both sides of it, and how far rounding may move them."""

from dataclasses import dataclass

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._errors import EngineError
from ..._types import Array
from ...problems.networks.problem import Problem
from ...problems.networks.propagation import Propagation

# The first-order bound of literal propagation's rounding may be this many times too small.
SAFETY = 16.0
# Two sums of the same numbers agree to this, relatively, ...
CLOSE = 1e-11
# ... and polynomials to this with the values that they go through.
INTERPOLATED = 1e-9
# Roundings that an activation goes through, of itself and of its argument.
ACTIVATION = 4.0


@dataclass(frozen=True)
class SomeSamples:
    """Some samples of a problem, propagated.

    reads : (count, inputs + 1), what the perturbed layer reads, with a column of ones for the bias.
    Z, slack : by layer, (units, count), pre-activations and how far rounding may have moved them.
    Y : (outputs, count) targets.
    """

    problem: Problem
    epsilon: float
    reads: Array
    Z: list[Array]
    slack: list[Array]
    Y: Array


def literal_parts(chosen: SomeSamples, place: tuple[int, int, int]) -> tuple[Array, float]:
    """Odd and even part of the losses' sum by plain perturbed propagation, and a first-order bound of its rounding."""
    layer, unit, column = place
    row = chosen.problem.network.places[layer].of_unit(chosen.problem.theta, unit)
    # theta + epsilon e, theta - epsilon e and theta side by side, so that they share one propagation; and theta with
    # all that rounding can do added, and taken off: at a perfect fit losses are flat at theta, but not there
    count = len(chosen.reads)
    moved, targets = np.tile(chosen.Z[layer], 5), np.tile(chosen.Y, 5)
    nudges = [np.hstack([np.zeros((len(part), 3 * count)), part, -part]) for part in chosen.slack]
    for k, step in enumerate((chosen.epsilon, -chosen.epsilon, 0.0)):
        perturbed = row.copy()
        perturbed[column] += step
        moved[unit, k * count : (k + 1) * count] = chosen.reads @ perturbed
    run, losses = _forward_from(chosen, layer, moved + nudges[layer], targets, nudges)
    up, down, base = losses[: 3 * count].reshape(3, count)
    rounding = 8.0 * UNIT_ROUNDOFF * np.abs(losses) + _rounding(chosen, layer, run, targets)
    worst = float(rounding.reshape(5, count).sum(axis=1).max())
    return np.array([0.5 * (up - down).sum(), (0.5 * (up + down) - base).sum()]), worst


def require_agreement(literal: Array, own: Array, bound: float, place: tuple[int, int, int]) -> float:
    """Return how far the engine's sums are from literal ones; raises EngineError where that is beyond a bound."""
    error = float(np.max(np.abs(literal - own)))
    if error > bound:
        raise EngineError(
            f"response engine: its spot check failed at layer {place[0] + 1}, unit {place[1]}, input {place[2]}: "
            f"expected {literal} by literal propagation, got {own}, bound {bound:.3g}; use engine='full' and report "
            "this"
        )
    return error


def _forward_from(
    chosen: SomeSamples, layer: int, moved: Array, Y: Array, nudges: list[Array]
) -> tuple[Propagation, Array]:
    """Plain forward propagation from a layer's pre-activations on, later ones nudged; the losses."""
    network, parameters = chosen.problem.network, chosen.problem.parameters
    Z = [*chosen.Z[:layer], moved]
    A = [entry.value(z) for entry, z in zip(network.activation_entries, Z, strict=False)]
    for k in range(layer + 1, len(network.layers)):
        place = network.places[k]
        Z.append(place.layer.forward(place.values(parameters), A[-1]) + nudges[k])
        A.append(network.activation_entries[k].value(Z[-1]))
    return Propagation(A[0], Z, A), network.cost_entry.losses(Z[-1], A[-1], Y)


def _rounding(chosen: SomeSamples, layer: int, run: Propagation, Y: Array) -> Array:
    """Return how far rounding of what is computed from ``layer`` on may move each loss, to first order."""
    network, parameters, cost = chosen.problem.network, chosen.problem.parameters, chosen.problem.network.cost_entry
    dZ = network.output_gradient(run, Y) / cost.scale(*Y.shape[::-1])
    total = np.zeros(Y.shape[1])
    if not cost.output:  # taken from the activation, whose own rounding counts where it nearly meets the target
        entry, Z, A = network.activation_entries[-1], run.Z[-1], run.A[-1]
        lost = np.abs(A) + (np.abs(Z * entry.derivative(Z)) if entry.elementwise else 0.0)
        lost *= ACTIVATION * UNIT_ROUNDOFF
        # Losses are convex: where the target is met exactly, rounding leaves a place at which the loss is not flat.
        steepest = np.max([np.abs(cost.gradient(Z, A + side, Y)) for side in (lost, -lost)], axis=0)
        total += np.sum(steepest * lost, axis=0)
    for k in range(len(network.layers) - 1, layer - 1, -1):
        total += np.sum(np.abs(dZ) * np.tile(chosen.slack[k], 5), axis=0)
        if k > layer:
            place = network.places[k]
            back = place.layer.backward(place.values(parameters), dZ)
            dZ = back * network.activation_entries[k - 1].derivative(run.Z[k - 1])
    return total
