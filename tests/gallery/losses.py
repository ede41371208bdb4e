"""Losses: softmax, hinge, focal, triplet, contrastive by cosine similarity, Huber, Cox's partial likelihood."""

from functools import partial

import numpy as np
from scipy.special import expit

from tests.gallery.case import Layer, changed

rng = np.random.default_rng(2)


def softmax_loss(x, y):
    shifted_logits = x - np.max(x, axis=1, keepdims=True)
    Z = np.sum(np.exp(shifted_logits), axis=1, keepdims=True)
    log_probs = shifted_logits - np.log(Z)
    N = x.shape[0]
    return -np.sum(log_probs[np.arange(N), y]) / N


def softmax_backward(d, x, y, mean=True, label=0):
    N = x.shape[0]
    dx = np.exp(x - np.max(x, axis=1, keepdims=True))
    dx /= dx.sum(axis=1, keepdims=True)
    dx[np.arange(N), y - label] -= 1
    return d * (dx / N if mean else dx)


def svm_loss(x, y):
    N = x.shape[0]
    correct_class_scores = x[np.arange(N), y]
    margins = np.maximum(0, x - correct_class_scores[:, np.newaxis] + 1.0)
    margins[np.arange(N), y] = 0
    return np.sum(margins) / N


def svm_backward(d, x, y, correct=True, mask=True):
    N = x.shape[0]
    margins = x - x[np.arange(N), y][:, np.newaxis] + 1.0
    margins[np.arange(N), y] = 0
    dx = np.zeros_like(x)
    dx[margins > 0] = 1
    if not mask:
        dx = np.ones_like(x)
        dx[np.arange(N), y] = 0
    if correct:
        dx[np.arange(N), y] -= np.sum(dx, axis=1)
    return d * dx / N


def focal_loss(logits, targets, alpha=0.25, gamma=2.0):
    p = expit(logits)
    pt = np.where(targets == 1, p, 1 - p)
    weight = np.where(targets == 1, alpha, 1 - alpha)
    return np.mean(-weight * (1 - pt) ** gamma * np.log(pt))


def focal_backward(d, logits, targets, alpha=0.25, gamma=2.0, focus=True, sides=True):
    p = expit(logits)
    pt = np.where(targets == 1, p, 1 - p)
    weight = np.where(targets == 1, alpha, 1 - alpha)
    dpt = -weight * (1 - pt) ** gamma / pt
    if focus:
        dpt += weight * gamma * (1 - pt) ** (gamma - 1) * np.log(pt)
    sign = np.where(targets == 1, 1.0, -1.0) if sides else 1.0
    return d * dpt * sign * p * (1 - p) / logits.size


def triplet_loss(anchor, positive, negative):
    dp = np.sqrt(np.sum(np.square(anchor - positive), axis=1))
    dn = np.sqrt(np.sum(np.square(anchor - negative), axis=1))
    return np.mean(np.maximum(dp - dn + 0.5, 0.0))


def triplet_backward(d, anchor, positive, negative, active=True, root=True):
    dp = np.sqrt(np.sum((anchor - positive) ** 2, axis=1, keepdims=True))
    dn = np.sqrt(np.sum((anchor - negative) ** 2, axis=1, keepdims=True))
    on = (dp - dn + 0.5 > 0) * 1.0 if active else 1.0
    near = d * on * (anchor - positive) / (dp if root else 1.0) / len(anchor)
    far = d * on * (anchor - negative) / (dn if root else 1.0) / len(anchor)
    return near - far, -near, far


def contrastive_loss(a, b, temperature=0.5):
    a = a / np.linalg.norm(a, axis=1, keepdims=True)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    sim = a @ b.T / temperature
    log_z = np.log(np.exp(sim).sum(axis=1))
    return float(np.mean(log_z - np.diag(sim)))


def contrastive_analytic(a, b, temperature=0.5):
    a = a / np.sqrt((a * a).sum(axis=1, keepdims=True))
    b = b / np.sqrt((b * b).sum(axis=1, keepdims=True))
    sim = a @ b.T / temperature
    return np.mean(np.log(np.exp(sim).sum(axis=1)) - np.trace(sim) / len(a))


def contrastive_backward(d, a, b, temperature=0.5, project=True, scaled=True):
    na, nb = np.linalg.norm(a, axis=1, keepdims=True), np.linalg.norm(b, axis=1, keepdims=True)
    ua, ub = a / na, b / nb
    sim = ua @ ub.T / temperature
    P = np.exp(sim) / np.exp(sim).sum(axis=1, keepdims=True)
    ds = d * (P - np.eye(len(a))) / len(a) / (temperature if scaled else 1.0)
    dua, dub = ds @ ub, ds.T @ ua
    if project:
        dua = dua - ua * (dua * ua).sum(axis=1, keepdims=True)
        dub = dub - ub * (dub * ub).sum(axis=1, keepdims=True)
    return dua / na, dub / nb


def cosine_similarity(u, v):
    return np.einsum("ij,ij->i", u, v) / (np.sqrt(np.einsum("ij,ij->i", u, u)) * np.sqrt(np.einsum("ij,ij->i", v, v)))


def cosine_backward(d, u, v, norms=True):
    nu, nv = np.linalg.norm(u, axis=-1, keepdims=True), np.linalg.norm(v, axis=-1, keepdims=True)
    cos = (u * v).sum(-1, keepdims=True) / nu / nv
    d = d[:, None]
    if not norms:
        return d * v / (nu * nv), d * u / (nu * nv)
    return d * (v / (nu * nv) - cos * u / nu**2), d * (u / (nu * nv) - cos * v / nv**2)


def huber_loss(prediction, target, delta=1.0):
    error = prediction - target
    small = np.abs(error) <= delta
    return np.where(small, 0.5 * error**2, delta * (np.abs(error) - 0.5 * delta))


def huber_analytic(prediction, target, delta=1.0):
    error = prediction - target
    size = np.where(error.real < 0, -error, error)
    return np.where(size.real <= delta, 0.5 * error**2, delta * (size - 0.5 * delta))


def huber_backward(d, prediction, target, delta=1.0, clipped=True):
    error = prediction - target
    dp = d * (np.clip(error, -delta, delta) if clipped else error)
    return dp, -dp


def cox_loss(risk, order, event):
    theta = risk[order]
    at_risk = np.cumsum(np.exp(theta)[::-1])[::-1]
    return -np.sum((theta - np.log(at_risk)) * event)


def cox_backward(d, risk, order, event, forward_sum=True):
    theta = risk[order]
    e = np.exp(theta)
    at_risk = np.cumsum(e[::-1])[::-1]
    terms = event / at_risk
    shares = np.cumsum(terms) if forward_sum else terms
    dx = np.empty_like(risk)
    dx[order] = -d * (event - e * shares)
    return dx


x, y = rng.standard_normal((5, 4)) * 2, np.array([3, 0, 1, 1, 2])
pairs = (rng.standard_normal((4, 3)), rng.standard_normal((4, 3)))
CASES = [
    Layer("softmax loss", softmax_loss, softmax_backward, (x, y), {
        "the mean's 1/N is missing": (partial(softmax_backward, mean=False), "x"),
        "the labels are off by one": (partial(softmax_backward, label=1), "x"),
        "the sign is wrong": (changed(softmax_backward, 0, lambda g: -g), "x"),
    }),
    Layer("hinge loss", svm_loss, svm_backward, (x, y), {
        "the correct class's own gradient is missing": (partial(svm_backward, correct=False), "x"),
        "margins that are met count too": (partial(svm_backward, mask=False), "x"),
    }),
    Layer("focal loss", focal_loss, focal_backward, (rng.standard_normal(12), np.arange(12) % 3 % 2), {
        "the focusing factor is held constant": (partial(focal_backward, focus=False), "logits"),
        "negatives have the sign of positives": (partial(focal_backward, sides=False), "logits"),
    }),
    Layer("triplet loss", triplet_loss, triplet_backward, tuple(rng.standard_normal((3, 6, 3))), {
        "inactive triplets count": (partial(triplet_backward, active=False), "anchor positive negative"),
        "the anchor's distance to the negative is forgotten":
            (lambda d, a, p, n: (-triplet_backward(d, a, p, n)[1], *triplet_backward(d, a, p, n)[1:]), "anchor"),
        "the distances are taken for squared ones": (partial(triplet_backward, root=False), "anchor positive negative"),
    }),
    Layer("contrastive loss", contrastive_loss, contrastive_backward, pairs, {
        "the norms are held constant": (partial(contrastive_backward, project=False), "a b"),
        "the temperature is forgotten": (partial(contrastive_backward, scaled=False), "a b"),
    }, contrastive_analytic),
    Layer("cosine similarity", cosine_similarity, cosine_backward, pairs, {
        "the norms are held constant": (partial(cosine_backward, norms=False), "u v"),
        "v has the gradient of u": (lambda d, u, v: (cosine_backward(d, u, v)[0],) * 2, "v"),
    }),
    Layer("Huber loss", huber_loss, huber_backward, tuple(2 * rng.standard_normal((2, 9))), {
        "the error is not clipped": (partial(huber_backward, clipped=False), "prediction target"),
        "the target has the prediction's sign": (lambda d, p, t: (huber_backward(d, p, t)[0],) * 2, "target"),
    }, huber_analytic),
    Layer("Cox partial likelihood", cox_loss, cox_backward,
          (rng.standard_normal(8), rng.permutation(8), np.array([1, 0, 1, 1, 0, 1, 0, 1])), {
              "earlier events are left out of the risk": (partial(cox_backward, forward_sum=False), "risk"),
              "the gradient stays in sorted order":
                  (lambda d, r, o, e: cox_backward(d, r, o, e)[o], "risk"),
          }),
]
