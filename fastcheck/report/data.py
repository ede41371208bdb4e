"""What renderers take: the facts of a report, of its tensors and entries, and of a sweep, by name.

A renderer reads these attributes and judges nothing; it knows neither engines nor verdicts.  ``Report``,
``TensorReport``, ``Entry`` and ``Sweep``, whose documentation says what each attribute means, have them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from .._types import Array
from ..verdict.outcome import Cause


class EntryData(Protocol):
    """One parameter: see ``fastcheck.report.tensor.Entry``."""

    @property
    def place(self) -> str:
        """Which parameter, as dW2[1, 3]."""
        ...

    @property
    def grad(self) -> float:
        """The gradient handed in."""
        ...

    @property
    def gradapprox(self) -> float:
        """The central difference."""
        ...

    @property
    def relative_error(self) -> float:
        """How far they are apart."""
        ...


class TensorData(Protocol):
    """One tensor: see ``fastcheck.report.tensor.TensorReport``."""

    name: str
    shape: tuple[int, ...]
    checked: int
    wrong: int
    difference: float
    tolerance: float

    @property
    def verdict(self) -> str:
        """ "pass", "fail" or "inconclusive"."""
        ...

    @property
    def size(self) -> int:
        """Number of entries."""
        ...

    @property
    def worst(self) -> tuple[int, ...] | None:
        """Index of the worst entry."""
        ...

    @property
    def max_relative_error(self) -> float:
        """Relative error of the worst entry."""
        ...

    @property
    def relative_noise(self) -> float:
        """The noise, relative to the gradient."""
        ...

    @property
    def zeros(self) -> int:
        """Number of entries that are zero on both sides."""
        ...

    @property
    def kinks(self) -> int:
        """Number of entries at kinks."""
        ...

    @property
    def diagnosis(self) -> str:
        """What is wrong, in words, or ""."""
        ...

    @property
    def relative_error(self) -> Array:
        """Of every entry, in the tensor's shape; NaN where it was not checked."""
        ...

    @property
    def pair(self) -> tuple[Array, Array]:
        """Gradient and numerical gradient of the checked entries."""
        ...

    def entries(self, count: int) -> Sequence[EntryData]:
        """Return the worst entries, worst first."""
        ...


class TensorFacts(TensorData, Protocol):
    """One tensor with what only sentences speak of."""

    @property
    def cause(self) -> Cause:
        """What the verdict rests on beside the figures."""
        ...

    @property
    def power(self) -> float:
        """The relative error that would be seen with probability 0.999, where the spread of rounding was measured."""
        ...

    @property
    def noisy(self) -> int:
        """Number of entries that agree only within noise."""
        ...

    @property
    def loose(self) -> int:
        """Number of entries at kinks that are right by an interval alone."""
        ...

    @property
    def moved(self) -> bool:
        """Whether random directions through the tensor moved the cost."""
        ...

    @property
    def dead(self) -> int:
        """Number of units whose numerical gradient is exactly zero."""
        ...

    @property
    def unmoved(self) -> bool:
        """Whether the numerical gradient is exactly zero wherever it was checked."""
        ...

    @property
    def units(self) -> int:
        """Number of a layer's units, where this is the weights of one."""
        ...


class ReportData(Protocol):
    """A report: see ``fastcheck.report.report.Report``."""

    difference: float

    @property
    def verdict(self) -> str:
        """ "pass", "fail" or "inconclusive"."""
        ...

    @property
    def tolerance(self) -> float:
        """Largest relative difference allowed."""
        ...

    @property
    def norm(self) -> float:
        """The norm of ``difference``."""
        ...

    @property
    def cost(self) -> float:
        """J(theta)."""
        ...

    @property
    def engine(self) -> str:
        """Which engine found the cost differences."""
        ...

    @property
    def method(self) -> str:
        """Which parameters were checked."""
        ...

    @property
    def epsilon(self) -> Any:
        """The perturbation: a number, or one per checked position."""
        ...

    @property
    def seed(self) -> int:
        """What random choices were made from."""
        ...

    @property
    def seconds(self) -> float:
        """How long the check took."""
        ...

    @property
    def gradapprox(self) -> Array:
        """Numerical gradient, one per checked position."""
        ...

    @property
    def kinks(self) -> int:
        """Number of parameters at kinks."""
        ...

    @property
    def tensors(self) -> Sequence[TensorData]:
        """One per tensor, in the order of theta."""
        ...

    @property
    def failures(self) -> Sequence[TensorData]:
        """The failing tensors, the one to look at first."""
        ...

    @property
    def summary(self) -> str:
        """What was found, in a sentence."""
        ...

    @property
    def advice(self) -> Sequence[str]:
        """What to do next."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What else to know."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """Figures about the run, by name."""
        ...

    def worst(self, count: int) -> Sequence[EntryData]:
        """Return the entries that disagree most, worst first."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays, as JSON can hold it."""
        ...


class SweepData(Protocol):
    """Differences by engine and epsilon: see ``fastcheck.checks.sweep.Sweep``."""

    @property
    def epsilons(self) -> Sequence[float]:
        """The perturbations."""
        ...

    @property
    def differences(self) -> Mapping[str, Sequence[float]]:
        """For each engine one difference per epsilon."""
        ...

    @property
    def conclusion(self) -> str:
        """What they prove, in a sentence."""
        ...
