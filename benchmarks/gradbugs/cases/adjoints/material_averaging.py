"""A field in a material whose gradient leaves out how the design is averaged onto the grid."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.subjects import Cost

N = 9
WAVE = 25.0 * (2 * np.eye(N) - np.diag(np.ones(N - 1), 1) - np.diag(np.ones(N - 1), -1))
SOURCE = np.eye(N)[0]


def averaged(design):
    return 0.5 * (design[:-1] + design[1:])


def operator(design):
    return WAVE - np.diag(averaged(design))


def cost(q):
    return float(np.linalg.solve(operator(q["design"]), SOURCE)[-1] ** 2)


def backward(q, right):
    u = np.linalg.solve(operator(q["design"]), SOURCE)
    adjoint = np.linalg.solve(operator(q["design"]).T, 2 * u[-1] * np.eye(N)[-1])
    on_grid, gradient = adjoint * u, np.zeros(N + 1)
    if right:
        gradient[:-1] += 0.5 * on_grid
        gradient[1:] += 0.5 * on_grid
    else:
        gradient[:-1] = on_grid
    return {"design": gradient}


CASE = Case(
    source="NanoComp/meep#2194",
    mistake="With averaging of the material on, the gradient is handed to one neighbour instead of half to each.",
    kind="interpolation", precision="float64", wrong=("design",), says=r"neighbour|half|shift|average|smooth|last",
    subject=Cost(cost, lambda q: backward(q, True), lambda q: backward(q, False),
                 lambda: {"design": np.random.default_rng(71).uniform(1, 3, N + 1)}), third=2,
)
