"""Classic test functions for derivatives, written once for NumPy and for mpmath, with their true gradients.

Each function takes a sequence of numbers and a module with exp, log, sin, cos, tan, sqrt and atan.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np

DIGITS = 60
NUMPY = SimpleNamespace(exp=np.exp, log=np.log, sin=np.sin, cos=np.cos, tan=np.tan, sqrt=np.sqrt, atan=np.arctan)


@dataclass(frozen=True)
class Classic:
    """A function and where it is looked at.

    Parameters
    ----------
    cost : (x, module) -> number.
    low, high : (n,) bounds of the random points.
    """

    cost: Callable[[Sequence[Any], Any], Any]
    low: Sequence[float]
    high: Sequence[float]

    def point(self, seed: int) -> Any:
        """A random point (n,)."""
        return np.random.default_rng(seed).uniform(self.low, self.high)

    def __call__(self, x: Any) -> Any:
        """The cost with NumPy's functions."""
        return self.cost(x, NUMPY)

    def gradient(self, x: Any) -> Any:
        """The gradient, right to the last digit (n,)."""
        with mpmath.workdps(DIGITS):
            point = [mpmath.mpf(float(value)) for value in x]
            return np.array([
                float(mpmath.diff(lambda t, k=k: self.cost([*point[:k], t, *point[k + 1 :]], mpmath), point[k]))
                for k in range(len(point))
            ])


def rosenbrock(x: Sequence[Any], m: Any) -> Any:
    return sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2 for a, b in pairwise(x))


def powell_singular(x: Sequence[Any], m: Any) -> Any:
    """Its Hessian is singular at the minimum."""
    return (x[0] + 10.0 * x[1]) ** 2 + 5.0 * (x[2] - x[3]) ** 2 + (x[1] - 2.0 * x[2]) ** 4 + 10.0 * (x[0] - x[3]) ** 4


def powell_badly_scaled(x: Sequence[Any], m: Any) -> Any:
    return (1e4 * x[0] * x[1] - 1.0) ** 2 + (m.exp(-x[0]) + m.exp(-x[1]) - 1.0001) ** 2


def brown_badly_scaled(x: Sequence[Any], m: Any) -> Any:
    return (x[0] - 1e6) ** 2 + (x[1] - 2e-6) ** 2 + (x[0] * x[1] - 2.0) ** 2


def helical_valley(x: Sequence[Any], m: Any) -> Any:
    angle = m.atan(x[1] / x[0]) / (2.0 * 3.14159265358979)
    return 100.0 * ((x[2] - 10.0 * angle) ** 2 + (m.sqrt(x[0] ** 2 + x[1] ** 2) - 1.0) ** 2) + x[2] ** 2


def squire_trapp(x: Sequence[Any], m: Any) -> Any:
    return sum(m.exp(a) / m.sqrt(m.sin(a) ** 3 + m.cos(a) ** 3) for a in x)


CLASSICS = {
    "exp": Classic(lambda x, m: sum(m.exp(a) for a in x), [-2.0] * 10, [3.0] * 10),
    "exp, steep": Classic(lambda x, m: sum(m.exp(1000.0 * a) for a in x), [0.005] * 10, [0.015] * 10),
    "log": Classic(lambda x, m: sum(m.log(a) for a in x), [0.01] * 10, [5.0] * 10),
    "log, near 0": Classic(lambda x, m: sum(m.log(a) for a in x), [1e-7] * 10, [1e-6] * 10),
    "sin, cos": Classic(lambda x, m: sum(m.sin(a) * m.cos(2.0 * a) for a in x), [-3.0] * 10, [3.0] * 10),
    "sin, fast": Classic(lambda x, m: sum(m.sin(1e3 * a) for a in x), [0.5] * 10, [2.0] * 10),
    "tan, near its pole": Classic(lambda x, m: sum(m.tan(a) for a in x), [1.4] * 10, [1.56] * 10),
    "1/x, near 0": Classic(lambda x, m: sum(1.0 / a for a in x), [1e-4] * 10, [1e-3] * 10),
    "atan, narrow": Classic(lambda x, m: sum(m.atan(1e3 * a) for a in x), [-3e-3] * 10, [3e-3] * 10),
    "Squire and Trapp": Classic(squire_trapp, [0.2] * 10, [1.5] * 10),
    "Rosenbrock, n = 2": Classic(rosenbrock, [-2.0] * 2, [2.0] * 2),
    "Rosenbrock, n = 10": Classic(rosenbrock, [-2.0] * 10, [2.0] * 10),
    "exp, n = 100": Classic(lambda x, m: sum(m.exp(a) for a in x), [-2.0] * 100, [3.0] * 100),
    "Rosenbrock, n = 100": Classic(rosenbrock, [-2.0] * 100, [2.0] * 100),
    "Powell, singular": Classic(powell_singular, [-3.0] * 4, [3.0] * 4),
    "Powell, near singular": Classic(powell_singular, [-1e-3] * 4, [1e-3] * 4),
    "Powell, badly scaled": Classic(powell_badly_scaled, [1e-5, 1.0], [1e-3, 10.0]),
    "Brown, badly scaled": Classic(brown_badly_scaled, [0.5, 0.5], [1e6, 2.0]),
    "helical valley": Classic(helical_valley, [0.3, 0.3, -1.0], [1.0, 1.0, 1.0]),
}
