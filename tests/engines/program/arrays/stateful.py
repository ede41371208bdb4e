"""A layer as people write it: parameters, caches, a running mean and a history on the object."""

import numpy as np


class Layer:
    """What people write: parameters, caches, a running mean and a history on the object."""

    def __init__(self):
        self.W = np.arange(9.0).reshape(3, 3) / 7
        self.parameters = {"b": np.ones(3), "nested": [np.full(3, 0.5)]}
        self.running_mean = np.zeros(3)
        self.history = []
        self.cache = None
        self.transposed = self.W.T

    def forward(self, x):
        self.cache = (x, x * 2)
        self.running_mean = 0.9 * self.running_mean + 0.1 * x
        self.history.append(x.sum())
        self.parameters["last"] = x
        return np.tanh(x @ self.W + self.parameters["b"] * self.parameters["nested"][0])
