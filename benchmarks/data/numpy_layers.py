"""Layers in NumPy with a backward pass written by hand, in single precision or with float32 buffers inside double.

Every layer takes ``work``, the precision of the buffers in which its backward pass collects sums, as
``np.zeros(..., dtype=np.float32)`` does; everything else is in the precision of its inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Gradients = tuple[np.ndarray, ...]
Work = Any


def affine(x: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x W + b."""
    return x @ W + b


def affine_backward(d: np.ndarray, x: np.ndarray, W: np.ndarray, b: np.ndarray, *, work: Work) -> Gradients:
    """Sums over the samples one by one."""
    dW, db = np.zeros(W.shape, work), np.zeros(b.shape, work)
    for row, upstream in zip(x, d, strict=True):
        dW += np.outer(row, upstream)
        db += upstream
    return d @ W.T, dW, db


def mlp(x: np.ndarray, W: np.ndarray, V: np.ndarray) -> np.ndarray:
    """tanh(x W) V."""
    return np.tanh(x @ W) @ V


def mlp_backward(d: np.ndarray, x: np.ndarray, W: np.ndarray, V: np.ndarray, *, work: Work) -> Gradients:
    """The hidden gradient stands in a buffer."""
    a = np.tanh(x @ W)
    dz = np.zeros(a.shape, work)
    dz[...] = (d @ V.T) * (1 - a * a)
    return dz @ W.T, x.T @ dz, a.T @ d


def softmax(z: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(d: np.ndarray, z: np.ndarray, *, work: Work) -> Gradients:
    """p (d - sum p d), row by row."""
    p = softmax(z)
    dz = np.zeros(z.shape, work)
    for n in range(len(z)):
        dz[n] = p[n] * (d[n] - p[n] @ d[n])
    return (dz,)


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """softmax(q k^T / sqrt(width)) v for every head."""
    return softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]).astype(q.dtype)) @ v


def attention_backward(d: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray, *, work: Work) -> Gradients:
    """Key by key, as kernels do, into buffers."""
    scale = np.sqrt(q.shape[-1]).astype(q.dtype)
    p = softmax(q @ k.swapaxes(-1, -2) / scale)
    dp = d @ v.swapaxes(-1, -2)
    ds = p * (dp - (p * dp).sum(axis=-1, keepdims=True)) / scale
    dq, dk, dv = (np.zeros(a.shape, work) for a in (q, k, v))
    for j in range(k.shape[-2]):
        dq += ds[..., j : j + 1] * k[..., j : j + 1, :]
        dk[..., j, :] += (ds[..., j : j + 1] * q).sum(axis=-2)
        dv[..., j, :] += (p[..., j : j + 1] * d).sum(axis=-2)
    return dq, dk, dv


def layer_norm(x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    apart = x - x.mean(axis=-1, keepdims=True)
    return gain * apart / np.sqrt((apart**2).mean(axis=-1, keepdims=True) + x.dtype.type(1e-5)) + bias


def layer_norm_backward(d: np.ndarray, x: np.ndarray, gain: np.ndarray, bias: np.ndarray, *, work: Work) -> Gradients:
    """With sums over the samples in buffers."""
    apart = x - x.mean(axis=-1, keepdims=True)
    scale = 1 / np.sqrt((apart**2).mean(axis=-1, keepdims=True) + x.dtype.type(1e-5))
    normal, g = apart * scale, d * gain
    dx, dgain, dbias = np.zeros(x.shape, work), np.zeros(gain.shape, work), np.zeros(bias.shape, work)
    dx += scale * (g - g.mean(axis=-1, keepdims=True) - normal * (g * normal).mean(axis=-1, keepdims=True))
    for row, n in zip(d, normal, strict=True):
        dgain += row * n
        dbias += row
    return dx, dgain, dbias


def batch_norm(x: np.ndarray, W: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """A linear layer, normalised over the samples."""
    z = x @ W
    apart = z - z.mean(axis=0)
    return gain * apart / np.sqrt((apart**2).mean(axis=0) + x.dtype.type(1e-5))


def batch_norm_backward(d: np.ndarray, x: np.ndarray, W: np.ndarray, gain: np.ndarray, *, work: Work) -> Gradients:
    """Through the normalisation, then the linear layer."""
    z = x @ W
    apart = z - z.mean(axis=0)
    scale = 1 / np.sqrt((apart**2).mean(axis=0) + x.dtype.type(1e-5))
    normal, g = apart * scale, d * gain
    dz = np.zeros(z.shape, work)
    dz += scale * (g - g.mean(axis=0) - normal * (g * normal).mean(axis=0))
    return dz @ W.T, x.T @ dz, (d * normal).sum(axis=0)


def rms_norm(x: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    return gain * x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + x.dtype.type(1e-6))


def rms_norm_backward(d: np.ndarray, x: np.ndarray, gain: np.ndarray, *, work: Work) -> Gradients:
    """With the gain's sums in a buffer."""
    scale = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + x.dtype.type(1e-6))
    normal, g = x * scale, d * gain
    dgain = np.zeros(gain.shape, work)
    for row, n in zip(d, normal, strict=True):
        dgain += row * n
    return scale * (g - normal * (g * normal).mean(axis=-1, keepdims=True)), dgain


def rnn(x: np.ndarray, W: np.ndarray, U: np.ndarray, b: np.ndarray) -> np.ndarray:
    """h = tanh(x_t W + h U + b), all h."""
    h, outputs = np.zeros((x.shape[1], U.shape[0]), x.dtype), []
    for step in x:
        h = np.tanh(step @ W + h @ U + b)
        outputs.append(h)
    return np.stack(outputs)


def rnn_backward(
    d: np.ndarray, x: np.ndarray, W: np.ndarray, U: np.ndarray, b: np.ndarray, *, work: Work
) -> Gradients:
    """Through time, with all sums in buffers."""
    h = rnn(x, W, U, b)
    dx, dW, dU, db = (np.zeros(a.shape, work) for a in (x, W, U, b))
    back = np.zeros(h[0].shape, work)
    for t in reversed(range(len(x))):
        dz = (d[t] + back) * (1 - h[t] ** 2)
        before = h[t - 1] if t else np.zeros_like(h[0])
        dx[t] = dz @ W.T
        dW += x[t].T @ dz
        dU += before.T @ dz
        db += dz.sum(axis=0)
        back[...] = dz @ U.T
    return dx, dW, dU, db


def gated(x: np.ndarray, W: np.ndarray, V: np.ndarray) -> np.ndarray:
    """silu(x W) * (x V)."""
    z = x @ W
    return z / (1 + np.exp(-z)) * (x @ V)


def gated_backward(d: np.ndarray, x: np.ndarray, W: np.ndarray, V: np.ndarray, *, work: Work) -> Gradients:
    """Both branches."""
    z, up = x @ W, x @ V
    s = 1 / (1 + np.exp(-z))
    dz, du = np.zeros(z.shape, work), np.zeros(up.shape, work)
    dz += d * up * s * (1 + z * (1 - s))
    du += d * z * s
    return dz @ W.T + du @ V.T, x.T @ dz, x.T @ du


def convolution(x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Over one axis: x (samples, channels, length), W (out, channels, taps)."""
    taps = W.shape[2]
    return sum((np.einsum("ncl,oc->nol", x[:, :, k : x.shape[2] - taps + 1 + k], W[:, :, k]) for k in range(taps)),
               start=x.dtype.type(0))


def convolution_backward(d: np.ndarray, x: np.ndarray, W: np.ndarray, *, work: Work) -> Gradients:
    """Tap by tap into buffers."""
    dx, dW, length = np.zeros(x.shape, work), np.zeros(W.shape, work), d.shape[2]
    for k in range(W.shape[2]):
        dx[:, :, k : k + length] += np.einsum("nol,oc->ncl", d, W[:, :, k])
        dW[:, :, k] = np.einsum("nol,ncl->oc", d, x[:, :, k : k + length])
    return dx, dW


@dataclass(frozen=True)
class NumPyLayer:
    """A layer, and the shapes of its inputs."""

    forward: Callable[..., np.ndarray]
    backward: Callable[..., Gradients]
    shapes: tuple[tuple[int, ...], ...]

    def inputs(self, seed: int, dtype: Any) -> tuple[np.ndarray, ...]:
        """Random inputs; matrices scaled by their height."""
        rng = np.random.default_rng(seed)
        made = [rng.standard_normal(shape) / (np.sqrt(shape[0]) if k and len(shape) == 2 else 1.0)
                for k, shape in enumerate(self.shapes)]
        return tuple(array.astype(dtype) for array in made)


NUMPY_LAYERS = {
    "affine": NumPyLayer(affine, affine_backward, ((40, 12), (12, 9), (9,))),
    "mlp": NumPyLayer(mlp, mlp_backward, ((32, 10), (10, 14), (14, 6))),
    "softmax": NumPyLayer(softmax, softmax_backward, ((16, 12),)),
    "attention": NumPyLayer(attention, attention_backward, ((2, 7, 8), (2, 7, 8), (2, 7, 8))),
    "layer norm": NumPyLayer(layer_norm, layer_norm_backward, ((24, 16), (16,), (16,))),
    "batch norm": NumPyLayer(batch_norm, batch_norm_backward, ((32, 8), (8, 14), (14,))),
    "rms norm": NumPyLayer(rms_norm, rms_norm_backward, ((24, 16), (16,))),
    "rnn": NumPyLayer(rnn, rnn_backward, ((6, 5, 7), (7, 11), (11, 11), (11,))),
    "gated": NumPyLayer(gated, gated_backward, ((24, 9), (9, 12), (9, 12))),
    "convolution": NumPyLayer(convolution, convolution_backward, ((5, 4, 14), (6, 4, 5))),
}
