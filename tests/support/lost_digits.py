"""Functions that lose digits on their way to a number, as people write them, with slopes that lose none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """A function of a vector, in any array namespace.

    value : (namespace, t) -> number.
    slope : t -> gradient, by a formula that keeps its digits, of NumPy arrays.
    at : generator -> t.
    """

    value: Callable[[Any, Any], Any]
    slope: Callable[[Any], Any]
    at: Callable[[np.random.Generator], Any]


def of_first_probability(t: Any) -> Any:
    """The slope of -log(1 - p[0]) for p = softmax(t)."""
    e = np.exp(t - t.max())
    slope = -e[0] / e[1:].sum() * e / e.sum()
    slope[0] = e[0] / e.sum()
    return slope


def first_probability(xp: Any, t: Any) -> Any:
    e = xp.exp(t - xp.max(t))
    return e[0] / e.sum()


CASES = {
    "log(1 - sigmoid)": Case(
        lambda xp, t: -xp.log(1 - 1 / (1 + xp.exp(-t))).sum(), lambda t: 1 / (1 + np.exp(-t)),
        lambda rng: rng.uniform(18, 27, 4),
    ),
    "log(1 - softmax)": Case(
        lambda xp, t: -xp.log(1 - first_probability(xp, t)), of_first_probability,
        lambda rng: np.r_[rng.uniform(18, 30), rng.standard_normal(3)],
    ),
    "log(1 - exp(-x)) of a small x": Case(
        lambda xp, t: xp.log(1 - xp.exp(-t)).sum(), lambda t: 1 / np.expm1(t), lambda rng: 10.0**rng.uniform(-9, -4, 4)
    ),
    "log(1 - exp(-x)) of a large x": Case(
        lambda xp, t: xp.log(1 - xp.exp(-t)).sum(), lambda t: 1 / np.expm1(t), lambda rng: rng.uniform(12, 30, 4)
    ),
    "(1 - cos(x)) / x^2": Case(
        lambda xp, t: ((1 - xp.cos(t)) / t**2).sum(), lambda t: -t / 12 + t**3 / 180 - t**5 / 6720,
        lambda rng: 10.0**rng.uniform(-3.5, -2, 4),
    ),
    "E[x^2] - E[x]^2": Case(
        lambda xp, t: (t**2).mean() - t.mean() ** 2, lambda t: 2 * (t - t.mean()) / t.size,
        lambda rng: 10.0**rng.uniform(2, 5) + rng.standard_normal(6),
    ),
}  # fmt: skip
