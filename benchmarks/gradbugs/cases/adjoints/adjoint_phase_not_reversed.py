"""Waves with a phase around an axis, whose adjoint run keeps the phase instead of reversing it."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.subjects import Cost

N, PHASE = 7, np.exp(0.9j)
SOURCE = np.eye(N)[2]


def operator(design, phase):
    ring = np.roll(np.eye(N), 1, axis=1).astype(complex)
    ring[-1] *= phase
    return (
        np.diag(3.0 + design + 0.3j)
        - ring
        - np.roll(np.eye(N), -1, axis=1) * np.where(np.arange(N) == 0, 1 / phase, 1)[:, None]
    )


def cost(q):
    return float(np.abs(np.linalg.solve(operator(q["design"], PHASE), SOURCE)[-1]) ** 2)


def backward(q, reversed_):
    u = np.linalg.solve(operator(q["design"], PHASE), SOURCE)
    adjoint = np.linalg.solve(
        operator(q["design"], 1 / PHASE if reversed_ else PHASE), 2 * u[-1].conj() * np.eye(N)[-1]
    )
    return {"design": -(adjoint * u).real}


CASE = Case(
    source="NanoComp/meep#2193",
    mistake="The number of the angular mode is not flipped for the adjoint run.",
    kind="conjugate",
    precision="float64",
    wrong=("design",),
    says=r"conjuga|phase|\bsigns?\b",
    third=3,
    subject=Cost(
        cost,
        lambda q: backward(q, True),
        lambda q: backward(q, False),
        lambda: {"design": np.random.default_rng(150).uniform(0.5, 2, N)},
    ),
)
