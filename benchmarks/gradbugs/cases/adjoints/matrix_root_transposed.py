"""The square root of a matrix by Newton's iteration, whose gradient is transposed once too often."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer

STEPS = 4


def forward(a):
    y, z = a, np.eye(3)
    for _ in range(STEPS):
        t = 0.5 * (3 * np.eye(3) - z @ y)
        y, z = y @ t, t @ z
    return y


def right(upstream, a):
    kept, y, z = [], a, np.eye(3)
    for _ in range(STEPS):
        t = 0.5 * (3 * np.eye(3) - z @ y)
        kept.append((y, z, t))
        y, z = y @ t, t @ z
    dy, dz = upstream, np.zeros((3, 3))
    for y, z, t in reversed(kept):
        dt = y.T @ dy + dz @ z.T
        dy, dz = dy @ t.T - 0.5 * z.T @ dt, t.T @ dz - 0.5 * dt @ y.T
    return dy


def inputs():
    root, = normal((3, 3), seed=178)
    a = np.eye(3) + 0.1 * root
    return (a / np.linalg.norm(a),)


CASE = Case(
    source="jiangtaoxie/fast-MPN-COV#28",
    mistake="The result of the backward iteration is transposed although it is in place already.",
    kind="transposed",
    precision="float64",
    wrong=("a",),
    says=r"transpos",
    third=4,
    subject=Layer(forward, right, lambda d, a: right(d, a).T, inputs),
)
