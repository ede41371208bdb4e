"""Convolutions by naive loops, im2col with fancy indices and stride tricks; transposed, depthwise, dilated; filters."""

from functools import partial

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from tests.gallery.case import Layer, cached, changed, with_cache

rng = np.random.default_rng(3)


# ---- naive loops -----------------------------------------------------------------------------------------------------
def conv_forward_naive(x, w, b, stride=2, pad=1):
    N, _, H, W = x.shape
    F, _, HH, WW = w.shape
    H_out = 1 + (H + 2 * pad - HH) // stride
    W_out = 1 + (W + 2 * pad - WW) // stride
    x_pad = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    out = np.zeros((N, F, H_out, W_out))
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    window = x_pad[n, :, i * stride:i * stride + HH, j * stride:j * stride + WW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    return out, (x, w, b, stride, pad)


def conv_backward_naive(dout, cache, step=None, accumulate=True):
    x, w, b, stride, pad = cache
    step = step or stride
    N, F, H_out, W_out = dout.shape
    _, _, HH, WW = w.shape
    x_pad = np.pad(x, ((0,), (0,), (pad,), (pad,)), mode="constant")
    dx_pad, dw, db = np.zeros_like(x_pad), np.zeros_like(w), np.zeros_like(b)
    for n in range(N):
        for f in range(F):
            for i in range(H_out):
                for j in range(W_out):
                    rows, columns = slice(i * step, i * step + HH), slice(j * step, j * step + WW)
                    d = dout[n, f, i, j]
                    db[f] += d
                    if accumulate:
                        dw[f] += x_pad[n, :, rows, columns] * d
                    else:
                        dw[f] = x_pad[n, :, rows, columns] * d
                    dx_pad[n, :, rows, columns] += w[f] * d
    return dx_pad[:, :, pad:-pad, pad:-pad], dw, db


# ---- im2col with fancy indices ---------------------------------------------------------------------------------------
def get_im2col_indices(x_shape, field_height, field_width, padding=1, stride=1):
    _, C, H, W = x_shape
    out_height = (H + 2 * padding - field_height) // stride + 1
    out_width = (W + 2 * padding - field_width) // stride + 1
    i0 = np.repeat(np.arange(field_height), field_width)
    i0 = np.tile(i0, C)
    i1 = stride * np.repeat(np.arange(out_height), out_width)
    j0 = np.tile(np.arange(field_width), field_height * C)
    j1 = stride * np.tile(np.arange(out_width), out_height)
    i = i0.reshape(-1, 1) + i1.reshape(1, -1)
    j = j0.reshape(-1, 1) + j1.reshape(1, -1)
    k = np.repeat(np.arange(C), field_height * field_width).reshape(-1, 1)
    return k, i, j


def im2col_indices(x, field_height, field_width, padding=1, stride=1):
    p = padding
    x_padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), mode="constant")
    k, i, j = get_im2col_indices(x.shape, field_height, field_width, padding, stride)
    cols = x_padded[:, k, i, j]
    C = x.shape[1]
    return cols.transpose(1, 2, 0).reshape(field_height * field_width * C, -1)


def col2im_indices(cols, x_shape, field_height=3, field_width=3, padding=1, stride=1, add=True):
    N, C, H, W = x_shape
    x_padded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), dtype=cols.dtype)
    k, i, j = get_im2col_indices(x_shape, field_height, field_width, padding, stride)
    cols_reshaped = cols.reshape(C * field_height * field_width, -1, N).transpose(2, 0, 1)
    if add:
        np.add.at(x_padded, (slice(None), k, i, j), cols_reshaped)
    else:
        x_padded[:, k, i, j] = cols_reshaped
    return x_padded[:, :, padding:-padding, padding:-padding]


def conv_forward_im2col(x, w, b):
    N, _, H, W = x.shape
    num_filters, _, filter_height, filter_width = w.shape
    x_cols = im2col_indices(x, filter_height, filter_width)
    res = w.reshape((w.shape[0], -1)).dot(x_cols) + b.reshape(-1, 1)
    out = res.reshape(num_filters, H, W, N)
    return out.transpose(3, 0, 1, 2), (x, w, b, x_cols)


def conv_backward_im2col(dout, cache, add=True, samples_last=True):
    x, w, _, x_cols = cache
    db = np.sum(dout, axis=(0, 2, 3))
    num_filters = w.shape[0]
    order = (1, 2, 3, 0) if samples_last else (1, 0, 2, 3)
    dout_reshaped = dout.transpose(order).reshape(num_filters, -1)
    dw = dout_reshaped.dot(x_cols.T).reshape(w.shape)
    dx_cols = w.reshape(num_filters, -1).T.dot(dout_reshaped)
    return col2im_indices(dx_cols, x.shape, w.shape[2], w.shape[3], add=add), dw, db


# ---- stride tricks, stride 2 and padding -----------------------------------------------------------------------------
def strided_windows(x, kh, kw, stride):
    n, c, h, w = x.shape
    oh, ow = (h - kh) // stride + 1, (w - kw) // stride + 1
    sn, sc, sh, sw = x.strides
    return as_strided(x, shape=(n, c, oh, ow, kh, kw), strides=(sn, sc, stride * sh, stride * sw, sh, sw))


def conv_strided(x, w):
    xp = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = strided_windows(xp, w.shape[2], w.shape[3], 2)
    return np.tensordot(windows, w, axes=[(1, 4, 5), (1, 2, 3)]).transpose(0, 3, 1, 2)


def conv_strided_backward(dout, x, w, offset=1, flip=False):
    kh, kw = w.shape[2:]
    xp = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = strided_windows(xp, kh, kw, 2)
    dw = np.einsum("nfij,ncijkl->fckl", dout, windows)
    dxp = np.zeros_like(xp)
    kernel = w[:, :, ::-1, ::-1] if flip else w
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            dxp[:, :, 2 * i:2 * i + kh, 2 * j:2 * j + kw] += np.einsum("nf,fckl->nckl", dout[:, :, i, j], kernel)
    h, v = x.shape[2:]
    return dxp[:, :, offset:offset + h, offset:offset + v], dw


# ---- transposed ------------------------------------------------------------------------------------------------------
def conv_transpose(x, w, b, stride=2):
    N, _, H, W = x.shape
    _, F, KH, KW = w.shape
    out = np.zeros((N, F, (H - 1) * stride + KH, (W - 1) * stride + KW))
    for i in range(H):
        for j in range(W):
            out[:, :, i * stride:i * stride + KH, j * stride:j * stride + KW] += np.tensordot(
                x[:, :, i, j], w, axes=([1], [0]))
    return out + b[None, :, None, None]


def conv_transpose_backward(dout, x, w, b, stride=2, add=True):
    KH, KW = w.shape[2:]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            d = dout[:, :, i * stride:i * stride + KH, j * stride:j * stride + KW]
            dx[:, :, i, j] = np.tensordot(d, w, axes=([1, 2, 3], [1, 2, 3]))
            here = np.tensordot(x[:, :, i, j], d, axes=([0], [0]))
            dw = dw + here if add else here
    return dx, dw, dout.sum(axis=(0, 2, 3))


# ---- depthwise -------------------------------------------------------------------------------------------------------
def depthwise_conv(x, w):
    windows = sliding_window_view(x, w.shape[1:], axis=(2, 3))
    return np.einsum("nchwij,cij->nchw", windows, w)


def depthwise_backward(dout, x, w, flip=True, channels=True):
    windows = sliding_window_view(x, w.shape[1:], axis=(2, 3))
    dw = np.einsum("nchw,nchwij->cij", dout, windows)
    k, m = w.shape[1] - 1, w.shape[2] - 1
    padded = np.pad(dout, ((0, 0), (0, 0), (k, k), (m, m)))
    kernel = w[:, ::-1, ::-1] if flip else w
    if not channels:
        kernel = np.broadcast_to(kernel.mean(0), kernel.shape)
    return np.einsum("nchwij,cij->nchw", sliding_window_view(padded, w.shape[1:], axis=(2, 3)), kernel), dw


# ---- dilated and causal over time ------------------------------------------------------------------------------------
def causal_conv1d(x, w, b, dilation=2):
    k = w.shape[0]
    T = x.shape[1]
    left = (k - 1) * dilation
    xp = np.concatenate([np.zeros((x.shape[0], left, x.shape[2])), x], axis=1)
    out = sum(xp[:, i * dilation:i * dilation + T] @ w[i] for i in range(k))
    return out + b


def causal_backward(dout, x, w, b, dilation=2, strip=True, together=False):
    k, T = w.shape[0], x.shape[1]
    left = (k - 1) * dilation
    xp = np.concatenate([np.zeros((x.shape[0], left, x.shape[2])), x], axis=1)
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(k):
        at = 0 if together else i * dilation
        dw[i] = np.einsum("ntc,ntf->cf", xp[:, i * dilation:i * dilation + T], dout)
        dxp[:, at:at + T] += dout @ w[i].T
    return dxp[:, left:] if strip else dxp[:, :T], dw, dout.sum((0, 1))


def fir_filter(signal, taps):
    return np.convolve(signal, taps, mode="valid")


def fir_backward(d, signal, taps, reverse=True):
    return np.convolve(d, taps[::-1] if reverse else taps, mode="full"), np.correlate(signal, d, mode="valid")[::-1]


naive = with_cache(conv_forward_naive, conv_backward_naive)
im2col = with_cache(conv_forward_im2col, conv_backward_im2col)
CASES = [
    Layer("convolution by loops", cached(conv_forward_naive), naive,
          (rng.standard_normal((2, 2, 5, 5)), rng.standard_normal((2, 2, 3, 3)), rng.standard_normal(2)), {
              "the stride is ignored": (with_cache(conv_forward_naive, conv_backward_naive, step=1), "x w"),
              "only the last window's weight gradient is kept":
                  (with_cache(conv_forward_naive, conv_backward_naive, accumulate=False), "w"),
              "db is the mean over the batch": (changed(naive, 2, lambda g: g / 2), "b"),
          }),
    Layer("convolution by im2col", cached(conv_forward_im2col), im2col,
          (rng.standard_normal((2, 2, 4, 4)), rng.standard_normal((3, 2, 3, 3)), rng.standard_normal(3)), {
              "overlapping windows overwrite each other":
                  (with_cache(conv_forward_im2col, conv_backward_im2col, add=False), "x"),
              "the upstream gradient is flattened in another order than the columns":
                  (with_cache(conv_forward_im2col, conv_backward_im2col, samples_last=False), "x w"),
          }),
    Layer("strided convolution by stride tricks", conv_strided, conv_strided_backward,
          (rng.standard_normal((2, 2, 5, 5)), rng.standard_normal((3, 2, 3, 3))), {
              "the padding is not taken off": (partial(conv_strided_backward, offset=0), "x"),
              "the kernel is flipped": (partial(conv_strided_backward, flip=True), "x"),
          }),
    Layer("transposed convolution", conv_transpose, conv_transpose_backward,
          (rng.standard_normal((2, 3, 3, 2)), rng.standard_normal((3, 2, 3, 3)), rng.standard_normal(2)), {
              "only the last position's weight gradient is kept": (partial(conv_transpose_backward, add=False), "w"),
              "db lacks the last row": (lambda d, x, w, b: (*conv_transpose_backward(d, x, w, b)[:2],
                                                            d[:, :, :-1].sum(axis=(0, 2, 3))), "b"),
          }),
    Layer("depthwise convolution", depthwise_conv, depthwise_backward,
          (rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((3, 3, 2))), {
              "the kernel is not flipped": (partial(depthwise_backward, flip=False), "x"),
              "every channel has the mean kernel": (partial(depthwise_backward, channels=False), "x"),
          }),
    Layer("causal dilated convolution", causal_conv1d, causal_backward,
          (rng.standard_normal((2, 7, 2)), rng.standard_normal((3, 2, 2)), rng.standard_normal(2)), {
              "the padding is cut at the wrong end": (partial(causal_backward, strip=False), "x"),
              "the dilation is ignored": (partial(causal_backward, together=True), "x"),
          }),
    Layer("filter by np.convolve", fir_filter, fir_backward, (rng.standard_normal(10), rng.standard_normal(4)), {
        "the taps are not reversed": (partial(fir_backward, reverse=False), "signal"),
        "the taps' gradient is reversed": (changed(fir_backward, 1, lambda g: g[::-1]), "taps"),
    }),
]
