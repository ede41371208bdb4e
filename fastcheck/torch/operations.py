"""Which operation's backward is wrong: changes are injected at what submodules and custom Functions take and return.

Where the gradient that autograd hands to a call's outputs is the loss's true slope there, and what the call passes on
to an input or a parameter is not, its backward is to blame, however deep in the module it stands.  The true slopes are
those of exact changes that are injected there, in the whole module: so mistakes are seen that an operation by itself
does not make, of a saved tensor that was overwritten, or of state that two calls share.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .._constants import ROUNDINGS
from .._errors import NoRule
from .._types import Array
from ..engines.program.agreement import DIRECTIONS, STEP, WRONG, WRONG_IN_DOUBLE, agrees
from .calls import Calls, Mark, Seen, functions_of
from .case import Case, double
from .program.program import TorchProgram

# Places that a sentence names at most.
MOST_PLACES = 3
# Seconds that looking for the operation may take, and perturbations that run together.
SECONDS, TOGETHER = 10.0, 24


def wrong_operations(case: Case, until: float) -> list[str]:
    """Sentences on the operations whose backward is wrong; none where each is right or cannot be followed.

    No run is begun after ``until``, of ``time.perf_counter``.
    """
    deadline = min(until, time.perf_counter() + SECONDS)
    try:
        calls, gradients = _with_gradients(case)
        if time.perf_counter() > deadline:
            return []
        program, sites = _with_sites(case, calls)
        judge = _Judge(case, program, deadline)
        return _sentences(calls, sites, gradients, judge)
    except (NoRule, RuntimeError, TypeError, ValueError, IndexError):
        return []  # it cannot be run once more in this way, or not be differenced exactly: nothing is said of it


def of_another_function(case: Case, gradients: Mapping[str, Array]) -> str:
    """A sentence, where the gradients are those of the loss with all that autograd does not see standing still."""
    parameters = case.parameters
    try:
        seen = TorchProgram.as_autograd(case.function(double), [double(p) for p in parameters.values()])
    except (NoRule, RuntimeError, TypeError, ValueError, IndexError):
        return ""  # it cannot be run once more in this way
    if not seen.detached or seen.weights is None:
        return ""
    weights = seen.weights.reshape(-1)

    def slopes(changes: Mapping[int, Array]) -> Array:
        (change,) = seen.run(changes).changes
        return np.zeros(len(changes[0])) if change is None else change.reshape(len(change), -1) @ weights

    values = [double(p).detach().cpu().numpy() for p in parameters.values()]
    if not agrees(slopes, values, [np.asarray(gradients[name]) for name in parameters], double=case.is_double):
        return ""
    placed = {one.what for one in seen.detached if one.place}
    places = [f"{one.what} ({one.place})" if one.place else one.what for one in seen.detached
              if one.place or one.what not in placed]
    return (f"The gradient is that of another function: of the loss in which {_listed(places[:MOST_PLACES])} "
            f"{'stand' if len(places) > 1 else 'stands'} still. Where that is meant (a straight-through estimator, a "
            "stopped gradient), it is right.")


def _with_gradients(case: Case) -> tuple[list[Seen], dict[str, torch.Tensor | None]]:
    """Return the calls of a run with the gradients of its backward pass, and those of the parameters."""
    functions = functions_of(case.cost(case.plain, case.args, case.kwargs, case.targets))
    for parameter in case.parameters.values():
        parameter.grad = None
    with Calls(case.plain, functions, gradients=True).watching() as calls:
        loss = case.cost(case.plain, case.args, case.kwargs, case.targets)
        calls.stop()
        loss.backward()
    return calls.seen, {name: p.grad for name, p in case.parameters.items()}


def _with_sites(case: Case, known: Sequence[Seen]) -> tuple[TorchProgram, dict[Mark, int]]:
    """Return the loss's program, and for the marks of known calls the operators at which changes are injected.

    Raises
    ------
    NoRule : where other calls are made than in the run that is known.
    """
    functions = functions_of(case.cost(case.plain, case.args, case.kwargs, case.targets))
    calls = Calls(case.plain, functions, gradients=False)
    function, marks = case.function(double), [mark for call in known for mark in (*call.inputs, *call.outputs)]
    with calls.watching():
        program = TorchProgram(function, [double(p) for p in case.parameters.values()])
    recorded = [mark for call in calls.seen for mark in (*call.inputs, *call.outputs)]
    if [call.label for call in calls.seen] != [call.label for call in known] or len(recorded) != len(marks):
        raise NoRule("a module that calls other parts of itself each time")
    sites = {mark: site for mark, one in zip(marks, recorded, strict=True)
             if (site := program.site(one.ref)) is not None}
    return program, sites


@dataclass(frozen=True)
class _Verdict:
    """What a gradient promises along random directions, and the slopes of the loss; whether they agree."""

    promised: Array
    slopes: Array
    right: bool


@dataclass
class _Judge:
    """Holds gradients against slopes of injected changes.

    Parameters
    ----------
    case, program : the module, and the program of its loss.
    deadline : of ``time.perf_counter``, after which nothing is judged.
    """

    case: Case
    program: TorchProgram
    deadline: float

    def __post_init__(self) -> None:
        in_less = max(WRONG, ROUNDINGS * self.case.coarse)
        self._limit = WRONG_IN_DOUBLE if self.case.is_double else in_less
        self._generator = np.random.default_rng(0)

    def sites(self, wanted: Mapping[Mark, int]) -> dict[Mark, _Verdict]:
        """Judge the gradients of marks, by the operators that make them."""
        found: dict[Mark, _Verdict] = {}
        for group in _groups(list(wanted), TOGETHER // DIRECTIONS):
            shapes = [tuple(mark.tensor.shape) for mark in group]
            directions = [self._generator.standard_normal((DIRECTIONS, *shape)) for shape in shapes]
            steps = [STEP * _size(mark.tensor) for mark in group]
            moved: dict[int, Array] = {}
            for number, (mark, v, step) in enumerate(zip(group, directions, steps, strict=True)):
                block = moved.setdefault(wanted[mark], np.zeros((DIRECTIONS * len(group), *v.shape[1:])))
                block[DIRECTIONS * number : DIRECTIONS * (number + 1)] += step * v
            slopes = self._slopes({}, moved, DIRECTIONS * len(group))
            for number, (mark, v, step) in enumerate(zip(group, directions, steps, strict=True)):
                own = slopes[DIRECTIONS * number : DIRECTIONS * (number + 1)] / step
                found[mark] = self._verdict(mark.gradient, v, own)
        return found

    def parameter(self, number: int, gradient: torch.Tensor | None, value: torch.Tensor) -> _Verdict:
        """Judge the gradient of a parameter, by its number among the program's inputs."""
        v = self._generator.standard_normal((DIRECTIONS, *value.shape))
        step = STEP * _size(value)
        return self._verdict(gradient, v, self._slopes({number: step * v}, {}, DIRECTIONS) / step)

    def _slopes(self, changes: dict[int, Array], sites: dict[int, Array], count: int) -> Array:
        """Return the change of the loss (count,); NaN where a kink was met and nothing is known."""
        if time.perf_counter() > self.deadline:
            raise NoRule("too large a module to look for the operation")
        found = self.program.run(changes, sites)
        change = np.zeros(count) if found.changes[0] is None else np.asarray(found.changes[0]).reshape(count)
        return np.where(found.crossed | found.ties, np.nan, change)

    def _verdict(self, gradient: torch.Tensor | None, v: Array, slopes: Array) -> _Verdict:
        given = np.zeros(v.shape[1:]) if gradient is None else gradient.double().cpu().numpy()
        promised = (given * v).reshape(len(v), -1).sum(1)
        scale = float(np.linalg.norm(given)) + float(np.abs(slopes).max())
        apart = np.abs(slopes - promised).max()
        return _Verdict(promised, slopes, bool(np.isnan(apart)) or bool(apart <= self._limit * scale))


def _sentences(
    calls: Sequence[Seen], sites: Mapping[Mark, int], gradients: Mapping[str, torch.Tensor | None], judge: _Judge
) -> list[str]:
    """Sentences on the innermost calls whose outputs' gradients are right and that pass on something wrong."""
    known = {mark: site for mark, site in sites.items() if mark.known}
    verdicts = judge.sites(known)
    parameters = {
        name: judge.parameter(number, gradients[name], value.detach())
        for number, (name, value) in enumerate(judge.case.parameters.items())
    }
    blamed: dict[int, dict[str, _Verdict]] = {}
    for number, call in enumerate(calls):
        outputs = [verdicts[mark] for mark in call.outputs if mark in verdicts]
        if not outputs or not all(one.right for one in outputs):
            continue
        passed = {mark.name: verdicts[mark] for mark in call.inputs if mark in verdicts}
        passed.update({own: parameters[name] for own, name in call.parameters if name in parameters
                       and not _spoilt_elsewhere(calls, number, judge.case.parameters[name], name, verdicts)})
        if not all(one.right for one in passed.values()):
            blamed[number] = passed
    outer = {number for call in blamed for number in calls[call].within}
    found = [_sentence(_name(calls, number, blamed), passed) for number, passed in blamed.items()
             if number not in outer]
    if not found and calls and not blamed:
        found = _of_the_loss([verdicts[mark] for mark in calls[0].outputs if mark in verdicts])
    return list(dict.fromkeys(found))


def _spoilt_elsewhere(
    calls: Sequence[Seen], number: int, parameter: torch.Tensor, name: str, verdicts: Mapping[Mark, _Verdict]
) -> bool:
    """Tell whether a call apart from this one adds something wrong to a parameter's gradient, which is their sum: it is
    handed a wrong gradient, or is a Function that is called with the parameter and passes on a wrong one.
    """
    for other, call in enumerate(calls):
        if other == number or other in calls[number].within or number in call.within:
            continue
        own = any(of == name for _, of in call.parameters)
        if own and any(mark in verdicts and not verdicts[mark].right for mark in call.outputs):
            return True
        if any(mark.tensor is parameter and mark in verdicts and not verdicts[mark].right for mark in call.inputs):
            return True
    return False


def _name(calls: Sequence[Seen], number: int, blamed: Mapping[int, Any]) -> str:
    """Return a call's label, and which of several it is where not all of them are to blame."""
    label = calls[number].label
    alike = [other for other, call in enumerate(calls) if call.label == label]
    if all(other in blamed for other in alike):
        return label
    return f"{label}, in call {alike.index(number) + 1} of {len(alike)},"


def _of_the_loss(outputs: Sequence[_Verdict]) -> list[str]:
    """Return a sentence where the gradient that the module's outputs are handed is wrong."""
    wrong = [one for one in outputs if not one.right]
    if not wrong:
        return []
    return ["The backward of the loss is wrong: the gradient that it hands to the module's output is "
            f"{_factor(wrong[0].promised, wrong[0].slopes)}."]


def _sentence(label: str, passed: Mapping[str, _Verdict]) -> str:
    """Return what is wrong with one operation."""
    right = [name for name, one in passed.items() if one.right]
    wrong = {name: one for name, one in passed.items() if not one.right}
    if not right and not any(one.slopes.any() for one in wrong.values()):
        return (f"The gradient is that of another function: {label} is constant where it is, and its backward "
                "hands gradients on all the same, as a straight-through estimator does.")
    several = len(right) > 1
    fine = f"its gradient{'s' * several} of {_listed(right)} {'are' if several else 'is'} right but " if right else ""
    bad = " and ".join(f"its gradient of {name} is {_factor(one.promised, one.slopes)}" for name, one in wrong.items())
    return f"The backward of {label} is wrong: {fine}{bad}."


def _size(value: torch.Tensor) -> float:
    """Return the root of the mean square of a tensor, 1 where that is zero."""
    return float(value.detach().double().square().mean().sqrt()) or 1.0


def _groups(marks: Sequence[Mark], size: int) -> Iterator[list[Mark]]:
    for start in range(0, len(marks), size):
        yield list(marks[start : start + size])


def _factor(promised: Any, slopes: Any) -> str:
    """By what the gradient is off, where that is one factor along all directions."""
    if not np.abs(promised).max():
        return "zero"
    if not np.abs(slopes).max():
        return "not zero where the truth is"
    with np.errstate(all="ignore"):
        factors = promised / slopes
    spread = float(np.ptp(factors))
    if math.isfinite(spread) and spread <= 1e-3 * abs(float(factors.mean())):
        return f"{float(factors.mean()):.3f} times the truth"
    return "not that of its forward"


def _listed(names: Sequence[str]) -> str:
    return "".join(names) if len(names) < 2 else ", ".join(names[:-1]) + f" and {names[-1]}"
