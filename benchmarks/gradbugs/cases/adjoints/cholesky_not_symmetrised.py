"""A Cholesky factorisation whose gradient counts the entries off the diagonal twice."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def forward(a):
    return np.linalg.cholesky(0.5 * (a + a.T))


def right(upstream, a):
    factor = forward(a)
    inner = np.tril(factor.T @ np.tril(upstream))
    inner[np.diag_indices(len(a))] *= 0.5
    solved = np.linalg.solve(factor.T, np.linalg.solve(factor.T, inner.T).T)
    return 0.5 * (solved + solved.T)


def wrong(upstream, a):
    s = right(upstream, a)
    return 2 * s - np.diag(np.diag(s))


def inputs():
    root, = normal((4, 4), seed=44)
    return (root @ root.T + 4 * np.eye(4),)


CASE = Case(
    source="pytorch/pytorch#18825",
    mistake="The gradient of a symmetric matrix holds twice the right value off the diagonal.",
    kind="symmetry", precision="float64", wrong=("a",), says=r"diagonal|symmetr|triang",
    subject=Layer(forward, right, wrong, inputs),
)
