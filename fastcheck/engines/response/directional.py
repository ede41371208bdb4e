"""Exact cost differences of a network along any direction in parameter space."""

import math
from collections.abc import Callable

import numpy as np

from ..._types import Array
from ...problems.networks.problem import Problem
from ...runtime.jit import call_at, compiled
from ..machine_code import activation_differences, loss_differences, mixed_differences


def _activation_changes(difference: int, z: Array, d: Array) -> None:
    """d (units, columns) becomes g(z + d) - g(z), in place; z (units, m), its columns repeated as often as fit."""
    m = z.shape[1]
    for u in range(d.shape[0]):
        for c in range(d.shape[1]):
            d[u, c] = call_at(difference, (z[u, c % m], d[u, c]))


def _loss_changes(loss: int, mixed: int, softmax: bool, z: Array, a: Array, y: Array, d: Array, out: Array) -> None:
    """out (2,): losses' differences summed over samples; z, a, y (m, outputs), d (m, outputs, 2), changed in place.

    loss, mixed : where the differences of the loss lie, and those of a softmax, if there is one before it.
    """
    losses, before, after = np.empty(2), np.empty(z.shape[1]), np.empty(z.shape[1])
    out[0] = out[1] = 0.0
    for s in range(z.shape[0]):
        if softmax:
            for side in range(2):
                for k in range(before.size):
                    before[k] = d[s, k, side]
                call_at(mixed, (a[s], before, after))
                for k in range(before.size):
                    d[s, k, side] = after[k]
        call_at(loss, (z[s], a[s], y[s], d[s], losses))
        out[0] += losses[0]
        out[1] += losses[1]


activation_changes = compiled(_activation_changes)
loss_changes = compiled(_loss_changes)


def differences_along(problem: Problem, limit: float = math.inf) -> Callable[[Array, float], tuple[float, float]]:
    """(direction (n,), step) -> (J(theta + step v) - J(theta), J(theta - step v) - J(theta)), without cancellation.

    Parameters
    ----------
    limit : bytes that samples may take at a time; where all fit, they are propagated once for all directions.
    """
    network, m = problem.network, problem.m
    scale = network.cost_entry.scale(m, network.widths[-1])
    whole = [_losses_along(part) for part in problem.parts(limit) if part is problem]

    def along(direction: Array, step: float) -> tuple[float, float]:
        moves = network.to_parameters(direction * step)
        total = np.zeros(2)
        for losses in whole or map(_losses_along, problem.parts(limit)):
            total += losses(moves)
        plus, minus = scale * total
        if network.l2:
            rate = network.l2 / (2 * m)
            along_it = network.to_parameters(direction)
            for tensor in network.penalised:
                W, V = problem.parameters[tensor.name], along_it[tensor.name]
                linear, square = 2.0 * step * float(np.vdot(W, V)), step**2 * float(np.vdot(V, V))
                plus, minus = plus + rate * (linear + square), minus + rate * (square - linear)
        return float(plus), float(minus)

    return along


def _losses_along(problem: Problem) -> Callable[[dict[str, Array]], Array]:
    """Moves of the parameters -> differences of the losses' sum, to either side.

    Every layer passes on Delta z = W Delta a + V (a + Delta a) + v_b for both signs at once, those whose parameters
    stand still W Delta a alone, and those before the first that moves nothing.
    """
    network, run, m = problem.network, problem.forward(), problem.m
    cost, parameters = network.cost_entry, problem.parameters
    last = len(network.layers)
    softmax = cost.output is None and not network.activation_entries[-1].elementwise
    loss = loss_differences.at(network.cost)
    mixed = mixed_differences.at(network.layers[-1].activation) if softmax else 0
    differences = [activation_differences.at(layer.activation) for layer in network.layers]
    Z, A, Y = (np.ascontiguousarray(part.T) for part in (run.Z[-1], run.A[-1], problem.Y))

    def losses(moves: dict[str, Array]) -> Array:
        """Carry the moves to the losses."""
        signs = np.repeat([1.0, -1.0], m)
        change: Array | None = None
        out = np.zeros(2)
        for k, place in enumerate(network.places, 1):
            layer, values, own = place.layer, place.values(parameters), place.values(moves)
            moved = any(map(np.any, own.values()))
            if change is None and not moved:
                continue
            inputs = run.inputs_of(k - 1)
            if change is None:  # the inputs do not change: both signs share one product
                half = layer.forward(own, inputs)
                change = np.hstack([half, -half])
            elif moved:
                change = layer.difference(values, own, np.hstack([inputs, inputs]), change, signs)
            else:
                change = layer.carried(values, change)
            if k < last or (cost.output is None and not softmax):
                activation_changes(differences[k - 1], run.Z[k - 1], change)
        if change is None:
            return out
        by_sample = np.ascontiguousarray(change.reshape(-1, 2, m).transpose(2, 0, 1))
        loss_changes(loss, mixed, softmax, Z, A, Y, by_sample, out)
        return out

    return losses
