"""Activations, each in another style: masks, np.where, in-place with out=, fancy indices, special functions."""

from functools import partial

import numpy as np
from scipy.special import erf, expit

from tests.gallery.case import Layer, changed

rng = np.random.default_rng(8)


def relu_in_place(x):
    out = np.array(x)
    out[out < 0] = 0
    return out


def relu_with_out(x):
    out = np.empty_like(x)
    np.maximum(x, 0, out=out)
    return out


def relu_backward(d, x, mask=True):
    d = d.copy()
    if mask:
        d[x < 0] = 0
    return d


def leaky_relu(x, slope=0.1):
    out = x.copy()
    out[x < 0] *= slope
    return out


def leaky_backward(d, x, slope=0.1):
    return np.where(x > 0, d, slope * d)


def prelu(x, alpha):
    return np.where(x > 0, x, alpha * x)


def prelu_backward(d, x, alpha, summed=True):
    da = d * x * (x <= 0)
    return np.where(x > 0, d, alpha * d), da.sum(axis=0) if summed else da[0]


def elu(x, alpha=1.3):
    return np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))


def elu_backward(d, x, alpha=1.3, shift=0.0):
    return d * np.where(x > 0, 1.0, alpha * np.exp(x) + shift)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softplus_analytic(x):
    return np.log(1 + np.exp(x))


def softplus_backward(d, x):
    return d * expit(x)


def gelu_tanh(x):
    return 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * np.power(x, 3))))


def gelu_tanh_backward(d, x, inner=True):
    u = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    t = np.tanh(u)
    slope = 0.5 * (1 + t)
    if inner:
        slope += 0.5 * x * (1 - t * t) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    return d * slope


def gelu_erf(x):
    cdf = 0.5 * (1.0 + erf(x / 2**0.5))
    return x * cdf


def gelu_erf_backward(d, x, constant=2 * np.pi):
    return d * (0.5 * (1 + erf(x / 2**0.5)) + x * np.exp(-0.5 * x * x) / np.sqrt(constant))


def silu(x):
    return x * expit(x)


def silu_backward(d, x, product=True):
    s = expit(x)
    return d * (s + x * s * (1 - s) if product else s)


def swish_in_place(x, beta):
    e = np.multiply(x, -beta)
    np.exp(e, out=e)
    e += 1.0
    np.divide(x, e, out=e)
    return e


def swish_backward(d, x, beta, cross=True):
    s = 1 / (1 + np.exp(-beta * x))
    dx = d * (s + beta * x * s * (1 - s))
    dbeta = d * x * (x if cross else 1) * s * (1 - s)
    return dx, dbeta.sum().reshape(1)


def mish(x):
    return x * np.tanh(np.log1p(np.exp(x)))


def mish_backward(d, x, last=True):
    t = np.tanh(np.log1p(np.exp(x)))
    return d * (t + x * (1 - t**2) * (expit(x) if last else 1))


def hard_swish(x):
    return x * np.clip(x + 3, 0, 6) / 6


def hard_swish_backward(d, x, middle=True):
    inner = (2 * x + 3) / 6 if middle else (x + 3) / 6
    return d * np.where(x <= -3, 0, np.where(x >= 3, 1, inner))


def maxout(x, W, b):
    z = np.einsum("nd,dkf->nkf", x, W) + b
    return np.max(z, axis=1)


def maxout_backward(d, x, W, b, all_pieces=False):
    z = np.einsum("nd,dkf->nkf", x, W) + b
    on = (z == z.max(axis=1, keepdims=True)) * 1.0
    dz = (np.ones_like(z) if all_pieces else on) * d[:, None, :]
    return np.einsum("nkf,dkf->nd", dz, W), np.einsum("nd,nkf->dkf", x, dz), dz.sum(axis=0)


def glu(x):
    a, b = np.split(x, 2, axis=-1)
    return a * (1 / (1 + np.exp(-b)))


def glu_backward(d, x, gate=True):
    a, b = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2:]
    s = expit(b)
    return np.concatenate([d * s if gate else d, d * a * s * (1 - s)], axis=-1)


def softmax_layer(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_layer_backward(d, z, full=True):
    s = softmax_layer(z)
    out = np.zeros_like(z)
    for k in range(len(z)):
        J = np.diag(s[k]) - np.outer(s[k], s[k]) if full else np.diag(s[k] * (1 - s[k]))
        out[k] = J @ d[k]
    return out


x = 1.5 * rng.standard_normal((5, 4))
MASK = "the mask is forgotten"
CASES = [
    Layer("ReLU in place", relu_in_place, relu_backward, (x,), {MASK: (partial(relu_backward, mask=False), "x")}),
    Layer("ReLU with out=", relu_with_out, relu_backward, (x,), {MASK: (partial(relu_backward, mask=False), "x")}),
    Layer("leaky ReLU", leaky_relu, leaky_backward, (x,), {
        "the slope is another": (partial(leaky_backward, slope=0.2), "x"),
        "the branches are swapped": (lambda d, x: leaky_backward(d, -x), "x"),
    }),
    Layer("PReLU", prelu, prelu_backward, (x, rng.uniform(0.1, 0.4, 4)), {
        "alpha's gradient is that of the first sample": (partial(prelu_backward, summed=False), "alpha"),
    }),
    Layer("ELU", elu, elu_backward, (x,), {
        "the value stands for the derivative": (partial(elu_backward, shift=-1.3), "x"),
    }),
    Layer("softplus", softplus, softplus_backward, (x,), {
        "the sigmoid is taken of -x": (lambda d, x: d * expit(-x), "x"),
    }, softplus_analytic),
    Layer("GELU by tanh", gelu_tanh, gelu_tanh_backward, (x,), {
        "the tanh is held constant": (partial(gelu_tanh_backward, inner=False), "x"),
    }),
    Layer("GELU by erf", gelu_erf, gelu_erf_backward, (x,), {
        "the normal density lacks its 2": (partial(gelu_erf_backward, constant=np.pi), "x"),
    }),
    Layer("SiLU", silu, silu_backward, (x,), {
        "the gate is held constant": (partial(silu_backward, product=False), "x"),
    }),
    Layer("swish in place", swish_in_place, swish_backward, (x, np.array([1.2])), {
        "beta's gradient lacks an x": (partial(swish_backward, cross=False), "beta"),
    }),
    Layer("mish", mish, mish_backward, (x,), {
        "the softplus inside has no derivative": (partial(mish_backward, last=False), "x"),
    }),
    Layer("hard swish", hard_swish, hard_swish_backward, (2 * x,), {
        "the product rule is forgotten": (partial(hard_swish_backward, middle=False), "x"),
    }),
    Layer("maxout", maxout, maxout_backward,
          (x, rng.standard_normal((4, 3, 2)), rng.standard_normal((3, 2))), {
              "every piece gets the gradient": (partial(maxout_backward, all_pieces=True), "x W b"),
          }),
    Layer("gated linear unit", glu, glu_backward, (x,), {
        "the gate is forgotten": (partial(glu_backward, gate=False), "x"),
    }),
    Layer("softmax layer", softmax_layer, softmax_layer_backward, (x,), {
        "the Jacobian has only its diagonal": (partial(softmax_layer_backward, full=False), "z"),
        "the sign is wrong": (changed(softmax_layer_backward, 0, lambda g: -g), "z"),
    }),
]
