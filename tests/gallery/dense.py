"""Affine layers and what is built of little else: a two-layer net, layer objects, tied weights, factorization.

Everything is written as people write it; only the switches of the backward passes, which plant mistakes, are ours.
"""

from collections import OrderedDict
from functools import partial

import numpy as np

from tests.gallery.case import Layer, Model, cached, changed, changed_in, with_cache

rng = np.random.default_rng(1)


# ---- an affine layer with a cache ------------------------------------------------------------------------------------
def affine_forward(x, w, b):
    N = x.shape[0]
    out = x.reshape(N, -1).dot(w) + b
    cache = (x, w, b)
    return out, cache


def affine_backward(dout, cache, order="C"):
    x, w, _ = cache
    dx = dout.dot(w.T).reshape(x.shape, order=order)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


# ---- a two-layer net, its loss and gradients in one function ---------------------------------------------------------
class TwoLayerNet:
    def __init__(self, reg=0.3):
        self.params = {}
        self.reg = reg

    def loss(self, X, y, mask=True, mean=True, half=True):
        W1, b1 = self.params["W1"], self.params["b1"]
        W2, b2 = self.params["W2"], self.params["b2"]
        N, _ = X.shape
        hidden = np.maximum(0, X.dot(W1) + b1)
        scores = hidden.dot(W2) + b2
        scores -= np.max(scores, axis=1, keepdims=True)
        probs = np.exp(scores)
        probs /= np.sum(probs, axis=1, keepdims=True)
        loss = -np.sum(np.log(probs[range(N), y])) / N
        loss += 0.5 * self.reg * (np.sum(W1 * W1) + np.sum(W2 * W2))

        grads = {}
        dscores = probs.copy()
        dscores[range(N), y] -= 1
        if mean:
            dscores /= N
        decay = self.reg if half else 2 * self.reg
        grads["W2"] = hidden.T.dot(dscores) + decay * W2
        grads["b2"] = np.sum(dscores, axis=0)
        dhidden = dscores.dot(W2.T)
        if mask:
            dhidden[hidden <= 0] = 0
        grads["W1"] = X.T.dot(dhidden) + decay * W1
        grads["b1"] = np.sum(dhidden, axis=0)
        return loss, grads


def two_layer_cost(params, X, y):
    net = TwoLayerNet()
    net.params = params
    return net.loss(X, y)[0]


def two_layer_gradient(params, X, y, **switches):
    net = TwoLayerNet()
    net.params = params
    return net.loss(X, y, **switches)[1]


# ---- layer objects in an ordered dictionary --------------------------------------------------------------------------
class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b
        self.x = self.dW = self.db = None

    def forward(self, x):
        self.x = x
        return np.dot(x, self.W) + self.b

    def backward(self, dout):
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return np.dot(dout, self.W.T)


class Relu:
    def __init__(self):
        self.mask = None

    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout[self.mask] = 0
        return dout


class Sigmoid:
    derivative = staticmethod(lambda out: out * (1.0 - out))

    def __init__(self):
        self.out = None

    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout):
        return dout * self.derivative(self.out)


class MeanSquaredError:
    def forward(self, y, t):
        self.y, self.t = y, t
        return 0.5 * np.sum((y - t) ** 2) / y.shape[0]

    def backward(self, dout=1):
        return dout * (self.y - self.t) / self.y.shape[0]


class ObjectNet:
    def __init__(self, params):
        self.layers = OrderedDict()
        self.layers["Affine1"] = Affine(params["W1"], params["b1"])
        self.layers["Relu1"] = Relu()
        self.layers["Affine2"] = Affine(params["W2"], params["b2"])
        self.layers["Sigmoid"] = Sigmoid()
        self.last = MeanSquaredError()

    def loss(self, x, t):
        for layer in self.layers.values():
            x = layer.forward(x)
        return float(self.last.forward(x, t))

    def gradient(self, x, t, skip=()):
        self.loss(x, t)
        dout = self.last.backward(1)
        for name, layer in reversed(self.layers.items()):
            if name not in skip:
                dout = layer.backward(dout)
        return {"W1": self.layers["Affine1"].dW, "b1": self.layers["Affine1"].db,
                "W2": self.layers["Affine2"].dW, "b2": self.layers["Affine2"].db}


def object_cost(params, x, t):
    return ObjectNet(params).loss(x, t)


def object_gradient(params, x, t, **switches):
    return ObjectNet(params).gradient(x, t, **switches)


def object_gradient_slope(params, x, t):
    net = ObjectNet(params)
    net.layers["Sigmoid"].derivative = lambda out: out * (1.0 + out)
    return net.gradient(x, t)


# ---- an autoencoder with tied weights, as closures -------------------------------------------------------------------
def make_autoencoder(X):
    def encode(W, b):
        return np.tanh(X @ W + b)

    def cost(p):
        h = encode(p["W"], p["b"])
        reconstruction = h @ p["W"].T + p["c"]
        return np.mean((reconstruction - X) ** 2)

    def gradient(p, tied=True, denominator=X.size, tanh=lambda h: 1 - h**2):
        h = encode(p["W"], p["b"])
        error = 2 * (h @ p["W"].T + p["c"] - X) / denominator
        dh = (error @ p["W"]) * tanh(h)
        dW = X.T @ dh
        if tied:
            dW += error.T @ h
        return {"W": dW, "b": dh.sum(0), "c": error.sum(0)}

    return cost, gradient


# ---- a factorization machine with a logistic loss --------------------------------------------------------------------
def fm_cost(p, X, t):
    linear = p["w0"] + X @ p["w"]
    pairs = 0.5 * np.sum((X @ p["V"]) ** 2 - (X**2) @ (p["V"] ** 2), axis=1)
    margin = t * (linear + pairs)
    return np.log1p(np.exp(-margin)).sum()


def fm_gradient(p, X, t, own=True, factor=1.0):
    XV = X @ p["V"]
    margin = t * (p["w0"] + X @ p["w"] + 0.5 * np.sum(XV**2 - (X**2) @ (p["V"] ** 2), axis=1))
    d = -t / (1 + np.exp(margin))
    dV = X.T @ (d[:, None] * XV)
    if own:
        dV -= ((X**2).T @ d)[:, None] * p["V"]
    return {"w0": np.array([d.sum()]), "w": X.T @ d, "V": factor * dV}


# ---- the cases -------------------------------------------------------------------------------------------------------
backward = with_cache(affine_forward, affine_backward)
autoencoder_cost, autoencoder_gradient = make_autoencoder(rng.standard_normal((6, 5)))
dense = {"W1": rng.standard_normal((4, 6)), "b1": rng.standard_normal(6),
         "W2": rng.standard_normal((6, 3)), "b2": rng.standard_normal(3)}
X, y = rng.standard_normal((5, 4)), np.array([0, 2, 1, 1, 2])

CASES = [
    Layer("affine", cached(affine_forward), backward,
          (rng.standard_normal((3, 2, 3)), rng.standard_normal((6, 4)), rng.standard_normal(4)), {
              "db is the mean over the batch": (changed(backward, 2, lambda g: g / 3), "b"),
              "dx is folded back in the wrong order": (with_cache(affine_forward, affine_backward, order="F"), "x"),
              "dw has the wrong sign": (changed(backward, 1, lambda g: -g), "w"),
          }),
    Model("two-layer net", two_layer_cost, two_layer_gradient, dense, (X, y), {
        "the mask of the ReLU is forgotten": (partial(two_layer_gradient, mask=False), "W1 b1"),
        "the mean's 1/N is missing": (partial(two_layer_gradient, mean=False), "W1 b1 W2 b2"),
        "the regularization counts twice": (partial(two_layer_gradient, half=False), "W1 W2"),
    }),
    Model("layer objects", object_cost, object_gradient, dense, (X, rng.uniform(size=(5, 3))), {
        "the sigmoid's backward pass is left out": (partial(object_gradient, skip=("Sigmoid",)), "W1 b1 W2 b2"),
        "the sigmoid's derivative is a (1 + a)": (object_gradient_slope, "W1 b1 W2 b2"),
        "the mask of the ReLU is forgotten": (partial(object_gradient, skip=("Relu1",)), "W1 b1"),
    }),
    Model("autoencoder with tied weights", autoencoder_cost, autoencoder_gradient,
          {"W": rng.standard_normal((5, 3)), "b": rng.standard_normal(3), "c": rng.standard_normal(5)}, (), {
              "only the encoder's use of the weights counts": (partial(autoencoder_gradient, tied=False), "W"),
              "the mean is over the samples only": (partial(autoencoder_gradient, denominator=6), "W b c"),
              "the derivative of tanh is 1 - a": (partial(autoencoder_gradient, tanh=lambda h: 1 - h), "W b"),
          }),
    Model("factorization machine", fm_cost, fm_gradient,
          {"w0": np.array([0.2]), "w": rng.standard_normal(5), "V": rng.standard_normal((5, 3))},
          (rng.standard_normal((6, 5)), np.array([1.0, -1, 1, 1, -1, -1])), {
              "a feature's pair with itself is not taken off": (partial(fm_gradient, own=False), "V"),
              "the square's factor 2 meets no 1/2": (partial(fm_gradient, factor=2.0), "V"),
              "w has the wrong sign": (changed_in(fm_gradient, "w", lambda g: -g), "w"),
          }),
]
