"""Recurrent networks and embeddings: states in np.zeros, lists and dictionaries; gates sliced, split, concatenated."""

from functools import partial

import numpy as np
from scipy.special import expit

from tests.gallery.case import Layer, Model, cached, changed, changed_in, with_cache

rng = np.random.default_rng(6)


# ---- a plain RNN, hidden states written into np.zeros ----------------------------------------------------------------
def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(prev_h.dot(Wh) + x.dot(Wx) + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    dtanh = dnext_h * (1 - next_h**2)
    return dtanh.dot(Wx.T), dtanh.dot(Wh.T), x.T.dot(dtanh), prev_h.T.dot(dtanh), dtanh.sum(axis=0)


def rnn_forward(x, h0, Wx, Wh, b):
    N, T, _ = x.shape
    h = np.zeros((N, T, h0.shape[1]))
    prev_h, cache = h0, []
    for t in range(T):
        h[:, t, :], cache_t = rnn_step_forward(x[:, t, :], prev_h, Wx, Wh, b)
        prev_h = h[:, t, :]
        cache.append(cache_t)
    return h, cache


def rnn_backward(dh, cache, through_time=True, accumulate=True):
    N, T, _ = dh.shape
    x, _, Wx, Wh, _ = cache[0]
    dx = np.zeros((N, T, x.shape[1]))
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[0])
    dprev = np.zeros_like(dh[:, 0])
    for t in reversed(range(T)):
        dx[:, t], dprev, dWx_t, dWh_t, db_t = rnn_step_backward(dh[:, t] + (dprev if through_time else 0), cache[t])
        dWx, dWh, db = (dWx + dWx_t, dWh + dWh_t, db + db_t) if accumulate else (dWx_t, dWh_t, db_t)
    return dx, dprev, dWx, dWh, db


# ---- an LSTM: gates sliced out of one product, states in lists -------------------------------------------------------
def sigmoid(x):
    pos_mask = x >= 0
    neg_mask = x < 0
    z = np.zeros_like(x)
    z[pos_mask] = np.exp(-x[pos_mask])
    z[neg_mask] = np.exp(x[neg_mask])
    top = np.ones_like(x)
    top[neg_mask] = z[neg_mask]
    return top / (1 + z)


def lstm_forward(x, h0, Wx, Wh, b):
    H = h0.shape[1]
    h, c = h0, np.zeros_like(h0)
    hs, cache = [], []
    for t in range(x.shape[1]):
        a = x[:, t].dot(Wx) + h.dot(Wh) + b
        i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H:2 * H]), sigmoid(a[:, 2 * H:3 * H])
        g = np.tanh(a[:, 3 * H:])
        c_next = f * c + i * g
        h_next = o * np.tanh(c_next)
        cache.append((x[:, t], h, c, i, f, o, g, c_next, Wx, Wh))
        h, c = h_next, c_next
        hs.append(h)
    return np.stack(hs, axis=1), cache


def lstm_backward(dh, cache, cell=True, both=True, last=False):
    N, T, H = dh.shape
    _, _, _, _, _, _, _, _, Wx, Wh = cache[0]
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(4 * H)
    dx = np.zeros((N, T, Wx.shape[0]))
    dprev_h, dc = np.zeros((N, H)), np.zeros((N, H))
    for t in reversed(range(T)):
        x, h, c, i, f, o, g, c_next, _, _ = cache[t]
        dnext = dh[:, t] + dprev_h
        tanh_c = np.tanh(c_next)
        dc = (dc if cell else 0) + (dnext * o * (1 - tanh_c**2) if both else dnext * o)
        da = np.concatenate([dc * g * i * (1 - i), dc * c * f * (1 - f), dnext * tanh_c * o * (1 - o),
                             dc * i * (1 - g**2)], axis=1)
        dx[:, t] = da.dot(Wx.T)
        dprev_h = da.dot(Wh.T)
        dc = dc * f
        if not last or t == T - 1:
            dWx, dWh, db = dWx + x.T.dot(da), dWh + h.T.dot(da), db + da.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db


# ---- an LSTM as blogs have it: column vectors, the input stacked on the state, dictionaries by time -----------------
def blog_lstm(p, inputs, targets):
    h, c, y = {-1: np.zeros((3, 1))}, {-1: np.zeros((3, 1))}, {}
    loss = 0
    for t in range(len(inputs)):
        z = np.vstack((h[t - 1], inputs[t].reshape(-1, 1)))
        f, i = expit(p["Wf"] @ z + p["bf"]), expit(p["Wi"] @ z + p["bi"])
        o, c_bar = expit(p["Wo"] @ z + p["bo"]), np.tanh(p["Wc"] @ z + p["bc"])
        c[t] = f * c[t - 1] + i * c_bar
        h[t] = o * np.tanh(c[t])
        y[t] = p["Wy"] @ h[t] + p["by"]
        loss += 0.5 * np.sum((y[t] - targets[t].reshape(-1, 1)) ** 2)
    return loss


def blog_lstm_gradient(p, inputs, targets, pass_state=True, sum_forget=True):
    h, c, gates = {-1: np.zeros((3, 1))}, {-1: np.zeros((3, 1))}, {}
    for t in range(len(inputs)):
        z = np.vstack((h[t - 1], inputs[t].reshape(-1, 1)))
        f, i = expit(p["Wf"] @ z + p["bf"]), expit(p["Wi"] @ z + p["bi"])
        o, c_bar = expit(p["Wo"] @ z + p["bo"]), np.tanh(p["Wc"] @ z + p["bc"])
        c[t] = f * c[t - 1] + i * c_bar
        h[t] = o * np.tanh(c[t])
        gates[t] = z, f, i, o, c_bar
    d = {name: np.zeros_like(value) for name, value in p.items()}
    dh_next, dc_next = np.zeros((3, 1)), np.zeros((3, 1))
    for t in reversed(range(len(inputs))):
        z, f, i, o, c_bar = gates[t]
        dy = p["Wy"] @ h[t] + p["by"] - targets[t].reshape(-1, 1)
        d["Wy"] += dy @ h[t].T
        d["by"] += dy
        dh = p["Wy"].T @ dy + dh_next
        dc = dc_next + dh * o * (1 - np.tanh(c[t]) ** 2)
        steps = {"f": dc * c[t - 1] * f * (1 - f), "i": dc * c_bar * i * (1 - i),
                 "o": dh * np.tanh(c[t]) * o * (1 - o), "c": dc * i * (1 - c_bar**2)}
        for gate, da in steps.items():
            if gate == "f" and not sum_forget:
                d["Wf"], d["bf"] = da @ z.T, da
            else:
                d["W" + gate] += da @ z.T
                d["b" + gate] += da
        dz = sum(p["W" + gate].T @ da for gate, da in steps.items())
        dh_next = dz[:3]
        dc_next = f * dc if pass_state else np.zeros((3, 1))
    return d


# ---- a GRU as a class, gates by np.split -----------------------------------------------------------------------------
class GRU:
    def __init__(self, W, U, b):
        self.W, self.U, self.b = W, U, b

    def step(self, x, h):
        wz, wr, wn = np.split(x @ self.W + self.b, 3, axis=-1)
        uz, ur, un = np.split(h @ self.U, 3, axis=-1)
        z, r = 1 / (1 + np.exp(-(wz + uz))), 1 / (1 + np.exp(-(wr + ur)))
        n = np.tanh(wn + r * un)
        return (1 - z) * n + z * h, (x, h, z, r, n, un)

    def forward(self, xs):
        h = np.zeros((xs.shape[1], self.U.shape[0]))
        self.tape = []
        for x in xs:
            h, saved = self.step(x, h)
            self.tape.append(saved)
        return h

    def backward(self, dh, keep=True, reset=True):
        dW, dU, db, dxs = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.b), []
        for x, h, z, r, n, un in reversed(self.tape):
            dn = dh * (1 - z) * (1 - n**2)
            dz = dh * (h - n) * z * (1 - z)
            dr = dn * un * r * (1 - r)
            da = np.hstack([dz, dr, dn])
            du = np.hstack([dz, dr, dn * r if reset else dn])
            dW += x.T @ da
            dU += h.T @ du
            db += da.sum(axis=0)
            dxs.append(da @ self.W.T)
            dh = du @ self.U.T + (dh * z if keep else 0)
        return np.stack(dxs[::-1]), dW, dU, db


def gru(xs, W, U, b):
    return GRU(W, U, b).forward(xs)


def gru_backward(dh, xs, W, U, b, **switches):
    cell = GRU(W, U, b)
    cell.forward(xs)
    return cell.backward(dh, **switches)


# ---- min-char-rnn ----------------------------------------------------------------------------------------------------
def char_rnn_loss(p, inputs, targets):
    vocab_size, hidden_size = p["Wxh"].shape[1], p["Whh"].shape[0]
    xs, hs, ys, ps = {}, {}, {}, {}
    hs[-1] = np.zeros((hidden_size, 1))
    loss = 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((vocab_size, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(p["Wxh"], xs[t]) + np.dot(p["Whh"], hs[t - 1]) + p["bh"])
        ys[t] = np.dot(p["Why"], hs[t]) + p["by"]
        ps[t] = np.exp(ys[t]) / np.sum(np.exp(ys[t]))
        loss += -np.log(ps[t][targets[t], 0])
    return loss


def char_rnn_gradient(p, inputs, targets, raw=True):
    xs, hs, ps = {}, {-1: np.zeros((p["Whh"].shape[0], 1))}, {}
    for t in range(len(inputs)):
        xs[t] = np.zeros((p["Wxh"].shape[1], 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(p["Wxh"], xs[t]) + np.dot(p["Whh"], hs[t - 1]) + p["bh"])
        ys = np.dot(p["Why"], hs[t]) + p["by"]
        ps[t] = np.exp(ys) / np.sum(np.exp(ys))
    d = {name: np.zeros_like(value) for name, value in p.items()}
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        d["Why"] += np.dot(dy, hs[t].T)
        d["by"] += dy
        dh = np.dot(p["Why"].T, dy) + dhnext
        dhraw = (1 - hs[t] * hs[t]) * dh
        d["bh"] += dhraw
        d["Wxh"] += np.dot(dhraw, xs[t].T)
        d["Whh"] += np.dot(dhraw, hs[t - 1].T)
        dhnext = np.dot(p["Whh"].T, dhraw if raw else dh)
    return d


def clipped(backward, limit):
    def clip(*arguments):
        return {name: np.clip(value, -limit, limit) for name, value in backward(*arguments).items()}

    return clip


# ---- word embedding --------------------------------------------------------------------------------------------------
def word_embedding_forward(x, W):
    return W[x, :], (x, W.shape)


def word_embedding_backward(dout, cache, add=True):
    x, shape = cache
    dW = np.zeros(shape)
    if add:
        np.add.at(dW, x, dout)
    else:
        dW[x] += dout
    return dW


x, h0 = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 3))
Wx, Wh, b = rng.standard_normal((3, 3)), rng.standard_normal((3, 3)), rng.standard_normal(3)
Wx4, Wh4, b4 = rng.standard_normal((3, 12)), rng.standard_normal((3, 12)), rng.standard_normal(12)
blog = {f"W{gate}": rng.standard_normal((3, 5)) for gate in "fioc"} | {
    f"b{gate}": rng.standard_normal((3, 1)) for gate in "fioc"} | {
    "Wy": rng.standard_normal((2, 3)), "by": rng.standard_normal((2, 1))}
chars = {"Wxh": rng.standard_normal((4, 5)), "Whh": rng.standard_normal((4, 4)), "Why": rng.standard_normal((5, 4)),
         "bh": rng.standard_normal((4, 1)), "by": rng.standard_normal((5, 1))}
lstm = with_cache(lstm_forward, lstm_backward)
CASES = [
    Layer("RNN", cached(rnn_forward), with_cache(rnn_forward, rnn_backward), (x, h0, Wx, Wh, b), {
        "nothing flows back through time": (with_cache(rnn_forward, rnn_backward, through_time=False), "x h0 Wx Wh b"),
        "only the first time step's weight gradients are kept":
            (with_cache(rnn_forward, rnn_backward, accumulate=False), "Wx Wh b"),
    }),
    Layer("LSTM", cached(lstm_forward), lstm, (x, h0, Wx4, Wh4, b4), {
        "the cell's gradient is not passed to the step before":
            (with_cache(lstm_forward, lstm_backward, cell=False), "x h0 Wx Wh b"),
        "the tanh of the cell has no derivative": (with_cache(lstm_forward, lstm_backward, both=False), "x h0 Wx Wh b"),
        "only the last time step counts": (with_cache(lstm_forward, lstm_backward, last=True), "Wx Wh b"),
    }),
    Model("LSTM on column vectors", blog_lstm, blog_lstm_gradient, blog,
          (list(rng.standard_normal((4, 2))), list(rng.standard_normal((4, 2)))), {
              "the cell's gradient is not passed to the step before":
                  (partial(blog_lstm_gradient, pass_state=False), "Wf Wi Wc bf bi bc Wo bo"),
              "the forget gate's gradient is that of the first step":
                  (partial(blog_lstm_gradient, sum_forget=False), "Wf bf"),
          }),
    Layer("GRU", gru, gru_backward, (rng.standard_normal((4, 2, 3)), rng.standard_normal((3, 9)),
                                     rng.standard_normal((3, 9)), rng.standard_normal(9)), {
        "the kept state's gradient is not passed on": (partial(gru_backward, keep=False), "xs W U b"),
        "the reset gate is forgotten going back": (partial(gru_backward, reset=False), "xs W U b"),
    }),
    Model("min-char-rnn", char_rnn_loss, char_rnn_gradient, chars, ([0, 3, 1, 4], [3, 1, 4, 2]), {
        "the tanh is skipped going back through time": (partial(char_rnn_gradient, raw=False), "Wxh Whh bh"),
        "gradients are clipped at 0.2": (clipped(char_rnn_gradient, 0.2), "Wxh Whh Why bh by"),
        "by has the wrong sign": (changed_in(char_rnn_gradient, "by", lambda g: -g), "by"),
    }),
    Layer("word embedding", cached(word_embedding_forward), with_cache(word_embedding_forward, word_embedding_backward),
          (np.array([[0, 2, 2], [4, 0, 1]]), rng.standard_normal((5, 3))), {
              "repeated words overwrite each other":
                  (with_cache(word_embedding_forward, word_embedding_backward, add=False), "W"),
              "words that occur twice are averaged":
                  (changed(with_cache(word_embedding_forward, word_embedding_backward), 0,
                           lambda g: g / np.array([2, 1, 2, 1, 1])[:, None]), "W"),
          }),
]
