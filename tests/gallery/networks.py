"""A small convolutional network as courses have it: conv, ReLU, max pool, affine, ReLU, affine, softmax."""

from functools import partial

import numpy as np

from tests.gallery.case import Model
from tests.gallery.convolution import conv_backward_im2col, conv_forward_im2col
from tests.gallery.dense import affine_backward, affine_forward
from tests.gallery.pooling import max_pool_backward_naive, max_pool_forward_naive

rng = np.random.default_rng(12)


def relu_forward(x):
    return np.maximum(0, x), x


def relu_backward(dout, cache):
    return np.where(cache > 0, dout, 0)


def softmax_loss(x, y):
    probs = np.exp(x - np.max(x, axis=1, keepdims=True))
    probs /= np.sum(probs, axis=1, keepdims=True)
    N = x.shape[0]
    loss = -np.sum(np.log(probs[np.arange(N), y])) / N
    dx = probs.copy()
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx


class ThreeLayerConvNet:
    def __init__(self, params, reg):
        self.params, self.reg = params, reg

    def loss(self, X, y, pool_mask=True, decay_last=True, conv_relu=True):
        p = self.params
        conv, conv_cache = conv_forward_im2col(X, p["W1"], p["b1"])
        active, relu1_cache = relu_forward(conv)
        pooled, pool_cache = max_pool_forward_naive(active)
        flat = pooled.reshape(X.shape[0], -1)
        hidden, fc1_cache = affine_forward(flat, p["W2"], p["b2"])
        hidden, relu2_cache = relu_forward(hidden)
        scores, fc2_cache = affine_forward(hidden, p["W3"], p["b3"])
        loss, dscores = softmax_loss(scores, y)
        for name in ("W1", "W2", "W3"):
            loss += 0.5 * self.reg * np.sum(p[name] ** 2)
        grads = {}
        dhidden, grads["W3"], grads["b3"] = affine_backward(dscores, fc2_cache)
        dflat, grads["W2"], grads["b2"] = affine_backward(relu_backward(dhidden, relu2_cache), fc1_cache)
        dactive = max_pool_backward_naive(dflat.reshape(pooled.shape), pool_cache, mask=pool_mask)
        dconv = relu_backward(dactive, relu1_cache) if conv_relu else dactive
        _, grads["W1"], grads["b1"] = conv_backward_im2col(dconv, conv_cache)
        for name in ("W1", "W2", "W3") if decay_last else ("W1", "W2"):
            grads[name] += self.reg * p[name]
        return loss, grads


def cost(p, X, y):
    return ThreeLayerConvNet(p, 0.1).loss(X, y)[0]


def gradient(p, X, y, **switches):
    return ThreeLayerConvNet(p, 0.1).loss(X, y, **switches)[1]


def forward_only(p, X, y):
    """The cost without the backward pass that loss() also makes."""
    out = max_pool_forward_naive(relu_forward(conv_forward_im2col(X, p["W1"], p["b1"])[0])[0])[0]
    hidden = np.maximum(0, affine_forward(out, p["W2"], p["b2"])[0])
    loss = softmax_loss(affine_forward(hidden, p["W3"], p["b3"])[0], y)[0]
    return float(loss + 0.05 * sum((p[name] * p[name]).sum() for name in ("W1", "W2", "W3")))


parameters = {"W1": rng.standard_normal((2, 1, 3, 3)), "b1": rng.standard_normal(2),
              "W2": rng.standard_normal((8, 4)), "b2": rng.standard_normal(4),
              "W3": rng.standard_normal((4, 3)), "b3": rng.standard_normal(3)}
data = (rng.standard_normal((3, 1, 4, 4)), np.array([2, 0, 1]))
mistakes = {
    "the pooling's mask is forgotten": (partial(gradient, pool_mask=False), "W1 b1"),
    "the first ReLU is skipped going back": (partial(gradient, conv_relu=False), "W1 b1"),
    "the last layer's weight decay is forgotten": (partial(gradient, decay_last=False), "W3"),
}
CASES = [
    Model("convolutional network, loss and gradients in one", cost, gradient, parameters, data, mistakes),
    Model("convolutional network, forward only", forward_only, gradient, parameters, data, mistakes),
]
