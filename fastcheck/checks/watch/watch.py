"""Gradient checking that stays on during training, for a stated share of its time."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from ..._errors import GradientMismatch
from ..._validation import integer, kind_of, positive, tolerance_of
from ...engines.base import engine, is_quick
from ...problems.gradients import AnalyticGradient
from ...problems.networks.network import Network
from ...problems.networks.problem import Problem
from ...report.report import Report
from ...runtime.resources import memory_of, threads_of
from ...runtime.run import Run
from ...verdict.judge import judge
from ...verdict.judgement import Judgement
from ...verdict.outcome import FAIL, INCONCLUSIVE, PASS, Cause
from ..network import check, network_problem
from .random_direction import Glance
from .rotation import Rotation
from .time_budget import TimeBudget, elapsed

EPSILON = 1e-7
# Share of all units in the second look; the first is at one unit, to measure its fixed costs.
SHARE = 1 / 16
# A look at units should take between these multiples of its fixed costs: more would be felt, less would waste time.
LEAST, MOST = 2.0, 4.0
# Number of no-op calls timed to estimate the cost of one.
CALLS = 64
# Samples that few training steps have more of: where NumPy checks as many as soon, nothing is compiled in advance.
BATCH = 256


class Watch:
    """Checks gradients during training, in a share of the time between calls that is stated beforehand.

    Call it once per training step with the parameters that the gradients were computed at, before they are updated.
    Most calls return at once.  The others look at the gradients in one of two ways, each for half of the share:

    - a *glance* at all of them, along one random direction: an entry off by more than about 1e-10 of its tensor's norm
      shows, if the gradients are otherwise right to double precision;
    - a look at a random share of *units*, entry by entry, so that one look after the other covers every parameter of
      every tensor, and then again in a new order.

    Where either disagrees, all parameters are checked by ``fastcheck.check``; what that calls a failure raises.

    Parameters
    ----------
    net : the network that is trained.
    overhead : the share of the time between calls to spend: 0.01 for one hundredth.
    seed : of the directions and orders.  Which steps are looked at depends on the time that things take.
    on_fail : called with the report of a failure, instead of raising.
    tolerance, threads, memory_limit : as for ``fastcheck.check``.

    Attributes
    ----------
    steps : calls so far; glances, looks : those that made a glance, that looked at units.
    rotations : how many times every parameter has been checked entry by entry; rotation_steps : how many steps the
        last time took, 0 before.
    coverage : share of the parameters that have been checked so at least once.
    worst, worst_step : the largest ``difference`` that a look or a check found, and at which step.
    inconclusive : looks and checks that came to no verdict; they never raise.
    failures : checks that failed.
    seconds : time spent in all, without making the watch itself.

    Raises
    ------
    GradientMismatch : by a call, with ``report`` and ``step``, where gradients are wrong.
    ValueError, TypeError : for what does not fit; by calls that look, as ``fastcheck.check`` does.

    Notes
    -----
    Making a watch compiles what looks at a large network need: some fifteen seconds after installing, half a second in
    later processes; networks that plain NumPy checks as soon need nothing.  A watch belongs to one training loop;
    several loops, in threads or processes, take one each.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcheck import Dense
    >>> net = Network([Dense(2, 3, "tanh"), Dense(3, 1, "sigmoid")], cost="binary_cross_entropy")
    >>> parameters, X, Y = net.initialize(0), np.eye(2), np.array([0, 1])
    >>> watch = Watch(net, overhead=0.01)
    >>> for step in range(100):
    ...     gradients = net.gradients(parameters, X, Y)
    ...     looked = watch(parameters, gradients, X, Y)
    ...     parameters = {name: value - 0.1 * gradients["d" + name] for name, value in parameters.items()}
    >>> watch.steps
    100
    """

    def __init__(
        self, net: Network, overhead: float = 0.01, seed: int = 0, on_fail: Callable[[Report], object] | None = None,
        tolerance: float | None = None, threads: int | None = None, memory_limit: int | None = None,
    ) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"net: expected a fastcheck.Network, got {kind_of(net)}")
        if on_fail is not None and not callable(on_fail):
            raise TypeError(f"on_fail: expected a function of a report, or None, got {on_fail!r}")
        generator = np.random.default_rng(integer("seed", seed, 0))
        self.net, self.overhead, self.on_fail = net, positive("overhead", overhead), on_fail
        self._options: dict[str, Any] = {
            "tolerance": tolerance_of(tolerance), "threads": threads, "memory_limit": memory_limit,
        }  # fmt: skip
        self._run = Run(threads_of(threads), memory_of(memory_limit))
        self._glance, self._rotation = Glance(generator), Rotation(net, generator)
        self.glances = self.looks = self.rotation_steps = self.inconclusive = self.failures = 0
        self.worst, self.worst_step = 0.0, 0
        self._share, self._fixed, self._rotation_began = 1, 0.0, 0
        self._spent = {"glances": 0.0, "looks": 0.0}
        warm_up(net)
        self.steps = self._looked = 0
        self._budget = TimeBudget(self.overhead)
        self._budget.skip = self._time_of_a_skip()

    def __call__(self, parameters: Mapping[str, Any], gradients: Mapping[str, Any], X: Any, Y: Any) -> bool:
        """Look at a training step's gradients if it is time to.

        Parameters
        ----------
        parameters, gradients, X, Y : of this step, as for ``fastcheck.check``; not changed, and not kept.

        Returns
        -------
        bool : whether this step was looked at.

        Raises
        ------
        GradientMismatch : where the gradients are wrong and there is no ``on_fail``.
        """
        self.steps += 1
        budget, started = self._budget, perf_counter()
        if budget.paid <= started < budget.due:  # ``is_due`` written out: most calls end here
            return False
        report = self._look(parameters, gradients, X, Y)
        self._budget.pay(started, perf_counter(), self.steps - self._looked)
        self._looked = self.steps
        if report is not None:
            self.failures += 1
            if self.on_fail is None:
                raise GradientMismatch(report, self.steps)
            self.on_fail(report)
        return True

    @property
    def coverage(self) -> float:
        """Share of the parameters that have been checked entry by entry at least once."""
        return self._rotation.coverage

    @property
    def rotations(self) -> int:
        """How many times every parameter has been checked entry by entry."""
        return self._rotation.finished

    @property
    def seconds(self) -> float:
        """Time spent in calls, without making the watch."""
        return sum(self._spent.values()) + self.steps * self._budget.skip

    def __repr__(self) -> str:
        return (
            f"<fastcheck.Watch: {self.steps:,} steps, {self.glances:,} glances, {self.looks:,} looks at units, "
            f"coverage {self.coverage:.0%}, {self.rotations:,} rotations, worst difference {self.worst:.2g}, "
            f"{self.failures:,} failures>"
        )

    def _look(self, parameters: Mapping[str, Any], gradients: Mapping[str, Any], X: Any, Y: Any) -> Report | None:
        """Glance or look at units, whichever has had less time; the report of a check that this led to and failed."""
        started = perf_counter()
        problem, subject = network_problem(self.net, parameters, gradients, X, Y)
        glancing = self._spent["glances"] <= self._spent["looks"]
        if glancing:
            suspicious = self._glance.suspects(problem, subject.gradient)
            self.glances += 1
        else:
            suspicious = self._units_disagree(problem, subject, started)
            self.looks += 1
        failed = None
        if suspicious:
            report = check(self.net, parameters, gradients, X, Y, **self._options)
            self._note(report.judgement)
            failed = report if report.verdict == FAIL else None
            if glancing and report.verdict == PASS:  # a check that comes to no verdict proves nothing harmless
                self._glance.excuse()
        self._spent["glances" if glancing else "looks"] += elapsed(started, perf_counter())
        return failed

    def _units_disagree(self, problem: Problem, subject: AnalyticGradient, started: float) -> bool:
        """Check the next share of units entry by entry, and learn how large the next one may be."""
        whole_share = self._share <= self._rotation.left
        finished = self._rotation.finished
        indices = self._rotation.ahead(self._share)
        found = engine("response")(problem, indices, EPSILON, self._run)
        tolerance = self._options["tolerance"]
        judged = judge(replace(subject, indices=indices), found, epsilon=EPSILON, norm=2, tolerance=tolerance)
        self._note(judged)
        self._rotation.done(self._share)
        if self._rotation.finished > finished:
            self.rotation_steps, self._rotation_began = self.steps - self._rotation_began, self.steps
        if whole_share:
            self._adapt(elapsed(started, perf_counter()))
        return judged.verdict == FAIL

    def _adapt(self, seconds: float) -> None:
        """Change the share of units by what this one took."""
        units = self._rotation.units
        if not self._fixed:
            self._fixed, self._share = seconds, max(1, int(SHARE * units))
        elif seconds < LEAST * self._fixed:
            self._share = min(2 * self._share, units)
        elif seconds > MOST * self._fixed:
            self._share = max(1, self._share // 2)

    def _note(self, judged: Judgement) -> None:
        """Keep the worst difference, and count what came to no verdict."""
        if not judged.difference <= self.worst:
            self.worst, self.worst_step = judged.difference, self.steps
        self.inconclusive += judged.verdict == INCONCLUSIVE and judged.cause is not Cause.NOTHING

    def _time_of_a_skip(self) -> float:
        """Seconds of a call that does nothing: the least of a few, for others may use the machine meanwhile."""
        found = math.inf
        for _ in range(4):
            started = perf_counter()
            self._budget.paid, self._budget.due = -math.inf, math.inf
            for _ in range(CALLS):
                self({}, {}, None, None)
            found = min(found, elapsed(started, perf_counter()) / CALLS)
        self._budget.due, self.steps = -math.inf, 0
        return found


def warm_up(net: Network) -> None:
    """Refuse what no look could check, and compile what looks need, if anything: at a tiny network of the same kind."""
    tiny = Network([replace(layer, inputs=2, outputs=2) for layer in net.layers], net.cost, net.l2)
    Y = np.array([0, 1]) if net.cost_entry.labels else np.zeros((2, 2))
    parameters, X = tiny.initialize(0), np.eye(2)
    problem, _ = network_problem(tiny, parameters, tiny.gradients(parameters, X, Y), X, Y)
    if is_quick(net, BATCH, EPSILON):
        return
    problem = replace(problem, kept={})  # pieces of a check are never done in plain NumPy, however small
    for epsilon in (EPSILON, 1.0):  # the large step needs the kernels for kinks
        engine("response")(problem, np.arange(tiny.size), epsilon, Run(1, 1 << 24))
