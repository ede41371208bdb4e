"""``check_module``: every parameter of an nn.Module against loss.backward(); and ``Watch``, while it trains."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from .._constants import COARSE, UNIT_ROUNDOFFS
from .._errors import NoRule, in_short
from .._names import Method
from .._types import Array
from .._validation import kind_of, known, time_left
from ..checks.function import check_function
from ..checks.low_precision import NOT_PROVEN, NoTruthError, the_telling_one
from ..checks.network import check
from ..engines.program.patience import method_of
from ..problems.files import torch_chain as chain
from ..report.report import Report
from ..runtime.resources import memory_of, threads_of
from ..runtime.run import Run
from ..verdict.outcome import FAIL, Cause
from .by_design import of_no_probabilities, other_by_design
from .case import FROZEN, HALVES, Case, as_array, detached, double, in_pairs, mapped, require_still
from .cost import TorchCost
from .function import TorchFunction
from .kept import preserved
from .loss_rounding import loss_rounding, without_loss_rounding
from .low_precision import Point, Twin, by_itself, by_name, end_to_end, judged_by_spread
from .operations import of_another_function, wrong_operations
from .repeats import repeats
from .step import finite
from .tensors import floating
from .watch import BaseWatch


def check_module(
    module: nn.Module,
    loss: Callable[..., torch.Tensor],
    inputs: Any,
    targets: Any = None,
    *,
    tolerance: float | None = None,
    norm: float = 2,
    method: Method | None = None,
    samples: int | None = None,
    directions: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    memory_limit: int | None = None,
    time_limit: float | None = None,
    progress: Any = False,
    randomness: Literal["frozen"] | None = None,
) -> Report:
    """Check what loss.backward() puts into every parameter of a module.

    Where the module computes in float16 or bfloat16 (autocast, or parameters of these types), its gradients are judged
    as they ran: the same module in double precision is proven first, and gives the truth; the spread of the rounding
    around it is measured by repeated runs (see ``fastcheck.verdict.spread``), and what it cannot explain fails.  The
    report says how large an error would have been seen.  Modules that cannot run in double precision are inconclusive
    there, but for gross mistakes.  In float32 gradients are held to tolerances first, and to that spread where they do
    not pass: rounding may flip a mask.

    The loss is differenced exactly, in double precision: a nn.Sequential of Linear layers and known activations with a
    known loss by the response engine, any other module by the rules of its operators (``fastcheck.torch.program``).
    Where an operator has no rule, ordinary differences are taken.  The report's engine and notes say which, and why.
    Parameters, buffers, gradients, random state and training mode are afterwards as before.

    Parameters
    ----------
    module : its parameters that require gradients are checked.  Of a compiled module (torch.compile) the compiled
        code's gradients are, by differences of the module that it was made of.
    loss : loss(module(inputs), targets) -> a number; with targets=None loss(module(inputs)).
    inputs : a tensor, a tuple of arguments of the module, or a dictionary of keyword arguments.
    targets : of the loss.
    method : None for all entries where that takes a few seconds, else directions through everything; the report says
        which.  "all", "sample" and "directional" as in ``fastcheck.check``.
    randomness : None refuses dropout that is active.  "frozen" checks the module as it is in training: every run
        begins with the random state that torch has now, so that dropout and noise are the same each time, and with
        the buffers that the module has now.
    tolerance, norm, samples, directions, seed, threads, memory_limit, time_limit, progress : as in
        ``fastcheck.check``.

    Returns
    -------
    Report : of the parameters by the module's own names; complex ones have a last axis of real and imaginary parts.

    Raises
    ------
    ValueError : where dropout is active; and for what does not fit.
    NondeterministicError : if the loss is random.
    """
    started = time.perf_counter()
    if not isinstance(module, nn.Module):
        raise TypeError(f"module: expected a torch.nn.Module, got {kind_of(module)}")
    if randomness is not None:
        known("randomness", randomness, {FROZEN: None})
    else:
        require_still(module)
    options: dict[str, Any] = {
        "tolerance": tolerance, "norm": norm, "samples": samples, "directions": directions, "seed": seed,
        "threads": threads, "memory_limit": memory_limit, "time_limit": time_limit, "progress": progress,
    }
    case = Case.of(module, loss, inputs, targets, frozen=randomness is not None)
    notes = []
    with torch.inference_mode(False), torch.enable_grad(), preserved(case.module, loss):
        value, gradients = case.backward()
        options["time_limit"] = time_left(started, time_limit)
        if not (math.isfinite(value) or finite(gradients)):
            return _by_operators(case, value, gradients, "the loss is not finite", method, options).with_cost(value)
        if case.coarse and tolerance is None:
            try:
                return _by_spread(case, method, options)
            except NoTruthError as reason:
                notes.append(f"The spread of rounding was not measured: {reason}.")
            options["tolerance"] = COARSE
        report = _exactly(case, value, gradients, method, options)
        if tolerance is None and not case.coarse:
            report = _looked_again(case, report, method, options)
    return report.held_open(Cause.COARSE).noted(*notes) if case.coarse and tolerance is None else report


class Watch(BaseWatch):  # noqa: D101 - its docstring is that of ``BaseWatch``, which does all but the check
    __doc__ = BaseWatch.__doc__

    def _checked(self, case: Case, gradients: dict[str, Array], memory_limit: int) -> Report:
        return _at_step(case, gradients, memory_limit)


def _at_step(case: Case, gradients: dict[str, Array], memory_limit: int) -> Report:
    """Check the gradients that a training step has, along random directions and entry by entry where those disagree.

    Where the step computes in less than double precision its backward pass runs again, to measure how its rounding
    spreads; where that cannot be, only gross mistakes fail.
    """
    options: dict[str, Any] = {
        "tolerance": None, "norm": 2, "samples": None, "directions": None, "seed": 0, "threads": None,
        "memory_limit": memory_limit, "time_limit": None, "progress": False,
    }
    reason = "these are the gradients of a training step"
    if not finite(gradients):
        value = case.cost(case.module, case.args, case.kwargs, case.targets).item()
        if not math.isfinite(value):
            return _by_operators(case, None, gradients, reason, "directional", options).with_cost(value)
    if case.coarse:
        try:
            return _by_spread(case, "directional", options, gradients)
        except NoTruthError:
            options["tolerance"] = COARSE
    report = _by_operators(case, None, gradients, reason, "directional", options)
    report = _doubted(case, report, at_step=True)
    return report.held_open(Cause.COARSE) if case.coarse else report


def _looked_again(case: Case, report: Report, method: Method | None, options: dict[str, Any]) -> Report:
    """A report on single precision that did not pass, or what the spread of rounding says instead.

    Rounding may have carried a pre-activation across its kink, or be all that a gradient consists of: the spread tells
    both from a mistake.
    """
    if report.ok or not (case.single or any(p.dtype == torch.float32 for p in case.parameters.values())):
        return report
    try:
        spread = _by_spread(replace(case, coarse=UNIT_ROUNDOFFS["float32"]), method, options)
    except NoTruthError:
        return report
    return the_telling_one(report, spread)


def _exactly(
    case: Case, value: float, gradients: dict[str, Array], method: Method | None, options: dict[str, Any]
) -> Report:
    """Gradients against exact differences, by the engine for dense chains where a Network can stand for the module."""
    until = math.inf if options["time_limit"] is None else time.perf_counter() + options["time_limit"]
    try:
        report = _by_response(case, value, gradients, {**options, "method": method or "all"})
    except chain.NotAChainError as reason:
        report = _by_operators(case, value, gradients, str(reason), method, options)
    report = _doubted(case, report)
    return report.noted(*_explained(case, gradients, until)) if report.verdict == FAIL else report


def _doubted(case: Case, report: Report, *, at_step: bool = False) -> Report:
    """A report that did not pass, with doubts about parameters whose gradient is by design another.

    What a training step detaches is meant to stand still, as the vectors of a spectral norm do: that is no doubt there.
    """
    for cause, names in () if report.ok else other_by_design(case):
        if not (at_step and cause == Cause.ITERATED):
            report = report.doubted(names, cause)
    return report


def _explained(case: Case, gradients: dict[str, Array], until: float) -> list[str]:
    """Return what wrong gradients come from: another function, or operations whose backward is wrong.

    Nothing is begun after ``until``, of ``time.perf_counter``.
    """
    if time.perf_counter() >= until or any(p.is_complex() for p in case.parameters.values()):
        return []
    if supposed := of_no_probabilities(case):
        return [supposed]
    try:
        another = of_another_function(case, gradients)
    except NoRule:
        another = ""
    return [another] if another else wrong_operations(case, until)


def _by_spread(
    case: Case, method: Method | None, options: dict[str, Any], judged: dict[str, Array] | None = None
) -> Report:
    """By the truth in double precision, proven by exact differences, and the measured spread of rounding around it.

    Where a training step is ``judged``, what it detaches is meant to stand still.
    """
    if case.frozen and case.draws is None:
        drawn = case.drawn()
        if drawn.fused is not None:
            raise NoTruthError(f"{drawn.fused} uses random numbers that it draws, others in double precision")
        case.draws = drawn.values
    twin = Twin(case)
    value, gradients = twin.run(Point.of(case))
    inputs, targets = mapped(case.kwargs or case.args, double), mapped(case.targets, double)
    wide = Case.of(twin.module, twin.loss, inputs, targets, frozen=case.frozen)
    wide.state, wide.draws, wide.narrow, wide.original = case.state, case.draws, True, case.plain
    proof = _exactly(wide, value, gradients, method, options)
    meant = judged is not None and not proof.ok and bool(of_another_function(case, gradients))
    if proof.verdict == FAIL and not meant:
        return proof.noted("In double precision, too, the backward pass is wrong; this is the report on that.")
    limits = options["norm"], options["seed"], options["time_limit"]
    report = _doubted(case, _beside_loss_rounding(case, twin, limits, judged), at_step=judged is not None)
    if proof.ok or meant:
        return report
    return report.held_open(Cause.COARSE).noted(NOT_PROVEN, *proof.notes)


def _beside_loss_rounding(
    case: Case, twin: Twin, limits: tuple[float, int, float | None], judged: dict[str, Array] | None
) -> Report:
    """By the spread of rounding, without that of the loss's own derivative where it is more than the other.

    What a module's own backward pass gives is judged as it is first, and that report stands unless the other passes: a
    mistake of the module is wrong both ways.
    """
    plain = None if judged is not None else judged_by_spread(case, twin, *limits)
    shared = {} if plain is not None and plain.ok else loss_rounding(case, limits[1])
    if not shared:
        return plain or judged_by_spread(case, twin, *limits, judged, by_itself)
    whole = by_name(case, end_to_end(case, Point.of(case))) if judged is None else judged
    left = {name: one - shared[name] for name, one in whole.items()}
    report = judged_by_spread(case, twin, *limits, left, without_loss_rounding)
    return report if plain is None or report.ok else plain


def _by_response(case: Case, value: float, gradients: dict[str, Array], options: dict[str, Any]) -> Report:
    """By the engine for dense chains.  Raises NotAChainError where a Network cannot stand for the module."""
    layers = chain.layers_of(case.plain)
    if any(p.dtype == torch.bfloat16 for p in case.parameters.values()):
        raise chain.NotAChainError("its gradients are in bfloat16, which NumPy does not have")
    if len(gradients) != 2 * len(layers) or case.kwargs:
        raise chain.NotAChainError("a bias is missing, a parameter shared or frozen")
    cost, output = chain.cost_of(case.loss, layers[-1].activation, layers[-1].linear.out_features)
    net = chain.network_from_chain(layers, cost, output)
    X, Y = _columns(case.args, case.targets, net.widths[0], net.widths[-1])
    parameters, named, own = chain.parameters_of(layers), {}, {}
    for number, layer in enumerate(layers, 1):
        for letter, kind in (("W", "weight"), ("b", "bias")):
            name = f"{layer.name}.{kind}" if layer.name else kind
            named[f"{letter}{number}"] = gradients[name]
            own[f"{letter}{number}"] = (name, gradients[name].shape)
    try:
        found = net.cost_of(parameters, X, Y)
    except (TypeError, ValueError) as error:
        raise chain.NotAChainError(str(error)) from None
    precision = max(float(torch.finfo(p.dtype).eps) for p in case.parameters.values())
    if not abs(found - value) <= max(1e-9, 1e4 * precision) * max(abs(value), 1e-300):
        raise chain.NotAChainError(f"as a fastcheck.Network its loss would be {found:.9g} instead of {value:.9g}")
    report = check(net, parameters, named, X, Y, **options)
    return report.renamed(own).noted(f"Engine response: exact differences of {net!r}, in double precision.")


def _of_pairs(case: Case, widen: Callable[[Any], Any]) -> Callable[..., torch.Tensor]:
    """Return the loss as a function of the parameters, complex ones as pairs of real numbers."""
    function, paired = case.function(widen), [p.is_complex() for p in case.parameters.values()]
    if not any(paired):
        return function

    def of_pairs(*values: torch.Tensor) -> torch.Tensor:
        return function(*(torch.view_as_complex(value) if pair else value
                          for value, pair in zip(values, paired, strict=True)))

    return of_pairs


def _by_operators(
    case: Case, value: float | None, gradients: dict[str, Array], reason: str, method: Method | None,
    options: dict[str, Any],
) -> Report:
    """By exact differences of the loss's operators, else by subtraction; in double precision where the module can.

    value : of the loss as the module ran, where that is known.
    """
    names, given, notes = tuple(case.parameters), case.parameters, []
    until = math.inf if options["time_limit"] is None else time.perf_counter() + options["time_limit"]
    for widen in (double, detached):
        inputs = tuple(in_pairs(widen(p)).clone() for p in given.values())
        function = TorchFunction(_of_pairs(case, widen), inputs, tuple(range(len(names))), names)
        try:
            with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
                examined = value if value is not None and case.is_double else float(function.value()[0].detach())
                break
        except Exception as error:
            if widen is detached:
                raise
            notes.append(f"The module cannot run in double precision ({in_short(error)}).")
    # A training step's gradients have been through more than the module's own backward pass.
    backward = by_itself if value is None else end_to_end
    precision = {name: HALVES[p.dtype] for name, p in given.items() if p.dtype == torch.bfloat16}
    cost = TorchCost(function, examined, repeats(case, options["seed"], until, backward), precision)
    plain = {name: as_array(p) for name, p in given.items()}
    with torch.no_grad():
        if method is None:
            run = Run(threads_of(options["threads"]), memory_of(options["memory_limit"]))
            method, said = method_of(lambda: cost.problem, run)
            notes += said
        report = check_function(cost, plain, gradients, method=method, **options)
    return report.noted(f"{cost.how(report.engine)} No response engine: {reason}.", *notes)


def _columns(inputs: tuple[Any, ...], targets: Any, width: int, outputs: int) -> tuple[Array, Array]:
    """X (n_x, m) and Y as a Network has them."""
    if len(inputs) != 1 or not floating(inputs[0]) or not isinstance(targets, torch.Tensor) or inputs[0].ndim < 2:
        raise chain.NotAChainError("its inputs and targets are not one tensor each, samples in rows")
    X = inputs[0].detach().flatten(1)
    X = X.to(torch.float32) if X.dtype == torch.bfloat16 else X  # which NumPy does not have
    if X.shape[1] != width:
        raise chain.NotAChainError(f"it acts on an axis of its inputs {tuple(inputs[0].shape)} other than the second")
    Y: Any = targets.detach().cpu().numpy()
    if Y.shape == (X.shape[0],) and (Y.dtype.kind in "iu" or outputs == 1):
        return np.asarray(X.T.cpu().numpy()), Y
    if Y.shape != (X.shape[0], outputs):
        raise chain.NotAChainError(f"its targets have shape {Y.shape}, not {(X.shape[0], outputs)}")
    return np.asarray(X.T.cpu().numpy()), Y.T
