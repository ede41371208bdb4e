"""Costs and their central differences to fifty digits (mpmath): the oracle of the exact engines."""

import mpmath as mp
import numpy as np

from fastcheck.problems.networks.problem import Problem
from fastcheck.rules.kernels import curves, pieces

DIGITS = 50


def _sigmoid(z):
    return 1 / (1 + mp.exp(-z))


def _gelu_tanh(z):
    return z * _sigmoid(2 * mp.mpf(curves.SQRT_2_OVER_PI) * (z + mp.mpf(curves.GELU_CUBIC) * z**3))


def _selu(z):
    return mp.mpf(curves.SELU_SCALE) * (z if z > 0 else mp.mpf(curves.SELU_ALPHA) * mp.expm1(z))


VALUES = {
    "identity": lambda z: z,
    "relu": lambda z: max(z, mp.mpf(0)),
    "leaky_relu": lambda z: z if z > 0 else mp.mpf(pieces.LEAKY_SLOPE) * z,
    "relu6": lambda z: min(max(z, mp.mpf(0)), mp.mpf(6)),
    "hardtanh": lambda z: min(max(z, mp.mpf(-1)), mp.mpf(1)),
    "elu": lambda z: z if z > 0 else mp.expm1(z),
    "selu": _selu,
    "sigmoid": _sigmoid,
    "tanh": mp.tanh,
    "softplus": lambda z: mp.log1p(mp.exp(z)),
    "silu": lambda z: z * _sigmoid(z),
    "gelu": lambda z: z * mp.erfc(-z / mp.sqrt(2)) / 2,
    "gelu_tanh": _gelu_tanh,
}


def _outputs(name, z):
    if name == "softmax":
        top = max(z)
        e = [mp.exp(x - top) for x in z]
        return [x / mp.fsum(e) for x in e]
    return [VALUES[name](x) for x in z]


def _loss(cost, outputs, targets):
    if cost == "binary_cross_entropy":
        return mp.fsum(-y * mp.log(p) - (1 - y) * mp.log(1 - p) for p, y in zip(outputs, targets, strict=True))
    if cost == "cross_entropy":
        return mp.fsum(-y * mp.log(p) for p, y in zip(outputs, targets, strict=True) if y)
    return mp.fsum((p - y) ** 2 for p, y in zip(outputs, targets, strict=True))


def cost(problem: Problem, theta) -> mp.mpf:
    """J(theta) for a vector of mpf."""
    net, m = problem.network, problem.m
    total = mp.mpf(0)
    for s in range(m):
        values = [mp.mpf(x) for x in problem.X[:, s]]
        for k, layer in enumerate(net.layers):
            w, b = net.tensors[2 * k], net.tensors[2 * k + 1]
            z = [
                mp.fsum(theta[row + j] * values[j] for j in range(layer.inputs)) + theta[b.start + i]
                for i, row in enumerate(range(w.start, w.stop, layer.inputs))
            ]
            values = _outputs(layer.activation, z)
        total += _loss(net.cost, values, [mp.mpf(y) for y in problem.Y[:, s]])
    penalty = mp.fsum(x**2 for t in net.tensors[::2] for x in theta[t.start : t.stop])
    scale = {"squared_error": mp.mpf(1) / (2 * m), "mean_squared_error": mp.mpf(1) / (m * net.widths[-1])}
    return scale.get(net.cost, mp.mpf(1) / m) * total + mp.mpf(net.l2) / (2 * m) * penalty


def central_differences(problem: Problem, epsilon: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """J_plus - J, J_minus - J and gradapprox of every parameter, (n,) float64 each, correct to the last digit."""
    with mp.workdps(DIGITS):
        theta = [mp.mpf(float(x)) for x in problem.theta]
        base = cost(problem, theta)
        plus, minus, quotient = [], [], []
        for k in range(len(theta)):
            changes = []
            for step in (mp.mpf(epsilon), -mp.mpf(epsilon)):
                moved = list(theta)
                moved[k] += step
                changes.append(cost(problem, moved) - base)
            plus.append(float(changes[0]))
            minus.append(float(changes[1]))
            quotient.append(float((changes[0] - changes[1]) / (2 * mp.mpf(epsilon))))
        return np.array(plus), np.array(minus), np.array(quotient)


def literal_differences(problem: Problem, epsilon: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same from the float64 pre-activations at theta, whose rounding places the kinks: only changes are precise."""
    with mp.workdps(DIGITS):
        net, run = problem.network, problem.forward()
        theta = [mp.mpf(float(x)) for x in problem.theta]
        last = net.layers[-1].activation
        bases = [_loss(net.cost, _outputs(last, z), problem.Y[:, s]) for s, z in _columns(run.Z[-1])]
        scale = mp.mpf(net.cost_entry.scale(problem.m, net.widths[-1]))
        plus, minus, quotient = [], [], []
        for k in range(len(theta)):
            changes = []
            for step in (mp.mpf(epsilon), -mp.mpf(epsilon)):
                change = scale * mp.fsum(_loss_after(problem, run, k, step, s) - bases[s] for s in range(problem.m))
                if next(t for t in net.tensors if k < t.stop).name[0] == "W":
                    change += mp.mpf(net.l2) / (2 * problem.m) * (2 * theta[k] * step + step**2)
                changes.append(change)
            plus.append(float(changes[0]))
            minus.append(float(changes[1]))
            quotient.append(float((changes[0] - changes[1]) / (2 * mp.mpf(epsilon))))
        return np.array(plus), np.array(minus), np.array(quotient)


def _columns(Z):
    return [(s, [mp.mpf(x) for x in Z[:, s]]) for s in range(Z.shape[1])]


def _loss_after(problem, run, k, step, s):
    """One sample's loss after one parameter's change, carried from layer to layer as a change."""
    net = problem.network
    index = next(i for i, t in enumerate(net.tensors) if k < t.stop)
    layer, (unit, column) = index // 2, divmod(k - net.tensors[index].start, net.tensors[index].shape[1])
    change = [mp.mpf(0)] * net.widths[layer + 1]
    change[unit] = step * (mp.mpf(run.inputs_of(layer)[column, s]) if index % 2 == 0 else 1)
    for depth in range(layer + 1, len(net.layers)):
        z = [mp.mpf(x) for x in run.Z[depth - 1][:, s]]
        value = VALUES[net.layers[depth - 1].activation]
        moved = [value(a + d) - value(a) if d else mp.mpf(0) for a, d in zip(z, change, strict=True)]
        weights = problem.parameters[f"W{depth + 1}"]
        change = [mp.fsum(mp.mpf(w) * d for w, d in zip(row, moved, strict=True) if d) for row in weights]
    z = [mp.mpf(x) + d for x, d in zip(run.Z[-1][:, s], change, strict=True)]
    return _loss(net.cost, _outputs(net.layers[-1].activation, z), problem.Y[:, s])
