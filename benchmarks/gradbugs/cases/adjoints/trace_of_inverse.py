"""The trace of an inverse through its Cholesky factor, with the factor's gradient read as the matrix's."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Cost


def cost(q):
    a = 0.5 * (q["A"] + q["A"].T)
    return float(np.trace(np.linalg.inv(a)))


def right(q):
    inverse = np.linalg.inv(0.5 * (q["A"] + q["A"].T))
    return {"A": -inverse @ inverse}


def wrong(q):
    s = right(q)["A"]
    return {"A": np.tril(2 * s) - np.diag(np.diag(s))}


def parameters():
    root, = normal((3, 3), seed=73)
    return {"A": root @ root.T + 3 * np.eye(3)}


CASE = Case(
    source="Theano/Theano#2066",
    mistake="The gradient of a symmetric matrix is put into its lower triangle alone, doubled.",
    kind="symmetry", precision="float64", wrong=("A",), says=r"triang|zero where|symmetr|zeros",
    subject=Cost(cost, right, wrong, parameters), third=2,
)
