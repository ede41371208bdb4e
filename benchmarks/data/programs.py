"""Layers and models in plain NumPy, as people write them, that the study of programs measures; sizes in ``SIZES``.

All of them keep the dtype that they get, so that the complex step gives their true derivatives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

# A name, and the sizes that its maker takes: those of the study, and smaller ones for a quick look.
SIZES: dict[str, dict[str, tuple[int, ...]]] = {
    "full": {
        "convolution": (8, 3, 32, 16),  # samples, channels, width, filters: 25,024 entries
        "LSTM": (8, 20, 32, 64),  # samples, steps, width of the inputs, of the states: 30,464
        "attention": (4, 64, 64),  # samples, tokens, width: 49,152
        "max pooling by loops": (8, 16, 32),  # samples, channels, width: 131,072
        "small convolutional net": (8, 1, 12, 8, 3),  # samples, channels, width, filters, classes: 947 parameters
        "small LSTM": (4, 10, 8, 12, 3),  # samples, steps, width of the inputs, of the states, classes: 1,044
        "small attention": (4, 8, 12, 5),  # samples, tokens, width, classes: 636
        "one vector": (64, 196, 64, 10),  # samples, widths of the inputs, of the hidden units, classes: 13,258
        "sample by sample": (50, 196, 30, 10),  # samples, widths of the inputs, of the hidden units, classes: 6,220
    },
    "quick": {
        "convolution": (2, 2, 8, 3), "LSTM": (2, 5, 4, 6), "attention": (2, 8, 8), "max pooling by loops": (1, 2, 8),
        "small convolutional net": (2, 1, 8, 2, 3), "small LSTM": (2, 5, 4, 5, 3), "small attention": (2, 5, 6, 3),
        "one vector": (6, 8, 6, 3), "sample by sample": (6, 8, 6, 3),
    },
}


@dataclass(frozen=True)
class Subject:
    """One program to be checked.

    Parameters
    ----------
    name : as in ``SIZES``.
    forward : forward(*arrays) -> array; a number for a cost.
    backward : backward(cotangent, *arrays) -> their gradients, in order.
    inputs : the arrays that are differentiated, by name.
    scalar : whether it is a cost, for check_function; else a layer, for check_vjp.
    """

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: dict[str, Any]
    scalar: bool = False

    @property
    def size(self) -> int:
        """Number of entries."""
        return sum(array.size for array in self.inputs.values())


# ---- convolution by im2col -------------------------------------------------------------------------------------------
def patches_of(shape: tuple[int, ...], size: int) -> tuple[Any, Any, Any]:
    """Indices that gather the windows of padded images, as im2col has them."""
    _, C, H, W = shape
    k = np.repeat(np.arange(C), size * size).reshape(-1, 1)
    i = np.tile(np.repeat(np.arange(size), size), C).reshape(-1, 1) + np.repeat(np.arange(H), W)
    j = np.tile(np.arange(size), size * C).reshape(-1, 1) + np.tile(np.arange(W), H)
    return k, i, j


def im2col(x: Any, size: int) -> Any:
    """Columns of the windows of images padded by one."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="constant")
    k, i, j = patches_of(x.shape, size)
    return padded[:, k, i, j].transpose(1, 2, 0).reshape(size * size * x.shape[1], -1)


def conv_forward(x: Any, w: Any, b: Any) -> Any:
    """3 x 3 convolution with padding."""
    N, _, H, W = x.shape
    out = w.reshape(w.shape[0], -1).dot(im2col(x, 3)) + b.reshape(-1, 1)
    return out.reshape(w.shape[0], H, W, N).transpose(3, 0, 1, 2)


def conv_backward(dout: Any, x: Any, w: Any, b: Any) -> tuple[Any, ...]:
    """Gradients of x, w and b."""
    N, C, H, W = x.shape
    d = dout.transpose(1, 2, 3, 0).reshape(w.shape[0], -1)
    columns = (w.reshape(w.shape[0], -1).T @ d).reshape(C * 9, -1, N).transpose(2, 0, 1)
    padded = np.zeros((N, C, H + 2, W + 2))
    k, i, j = patches_of(x.shape, 3)
    np.add.at(padded, (slice(None), k, i, j), columns)
    return padded[:, :, 1:-1, 1:-1], (d @ im2col(x, 3).T).reshape(w.shape), d.sum(axis=1)


def convolution(generator: np.random.Generator, n: int, c: int, width: int, filters: int) -> Subject:
    """A convolution of images."""
    return Subject("convolution", conv_forward, conv_backward, {
        "x": generator.standard_normal((n, c, width, width)), "w": generator.standard_normal((filters, c, 3, 3)) / 5,
        "b": generator.standard_normal(filters)})


# ---- LSTM ------------------------------------------------------------------------------------------------------------
def sigmoid(x: Any) -> Any:
    """The logistic function, plainly."""
    return 1 / (1 + np.exp(-x))


def lstm_steps(x: Any, h0: Any, Wx: Any, Wh: Any, b: Any) -> tuple[Any, list[Any]]:
    """All hidden states, written into np.zeros, and what the backward pass needs."""
    N, T, _ = x.shape
    H = h0.shape[1]
    hs = np.zeros((N, T, H), dtype=x.dtype)
    h, c, cache = h0, np.zeros_like(h0), []
    for t in range(T):
        a = x[:, t, :].dot(Wx) + h.dot(Wh) + b
        i, f, o, g = sigmoid(a[:, :H]), sigmoid(a[:, H:2 * H]), sigmoid(a[:, 2 * H:3 * H]), np.tanh(a[:, 3 * H:])
        previous = h, c
        c = f * c + i * g
        h = o * np.tanh(c)
        hs[:, t, :] = h
        cache.append((*previous, i, f, o, g, np.tanh(c)))
    return hs, cache


def lstm_forward(x: Any, h0: Any, Wx: Any, Wh: Any, b: Any) -> Any:
    """All hidden states."""
    return lstm_steps(x, h0, Wx, Wh, b)[0]


def lstm_backward(dh: Any, x: Any, h0: Any, Wx: Any, Wh: Any, b: Any) -> tuple[Any, ...]:
    """Gradients of everything."""
    cache = lstm_steps(x, h0, Wx, Wh, b)[1]
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    back, dc = np.zeros_like(h0), np.zeros_like(h0)
    for t in reversed(range(x.shape[1])):
        h, c, i, f, o, g, tanh_c = cache[t]
        d = dh[:, t] + back
        dc = dc + d * o * (1 - tanh_c**2)
        da = np.concatenate([dc * g * i * (1 - i), dc * c * f * (1 - f), d * tanh_c * o * (1 - o),
                             dc * i * (1 - g**2)], axis=1)
        dx[:, t], back, dc = da @ Wx.T, da @ Wh.T, dc * f
        dWx, dWh, db = dWx + x[:, t].T @ da, dWh + h.T @ da, db + da.sum(axis=0)
    return dx, back, dWx, dWh, db


def lstm(generator: np.random.Generator, n: int, t: int, d: int, h: int) -> Subject:
    """An LSTM over sequences."""
    draw = generator.standard_normal
    return Subject("LSTM", lstm_forward, lstm_backward, {
        "x": draw((n, t, d)), "h0": draw((n, h)), "Wx": draw((d, 4 * h)) / d**0.5, "Wh": draw((h, 4 * h)) / h**0.5,
        "b": draw(4 * h)})


# ---- attention -------------------------------------------------------------------------------------------------------
def softmax(x: Any) -> Any:
    """Over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def attention_forward(q: Any, k: Any, v: Any) -> Any:
    """Scaled dot-product attention."""
    return softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])) @ v


def attention_backward(d: Any, q: Any, k: Any, v: Any) -> tuple[Any, ...]:
    """Gradients of queries, keys and values."""
    root = np.sqrt(q.shape[-1])
    a = softmax(q @ k.swapaxes(-1, -2) / root)
    da = d @ v.swapaxes(-1, -2)
    ds = a * (da - (da * a).sum(axis=-1, keepdims=True)) / root
    return ds @ k, ds.swapaxes(-1, -2) @ q, a.swapaxes(-1, -2) @ d


def attention(generator: np.random.Generator, n: int, tokens: int, width: int) -> Subject:
    """Attention of queries, keys and values."""
    return Subject("attention", attention_forward, attention_backward,
                   {name: generator.standard_normal((n, tokens, width)) for name in "qkv"})


# ---- max pooling in Python's loops -----------------------------------------------------------------------------------
def pool_forward(x: Any) -> Any:
    """2 x 2 max pooling, window by window."""
    N, C, H, W = x.shape
    out = np.zeros((N, C, H // 2, W // 2), dtype=x.dtype)
    for n in range(N):
        for c in range(C):
            for i in range(H // 2):
                for j in range(W // 2):
                    out[n, c, i, j] = np.max(x[n, c, 2 * i:2 * i + 2, 2 * j:2 * j + 2])
    return out


def pool_backward(dout: Any, x: Any) -> Any:
    """Gradient of x, by reshaping."""
    N, C, H, W = x.shape
    windows = x.reshape(N, C, H // 2, 2, W // 2, 2)
    on = windows == windows.max(axis=(3, 5), keepdims=True)
    return (on * dout[:, :, :, None, :, None]).reshape(x.shape)


def pooling(generator: np.random.Generator, n: int, c: int, width: int) -> Subject:
    """Max pooling of images."""
    return Subject("max pooling by loops", pool_forward, pool_backward,
                   {"x": generator.standard_normal((n, c, width, width))})


# ---- small models, from data to a mean cross-entropy -----------------------------------------------------------------
def cross_entropy(scores: Any, labels: Any) -> tuple[Any, Any]:
    """The mean, and its gradient by the scores."""
    probabilities = softmax(scores)
    rows = np.arange(len(labels))
    gradient = probabilities.copy()
    gradient[rows, labels] -= 1
    return -np.mean(np.log(probabilities[rows, labels])), gradient / len(labels)


def small_convolutional_net(generator: np.random.Generator, n: int, c: int, width: int, filters: int, classes: int
                            ) -> Subject:
    """Convolution, ReLU, max pooling, affine, softmax."""
    X, labels = generator.standard_normal((n, c, width, width)), generator.integers(classes, size=n)

    def scores_of(W1: Any, b1: Any, W2: Any, b2: Any) -> tuple[Any, ...]:
        z = conv_forward(X, W1, b1)
        pooled = pool_windows(np.maximum(z, 0))
        return z, pooled, pooled.reshape(n, -1) @ W2 + b2

    def cost(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        return cross_entropy(scores_of(W1, b1, W2, b2)[-1], labels)[0]

    def backward(d: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> tuple[Any, ...]:
        z, pooled, scores = scores_of(W1, b1, W2, b2)
        ds = d * cross_entropy(scores, labels)[1]
        dz = pool_backward((ds @ W2.T).reshape(pooled.shape), np.maximum(z, 0)) * (z > 0)
        _, dW1, db1 = conv_backward(dz, X, W1, b1)
        return dW1, db1, pooled.reshape(n, -1).T @ ds, ds.sum(axis=0)

    flat = filters * (width // 2) ** 2
    return Subject("small convolutional net", cost, backward, {
        "W1": generator.standard_normal((filters, c, 3, 3)) / 3, "b1": generator.standard_normal(filters) / 10,
        "W2": generator.standard_normal((flat, classes)) / flat**0.5, "b2": generator.standard_normal(classes)}, True)


def pool_windows(x: Any) -> Any:
    """2 x 2 max pooling by reshaping."""
    N, C, H, W = x.shape
    return x.reshape(N, C, H // 2, 2, W // 2, 2).max(axis=3).max(axis=4)


def small_lstm(generator: np.random.Generator, n: int, t: int, d: int, h: int, classes: int) -> Subject:
    """An LSTM whose last state is classified."""
    x, h0, labels = generator.standard_normal((n, t, d)), np.zeros((n, h)), generator.integers(classes, size=n)

    def cost(Wx: Any, Wh: Any, b: Any, U: Any) -> Any:
        # x and h0 in the parameters' dtype: buffers of the states follow theirs
        hs = lstm_forward(x.astype(Wx.dtype), h0.astype(Wx.dtype), Wx, Wh, b)
        return cross_entropy(hs[:, -1] @ U, labels)[0]

    def backward(upstream: Any, Wx: Any, Wh: Any, b: Any, U: Any) -> tuple[Any, ...]:
        hs = lstm_forward(x, h0, Wx, Wh, b)
        ds = upstream * cross_entropy(hs[:, -1] @ U, labels)[1]
        dh = np.zeros_like(hs)
        dh[:, -1] = ds @ U.T
        return (*lstm_backward(dh, x, h0, Wx, Wh, b)[2:], hs[:, -1].T @ ds)

    draw = generator.standard_normal
    return Subject("small LSTM", cost, backward, {"Wx": draw((d, 4 * h)) / d**0.5, "Wh": draw((h, 4 * h)) / h**0.5,
                                                  "b": draw(4 * h), "U": draw((h, classes))}, True)


def small_attention(generator: np.random.Generator, n: int, tokens: int, width: int, classes: int) -> Subject:
    """Self-attention with a residual, whose mean over the tokens is classified."""
    x, labels = generator.standard_normal((n, tokens, width)), generator.integers(classes, size=n)

    def parts(Wq: Any, Wk: Any, Wv: Any, Wo: Any, U: Any) -> tuple[Any, ...]:
        out = attention_forward(x @ Wq, x @ Wk, x @ Wv)
        pooled = (x + out @ Wo).mean(axis=1)
        return out, pooled, pooled @ U

    def cost(Wq: Any, Wk: Any, Wv: Any, Wo: Any, U: Any) -> Any:
        return cross_entropy(parts(Wq, Wk, Wv, Wo, U)[-1], labels)[0]

    def backward(d: Any, Wq: Any, Wk: Any, Wv: Any, Wo: Any, U: Any) -> tuple[Any, ...]:
        out, pooled, scores = parts(Wq, Wk, Wv, Wo, U)
        ds = d * cross_entropy(scores, labels)[1]
        dy = np.broadcast_to((ds @ U.T)[:, None, :] / tokens, x.shape)
        dq, dk, dv = attention_backward(dy @ Wo.T, x @ Wq, x @ Wk, x @ Wv)

        def summed(a: Any, b: Any) -> Any:
            return np.tensordot(a, b, axes=((0, 1), (0, 1)))

        return summed(x, dq), summed(x, dk), summed(x, dv), summed(out, dy), pooled.T @ ds

    draw = generator.standard_normal
    return Subject("small attention", cost, backward, {
        **{name: draw((width, width)) / width**0.5 for name in ("Wq", "Wk", "Wv", "Wo")}, "U": draw((width, classes))},
        True)


def one_vector(generator: np.random.Generator, n: int, inputs: int, hidden: int, classes: int) -> Subject:
    """The textbook's own form: two dense layers, all of whose parameters stand in one vector."""
    x, labels = generator.standard_normal((n, inputs)), generator.integers(classes, size=n)
    shapes = ((inputs, hidden), (hidden,), (hidden, classes), (classes,))
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])

    def parts(theta: Any) -> list[Any]:
        return [theta[a:b].reshape(shape) for (a, b), shape in zip(pairwise(ends), shapes, strict=True)]

    def scores_of(theta: Any) -> tuple[Any, Any]:
        W, b, V, c = parts(theta)
        h = np.tanh(x @ W + b)
        return h, h @ V + c

    def cost(theta: Any) -> Any:
        return cross_entropy(scores_of(theta)[1], labels)[0]

    def backward(upstream: Any, theta: Any) -> tuple[Any, ...]:
        h, scores = scores_of(theta)
        ds = upstream * cross_entropy(scores, labels)[1]
        dz = (ds @ parts(theta)[2].T) * (1.0 - h * h)
        return (np.concatenate([one.ravel() for one in (x.T @ dz, dz.sum(axis=0), h.T @ ds, ds.sum(axis=0))]),)

    return Subject("one vector", cost, backward, {"theta": generator.standard_normal(ends[-1]) / inputs**0.5}, True)


def sample_by_sample(generator: np.random.Generator, n: int, inputs: int, hidden: int, classes: int) -> Subject:
    """Two dense layers in a loop over the samples, as a first network is written."""
    x, y = generator.standard_normal((n, inputs)), generator.standard_normal((n, classes))

    def cost(W: Any, b: Any, V: Any, c: Any) -> Any:
        total = 0.0
        for sample, target in zip(x, y, strict=True):
            d = np.dot(V, np.tanh(np.dot(W, sample) + b)) + c - target
            total += 0.5 * np.dot(d, d)
        return total / n

    def backward(upstream: Any, W: Any, b: Any, V: Any, c: Any) -> tuple[Any, ...]:
        found = [np.zeros_like(one) for one in (W, b, V, c)]
        for sample, target in zip(x, y, strict=True):
            h = np.tanh(np.dot(W, sample) + b)
            d = upstream * (np.dot(V, h) + c - target) / n
            dz = np.dot(V.T, d) * (1.0 - h * h)
            for total, part in zip(found, (np.outer(dz, sample), dz, np.outer(d, h), d), strict=True):
                total += part
        return tuple(found)

    draw = generator.standard_normal
    return Subject("sample by sample", cost, backward, {
        "W": draw((hidden, inputs)) / inputs**0.5, "b": draw(hidden), "V": draw((classes, hidden)) / hidden**0.5,
        "c": draw(classes)}, True)


MAKERS: dict[str, Callable[..., Subject]] = {
    "convolution": convolution, "LSTM": lstm, "attention": attention, "max pooling by loops": pooling,
    "small convolutional net": small_convolutional_net, "small LSTM": small_lstm, "small attention": small_attention,
    "one vector": one_vector, "sample by sample": sample_by_sample,
}


def subject(name: str, size: str) -> Subject:
    """A program by name, in the sizes "full" or "quick", always the same."""
    return MAKERS[name](np.random.default_rng(list(MAKERS).index(name)), *SIZES[size][name])
