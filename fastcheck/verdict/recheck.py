"""A second look at what disagrees, with a far smaller step: is it the gradient, or was epsilon too large there?

The second look needs an engine whose differences are exact at any epsilon: its step is so small that it meets neither
curvature nor a kink nearby.
"""

from dataclasses import replace

import numpy as np

from .._types import Array, Indices
from ..engines.protocol import Engine
from ..problems.gradients import AnalyticGradient, Kinks, NumericalGradient
from ..problems.networks.problem import Problem
from ..runtime.run import Run
from .judgement import Judgement
from .outcome import PASS, Cause

# The second step, as a share of the first or of a step of ordinary length.
CLOSER, ORDINARY = 2.0**-30, 1e-7
# Entries looked at before it is clear that steps explain something.
FIRST = 4096
# A step explains something where it moves a difference by this share of the disagreement.
SHARE = 0.01


def second_look(
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
    """
    suspects = _suspects(judgement, noisy=exact)
    if not suspects.size:
        return None
    places = suspects if subject.indices is None else subject.indices[suspects]
    chosen = np.arange(suspects.size)
    if suspects.size > FIRST:
        chosen = np.sort(np.random.default_rng(0).choice(suspects.size, FIRST, replace=False))
    error = np.abs(subject.gradient[places[chosen]] - found.gradapprox[suspects[chosen]])
    step = min(epsilon, ORDINARY) * CLOSER
    closer = engine(problem, places[chosen], step, run)
    moved = np.abs(found.gradapprox[suspects[chosen]] - closer.gradapprox)
    if not bool(np.any(moved > SHARE * error)):
        if not any(tensor.entries.stepped.size for tensor in judgement.tensors):
            return None
        # The step explains nothing, so it excuses nothing either: no doubt is left.
        return replace(found, truncation=np.zeros(found.gradapprox.size))
    if chosen.size < suspects.size:
        closer = engine(problem, places, step, run)
    how = "by a far smaller one" if exact else "by exact differences with a far smaller one"
    entries = "1 entry" if suspects.size == 1 else f"{suspects.size:,} entries"
    note = f"At {entries} epsilon = {epsilon:g} is a large step; judged there {how}."
    return replace(_with_derivative(found, suspects, closer), notes=(*found.notes, note))


def _suspects(judgement: Judgement, noisy: bool) -> Indices:
    """Checked positions, ascending, that another step may tell more of, in tensors that are finite and do not pass.

    These are entries whose error exceeds the tolerance, and those that are right by an interval of derivatives alone.
    """
    found = [np.empty(0, np.int64)]
    for tensor in judgement.tensors:
        if tensor.verdict == PASS or tensor.cause is Cause.NOT_FINITE:
            continue
        entries = tensor.entries
        kinds = [entries.wrong, entries.stepped, entries.kinked, tensor.comparison.loose]
        places = np.concatenate([*kinds, entries.rounded, entries.noisy] if noisy else kinds)
        found.append(tensor.comparison.first + np.unique(places))
    return np.concatenate(found)


def _with_derivative(found: NumericalGradient, suspects: Indices, closer: NumericalGradient) -> NumericalGradient:
    """The first look, judged by the second one's derivatives and kinks at the suspects."""
    truncation: Array = np.zeros(found.gradapprox.size)
    truncation[suspects] = found.gradapprox[suspects] - closer.gradapprox
    truncation[~np.isfinite(truncation)] = 0.0
    kinks = found.kinks or Kinks(np.empty(0, np.int64), np.empty(0), np.empty(0))
    if closer.kinks is not None:
        old = ~np.isin(kinks.where, suspects)
        where = np.concatenate([kinks.where[old], suspects[closer.kinks.where]])
        low = np.concatenate([kinks.low[old], closer.kinks.low])
        high = np.concatenate([kinks.high[old], closer.kinks.high])
        order = np.argsort(where)
        kinks = Kinks(where[order], low[order], high[order])
    return replace(found, truncation=truncation, kinks=kinks)
