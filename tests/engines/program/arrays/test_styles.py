"""Costs as people write them: courses, blog posts and lecture notes, each followed and exact."""

import copy
import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import pytest
from numpy import dot, exp, log, maximum, sum as total

from fastcheck.engines.program.arrays.program import Program
from tests.engines.program.arrays.literal import assert_exact, inputs_of

rng = np.random.default_rng(11)
X, Y = rng.standard_normal((4, 6)), np.array([[1, 0, 1, 1, 0, 0]])
LABELS = np.array([0, 2, 1, 2, 0, 1])
TEXT = [0, 2, 1, 2, 0]


def course(W1, b1, W2, b2):
    """A deep-learning course: columns are samples, caches in tuples, asserted shapes, a float at the end."""
    parameters = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}

    def forward(X, parameters):
        Z1 = np.dot(parameters["W1"], X) + parameters["b1"]
        A1 = np.maximum(0, Z1)
        Z2 = np.dot(parameters["W2"], A1) + parameters["b2"]
        A2 = 1 / (1 + np.exp(-Z2))
        assert A2.shape == (1, X.shape[1])
        return A2, (Z1, A1, Z2, A2)

    A2, _ = forward(X, parameters)
    m = Y.shape[1]
    logprobs = np.multiply(-np.log(A2), Y) + np.multiply(-np.log(1 - A2), 1 - Y)
    cost = 1.0 / m * np.nansum(logprobs)
    L2 = 0.7 / (2 * m) * (np.sum(np.square(W1)) + np.sum(np.square(W2)))
    cost = float(np.squeeze(cost + L2))
    assert isinstance(cost, float)
    return cost


class TwoLayerNet:
    """A lecture's assignment: parameters in a dictionary on the object, loss and gradients from one method."""

    def __init__(self):
        self.params = {}

    def loss(self, X, y, reg=0.1):
        W1, b1 = self.params["W1"], self.params["b1"]
        N = X.shape[0]
        hidden = np.maximum(0, X.dot(W1) + b1)
        scores = hidden.dot(self.params["W2"]) + self.params["b2"]
        scores -= np.max(scores, axis=1, keepdims=True)
        correct = scores[range(N), y]
        loss = np.mean(-correct + np.log(np.sum(np.exp(scores), axis=1)))
        loss += reg * (np.sum(W1 * W1) + np.sum(self.params["W2"] ** 2))
        probs = np.exp(scores)
        probs /= probs.sum(axis=1, keepdims=True)
        probs[np.arange(N), y] -= 1
        grads = {"W2": hidden.T.dot(probs)}
        return loss, grads


NET = TwoLayerNet()


def lecture(W1, b1, W2, b2):
    NET.params["W1"], NET.params["b1"] = W1.T, b1[:, 0]
    NET.params["W2"], NET.params["b2"] = np.vstack([W2, W2 * 2, 1.0 - W2]).T, np.zeros(3) + b2[0, 0]
    loss, _ = NET.loss(X.T, LABELS)
    return loss


def character_rnn(W1, b1, W2, b2):
    """Dictionaries by time, one-hot columns, a loss that grows by +=."""
    xs, hs, ys, ps = {}, {}, {}, {}
    hs[-1] = np.copy(np.zeros((5, 1)))
    loss = 0
    for t in range(len(TEXT) - 1):
        xs[t] = np.zeros((4, 1))
        xs[t][TEXT[t]] = 1
        hs[t] = np.tanh(np.dot(W1, xs[t]) + np.dot(np.eye(5) * 0.1, hs[t - 1]) + b1)
        ys[t] = np.dot(np.concatenate([W2, -W2, W2 * W2, np.ones((1, 5))]), hs[t]) + b2
        ps[t] = np.exp(ys[t]) / np.sum(np.exp(ys[t]))
        loss += -np.log(ps[t][TEXT[t + 1], 0])
    return loss


def imported_names(W1, b1, W2, b2):
    """from numpy import ...: names without a module."""
    hidden = maximum(dot(W1, X) + b1, 0.01 * (dot(W1, X) + b1))
    out = dot(W2, hidden) + b2
    return total(log(1 + exp(-abs(out))) + maximum(-out, 0)) / out.size


def sample_by_sample(W1, b1, W2, b2):
    """Python loops over samples and units, math's functions, lists of numbers."""
    losses = []
    for x, y in zip(X.T, Y[0], strict=True):
        hidden = []
        for weights, bias in zip(W1, b1, strict=True):
            hidden.append(math.tanh(sum(w * v for w, v in zip(weights, x, strict=True)) + bias[0]))
        z = sum(w * h for w, h in zip(W2[0], hidden, strict=True)) + b2[0, 0]
        losses.append(math.log(1 + math.exp(-z)) if y else math.log(1 + math.exp(z)))
    return sum(losses) / len(losses) + np.mean(losses)


@dataclass
class Dense:
    W: np.ndarray
    b: np.ndarray

    def __call__(self, x):
        self.x = x
        return self.W @ x + self.b


class Sequential:
    def __init__(self, *layers):
        self.layers = OrderedDict((f"layer{i}", layer) for i, layer in enumerate(layers))

    def forward(self, x):
        for layer in self.layers.values():
            x = layer(x)
        return x


def objects(W1, b1, W2, b2):
    """Objects made inside, copied deeply, with in-place activations and a mask."""
    net = Sequential(Dense(W1, b1), lambda z: np.where(z > 0, z, 0.1 * z), Dense(W2, b2))
    net = copy.deepcopy(net)
    out = net.forward(X)
    out[out < -1e3] = 0
    error = out - Y
    return 0.5 * (error**2).mean(axis=-1)[0]


def one_hot(W1, b1, W2, b2):
    """np.eye(n)[labels], clipped probabilities, axis arguments by position, a tuple of outputs."""
    scores = (np.concatenate([W2, 0.5 * W2, W2**2]) @ np.tanh(W1 @ X + b1) + b2).T
    p = np.exp(scores - scores.max(1)[:, None])
    p = p / p.sum(1)[:, None]
    p = np.clip(p, 1e-12, 1 - 1e-12)
    T = np.eye(3)[LABELS]
    accuracy = np.mean(np.argmax(p, axis=1) == LABELS)
    return -np.sum(T * np.log(p)) / len(LABELS), accuracy


def packed(W1, b1, W2, b2):
    """One vector of everything, cut up again by offsets and reshape."""
    theta = np.concatenate([W1.ravel(), b1.ravel(), W2.ravel(), b2.ravel()])
    place = 0
    parts = []
    for shape in ((5, 4), (5, 1), (1, 5), (1, 1)):
        size = int(np.prod(shape))
        parts.append(theta[place : place + size].reshape(shape))
        place += size
    return course(*parts)


STYLES = [course, lecture, character_rnn, imported_names, sample_by_sample, objects, one_hot, packed]


@pytest.mark.parametrize("cost", STYLES, ids=lambda cost: cost.__name__)
def test_the_cost_is_followed_exactly(cost):
    inputs = inputs_of([(5, 4), (5, 1), (1, 5), (1, 1)], 3)
    assert_exact(cost, inputs, size=1e-2, tolerance=1e-14)
    assert_exact(cost, inputs, size=0.3, tolerance=1e-13) if cost is not one_hot else None


def test_a_mask_that_turns_counts_as_one_that_stays():
    """Cut off by a mask, as relu often is: one program is followed where nothing crosses and where something does."""

    def cut_off(x):
        out = x.copy()
        out[x <= 0] = 0.0
        return out * out

    x = np.array([1.0, -1.0, 2.0])
    program = Program(cut_off, [x])
    for size in (1e-6, 3.0, 1e-6):
        (change,) = program.run({0: np.full((1, 3), size)}).changes
        np.testing.assert_allclose(change[0], cut_off(x + size) - cut_off(x), rtol=1e-9)
