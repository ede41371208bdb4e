"""A module's gradients are checked while it trains, for a stated share of the time: all of ``Watch`` but the check."""

import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from .._constants import TOLERANCE, UNIT_ROUNDOFF
from .._errors import GradientMismatch, NoRule
from .._types import Array
from .._validation import integer, kind_of, positive
from ..checks.watch.random_direction import DECAY, EXCUSED
from ..checks.watch.time_budget import TimeBudget, elapsed
from ..problems.parameters.sampling import LEAST_SIZE
from ..report.report import Report
from ..runtime.resources import memory_of
from ..runtime.threads import one_blas_thread
from ..verdict.outcome import FAIL, PASS
from .case import Case, Coarsest
from .hook import Hook
from .kept import copied_buffers, preserved, untouched
from .look import Sight, look, true_gradients
from .loss_rounding import loss_rounding
from .low_precision import runs_beside
from .redrawn import Drawn, differ
from .rounding import Allowed, errors_of, sizes_of, spread_of
from .step import Armed, candidates, copied, device_of, finite, unit_of_step

# A disagreement along a direction above this leads to a check.  Double precision rounds 1 - p as well: where it leaves
# 1e-12 otherwise it left 2e-11 in a ResNet at a loss of 4e-5, and leaves more the better the fit.  What a check calls
# wrong, an entry that is off by 2e-7 of its tensor's norm, shows by 1e-8 with hundreds of tensors.
AGREES = 1e-9
# Random points a rounding beside a step's, at which its rounding is measured.
RUNS = 4
# Steps after a look take no longer than others, to 0.02 of what it took (a ResNet and a GPT of 10 ms a step).  This
# much is paid beside it for what is not timed, the hook and what it keeps, ...
AFTERWARDS = 0.25
# ... and this much beside the first look, which comes unpaid: where looks take alike, no training then spends more
# than 1.3 times its share from the second look on.
UNPAID = 0.25
# Looks come a little later at times, where steps are longer or looks were: by this factor, hardly ever more.
PACE_VARIES = 1.5
# Looks whose distance is averaged for the statement of how often the watch looks.
RECENT = 16
# Error of a tensor, spread over many entries, that the statement of power speaks of, in the least visible single error.
SPREAD = 10.0


class BaseWatch(ABC):
    """Checks a module's gradients during training, in a share of the time that is stated beforehand.

    Call it once per backward pass, after backward() and before gradients are clipped or the optimizer steps.  Most
    calls return at once.  The others, *looks*, difference the step's loss exactly, in double precision, along one
    random direction through all parameters, and hold the gradients against that slope; those in less than double
    precision by way of the gradients that autograd gives in double precision.  Where they disagree by more than
    rounding explains, all parameters are checked as by ``check_module``; what that calls a failure raises.

    Parameters
    ----------
    module : the module that is trained.  A compiled one is differenced as the module that it was made of.
    loss : loss(module(inputs), targets) -> a number; with targets=None loss(module(inputs)).
    example_inputs, example_targets : a batch as in training, to see that the loss can be differenced.
    overhead : the share of the time between calls to spend: 0.01 for one hundredth.
    seed : of the directions.  Which steps are looked at depends on the time that things take.
    on_fail : called with the report of a failure, instead of raising.
    memory_limit : bytes that a look may take, as for ``fastcheck.check``.

    Attributes
    ----------
    steps : calls so far; looks : those that looked.
    checks, inconclusive, failures : looks that led to a check of all parameters; checks that came to no verdict; checks
        that failed.
    worst, worst_step : the largest relative disagreement that a look saw along its direction, and at which step.
    seconds : time spent in all, without making the watch itself.
    power : what the watch sees, in a sentence: how often it looks, and with what probability a look sees a wrong entry
        and a wrong tensor.
    steps_to_find : within how many steps an error that stays meets a look.

    Raises
    ------
    GradientMismatch : by a call, with ``report`` and ``step``, where gradients are wrong, or the cost is not finite.
    NoRule : by making a watch, where the loss has no exact differences.

    Notes
    -----
    *Randomness.*  A hook in front of the module's forward pass keeps the generators' state (and the buffers, and the
    gradients so far) of steps that will be looked at, so that dropout is watched as it was on: the loss is differenced
    with the masks of the step.  The state is that of the *last* forward pass of the module before the call.

    *Accumulation.*  Call the watch after each backward(): what that added is looked at.  Where each loss is divided by
    the number of batches before backward(), divide it in ``loss`` as well, or pass ``scale=1 / batches``.

    *Scaled gradients.*  With a GradScaler call the watch after ``scaler.unscale_(optimizer)``, or before that with
    ``scale=scaler.get_scale()``.

    *Precision.*  Gradients in less than double precision are held, tensor by tensor, against those that autograd gives
    in double precision at the same step, with the same random numbers; and these against the slope.  Where a tensor's
    factor, norm or any slice is off by more than 8 times the spread of rounding, which is measured by backward passes a
    rounding beside the step, everything is checked.  What rounding of the loss's own derivative adds, most of it near a
    perfect fit, is left out of both: only a mistake of the loss's own backward pass may hide in that.  float32 shows
    errors of some 1e-4, bfloat16 and autocast of some per cent.  In float16 a step that overflowed is left to the
    scaler.

    *What is detached* (detach(), no_grad()) stands still, as autograd has it: straight-through estimators, running
    averages and spectral norms are watched by their own gradients.

    *Hooks.*  What hooks and the like do to the gradients of parameters is part of what is judged, and not of the
    rounding that is measured.

    Each look records the loss anew, so inputs may have other shapes, and branches may be taken, at every step.

    Examples
    --------
    >>> from fastcheck.torch import Watch
    >>> module = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    >>> optimizer, loss = torch.optim.SGD(module.parameters(), 0.1), nn.CrossEntropyLoss()
    >>> x, y = torch.randn(16, 4), torch.randint(0, 3, (16,))
    >>> watch = Watch(module, loss, x, y)
    >>> for step in range(20):
    ...     optimizer.zero_grad()
    ...     loss(module(x), y).backward()
    ...     looked = watch(x, y)
    ...     optimizer.step()
    >>> watch.steps, watch.failures
    (20, 0)
    """

    def __init__(
        self, module: nn.Module, loss: Callable[..., torch.Tensor], example_inputs: Any, example_targets: Any = None,
        overhead: float = 0.01, *, seed: int = 0, on_fail: Callable[[Report], object] | None = None,
        memory_limit: int | None = None,
    ) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"module: expected a torch.nn.Module, got {kind_of(module)}")
        if on_fail is not None and not callable(on_fail):
            raise TypeError(f"on_fail: expected a function of a report, or None, got {on_fail!r}")
        self.module, self.loss, self.on_fail = module, loss, on_fail
        self.overhead, self._memory = positive("overhead", overhead), memory_of(memory_limit)
        self._generator = np.random.default_rng(integer("seed", seed, 0))
        self.steps = self.looks = self.checks = self.inconclusive = self.failures = self.worst_step = 0
        self.worst, self.seconds, self._excused, self._checking = 0.0, 0.0, 0.0, 0.0
        self._budget = TimeBudget(self.overhead, afterwards=AFTERWARDS)
        self._armed: Armed | None = None
        self._busy, self._forwards = False, 0
        self._looked_at: list[int] = []
        self._sight: Sight | None = None
        self._rounding = Allowed()
        case = Case.of(module, loss, example_inputs, example_targets, frozen=True)
        if not case.parameters:
            raise ValueError("module: expected parameters that require gradients, got none; there is nothing to watch")
        self._names, self._parameter = tuple(case.parameters), next(iter(case.parameters.values()))
        self._device = device_of(case)
        self._coarse, self._redraws = self._try(case)
        self._costs = [self._seconds_of_look(case)]
        self._learn_rounding(case)
        self._handle = module.register_forward_pre_hook(Hook(self), prepend=True)

    def __call__(self, inputs: Any, targets: Any = None, *, scale: float = 1.0) -> bool:
        """Look at a step's gradients if it is time to.

        Parameters
        ----------
        inputs, targets : of this step, as for ``check_module``; not changed, and not kept.
        scale : what the loss was multiplied by before backward().

        Returns
        -------
        bool : whether this step was looked at.

        Raises
        ------
        GradientMismatch : where the gradients are wrong and there is no ``on_fail``.
        """
        self.steps += 1
        armed, self._armed = self._armed, None
        seen, self._forwards = self._forwards, 0
        started = perf_counter()
        if armed is None:
            if seen or not self._budget.is_due(started):
                return False
            armed = self._arm()  # the module was not called as a module: the state of now, and no accumulation
            armed.gradients.clear()
        with self._alone():
            report = self._look(armed, inputs, targets, scale)
        now = perf_counter()
        self._pay(started, now)
        self.seconds += elapsed(started, now)
        self._looked_at = [*self._looked_at[-RECENT:], self.steps]
        if report is not None:
            self.failures += 1
            if self.on_fail is None:
                raise GradientMismatch(report, self.steps)
            self.on_fail(report)
        return True

    def _pay(self, started: float, now: float) -> None:
        """Pay for what a look usually takes; what this one took beyond that, a check above all, is paid off later."""
        spent, self._checking = elapsed(started, now) - self._checking, 0.0
        beyond = elapsed(started, now) - min(spent, statistics.median(self._costs))
        self._costs = [*self._costs[-RECENT:], spent]
        unpaid = UNPAID * spent if self.looks == 1 else 0.0
        self._budget.pay(started - unpaid, now, 0, beyond)

    @property
    def steps_between_looks(self) -> float:
        """How many steps go by from one look to the next, of late."""
        looked = self._looked_at
        return (looked[-1] - looked[0]) / (len(looked) - 1) if len(looked) > 1 else math.inf

    @property
    def steps_to_find(self) -> float:
        """The number of steps within which an error that stays meets a look, at the pace of late; inf for one look."""
        return float(np.ceil(PACE_VARIES * max(self.steps_between_looks, 1.0)))

    @property
    def allowed(self) -> float:
        """The relative disagreement of double precision along a direction that leads to a check."""
        return max(AGREES, self._excused)

    @property
    def power(self) -> str:
        """What the watch sees, in a sentence."""
        if self._sight is None:
            return "Nothing has been looked at so far."
        seen = 1.0 - math.sqrt(2.0) * LEAST_SIZE / SPREAD
        without = len(self._sight.faint)
        faint = f", but for {_counted(without, 'tensor')} with next to no gradient" if without else ""
        which = "autograd's gradients in double precision" if self._sight.errors else "the gradients"
        return (
            f"{self._pace} A look sees one wrong entry of {which} for "
            f"certain if it is off by more than {self.entry_share:.1g} of the norm of its tensor's gradient{faint}; a "
            f"wrong tensor, whose errors have {SPREAD:g} times that norm, it sees with probability {seen:.0%} at "
            f"least.{self._rounding.power(self._sight.errors[self._sight.best]) if self._sight.errors else ''}"
        )

    @property
    def _pace(self) -> str:
        """How often the watch looks, in a sentence."""
        if self.looks < 2:
            return f"One look so far, in {_counted(self.steps, 'step')}: how often it looks shows later."
        often = max(self.steps_between_looks, 1.0)
        return (f"One look in {_counted(round(often), 'step')}: an error that stays meets a look within "
                f"{self.steps_to_find:,.0f}, one that lasts a single step with probability {1.0 / often:.2g}.")

    @property
    def entry_share(self) -> float:
        """The share of its tensor's gradient norm from which one wrong entry of a double shows; inf before a look, and
        after one at a cost that is not finite.

        It shows in the direction, and the check that this leads to calls it wrong.
        """
        if self._sight is None or not self._sight.reach:
            return math.inf
        return max(self.allowed / self._sight.reach, 2.0 * TOLERANCE)

    @property
    def seen_shares(self) -> dict[str, float]:
        """The least error of each tensor that ``power`` states, by its gradient's norm; of those that do not consist of
        rounding.
        """
        if self._sight is None:
            return {}
        if not self._sight.errors:
            return {name: self.entry_share for name in self._names if name not in self._sight.faint}
        return self._rounding.shares(self._sight.errors[self._sight.best])

    def remove(self) -> None:
        """Take the hook off the module: the watch looks no more by itself."""
        self._handle.remove()

    def __repr__(self) -> str:
        return (f"<fastcheck.torch.Watch: {_counted(self.steps, 'step')}, {_counted(self.looks, 'look')}, "
                f"{_counted(self.checks, 'check')}, worst "
                f"disagreement {self.worst:.2g}, {_counted(self.failures, 'failure')}>")

    def before_forward(self, module: nn.Module) -> None:
        """Keep what the step's look will need, if there is to be one; called by the hook, and not for copies."""
        if self._busy or module is not self.module or not torch.is_grad_enabled() or not self._is_itself():
            return
        self._forwards += 1
        self._armed = self._arm() if self._budget.is_due(perf_counter()) else None

    def _is_itself(self) -> bool:
        """Tell whether the module has its own parameters, and not others that a check runs it with meanwhile."""
        owner, _, name = self._names[0].rpartition(".")
        plain = getattr(self.module, "_orig_mod", self.module)
        return plain.get_submodule(owner)._parameters.get(name) is self._parameter

    def _arm(self) -> Armed:
        return Armed.of(Case.of(self.module, self.loss, (), None, frozen=False), self._coarse)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The module's own calls in here are none of the caller's; NumPy's short sums are not worth several threads.

        What is not finite ends in the verdict: no floating-point error is told beside it.
        """
        self._busy = True
        try:
            with torch.inference_mode(False), one_blas_thread(), np.errstate(all="ignore"):
                yield
        finally:
            self._busy = False

    def _look(self, armed: Armed, inputs: Any, targets: Any, scale: float) -> Report | None:
        """Look; the report of a check that this led to and that failed."""
        case = Case.of(self.module, self.loss, inputs, targets, frozen=True)
        case.state, case.coarse = armed.state, armed.unit if armed.unit > UNIT_ROUNDOFF else 0.0
        gradients = candidates(case, armed, scale)
        if armed.overflows and not finite(gradients[0]):
            self.looks += 1
            return None  # float16 overflowed: a scaler leaves such a step out
        if not finite(gradients[0]):
            self.looks += 1
            self.worst, self.worst_step = math.inf, self.steps
            return self._check(case, gradients[0], armed, math.inf, {})
        if self._redraws:
            with self._as_it_was(case, armed):
                case.draws = case.drawn().values
        with untouched(case.plain, armed.buffers):
            sight = look(case, gradients, armed.unit, self._memory, self._generator)
        self.looks += 1
        self._sight = replace(sight, truth={})  # as large as the module
        if not sight.seen <= self.worst:
            self.worst, self.worst_step = sight.seen, self.steps
        left = self._unexplained(sight, gradients[sight.best], case, armed) if sight.errors else {}
        suspicious = bool(left) or not sight.seen <= self.allowed
        if not self._budget.debt:  # near a perfect fit each batch rounds otherwise, and each check takes long
            self._excused *= DECAY
            self._rounding.fade()
        return self._check(case, gradients[sight.best], armed, sight.seen, left) if suspicious else None

    def _unexplained(
        self, sight: Sight, gradients: dict[str, Array], case: Case, armed: Armed
    ) -> dict[str, Array]:
        """Return the errors, where a tensor is further from its gradient in double precision than rounding carries it.

        The spread of rounding was measured at an earlier step.  Where that does not explain the errors, those that the
        rounding of the loss's own derivative makes are left out, and then the spread is measured anew, at this step.
        """
        errors, rounding = sight.errors[sight.best], self._rounding
        rounding.forget(armed.unit)
        if not rounding.beyond(errors, rounding.spread):
            return {}
        with self._as_it_was(case, armed):
            shared = loss_rounding(case, self.steps)
            if shared:
                truth = {name: one + shared[name] for name, one in sight.truth.items()}
                errors = errors_of(gradients, truth, sight.sizes)
                if not rounding.beyond(errors, rounding.spread):
                    return {}
            runs = runs_beside(case, self.steps, RUNS)
        spread = spread_of(runs, sight.sizes, armed.unit)
        rounding.measured(spread)
        return errors if rounding.beyond(errors, spread) else {}

    def _check(
        self, case: Case, gradients: dict[str, Array], armed: Armed, seen: float, errors: dict[str, Array]
    ) -> Report | None:
        """Check all parameters: the report if that fails; what was seen and passes is excused for a while."""
        self.checks += 1
        started = perf_counter()
        with self._as_it_was(case, armed):
            report = self._checked(case, gradients, self._memory)
        self._checking = elapsed(started, perf_counter())
        if report.verdict == FAIL:
            return report
        self.inconclusive += report.verdict != PASS
        if report.verdict == PASS or case.coarse:
            if math.isfinite(seen) and seen > AGREES:
                self._excused = max(self._excused, EXCUSED * seen)
            self._rounding.excuse(errors, EXCUSED)
        return None

    @contextmanager
    def _as_it_was(self, case: Case, armed: Armed) -> Iterator[None]:
        """Let the module run as in the step: with its buffers and its casts; everything is afterwards as before."""
        casts = torch.autocast(self._device, armed.autocast, enabled=armed.autocast is not None)
        kept = preserved(case.module, case.loss)
        with torch.enable_grad(), kept, untouched(case.plain, copied(armed.buffers)), casts:
            yield

    @abstractmethod
    def _checked(self, case: Case, gradients: dict[str, Array], memory_limit: int) -> Report:
        """Check all parameters at a step."""

    def _try(self, case: Case) -> tuple[float, bool]:
        """Difference the example, to see that it can be.

        Returns
        -------
        The unit roundoff of the module's own casts below single precision, or 0.0; and whether random numbers that the
        module draws are others in double precision, so that those of a step have to be drawn again.
        """
        unit = unit_of_step(case.parameters, 0.0, None)
        with Drawn() as wide:
            self._seconds_of_look(case)
        with self._alone(), preserved(case.module, case.loss), Coarsest() as watching:
            own = case.drawn()
        if own.fused is not None and max(unit, watching.found) > UNIT_ROUNDOFF:
            raise NoRule(f"{own.fused}, which draws other random numbers in double precision")
        return watching.found, differ(wide.values[len(wide.values) - len(own.values):], own.values)

    def _seconds_of_look(self, case: Case) -> float:
        """Look at the example, and see how long that takes; the first time is the longest."""
        zeros = {name: np.zeros(tuple(p.shape)) for name, p in case.parameters.items()}
        unit = unit_of_step(case.parameters, 0.0, None)
        started = perf_counter()
        with self._alone(), untouched(case.plain, copied_buffers(case.plain)):
            look(case, [zeros], unit, self._memory, np.random.default_rng(0))
        return elapsed(started, perf_counter())

    def _learn_rounding(self, case: Case) -> None:
        """Measure the spread of rounding at the example, so that the first look need not."""
        unit = unit_of_step(case.parameters, self._coarse, None)
        if unit <= UNIT_ROUNDOFF:
            return
        case.coarse = unit
        kept = untouched(case.plain, copied_buffers(case.plain))
        with self._alone(), torch.enable_grad(), preserved(case.module, case.loss), kept:
            sizes, runs = sizes_of(true_gradients(case), unit), runs_beside(case, 0, RUNS)
        self._rounding.forget(unit)
        self._rounding.measured(spread_of(runs, sizes, unit))


def _counted(number: int, what: str) -> str:
    """Return "1 look" or "2 looks"."""
    return f"{number:,} {what}{'s' * (number != 1)}"
