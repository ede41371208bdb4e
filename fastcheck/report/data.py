"""What renderers take: the facts of a report, of its tensors and entries, and of a sweep, by name.

A renderer reads these attributes and judges nothing; it knows neither engines nor verdicts.  ``Report``,
``TensorReport`` and ``Sweep``, whose documentation says what each attribute means, have them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .._types import Array
from ..problems.parameters.tensor import index_text


@dataclass(frozen=True)
class Entry:
    """One parameter's gradient beside its numerical gradient.

    tensor, index : which parameter.
    grad, gradapprox : the gradient handed in and the central difference.
    relative_error : |grad - gradapprox| / (|grad| + |gradapprox|); at kinks the distance to the one-sided derivatives
        instead, and entries far smaller than their tensor's root mean square are measured by a share of it.
    J_plus, J_minus : costs with this parameter moved by epsilon.
    """

    tensor: str
    index: tuple[int, ...]
    grad: float
    gradapprox: float
    relative_error: float
    J_plus: float
    J_minus: float

    @property
    def place(self) -> str:
        """dW2[1, 3]."""
        return f"d{self.tensor}{index_text(self.index)}"


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

    def entries(self, count: int) -> Sequence[Entry]:
        """Return the worst entries, worst first."""
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
    def epsilon(self) -> float | Array:
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

    def worst(self, count: int) -> Sequence[Entry]:
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
