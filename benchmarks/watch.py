"""What `fastcheck.Watch` costs in training by plain NumPy, how soon it finds a corrupted gradient, and whether it ever
cries wolf.

    python -m benchmarks.watch overhead [--seconds 60]      # with and without, alternated in blocks of steps
    python -m benchmarks.watch corruption [--trials 100]    # one entry wrong from a random step on
    python -m benchmarks.watch alarms [--steps 10000]       # right gradients, at kinks and saturated units
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import fastcheck as fc

from .networks import Array, case, digits

CONSOLE = Console(width=110)
# Name: widths, hidden activation, samples in a minibatch, learning rate.
TRAININGS = {
    "digits relu": ([64, 32, 16, 10], "relu", 32, 0.3),
    "digits tanh": ([64, 32, 16, 10], "tanh", 32, 1.0),
    "mnist relu": ([784, 512, 256, 10], "relu", 128, 0.3),
    "mnist tanh": ([784, 512, 256, 10], "tanh", 128, 0.5),
}
Step = tuple[dict[str, Array], dict[str, Array], Array, Any]


def backward(net: fc.Network, parameters: dict[str, Array], X: Array, labels: Any) -> dict[str, Array]:
    """Back-propagation of a softmax classifier as one writes it by hand, as quick as NumPy is."""
    depth, relu, m = len(net.layers), net.layers[0].activation == "relu", X.shape[1]
    A = [X]
    for k in range(1, depth + 1):
        Z = parameters[f"W{k}"] @ A[-1] + parameters[f"b{k}"]
        A.append(Z if k == depth else np.maximum(Z, 0.0) if relu else np.tanh(Z))
    P = np.exp(A[-1] - A[-1].max(axis=0))
    P /= P.sum(axis=0)
    P[labels, np.arange(m)] -= 1.0
    dZ, gradients = P / m, {}
    for k in range(depth, 0, -1):
        gradients[f"dW{k}"], gradients[f"db{k}"] = dZ @ A[k - 1].T, dZ.sum(axis=1, keepdims=True)
        if k > 1:
            dZ = (parameters[f"W{k}"].T @ dZ) * (A[k - 1] > 0.0 if relu else 1.0 - A[k - 1] ** 2)
    return gradients


def training(name: str, seed: int = 0) -> tuple[fc.Network, Iterator[Step]]:
    """A network, and the steps of its training: parameters, gradients, X and Y before each update, without end."""
    widths, hidden, batch, rate = TRAININGS[name]
    net = case(widths, hidden, batch).net
    images, labels = digits(1797, round(widths[0] ** 0.5))
    rng = np.random.default_rng(seed)

    def steps() -> Iterator[Step]:
        parameters = net.initialize(seed)
        while True:
            order = rng.permutation(labels.size)
            for first in range(0, labels.size - batch, batch):
                X, Y = images[:, order[first : first + batch]], labels[order[first : first + batch]]
                gradients = backward(net, parameters, X, Y)
                yield parameters, gradients, X, Y
                for key in parameters:
                    parameters[key] -= rate * gradients["d" + key]

    return net, steps()


def overhead(name: str, seconds: float) -> list[str]:
    """Train two copies in turn, block by block, one of them watched; the ratio of their times."""
    net, plain = training(name)
    watched = training(name)[1]
    watch = fc.Watch(net, overhead=0.01)

    def run(steps: Iterator[Step], number: int, look: Callable[..., Any] | None) -> float:
        started = time.perf_counter()
        for step in islice(steps, number):
            if look is not None:
                look(*step)
        return time.perf_counter() - started

    number = max(1, int(0.1 / run(plain, 20, None) * 20))
    run(watched, 20, None)
    alone, beside = [], []
    while sum(beside) < seconds:
        alone.append(run(plain, number, None))
        watch._due += alone[-1]  # the watch's time stands still while the other copy trains
        beside.append(run(watched, number, watch))
    ratio = sum(beside) / sum(alone) - 1.0
    halves = [sum(beside[k::2]) / sum(alone[k::2]) - 1.0 for k in (0, 1)]
    step = 1e3 * sum(alone) / (number * len(alone))
    return [name, f"{step:.3g} ms", f"{ratio:.2%}", f"{halves[0]:.2%}, {halves[1]:.2%}",
            f"{watch.seconds / (sum(beside) - watch.seconds):.2%}", f"{watch.steps:,}",
            f"{watch.steps / max(watch.glances, 1):,.0f}", f"{watch.rotation_steps:,}", f"{watch.worst:.1e}"]


def corrupt(gradients: dict[str, Array], kind: str, place: tuple[str, tuple[int, ...]], bit: int) -> None:
    """Spoil one entry."""
    array, index = gradients["d" + place[0]], place[1]
    if kind == "a bit flipped":
        array[index] = (array[index : index] if False else np.array(array[index]).view(np.uint64) ^ np.uint64(1 << bit)
                        ).view(np.float64)
    else:
        array[index] += float(kind.split()[0]) * np.sqrt(np.mean(array**2))


def corruption(name: str, kind: str, trials: int) -> list[str]:
    """One entry spoiled from a random step on: how many steps until it is found."""
    taken, rotations = [], []
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        net, steps = training(name, trial)
        watch = fc.Watch(net, overhead=0.01, seed=trial)
        begin, place, bit = int(rng.integers(1, 2000)), None, int(rng.integers(32, 64))
        for step in count(1):
            parameters, gradients, X, Y = next(steps)
            if step >= begin:
                if place is None:
                    place = _an_entry(net, gradients, rng)
                corrupt(gradients, kind, place, bit)
            try:
                watch(parameters, gradients, X, Y)
            except fc.GradientMismatch:
                break
        taken.append(step - begin)
    return [name, kind, str(trials), f"{np.median(taken):,.0f}", f"{np.max(taken):,}"]
