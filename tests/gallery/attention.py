"""Attention: causal and with several heads; a transformer block; additive attention."""

from functools import partial

import numpy as np
from scipy.special import erf

from tests.gallery.case import Layer, Model

rng = np.random.default_rng(7)


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


# ---- causal self-attention with several heads ------------------------------------------------------------------------
class MultiHeadAttention:
    def __init__(self, heads):
        self.heads = heads

    def split(self, x):
        B, T, D = x.shape
        return x.reshape(B, T, self.heads, D // self.heads).transpose(0, 2, 1, 3)

    def merge(self, x):
        B, H, T, D = x.shape
        return x.transpose(0, 2, 1, 3).reshape(B, T, H * D)

    def forward(self, x, Wq, Wk, Wv, Wo):
        q, k, v = self.split(x @ Wq), self.split(x @ Wk), self.split(x @ Wv)
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        mask = np.triu(np.ones((x.shape[1], x.shape[1])), k=1).astype(bool)
        scores[:, :, mask] = -1e9
        weights = softmax(scores)
        context = self.merge(weights @ v)
        self.saved = q, k, v, weights, context
        return context @ Wo

    def backward(self, d, x, Wq, Wk, Wv, Wo, row=True, scale=True, masked=True, key=False):
        self.forward(x, Wq, Wk, Wv, Wo)
        q, k, v, weights, context = self.saved
        dWo = np.einsum("btd,bte->de", context, d)
        dcontext = self.split(d @ Wo.T)
        dweights = dcontext @ v.swapaxes(-1, -2)
        dv = weights.swapaxes(-1, -2) @ dcontext
        if not masked:
            weights = softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]))
        inner = np.sum(dweights * weights, axis=-1, keepdims=True) if row else 0
        dscores = weights * (dweights - inner) / (np.sqrt(q.shape[-1]) if scale else 1)
        dq, dk = self.merge(dscores @ k), self.merge((dscores if key else dscores.swapaxes(-1, -2)) @ q)
        dv = self.merge(dv)
        dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
        return (dx, *(np.tensordot(x, dy, axes=((0, 1), (0, 1))) for dy in (dq, dk, dv)), dWo)


attention = MultiHeadAttention(2)


def self_attention(x, Wq, Wk, Wv, Wo):
    return attention.forward(x, Wq, Wk, Wv, Wo)


# ---- a transformer block ---------------------------------------------------------------------------------------------
def layer_norm(x, g, b):
    u = x.mean(axis=-1, keepdims=True)
    s = ((x - u) ** 2).mean(axis=-1, keepdims=True)
    return g * (x - u) / np.sqrt(s + 1e-5) + b


def layer_norm_back(d, x, g):
    u, s = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    std = np.sqrt(s + 1e-5)
    hat = (x - u) / std
    dh = d * g
    dx = (dh - dh.mean(-1, keepdims=True) - hat * (dh * hat).mean(-1, keepdims=True)) / std
    return dx, (d * hat).sum(0), d.sum(0)


def gelu(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def gelu_slope(x):
    return 0.5 * (1 + erf(x / np.sqrt(2))) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def block_forward(p, x, causal):
    h = layer_norm(x, p["g1"], p["b1"])
    q, k, v = np.split(h @ p["Wqkv"], 3, axis=-1)
    a = softmax(np.where(causal, q @ k.T / np.sqrt(q.shape[-1]), -np.inf))
    y = x + a @ v @ p["Wo"]
    h2 = layer_norm(y, p["g2"], p["b2"])
    return y + gelu(h2 @ p["W1"] + p["c1"]) @ p["W2"] + p["c2"]


def block_cost(p, tokens, targets):
    x = p["wte"][tokens] + p["wpe"][: len(tokens)]
    causal = np.tri(len(tokens), dtype=bool)
    logits = block_forward(p, x, causal) @ p["wte"].T
    logits = logits - logits.max(axis=-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return -log_p[np.arange(len(targets)), targets].mean()


def block_gradient(p, tokens, targets, residual=True, tied=True, slope=gelu_slope, add=True):
    T = len(tokens)
    x = p["wte"][tokens] + p["wpe"][:T]
    h = layer_norm(x, p["g1"], p["b1"])
    q, k, v = np.split(h @ p["Wqkv"], 3, axis=-1)
    root = np.sqrt(q.shape[-1])
    a = softmax(np.where(np.tri(T, dtype=bool), q @ k.T / root, -np.inf))
    av = a @ v
    y = x + av @ p["Wo"]
    h2 = layer_norm(y, p["g2"], p["b2"])
    z = h2 @ p["W1"] + p["c1"]
    out = y + gelu(z) @ p["W2"] + p["c2"]

    dlogits = softmax(out @ p["wte"].T)
    dlogits[np.arange(T), targets] -= 1
    dlogits /= T
    d = {"wte": dlogits.T @ out if tied else np.zeros_like(p["wte"]), "wpe": np.zeros_like(p["wpe"])}
    dout = dlogits @ p["wte"]
    d["W2"], d["c2"] = gelu(z).T @ dout, dout.sum(0)
    dz = dout @ p["W2"].T * slope(z)
    d["W1"], d["c1"] = h2.T @ dz, dz.sum(0)
    dy, d["g2"], d["b2"] = layer_norm_back(dz @ p["W1"].T, y, p["g2"])
    dy = dy + dout if residual else dy
    d["Wo"] = av.T @ dy
    dav = dy @ p["Wo"].T
    da, dv = dav @ v.T, a.T @ dav
    ds = a * (da - (da * a).sum(-1, keepdims=True)) / root
    dqkv = np.concatenate([ds @ k, ds.T @ q, dv], axis=-1)
    d["Wqkv"] = h.T @ dqkv
    dx, d["g1"], d["b1"] = layer_norm_back(dqkv @ p["Wqkv"].T, x, p["g1"])
    dx = dx + dy
    d["wpe"][:T] = dx
    if add:
        np.add.at(d["wte"], tokens, dx)
    else:
        d["wte"][tokens] += dx
    return d


# ---- additive attention ----------------------------------------------------------------------------------------------
def additive_attention(query, keys, v):
    energy = np.tanh(query[:, None, :] + keys[None, :, :]) @ v
    energy = np.exp(energy)
    weights = energy / energy.sum(1)[:, None]
    return np.dot(weights, keys)


def additive_backward(d, query, keys, v, values=True, center=True):
    t = np.tanh(query[:, None, :] + keys[None, :, :])
    w = softmax(t @ v)
    dw = d @ keys.T
    de = w * (dw - ((w * dw).sum(1, keepdims=True) if center else 0))
    dt = de[:, :, None] * v * (1 - t**2)
    dkeys = dt.sum(axis=0)
    if values:
        dkeys = dkeys + w.T @ d
    return dt.sum(axis=1), dkeys, np.einsum("qk,qkd->d", de, t)


D, V, T = 4, 6, 5
sizes = {"wte": (V, D), "wpe": (T + 1, D), "g1": D, "b1": D, "Wqkv": (D, 3 * D), "Wo": (D, D), "g2": D, "b2": D,
         "W1": (D, 6), "c1": 6, "W2": (6, D), "c2": D}
block = {name: 0.7 * rng.standard_normal(size) + (name[0] == "g") for name, size in sizes.items()}
tokens = np.array([0, 3, 3, 1, 5])
inputs = (rng.standard_normal((2, 4, 4)), *(rng.standard_normal((4, 4, 4)) * 0.8))
EVERYTHING_BELOW = "wte wpe g1 b1 Wqkv Wo"
CASES = [
    Layer("causal attention with heads", self_attention, attention.backward, inputs, {
        "the softmax has only its diagonal": (partial(attention.backward, row=False), "x Wq Wk"),
        "the scores' scale is forgotten": (partial(attention.backward, scale=False), "x Wq Wk"),
        "the mask is forgotten going back": (partial(attention.backward, masked=False), "x Wq Wk"),
        "the keys' scores are not transposed": (partial(attention.backward, key=True), "x Wk"),
    }),
    Model("transformer block", block_cost, block_gradient, block, (tokens, np.array([3, 3, 1, 5, 2])), {
        "the second residual connection is forgotten": (partial(block_gradient, residual=False), EVERYTHING_BELOW),
        "the output's use of the embedding is forgotten": (partial(block_gradient, tied=False), "wte"),
        "the GELU's derivative is the normal distribution alone":
            (partial(block_gradient, slope=lambda z: 0.5 * (1 + erf(z / np.sqrt(2)))),
             EVERYTHING_BELOW + " g2 b2 W1 c1"),
        "repeated tokens overwrite each other": (partial(block_gradient, add=False), "wte"),
    }),
    Layer("additive attention", additive_attention, additive_backward,
          (rng.standard_normal((3, 4)), rng.standard_normal((5, 4)), rng.standard_normal(4)), {
              "the keys' use as values is forgotten": (partial(additive_backward, values=False), "keys"),
              "the softmax has only its diagonal": (partial(additive_backward, center=False), "query keys v"),
          }),
]
