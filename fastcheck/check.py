"""The front door: validate what came in, run an engine, judge, report."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .arrays import real_array
from .differences import Problem, Run, Subject
from .engines import ENGINES, engine as engine_named
from .network import Network, known
from .report import Report

NORMS = {1: 1.0, 2: 2.0, np.inf: np.inf}


def check(
    net: Network,
    parameters: Mapping[str, Any],
    gradients: Mapping[str, Any],
    X: Any,
    Y: Any,
    *,
    epsilon: float = 1e-7,
    tolerance: float | None = None,
    norm: float = 2,
    engine: str = "response",
    seed: int = 0,
    threads: int | None = None,
    memory_limit: int | None = None,
    progress: bool | Callable[[int, int], None] = False,
) -> Report:
    started = time.perf_counter()
    problem, subject = network_problem(net, parameters, gradients, X, Y, epsilon)
    chosen = engine_named(known("engine", engine, dict.fromkeys(ENGINES)))
    found = chosen(problem, None, epsilon, Run(threads or os.cpu_count() or 1, memory_limit or 1 << 30))
    return Report.of(
        subject, found, epsilon=epsilon, norm=float(norm), tolerance=tolerance, engine=engine, method="all", seed=seed,
        seconds=time.perf_counter() - started,
    )


def network_problem(
    net: Network, parameters: Any, gradients: Any, X: Any, Y: Any, epsilon: float
) -> tuple[Problem, Subject]:
    if not isinstance(net, Network):
        raise TypeError(f"net: expected a fastcheck.Network, got {type(net).__name__}")
    theta = net.to_vector(parameters)
    if not isinstance(gradients, Mapping):
        raise TypeError(f"gradients: expected a dictionary of arrays, got {type(gradients).__name__}")
    named = {str(name)[1:] if str(name)[:2] in ("dW", "db") else name: value for name, value in gradients.items()}
    gradient = net.to_vector(named, argument="gradients")
    data = net.inputs(X)
    problem = Problem(net, theta, data, net.targets(Y, data.shape[1]))
    precision = {
        t.name: str(min((real_array(t.name, a[t.name]).dtype for a in (parameters, named)), key=lambda d: d.itemsize))
        for t in net.tensors
        if any(real_array(t.name, a[t.name]).dtype in (np.float16, np.float32) for a in (parameters, named))
    }
    return problem, Subject(net.tensors, theta, gradient, None, precision, net.l2 / problem.m, problem.m)


