"""Pooling: maxima by loops, by reshaping and over time; averages by stride tricks."""

from functools import partial

import numpy as np

from tests.gallery.case import Layer, cached, changed, with_cache

rng = np.random.default_rng(4)


def max_pool_forward_naive(x, pool=2, stride=2):
    N, C, H, W = x.shape
    H_out, W_out = (H - pool) // stride + 1, (W - pool) // stride + 1
    out = np.zeros((N, C, H_out, W_out))
    for n in range(N):
        for c in range(C):
            for i in range(H_out):
                for j in range(W_out):
                    out[n, c, i, j] = np.max(x[n, c, i * stride:i * stride + pool, j * stride:j * stride + pool])
    return out, (x, pool, stride)


def max_pool_backward_naive(dout, cache, mask=True, overlap=True):
    x, pool, stride = cache
    N, C, H_out, W_out = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(H_out):
                for j in range(W_out):
                    rows, columns = slice(i * stride, i * stride + pool), slice(j * stride, j * stride + pool)
                    window = x[n, c, rows, columns]
                    share = (window == np.max(window)) if mask else 1.0 / window.size
                    if overlap:
                        dx[n, c, rows, columns] += share * dout[n, c, i, j]
                    else:
                        dx[n, c, rows, columns] = share * dout[n, c, i, j]
    return dx


def overlapping_forward(x):
    return max_pool_forward_naive(x, 3, 1)


def max_pool_reshape(x):
    N, C, H, W = x.shape
    x_reshaped = x.reshape(N, C, H // 2, 2, W // 2, 2)
    return x_reshaped.max(axis=3).max(axis=4)


def max_pool_reshape_backward(dout, x, mask=True):
    N, C, H, W = x.shape
    x_reshaped = x.reshape(N, C, H // 2, 2, W // 2, 2)
    out_newaxis = max_pool_reshape(x)[:, :, :, np.newaxis, :, np.newaxis]
    mask = (x_reshaped == out_newaxis) if mask else np.ones_like(x_reshaped)
    dout_newaxis = dout[:, :, :, np.newaxis, :, np.newaxis]
    dout_broadcast, _ = np.broadcast_arrays(dout_newaxis, mask)
    dx_reshaped = np.zeros_like(x_reshaped)
    dx_reshaped[mask != 0] = dout_broadcast[mask != 0]
    return dx_reshaped.reshape(x.shape)


def avg_pool(x, k=2, s=1):
    n, c, h, w = x.shape
    shape = (n, c, (h - k) // s + 1, (w - k) // s + 1, k, k)
    strides = (x.strides[0], x.strides[1], s * x.strides[2], s * x.strides[3], x.strides[2], x.strides[3])
    return np.lib.stride_tricks.as_strided(x, shape, strides).mean(axis=(4, 5))


def avg_pool_backward(dout, x, k=2, s=1, mean=True, last=False):
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            d = dout[:, :, i, j][:, :, None, None] / (k * k if mean else 1)
            window = (slice(None), slice(None), slice(i * s, i * s + k), slice(j * s, j * s + k))
            if last:
                dx[window] = d
            else:
                dx[window] += d
    return dx


def max_over_time(x):
    """Text CNN: the strongest response of each filter, wherever it stands."""
    best = np.argmax(x, axis=1)
    return np.take_along_axis(x, best[:, None, :], axis=1).squeeze(axis=1)


def max_over_time_backward(d, x, spread=False):
    dx = np.zeros_like(x)
    if spread:
        return dx + d[:, None, :] / x.shape[1]
    rows, columns = np.indices(d.shape)
    dx[rows, np.argmax(x, axis=1), columns] = d
    return dx


images = rng.standard_normal((2, 2, 4, 4))
naive = with_cache(max_pool_forward_naive, max_pool_backward_naive)
overlapping = with_cache(overlapping_forward, max_pool_backward_naive)
CASES = [
    Layer("max pooling by loops", cached(max_pool_forward_naive), naive, (rng.standard_normal((2, 2, 4, 4)),), {
        "every entry of a window has an equal share":
            (with_cache(max_pool_forward_naive, max_pool_backward_naive, mask=False), "x"),
        "the last window is left out": (changed(naive, 0, lambda g: g * (np.arange(4) < 2)), "x"),
    }),
    Layer("overlapping max pooling", cached(overlapping_forward), overlapping, (rng.standard_normal((1, 2, 5, 5)),), {
        "windows that overlap overwrite each other":
            (with_cache(overlapping_forward, max_pool_backward_naive, overlap=False), "x"),
    }),
    Layer("max pooling by reshaping", max_pool_reshape, max_pool_reshape_backward, (images,), {
        "the mask is forgotten": (partial(max_pool_reshape_backward, mask=False), "x"),
        "rows and columns are swapped": (changed(max_pool_reshape_backward, 0, lambda g: g.swapaxes(2, 3)), "x"),
    }),
    Layer("average pooling", avg_pool, avg_pool_backward, (rng.standard_normal((2, 2, 4, 4)),), {
        "the mean's 1/4 is missing": (partial(avg_pool_backward, mean=False), "x"),
        "windows that overlap overwrite each other": (partial(avg_pool_backward, last=True), "x"),
    }),
    Layer("max over time", max_over_time, max_over_time_backward, (rng.standard_normal((3, 6, 4)),), {
        "every time step has an equal share": (partial(max_over_time_backward, spread=True), "x"),
    }),
]
