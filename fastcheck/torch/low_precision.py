"""Gradients in less than single precision against the truth: the same module, at the same point, in double precision.

The double-precision gradient is proven first, by exact differences; only then it is the truth.  The backward pass in
low precision then runs again and again at points that differ by about one rounding, with the truth beside each run, so
that the spread of its rounding is measured (``fastcheck.verdict.spread``).
"""

import copy
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import grad, vmap
from torch.utils._pytree import tree_map

from .._types import Array
from ..checks.low_precision import (
    LEAST_RUNS,
    RUNS,
    RUNS_FURTHER,
    SECONDS,
    NoTruthError,
    errors_of_yardstick,
    is_enough,
    judged_by_runs,
    report_of,
)
from ..problems.gradients import Dithered
from ..problems.parameters.layout import Layout
from ..report.report import Report
from .by_autograd import by_autograd
from .calls import functions_of
from .case import Case, Coarsest, as_array, copied, detached, double, mapped
from .inside import as_twin, inside
from .kept import copied_buffers, untouched
from .tensors import floating, quiet
from .widened import Widened

# The truths at all points come from one pass where that takes no more than this, and where they agree with a pass of
# its own at the caller's point to this.
STACK_BYTES, SAME = 1 << 27, 1e-10


class Twin:
    """A module and its loss in double precision.

    Parameters
    ----------
    case : the module as the caller has it.

    Raises
    ------
    NoTruthError : where no copy in double precision can be made.
    """

    def __init__(self, case: Case) -> None:
        if any(parameter.is_complex() for parameter in case.parameters.values()):
            raise NoTruthError("it has complex parameters")
        try:
            self.module, self.loss = doubled(case.plain, case.loss)
        except Exception as error:
            raise NoTruthError(f"no copy of the module in double precision ({error})") from error
        self.names, self.original, self._drawing = tuple(case.parameters), case.plain, case.drawing
        self.numbers = 0  # made by one run, forward and backward

    def run(self, point: "Point") -> tuple[float, dict[str, Array]]:
        """Return the loss and the gradients at a point.

        Raises
        ------
        NoTruthError : where the module fails in double precision, or computes in less all the same.
        """
        parameters = dict(self.module.named_parameters())
        with torch.no_grad():
            for name, value in zip(self.names, point.parameters, strict=True):
                parameters[name].copy_(value)
                parameters[name].grad = None
        args, kwargs, targets = (mapped(part, double) for part in (point.args, point.kwargs, point.targets))
        watching = Coarsest(of_double=True)
        try:
            with (
                self._drawing(), untouched(self.module, copied_buffers(self.module)), watching, Widened(),
                torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False),
            ):
                value = self._cost(args, kwargs, targets)
                value.backward()
        except Exception as error:
            raise NoTruthError(f"it fails in double precision ({type(error).__name__}: {error})") from error
        if watching.found:
            raise NoTruthError("it computes in less than double precision by itself")
        self.numbers = watching.numbers
        return value.item(), {name: _gradient_of(parameters[name]) for name in self.names}

    def _cost(self, args: Any, kwargs: Any, targets: Any) -> torch.Tensor:
        """Return the loss; where it holds tensors of the module that this is a twin of, it gets the twin's."""
        args, kwargs, targets = (mapped(part, copied) for part in (args, kwargs, targets))
        with as_twin(self.original, self.module):
            outputs = self.module(*args, **kwargs)
            return self.loss(outputs) if targets is None else self.loss(outputs, targets)

    def run_all(self, points: "Sequence[Point]", first: Array) -> list[Array]:
        """Return the gradients (n,) at several points, by one pass where vmap can take the module.

        Parameters
        ----------
        points : where; all of them with the same targets and the same arguments, but for what moves.
        first : the gradients at the first of them, which that pass has to give as well.
        """
        found = self._stacked(points)
        if found is not None and np.linalg.norm(found[0] - first) <= SAME * np.linalg.norm(first):
            return list(found)
        return [first, *(_joined(self.run(point)[1].values()) for point in points[1:])]

    def _stacked(self, points: "Sequence[Point]") -> Array | None:
        """Return the gradients (points, n) by one pass; None where vmap cannot take the module."""
        def cost(given: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor], args: Any, kwargs: Any) -> Any:
            return inside(self.module, {**given, **buffers}, lambda: self._cost(args, kwargs, targets))

        first, count = points[0], len(points)
        targets = mapped(first.targets, double)
        given = {name: torch.stack([double(point.parameters[k]) for point in points])
                 for k, name in enumerate(self.names)}
        buffers = {name: b.expand(count, *b.shape).clone() for name, b in self.module.named_buffers()}
        args, kwargs = (tree_map(_stack, *parts) for parts in zip(*((p.args, p.kwargs) for p in points), strict=True))
        dims = (0, 0, tree_map(_axis, first.args), tree_map(_axis, first.kwargs))
        try:
            with Widened(), torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False), quiet():
                found = vmap(grad(cost), dims)(given, buffers, args, kwargs)
        except Exception:
            return None  # functions without a rule for batches, branches on values, whatever else vmap cannot do
        return np.concatenate([found[name].reshape(count, -1).numpy(force=True) for name in self.names], axis=1)


def doubled(module: nn.Module, loss: Any) -> tuple[nn.Module, Any]:
    """Return copies of a module and its loss in double precision, which share what these share."""
    if not isinstance(loss, nn.Module):
        return copy.deepcopy(module).double(), loss
    twin, twin_loss = copy.deepcopy((module, loss))
    return twin.double(), twin_loss.double()


@dataclass(frozen=True)
class Point:
    """Where a backward pass runs.

    Parameters
    ----------
    parameters, args, kwargs, targets : of the module and its loss.
    factor : of the loss.
    """

    parameters: list[torch.Tensor]
    args: Any
    kwargs: Any
    targets: Any
    factor: float = 1.0

    @classmethod
    def of(cls, case: Case, generator: torch.Generator | None = None) -> "Point":
        """Return the caller's point, or one beside it, moved by about one rounding, where a generator draws the moves.

        The loss's own factor is moved too: what it hands backward would be rounded alike in every run otherwise.
        """
        def moved(value: Any) -> Any:
            if generator is None or not moves(value):
                return detached(value)
            return _jiggled(value.detach(), case.coarse, generator)

        parameters = [moved(parameter).clone() for parameter in case.parameters.values()]
        args, kwargs = mapped(case.args, moved), mapped(case.kwargs, moved)
        factor = 1.0 if generator is None else int(torch.randint(96, 160, (), generator=generator)) / 128
        return cls(parameters, args, kwargs, case.targets, factor)


def dithered(
    case: Case, twin: Twin, seed: int, seconds: float, run: Callable[[Case, Point], Array] | None = None,
    most: int = RUNS,
) -> tuple[float, Dithered]:
    """Run the backward pass at the caller's point and beside it, with the truth at each.

    Parameters
    ----------
    case, twin : the module, and the same in double precision.
    seed : of the points.
    seconds : how long that may take, beside the least number of runs.
    run : gives the gradients in low precision at a point; None for the module as it is, end to end.
    most : how many runs.

    Returns
    -------
    The true loss at the caller's point, and the runs.
    """
    started = time.perf_counter()
    run = run or end_to_end
    own = [parameter.detach().clone() for parameter in case.parameters.values()]
    points = [Point.of(case)]
    try:
        loss, truth = twin.run(points[0])
        low, true = [run(case, points[0])], [_joined(truth.values())]
        at_once = RUNS * 8 * twin.numbers <= STACK_BYTES
        for point in itertools.islice(_beside(case, seed), most - 1):
            low.append(run(case, point))
            if at_once:
                points.append(point)
            else:
                true.append(_joined(twin.run(point)[1].values()))
            if is_enough(len(low), time.perf_counter() - started, seconds):
                break
    finally:
        put(case, own)
    if at_once:
        true = twin.run_all(points, true[0])
    return loss, Dithered(np.stack(low), np.stack(true), case.coarse)


def judged_by_spread(
    case: Case, twin: Twin, norm: float, seed: int, seconds: float | None,
    gradients: Mapping[str, Array] | None = None, run: Callable[[Case, "Point"], Array] | None = None,
) -> Report:
    """Judge a module's gradients in low precision by the measured spread of their rounding.

    Parameters
    ----------
    case : the module as the caller has it.
    twin : the same in double precision; its gradients have been proven.
    norm, seed : as in ``check_module``.
    seconds : how long the runs may take; None for some seconds.
    gradients : what is judged, where that is not what a backward pass now would give.
    run : as of ``dithered``; of others beside ``gradients`` it leaves out what happens to parameters' gradients
        afterwards, in hooks of theirs.

    Raises
    ------
    NoTruthError : where the module does not run in double precision throughout.
    """
    started = time.perf_counter()
    most = SECONDS if seconds is None else min(seconds, SECONDS)
    loss, runs = dithered(case, twin, seed, most, run)
    if gradients is not None:
        runs.gradients[0] = _joined(gradients[name] for name in case.parameters)
        runs = replace(runs, alone=True)
    runs = replace(runs, yardstick=_yardstick(case, twin, seed, most))
    layout = Layout.of({name: np.zeros(tuple(p.shape)) for name, p in case.parameters.items()})
    theta = _joined(as_array(p) for p in case.parameters.values())

    def report_on(found: Dithered) -> Report:
        spent = time.perf_counter() - started
        return report_of(layout.tensors, theta, loss, found, norm=norm, seed=seed, seconds=spent)

    def further(reach: float) -> Dithered:
        return dithered(replace(case, coarse=reach), twin, seed, most, run, RUNS_FURTHER)[1]

    return judged_by_runs(report_on, runs, further)


def _yardstick(case: Case, twin: Twin, seed: int, seconds: float) -> Array | None:
    """Return the errors (runs, n) that autograd leaves where it differentiates custom Functions in low precision.

    None where the module has none, and as in ``errors_of_yardstick``.
    """
    with untouched(case.plain, copied_buffers(case.plain)):
        kinds = functions_of(case.cost(case.plain, case.args, case.kwargs, case.targets))
    if not kinds:
        return None

    def run(case: Case, point: Point) -> Array:
        with by_autograd(kinds):
            return by_itself(case, point)

    return errors_of_yardstick(lambda: dithered(case, twin, seed, seconds, run, LEAST_RUNS)[1], case.coarse)


def runs_beside(case: Case, seed: int, count: int) -> list[dict[str, Array]]:
    """Return gradients at the caller's point, and at ``count`` points a rounding beside it.

    They are the module's own: what hooks do to its parameters' gradients is not in them.
    """
    points = (Point.of(case), *itertools.islice(_beside(case, seed), count))
    return [by_name(case, by_itself(case, point)) for point in points]


def by_name(case: Case, flat: Array) -> dict[str, Array]:
    """Return gradients (n,) as arrays of their parameters' shapes, by name."""
    stops = np.cumsum([parameter.numel() for parameter in case.parameters.values()])[:-1]
    return {name: part.reshape(tuple(parameter.shape))
            for (name, parameter), part in zip(case.parameters.items(), np.split(flat, stops), strict=True)}


def _beside(case: Case, seed: int) -> Iterator[Point]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(RUNS - 1):
        yield Point.of(case, generator)


def _jiggled(value: torch.Tensor, unit: float, generator: torch.Generator) -> torch.Tensor:
    """Return every entry moved by up to two roundings of the low precision, to either side."""
    drawn = torch.rand(value.shape, generator=generator, dtype=torch.float64).to(value.device)
    sides = torch.randint(0, 2, value.shape, generator=generator).to(value.device) * 2 - 1
    return (value.double() * (1 + 2 * unit * sides * (0.25 + 0.75 * drawn))).to(value.dtype)


def end_to_end(case: Case, point: Point) -> Array:
    """Return the gradients of the module as it is, end to end, at a point."""
    put(case, point.parameters)
    for parameter in case.parameters.values():
        parameter.grad = None
    with untouched(case.plain, copied_buffers(case.plain)), case.drawing():
        (case.cost_drawn_on(case.module, point.args, point.kwargs, point.targets) * point.factor).backward()
    return _joined(_gradient_of(parameter) for parameter in case.parameters.values()) / point.factor


def moves(value: Any) -> bool:
    """Tell whether rounding moves a value from point to point."""
    return floating(value) and not value.is_complex()


def _stack(*values: Any) -> Any:
    return torch.stack([double(value) for value in values]) if moves(values[0]) else values[0]


def _axis(value: Any) -> int | None:
    return 0 if moves(value) else None


def by_itself(case: Case, point: Point) -> Array:
    """Return the gradients of the module's loss as a function of its parameters, at a point."""
    here = replace(case, args=point.args, kwargs=point.kwargs)
    torch.clear_autocast_cache()  # which holds the parameters of the last run in low precision
    return _joined(here.gradients(detached, [value.clone() for value in point.parameters], point.factor)) / point.factor


def put(case: Case, values: list[torch.Tensor]) -> None:
    """Give a module's parameters values, in place."""
    torch.clear_autocast_cache()  # which holds the parameters of the last run in low precision
    with torch.no_grad():
        for parameter, value in zip(case.parameters.values(), values, strict=True):
            parameter.copy_(value)


def _gradient_of(parameter: torch.Tensor) -> Array:
    if parameter.grad is None:
        return np.zeros(tuple(parameter.shape))
    return np.asarray(parameter.grad.detach().to_dense().double().cpu().numpy())


def _joined(arrays: Any) -> Array:
    return np.concatenate([np.asarray(array, np.float64).ravel() for array in arrays])
