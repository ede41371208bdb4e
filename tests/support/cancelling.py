"""Layers with a gradient that is zero in theory: a bias in front of a normalisation, a key's bias, a softmax shift."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

import fastcheck as fc

# The root of the 1e-5 that normalisations add to the variance.
LEAST_DEVIATION = 3e-3


@dataclass(frozen=True)
class Layer:
    """A layer at one point, with its textbook backward.

    forward, backward, inputs : as ``fastcheck.check_vjp`` takes them.
    zero : number of the input whose gradient is zero in theory.
    typical : size of that gradient's entries if nothing cancelled.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: tuple[Any, ...]
    zero: int
    typical: float


def normalised(z: Any, axes: tuple[int, ...]) -> Any:
    return (z - z.mean(axes, keepdims=True)) / np.sqrt(z.var(axes, keepdims=True) + z.dtype.type(1e-5))


def through_normalisation(d: Any, z: Any, axes: tuple[int, ...]) -> Any:
    """The textbook's backward of ``normalised``."""
    scale = 1 / np.sqrt(z.var(axes, keepdims=True) + z.dtype.type(1e-5))
    a = (z - z.mean(axes, keepdims=True)) * scale
    return scale * (d - d.mean(axes, keepdims=True) - a * (d * a).mean(axes, keepdims=True))


def batch_norm(rng: np.random.Generator, dtype: Any, size: float) -> Layer:
    m, n, k = rng.integers(4, 20), rng.integers(2, 8), rng.integers(2, 6)
    x, W, b = size * rng.standard_normal((m, n)), rng.standard_normal((n, k)), size * rng.standard_normal(k)

    def backward(d: Any, x: Any, W: Any, b: Any) -> Any:
        dz = through_normalisation(d, x @ W + b, (0,))
        return dz @ W.T, x.T @ dz, dz.sum(0)

    return made(lambda x, W, b: normalised(x @ W + b, (0,)), backward, (x, W, b), 2, m**0.5 / size, dtype)


def instance_norm(rng: np.random.Generator, dtype: Any, size: float) -> Layer:
    m, c, n = rng.integers(1, 4), rng.integers(2, 5), rng.integers(4, 9)
    x, gain, b = rng.standard_normal((m, c, n)), rng.uniform(0.5, 2.0, (c, 1)), rng.standard_normal((c, 1))
    x, b = size * x, size * b

    def backward(d: Any, x: Any, gain: Any, b: Any) -> Any:
        dz = through_normalisation(d, gain * x + b, (2,))
        return gain * dz, (dz * x).sum((0, 2)).reshape(c, 1), dz.sum((0, 2)).reshape(c, 1)

    return made(
        lambda x, gain, b: normalised(gain * x + b, (2,)), backward, (x, gain, b), 2, (m * n) ** 0.5 / size, dtype
    )


def key_bias(rng: np.random.Generator, dtype: Any, size: float) -> Layer:
    t, n = rng.integers(3, 8), rng.integers(2, 6)
    x, q, b = rng.standard_normal((t, n)), rng.standard_normal((t, n)), rng.standard_normal(n)

    def probabilities(x: Any, q: Any, b: Any) -> Any:
        s = q @ (x + b).T
        e = np.exp(s - s.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def backward(d: Any, x: Any, q: Any, b: Any) -> Any:
        p = probabilities(x, q, b)
        dp = d @ x.T
        ds = p * (dp - (dp * p).sum(1, keepdims=True))
        dk = ds.T @ q
        return p.T @ d + dk, ds @ (x + b), dk.sum(0)

    return made(lambda x, q, b: probabilities(x, q, b) @ x, backward, (x, q, b), 2, t**0.5, dtype)


def softmax_shift(rng: np.random.Generator, dtype: Any, size: float) -> Layer:
    m, k = rng.integers(2, 10), rng.integers(3, 8)
    x, shift = rng.standard_normal((m, k)), rng.standard_normal((m, 1))

    def probabilities(x: Any, shift: Any) -> Any:
        e = np.exp(x + shift - (x + shift).max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def backward(d: Any, x: Any, shift: Any) -> Any:
        p = probabilities(x, shift)
        dx = p * (d - (d * p).sum(1, keepdims=True))
        return dx, dx.sum(1, keepdims=True)

    return made(probabilities, backward, (x, shift), 1, 1.0 / k**0.5, dtype)


def made(forward: Any, backward: Any, inputs: Any, zero: int, typical: float, dtype: Any) -> Layer:
    return Layer(forward, backward, tuple(value.astype(dtype) for value in inputs), zero, typical)


def group_norm(rng: np.random.Generator, dtype: Any, size: float) -> Layer:
    """One bias for each group of channels."""
    m, groups, c, n = rng.integers(1, 4), rng.integers(1, 4), rng.integers(2, 4), rng.integers(3, 7)
    x, gain, b = rng.standard_normal((m, groups, c, n)), rng.uniform(0.5, 2.0, (c, 1)), rng.standard_normal((groups, 1))
    x, b = size * x, size * b

    def before(x: Any, gain: Any, b: Any) -> Any:
        return gain * x + b[..., None]

    def backward(d: Any, x: Any, gain: Any, b: Any) -> Any:
        dz = through_normalisation(d, before(x, gain, b), (2, 3))
        return gain * dz, (dz * x).sum((0, 1, 3)).reshape(c, 1), dz.sum((0, 2, 3)).reshape(groups, 1)

    return made(lambda *args: normalised(before(*args), (2, 3)), backward, (x, gain, b), 2, (m * c * n) ** 0.5 / size,
                dtype)


def layer_norm_shift(rng: np.random.Generator, dtype: Any, size: float) -> Layer:
    """A number added to all features of a sample."""
    m, n, k = rng.integers(2, 8), rng.integers(2, 6), rng.integers(4, 10)
    x, W, b = size * rng.standard_normal((m, n)), rng.standard_normal((n, k)), size * rng.standard_normal((m, 1))

    def backward(d: Any, x: Any, W: Any, b: Any) -> Any:
        dz = through_normalisation(d, x @ W + b, (1,))
        return dz @ W.T, x.T @ dz, dz.sum(1, keepdims=True)

    return made(lambda x, W, b: normalised(x @ W + b, (1,)), backward, (x, W, b), 2, k**0.5 / size, dtype)


LAYERS = {
    "batch norm": batch_norm, "instance norm": instance_norm, "group norm": group_norm,
    "layer norm shift": layer_norm_shift, "key bias": key_bias, "softmax shift": softmax_shift,
}  # fmt: skip


def hardly_varying(name: str, rng: np.random.Generator, dtype: Any, size: float) -> Layer:
    """A normalisation whose inputs are mostly the bias: what is left of its gradient rounds by more than the others."""
    layer = LAYERS[name](rng, dtype, 1.0)
    share = 10.0 ** (rng.uniform(-4.0, -1.0) if dtype is np.float64 else rng.uniform(-2.0, -0.5))
    inputs = (layer.inputs[0] * dtype(share), *layer.inputs[1:])
    return replace(layer, inputs=inputs, typical=layer.typical / max(share, LEAST_DEVIATION))


HARDLY_VARYING = {
    f"{name} of what hardly varies": partial(hardly_varying, name)
    for name in ("batch norm", "instance norm", "group norm", "layer norm shift")
}


@dataclass(frozen=True)
class Regression:
    """A softmax regression that fits its targets nearly perfectly, with the textbook's gradients A - Y.

    typical : size of the terms of the bias gradient, which cancel.
    """

    net: fc.Network
    parameters: dict[str, Any]
    gradients: dict[str, Any]
    X: Any
    Y: Any
    typical: float


def near_a_perfect_fit(rng: np.random.Generator, dtype: Any) -> Regression:
    """A fit with a loss of 1e-8 to 1e-3 (of 1e-5 to 1e-2 in single precision)."""
    n, k, m = (int(rng.integers(*span)) for span in ((2, 6), (2, 6), (3, 12)))
    net = fc.Network([fc.Dense(n, k, "softmax")], cost="cross_entropy")
    X, W = rng.standard_normal((n, m)), rng.standard_normal((k, n))
    Y = np.argmax(W @ X, axis=0)
    loss = 10.0 ** (rng.uniform(-8, -3) if dtype is np.float64 else rng.uniform(-5, -2))
    low, high = 1e-2, 1e8
    for _ in range(60):
        scale = np.sqrt(low * high)
        if net.cost_of({"W1": scale * W, "b1": np.zeros((k, 1))}, X, Y) > loss:
            low = scale
        else:
            high = scale
    parameters, X = {"W1": (scale * W).astype(dtype), "b1": np.zeros((k, 1), dtype)}, X.astype(dtype)
    Z = parameters["W1"] @ X + parameters["b1"]
    E = np.exp(Z - Z.max(0))
    D = E / E.sum(0)
    D[Y, np.arange(m)] -= 1
    D /= dtype(m)
    return Regression(net, parameters, {"dW1": D @ X.T, "db1": D.sum(1, keepdims=True)}, X, Y, 1.0 / m)


def spoiled(layer: Layer, error: float, seed: int) -> Callable[..., Any]:
    """The backward with an error in one entry of the gradient that is zero, as a share of its typical size."""

    def backward(*args: Any) -> Any:
        rng = np.random.default_rng(seed)
        found = list(layer.backward(*args))
        wrong = found[layer.zero].copy()
        place = int(rng.integers(wrong.size))
        wrong.reshape(-1)[place] += wrong.dtype.type(rng.choice((-1.0, 1.0)) * error * layer.typical)
        found[layer.zero] = wrong
        return tuple(found)

    return backward
