"""Exact cost differences of a network along any direction in parameter space."""

import math
from collections.abc import Callable

import numpy as np

from ..._types import Array
from ...problems.networks.problem import Problem
from ...rules.activation_changes import change_of
from ...rules.loss_changes import change_of_losses


def differences_along(problem: Problem, limit: float = math.inf) -> Callable[[Array, float], tuple[float, float]]:
    """(direction (n,), step) -> (J(theta + step v) - J(theta), J(theta - step v) - J(theta)), without cancellation.

    Parameters
    ----------
    limit : bytes that samples may take at a time; where all fit, they are propagated once for all directions.
    """
    network, m = problem.network, problem.m
    scale = network.cost_entry.scale(m, network.widths[-1])
    whole = [_losses_along(part) for part in problem.parts(limit) if part is problem]

    @np.errstate(all="ignore")
    def along(direction: Array, step: float) -> tuple[float, float]:
        """Add up the samples' losses and the penalty."""
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
    entries, cost, parameters = network.activation_entries, network.cost_entry, problem.parameters
    # the loss is differenced at the last pre-activations, or at the activations that are its changes of these
    passed = len(entries) - (cost.output is not None)
    changes = [change_of(entry) for entry in entries]

    def activated(k: int, change: Array) -> Array:
        """Changes (units, 2, m) of layer k's activations from those of its pre-activations."""
        axes = {} if entries[k].elementwise else {"axes": (-change.ndim,)}
        return np.asarray(changes[k](np, (run.Z[k][:, None],), (change,), run.A[k][:, None], None, **axes))

    def losses(moves: dict[str, Array]) -> Array:
        """Carry the moves to the losses."""
        signs = np.repeat([1.0, -1.0], m)
        change: Array | None = None
        for k, place in enumerate(network.places):
            layer, values, own = place.layer, place.values(parameters), place.values(moves)
            moved = any(map(np.any, own.values()))
            if change is None and not moved:
                continue
            inputs = run.inputs_of(k)
            if change is None:  # the inputs do not change: both signs share one product
                half = layer.forward(own, inputs)
                change = np.hstack([half, -half])
            elif moved:
                change = layer.difference(values, own, np.hstack([inputs, inputs]), change, signs)
            else:
                change = layer.carried(values, change)
            if k < passed:
                change = activated(k, change.reshape(-1, 2, m)).reshape(-1, 2 * m)
        if change is None:
            return np.zeros(2)
        found = change_of_losses(cost, run.Z[-1], run.A[-1], problem.Y, change.reshape(-1, 2, m))
        return np.asarray(found.sum(axis=1))

    return losses
