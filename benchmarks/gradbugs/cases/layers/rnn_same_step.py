"""A recurrent network that multiplies its recurrent weight's gradient by the state of the same step."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def states(x, U, W):
    h = [np.zeros(len(W))]
    for step in x:
        h.append(np.tanh(step @ U + h[-1] @ W))
    return h


def forward(x, U, W):
    return np.stack(states(x, U, W)[1:])


def backward(upstream, x, U, W, before):
    h, dx, dU, dW = states(x, U, W), np.zeros_like(x), np.zeros_like(U), np.zeros_like(W)
    dh = np.zeros(len(W))
    for t in reversed(range(len(x))):
        dz = (upstream[t] + dh) * (1 - h[t + 1] ** 2)
        dx[t], dh = U @ dz, W @ dz
        dU += np.outer(x[t], dz)
        dW += np.outer(h[t + 1 - before], dz)
    return dx, dU, dW


CASE = Case(
    source="VikParuchuri/zero_to_gpt#9",
    mistake="The gradient of the recurrent weights takes the hidden state of its own step instead of the step "
            "before.",
    kind="off by one", precision="float64", wrong=("W",), says=r"step|shifted|off by one|own line|before",
    subject=Layer(forward, lambda d, x, U, W: backward(d, x, U, W, 1), lambda d, x, U, W: backward(d, x, U, W, 0),
                  lambda: normal((5, 3), (3, 4), (4, 4), seed=11)),
)
