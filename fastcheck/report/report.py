"""The report: what a check found, as attributes, text, dictionary, JSON, HTML and pictures."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np

from .._types import Array, Indices
from .._validation import integer
from ..problems.gradients import AnalyticGradient, NumericalGradient
from ..problems.parameters.tensor import Tensor
from ..problems.rearranged import rearranged
from ..runtime.cached_property import cached_property
from ..verdict.diagnosis.claims import diagnose
from ..verdict.diagnosis.location import first_to_look_at
from ..verdict.judge import judge
from ..verdict.judgement import Judgement, TensorVerdict
from ..verdict.outcome import FAIL, INCONCLUSIVE, PASS, Cause, Judged, Verdict
from . import sentences
from .data import Entry
from .formats import format_of, write
from .plain_data import json_text, plain_data, versions
from .tensor import TensorReport, merge
from .text import html, plain, rich_parts

# Raised when a key of ``Report.to_dict`` changes its meaning or goes.
SCHEMA = 1
SHOWN = 10


class Report(Judged):
    """What a check found.  ``report.ok`` is the short answer, ``print(report)`` the long one.

    Attributes
    ----------
    verdict : "pass", "fail" or "inconclusive"; ok : whether it is "pass".
    difference : ||grad - gradapprox|| / (||grad|| + ||gradapprox||) over all checked parameters, in the chosen norm.
    cost : J(theta).
    J_plus, J_minus, gradapprox : costs at theta +- epsilon and the central difference, one per checked position.
    indices : the checked positions of theta.
    tensors : one ``TensorReport`` per tensor; failures : the failing ones, the one to look at first.
    summary, advice, notes : sentences.
    engine, method, epsilon, norm, tolerance, seed, seconds : how it was checked, and how long that took.
    noise_floor : the largest of the tensors'; kinks : number of parameters at kinks.
    """

    def __init__(
        self, subject: AnalyticGradient, differences: NumericalGradient, judgement: Judgement, run: dict[str, Any]
    ) -> None:
        self._subject, self._differences, self._judgement, self._run = subject, differences, judgement, run
        self.verdict: Verdict = judgement.verdict
        self.difference = judgement.difference

    @classmethod
    def of(
        cls, subject: AnalyticGradient, differences: NumericalGradient, *, epsilon: float | Array, norm: float,
        tolerance: float | None, engine: str, method: str, seed: int, seconds: float, threads: int = 1, **extra: Any,
    ) -> "Report":
        """Judge what an engine found and report it.

        Parameters
        ----------
        subject : what was checked; differences : what the engine found.
        epsilon : the perturbation, one for all or one per checked position; norm : 1, 2 or infinity.
        tolerance : largest relative difference, None for the default (see ``fastcheck.verdict.judge``).
        engine, method, seed, seconds, extra : for the reader, and for who repeats the run.
        threads : that judging may take.
        """
        judgement = judge(subject, differences, epsilon=epsilon, norm=norm, tolerance=tolerance, threads=threads)
        run = {"engine": engine, "method": method, "epsilon": epsilon, "norm": norm, "tolerance": tolerance,
               "seed": seed, "seconds": max(seconds, 0.0), **extra}
        return cls(subject, differences, judgement, run)

    def noted(self, *notes: str) -> "Report":
        """Return the same report with more notes, before the engine's own."""
        differences = replace(self._differences, notes=(*notes, *self._differences.notes))
        return Report(self._subject, differences, self._judgement, self._run)

    def told(self, **facts: Any) -> "Report":
        """Return the same report with further figures about the run among its ``facts``.

        Parameters
        ----------
        facts : what JSON can hold, by name: the command, what was inferred, a sweep.
        """
        return Report(self._subject, self._differences, self._judgement, {**self._run, **facts})

    def with_cost(self, cost: float) -> "Report":
        """Return the same report of a cost that, in the precision that it ran in, is not finite.

        Parameters
        ----------
        cost : nan or infinity: there is nothing to hold gradients against.
        """
        judgement = replace(self._judgement, verdict=FAIL, cause=Cause.COST)
        return Report(self._subject, replace(self._differences, cost=cost), judgement, self._run)

    def held_open(self, cause: Cause) -> "Report":
        """Return the same report where nothing that agrees is proven: what passed is inconclusive, for that cause."""
        tensors = [replace(t, verdict=INCONCLUSIVE, cause=cause) if t.verdict == PASS else t
                   for t in self._judgement.tensors]
        verdict = INCONCLUSIVE if self.verdict == PASS else self.verdict
        judgement = replace(self._judgement, verdict=verdict, tensors=tensors)
        return Report(self._subject, self._differences, judgement, self._run)

    def doubted(self, names: Collection[str], cause: Cause) -> "Report":
        """Return the same report where disagreement of some tensors proves nothing: they are inconclusive, for a cause.

        That is also the cause of what was so for another one.

        Parameters
        ----------
        names : of the tensors.
        cause : why.
        """
        tensors = [replace(t, verdict=INCONCLUSIVE, cause=cause) if t.verdict != PASS and t.name in names else t
                   for t in self._judgement.tensors]
        left = self.verdict != FAIL or any(t.verdict == FAIL for t in tensors)
        judgement = replace(self._judgement, verdict=self.verdict if left else INCONCLUSIVE, tensors=tensors)
        return Report(self._subject, self._differences, judgement, self._run)

    def explained(self, finding: str) -> "Report":
        """Return the same report with one diagnosis of all tensors that fail.

        Parameters
        ----------
        finding : what is wrong, to follow the name of a gradient.
        """
        tensors = [replace(t, finding=finding) if t.verdict == FAIL and t.cause is not Cause.NOT_FINITE else t
                   for t in self._judgement.tensors]
        return Report(self._subject, self._differences, replace(self._judgement, tensors=tensors), self._run)

    def renamed(self, names: Mapping[str, tuple[str, tuple[int, ...]]]) -> "Report":
        """Return the same report with tensors under other names and in other shapes of as many entries.

        Parameters
        ----------
        names : for each tensor its new name and shape.
        """
        tensors = tuple(replace(t, name=names[t.name][0], shape=names[t.name][1]) for t in self._subject.tensors)
        before = {new.name: old.name for new, old in zip(tensors, self._subject.tensors, strict=True)}
        rounding, precision = self._subject.rounding, self._subject.precision
        subject = replace(
            self._subject, tensors=tensors,
            precision={names[name][0]: dtype for name, dtype in precision.items()},
            rounding=None if rounding is None else lambda name, unit: rounding(before[name], unit),
        )
        return Report.of(subject, self._differences, **self._run)

    def rearranged(self, tensors: Sequence[Tensor], order: Indices) -> "Report":
        """Return the same report with the entries of theta in another order, or without some of them.

        Parameters
        ----------
        tensors : the new ones, end to end, by the same names.
        order : (k,) for every new position of theta, the one it had.
        """
        subject, found, chosen = rearranged(self._subject, self._differences, tensors, order)
        epsilon = self._run["epsilon"]
        return Report.of(subject, found, **{**self._run, "epsilon": epsilon[chosen] if np.ndim(epsilon) else epsilon})

    @property
    def layout(self) -> tuple[Tensor, ...]:
        """The checked tensors and their places in theta."""
        return self._subject.tensors

    @property
    def judgement(self) -> Judgement:
        """The verdict with what it rests on."""
        return self._judgement

    @property
    def cost(self) -> float:
        """J(theta)."""
        return self._differences.cost

    @property
    def J_plus(self) -> Array:
        """Costs at theta + epsilon, one per checked position."""
        return np.asarray(self._differences.J_plus)

    @property
    def J_minus(self) -> Array:
        """Costs at theta - epsilon, one per checked position."""
        return np.asarray(self._differences.J_minus)

    @property
    def gradapprox(self) -> Array:
        """Numerical gradient, one per checked position."""
        return self._differences.gradapprox

    @cached_property
    def indices(self) -> Indices:
        """The checked positions of theta, ascending."""
        return np.arange(self._subject.gradient.size) if self._subject.indices is None else self._subject.indices

    @property
    def engine(self) -> str:
        """Which engine found the cost differences."""
        return str(self._run["engine"])

    @property
    def method(self) -> str:
        """Which parameters were checked: "all", "sample" or "directional"."""
        return str(self._run["method"])

    @property
    def epsilon(self) -> float | Array:
        """The perturbation: a number, or one per checked position."""
        epsilon: float | Array = self._run["epsilon"]
        return epsilon

    @property
    def norm(self) -> float:
        """The norm of ``difference``: 1, 2 or infinity."""
        return float(self._run["norm"])

    @property
    def seed(self) -> int:
        """What random choices were made from."""
        return int(self._run["seed"])

    @property
    def seconds(self) -> float:
        """How long the check took, without this report."""
        return float(self._run["seconds"])

    @property
    def tolerance(self) -> float:
        """Largest relative difference allowed; the strictest where tensors differ in precision."""
        return min((found.tolerance for found in self._judgement.tensors), default=math.nan)

    @property
    def noise_floor(self) -> float:
        """The smallest gradient error that the rounding of the cost lets a difference resolve: the largest tensor's."""
        return max((t.noise_floor for t in self.tensors if t.checked), default=0.0)

    @property
    def kinks(self) -> int:
        """Number of parameters at kinks."""
        return sum(t.kinks for t in self.tensors)

    @property
    def facts(self) -> dict[str, Any]:
        """Figures about the run from the engine and the front door."""
        known = {"engine", "method", "epsilon", "norm", "tolerance", "seed", "seconds"}
        return {**{k: v for k, v in self._run.items() if k not in known}, **self._differences.facts}

    @cached_property
    def tensors(self) -> tuple[TensorReport, ...]:
        """One per tensor, in the order of theta."""
        found = self._judgement.tensors

        def diagnosis(one: TensorVerdict) -> str:
            return diagnose(one, self._subject, found)

        return tuple(TensorReport(one, self._differences, diagnosis) for one in found)

    @cached_property
    def failures(self) -> tuple[TensorReport, ...]:
        """The failing tensors, the one to look at first: in a network the one nearest the output."""
        by_name = {t.name: t for t in self.tensors}
        return tuple(by_name[found.name] for found in first_to_look_at(self._judgement.tensors))

    @cached_property
    def summary(self) -> str:
        """What was found, in a sentence."""
        return sentences.summary(self._judgement, self.failures, self.tensors, self._subject.trials)

    @cached_property
    def advice(self) -> tuple[str, ...]:
        """What to do next."""
        return tuple(sentences.advice(self._judgement, self.tensors, self._run, self._subject.trials))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What else to know: precision, kinks, noise, coverage."""
        return tuple(sentences.notes(self._subject, self._differences, self.tensors, self._run))

    def tensor(self, name: str) -> TensorReport:
        """Return the report of one tensor.  Raises KeyError, with the names there are, for an unknown name."""
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise KeyError(f"no tensor {name!r}; there are {', '.join(t.name for t in self.tensors)}")

    def gradapprox_of(self, name: str) -> Array:
        """Numerical gradient of one tensor in its shape; NaN where it was not checked."""
        return self.tensor(name).gradapprox()

    def worst(self, count: int = SHOWN) -> list[Entry]:
        """Return the entries that disagree most, worst first; those that are not finite before all others."""
        return merge(self.tensors, integer("count", count, 0))

    def at_kinks(self, count: int = SHOWN) -> list[Entry]:
        """Return the first parameters at kinks, with the costs on both sides."""
        return [entry for tensor in self.tensors for entry in tensor.at_kinks(count)][:count]

    def __repr__(self) -> str:
        return f"<fastcheck.Report: {self.verdict}, difference {self.difference:.3g}, engine {self.engine}>"

    def __str__(self) -> str:
        return plain(self)

    def __rich_console__(self, console: Any, options: Any) -> Any:
        """For ``rich.print(report)``: colours and a table in a terminal, plain text elsewhere."""
        return rich_parts(self, console, options)

    def _repr_html_(self) -> str:
        return html(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays, as plain numbers, strings, lists and dictionaries; numbers that are not finite
        become the strings "nan", "inf" and "-inf".
        """
        return {str(key): plain_data(value) for key, value in {
            "schema": SCHEMA,
            "verdict": self.verdict, "ok": self.ok, "summary": self.summary,
            "advice": self.advice, "notes": self.notes,
            "difference": self.difference, "tolerance": self.tolerance, "norm": self.norm,
            "cost": self.cost, "noise_floor": self.noise_floor,
            "engine": self.engine, "method": self.method, "epsilon": self.epsilon, "seed": self.seed,
            "asked_tolerance": self._run["tolerance"], "seconds": self.seconds,
            "parameters": int(self._subject.gradient.size), "checked": int(self.gradapprox.size),
            "samples": self._subject.samples, "l2_over_m": self._subject.l2_weight,
            "precision": self._subject.precision,
            "tensors": [_tensor_dict(t) for t in self.tensors],
            "failures": [t.name for t in self.failures],
            "worst": [_entry_dict(e) for e in self.worst()],
            "at_kinks": [_entry_dict(e) for e in self.at_kinks()],
            "facts": self.facts, "versions": versions(),
        }.items()}  # fmt: skip

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """``to_dict`` as JSON text, written to ``path`` too if one is given."""
        if path is not None:
            write(self, "json", path)
        return json_text(self)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the report to a file, in the format that the ending of its name tells.

        Parameters
        ----------
        path : "report.json", "report.png", ... (see ``fastcheck.report.formats.FORMATS``).

        Raises
        ------
        ValueError : for an ending that no format has.
        ImportError : for a picture without matplotlib, with the command that installs it.
        """
        write(self, format_of(path), path)

    def plot(self, path: str | PathLike[str] | None = None) -> Any:
        """Return the relative error of every tensor as a map, beside gradient against numerical gradient.

        Parameters
        ----------
        path : where to save the picture (its ending tells the format), None for not at all.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError : without matplotlib, with the command that installs it.
        """
        from .plots import plot_report

        return plot_report(self, path)


def _tensor_dict(tensor: TensorReport) -> dict[str, Any]:
    keys = ("name", "shape", "checked", "verdict", "difference", "tolerance", "wrong", "max_relative_error", "worst",
            "noise_floor", "kinks", "zeros", "dead", "diagnosis")
    return {key: getattr(tensor, key) for key in keys}


def _entry_dict(entry: Entry) -> dict[str, Any]:
    return {key: getattr(entry, key) for key in Entry.__dataclass_fields__}


