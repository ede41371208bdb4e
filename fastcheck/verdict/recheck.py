"""Where a network's gradient disagrees, a far smaller step tells: is it the gradient, or was epsilon too large there?

The second look needs an engine whose differences are exact at any epsilon: its step is so small that it meets neither
curvature nor a kink nearby.  Which entries are asked is the policy of ``engines.second_looks``: all suspects are one
group, and settled where the step explains nothing.
"""

import time
from dataclasses import dataclass, replace

import numpy as np

from .._types import Array, Indices
from ..engines.protocol import Engine
from ..engines.second_looks import SecondLooks
from ..problems.gradients import AnalyticGradient, Kinks, NumericalGradient
from ..problems.networks.problem import Problem
from ..runtime.run import Run
from .judgement import Judgement
from .outcome import FAIL, PASS, Cause

# The second step, as a share of the first or of a step of ordinary length.
CLOSER, ORDINARY = 2.0**-30, 1e-7
# Entries looked at before it is clear that steps explain something; and where the time is over.
FIRST, FIRST_LATE = 4096, 32
# A step explains something where it moves a difference by this share of the disagreement; a kink that the first look
# could not know of does in any case.
SHARE = 0.01


@dataclass(frozen=True)
class Derivatives:
    """What the second look found: derivatives of some of the first look's entries, and kinks, by their places there."""

    places: Indices
    derivative: Array
    kinks: Kinks


def recheck(
    engine: Engine, problem: Problem, subject: AnalyticGradient, found: NumericalGradient, judgement: Judgement,
    epsilon: float, run: Run, *, exact: bool = True,
) -> NumericalGradient | None:
    """Cost differences with the step's error told apart where the gradient disagrees; None where nothing is in doubt.

    Parameters
    ----------
    engine : finds differences that are exact at any epsilon.
    problem, subject, run : as for the first look.
    found, judgement : the first look, at ``epsilon``, and what came of it.
    exact : whether the first look was without noise too; where it was not, noise stays an excuse.

    Notes
    -----
    After the run's deadline a few entries are asked, and no more: they tell whether the step explains nothing.
    """
    suspects = _suspects(judgement, noisy=exact)
    if not suspects.size:
        return None
    closer = _closer_look(engine, problem, subject, found, suspects, (epsilon, min(epsilon, ORDINARY) * CLOSER), run)
    if closer is None:
        if not any(tensor.entries.stepped.size for tensor in judgement.tensors):
            return None
        # The step explains nothing, so it excuses nothing either: no doubt is left.
        return replace(found, truncation=np.zeros(found.gradapprox.size))
    how = "by a far smaller one" if exact else "by exact differences with a far smaller one"
    entries = "1 entry" if suspects.size == 1 else f"{suspects.size:,} entries"
    note = f"At {entries} epsilon = {epsilon:g} is a large step; judged there {how}."
    return replace(_with_derivative(found, closer), notes=(*found.notes, note))


def _closer_look(
    engine: Engine, problem: Problem, subject: AnalyticGradient, found: NumericalGradient, suspects: Indices,
    steps: tuple[float, float], run: Run,
) -> Derivatives | None:
    """The derivatives at the suspects, or None where those of the first batch say that the step explains nothing."""
    epsilon, step = steps
    positions = suspects if subject.indices is None else subject.indices[suspects]
    derivative = np.empty(suspects.size)
    kinks: list[Kinks] = []
    explains = False
    first = FIRST if time.perf_counter() < run.deadline else FIRST_LATE
    looks = SecondLooks([_few_first(suspects.size, first)], first, growth=suspects.size)
    for rows in looks:
        if explains and time.perf_counter() >= run.deadline:
            return None
        closer = engine(problem, positions[rows], step, run)
        before = found.gradapprox[suspects[rows]]
        # What shrinks with the step, to no more than its share of the first step's difference, is zero.
        least = np.abs(before) * (step / epsilon)
        derivative[rows] = _or_zero(closer.gradapprox, least)
        if closer.kinks is not None:
            at, here = closer.kinks, least[closer.kinks.where]
            low, high = _or_zero(at.low, here), _or_zero(at.high, here)
            kinks.append(replace(at, where=suspects[rows][at.where], low=low, high=high))
        error = np.abs(subject.gradient[positions[rows]] - before)
        moved = bool(np.any(np.abs(before - closer.gradapprox) > SHARE * error))
        explains = explains or moved or (found.kinks is None and bool(kinks and kinks[-1].where.size))
        if not explains:
            looks.settle(rows)
    return Derivatives(suspects, derivative, _joined(kinks)) if explains else None


def _or_zero(values: Array, least: Array) -> Array:
    """Return the values, with zero for those that are no larger than the least that counts."""
    return np.where(np.abs(values) <= least, 0.0, values)


def _suspects(judgement: Judgement, noisy: bool) -> Indices:
    """Checked positions, ascending, that another step may tell more of, in tensors that are finite and do not pass.

    These are entries whose error exceeds the tolerance, and those that are right by an interval of derivatives alone.
    """
    found = [np.empty(0, np.int64)]
    for tensor in judgement.tensors:
        if tensor.verdict == PASS or tensor.cause is Cause.NOT_FINITE:
            continue
        entries = tensor.entries
        kinds = [entries.wrong, entries.stepped, entries.kinked, entries.rounded, tensor.comparison.loose]
        by_norm = tensor.verdict == FAIL and not entries.wrong.size  # all within noise, but not all of them together
        places = np.concatenate([*kinds, entries.noisy] if noisy or by_norm else kinds)
        among = np.zeros(tensor.comparison.checked, dtype=bool)
        among[places] = True
        found.append(tensor.comparison.first + np.flatnonzero(among))
    return np.concatenate(found)


def _few_first(count: int, few: int) -> Indices:
    """Return rows in an order in which the first few are drawn at random."""
    if count <= few:
        return np.arange(count)
    drawn = np.random.default_rng(0).choice(count, few, replace=False)
    others = np.ones(count, dtype=bool)
    others[drawn] = False
    return np.concatenate([drawn, np.flatnonzero(others)])


def _joined(kinks: list[Kinks]) -> Kinks:
    """Kinks of several batches in the order of their places."""
    where = np.concatenate([np.empty(0, np.int64), *(k.where for k in kinks)])
    low, high = (np.concatenate([np.empty(0), *(getattr(k, side) for k in kinks)]) for side in ("low", "high"))
    order = np.argsort(where)
    return Kinks(where[order], low[order], high[order])


def _with_derivative(found: NumericalGradient, closer: Derivatives) -> NumericalGradient:
    """Return the first look, judged by the second one's derivatives and kinks at the suspects."""
    truncation: Array = np.zeros(found.gradapprox.size)
    truncation[closer.places] = found.gradapprox[closer.places] - closer.derivative
    truncation[~np.isfinite(truncation)] = 0.0
    kinks = [closer.kinks]
    if found.kinks is not None:
        old = ~np.isin(found.kinks.where, closer.places)
        kinks.append(Kinks(found.kinks.where[old], found.kinks.low[old], found.kinks.high[old]))
    return replace(found, truncation=truncation, kinks=_joined(kinks))
