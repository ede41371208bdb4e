"""Normalization: of batches in the long and the short form, layers, groups, instances, by rms; and dropout."""

from functools import partial

import numpy as np

from tests.gallery.case import Layer, cached, changed, with_cache

rng = np.random.default_rng(5)


# ---- batch normalization step by step, as the computational graph is drawn -------------------------------------------
def batchnorm_forward_long(x, gamma, beta, eps=1e-5):
    N, _ = x.shape
    mu = 1.0 / N * np.sum(x, axis=0)
    xmu = x - mu
    sq = xmu**2
    var = 1.0 / N * np.sum(sq, axis=0)
    sqrtvar = np.sqrt(var + eps)
    ivar = 1.0 / sqrtvar
    xhat = xmu * ivar
    gammax = gamma * xhat
    out = gammax + beta
    return out, (xhat, gamma, xmu, ivar, sqrtvar, var, eps)


def batchnorm_backward_long(dout, cache, variance=True, mean=True):
    xhat, gamma, xmu, ivar, sqrtvar, var, eps = cache
    N, D = dout.shape
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu1 = dxhat * ivar
    dsqrtvar = -1.0 / (sqrtvar**2) * divar
    dvar = 0.5 * 1.0 / np.sqrt(var + eps) * dsqrtvar
    dsq = 1.0 / N * np.ones((N, D)) * dvar
    dxmu2 = 2 * xmu * dsq
    dx1 = dxmu1 + dxmu2 if variance else dxmu1
    dmu = -1 * np.sum(dx1, axis=0)
    dx2 = 1.0 / N * np.ones((N, D)) * dmu
    return dx1 + dx2 if mean else dx1, dgamma, dbeta


# ---- batch normalization in short, with running averages that each call moves on -------------------------------------
bn_param = {"mode": "train", "eps": 1e-5, "momentum": 0.9}


def batchnorm_forward(x, gamma, beta):
    mode, eps, momentum = bn_param["mode"], bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    running_mean = bn_param.get("running_mean", np.zeros(x.shape[1]))
    running_var = bn_param.get("running_var", np.zeros(x.shape[1]))
    if mode == "train":
        sample_mean, sample_var = x.mean(axis=0), x.var(axis=0)
        x_hat = (x - sample_mean) / np.sqrt(sample_var + eps)
        out = gamma * x_hat + beta
        running_mean = momentum * running_mean + (1 - momentum) * sample_mean
        running_var = momentum * running_var + (1 - momentum) * sample_var
    else:
        out = gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta
    bn_param["running_mean"], bn_param["running_var"] = running_mean, running_var
    return out


def batchnorm_analytic(x, gamma, beta):
    return batchnorm_forward_long(x, gamma, beta)[0]


def batchnorm_backward(dout, x, gamma, beta, cross=True, width=False):
    N = x.shape[1] if width else x.shape[0]
    std = np.sqrt(x.var(axis=0) + 1e-5)
    x_hat = (x - x.mean(axis=0)) / std
    dgamma, dbeta = (dout * x_hat).sum(axis=0), dout.sum(axis=0)
    second = x_hat * dgamma if cross else 0.0
    return gamma / (N * std) * (N * dout - dbeta - second), dgamma, dbeta


# ---- over other axes -------------------------------------------------------------------------------------------------
def layernorm(x, gamma, beta, eps=1e-5):
    mean = x.mean(-1, keepdims=True)
    std = np.sqrt(x.var(-1, keepdims=True) + eps)
    return gamma * (x - mean) / std + beta


def layernorm_analytic(x, gamma, beta, eps=1e-5):
    xc = x - x.mean(-1, keepdims=True)
    return gamma * xc / np.sqrt((xc * xc).mean(-1, keepdims=True) + eps) + beta


def layernorm_backward(dout, x, gamma, beta, eps=1e-5, axis=-1, first=True):
    std = np.sqrt(x.var(-1, keepdims=True) + eps)
    x_hat = (x - x.mean(-1, keepdims=True)) / std
    lead = tuple(range(x.ndim - 1))
    g = dout * gamma
    mean = g.mean(axis, keepdims=True) if first else 0.0
    dx = (g - mean - x_hat * (g * x_hat).mean(axis, keepdims=True)) / std
    return dx, (dout * x_hat).sum(lead), dout.sum(lead)


def groupnorm_forward(x, gamma, beta, G=2, eps=1e-5):
    N, C, H, W = x.shape
    x_group = np.reshape(x, (N, G, C // G, H, W))
    mean = np.mean(x_group, axis=(2, 3, 4), keepdims=True)
    var = np.mean((x_group - mean) ** 2, axis=(2, 3, 4), keepdims=True)
    x_norm = ((x_group - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return x_norm * gamma + beta, (G, x, x_norm, mean, var, eps, gamma)


def groupnorm_backward(dout, cache, groups=None):
    G, x, x_norm, _, var, eps, gamma = cache
    N, C, H, W = x.shape
    dgamma = np.sum(dout * x_norm, axis=(0, 2, 3), keepdims=True)
    dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
    split = (N, groups or G, C // (groups or G), H, W)
    d = (dout * gamma).reshape(split)
    hat = x_norm.reshape(split)
    std = np.broadcast_to(np.sqrt(var + eps), (N, G, C // G, H, W)).reshape(split)
    dx = (d - d.mean(axis=(2, 3, 4), keepdims=True)
          - hat * (d * hat).mean(axis=(2, 3, 4), keepdims=True)) / std
    return dx.reshape(x.shape), dgamma, dbeta


def instance_norm(x, scale):
    n, c = x.shape[:2]
    flat = x.reshape(n, c, -1)
    centred = flat - flat.mean(axis=2)[:, :, None]
    power = np.einsum("nci,nci->nc", centred, centred) / flat.shape[2]
    return (scale[None, :, None] * centred / (power[:, :, None] + 1e-5) ** 0.5).reshape(x.shape)


def instance_norm_backward(d, x, scale, axis=2):
    n, c = x.shape[:2]
    flat, d = x.reshape(n, c, -1), d.reshape(n, c, -1)
    centred = flat - flat.mean(axis=2, keepdims=True)
    std = np.sqrt((centred**2).mean(axis=2, keepdims=True) + 1e-5)
    hat = centred / std
    g = d * scale[:, None]
    dx = (g - g.mean(axis=axis, keepdims=True) - hat * (g * hat).mean(axis=axis, keepdims=True)) / std
    return dx.reshape(x.shape), (d * hat).sum(axis=(0, 2))


class RMSNorm:
    def __init__(self, eps=1e-6):
        self.eps = eps

    def __call__(self, x, weight):
        return x * (1.0 / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + self.eps)) * weight

    def backward(self, d, x, weight, projected=True):
        r = 1.0 / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps)
        g = d * weight
        dx = r * g
        if projected:
            dx -= x * r**3 * (g * x).mean(-1, keepdims=True)
        return dx, (d * x * r).sum(axis=0)


norm = RMSNorm()


def rms_norm(x, weight):
    return norm(x, weight)


# ---- inverted dropout, its mask frozen by a seed ---------------------------------------------------------------------
def dropout_forward(x, p=0.6, seed=7):
    np.random.seed(seed)
    mask = (np.random.rand(*x.shape) < p) / p
    out = x * mask
    out = out.astype(x.dtype, copy=False)
    return out, (mask, p)


def dropout_backward(dout, cache, masked=True, scaled=True):
    mask, p = cache
    return dout * (mask if scaled else mask * p) if masked else dout


long = with_cache(batchnorm_forward_long, batchnorm_backward_long)
group = with_cache(groupnorm_forward, groupnorm_backward)
rows = (rng.standard_normal((6, 4)), rng.uniform(0.5, 2, 4), rng.standard_normal(4))
images = rng.standard_normal((2, 4, 3, 2))
CASES = [
    Layer("batch norm, long form", cached(batchnorm_forward_long), long, rows, {
        "the variance is held constant":
            (with_cache(batchnorm_forward_long, batchnorm_backward_long, variance=False), "x"),
        "the mean is held constant": (with_cache(batchnorm_forward_long, batchnorm_backward_long, mean=False), "x"),
    }),
    Layer("batch norm, short form", batchnorm_forward, batchnorm_backward, rows, {
        "the cross term of the variance is missing": (partial(batchnorm_backward, cross=False), "x"),
        "N is the width and not the batch": (partial(batchnorm_backward, width=True), "x"),
        "gamma's gradient is the mean": (changed(batchnorm_backward, 1, lambda g: g / 6), "gamma"),
    }, batchnorm_analytic),
    Layer("layer norm", layernorm, layernorm_backward, (rng.standard_normal((2, 3, 4)), *rows[1:]), {
        "means are taken over the samples": (partial(layernorm_backward, axis=0), "x"),
        "the gradient of the mean is missing": (partial(layernorm_backward, first=False), "x"),
    }, layernorm_analytic),
    Layer("group norm", cached(groupnorm_forward), group,
          (images, rng.uniform(0.5, 2, (1, 4, 1, 1)), rng.standard_normal((1, 4, 1, 1))), {
              "all channels are one group": (with_cache(groupnorm_forward, groupnorm_backward, groups=1), "x"),
              "every channel is a group": (with_cache(groupnorm_forward, groupnorm_backward, groups=4), "x"),
          }),
    Layer("instance norm", instance_norm, instance_norm_backward, (images, rng.uniform(0.5, 2, 4)), {
        "the means are over the channels": (partial(instance_norm_backward, axis=1), "x"),
        "the scale's gradient has the wrong sign": (changed(instance_norm_backward, 1, lambda g: -g), "scale"),
    }),
    Layer("rms norm", rms_norm, norm.backward, (rng.standard_normal((5, 4)), rows[1]), {
        "the rms is held constant": (partial(norm.backward, projected=False), "x"),
        "the weight's gradient is not summed but taken of the first row":
            (lambda d, x, w: (norm.backward(d, x, w)[0], norm.backward(d[:1], x[:1], w)[1]), "weight"),
    }),
    Layer("dropout with its seed", cached(dropout_forward), with_cache(dropout_forward, dropout_backward),
          (rng.standard_normal((5, 6)),), {
              "the mask is not applied": (with_cache(dropout_forward, dropout_backward, masked=False), "x"),
              "the 1/p of inverted dropout is missing":
                  (with_cache(dropout_forward, dropout_backward, scaled=False), "x"),
          }),
]
