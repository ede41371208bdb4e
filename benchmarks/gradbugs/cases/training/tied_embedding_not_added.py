"""A language model with tied weights, whose table gets the gradient of its use as a head alone."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal, softmax
from benchmarks.gradbugs.subjects import Cost

TOKENS = np.array([0, 3, 1, 4, 2, 0, 5, 1])


def cost(p):
    h = np.tanh(p["table"][TOKENS[:-1]] @ p["W"])
    return -np.mean(np.log(softmax(h @ p["table"].T)[np.arange(7), TOKENS[1:]]))


def backward(p, both):
    given = p["table"][TOKENS[:-1]]
    h = np.tanh(given @ p["W"])
    d = (softmax(h @ p["table"].T) - np.eye(6)[TOKENS[1:]]) / 7
    dz = d @ p["table"] * (1 - h**2)
    table = d.T @ h
    if both:
        np.add.at(table, TOKENS[:-1], dz @ p["W"].T)
    return {"table": table, "W": given.T @ dz}


CASE = Case(
    source="paiml/entrenar#314",
    mistake="The gradients of the two uses of a tied weight go to two optimizers and are never added.",
    kind="tied weight",
    precision="float64",
    wrong=("table",),
    says=r"lacks|use|added|missing",
    third=4,
    subject=Cost(cost, lambda p: backward(p, True), lambda p: backward(p, False),
                 lambda: dict(zip(("table", "W"), normal((6, 4), (4, 4), seed=176), strict=True))),
)
