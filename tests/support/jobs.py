"""Checks of every kind, small: what the tests of faults and of concurrency run, in this process and in children."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np
from scipy import LowLevelCallable

import fastcheck as fc
from tests.support.jit_mode import COMPILED
from tests.support.problems import data, network


@dataclass(frozen=True)
class Job:
    """A check of right gradients: ``run(progress=..., ...)`` gives its report; ``arrays`` are the caller's."""

    name: str
    run: Callable[..., Any]
    arrays: tuple[np.ndarray, ...] = field(repr=False)

    def answer(self, **options: Any) -> tuple[str, bytes]:
        """What must be the same each time: the verdict and all numerical derivatives, bit by bit."""
        report = self.run(**options)
        if isinstance(report, fc.Sweep):
            return "", np.concatenate([np.asarray(v) for v in report.differences.values()]).tobytes()
        return report.verdict, report.gradapprox.tobytes()

    def held(self) -> list[bytes]:
        """The bits of the caller's arrays."""
        return [array.tobytes() for array in self.arrays]


def of_network(name: str, widths: list[int], hidden: str, output: str, cost: str, m: int, **fixed: Any) -> Job:
    net = network(widths, hidden, output, cost)
    X, Y = data(net, m)
    parameters = net.initialize(0)
    gradients = net.gradients(parameters, X, Y)

    def run(**options: Any) -> Any:
        return fc.check(net, parameters, gradients, X, Y, threads=2, **fixed, **options)

    return Job(name, run, (*parameters.values(), *gradients.values(), X, np.asarray(Y)))


def swept() -> Job:
    net = network([4, 5, 1], "tanh", "sigmoid", "binary_cross_entropy")
    X, Y = data(net, 6)
    parameters = net.initialize(0)
    gradients = net.gradients(parameters, X, Y)

    def run(**options: Any) -> Any:
        return fc.sweep(net, parameters, gradients, X, Y, epsilons=(1e-7, 1e-5), threads=2, **options)

    return Job("sweep", run, (*parameters.values(), *gradients.values(), X, Y))


def of_function(name: str, cost: Any, size: int, **fixed: Any) -> Job:
    theta = np.random.default_rng(size).uniform(0.5, 1.5, size)
    gradient = np.cos(theta)

    def run(**options: Any) -> Any:
        return fc.check_function(cost, theta, gradient, threads=2, **fixed, **options)

    return Job(name, run, (theta, gradient))


def in_python(theta: np.ndarray) -> float:
    return float(np.sum(np.sin(theta)))


def stacked(theta: np.ndarray) -> np.ndarray:
    return np.sum(np.sin(theta), axis=-1)


@numba.njit
def jitted(theta):
    total = 0.0
    for value in theta:
        total += np.sin(value)
    return total


@numba.njit(parallel=True)
def jitted_parallel(theta):
    total = 0.0
    for k in numba.prange(theta.size):
        total += np.sin(theta[k])
    return total


@numba.cfunc("float64(int32, CPointer(float64), voidptr)")
def in_c(count, values, nothing):
    total = 0.0
    for k in range(count):
        total += np.sin(values[k])
    return total


def of_layer() -> Job:
    rng = np.random.default_rng(7)
    x, W = rng.standard_normal((5, 4)), rng.standard_normal((4, 3))

    def run(**options: Any) -> Any:
        return fc.check_vjp(lambda x, W: np.tanh(x @ W), backward, (x, W), **options)

    def backward(d: Any, x: Any, W: Any) -> Any:
        d = d * (1.0 - np.tanh(x @ W) ** 2)
        return d @ W.T, x.T @ d

    return Job("vjp", run, (x, W))


def jobs() -> list[Job]:
    """One job of each kind that can run; deep and large enough for several threads where a kind uses them."""
    classes = ([30, 40, 20, 10], "relu", "softmax", "cross_entropy", 40)
    binary = ([6, 9, 7, 1], "tanh", "sigmoid", "binary_cross_entropy", 10)
    made = [
        of_network("response", *classes),
        of_network("response of tanh", *binary),
        of_network("response, large step", *binary, epsilon=1e-2),
        of_network("response, sample", *classes, method="sample", samples=200),
        of_network("directional", *binary, method="directional"),
        of_network("full", *binary, engine="full"),
        of_network("full, sample", *classes, engine="full", method="sample", samples=200),
        of_network("reference", [4, 3, 2, 1], *binary[1:], engine="reference"),
        swept(),
        of_function("Python", in_python, 60),
        of_function("stacked", stacked, 60, vectorized=True),
        of_function("jitted", jitted, 600),
        of_function("jitted, parallel", jitted_parallel, 600),
        of_function("C", LowLevelCallable(in_c.ctypes), 600),
        of_function("directional function", in_python, 60, method="directional"),
        of_layer(),
    ]
    return [job for job in made if COMPILED or job.name != "C"]  # C is called from compiled code only
