"""The front door for networks: validate what came in, run an engine, judge, report."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import pairwise
from os import PathLike
from typing import Any

import numpy as np

from .._names import Engine, Method
from .._validation import (
    LONGEST,
    SHORTEST,
    deadline,
    epsilon_of,
    executor_of,
    integer,
    kind_of,
    known,
    norm_of,
    path_of,
    tolerance_of,
)
from ..engines.base import COMPILING_SECONDS, ENGINES, engine as engine_named, is_for_once, is_small, respond_at_once
from ..engines.distributed.run import Shared
from ..engines.finite.directional import Probe, exact_slopes, probe
from ..engines.finite.lines import timely
from ..engines.plain.directional import differences_along
from ..problems.functions.repeats import called
from ..problems.gradients import AnalyticGradient, RunAgain
from ..problems.networks.backprop_rounding import Rounding
from ..problems.networks.conventions.layout_back import users_layout
from ..problems.networks.cost_model import require_memory
from ..problems.networks.network import Network
from ..problems.networks.other_readings import agreeing_readings
from ..problems.networks.problem import Problem
from ..problems.networks.reading import Reading, read_at_once, read_call
from ..problems.parameters.layout import lowest_precision
from ..problems.parameters.sampling import choose, power
from ..problems.parameters.tensor import Tensor
from ..report.report import Report
from ..runtime.progress import Progress, reporting
from ..runtime.resources import memory_of, threads_of
from ..runtime.run import Run
from ..runtime.threads import ONE_THREAD, helpers_at_hand, one_blas_thread
from ..verdict.diagnosis.trials import Trials
from ..verdict.outcome import FAIL, PASS
from ..verdict.recheck import recheck
from ..verdict.tolerance import allowed_anywhere
from .directional import entries_beside, with_directions
from .evaluating import keeping
from .selection import METHODS, Selection

# Up to this many parameters the results take no memory worth asking for.
SMALL = 10_000


def check(
    net: Network,
    parameters: Mapping[str, Any],
    gradients: Mapping[str, Any] | Callable[..., Mapping[str, Any]],
    X: Any,
    Y: Any,
    *,
    epsilon: float = 1e-7,
    tolerance: float | None = None,
    norm: float = 2,
    engine: Engine = "response",
    method: Method = "all",
    samples: int | None = None,
    directions: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    memory_limit: int | None = None,
    time_limit: float | None = None,
    progress: bool | Progress = False,
    executor: Executor | None = None,
    checkpoint: str | PathLike[str] | None = None,
) -> Report:
    """Compare hand-written gradients with central differences of the cost, for every parameter.

    Parameters
    ----------
    net : the network the gradients belong to.
    parameters : {"W1": (n_1, n_x), "b1": (n_1, 1) or (n_1,), ...}; other names ("w0", "fc1.weight"), lists of (W, b),
        (weights, biases), networks without biases and weights as (inputs, outputs) are read too.
    gradients : the same shapes, named "dW1", "db1", ... or "W1", "b1", ..., "grad_W1", "W1_grad"; or only some of them,
        and then only those are checked.  What stands beside them (dZ3, dA2) is ignored.  Or a function
        gradients(parameters, X, Y) that returns them: where they disagree it is run again beside the parameters, which
        tells rounding of float32 buffers, and of what cancels, from a mistake.
    X : (n_x, m), samples in columns, or (m, n_x), in rows: see ``Network``.
    Y : binary (m,) or (1, m); labels (m,) or one-hot (n_L, m) for softmax; (n_L, m) for regression; or in rows, as X.
    epsilon : the perturbation.
    tolerance : largest relative difference; None for 1e-7, or what the gradients' precision allows.
    norm : 1, 2 or numpy.inf, of the difference.
    engine : "response" (exact differences), "full" (the textbook compiled) or "reference" (the textbook).
    method : "all" parameters; a random "sample" of each tensor; or "directional": random directions in each tensor,
        by exact differences whatever the engine, and bisection to a wrong entry.
    samples : entries in all for method="sample"; None for 1,000 of each tensor.
    directions : directions per tensor for method="directional"; None for three.
    seed : of random choices.
    threads : at most this many; None for all cores.
    memory_limit : bytes on top of the vectors of n numbers, X and Y; None for a quarter of the free memory, at most
        1 GiB.
    time_limit : seconds after which no further piece is started; entries are taken at random then, and the report says
        how many were checked.
    progress : True for a bar, or a function of (done, total).
    executor : any concurrent.futures.Executor, of threads, processes or other machines: its workers do the engine's
        work, one thread each; memory_limit holds for each of them.  Small checks are done at once in this process.
    checkpoint : a file that keeps what is finished: the same call again goes on from there.  A file with ".data" after
        its name is written next to it.

    Returns
    -------
    Report

    Raises
    ------
    ValueError, TypeError : for input that does not fit, with its name, what was expected and what came; for a
        checkpoint of another check, or a damaged one.
    MemoryError : before anything is done, where the results would not fit.
    EngineError : if an engine's own spot check fails.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcheck import Dense
    >>> net = Network([Dense(2, 3, "tanh"), Dense(3, 1, "sigmoid")], cost="binary_cross_entropy")
    >>> parameters, X, Y = net.initialize(0), np.eye(2), np.array([0, 1])
    >>> check(net, parameters, net.gradients(parameters, X, Y), X, Y).verdict
    'pass'
    """
    started = time.perf_counter()
    net = _checkable(net)
    gradients, again = _called(net, gradients, (parameters, X), Y, seed, started, time_limit)
    how: dict[str, Any] = {"epsilon": epsilon, "norm": norm, "tolerance": tolerance, "engine": engine,
                           "method": method, "seed": seed}
    known("engine", engine, ENGINES)
    known("method", method, METHODS)
    if (engine == "response" and method == "all" and type(epsilon) is float and type(norm) in (int, float)
            and type(seed) is int and norm == 2 and SHORTEST <= epsilon <= LONGEST and seed >= 0
            and tolerance is None and samples is None and directions is None and memory_limit is None
            and time_limit is None and progress is False and executor is None and checkpoint is None
            and (threads is None or threads_of(threads))):
        made = _at_once(net, parameters, gradients, X, Y, how, started)
        if made is not None:
            return made
    selection = Selection.of(method, samples, directions, seed)
    epsilon, norm, tolerance = epsilon_of(epsilon), norm_of(norm), tolerance_of(tolerance)
    how |= {"epsilon": epsilon, "norm": norm, "tolerance": tolerance}
    limits = threads_of(threads), memory_of(memory_limit)
    # where an executor forks this process, no thread is to wait in it
    with helpers_at_hand() if executor is None else nullcontext():
        read = read_call(net, parameters, gradients, X, Y, limits[0])
        problem, subject = _problem(net, read, limits[1], again)
        if engine != "response":
            net.layout.require_visible(
                problem.theta, epsilon, "use a larger epsilon, or engine='response', which never adds it to a parameter"
            )
        saved, until = path_of("checkpoint", checkpoint), deadline(started, time_limit)
        shared = Shared(engine, engine_named(engine), executor_of(executor), saved, until, seed,
                        is_small if engine == "response" else None)
        if method == "all" and (memory_limit is not None or net.size > SMALL):
            require_memory(problem.network, limits[1])
        alone = engine == "response" and method == "all" and executor is None and _tiny(net, problem.m)
        with reporting(progress) as report, nullcontext() if alone else one_blas_thread():
            subject, probed, notes = _chosen(problem, subject, selection, tolerance, limits[1], until)
            found, checked = shared.as_far_as(problem, subject.indices, epsilon, Run(*limits, report, says=report.says))
            subject, found = replace(subject, indices=checked), replace(found, notes=(*notes, *found.notes))
            if method == "directional":
                allowed = allowed_anywhere(subject, tolerance)
                subject, found, _ = with_directions(probed, subject, found, epsilon, allowed)
            started += found.facts.get(COMPILING_SECONDS, 0.0)  # said apart
            made = Report.of(subject, found, **how, seconds=time.perf_counter() - started, threads=limits[0])
            if not made.ok and len(subject.tensors) == len(net.tensors):
                exact = engine == "response"
                looked = shared if exact else engine_named("response")
                late = Run(*limits, deadline=until)
                closer = recheck(looked, problem, subject, found, made.judgement, epsilon, late, exact=exact)
                if closer is not None:
                    made = Report.of(subject, closer, **how, seconds=time.perf_counter() - started)
            return _as_the_user_has_it(made, problem, subject, read)


def _at_once(
    net: Network, parameters: Any, gradients: Any, X: Any, Y: Any, how: dict[str, Any], started: float
) -> Report | None:
    """Return the report of a small network whose gradients are right, where nothing has to be found out about the call.

    None for any other: what ``check`` then does finds the same, and says what is wrong.
    """
    if type(X) is not np.ndarray or X.ndim != 2 or not is_for_once(net, X.shape[1]):  # before anything large is read
        return None
    read = read_at_once(net, parameters, gradients, X, Y)
    if read is None:
        return None
    problem, subject = _problem(net, read)
    found = respond_at_once(problem, how["epsilon"])
    if found is None:
        return None
    made = Report.of(subject, found, **how, seconds=time.perf_counter() - started)
    return made if made.verdict == PASS else None


def _tiny(net: Network, samples: int) -> bool:
    """Tell whether BLAS does every product of a check on one thread, so that nobody need tell it to."""
    return samples * sum(net.widths) * max(a * b for a, b in pairwise(net.widths)) <= ONE_THREAD


def _as_the_user_has_it(made: Report, problem: Problem, subject: AnalyticGradient, read: Reading) -> Report:
    """Return the report with tensors laid out as they came, and what was found out about that."""
    notes = list(read.notes)
    if made.verdict == FAIL:
        notes += agreeing_readings(problem, subject.gradient, read)
    if read.own is not None:
        made = made.rearranged(*users_layout(made.layout, read.own))
    return made.noted(*notes) if notes else made


def _chosen(
    problem: Problem, subject: AnalyticGradient, selection: Selection, tolerance: float | None, memory_limit: int,
    until: float,
) -> tuple[AnalyticGradient, Probe, tuple[str, ...]]:
    """Tell which entries a method checks, what random directions found, and what that proves."""
    if selection.method == "all":
        return subject, Probe(), ()
    generator = np.random.default_rng(selection.seed)
    tensors = tuple(tensor for tensor in problem.network.tensors if _is_checked(subject, tensor))
    if selection.method == "sample":
        indices = choose(tensors, selection.count, generator)
        return replace(subject, indices=indices), Probe(), (power(tensors, indices),)
    slopes = timely(exact_slopes(differences_along(problem, memory_limit)), until)
    probed = probe(
        tensors, problem.theta, subject.gradient, slopes, directions=selection.count,
        tolerance=allowed_anywhere(subject, tolerance), generator=generator, rounded=bool(subject.precision),
    )
    return replace(subject, indices=entries_beside(probed, tensors, generator)), probed, tuple(probed.notes)


def _is_checked(subject: AnalyticGradient, tensor: Tensor) -> bool:
    """Tell whether there is a gradient of a tensor to check."""
    if subject.indices is None:
        return True
    first, last = np.searchsorted(subject.indices, (tensor.start, tensor.stop))
    return bool(last > first)


def network_problem(net: Network, parameters: Any, gradients: Any, X: Any, Y: Any) -> tuple[Problem, AnalyticGradient]:
    """Validate a network, its parameters and all of its gradients, and its data.

    Raises
    ------
    ValueError, TypeError : see ``check``; and for gradients that are missing.
    """
    read = read_call(_checkable(net), parameters, gradients, X, Y)
    missing = [name for name in read.unchecked if read.own is None or name in read.own]
    if missing:
        raise ValueError(f"gradients: expected one for every parameter, got none for {', '.join(sorted(missing))}")
    return _problem(net, read)


def _called(
    net: Network, gradients: Any, given: tuple[Any, ...], Y: Any, seed: int, started: float, time_limit: float | None
) -> tuple[Any, RunAgain | None]:
    """Return the gradients, and what runs them again where they came as a function of parameters, X and Y.

    Targets stand still then: labels that have moved are no labels.
    """
    if not callable(gradients):
        return gradients, None
    return called(
        partial(_with_targets, gradients, Y), given,
        lambda found, values: read_call(net, values[0], found, values[1], Y).gradients.vector,
        integer("seed", seed, 0), deadline(started, time_limit), keeping(gradients),
    )


def _with_targets(gradients: Callable[..., Any], Y: Any, parameters: Any, X: Any) -> Any:
    return gradients(parameters, X, copy.deepcopy(Y))


def _problem(
    net: Network, read: Reading, memory_limit: float = math.inf, again: RunAgain | None = None
) -> tuple[Problem, AnalyticGradient]:
    """Return what engines start from, and what is judged."""
    problem = Problem(net.canonical, read.parameters.vector, read.X, read.Y)
    indices = None
    if read.unchecked:
        parts = [np.arange(t.start, t.stop) for t in net.tensors if t.name not in read.unchecked]
        indices = np.concatenate(parts)
    low = lowest_precision(read.parameters, read.gradients)
    subject = AnalyticGradient(
        net.tensors, read.parameters.vector, read.gradients.vector, indices, low, net.l2 / problem.m, problem.m,
        Rounding(problem, memory_limit),
        trials=Trials(problem, read.gradients.vector, low, read.unchecked), again=again,
    )
    return problem, subject


def _checkable(net: Any) -> Network:
    """Return the network, if its cost can be differenced.

    Raises
    ------
    TypeError, ValueError : for anything but a network, and for dropout.
    """
    if not isinstance(net, Network):
        remedy = "" if isinstance(net, type) else "; make one by fastcheck.Network.from_parameters(parameters)"
        raise TypeError(f"net: expected a fastcheck.Network, got {kind_of(net)}{remedy}")
    for index, layer in enumerate(net.layers, 1):
        if layer.dropout:
            raise ValueError(
                f"net: expected a network without dropout, got dropout {layer.dropout} in layer {index}: dropped units "
                "make the cost random, and a random cost cannot be differenced; check with dropout off "
                "(net.without_dropout(), and the gradients likewise)"
            )
    return net
