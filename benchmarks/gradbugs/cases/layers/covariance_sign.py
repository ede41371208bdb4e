"""The log-density of a normal distribution whose covariance gradient has the wrong sign."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer

X = normal((5, 3), seed=18)[0]


def forward(mean, covariance):
    r = X - mean
    return -0.5 * np.einsum("ni,ni->n", r, np.linalg.solve(covariance, r.T).T) - 0.5 * np.linalg.slogdet(covariance)[1]


def backward(upstream, mean, covariance, sign):
    r, inverse = X - mean, np.linalg.inv(covariance)
    solved = r @ inverse
    dmean = (upstream[:, None] * solved).sum(0)
    dcovariance = 0.5 * np.einsum("n,ni,nj->ij", upstream, solved, solved) - 0.5 * upstream.sum() * inverse
    return dmean, sign * dcovariance


def inputs():
    mean, root = normal((3,), (3, 3), seed=19)
    return mean, root @ root.T + np.eye(3)


CASE = Case(
    source="HIPS/autograd#412",
    mistake="The gradient of the covariance has the wrong sign.",
    kind="sign", precision="float64", wrong=("covariance",), says=r"sign|-1(\.0+)? times",
    subject=Layer(forward, lambda d, m, c: backward(d, m, c, 1), lambda d, m, c: backward(d, m, c, -1), inputs),
)
