"""An inverse problem for complex waves whose adjoint source is not conjugated."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.subjects import Cost

N = 8
LAPLACE = (np.diag(np.ones(N - 1), 1) + np.diag(np.ones(N - 1), -1) - 2 * np.eye(N)) * 4.0
SOURCE = np.linspace(0.2, 1.0, N) * (1 + 0.5j)
DATA = np.random.default_rng(42).standard_normal(N) * (0.3 - 0.2j)


def field(potential):
    return np.linalg.solve(LAPLACE + np.diag(potential) + 0.7j * np.eye(N), SOURCE)


def cost(q):
    residual = field(q["potential"]) - DATA
    return float(0.5 * np.sum(residual.real**2 + residual.imag**2))


def backward(q, conjugated):
    u, operator = field(q["potential"]), LAPLACE + np.diag(q["potential"]) + 0.7j * np.eye(N)
    residual = u - DATA
    adjoint = np.linalg.solve(operator.T, residual.conj() if conjugated else residual)
    return {"potential": -(adjoint * u).real}


CASE = Case(
    source="nsoedjak/Inverse-Nonlinear-Schrodinger#17",
    mistake="The source of the adjoint equation is the residual instead of its complex conjugate.",
    kind="conjugate", precision="float64", wrong=("potential",), says=r"conjuga",
    subject=Cost(cost, lambda q: backward(q, True), lambda q: backward(q, False),
                 lambda: {"potential": np.random.default_rng(43).uniform(1, 3, N)}),
)
