"""The corpus of planted mistakes, judged: which networks, and what must come of each."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache

from fastcheck import Network
from fastcheck.engines.base import engine
from fastcheck.problems.gradients import AnalyticGradient, NumericalGradient
from fastcheck.problems.networks.backprop_rounding import Rounding
from fastcheck.problems.networks.problem import Problem
from fastcheck.report.report import Report
from fastcheck.verdict.diagnosis.trials import Trials
from tests.reliability.bugs import BUGS, Planted, planted
from tests.support.problems import HIDDEN, OUTPUTS, RUN, network, problem

SAMPLES = 4  # as many as some layers have units: sums over the wrong axis then fit
# Mistakes that depend on the output activation; the others are planted in one network per hidden activation.
OF_OUTPUTS = frozenset({4, 16, 17, 18, 26, 37, 38, 39, 40, 41, 44})


@dataclass(frozen=True)
class Case:
    """A network of the corpus and the numbers of the mistakes planted in it."""

    name: str
    net: Network
    numbers: Collection[int]


def cases() -> Iterator[Case]:
    """One network per hidden activation, with the penalty and without; one per cost and output activation."""
    every = {bug.number for bug in BUGS}
    for place, hidden in enumerate(HIDDEN):
        penalty = 0.7 * (place % 2)
        yield Case(f"hidden {hidden}", network([5, 4, 4, 4, 3], hidden, "softmax", "cross_entropy", penalty), every)
    for penalty in (0.0, 0.7):
        yield Case(f"hidden mixed, l2 {penalty}", mixed(penalty), every)
    for cost, output in OUTPUTS:
        hidden = "tanh" if output != "tanh" else "softplus"
        yield Case(f"{cost} of {output}", network([4, 3, 3, 2], hidden, output, cost, 0.3), OF_OUTPUTS)


def mixed(penalty: float) -> Network:
    """Another activation in every layer."""
    net = network([4, 4, 4, 4, 4], "tanh", "identity", "mean_squared_error", penalty)
    names = ("relu", "sigmoid", "leaky_relu", "identity")
    return Network([replace(layer, activation=name) for layer, name in zip(net.layers, names, strict=True)],
                   net.cost, net.l2)


@dataclass(frozen=True)
class Outcome:
    """What the checker made of a planted mistake.

    found : it failed (or, for number 44 alone, passed with the note); first : the right tensor was named first;
    said : the diagnosis is the promised one, None where none is promised.
    """

    planted: Planted
    report: Report
    found: bool
    first: bool
    said: bool | None

    @property
    def good(self) -> bool:
        """Whether all is as it should be."""
        return self.found and self.first and self.said is not False

    def __str__(self) -> str:
        return f"{self.planted.bug} at {self.planted.place}\n{self.report}"


def outcomes(case: Case, seed: int, engine_name: str = "response") -> Iterator[Outcome]:
    """Plant every mistake of a case and judge it; the cost differences are found once."""
    given, differences = found_for(case.net, seed, engine_name)
    other = replace(problem(case.net, SAMPLES, seed + 1000), theta=given.theta)
    rounding = Rounding(given)
    for one in planted(given, other, seed, case.numbers):
        gradient = case.net.to_vector(one.gradients)
        subject = AnalyticGradient(
            case.net.tensors, given.theta, gradient, None, {}, case.net.l2 / given.m, given.m, rounding,
            trials=Trials(given, gradient),
        )
        report = Report.of(
            subject, differences, epsilon=1e-7, norm=2, tolerance=None, engine=engine_name, method="all", seed=seed,
            seconds=0.0,
        )  # fmt: skip
        yield judged(one, report)


@cache
def found_for(net: Network, seed: int, engine_name: str) -> tuple[Problem, NumericalGradient]:
    """The problem of a seed and its cost differences."""
    given = problem(net, SAMPLES, seed)
    return given, engine(engine_name)(given, None, 1e-7, RUN)


def judged(one: Planted, report: Report) -> Outcome:
    """Compare a report with what the mistake calls for."""
    if report.verdict != "fail":
        noted = one.bug.number == 44 and report.ok and "single precision" in " ".join(report.notes)
        return Outcome(one, report, noted, noted, None)
    first = report.failures[0]
    said = any(words in first.diagnosis for words in one.place.says) if one.place.says else None
    return Outcome(one, report, True, first.name in one.place.first, said)
