"""One cost in four languages: the course's network (ReLU, sigmoid, cross-entropy), widened or deepened."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numba
import numpy as np

Widths = tuple[int, ...]
WIDE: Widths = (20, 25, 15, 5, 1)  # 1,001 parameters
DEEP: Widths = (4, *[5] * 33, 3, 1)  # the course's 4-5-3-1, its layer of five many times over: 1,007 parameters
# From so many samples on, loops over them are the quickest innermost loops.
MANY = 16
FAST = {"contract", "reassoc", "nsz", "arcp"}


@dataclass(frozen=True)
class NetworkCost:
    """A point and its data: widths (inputs first), theta (n,), X (inputs, m), Y (1, m), and the true gradient."""

    widths: Widths
    theta: Any
    X: Any
    Y: Any
    gradient: Any

    @classmethod
    def random(cls, samples: int, widths: Widths = WIDE, seed: int = 0) -> "NetworkCost":
        """Random data and parameters, He's and positive biases, so that no layer dies; gradient by back-propagation."""
        generator = np.random.default_rng(seed)
        theta = generator.standard_normal(sum(b * a + b for a, b in pairwise(widths)))
        for (W, b), inputs in zip(layers(theta, widths), widths, strict=False):
            W *= np.sqrt(2.0 / inputs)
            b[...] = 0.5 * np.abs(b)
        X = generator.standard_normal((widths[0], samples))
        Y = generator.integers(0, 2, (1, samples)).astype(float)
        return cls(widths, theta, X, Y, back_propagation(theta, X, Y, widths))

    @property
    def args(self) -> tuple[Any, ...]:
        """What the cost takes beside theta."""
        return self.X, self.Y, self.widths

    @property
    def jitted(self) -> Any:
        """The quicker jitted cost for so many samples."""
        return jitted_by_unit if self.X.shape[1] >= MANY else jitted_by_sample

    def parameters(self) -> list[Any]:
        """W1, b1, W2, b2, ..."""
        return [p for layer in layers(self.theta, self.widths) for p in layer]

    def packed(self) -> Any:
        """The number of widths, widths, m, X and Y in one array, for C."""
        sizes = [len(self.widths), *self.widths, self.X.shape[1]]
        return np.concatenate([sizes, self.X.T.ravel(), self.Y.T.ravel()])


def layers(theta: Any, widths: Widths) -> Iterator[tuple[Any, Any]]:
    """Views (W, b) of theta, layer by layer."""
    start = 0
    for inputs, outputs in pairwise(widths):
        middle = start + outputs * inputs
        yield theta[start:middle].reshape(outputs, inputs), theta[middle : middle + outputs].reshape(outputs, 1)
        start = middle + outputs


def numpy_cost(theta: Any, X: Any, Y: Any, widths: Widths) -> Any:
    """As the textbook does it: unpack the vector, propagate, average."""
    a, (*hidden, (W, b)) = X, layers(theta, widths)
    for weights, bias in hidden:
        a = np.maximum(0.0, np.dot(weights, a) + bias)
    a = 1.0 / (1.0 + np.exp(-(np.dot(W, a) + b)))
    return np.sum(-np.log(a) * Y - np.log(1.0 - a) * (1.0 - Y)) / X.shape[1]


def stacked_cost(thetas: Any, X: Any, Y: Any, widths: Widths) -> Any:
    """The same for a stack (rows, n)."""
    a, start = X[None], 0
    for inputs, outputs in pairwise(widths):
        middle = start + outputs * inputs
        W = thetas[:, start:middle].reshape(-1, outputs, inputs)
        z = W @ a + thetas[:, middle : middle + outputs, None]
        start = middle + outputs
        a = np.maximum(0.0, z) if start < thetas.shape[1] else 1.0 / (1.0 + np.exp(-z))
    return np.sum(-np.log(a) * Y - np.log(1.0 - a) * (1.0 - Y), axis=(1, 2)) / X.shape[1]


@numba.njit(fastmath=FAST)
def jitted_by_sample(theta: Any, X: Any, Y: Any, widths: Any) -> Any:
    """The same, sample by sample, without arrays in between: the quickest for few samples."""
    total = 0.0
    a, z = np.empty(max(widths)), np.empty(max(widths))
    for s in range(X.shape[1]):
        for j in range(X.shape[0]):
            a[j] = X[j, s]
        start = 0
        for layer in range(len(widths) - 1):
            inputs, outputs = widths[layer], widths[layer + 1]
            bias = start + outputs * inputs
            for i in range(outputs):
                acc, row = theta[bias + i], theta[start + i * inputs : start + (i + 1) * inputs]
                for j in range(inputs):  # of a slice: the compiler knows then that no index is negative
                    acc += row[j] * a[j]
                z[i] = acc
            for i in range(outputs):
                a[i] = max(0.0, z[i])
            start = bias + outputs
        p = 1.0 / (1.0 + np.exp(-z[0]))
        total -= np.log(p) * Y[0, s] + np.log(1.0 - p) * (1.0 - Y[0, s])
    return total / X.shape[1]


@numba.njit(fastmath=FAST)
def jitted_by_unit(theta: Any, X: Any, Y: Any, widths: Any) -> Any:
    """The same, unit by unit, all samples in the innermost loop: the quickest for many samples."""
    m = X.shape[1]
    a, z = np.empty((max(widths), m)), np.empty((max(widths), m))
    a[: X.shape[0]] = X
    start = 0
    for layer in range(len(widths) - 1):
        inputs, outputs = widths[layer], widths[layer + 1]
        bias = start + outputs * inputs
        for i in range(outputs):
            z[i] = theta[bias + i]
            for j in range(inputs):
                weight = theta[start + i * inputs + j]
                for s in range(m):
                    z[i, s] += weight * a[j, s]
        for i in range(outputs):
            for s in range(m):
                a[i, s] = max(0.0, z[i, s])
        start = bias + outputs
    total = 0.0
    for s in range(m):
        p = 1.0 / (1.0 + np.exp(-z[0, s]))
        total -= np.log(p) * Y[0, s] + np.log(1.0 - p) * (1.0 - Y[0, s])
    return total / m


C_SOURCE = """
#include <math.h>
double cost(int n, double *theta, void *data) {
    const double *given = data;
    int layers = (int)given[0] - 1, widths[64], m = (int)given[layers + 2];
    for (int l = 0; l <= layers; l++) widths[l] = (int)given[l + 1];
    const double *x = given + layers + 3, *y = x + widths[0] * m;
    double total = 0.0, a[64], z[64];
    for (int s = 0; s < m; s++) {
        for (int j = 0; j < widths[0]; j++) a[j] = x[widths[0] * s + j];
        const double *p = theta;
        for (int l = 0; l < layers; l++) {
            const double *b = p + widths[l] * widths[l + 1];
            for (int i = 0; i < widths[l + 1]; i++, p += widths[l]) {
                double acc = b[i];
                for (int j = 0; j < widths[l]; j++) acc += p[j] * a[j];
                z[i] = acc;
            }
            p += widths[l + 1];
            for (int i = 0; i < widths[l + 1]; i++) a[i] = z[i] > 0.0 ? z[i] : 0.0;
        }
        double q = 1.0 / (1.0 + exp(-z[0]));
        total -= log(q) * y[s] + log(1.0 - q) * (1.0 - y[s]);
    }
    return total / m;
}
"""


def back_propagation(theta: Any, X: Any, Y: Any, widths: Widths) -> Any:
    """The gradient (n,)."""
    activations, pre, parts = [X], [], list(layers(theta, widths))
    for W, b in parts:
        pre.append(W @ activations[-1] + b)
        activations.append(np.maximum(0.0, pre[-1]))
    gradient = np.empty_like(theta)
    delta = (1.0 / (1.0 + np.exp(-pre[-1])) - Y) / X.shape[1]
    for index, (dW, db) in reversed(list(enumerate(layers(gradient, widths)))):
        dW[...] = delta @ activations[index].T
        db[...] = delta.sum(axis=1, keepdims=True)
        if index:
            delta = (parts[index][0].T @ delta) * (pre[index - 1] > 0.0)
    return gradient
