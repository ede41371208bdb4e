"""A recurrent layer in both directions: the first direction's result overwrites what the second still reads."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def states(x, W):
    h = [np.zeros(len(W))]
    for now in x:
        h.append(np.tanh(now + h[-1] @ W))
    return np.array(h)


def forward(x, W, V):
    return states(x, W)[1:] + states(x[::-1], V)[1:][::-1]


def one_way(upstream, x, W):
    h, dx, dW, dh = states(x, W), np.zeros_like(x), np.zeros_like(W), np.zeros(len(W))
    for t in reversed(range(len(x))):
        dx[t] = (upstream[t] + dh) * (1 - h[t + 1] ** 2)
        dW += np.outer(h[t], dx[t])
        dh = W @ dx[t]
    return dx, dW


def right(upstream, x, W, V):
    there, dW = one_way(upstream, x, W)
    back, dV = one_way(upstream[::-1], x[::-1], V)
    return there + back[::-1], dW, dV


def wrong(upstream, x, W, V):
    shared = upstream.copy()
    shared[:], dW = one_way(shared, x, W)
    back, dV = one_way(shared[::-1], x[::-1], V)
    return shared + back[::-1], dW, dV


CASE = Case(
    source="apache/mxnet#18203",
    mistake="The buffer of the output gradient is overwritten with the input gradient of one direction "
    "before the other direction has read it.",
    kind="overwritten",
    precision="float64",
    wrong=("V", "x"),
    says=r"overwrit|stale|in place|own line",
    subject=Layer(forward, right, wrong, lambda: normal((5, 3), (3, 3), (3, 3), seed=15)),
)
