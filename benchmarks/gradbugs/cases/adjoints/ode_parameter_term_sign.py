"""The adjoint of an ordinary differential equation in which the parameters' own term has the wrong sign."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Cost

H, STEPS = 0.1, 10


def path(q):
    u = [q["u0"]]
    for _ in range(STEPS):
        u.append(u[-1] + H * (q["p"] * np.sin(u[-1]) - 0.2 * u[-1]))
    return u


def cost(q):
    return float(np.sum(path(q)[-1] ** 2) + 0.5 * np.sum(q["p"] ** 2))


def backward(q, sign):
    u = path(q)
    adjoint, dp = 2 * u[-1], q["p"].copy()
    for state in reversed(u[:-1]):
        dp += sign * H * adjoint * np.sin(state)
        adjoint = adjoint * (1 + H * (q["p"] * np.cos(state) - 0.2))
    return {"u0": adjoint, "p": dp}


CASE = Case(
    source="SciML/SciMLBook#68",
    mistake="In the integral over the adjoint the derivative by the parameters is subtracted instead of added.",
    kind="sign",
    precision="float64",
    wrong=("p",),
    says=r"sign|term",
    third=3,
    subject=Cost(
        cost,
        lambda q: backward(q, 1),
        lambda q: backward(q, -1),
        lambda: dict(zip(("u0", "p"), normal((4,), (4,), seed=151), strict=True)),
    ),
)
