"""A cost that depends on time, whose adjoint run stays at the final time."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Cost

H, STEPS = 0.1, 8


def path(p):
    u = [p["u0"]]
    for _ in range(STEPS):
        u.append(u[-1] + H * np.tanh(p["A"] @ u[-1]))
    return u


def cost(p):
    return sum(np.cos(2.0 * H * t) * np.sum(u**2) for t, u in enumerate(path(p)[1:], 1))


def backward(p, tracked):
    u, adjoint, dA = path(p), np.zeros(3), np.zeros((3, 3))
    for t in range(STEPS, 0, -1):
        adjoint = adjoint + np.cos(2.0 * H * (t if tracked else STEPS)) * 2 * u[t]
        slope = H * (1 - np.tanh(p["A"] @ u[t - 1]) ** 2) * adjoint
        dA += np.outer(slope, u[t - 1])
        adjoint = adjoint + p["A"].T @ slope
    return {"u0": adjoint, "A": dA}


CASE = Case(
    source="llnl/smith#1632",
    mistake="The adjoint solve does not track time, so that an objective that depends on it is taken "
    "at the final time.",
    kind="time",
    precision="float64",
    wrong=("u0", "A"),
    says=r"time|step|evaluations",
    third=4,
    subject=Cost(cost, lambda p: backward(p, True), lambda p: backward(p, False),
                 lambda: dict(zip(("u0", "A"), normal((3,), (3, 3), seed=177), strict=True))),
)
