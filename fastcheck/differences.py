"""The one interface between *what* is checked and *how*: a problem goes in, cost differences come out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .activations import Array
from .lazy import cached_property
from .network import Network, Propagation, Tensor

Indices = NDArray[np.int64]
BYTES_PER_UNIT = 160  # of a sample at work: pre-activation, activation, derivatives, and what is made in passing


@dataclass(frozen=True)
class Problem:
    """A network at one point, validated: what every network engine starts from.

    theta : (n,) the parameters; X : (n_x, m); Y : (n_L, m), all float64 and contiguous (of a part, their rows are).
    kept : where an engine may keep what it has prepared, by name, for further pieces of the same check; None: nowhere.
    """

    network: Network
    theta: Array
    X: Array
    Y: Array
    kept: dict[Any, Any] | None = None

    @property
    def m(self) -> int:
        """Number of samples."""
        return int(self.X.shape[1])

    @cached_property
    def parameters(self) -> dict[str, Array]:
        """Views of theta by name."""
        return self.network.to_parameters(self.theta)

    def forward(self) -> Propagation:
        """Forward propagation at theta."""
        return self.network.forward(self.parameters, self.X)

    def parts(self, limit: float) -> "Iterator[Problem]":
        """The problem for some samples at a time, so many as take at most ``limit`` bytes; itself where all do.

        Costs are means: a part's counts by its share of the samples, ``part.m / problem.m``.
        """
        samples = max(1, int(min(limit / (BYTES_PER_UNIT * sum(self.network.widths)), self.m)))
        if samples == self.m:
            yield self
            return
        for first in range(0, self.m, samples):
            chosen = slice(first, first + samples)
            yield Problem(self.network, self.theta, self.X[:, chosen], self.Y[:, chosen])


@dataclass(frozen=True)
class Kinks:
    """Parameters whose perturbation moves a pre-activation across a kink.

    where : positions within the checked indices; low, high : bounds of the one-sided derivatives there.
    """

    where: Indices
    low: Array
    high: Array


@dataclass(frozen=True)
class Differences:
    """What an engine found at the checked positions of theta.

    Parameters
    ----------
    cost : J(theta).
    J_plus, J_minus : costs at theta +- epsilon, one per checked position.
    gradapprox : numerical derivative, one per checked position.
    noise : standard error of gradapprox that rounding alone can cause, one per checked position, or one for all, or,
        where all of theta is checked, one per tensor.
    truncation : gradapprox less the derivative, one per checked position, where the step is so large that they differ;
        None where they agree to rounding.
    kinks : parameters at kinks, where the engine knows them.
    notes : sentences for the report.
    facts : figures for the report (spot check, evaluations, ...), by name.
    settled : whether the engine has looked at step errors and kinks itself: they are in ``noise`` and ``kinks``.
    """

    cost: float
    J_plus: Array
    J_minus: Array
    gradapprox: Array
    noise: Array
    kinks: Kinks | None = None
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    settled: bool = False
    truncation: Array | None = None


@dataclass(frozen=True)
class Subject:
    """What is judged: named tensors laid end to end in one vector, and the gradients handed in for them.

    Parameters
    ----------
    tensors : names, shapes and places in theta.
    theta, gradient : (n,) float64.
    indices : the checked positions of theta, ascending; None for all.
    precision : names of the tensors whose values or gradients came in less than double precision, with that dtype.
    l2_weight : l2 / m for networks (the penalty adds l2_weight * W to the gradient), else 0.
    samples : m for networks, else 0: lets the diagnosis recognise a factor m or 1/m.
    rounding : (name, unit) -> standard errors that rounding in units of ``unit`` leaves in a right gradient of that
        tensor, flat; asked only for tensors that disagree.
    """

    tensors: tuple[Tensor, ...]
    theta: Array
    gradient: Array
    indices: Indices | None = None
    precision: dict[str, str] = field(default_factory=dict)
    l2_weight: float = 0.0
    samples: int = 0
    rounding: Callable[[str, float], Array] | None = None


@dataclass(frozen=True)
class Run:
    """How an engine may use the machine.

    threads : at most so many.
    memory_limit : bytes beside the O(n) vectors.
    progress : called with (done, total) units of work; may raise to stop the run.
    """

    threads: int
    memory_limit: int
    progress: Callable[[int, int], None] = lambda done, total: None


class Engine(Protocol):
    """Costs at theta +- epsilon e_k for the given positions k of theta (None: all)."""

    def __call__(self, problem: Problem, indices: Indices | None, epsilon: float, run: Run) -> Differences:
        """Run the engine."""
        ...
