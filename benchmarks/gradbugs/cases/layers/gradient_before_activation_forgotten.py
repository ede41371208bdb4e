"""A network whose first layer's gradients take the error of the activation for that of the pre-activation."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal, softmax
from benchmarks.gradbugs.subjects import Cost

X = normal((9, 4), seed=169)[0]
Y = np.arange(9) % 3


def cost(p):
    h = np.tanh(X @ p["Wh"] + p["bh"])
    return float(-np.mean(np.log(softmax(h @ p["Wy"] + p["by"])[np.arange(9), Y])))


def backward(p, right):
    h = np.tanh(X @ p["Wh"] + p["bh"])
    d = (softmax(h @ p["Wy"] + p["by"]) - np.eye(3)[Y]) / 9
    dh = d @ p["Wy"].T
    used = dh * (1 - h**2) if right else dh
    return {"Wh": X.T @ used, "bh": used.sum(0), "Wy": h.T @ d, "by": d.sum(0)}


CASE = Case(
    source="arthurdouillard/deepcourse#6",
    mistake="The first layer's gradients use the error behind the activation instead of the one before it.",
    kind="activation",
    precision="float64",
    wrong=("Wh", "bh"),
    says=r"derivative|tanh|activation",
    third=4,
    subject=Cost(
        cost, lambda p: backward(p, True), lambda p: backward(p, False),
        lambda: dict(zip(("Wh", "bh", "Wy", "by"), normal((4, 5), (5,), (5, 3), (3,), seed=170), strict=True)),
    ),
)
