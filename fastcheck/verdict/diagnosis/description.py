"""Whether gradients that are wrong throughout are the right ones of another network than the one described."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np

from ..._names import Activation, Cost
from ..._types import Array
from ...problems.networks.layers.dense import Dense
from ...problems.networks.mistakes.backward import Backward
from ...problems.networks.network import Network
from ...problems.networks.problem import Problem
from ...problems.networks.propagation import Propagation
from ...rules.activations import ACTIVATIONS
from ...rules.losses import COSTS

# Descriptions that differ in hidden layers and in the cost at once are tried where they are quick: up to this many
# products of parameters and samples.
QUICK = 1 << 17
# This many descriptions that give the same gradients are named.
NAMED = 3
HIDDEN = [cast(Activation, name) for name, entry in ACTIVATIONS.items() if entry.elementwise]
OUTPUTS = [
    (output, cost) for cost, entry in COSTS.items() for output in ([entry.output] if entry.output else ACTIVATIONS)
]


def agreeing_descriptions(problem: Problem, gradient: Array, precision: float) -> tuple[str, ...]:
    """The descriptions, by what they change, of networks whose right gradient this is.

    Parameters
    ----------
    problem : the network as it was described, with its data.
    gradient : (n,) the gradient handed in.
    precision : share of a tensor's norm within which it agrees.
    """
    found: list[str] = []
    with np.errstate(all="ignore"):
        for words, network in _hidden(problem.network):
            there = replace(problem, network=network, kept=None)
            hidden = there.forward()
            quick = not words or (words[0].startswith("hidden") and network.size * problem.m <= QUICK)
            for output, cost in OUTPUTS if quick else [(network.layers[-1].activation, network.cost)]:
                also = _changed(problem.network, output, cost)
                if not words and not also:
                    continue
                with_output = _with(network, output, cost)
                A = ACTIVATIONS[output].value(hidden.Z[-1])
                run = Propagation(hidden.X, hidden.Z, [*hidden.A[:-1], A])
                b = Backward(replace(there, network=with_output), run)
                if len(found) < NAMED and _agrees(b, gradient, precision):
                    found.append(", ".join([*words, *also]))
    return tuple(found)


def _changed(net: Network, output: str, cost: str) -> list[str]:
    """What another output and cost change."""
    words = [f"output={output!r}"] if output != net.layers[-1].activation else []
    return [*words, f"cost={cost!r}"] if cost != net.cost else words


def _hidden(net: Network) -> Iterator[tuple[list[str], Network]]:
    """The network as it is, with other activations in all hidden layers, and in one."""
    yield [], net
    last, before = net.layers[-1], net.layers[:-1]
    names = [layer.activation for layer in before]
    for name in HIDDEN if before else []:
        if any(other != name for other in names):
            yield [f"hidden={name!r}"], _network(net, [*(replace(layer, activation=name) for layer in before), last])
    for k, layer in enumerate(before if len(before) > 1 else ()):
        for name in HIDDEN:
            if name != layer.activation:
                changed = [*before[:k], replace(layer, activation=name), *before[k + 1 :], last]
                yield [f"{name} in layer {k + 1}"], _network(net, changed)


def _network(net: Network, layers: list[Dense], cost: str | None = None) -> Network:
    return Network(layers, net.cost if cost is None else cast(Cost, cost), net.l2)


def _with(net: Network, output: str, cost: str) -> Network:
    last = replace(net.layers[-1], activation=cast(Activation, output))
    return _network(net, [*net.layers[:-1], last], cost)


def _agrees(b: Backward, gradient: Array, precision: float) -> bool:
    """Whether this is the network's gradient, asked from the output on, where most descriptions already differ."""
    signal = b.output()
    for k in range(b.depth, 0, -1):
        for kind, model in (("b", b.biases(signal.dZ)), ("W", b.weights(k, signal.dZ))):
            tensor = b.network.places[k - 1].tensors[kind]
            given = gradient[tensor.start : tensor.stop].reshape(tensor.shape)
            if not float(np.linalg.norm(given - model)) <= precision * float(np.linalg.norm(model)):
                return False
        if k > 1:
            signal = b.passed_back(k - 1, signal)
    return True
