"""Small programs, three for each kind of mistake that the parts of a program explain, none of them a reported case.

Each is (forward, backward with the mistake, inputs, the tensor, what its diagnosis says).
"""

import numpy as np

RNG = np.random.default_rng(7)
X, Y, W, V = (RNG.standard_normal(shape) for shape in ((6, 4), (6, 3), (4, 3), (3, 3)))
v, w = RNG.standard_normal(9), RNG.standard_normal(4)


def logistic(z):
    return 1 / (1 + np.exp(-z))


def normalised(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# Held fixed: a term of the chain rule is left out.
def unit_length(x):
    return x / np.sqrt((x**2).sum(1, keepdims=True))


def gated(x):
    return x * np.tanh(x.mean(0))


def ratio(x):
    return x**2 / (1.0 + x.sum())


HELD = [
    (unit_length, lambda d, x: d / np.sqrt((x**2).sum(1, keepdims=True)), (X,), "x", r"through `x\*\*2`"),
    (gated, lambda d, x: d * np.tanh(x.mean(0)), (X,), "x", r"through `x\.mean\(0\)` .* held fixed"),
    (ratio, lambda d, x: d * 2 * x / (1.0 + x.sum()), (np.abs(X),), "x", r"through `x\.sum\(\)` .* held fixed"),
]


# The wrong sign of one term.
def difference(x):
    return np.sin(x) - 0.5 * x**2


TURNED = RNG.standard_normal((7, 9)) * np.exp(1j * RNG.standard_normal((7, 9)))


def spectrum(x):
    f = TURNED @ x
    return f.real**2 + f.imag**2


def drift(u, a):
    for _ in range(4):
        u = u + 0.1 * (a * np.cos(u) - u**3)
    return u + a**2


def drift_backward(d, u, a):
    path = [u]
    for _ in range(4):
        path.append(path[-1] + 0.1 * (a * np.cos(path[-1]) - path[-1] ** 3))
    da = 2 * d * a
    for state in reversed(path[:-1]):
        da -= 0.1 * d * np.cos(state)
        d = d * (1 + 0.1 * (-a * np.sin(state) - 3 * state**2))
    return d, da


SIGN = [
    (difference, lambda d, x: d * (np.cos(x) + x), (X,), "x", r"`x\*\*2` .* with the wrong sign"),
    (spectrum, lambda d, x: 2 * ((d * (TURNED @ x)) @ TURNED).real, (v,), "x",
     r"`f\.imag` .* wrong sign: a complex conjugate is missing"),
    (drift, drift_backward, (w, w + 0.3), "a", r"`a \* np\.cos\(u\)` .*all 4 times.* with the wrong sign"),
]  # fmt: skip


# One of several uses, samples or steps.
def tied(x, W):
    return np.tanh(x @ W) @ W.T


def tied_backward(d, x, W):
    h = np.tanh(x @ W)
    dz = d @ W * (1 - h**2)
    return dz @ W.T, x.T @ dz


def rows(x, W):
    return np.stack([np.sin(row @ W) for row in x])


def rows_backward(d, x, W):
    dW = np.zeros_like(W)
    for row, up in zip(x, d, strict=True):
        dW = np.outer(row, up * np.cos(row @ W))
    return (d * np.cos(x @ W)) @ W.T, dW


def recurrence(x, V):
    h, out = np.zeros(3), []
    for now in x:
        h = np.tanh(now + h @ V)
        out.append(h)
    return np.stack(out)


def recurrence_backward(d, x, V):
    h = np.concatenate([np.zeros((1, 3)), recurrence(x, V)])
    dx, dV, dh = np.zeros_like(x), np.zeros_like(V), np.zeros(3)
    for t in reversed(range(len(x))):
        dx[t] = (d[t] + dh) * (1 - h[t + 1] ** 2)
        if t < len(x) - 1:
            dV += np.outer(h[t], dx[t])
        dh = V @ dx[t]
    return dx, dV


USES = [
    (tied, tied_backward, (X, W), "W", r"lacks what comes through W itself in `np\.tanh\(x @ W\) @ W\.T`"),
    (rows, rows_backward, (X, W), "W", r"dW holds only the last of the \d+ indices of axis 0 of the output"),
    (recurrence, recurrence_backward, (Y, V), "V", r"lacks .*`h @ V` .*the 6th of 6 times \(the last\)"),
]


# An output, or samples, whose upstream gradient is not used.
def both(x):
    return np.sin(x), np.cos(x).sum(0)


def sum_and_last(x, W):
    h = np.tanh(x @ W)
    return h.sum(0), h[-1] ** 2


def pair(x):
    return x.max(1), x.mean(1)


def max_only(d, x):
    dx = np.zeros_like(x)
    dx[np.arange(len(x)), x.argmax(1)] = d[0]
    return dx


def last_ignored(d, x, W):
    dz = d[0] * (1 - np.tanh(x @ W) ** 2)
    return dz @ W.T, x.T @ dz


OUTPUTS = [
    (both, lambda d, x: d[0] * np.cos(x), (X,), "x", r"lacks what comes through output 1 \(its upstream gradient\)"),
    (sum_and_last, last_ignored, (X, W), "W", r"lacks what comes through output 1"),
    (pair, max_only, (X,), "x", r"lacks what comes through output 1"),
]


# Another derivative of an activation.
def layer(x, W):
    return logistic(x @ W)


def two_layers(x, W, V):
    return np.tanh(np.tanh(x @ W) @ V)


def attention(x, W):
    return normalised(x @ W) @ np.diag([1.0, 2.0, -1.0])


def slope_at_output(d, x, W):
    a = layer(x, W)
    dz = d * logistic(a) * (1 - logistic(a))
    return dz @ W.T, x.T @ dz


def linear_for_square(d, x, W, V):
    a = np.tanh(x @ W)
    b = np.tanh(a @ V)
    d2 = d * (1 - b)
    d1 = d2 @ V.T * (1 - a)
    return d1 @ W.T, x.T @ d1, a.T @ d2


def diagonal_alone(d, x, W):
    p = normalised(x @ W)
    dz = d @ np.diag([1.0, 2.0, -1.0]) * p * (1 - p)
    return dz @ W.T, x.T @ dz


SLOPES = [
    (layer, slope_at_output, (X, W), "W", r"with sigmoid's derivative taken at the output instead of the input"),
    (two_layers, linear_for_square, (X, W, V), "W", r"1 - a instead of 1 - a\^2 for tanh's derivative everywhere"),
    (attention, diagonal_alone, (X, W), "W", r"only the diagonal of the Jacobian, for softmax's derivative"),
]


# A neighbour left out of a stencil.
def smoothed(x):
    return (x[:-2] + 2 * x[1:-1] + x[2:]) / 4


def slope(x):
    return np.sin(x[1:] - x[:-1])


def products(x):
    return x[1:] * x[:-1]


def placed(size, *parts):
    found = np.zeros(size)
    for start, part in parts:
        found[start : start + part.size] += part
    return found


STENCILS = [
    (smoothed, lambda d, x: placed(9, (0, d / 4), (1, d / 2)), (v,), "x",
     r"lacks what comes through x itself in `x\[:-2\] \+ 2 \* x\[1:-1\] \+ x\[2:\]`"),
    (slope, lambda d, x: placed(9, (1, d * np.cos(x[1:] - x[:-1]))), (v,), "x", r"lacks .* the neighbour at \+0"),
    (products, lambda d, x: placed(9, (0, d * x[1:])), (v,), "x", r"lacks .* the neighbour at -1"),
]


# Entries whose own value decides.
def steep(x):
    return np.where(x > 0.2, x**2, np.exp(x))


def cubic(x):
    return np.abs(x) ** 3


def weighed(x):
    return x * FACTORS


FACTORS = RNG.standard_normal((6, 4))
SPARSE = np.where(RNG.random((6, 4)) < 0.4, 0.0, X)
VALUES = [
    (steep, lambda d, x: d * np.where(x > 0.5, 2 * x, np.exp(x)), (np.sort(X.reshape(-1)),), "x",
     r"wrong exactly where x is greater than a number between"),
    (cubic, lambda d, x: d * 3 * x**2, (X,), "x", r"wrong exactly where x is negative"),
    (weighed, lambda d, x: d * np.divide(x * FACTORS, x, out=np.ones_like(x), where=x != 0), (SPARSE,), "x",
     r"wrong exactly where x is zero"),
]  # fmt: skip


# Rows in wrong places.
def scaled(x):
    return x * np.arange(1.0, 7.0)[:, None]


def late(d, x):
    g = d * np.arange(1.0, 7.0)[:, None]
    return np.concatenate([np.zeros((1, 4)), g[:-1]])


def into_first(d, x):
    g = np.zeros_like(x)
    g[0] = d[-1] * 6.0
    return g


def two_swapped(d, x):
    g = d * np.arange(1.0, 7.0)[:, None]
    g[[1, 4]] = g[[4, 1]]
    g[2] = 0.0
    return g


MISPLACED = [
    (scaled, late, (X,), "x", r"shifted by 1 along axis 0, and zero at the others: an index is off by 1"),
    (scaled, into_first, (X,), "x", r"index 0 holds what belongs to index 5, and zero at the others"),
    (scaled, two_swapped, (X,), "x", r"index 1 holds what belongs to index 4"),
]


# A statistic of the batch that the forward pass does not take.
def given_statistics(x):
    return (x - 0.1) / 1.3


def of_the_batch(d, x, axis):
    n, dn = (x - x.mean(axis, keepdims=True)) / x.std(axis, keepdims=True), d / x.std(axis, keepdims=True)
    return dn - dn.mean(axis, keepdims=True) - n * (dn * n).mean(axis, keepdims=True)


def exponentials(x):
    return np.exp(x) / 5


def as_softmax(d, x):
    p = normalised(x)
    return p * (d - (d * p).sum(-1, keepdims=True))


CENTRED = [
    (given_statistics, lambda d, x: of_the_batch(d, x, 0), (X,), "x", r"adds up to zero along axis 0"),
    (given_statistics, lambda d, x: of_the_batch(d, x, 1), (X,), "x", r"adds up to zero along axis 1"),
    (exponentials, as_softmax, (X,), "x", r"adds up to zero along axis 1"),
]

LAYERS = {
    f"{kind} {number}": case
    for kind, cases in (
        ("held", HELD), ("sign", SIGN), ("uses", USES), ("outputs", OUTPUTS), ("slopes", SLOPES),
        ("stencils", STENCILS), ("values", VALUES), ("misplaced", MISPLACED), ("centred", CENTRED),
    )
    for number, case in enumerate(cases)
}  # fmt: skip
