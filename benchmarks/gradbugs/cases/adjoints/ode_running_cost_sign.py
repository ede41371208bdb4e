"""The adjoint of an ordinary differential equation adds the running cost's derivative with the wrong sign."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.subjects import Cost

H, STEPS = 0.1, 15


def path(q):
    u = [q["u0"]]
    for _ in range(STEPS):
        u.append(u[-1] + H * (q["A"] @ np.tanh(u[-1]) + q["f"]))
    return u


def cost(q):
    return float(H * sum(0.5 * np.sum(u**2) for u in path(q)[1:]))


def backward(q, sign):
    u, adjoint = path(q), np.zeros(3)
    dA, df = np.zeros((3, 3)), np.zeros(3)
    for t in range(STEPS, 0, -1):
        adjoint = adjoint + (H * u[t] if t == STEPS else sign * H * u[t])
        dA += H * np.outer(adjoint, np.tanh(u[t - 1]))
        df += H * adjoint
        adjoint = adjoint + H * (1 - np.tanh(u[t - 1]) ** 2) * (q["A"].T @ adjoint)
    return {"u0": adjoint, "A": dA, "f": df}


def parameters():
    rng = np.random.default_rng(41)
    return {"u0": rng.standard_normal(3), "A": rng.standard_normal((3, 3)), "f": rng.standard_normal(3)}


CASE = Case(
    source="SciML/SciMLBook#200",
    mistake="In the adjoint equation the derivative of the running cost enters with the wrong sign.",
    kind="sign", precision="float64", wrong=("u0", "A", "f"), says=r"sign|term",
    subject=Cost(cost, lambda q: backward(q, 1), lambda q: backward(q, -1), parameters),
)
