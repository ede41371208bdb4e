"""The difference at many epsilons: the textbook's V-curve against the flat line of exact differences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

from .._validation import epsilon_of, known, norm_of
from ..engines.base import ENGINES, engine
from ..problems.networks.network import Network
from ..runtime.progress import Progress, reporting
from ..runtime.resources import memory_of, threads_of
from ..runtime.run import Run
from ..verdict.compare import comparisons
from ..verdict.judge import overall_difference
from .network import network_problem

EPSILONS = tuple(10.0**-k for k in range(1, 16))


@dataclass(frozen=True)
class Sweep:
    """Differences by engine and epsilon.

    Parameters
    ----------
    epsilons : the perturbations.
    differences : {engine: one difference per epsilon}; NaN where a perturbation is lost in rounding.
    norm : of the difference.
    """

    epsilons: tuple[float, ...]
    differences: dict[str, tuple[float, ...]]
    norm: float

    def __str__(self) -> str:
        """A table, one row per epsilon."""
        names = list(self.differences)
        lines = ["epsilon  " + "".join(f"{name:>12}" for name in names)]
        for k, epsilon in enumerate(self.epsilons):
            lines.append(f"{epsilon:<9.0e}" + "".join(f"{self.differences[name][k]:>12.2e}" for name in names))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        found = {name: list(values) for name, values in self.differences.items()}
        return {"epsilons": list(self.epsilons), "norm": self.norm, "differences": found}

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
    """The difference between gradients and central differences for many epsilons and every engine.

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
    with reporting(progress) as report:
        for k, name in enumerate(names):
            row = []
            for i, epsilon in enumerate(steps):
                before = (k * len(steps) + i) * net.size

                def advance(done: int, _: int, before: int = before) -> None:
                    report(before + done, total)

                differences = engine(name)(problem, None, epsilon, replace(run, progress=advance))
                row.append(overall_difference(comparisons(subject, differences), norm))
            found[name] = tuple(row)
    return Sweep(steps, found, norm)


def _several(name: str, values: Any) -> list[Any]:
    """The members of a sequence, else TypeError; ValueError where it has none."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name}: expected a list of them, got {type(values).__name__} {values!r}")
    found = list(values)
    if not found:
        raise ValueError(f"{name}: expected at least one, got an empty list")
    return found
