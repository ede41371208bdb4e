"""What a verdict consists of: for every tensor the entries that disagree, for the whole the verdict and its cause."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._types import Indices
from ..runtime.cached_property import cached_property
from .comparison import Comparison
from .outcome import PASS, Cause, Verdict

NONE: Indices = np.empty(0, np.int64)


@dataclass(frozen=True)
class Disagreeing:
    """The entries of a tensor whose error exceeds the tolerance, sorted by what could explain it.

    All are positions among the tensor's checked entries, ascending; no entry is in two of them.

    wrong : disagree beyond tolerance and noise, and nothing explains it.
    stepped : a large epsilon, or a kink that the engine does not know of, could explain it.
    kinked : another branch, where kinks meet, could explain it.
    rounded : the rounding of a right gradient could explain it.
    noisy : the rounding of the cost could explain it.
    rounded_at_kinks : number of the rounded ones that are at kinks.
    error, noise : norms of all errors and of all noise of the tensor, in its unit and the chosen norm.
    """

    wrong: Indices = field(default_factory=lambda: NONE)
    stepped: Indices = field(default_factory=lambda: NONE)
    kinked: Indices = field(default_factory=lambda: NONE)
    rounded: Indices = field(default_factory=lambda: NONE)
    noisy: Indices = field(default_factory=lambda: NONE)
    rounded_at_kinks: int = 0
    error: float = 0.0
    noise: float = 0.0

    @property
    def all(self) -> Indices:
        """All of them, ascending."""
        return np.sort(np.concatenate([self.wrong, self.stepped, self.kinked, self.rounded, self.noisy]))


@dataclass
class TensorVerdict:
    """What was found about one tensor.

    Parameters
    ----------
    comparison : its entries.
    difference : ||gradient - gradapprox|| / (||gradient|| + ||gradapprox||) in the chosen norm; of a tensor that is
        zero but for rounding with the size of what cancelled added below.
    verdict : "pass", "fail" or "inconclusive".
    entries : those that disagree, by what could explain it.
    promised_rms : root mean square of the whole gradient, where random directions were taken through it; else 0.
    cause : what the verdict rests on beside the figures.
    finding : what is wrong, to follow the gradient's name, where measured spread says so; else "".
    power : the relative error of the whole tensor that would be seen with probability 0.999, where spread is measured.
    """

    comparison: Comparison
    difference: float
    verdict: Verdict = PASS
    entries: Disagreeing = field(default_factory=Disagreeing)
    cause: Cause = Cause.NONE
    promised_rms: float = 0.0
    finding: str = ""
    power: float = 0.0

    @property
    def name(self) -> str:
        """The tensor's name."""
        return self.comparison.tensor.name

    @property
    def moves(self) -> bool:
        """Whether there is a gradient at all, on either side."""
        # At kinks a right gradient may be zero on both sides where the cost moves none the less.
        return bool(self.comparison.sizes.gradient or self.comparison.approx.any() or self.moved)

    @property
    def moved(self) -> bool:
        """Whether random directions through the tensor moved the cost: where they agree, as the gradient promises."""
        return self.promised_rms > 0.0

    @property
    def tolerance(self) -> float:
        """The largest relative difference allowed."""
        return self.comparison.tolerance


class Later(Sequence[TensorVerdict]):
    """Verdicts on tensors that are worked out when somebody looks at them.

    Parameters
    ----------
    find : gives them all.
    size : how many there are.
    """

    def __init__(self, find: Callable[[], list[TensorVerdict]], size: int) -> None:
        self._find, self._size = find, size

    @cached_property
    def all(self) -> list[TensorVerdict]:
        """All of them."""
        return self._find()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, key: Any) -> Any:
        return self.all[key]

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (self.all,)


@dataclass
class Judgement:
    """The verdict with what it rests on.

    Parameters
    ----------
    verdict : "pass", "fail" or "inconclusive".
    difference : ||gradient - gradapprox|| / (||gradient|| + ||gradapprox||) over all checked entries.
    tensors : one per tensor, in the order of theta.
    cause : ``Cause.COST`` where J(theta) is not finite, ``NOTHING`` where all gradients are zero on both sides.
    """

    verdict: Verdict
    difference: float
    tensors: Sequence[TensorVerdict]
    cause: Cause = Cause.NONE
