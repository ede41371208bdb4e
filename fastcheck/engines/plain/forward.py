"""Forward propagation at theta on several threads, some units of a layer at a time."""

from typing import Any

import numpy as np

from ..._types import Array
from ...problems.networks.problem import Problem
from ...problems.networks.propagation import Propagation
from ...runtime.threads import run_all
from .pieces import pieces_of_rows


def forward(problem: Problem, threads: int) -> tuple[Propagation, list[Array]]:
    """Return what forward propagation leaves behind, and sums of magnitudes of each unit's weights, by layer."""
    run, sums, a = Propagation(problem.X, [], []), [], problem.X
    for place, entry in zip(problem.network.places, problem.network.activation_entries, strict=True):
        values = place.values(problem.parameters)
        layer = _Layer(values["W"], values["b"].reshape(-1, 1), entry, a)
        run_all(layer.propagate, pieces_of_rows(len(layer.W), layer.W.size * problem.m), threads)
        a = layer.a if entry.elementwise else entry.value(layer.z)
        run.Z.append(layer.z)
        run.A.append(a)
        sums.append(layer.sums)
    return run, sums


class _Layer:
    """A layer's parameters, what it reads, and the arrays that its units are written to."""

    def __init__(self, W: Array, b: Array, entry: Any, reads: Array) -> None:
        self.W, self.b, self.entry, self.reads = W, b, entry, reads
        self.z, self.a = (np.empty((len(W), reads.shape[1])) for _ in range(2))
        self.sums = np.empty(len(W))

    def propagate(self, units: slice) -> None:
        """Propagate some units."""
        with np.errstate(all="ignore"):  # NumPy keeps this per thread
            W, z = self.W[units], self.z[units]
            np.matmul(W, self.reads, out=z)
            z += self.b[units]
            np.abs(W).sum(axis=1, out=self.sums[units])
            if self.entry.elementwise:
                self.a[units] = self.entry.value(z)
