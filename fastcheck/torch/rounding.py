"""How far a training step's gradients are from the truth, and how far rounding carries them.

The measures are those of ``fastcheck.verdict.alone``, which judges what stands out here.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from .._constants import NOISE_SIGMAS
from .._types import Array
from ..engines.program.trust import norm_of
from ..verdict.alone import least_alone, measures

# Places of the measures by name; the third is that of a slice.
FACTOR, NORM = range(2)
# What a check has excused is excused to this share at the next look.
FADES = 0.5
# A measured spread grows from one measurement to the next by this factor at most.
GROWTH = 2.0
# The factor's spread, one number a run, may come out too small with few runs, and rounding that all runs share (that of
# the loss's own derivative) is not in it: it is taken to be no less than this share of the norm's, nor than one unit
# roundoff.  In a ResNet and a GPT it was 0.03 to 0.15 of the norm's in float32 and in bfloat16.
LEAST_FACTOR = 0.1


def sizes_of(truth: Mapping[str, Array], unit: float) -> dict[str, float]:
    """Return what errors of each tensor are relative to: its norm, and no less than one rounding of the largest one's.

    What is zero in theory, as of a bias before a normalisation, consists of such roundings alone.

    Parameters
    ----------
    truth : gradients by name.
    unit : unit roundoff of those that are compared with them.
    """
    norms = {name: norm_of(np.asarray(one, np.float64).reshape(-1)) for name, one in truth.items()}
    least = unit * max((norm for norm in norms.values() if np.isfinite(norm)), default=0.0)
    return {name: max(norm, least) or 1.0 for name, norm in norms.items()}


def errors_of(
    gradient: Mapping[str, Array], truth: Mapping[str, Array], sizes: Mapping[str, float]
) -> dict[str, Array]:
    """Return the three measures (3,) of each tensor's error; infinite where a number is no number."""
    found = {}
    for name, size in sizes.items():
        true = np.asarray(truth[name], np.float64)
        error = np.asarray(gradient[name], np.float64) - true
        found[name] = measures(error.reshape(1, -1), true.reshape(-1), size, len(error) if error.ndim else 1)[:, 0]
    return found


def spread_of(runs: Sequence[Mapping[str, Array]], sizes: Mapping[str, float], unit: float) -> dict[str, Array]:
    """Return root mean squares (3,) of the differences of runs from their first: what rounding does to the measures.

    ``unit`` is the unit roundoff that they were computed with.
    """
    each = [errors_of(run, runs[0], sizes) for run in runs[1:]]
    found = {name: np.sqrt(np.mean([one[name] ** 2 for one in each], axis=0)) for name in sizes}
    for one in found.values():
        one[FACTOR] = max(one[FACTOR], LEAST_FACTOR * one[NORM], unit)
    return found


class Allowed:
    """What rounding may do to gradients in less than double precision, as it was measured.

    Attributes
    ----------
    spread : by name, (3,) of the last measurement; empty before the first.
    excused : by name, (3,) errors that a check of all parameters did not call wrong.
    """

    def __init__(self) -> None:
        self.spread: dict[str, Array] = {}
        self.excused: dict[str, Array] = {}
        self._unit = 0.0

    def forget(self, unit: float) -> None:
        """Take notice of the unit roundoff of a step: another one than before has a rounding of its own."""
        if unit != self._unit:
            self._unit, self.spread, self.excused = unit, {}, {}

    def beyond(self, errors: Mapping[str, Array], spread: Mapping[str, Array]) -> list[str]:
        """Return the names of tensors whose errors are more than a spread of rounding explains, or than is excused."""
        return [name for name, error in errors.items() if not (error <= self._of(name, spread)).all()]

    def measured(self, fresh: Mapping[str, Array]) -> None:
        """Keep a new measurement.

        It may grow by a factor of ``GROWTH`` at a time: a pre-activation that rounding carries across a kink at one
        step leaves the next one as sharp a look as before.
        """
        self.spread = {name: np.minimum(one, GROWTH * self.spread[name]) if name in self.spread else one
                       for name, one in fresh.items()}

    def excuse(self, errors: Mapping[str, Array], factor: float) -> None:
        """A check of all parameters did not call these errors wrong: take no notice of them for a while.

        Nor of what earlier checks excused, as far as that has not faded: near a perfect fit batches round differently.
        """
        found = {name: factor * np.where(np.isfinite(error), error, 0.0) for name, error in errors.items()}
        self.excused = {name: np.maximum(one, self.excused.get(name, 0.0)) for name, one in found.items()}

    def fade(self) -> None:
        """Excuse less than before."""
        self.excused = {name: FADES * one for name, one in self.excused.items()}

    def _of(self, name: str, spread: Mapping[str, Array]) -> Array:
        """Return (3,) the least error of a tensor that is looked into."""
        found = least_alone(self._unit)
        if name in spread:
            found = np.maximum(found, NOISE_SIGMAS * spread[name])
        return np.maximum(found, self.excused[name]) if name in self.excused else found

    def shares(self, names: Iterable[str]) -> dict[str, float]:
        """Return the least error that is looked into, by its tensor's norm; of those that are more than rounding."""
        found = {name: float(self._of(name, self.spread)[NORM]) for name in names}
        return {name: share for name, share in found.items() if share < 1.0}

    def power(self, names: Collection[str]) -> str:
        """What a look sees of errors that are not in double precision: a sentence behind a space."""
        shares = list(self.shares(names).values())
        if not shares:
            return " Rounding hides errors of every tensor in these."
        factors = [float(self._of(name, self.spread)[FACTOR]) for name in self.shares(names)]
        blind = len(names) - len(shares)
        return (
            f" Beside these it sees tensors whose own gradient is off by {np.median(shares):.1g} of its norm (the "
            f"median of the tensors; the largest {max(shares):.1g}), or by a factor of {1.0 + np.median(factors):.4g} "
            f"({1.0 + max(factors):.4g}), as rounding was last; by three times that with a probability of 90 %"
            + (f"; but for {blind} tensors that consist of rounding." if blind else ".")
        )
