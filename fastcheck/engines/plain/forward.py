"""Forward propagation at theta on several threads, some units of a layer at a time."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..._types import Array
from ...problems.networks.problem import Problem
from ...problems.networks.propagation import Propagation
from ...runtime.threads import run_all
from .pieces import WORTH_SHARING, pieces_of_rows


class Passed:
    """A layer's parameters, what it reads, and the arrays that its units are written to.

    Attributes
    ----------
    z, a : (units, m), pre-activations and activations.
    sums : (units,), sums of magnitudes of a unit's weights.
    tops : (units,), the largest of them; None for the first layer, before which there is no unit.
    """

    def __init__(self, W: Array, b: Array, entry: Any, reads: Array, *, first: bool) -> None:
        self.W, self.b, self.entry, self.reads = W, b, entry, reads
        self.z, self.a = (np.empty((len(W), reads.shape[1])) for _ in range(2))
        self.sums, self.tops = np.empty(len(W)), None if first else np.empty(len(W))

    def propagate(self, units: slice) -> None:
        """Propagate some units."""
        with np.errstate(all="ignore"):  # NumPy keeps this per thread
            W, z = self.W[units], self.z[units]
            np.matmul(W, self.reads, out=z)
            z += self.b[units]
            np.abs(W).sum(axis=1, out=self.sums[units])
            if self.tops is not None:
                np.maximum(W.max(axis=1), -W.min(axis=1), out=self.tops[units])
            if self.entry.elementwise:
                self.a[units] = self.entry.value(z)


def forward(
    problem: Problem, threads: int, look: Callable[[int, Passed], None] = lambda number, layer: None
) -> Propagation:
    """Return what forward propagation leaves behind.

    Parameters
    ----------
    look : called with each layer's number, from 0 on, and what it has become.  That is done beside the products of the
        next layer: many short calls of NumPy hold up other threads that make short calls, but not those in a long one.
    """
    run, a = Propagation(problem.X, [], []), problem.X
    looks: list[Callable[[], None]] = []
    for k, (place, entry) in enumerate(zip(problem.network.places, problem.network.activation_entries, strict=True)):
        values = place.values(problem.parameters)
        layer = Passed(values["W"], values["b"].reshape(-1, 1), entry, a, first=not k)
        work = layer.W.size * problem.m
        pieces = [partial(layer.propagate, rows) for rows in pieces_of_rows(len(layer.W), work)]
        run_all(_do, [*pieces, *looks], threads if work > WORTH_SHARING else 1)
        if not entry.elementwise:
            layer.a = entry.value(layer.z)
        a = layer.a
        run.Z.append(layer.z)
        run.A.append(a)
        looks = [partial(look, k, layer)]
    for last in looks:
        last()
    return run


def _do(task: Callable[[], None]) -> None:
    task()
