"""The difference at many epsilons: the textbook's V-curve against the flat line of exact differences."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

from .._constants import TOLERANCE
from .._validation import epsilon_of, known, norm_of
from ..engines.base import ENGINES, engine
from ..problems.networks.network import Network
from ..runtime.progress import Progress, reporting
from ..runtime.resources import memory_of, threads_of
from ..runtime.run import Run
from ..verdict.compare import comparisons
from ..verdict.judge import judge, overall_difference
from ..verdict.outcome import FAIL, INCONCLUSIVE, PASS, Verdict
from .network import network_problem

# Between these epsilons neither the error of a step nor rounding is large.
USUAL = (1e-9, 1e-4)
# Differences that differ by no more than this factor over them are flat.
FLAT = 2.0
TITLE = "Relative difference of gradient and numerical gradient, by epsilon and engine"
EPSILONS = tuple(10.0**-k for k in range(1, 16))


@dataclass(frozen=True)
class Sweep:
    """Differences by engine and epsilon.

    Parameters
    ----------
    epsilons : the perturbations.
    differences : {engine: one difference per epsilon}; NaN where a perturbation is lost in rounding.
    norm : of the difference.
    verdict : "pass", "fail" or "inconclusive": what ``check`` makes of the differences at the epsilon nearest to
        1e-7, by the first engine of ``ENGINES`` that was asked for.
    """

    epsilons: tuple[float, ...]
    differences: dict[str, tuple[float, ...]]
    norm: float
    verdict: Verdict = INCONCLUSIVE

    @property
    def conclusion(self) -> str:
        """What the differences prove, in a sentence."""
        name = next(name for name in (*ENGINES, *self.differences) if name in self.differences)
        usual = [d for e, d in zip(self.epsilons, self.differences[name], strict=True) if USUAL[0] <= e <= USUAL[1]]
        found = [d for d in usual or self.differences[name] if math.isfinite(d)]
        if not found:
            return "No epsilon gives a difference that is a number: there is nothing to conclude."
        low, high = min(found), max(found)
        if self.verdict == PASS:
            return f"The gradient is right: the differences of engine {name} fall to {low:.0e}."
        if self.verdict == FAIL and low > TOLERANCE and high <= FLAT * low:
            return (f"Flat in epsilon, at {low:.2g} (engine {name}): the gradient is wrong. Neither the error of a "
                    "step nor rounding is flat.")
        if self.verdict == FAIL:
            return (f"The gradient is wrong, though not everywhere: the differences of engine {name} lie between "
                    f"{low:.0e} and {high:.0e}. A check names the entries.")
        return f"The differences of engine {name} decide nothing: they lie between {low:.0e} and {high:.0e}."

    def __str__(self) -> str:
        """Return a table, one row per epsilon."""
        names = list(self.differences)
        lines = ["epsilon  " + "".join(f"{name:>12}" for name in names)]
        for k, epsilon in enumerate(self.epsilons):
            lines.append(f"{epsilon:<9.0e}" + "".join(f"{self.differences[name][k]:>12.2e}" for name in names))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return a title, the conclusion, a picture and the table, for notebooks."""
        from ..report.page import sweep_in_html

        return f'<div class="fastcheck"><p><b>{TITLE}</b></p>{sweep_in_html(self.to_dict())}</div>'

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        found = {name: list(values) for name, values in self.differences.items()}
        return {"epsilons": list(self.epsilons), "norm": self.norm, "differences": found, "verdict": self.verdict,
                "conclusion": self.conclusion}

    def plot(self, path: str | PathLike[str] | None = None) -> Any:
        """Difference against epsilon, both logarithmic, one line per engine.

        Parameters
        ----------
        path : where to save the picture, None for not at all.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from ..report.plots import plot_sweep

        return plot_sweep(self, path)


def sweep(
    net: Network,
    parameters: Mapping[str, Any],
    gradients: Mapping[str, Any],
    X: Any,
    Y: Any,
    *,
    epsilons: Sequence[float] = EPSILONS,
    engines: Sequence[str] = ENGINES,
    norm: float = 2,
    threads: int | None = None,
    memory_limit: int | None = None,
    progress: bool | Progress = False,
) -> Sweep:
    """Return the difference between gradients and central differences for many epsilons and every engine.

    Parameters
    ----------
    net, parameters, gradients, X, Y : as in ``check``.
    epsilons : the perturbations, 1e-1 to 1e-15 by default.
    engines : their names, all by default; "reference" is slow on large networks.
    norm : 1, 2 or numpy.inf, of the difference.
    threads, memory_limit, progress : as in ``check``.

    Returns
    -------
    Sweep

    Raises
    ------
    ValueError, TypeError : for input that does not fit.
    """
    norm = norm_of(norm)
    steps = tuple(epsilon_of(epsilon, "epsilons") for epsilon in _several("epsilons", epsilons))
    names = tuple(known("engine", name, ENGINES) for name in _several("engines", engines))
    problem, subject = network_problem(net, parameters, gradients, X, Y)
    run = Run(threads_of(threads), memory_of(memory_limit))
    total = len(steps) * len(names) * net.size
    found: dict[str, tuple[float, ...]] = {}
    first = next(name for name in ENGINES if name in names)
    nearest = min(range(len(steps)), key=lambda i: abs(math.log(steps[i] / 1e-7)))
    verdict: Verdict = INCONCLUSIVE
    with reporting(progress) as report:
        for k, name in enumerate(names):
            row = []
            for i, epsilon in enumerate(steps):
                before = (k * len(steps) + i) * net.size

                def advance(done: int, _: int, before: int = before) -> None:
                    report(before + done, total)

                differences = engine(name)(problem, None, epsilon, replace(run, progress=advance))
                row.append(overall_difference(comparisons(subject, differences), norm))
                if name == first and i == nearest:
                    verdict = judge(subject, differences, epsilon=epsilon, norm=norm).verdict
            found[name] = tuple(row)
    return Sweep(steps, found, norm, verdict)


def _several(name: str, values: Any) -> list[Any]:
    """Return the members of a sequence, else TypeError; ValueError where it has none."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name}: expected a list of them, got {type(values).__name__} {values!r}")
    found = list(values)
    if not found:
        raise ValueError(f"{name}: expected at least one, got an empty list")
    return found
