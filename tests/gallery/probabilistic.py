"""Probabilistic models: hidden Markov model, Gaussian process, variational autoencoder, mixture density network."""

from functools import partial

import numpy as np
from scipy.linalg import cho_solve
from scipy.special import logsumexp

from tests.gallery.case import Model, changed_in

rng = np.random.default_rng(9)


# ---- the forward algorithm of a hidden Markov model ------------------------------------------------------------------
def hmm_terms(p, observed):
    log_pi = p["pi"] - logsumexp(p["pi"])
    log_A = p["A"] - logsumexp(p["A"], axis=1, keepdims=True)
    log_B = -0.5 * (observed[:, None] - p["mu"]) ** 2
    return log_pi, log_A, log_B


def hmm_cost(p, observed):
    log_pi, log_A, log_B = hmm_terms(p, observed)
    alpha = log_pi + log_B[0]
    for t in range(1, len(observed)):
        alpha = log_B[t] + logsumexp(alpha[:, None] + log_A, axis=0)
    return -logsumexp(alpha)


def hmm_gradient(p, observed, normalized=True, all_times=True):
    log_pi, log_A, log_B = hmm_terms(p, observed)
    T, K = log_B.shape
    alpha, beta = np.empty((T, K)), np.zeros((T, K))
    alpha[0] = log_pi + log_B[0]
    for t in range(1, T):
        alpha[t] = log_B[t] + logsumexp(alpha[t - 1][:, None] + log_A, axis=0)
    for t in range(T - 2, -1, -1):
        beta[t] = logsumexp(log_A + log_B[t + 1] + beta[t + 1], axis=1)
    log_z = logsumexp(alpha[-1])
    gamma = np.exp(alpha + beta - log_z)
    xi = np.exp(alpha[:-1, :, None] + log_A + (log_B[1:] + beta[1:])[:, None, :] - log_z)
    counts = xi.sum(axis=0) if all_times else xi[-1]
    dA, dpi = -counts, -gamma[0]
    if normalized:
        dA = dA + np.exp(log_A) * counts.sum(axis=1, keepdims=True)
        dpi = dpi + np.exp(log_pi)
    return {"pi": dpi, "A": dA, "mu": -(gamma * (observed[:, None] - p["mu"])).sum(axis=0)}


# ---- the marginal likelihood of a Gaussian process -------------------------------------------------------------------
def gp_kernel(p, X):
    lengths, scale, noise = np.exp(p["log_length"]), np.exp(p["log_scale"]), np.exp(p["log_noise"])
    Z = X / lengths
    squared = np.sum(Z**2, 1)[:, None] + np.sum(Z**2, 1)[None, :] - 2 * Z @ Z.T
    return scale * np.exp(-0.5 * squared), noise * np.eye(len(X))


def gp_cholesky_cost(p, X, y):
    K, noise = gp_kernel(p, X)
    L = np.linalg.cholesky(K + noise)
    alpha = np.linalg.solve(L.T, np.linalg.solve(L, y))
    return 0.5 * y @ alpha + np.sum(np.log(np.diagonal(L))) + 0.5 * len(y) * np.log(2 * np.pi)


def gp_slogdet_cost(p, X, y):
    K, noise = gp_kernel(p, X)
    sign, logdet = np.linalg.slogdet(K + noise)
    if sign <= 0:
        return np.inf
    return 0.5 * y.T.dot(np.linalg.solve(K + noise, y)) + 0.5 * logdet + 0.5 * len(y) * np.log(2 * np.pi)


def gp_analytic(p, X, y):
    """The same by elimination without pivots, which keeps imaginary parts."""
    M = sum(gp_kernel(p, X))
    inverse, logdet = np.linalg.inv(M), 0.0
    for k in range(len(M)):
        logdet = logdet + np.log(M[k, k])
        M = M - np.outer(M[:, k], M[k]) / M[k, k]
    return 0.5 * y @ inverse @ y + 0.5 * logdet + 0.5 * len(y) * np.log(2 * np.pi)


def gp_gradient(p, X, y, complexity=True, own_diagonal=True):
    K, noise = gp_kernel(p, X)
    L = np.linalg.cholesky(K + noise)
    inverse = cho_solve((L, True), np.eye(len(X)))
    alpha = inverse @ y
    dK = 0.5 * ((inverse if complexity else 0.0) - np.outer(alpha, alpha))
    lengths = np.exp(p["log_length"])
    squares = (X[:, None, :] - X[None, :, :]) ** 2 / lengths**2
    dnoise = np.trace(dK) if own_diagonal else dK.sum()
    return {"log_length": np.einsum("ij,ij,ijd->d", dK, K, squares), "log_scale": np.array(np.sum(dK * K)),
            "log_noise": np.array(dnoise * np.exp(p["log_noise"]))}


# ---- a variational autoencoder, its noise fixed ----------------------------------------------------------------------
class VAE:
    def __init__(self, params):
        self.params = params
        self.grads = {}

    def forward(self, X, noise):
        p = self.params
        self.h = np.tanh(np.matmul(X, p["We"]) + p["be"])
        self.mu = self.h @ p["Wm"]
        self.logvar = self.h @ p["Wv"]
        self.std = np.exp(0.5 * self.logvar)
        self.z = self.mu + self.std * noise
        logits = self.z @ p["Wd"] + p["bd"]
        self.y = 1.0 / (1.0 + np.exp(-logits))
        bce = -np.sum(X * np.log(self.y) + (1 - X) * np.log(1 - self.y))
        kl = -0.5 * np.sum(1 + self.logvar - self.mu**2 - np.exp(self.logvar))
        return (bce + kl) / X.shape[0]

    def backward(self, X, noise, half=0.5, kl=True, path=True):
        p, N = self.params, X.shape[0]
        dlogits = (self.y - X) / N
        dz = dlogits @ p["Wd"].T
        dmu = dz + (self.mu / N if kl else 0)
        dlogvar = half * dz * noise * self.std if path else np.zeros_like(dz)
        if kl:
            dlogvar = dlogvar + 0.5 * (np.exp(self.logvar) - 1) / N
        dh = (dmu @ p["Wm"].T + dlogvar @ p["Wv"].T) * (1 - self.h**2)
        self.grads["Wd"], self.grads["bd"] = self.z.T @ dlogits, dlogits.sum(axis=0)
        self.grads["Wm"], self.grads["Wv"] = self.h.T @ dmu, self.h.T @ dlogvar
        self.grads["We"], self.grads["be"] = X.T @ dh, dh.sum(axis=0)
        return self.grads


def vae_cost(p, X, noise):
    return VAE(p).forward(X, noise)


def vae_gradient(p, X, noise, **switches):
    model = VAE(p)
    model.forward(X, noise)
    return model.backward(X, noise, **switches)


# ---- a mixture density network ---------------------------------------------------------------------------------------
def mdn_parts(p, X):
    h = np.tanh(X @ p["W"] + p["b"])
    out = h @ p["U"]
    K = out.shape[1] // 3
    return h, out[:, :K], out[:, K:2 * K], out[:, 2 * K:]


def mdn_cost(p, X, t):
    _, logits, mu, log_sigma = mdn_parts(p, X)
    log_weights = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    log_density = -0.5 * ((t[:, None] - mu) / np.exp(log_sigma)) ** 2 - log_sigma - 0.5 * np.log(2 * np.pi)
    return -np.mean(np.log(np.sum(np.exp(log_weights + log_density), axis=1)))


def mdn_gradient(p, X, t, prior=True, normalizer=True):
    h, logits, mu, log_sigma = mdn_parts(p, X)
    weights = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    u = (t[:, None] - mu) / np.exp(log_sigma)
    joint = weights * np.exp(-0.5 * u**2 - log_sigma)
    share = joint / joint.sum(1, keepdims=True)
    dlogits = (weights - share) if prior else -share
    dlog_sigma = share * ((1.0 if normalizer else 0.0) - u**2)
    dout = np.concatenate([dlogits, -share * u / np.exp(log_sigma), dlog_sigma], axis=1) / len(X)
    dz = dout @ p["U"].T * (1 - h**2)
    return {"W": X.T @ dz, "b": dz.sum(axis=0), "U": h.T @ dout}


states = {"pi": rng.standard_normal(3), "A": rng.standard_normal((3, 3)), "mu": rng.standard_normal(3)}
process = {"log_length": 0.3 * rng.standard_normal(2), "log_scale": np.array(0.4), "log_noise": np.array(-1.2)}
data = (rng.standard_normal((6, 2)), rng.standard_normal(6))
vae = {"We": rng.standard_normal((5, 4)), "be": rng.standard_normal(4), "Wm": rng.standard_normal((4, 2)),
       "Wv": rng.standard_normal((4, 2)), "Wd": rng.standard_normal((2, 5)), "bd": rng.standard_normal(5)}
mixture = {"W": rng.standard_normal((2, 4)), "b": rng.standard_normal(4), "U": rng.standard_normal((4, 6))}
gp_mistakes = {
    "the log-determinant's part is missing": (partial(gp_gradient, complexity=False), "log_length log_scale log_noise"),
    "the noise is differentiated as if it were in every entry": (partial(gp_gradient, own_diagonal=False), "log_noise"),
}
CASES = [
    Model("hidden Markov model", hmm_cost, hmm_gradient, states, (rng.standard_normal(7),), {
        "the normalization of the transitions is forgotten": (partial(hmm_gradient, normalized=False), "pi A"),
        "only the last transition counts": (partial(hmm_gradient, all_times=False), "A"),
    }),
    Model("Gaussian process by Cholesky", gp_cholesky_cost, gp_gradient, process, data, gp_mistakes, gp_analytic),
    Model("Gaussian process by slogdet", gp_slogdet_cost, gp_gradient, process, data, gp_mistakes, gp_analytic),
    Model("variational autoencoder", vae_cost, vae_gradient, vae,
          (rng.uniform(size=(4, 5)), rng.standard_normal((4, 2))), {
              "the log-variance is taken for the log of the deviation": (partial(vae_gradient, half=1.0), "Wv We be"),
              "the divergence is forgotten": (partial(vae_gradient, kl=False), "Wm Wv We be"),
              "the noise's path is forgotten": (partial(vae_gradient, path=False), "Wv We be"),
          }),
    Model("mixture density network", mdn_cost, mdn_gradient, mixture,
          (rng.standard_normal((5, 2)), rng.standard_normal(5)), {
              "the weights' softmax is not normalized": (partial(mdn_gradient, prior=False), "W b U"),
              "log sigma's own term is missing": (partial(mdn_gradient, normalizer=False), "W b U"),
              "b has the wrong sign": (changed_in(mdn_gradient, "b", lambda g: -g), "b"),
          }),
]
