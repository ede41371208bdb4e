"""One cost in four languages: the course's network (ReLU, sigmoid, cross-entropy), widened to 1,001 parameters."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numba
import numpy as np

WIDTHS = (20, 25, 15, 5, 1)
SIZE = sum(b * a + b for a, b in pairwise(WIDTHS))


@dataclass(frozen=True)
class NetworkCost:
    """A point and its data: theta (1001,), X (20, m), Y (1, m), and the true gradient."""

    theta: Any
    X: Any
    Y: Any
    gradient: Any

    @classmethod
    def random(cls, samples: int, seed: int = 0) -> "NetworkCost":
        """Random parameters and data; the gradient by back-propagation."""
        generator = np.random.default_rng(seed)
        theta = 0.3 * generator.standard_normal(SIZE)
        X = generator.standard_normal((WIDTHS[0], samples))
        Y = generator.integers(0, 2, (1, samples)).astype(float)
        return cls(theta, X, Y, back_propagation(theta, X, Y))

    @property
    def args(self) -> tuple[Any, ...]:
        """What the cost takes beside theta."""
        return self.X, self.Y

    def parameters(self) -> list[Any]:
        """W1, b1, W2, b2, ..."""
        return [p for layer in layers(self.theta) for p in layer]

    def packed(self) -> Any:
        """m, X and Y in one array, for C."""
        return np.concatenate([[self.X.shape[1]], self.X.T.ravel(), self.Y.T.ravel()])


def layers(theta: Any) -> Iterator[tuple[Any, Any]]:
    """Views (W, b) of theta, layer by layer."""
    start = 0
    for inputs, outputs in pairwise(WIDTHS):
        middle = start + outputs * inputs
        yield theta[start:middle].reshape(outputs, inputs), theta[middle : middle + outputs].reshape(outputs, 1)
        start = middle + outputs


def numpy_cost(theta: Any, X: Any, Y: Any) -> Any:
    """As the textbook does it: unpack the vector, propagate, average."""
    a, (*hidden, (W, b)) = X, layers(theta)
    for weights, bias in hidden:
        a = np.maximum(0.0, np.dot(weights, a) + bias)
    a = 1.0 / (1.0 + np.exp(-(np.dot(W, a) + b)))
    return np.sum(-np.log(a) * Y - np.log(1.0 - a) * (1.0 - Y)) / X.shape[1]


def stacked_cost(thetas: Any, X: Any, Y: Any) -> Any:
    """The same for a stack (rows, 1001)."""
    a, start = X[None], 0
    for inputs, outputs in pairwise(WIDTHS):
        middle = start + outputs * inputs
        W = thetas[:, start:middle].reshape(-1, outputs, inputs)
        z = W @ a + thetas[:, middle : middle + outputs, None]
        start = middle + outputs
        a = np.maximum(0.0, z) if start < SIZE else 1.0 / (1.0 + np.exp(-z))
    return np.sum(-np.log(a) * Y - np.log(1.0 - a) * (1.0 - Y), axis=(1, 2)) / X.shape[1]


@numba.njit(fastmath={"contract", "reassoc", "nsz", "arcp"})
def jitted_cost(theta: Any, X: Any, Y: Any) -> Any:
    """The same, sample by sample, without arrays in between."""
    total = 0.0
    a, z = np.empty(25), np.empty(25)
    for s in range(X.shape[1]):
        for j in range(X.shape[0]):
            a[j] = X[j, s]
        start = 0
        for layer in range(len(WIDTHS) - 1):
            inputs, outputs = WIDTHS[layer], WIDTHS[layer + 1]
            bias = start + outputs * inputs
            for i in range(outputs):
                acc = theta[bias + i]
                for j in range(inputs):
                    acc += theta[start + i * inputs + j] * a[j]
                z[i] = acc
            for i in range(outputs):
                a[i] = max(0.0, z[i])
            start = bias + outputs
        p = 1.0 / (1.0 + np.exp(-z[0]))
        total -= np.log(p) * Y[0, s] + np.log(1.0 - p) * (1.0 - Y[0, s])
    return total / X.shape[1]


C_SOURCE = """
#include <math.h>
static const int widths[] = {20, 25, 15, 5, 1};
double cost(int n, double *theta, void *data) {
    const double *x = (double *)data + 1;
    int m = (int)*(double *)data;
    const double *y = x + 20 * m;
    double total = 0.0, a[25], z[25];
    for (int s = 0; s < m; s++) {
        for (int j = 0; j < 20; j++) a[j] = x[20 * s + j];
        const double *p = theta;
        for (int l = 0; l < 4; l++) {
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


def back_propagation(theta: Any, X: Any, Y: Any) -> Any:
    """The gradient (1001,)."""
    activations, pre, parts = [X], [], list(layers(theta))
    for W, b in parts:
        pre.append(W @ activations[-1] + b)
        activations.append(np.maximum(0.0, pre[-1]))
    gradient = np.empty_like(theta)
    delta = (1.0 / (1.0 + np.exp(-pre[-1])) - Y) / X.shape[1]
    for index, (dW, db) in reversed(list(enumerate(layers(gradient)))):
        dW[...] = delta @ activations[index].T
        db[...] = delta.sum(axis=1, keepdims=True)
        if index:
            delta = (parts[index][0].T @ delta) * (pre[index - 1] > 0.0)
    return gradient
