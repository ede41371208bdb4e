"""The reference engine: the textbook's loop in plain NumPy, two whole forward propagations for each parameter."""

import math

import numpy as np

from .._types import Array, Indices
from ..problems.gradients import NumericalGradient
from ..problems.networks.problem import Problem
from ..runtime.run import Run
from .finite.noise import network_noise


def textbook_cost(problem: Problem, theta: Array, limit: float = math.inf) -> float:
    """J(theta) by the textbook's formula, rounding and all; of no more samples at a time than the limit in bytes."""
    network, mean = problem.network, 0.0
    parameters = network.to_parameters(theta)
    with np.errstate(all="ignore"):
        for part in problem.parts(limit):
            A = network.forward(parameters, part.X).A[-1]
            mean += network.cost_entry.textbook(A, part.Y) * (part.m / problem.m)
        return mean + network.penalty(parameters, problem.m)


def differences(problem: Problem, indices: Indices | None, epsilon: float, run: Run) -> NumericalGradient:
    """Return central differences of the cost, one parameter at a time (deeplearning.ai, "Gradient Checking")."""
    positions = np.arange(problem.theta.size) if indices is None else indices
    J_plus, J_minus = np.empty(positions.size), np.empty(positions.size)
    for done, k in enumerate(positions):
        theta_plus = np.copy(problem.theta)
        theta_plus[k] = theta_plus[k] + epsilon
        J_plus[done] = textbook_cost(problem, theta_plus, run.memory_limit)
        theta_minus = np.copy(problem.theta)
        theta_minus[k] = theta_minus[k] - epsilon
        J_minus[done] = textbook_cost(problem, theta_minus, run.memory_limit)
        run.progress(done + 1, positions.size)
    with np.errstate(invalid="ignore"):
        gradapprox = (J_plus - J_minus) / (2.0 * epsilon)
    noise = problem.once(
        ("textbook noise", epsilon), lambda: textbook_noise(problem, epsilon, run.memory_limit, run.deadline)
    )
    return NumericalGradient(
        textbook_cost(problem, problem.theta, run.memory_limit), J_plus, J_minus, gradapprox,
        problem.network.layout.spread(noise, indices),
    )


def textbook_noise(
    problem: Problem, epsilon: float, limit: float, deadline: float
) -> Array:
    """Return the standard error of central differences of the textbook's cost, one per tensor.

    Beside the measured noise, the formula's error at theta itself: log(1 - a) of a saturated output moves in steps
    that are too long for any small perturbation to notice, and then the difference is wrong without being noisy.
    """
    network, theta = problem.network, problem.theta
    measured = network_noise(
        lambda moved: textbook_cost(problem, moved, limit), theta, network.tensors, epsilon, deadline=deadline
    )
    accurate = network.penalty(problem.parameters, problem.m)
    for part in problem.parts(limit):
        accurate += network.mean_loss(part.forward(), part.Y) * (part.m / problem.m)
    with np.errstate(invalid="ignore"):
        error = abs(textbook_cost(problem, theta, limit) - accurate)
    return np.asarray(np.fmax(measured, error * (math.sqrt(2.0) / (2.0 * epsilon))))
