"""The report on gradients in low precision whose backward pass ran at several points, with the truth at each."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .._constants import FURTHER, UNIT_ROUNDOFFS
from .._types import Array
from ..problems.gradients import AnalyticGradient, Dithered, NumericalGradient
from ..problems.parameters.tensor import Tensor
from ..report.report import Report
from ..verdict.outcome import PASS, Cause

# Runs whose spread is measured; fewer where they take longer than this in all, but never less than the least.
RUNS, LEAST_RUNS, SECONDS = 32, 8, 20.0
# How many runs there are at points further away.
RUNS_FURTHER = 25
NOT_PROVEN = "The truth in double precision could not be proven."


class NoTruthError(Exception):
    """There is no truth in double precision; the message says why."""


def is_enough(runs: int, spent: float, seconds: float) -> bool:
    """Tell whether some runs, which took a time, are the least there have to be, and one more would take too long."""
    return runs >= LEAST_RUNS and spent + spent / runs > seconds


def judged_by_runs(
    report_on: Callable[[Dithered], Report], runs: Dithered, further: Callable[[float], Dithered]
) -> Report:
    """Return the report on runs; where rounding that all of them share may be to blame, beside runs further away.

    It may be where a tensor fails, and where it is left open because it holds nothing else.

    Parameters
    ----------
    report_on : judges runs.
    runs : backward passes at points that differ by a rounding, the judged one's first.
    further : runs the backward pass at points that are moved by that, of ``FURTHER``; asked only there.
    """
    report = report_on(runs)
    for reach in sorted({max(reach, runs.unit) for reach in FURTHER}):
        doubted = [tensor for tensor in report.tensors if tensor.verdict != PASS]
        if not any(tensor.cause in (Cause.SPREAD, Cause.COARSE) for tensor in doubted):
            break
        runs = replace(runs, further=(*runs.further, further(reach)))
        report = report_on(runs)
    return report


def the_telling_one(report: Report, by_runs: Report) -> Report:
    """Return the report by runs, or the one before it where both blame the same tensors: that may say what is wrong."""
    blamed, left = ({tensor.name for tensor in found.failures} for found in (report, by_runs))
    return report if by_runs.verdict == report.verdict and blamed == left else by_runs


def errors_of_yardstick(found: Callable[[], Dithered], unit: float) -> Array | None:
    """Return what automatic differentiation is off by (runs, n); None in single precision, and where it cannot be had.

    Parameters
    ----------
    found : runs it at several points, with the truth beside each.
    unit : the unit roundoff of the precision; single precision may add as it likes.
    """
    if unit <= UNIT_ROUNDOFFS["float32"]:
        return None
    try:
        runs = found()
    except Exception:
        return None  # of a kernel in CUDA or Triton, or a call of one, there is no graph to differentiate
    errors = runs.gradients - runs.truths
    return errors if np.isfinite(errors).all() else None


def report_of(
    tensors: tuple[Tensor, ...], theta: Array, loss: float, runs: Dithered, *, norm: float, seed: int, seconds: float
) -> Report:
    """Return the report on gradients that are judged by the measured spread of their rounding.

    Parameters
    ----------
    tensors, theta : what the gradients are taken by, (n,) laid end to end.
    loss : the true loss at theta.
    runs : the backward passes; the first gradient is judged.
    norm, seed, seconds : for the report.
    """
    subject = AnalyticGradient(tensors, theta, runs.gradients[0], dithered=runs)
    spread = np.std(runs.gradients - runs.truths, axis=0, ddof=1)
    costs = np.full(theta.size, loss)
    found = NumericalGradient(loss, costs, costs, runs.truths[0], spread, settled=True)
    return Report.of(
        subject, found, epsilon=1.0, norm=norm, tolerance=None, engine="program", method="all", seed=seed,
        seconds=seconds,
    ).noted(f"The gradients were computed in low precision: {len(runs.gradients)} backward passes, at points that "
            "differ by about one rounding, were held against the truth in double precision, which was proven first.")
