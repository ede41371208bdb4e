"""``check_function`` and ``check_vjp``: one cost, a network of 1,001 parameters, as Python and as machine code."""

from typing import Any

import numpy as np
import pytest

import fastcheck as fc
from benchmarks.data.network_costs import NetworkCost, numpy_cost, stacked_cost
from benchmarks.data.networks import course
from benchmarks.gate.paired import GATE
from fastcheck.course import gradient_check_n

pytestmark = GATE

LAST = 36  # parameters checked where each evaluation is a Python call: as many as a round has room for


@pytest.mark.parametrize("way", ["numpy", "vectorized", "jitted"])
def test_check_function(paired: Any, way: str) -> None:
    problem = NetworkCost.random(5)
    cost = {"numpy": numpy_cost, "vectorized": stacked_cost, "jitted": problem.jitted}[way]
    options: dict[str, Any] = {"vectorized": way == "vectorized", "threads": 1}
    theta, gradient = problem.theta[-LAST:], problem.gradient[-LAST:]

    def tail(part: Any, *args: Any) -> Any:
        return cost(np.concatenate([problem.theta[:-LAST], part]), *args)

    if way == "numpy":
        report = paired(lambda: fc.check_function(tail, theta, gradient, problem.args, **options), "calls")
    else:
        report = paired(
            lambda: fc.check_function(cost, problem.theta, problem.gradient, problem.args, **options), "mixed"
        )
    assert report.verdict != "fail"
    assert report.difference < 1e-6


def test_check_vjp(paired: Any) -> None:
    rng = np.random.default_rng(0)
    W, x = rng.standard_normal((8, 6)), rng.standard_normal((6, 4))
    assert paired(lambda: fc.check_vjp(lambda W, x: np.tanh(W @ x), backward_tanh, (W, x)), "mixed").ok


def backward_tanh(upstream: Any, W: Any, x: Any) -> tuple[Any, Any]:
    """Gradients of tanh(W x) by hand."""
    d = upstream * (1.0 - np.tanh(W @ x) ** 2)
    return d @ x.T, W.T @ d


def test_gradient_check_n(paired: Any) -> None:
    """The course's own loop under the course's name."""
    made = course()
    difference = paired(
        lambda: gradient_check_n(made.parameters, made.gradients, made.X, made.Y, print_msg=False), "calls"
    )
    assert difference == pytest.approx(1.189e-07, abs=1e-9)
