"""A network at one point, validated: what every network engine starts from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from ..._types import Array
from ...runtime.cached_property import cached_property
from .network import Network
from .propagation import Propagation

# Bytes of one unit of a sample at work: pre-activation, activation, derivatives, and temporaries.
BYTES_PER_UNIT = 160


Made = TypeVar("Made")


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

    def once(self, name: Any, make: Callable[[], Made]) -> Made:
        """Return what ``make`` makes, kept under a name for the further pieces of the same check."""
        if self.kept is None:
            return make()
        if name not in self.kept:
            self.kept[name] = make()
        made: Made = self.kept[name]
        return made

    def forward(self) -> Propagation:
        """Forward propagation at theta."""
        return self.network.forward(self.parameters, self.X)

    def parts(self, limit: float) -> "Iterator[Problem]":
        """The problem in parts of some samples each, which take at most ``limit`` bytes; itself where all samples fit.

        Costs are means: a part's counts by its share of the samples, ``part.m / problem.m``.
        """
        samples = max(1, int(min(limit / (BYTES_PER_UNIT * sum(self.network.widths)), self.m)))
        if samples == self.m:
            yield self
            return
        for first in range(0, self.m, samples):
            chosen = slice(first, first + samples)
            yield Problem(self.network, self.theta, self.X[:, chosen], self.Y[:, chosen])

