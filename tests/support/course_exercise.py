"""The course exercise: its data and its two planted mistakes."""

from typing import Any

import numpy as np

from fastcheck.course import backward_propagation_n, forward_propagation_n

BOTH, MENDED = 0.2850931567761623, 1.1890913024229996e-07
ONLY_DW2, ONLY_DB1 = 0.17344196893145924, 0.2544229712458523


def exercise() -> tuple[Any, Any, dict[str, Any]]:
    """X (4, 3), Y (3,) and the 47 parameters of the 4-5-3-1 network."""
    np.random.seed(1)
    X = np.random.randn(4, 3)
    shapes = {"W1": (5, 4), "b1": (5, 1), "W2": (3, 5), "b2": (3, 1), "W3": (1, 3), "b3": (1, 1)}
    parameters = {name: np.random.randn(*shape) for name, shape in shapes.items()}
    return X, np.array([1, 1, 0]), parameters


def gradients_with(*mistakes: str) -> dict[str, Any]:
    """Back-propagated gradients of the exercise, with "dW2" twice too large and "db1" four times as asked for."""
    X, Y, parameters = exercise()
    _, cache = forward_propagation_n(X, Y, parameters)
    gradients = backward_propagation_n(X, Y, cache)
    m = X.shape[1]
    if "dW2" in mistakes:
        gradients["dW2"] = 1.0 / m * np.dot(gradients["dZ2"], cache[1].T) * 2
    if "db1" in mistakes:
        gradients["db1"] = 4.0 / m * np.sum(gradients["dZ1"], axis=1, keepdims=True)
    return gradients
