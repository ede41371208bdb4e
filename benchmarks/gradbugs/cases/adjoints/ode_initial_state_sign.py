"""Gradients through an ordinary differential equation: that of the initial state comes out negated."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Cost

STEPS, H = 12, 0.05
DATA = normal((2,), seed=40)[0]


def speed(u, p):
    return np.array([p[0] * u[0] - p[1] * u[0] * u[1], -p[2] * u[1] + p[3] * u[0] * u[1]])


def by_state(u, p):
    return np.array([[p[0] - p[1] * u[1], -p[1] * u[0]], [p[3] * u[1], -p[2] + p[3] * u[0]]])


def by_parameters(u):
    return np.array([[u[0], -u[0] * u[1], 0.0, 0.0], [0.0, 0.0, -u[1], u[0] * u[1]]])


def path(parameters):
    u = [parameters["u0"]]
    for _ in range(STEPS):
        u.append(u[-1] + H * speed(u[-1], parameters["p"]))
    return u


def cost(parameters):
    return float(0.5 * np.sum((path(parameters)[-1] - DATA) ** 2))


def backward(parameters, sign):
    u, p = path(parameters), parameters["p"]
    adjoint, dp = u[-1] - DATA, np.zeros(4)
    for state in reversed(u[:-1]):
        dp += H * by_parameters(state).T @ adjoint
        adjoint = adjoint + H * by_state(state, p).T @ adjoint
    return {"u0": sign * adjoint, "p": dp}


CASE = Case(
    source="SciML/SciMLSensitivity.jl#543",
    mistake="The adjoint at the initial time is returned with the wrong sign as the gradient of the initial state.",
    kind="sign", precision="float64", wrong=("u0",), says=r"sign|-1(\.0+)? times",
    subject=Cost(cost, lambda q: backward(q, 1), lambda q: backward(q, -1),
                 lambda: {"u0": np.array([1.0, 1.5]), "p": np.array([1.5, 1.0, 3.0, 1.0])}),
)
