"""A judgement in sentences: the summary, what to do next, and what else the reader should know."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..problems.gradients import AnalyticGradient, NumericalGradient, Trials
from ..problems.networks.names import kind_and_number
from ..verdict.diagnosis.location import other_description, where_it_sits
from ..verdict.judgement import Judgement
from ..verdict.outcome import DOUBTS, FAIL, INCONCLUSIVE, NOISY, PASS, Cause
from .tensor import TensorReport

# Up to this many names are given; the rest is counted.
NAMED = 4
LESS_NOISE = {
    "reference": 'Use engine="response", which subtracts no costs and has no such noise.',
    "full": 'Use engine="response", which subtracts no costs and has no such noise.',
    "response": "Check with smaller inputs or parameters: pre-activations are so large that their rounding shows.",
    "differences": "Compute the cost with less rounding (stable formulas, double precision).",
    "program": "Compute the cost with less rounding: its values at theta are so rounded that its slopes are.",
}  # fmt: skip
# What else helps where a single step was asked for.
CHOSEN_EPSILON = "Leave epsilon out: it is then chosen for each parameter."
# Share of zeros from which the reader is warned.
MANY_ZEROS = 0.1


def names(found: Iterable[str], prefix: str = "d") -> str:
    """dW1, db1 and dW2; or dW1, db1, dW2, db2 and 6 more."""
    listed = [prefix + name for name in found]
    if len(listed) > NAMED + 1:
        listed = [*listed[:NAMED], f"{len(listed) - NAMED} more"]
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"


def summary(
    judgement: Judgement, failures: Sequence[TensorReport], tensors: Sequence[TensorReport], trials: Trials | None
) -> str:
    """Return what was found, in a sentence; and where every gradient is wrong, the network for which all are right."""
    if judgement.cause in (Cause.COST, Cause.NOTHING):
        return judgement.cause.sentence
    if judgement.verdict == FAIL and trials is None and _unused(failures, tensors):
        unused = names((t.name for t in tensors if t.checked), "")
        return f"The cost does not change with {unused}: does it use its argument?"
    if judgement.verdict == FAIL:
        verb = "disagrees" if len(failures) == 1 else "disagree"
        described = other_description(judgement.tensors, trials)
        return f"{names(t.name for t in failures)} {verb} with the numerical gradient. {described}".rstrip()
    if judgement.verdict == PASS:
        return "The gradients agree with the numerical gradient."
    found = []
    for cause in DOUBTS:
        unsure = [t.name for t in tensors if t.verdict == INCONCLUSIVE and t.checked and t.cause is cause]
        if unsure:
            found.append(cause.sentence.format(names=names(unsure), s="s" if len(unsure) == 1 else ""))
    return " ".join(found)


def _unused(failures: Sequence[TensorReport], tensors: Sequence[TensorReport]) -> bool:
    """Tell whether a cost moves with nothing at all that was checked."""
    return len(failures) == sum(t.checked > 0 for t in tensors) and all(t.unmoved for t in failures)


def advice(
    judgement: Judgement, tensors: Sequence[TensorReport], run: dict[str, Any], trials: Trials | None
) -> list[str]:
    """Return what to do next."""
    if judgement.cause in (Cause.COST, Cause.NOTHING):
        return [judgement.cause.remedy]
    if judgement.verdict == FAIL:
        if other_description(judgement.tensors, trials):
            return ["Check with the description that agrees: what is then still wrong is a mistake in the gradients."]
        place = where_it_sits(judgement.tensors)
        return [place[0].upper() + place[1:]] if place else []
    if judgement.verdict == PASS:
        return []
    network = run.get("engine") in ("reference", "full")
    causes = {t.cause for t in tensors if t.verdict == INCONCLUSIVE}
    found = []
    if causes.intersection(NOISY):
        engine = str(run.get("engine"))
        if engine == "differences" and np.ndim(run["epsilon"]) == 0:
            found.append(CHOSEN_EPSILON)
        found.append(LESS_NOISE.get(engine, LESS_NOISE["differences"]))
    if Cause.STEP in causes:
        found.append("Use a smaller epsilon" + (', or engine="response", which knows the kinks.' if network else "."))
    return [*found, *(cause.remedy for cause in DOUBTS if cause in causes and cause.remedy)]


def notes(
    subject: AnalyticGradient, differences: NumericalGradient, tensors: Sequence[TensorReport], run: dict[str, Any]
) -> list[str]:
    """Return what else the reader should know: precision, kinks, noise, coverage."""
    return [
        *_places_not_finite(subject, differences), *_precision(subject, tensors), *_kinks(tensors),
        *_cancelling(tensors), *_power(tensors),
        *_noise(tensors, run), *_coverage(tensors), *differences.notes,
    ]


def _places_not_finite(subject: AnalyticGradient, differences: NumericalGradient) -> list[str]:
    if math.isfinite(differences.cost):
        return []
    found = [f"The cost is {differences.cost}."]
    for tensor in subject.tensors:
        values = subject.theta[tensor.start : tensor.stop]
        places = np.flatnonzero(~np.isfinite(values))
        if places.size:
            found.append(f"{tensor.place(tensor.start + int(places[0]))} is {values[places[0]]}.")
    return found


def _precision(subject: AnalyticGradient, tensors: Sequence[TensorReport]) -> list[str]:
    found = []
    for dtype in sorted(set(subject.precision.values())):
        chosen = [t for t in tensors if subject.precision.get(t.name) == dtype]
        if chosen:
            found.append(
                f"{names((t.name for t in chosen), '')} came in {dtype} and "
                f"{'is' if len(chosen) == 1 else 'are'} held to {max(t.tolerance for t in chosen):.1e}."
            )
    by_tolerance = [] if subject.dithered else [t for t in tensors if t.name not in subject.precision]
    summed = [t for t in by_tolerance if t.cause is Cause.SPREAD]
    if summed:
        found.append(f"{names(t.name for t in summed)} {'was' if len(summed) == 1 else 'were'} computed in single "
                     "precision somewhere (a float32 buffer?), and right to that: run again, the errors were others.")
    single = [t for t in tensors if t.cause is Cause.SINGLE]
    if single:
        found.append(
            f"{names(t.name for t in single)} {'agrees' if len(single) == 1 else 'agree'} to single precision only "
            f"(difference {max(t.difference for t in single):.1e}): computed in float32 somewhere?"
        )
        if any(t.verdict == FAIL for t in single):
            found.append("Numbers in float64 are held to double precision; float32 arrays to what that allows.")
    return found


def _power(tensors: Sequence[TensorReport]) -> list[str]:
    """What the measured spread of rounding lets a check in low precision see, from the sharpest to the bluntest."""
    measured = sorted((t for t in tensors if t.cause is Cause.SPREAD and t.power), key=lambda t: t.power)
    if not measured:
        return []
    sharpest, bluntest = measured[0], measured[-1]
    told = f"An error of {100 * sharpest.power:.2g} % of d{sharpest.name}"
    if len(measured) > 1:
        told += f", and of {100 * bluntest.power:.2g} % of d{bluntest.name} (the bluntest),"
    return [f"{told} would be seen with probability 0.999: the spread of its rounding was measured, run beside run."]


def _kinks(tensors: Sequence[TensorReport]) -> list[str]:
    count, loose = sum(t.kinks for t in tensors), sum(t.loose for t in tensors)
    if not count:
        return []
    found = f"{count:,} {'parameter is at a kink' if count == 1 else 'parameters are at kinks'} within epsilon"
    if not loose:
        return [f"{found} and judged by the derivatives of the branches that meet there."]
    return [f"{found}. At {loose:,} of them the gradient lies between the least and the largest derivative of the "
            "branches there, and equals none that was looked at: it is right by that interval alone, and left out of "
            "the differences."]


def _cancelling(tensors: Sequence[TensorReport]) -> list[str]:
    found = []
    zero = [t.name for t in tensors if t.cause is Cause.ZERO]
    if zero:
        verb = "is" if len(zero) == 1 else "are"
        found.append(
            f"{names(zero)} {verb} zero but for rounding, on both sides: terms as large as the other gradients cancel."
        )
    rounded = [t.name for t in tensors if t.verdict == PASS and t.cause is Cause.ROUNDING]
    if rounded:
        verb = "agrees" if len(rounded) == 1 else "agree"
        found.append(f"{names(rounded)} {verb} within the rounding of a right back-propagation: larger terms cancel.")
    return found


def _noise(tensors: Sequence[TensorReport], run: dict[str, Any]) -> list[str]:
    count = sum(t.noisy for t in tensors)
    if not count:
        return []
    verb = "entry agrees" if count == 1 else "entries agree"
    return [f"{count:,} {verb} only within the rounding noise of this check (engine {run.get('engine')!r}): "
            "what disagrees there is rounding noise, or smaller than it."]


def _coverage(tensors: Sequence[TensorReport]) -> list[str]:
    found = []
    checked, total = sum(t.checked for t in tensors), sum(t.size for t in tensors)
    if checked < total:
        found.append(f"{checked:,} of {total:,} entries {'was' if checked == 1 else 'were'} checked.")
    unchecked = [t.name for t in tensors if not t.checked and t.verdict != PASS]
    if unchecked:
        found.append(f"Nothing was checked of {names(unchecked, '')}.")
    zeros = sum(t.zeros for t in tensors)
    if zeros:
        little = zeros > MANY_ZEROS * checked and not any(t.moved for t in tensors)
        verb, whose = ("is", "its") if zeros == 1 else ("are", "their")
        much = f": {whose} agreement proves little" if little else ""
        found.append(f"{zeros:,} of {checked:,} checked entries {verb} exactly zero on both sides{much}.")
    idle = [t.name for t in tensors if t.checked and t.zeros == t.checked and not t.moved]
    if idle and len(idle) < len(tensors):
        found.append(f"Nothing was exercised in {names(idle, '')}: all zero on both sides.")
    for t in tensors:
        place = kind_and_number(t.name)
        if t.dead and place is not None and place[0] == "W" and t.dead < t.units:
            units = f"{t.dead:,} of {t.units:,} units of {t.name} {'is' if t.dead == 1 else 'are'}"
            found.append(f"{units} dead or saturated: no gradient at all.")
    return found
