"""Mistakes in dZ, the gradient that a layer's pre-activations receive: they spread to all earlier layers."""

from collections.abc import Iterator

import numpy as np

from ...._types import Array
from ....rules.activations import ACTIVATIONS
from .backward import Backward, Mistake, Signal
from .slopes import mistaken_slopes, mistaken_thresholds


def mistaken_signals(b: Backward, k: int, right: Signal) -> Iterator[Mistake]:
    """Yield what layer k may receive instead of ``right.dZ``."""
    if k == b.depth:
        yield from _at_the_output(b, right)
    else:
        yield from _passed_back(b, k, right)
    if right.dA is not None and b.activation(k).elementwise:
        for words, slope in (*mistaken_slopes(b, k), *mistaken_thresholds(b, k)):
            yield Mistake(words, right.dA * slope)
        if b.activation(k).name == "relu":
            yield Mistake(f"with relu's mask made of dA instead of z in layer {k} (dA > 0 for z > 0)",
                          np.maximum(right.dA, 0.0))
    if b.m > 1:
        yield Mistake(f"with the last sample dropped in layer {k}", _without_sample(right.dZ, -1))
        yield Mistake(f"with the first sample dropped in layer {k}", _without_sample(right.dZ, 0))


def _without_sample(dZ: Array, sample: int) -> Array:
    dZ = dZ.copy()
    dZ[:, sample] = 0.0
    return dZ


def _passed_back(b: Backward, k: int, right: Signal) -> Iterator[Mistake]:
    """Mistakes on the way from layer k + 1 to layer k."""
    behind, n = right.behind, k + 1
    if behind is None:
        return
    W, slope = b.W(n), b.slope(k)
    if W.shape[0] == W.shape[1]:
        yield Mistake(f"with W{n} not transposed going back", W @ behind.dZ * slope)
    if W.shape[0] == W.shape[1]:
        yield Mistake(f"with layer {n} skipped going back (W{n} is left out)", behind.dZ * slope)
        yield Mistake(f"with layer {n} skipped going back, its weights and the derivative of layer {k}", behind.dZ)
    if behind.dA is not None:
        yield Mistake(f"with dA instead of dZ of layer {n} passed back (its derivative is forgotten there)",
                      W.T @ behind.dA * slope)
    for j in range(1, b.depth + 1):
        if j != n and b.W(j).shape == W.shape:
            yield Mistake(f"with W{j} instead of W{n} going back", b.W(j).T @ behind.dZ * slope)
        if j != n and b.W(j).shape == W.T.shape:
            yield Mistake(f"with W{j}, not transposed, instead of W{n} going back", b.W(j) @ behind.dZ * slope)


def _at_the_output(b: Backward, right: Signal) -> Iterator[Mistake]:
    """Mistakes in the cost's derivative and the output activation's."""
    k, A, Y, cost = b.depth, b.A(b.depth), b.problem.Y, b.network.cost_entry
    name = b.activation(k).name
    difference = (A - Y) / b.m
    if cost.output:
        yield Mistake("with an extra derivative, a (1 - a), at the output: a - y is the whole derivative of "
                      f"cross-entropy with {name}", right.dZ * A * (1.0 - A))
        with np.errstate(all="ignore"):
            of_a = -Y / A if name == "softmax" else (1.0 - Y) / (1.0 - A) - Y / A
        yield Mistake(f"without {name}'s derivative at the output: dZ is the cost's derivative by a", of_a / b.m)
        for factor, words in ((1.0, ""), (2.0, "2 ")):
            yield Mistake(f"with squared error's derivative, {words}(a - y) times {name}'s, for cross-entropy's",
                          factor * _through_output(b, difference))
        if name == "softmax":
            yield _only_diagonal(of_a / b.m, A)
    elif right.dA is not None:
        yield from _of_squared_errors(b, right.dA)
    for axis, what in ((0, "labels off by one: the targets' rows"), (1, "targets of other samples: their columns")):
        for step in (1, -1):
            if Y.shape[axis] > 1:
                yield Mistake(f"with {what} rolled by {step}", _with_targets(b, np.roll(Y, step, axis=axis)))
    yield Mistake("with the targets left out at the output", _with_targets(b, np.zeros_like(Y)))


def _with_targets(b: Backward, Y: Array) -> Array:
    """dZ of the output for other targets, by the formula people write where the cost gives dZ at once."""
    if b.network.cost_entry.output:
        return np.asarray((b.A(b.depth) - Y) * b.scale)
    return b.network.output_gradient(b.run, Y)


def _through_output(b: Backward, dA: Array) -> Array:
    """dZ from dA through the output activation."""
    A = b.A(b.depth)
    if b.activation(b.depth).elementwise:
        return dA * b.slope(b.depth)
    return np.asarray(A * (dA - (A * dA).sum(axis=0)))


def _only_diagonal(dA: Array, A: Array) -> Mistake:
    with np.errstate(invalid="ignore"):
        return Mistake("with only the diagonal of softmax's derivative, a (1 - a), at the output", dA * A * (1.0 - A))


def _of_squared_errors(b: Backward, dA: Array) -> Iterator[Mistake]:
    k, A, Y = b.depth, b.A(b.depth), b.problem.Y
    name = b.activation(k).name
    if name == "softmax":
        for scale in (b.scale, 2.0 * b.scale):
            yield _only_diagonal((A - Y) * scale, A)
    if name in ("sigmoid", "softmax"):
        for scale, words in ((1.0 / b.m, "/ m"), (b.scale, "times the cost's factor"), (2.0 * b.scale, "times 2")):
            yield Mistake(f"with cross-entropy's derivative, (a - y) {words}, for squared error's (without {name}'s "
                          "derivative)", (A - Y) * scale)
    if name == "identity":
        for other, entry in ACTIVATIONS.items():
            if entry.elementwise and other != "identity":
                yield Mistake(f"with {other}'s derivative applied to the linear output", dA * entry.derivative(b.Z(k)))
