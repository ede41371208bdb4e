"""The reference engine: the textbook's loop in plain NumPy, two whole forward propagations for each parameter."""

import math

import numpy as np

from ..activations import Array
from ..differences import Differences, Indices, Problem, Run
from ..noise import network_noise


def textbook_cost(problem: Problem, theta: Array) -> float:
    """J(theta) by the textbook's formula, rounding and all."""
    network = problem.network
    parameters = network.to_parameters(theta)
    A = network.forward(parameters, problem.X).A[-1]
    with np.errstate(all="ignore"):
        return network.cost_entry.textbook(A, problem.Y) + network.penalty(parameters, problem.m)


def differences(problem: Problem, indices: Indices | None, epsilon: float, run: Run) -> Differences:
    """Central differences of the cost, one parameter at a time (deeplearning.ai, "Gradient Checking")."""
    positions = np.arange(problem.theta.size) if indices is None else indices
    J_plus, J_minus = np.empty(positions.size), np.empty(positions.size)
    for done, k in enumerate(positions):
        theta_plus = np.copy(problem.theta)
        theta_plus[k] = theta_plus[k] + epsilon
        J_plus[done] = textbook_cost(problem, theta_plus)
        theta_minus = np.copy(problem.theta)
        theta_minus[k] = theta_minus[k] - epsilon
        J_minus[done] = textbook_cost(problem, theta_minus)
        run.progress(done + 1, positions.size)
    with np.errstate(invalid="ignore"):
        gradapprox = (J_plus - J_minus) / (2.0 * epsilon)
    noise = textbook_noise(problem, epsilon)
    return Differences(
        textbook_cost(problem, problem.theta), J_plus, J_minus, gradapprox,
        problem.network.spread(noise, indices),
    )


def textbook_noise(problem: Problem, epsilon: float) -> Array:
    """Standard error of central differences of the textbook's cost, one per tensor.

    Beside the measured noise, the formula's error at theta itself: log(1 - a) of a saturated output moves in steps
    that are too long for any small perturbation to notice, and then the difference is wrong without being noisy.
    """
    network, theta = problem.network, problem.theta
    measured = network_noise(lambda moved: textbook_cost(problem, moved), theta, network.tensors, epsilon)
    with np.errstate(invalid="ignore"):
        error = abs(textbook_cost(problem, theta) - network.cost_at(problem.parameters, problem.forward(), problem.Y))
    return np.asarray(np.fmax(measured, error * (math.sqrt(2.0) / (2.0 * epsilon))))
