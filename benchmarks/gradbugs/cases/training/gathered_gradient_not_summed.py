"""A loss over samples gathered from all workers, of which each takes only its own slice of its own gradient."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Cost

X = normal((3, 4, 5), seed=173)[0]  # workers, samples, inputs
WEIGHTS = normal((3, 12, 12), seed=174)[0]  # each worker's loss weighs the pairs of all samples otherwise


def features(p):
    return np.tanh(X @ p["W"])


def cost(p):
    z = features(p).reshape(12, -1)
    return float(sum(np.sum(weights * (z @ z.T)) for weights in WEIGHTS))


def backward(p, summed):
    h = features(p)
    z = h.reshape(12, -1)
    by_worker = [((weights + weights.T) @ z).reshape(h.shape) for weights in WEIGHTS]
    dz = sum(by_worker) if summed else np.stack([by_worker[rank][rank] for rank in range(3)])
    return {"W": np.einsum("wsi,wso->io", X, dz * (1 - h**2))}


CASE = Case(
    source="lightly-ai/lightly#1528",
    mistake="The backward pass of the gathering takes the worker's own slice without summing it over the workers.",
    kind="gathering",
    precision="float64",
    wrong=("W",),
    says=r"sum|worker|rank|left out|missing|lacks|added up",
    third=4,
    subject=Cost(cost, lambda p: backward(p, True), lambda p: backward(p, False),
                 lambda: {"W": normal((5, 3), seed=175)[0]}),
)
