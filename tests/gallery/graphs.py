"""Graphs: convolutions by dense and sparse matrices, messages along edges."""

from functools import partial

import numpy as np
import scipy.sparse as sp

from tests.gallery.case import Layer, changed

rng = np.random.default_rng(11)
edges = np.array([[0, 0, 1, 2, 3, 4, 4, 5], [1, 2, 3, 3, 4, 5, 0, 2]])
adjacency = np.zeros((6, 6))
adjacency[edges[0], edges[1]] = 1
hat = adjacency + np.eye(6)
hat = hat / hat.sum(axis=1, keepdims=True)
sparse_hat = sp.csr_matrix(hat)


def gcn(X, W1, W2):
    H = np.maximum(hat @ X @ W1, 0)
    return hat @ H @ W2


def gcn_sparse(X, W1, W2):
    H = np.maximum(sparse_hat.dot(X.dot(W1)), 0)
    return sparse_hat @ (H @ W2)


def gcn_backward(d, X, W1, W2, transpose=True, mask=True, spread=True):
    Z = hat @ X @ W1
    H = np.maximum(Z, 0)
    back = hat.T if transpose else hat
    dHW = back @ d
    dH = dHW @ W2.T
    dZ = dH * (Z > 0) if mask else dH
    dXW = back @ dZ if spread else dZ
    return dXW @ W1.T, X.T @ dXW, H.T @ dHW


def message_passing(x, W, b):
    source, target = edges
    messages = np.tanh(x[source] @ W + b)
    out = np.zeros((x.shape[0], W.shape[1]))
    np.add.at(out, target, messages)
    degree = np.bincount(target, minlength=x.shape[0]).clip(1)
    return out / degree[:, None]


def message_backward(d, x, W, b, add=True, mean=True):
    source, target = edges
    messages = np.tanh(x[source] @ W + b)
    degree = np.bincount(target, minlength=x.shape[0]).clip(1)
    dz = (d / degree[:, None] if mean else d)[target] * (1 - messages**2)
    dx = np.zeros_like(x)
    if add:
        np.add.at(dx, source, dz @ W.T)
    else:
        dx[source] += dz @ W.T
    return dx, x[source].T @ dz, dz.sum(axis=0)


inputs = (rng.standard_normal((6, 3)), rng.standard_normal((3, 4)), rng.standard_normal((4, 2)))
mistakes = {
    "the adjacency is not transposed going back": (partial(gcn_backward, transpose=False), "X W1 W2"),
    "the mask of the ReLU is forgotten": (partial(gcn_backward, mask=False), "X W1"),
    "the first layer's neighbours are forgotten": (partial(gcn_backward, spread=False), "X W1"),
}
CASES = [
    Layer("graph convolution", gcn, gcn_backward, inputs, mistakes),
    Layer("graph convolution, sparse", gcn_sparse, gcn_backward, inputs, mistakes),
    Layer("message passing", message_passing, message_backward,
          (rng.standard_normal((6, 3)), rng.standard_normal((3, 4)), rng.standard_normal(4)), {
              "nodes with several edges keep the last one's gradient": (partial(message_backward, add=False), "x"),
              "the mean over the neighbours is forgotten": (partial(message_backward, mean=False), "x W b"),
              "b has the wrong sign": (changed(message_backward, 2, lambda g: -g), "b"),
          }),
]
