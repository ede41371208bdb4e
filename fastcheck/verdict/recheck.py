"""A second look at what disagrees, with a far smaller step: is it the gradient, or was epsilon too large there?

Only for engines whose differences are exact at any epsilon: with them a step can be so small that neither curvature
nor a kink nearby is met.
"""

from dataclasses import replace

import numpy as np

from .._types import Array, Indices
from ..engines.base import Engine
from ..problems.gradients import AnalyticGradient, Kinks, NumericalGradient
from ..problems.networks.problem import Problem
from ..runtime.run import Run
from .judge import Judgement, disagreeing

# The second step, as a share of the first or of a step of ordinary length.
CLOSER, ORDINARY = 2.0**-30, 1e-7
# Entries looked at before it is clear that steps explain something.
FIRST = 4096
# A step explains something where it moves a difference by this share of the disagreement.
SHARE = 0.01


def second_look(
    engine: Engine, problem: Problem, subject: AnalyticGradient, found: NumericalGradient, judgement: Judgement,
    epsilon: float, run: Run,
) -> NumericalGradient | None:
    """Cost differences with the step's error told apart where the gradient disagrees; None where it explains nothing.

    Parameters
    ----------
    engine : finds differences that are exact at any epsilon.
    problem, subject, run : as for the first look.
    found, judgement : the first look, at ``epsilon``, and what came of it.
    """
    suspects = disagreeing(judgement)
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
        return None
    if chosen.size < suspects.size:
        closer = engine(problem, places, step, run)
    return _with_derivative(found, suspects, closer, epsilon)


def _with_derivative(
    found: NumericalGradient, suspects: Indices, closer: NumericalGradient, epsilon: float
) -> NumericalGradient:
    """The first look, judged by the second one's derivatives and kinks at the suspects."""
    truncation: Array = np.zeros(found.gradapprox.size)
    truncation[suspects] = found.gradapprox[suspects] - closer.gradapprox
    truncation[~np.isfinite(truncation)] = 0.0
    kinks = found.kinks
    if kinks is not None and closer.kinks is not None:
        old = ~np.isin(kinks.where, suspects)
        where = np.concatenate([kinks.where[old], suspects[closer.kinks.where]])
        low = np.concatenate([kinks.low[old], closer.kinks.low])
        high = np.concatenate([kinks.high[old], closer.kinks.high])
        order = np.argsort(where)
        kinks = Kinks(where[order], low[order], high[order])
    entries = "1 entry" if suspects.size == 1 else f"{suspects.size:,} entries"
    note = f"At {entries} epsilon = {epsilon:g} is a large step; judged there by a far smaller one."
    return replace(found, truncation=truncation, kinks=kinks, notes=(*found.notes, note))
