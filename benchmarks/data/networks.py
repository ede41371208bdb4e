"""The standard networks that every benchmark uses, with real images where a network takes images."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastcheck as fc

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A network at a point: parameters, their right gradients, and data."""

    name: str
    net: fc.Network
    parameters: dict[str, Array]
    gradients: dict[str, Array]
    X: Array
    Y: Any


def digits(samples: int, side: int = 8) -> tuple[Array, Any]:
    """Images of handwritten digits in [0, 1], (side^2, samples), and their labels.

    MNIST cannot be had without a download; scikit-learn's digits enlarged to its 28 x 28 pixels stand in for it.
    """
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    chosen = images[:samples].reshape(-1, 8, 8) / 16.0
    if side != 8:
        chosen = np.clip(zoom(chosen, (1, side / 8, side / 8), order=1), 0.0, 1.0)
    return np.ascontiguousarray(chosen.reshape(samples, -1).T), labels[:samples]


def case(widths: list[int], hidden: str, samples: int) -> Case:
    """A softmax classifier of these widths at random parameters, on digits where the inputs are an image's pixels."""
    layers = [fc.Dense(a, b, hidden) for a, b in pairwise(widths[:-1])]
    net = fc.Network([*layers, fc.Dense(widths[-2], widths[-1], "softmax")], cost="cross_entropy")
    rng = np.random.default_rng(0)
    side = round(widths[0] ** 0.5)
    if widths[0] in (64, 784):
        X, Y = digits(samples, side)
    else:
        X, Y = rng.standard_normal((widths[0], samples)), rng.integers(widths[-1], size=samples)
    parameters = net.initialize(0)
    name = "-".join(map(str, widths)) + f" {hidden}"
    return Case(name, net, parameters, net.gradients(parameters, X, Y), X, Y)


def course() -> Case:
    """The course's gradient checking exercise: 4-5-3-1, three samples, 47 parameters."""
    np.random.seed(1)
    X = np.random.randn(4, 3)
    parameters = {"W1": np.random.randn(5, 4), "b1": np.random.randn(5, 1), "W2": np.random.randn(3, 5),
                  "b2": np.random.randn(3, 1), "W3": np.random.randn(1, 3), "b3": np.random.randn(1, 1)}
    Y = np.array([1, 1, 0])
    net = fc.Network.from_parameters(parameters)
    return Case("course 4-5-3-1 relu", net, parameters, net.gradients(parameters, X, Y), X, Y)


STANDARD = {
    "mnist-relu": lambda: case([784, 512, 256, 10], "relu", 128),
    "mnist-tanh": lambda: case([784, 512, 256, 10], "tanh", 128),
    "deep-256": lambda: case([256, 256, 256, 256, 10], "relu", 64),
    "deep-1024": lambda: case([1024, 1024, 1024, 1024, 10], "relu", 32),
    "deep-8": lambda: case([256] * 8 + [10], "relu", 64),
    "deep-tanh": lambda: case([256] * 5 + [10], "tanh", 128),
    "narrow-tanh": lambda: case([2] + [50] * 6 + [10], "tanh", 256),
    "digits": lambda: case([64, 32, 16, 10], "tanh", 32),
    "course": course,
}
