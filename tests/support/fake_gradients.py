"""Subjects and cost differences made up for the tests of verdict, diagnosis and report."""

import math

import numpy as np

from fastcheck.problems.gradients import AnalyticGradient, Kinks, NumericalGradient
from fastcheck.problems.parameters.tensor import Tensor
from fastcheck.report.report import Report

SHAPES = {"W1": (6, 5), "b1": (6, 1), "W2": (6, 6), "b2": (6, 1), "W3": (6, 6), "b3": (6, 1)}
LARGE = {"W1": (512, 784), "b1": (512, 1), "W2": (256, 512), "b2": (256, 1), "W3": (10, 256), "b3": (10, 1)}


def tensors_of(shapes):
    tensors, start = [], 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        tensors.append(Tensor(name, shape, start, stop))
        start = stop
    return tuple(tensors)


class Made:
    """A right gradient to be spoiled: ``made["W2"]`` is a view of the gradient of W2, ``approx("W2")`` the other."""

    def __init__(self, shapes=None, seed=0, **subject):
        self.rng = np.random.default_rng(seed)
        self.tensors = tensors_of(SHAPES if shapes is None else shapes)
        size = self.tensors[-1].stop
        self.gradapprox = self.rng.standard_normal(size)
        self.theta = self.rng.standard_normal(size)
        self.gradient = self.gradapprox * (1.0 + 1e-16 * self.rng.standard_normal(size))
        self.more = subject
        self.cost, self.noise, self.kinks, self.differences = 1.0, np.array([1e-16]), None, {}
        self.indices = None

    def _view(self, vector, name):
        tensor = next(t for t in self.tensors if t.name == name)
        return vector[tensor.start : tensor.stop].reshape(tensor.shape)

    def __getitem__(self, name):
        return self._view(self.gradient, name)

    def approx(self, name):
        return self._view(self.gradapprox, name)

    def parameters(self, name):
        return self._view(self.theta, name)

    def place(self, name, *index):
        tensor = next(t for t in self.tensors if t.name == name)
        return tensor.start + int(np.ravel_multi_index(index, tensor.shape))

    def at_kink(self, place, low, high):
        self.kinks = Kinks(np.array([place]), np.array([low]), np.array([high]))

    def report(self, epsilon=1e-7, norm=2, tolerance=None, engine="response", **run):
        subject = AnalyticGradient(self.tensors, self.theta, self.gradient, self.indices, **self.more)
        approx = self.gradapprox if self.indices is None else self.gradapprox[self.indices]
        kinks = self.kinks or Kinks(np.empty(0, np.int64), np.empty(0), np.empty(0))
        found = {
            "J_plus": self.cost + epsilon * approx, "J_minus": self.cost - epsilon * approx, "kinks": kinks,
            **self.differences,
        }  # fmt: skip
        differences = NumericalGradient(cost=self.cost, gradapprox=approx, noise=self.noise, **found)
        return Report.of(
            subject, differences, epsilon=epsilon, norm=norm, tolerance=tolerance, engine=engine,
            method="all" if self.indices is None else "sample", seed=3, seconds=0.25, **run,
        )  # fmt: skip


def verdicts(report):
    return {t.name: t.verdict for t in report.tensors}


def failing(report):
    return {t.name for t in report.tensors if t.verdict == "fail"}
