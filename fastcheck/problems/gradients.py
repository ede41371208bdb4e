"""The one interface between *what* is checked and *how*: a problem goes in, cost differences come out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .._types import Array, Indices, Mask
from .parameters.tensor import Tensor

# (tensor's name, unit) -> standard errors that rounding in units of ``unit`` leaves in a right gradient of it, flat.
Rounding = Callable[[str, float], Array]


class RunAgain(Protocol):
    """A backward pass that can be run again (see ``problems.functions.repeats``)."""

    def __call__(self) -> Array | None:
        """Return gradients (runs, n) of the point itself, rounded otherwise; None where that cannot be had."""
        ...

    @property
    def sharper(self) -> tuple[Array, Array] | None:
        """The gradient (n,) once more, and the same from numbers with more digits; None where that cannot be had."""
        ...

    @property
    def nearer(self) -> Array | None:
        """Return the same of points several times nearer than that, where all is in double precision; else None."""
        ...

    @property
    def doubled(self) -> "tuple[Array, RunAgain] | None":
        """The gradient (n,) of the same numbers in double precision and what runs it again, where it comes in less."""
        ...

    def further(self) -> Iterator[tuple[Array, Array]]:
        """Give gradients (points, n) at points further and further away, as they come and in double precision."""
        ...


@dataclass(frozen=True)
class NamedMistake:
    """What trying the known mistakes found out about one gradient.

    Parameters
    ----------
    words : the mistakes that give these numbers, each to follow "back-propagation "; none where it follows.
    layer : where the mistake sits.
    follows : whether the gradient has no mistake of its own and only follows from one behind it.
    scaled : whether dZ is a multiple of the right one, which the gradient itself shows as well.
    """

    words: tuple[str, ...]
    layer: int
    follows: bool = False
    scaled: bool = False


class Trials(Protocol):
    """Mistaken back-propagations held against gradients: see ``fastcheck.verdict.diagnosis.trials.Trials``."""

    @property
    def named(self) -> Mapping[str, NamedMistake]:
        """The gradients that a known mistake gives, by the tensor's name."""
        ...

    @property
    def descriptions(self) -> tuple[str, ...]:
        """The descriptions of other networks whose right gradient this is, by what they change."""
        ...


class Paths(Protocol):
    """The parts that a program's gradient is made of: see ``fastcheck.engines.program.parts.paths.Paths``."""

    def said(self, failing: Sequence[Tensor], gradient: Array, approx: Mapping[str, Array]) -> Mapping[str, str]:
        """What is wrong with gradients, as sentences without their ends, by the tensor's name."""
        ...


@dataclass(frozen=True)
class Kinks:
    """Parameters whose perturbation moves a pre-activation across a kink.

    where : positions within the checked indices.
    low, high : bounds of the one-sided derivatives there.
    conventions : where the engine can hold a slope at every kink (0, 1/2 or 1 at the kink of relu; the first or all of
        several equal maxima): the derivatives that this makes there, by the convention's name; NaN where there is none.
        A gradient that equals one of them is the gradient of a branch, and right; the interval proves less.
    of_line : whether low and high are no more than the derivatives to both sides on each entry's own line.  Where
        several kinks meet at theta, the gradients of other branches may then lie outside.
    single : where one kink alone is met on the entry's line, so that none lies outside; None where nobody knows.
    """

    where: Indices
    low: Array
    high: Array
    conventions: Mapping[str, Array] = field(default_factory=dict)
    of_line: bool = False
    single: Mask | None = None


class CostsOnDemand:
    """J(theta + step e_k) for the checked positions k, as an array that is computed where it is looked at.

    Parameters
    ----------
    cost_at : (places,) -> costs: of some of the checked positions.
    size : number of checked positions.

    Notes
    -----
    It holds the program, and so the caller's function; pickled, it is the plain array.
    """

    def __init__(self, cost_at: Callable[[Indices], Array], size: int) -> None:
        self._cost_at, self.size = cost_at, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, np.integer)):  # one of millions
            return self._cost_at(np.array([range(self.size)[key]]))[0]
        places = np.arange(self.size)[key]
        return self._cost_at(np.atleast_1d(places)).reshape(np.shape(places))[()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("copy: expected None or True, got False; these costs are computed when asked for")
        return np.asarray(self[:], dtype=dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return np.asarray, (np.asarray(self),)


@dataclass(frozen=True)
class NumericalGradient:
    """What an engine found at the checked positions of theta.

    Parameters
    ----------
    cost : J(theta).
    J_plus, J_minus : costs at theta +- epsilon, one per checked position; an engine that does not need them gives
        them on demand.
    gradapprox : numerical derivative, one per checked position.
    noise : standard error of gradapprox that rounding alone can cause, one per checked position, or one for all, or,
        where all of theta is checked, one per tensor.
    truncation : gradapprox less the derivative, one per checked position, where the step is so large that they differ;
        None where they agree to rounding.
    kinks : parameters at kinks, where the engine knows them.
    notes : sentences for the report.
    facts : figures for the report (spot check, evaluations, ...), by name.
    limits : where random directions were taken through tensors, by the tensor's name: the error of a single entry that
        they would have shown for certain.
    settled : whether the engine has looked at step errors and kinks itself: they are in ``noise`` and ``kinks``.
    smallest : derivatives below this are lost in the differences; None where that is where they fall below the smallest
        normal number.
    """

    cost: float
    J_plus: Array | CostsOnDemand
    J_minus: Array | CostsOnDemand
    gradapprox: Array
    noise: Array
    kinks: Kinks | None = None
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    settled: bool = False
    truncation: Array | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    smallest: float | None = None
    inside: Array | None = None
    lost: Array | None = None


@dataclass(frozen=True)
class Dithered:
    """A backward pass in low precision at several points that differ by roundings, and the truth at each.

    Parameters
    ----------
    gradients, truths : (runs, n) of all tensors laid end to end; the first run is at the point that is judged.
    unit : the unit roundoff of the lowest precision that the backward pass computes in.
    alone : whether the first gradient came another way than the others: that of a training step, with all that was done
        to it since, beside the module's own.
    further : the same at points further and further apart, where rounding is not shared; none unless something seemed
        wrong.
    yardstick : errors (fewer runs, n) that automatic differentiation of the same forward pass leaves in the same
        precision, where the backward pass is somebody's own; else None.
    """

    gradients: Array
    truths: Array
    unit: float
    alone: bool = False
    further: tuple["Dithered", ...] = ()
    yardstick: Array | None = None


@dataclass(frozen=True)
class AnalyticGradient:
    """What is judged: named tensors laid end to end in one vector, and the gradients handed in for them.

    Parameters
    ----------
    tensors : names, shapes and places in theta.
    theta, gradient : (n,) float64.
    indices : the checked positions of theta, ascending; None for all.
    precision : names of the tensors whose values or gradients came in less than double precision, with that dtype.
    l2_weight : l2 / m for networks (the penalty adds l2_weight * W to the gradient), else 0.
    samples : m for networks, else 0: lets the diagnosis recognise a factor m or 1/m.
    rounding : errors that rounding leaves in a right gradient; asked only for tensors that disagree.
    integers : integer arrays that the cost reads beside the tensors, by name: they may be indices into them.
    trials : the known mistakes to try, where what is checked is a network; asked only for tensors that fail.
    paths : the program that was differenced, whose parts the gradients are held against; asked only for tensors that
        fail.
    whole_only : whether a diagnosis should claim something of all of a tensor or nothing, as of a Jacobian, whose zeros
        and axes mean other things than a gradient's.
    again : the same backward pass again, to measure how its rounding spreads; asked only where a tensor disagrees.
    dithered : runs in low precision, by whose measured spread the gradients are judged; None judges by tolerances.
    """

    tensors: tuple[Tensor, ...]
    theta: Array
    gradient: Array
    indices: Indices | None = None
    precision: dict[str, str] = field(default_factory=dict)
    l2_weight: float = 0.0
    samples: int = 0
    rounding: Rounding | None = None
    integers: Mapping[str, Indices] = field(default_factory=dict)
    trials: Trials | None = None
    paths: Paths | None = None
    whole_only: bool = False
    again: RunAgain | None = None
    dithered: Dithered | None = None
