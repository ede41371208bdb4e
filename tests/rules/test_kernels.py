"""Functions that are both a rule over arrays and a compiled kernel are the same function."""

import math

import numpy as np
import pytest

from fastcheck.rules.activations import ACTIVATIONS
from fastcheck.rules.losses import binary_cross_entropy_difference, cross_entropy_columns, squared_error_columns
from fastcheck.rules.table import RULES

BOTH = [(name, rule.kernel) for name, rule in RULES.items() if rule.kernel is not None and rule.elementwise]
AGREEMENT = 1e-14
POINTS = np.array([-38.0, -12.5, -6.0, -1.0, -0.3, -1e-9, 0.0, 1e-9, 0.3, 1.0, 5.99, 6.0, 17.0, 40.0])
STEPS = np.array([s * size for size in (1e-12, 1e-9, 1e-6, 1e-3, 0.1, 1.0, 20.0) for s in (1.0, -1.0)])


def test_every_kernel_has_a_rule():
    assert {kernel for _, kernel in BOTH} | {"identity", "softmax"} == set(ACTIVATIONS)


@pytest.mark.parametrize(("name", "kernel"), BOTH)
@pytest.mark.parametrize("together", [True, False])
def test_rule_and_kernel_agree(name, kernel, together):
    entry = ACTIVATIONS[kernel]
    with np.errstate(all="ignore"):
        out = entry.value(POINTS)
    for steps in (STEPS,) if together else STEPS[:, None]:
        d = np.broadcast_to(steps[:, None], (len(steps), len(POINTS)))
        with np.errstate(all="ignore"):
            rule = RULES[name].change(np, (POINTS,), (d,), out, None)
        kernels = np.array([[entry.difference(float(z), float(s)) for z in POINTS] for s in steps])
        scale = abs(kernels)
        if kernel in ("silu", "gelu", "gelu_tanh"):  # two terms, of different sign left of the minimum
            gate = np.where(POINTS == 0.0, 0.5, out / np.where(POINTS == 0.0, 1.0, POINTS))
            scale = np.maximum(scale, abs(d) * np.where(abs(d) >= 1.0, np.maximum(gate, 4e-3), 4e-3))
        assert np.all(abs(rule - kernels) <= AGREEMENT * np.maximum(scale, 1e-280)), (name, steps)


@pytest.mark.parametrize("size", [1e-12, 1e-7, 1e-3, 1.0, 20.0])
def test_softmax_agrees(size):
    rng = np.random.default_rng(3)
    for _ in range(20):
        z, d = 5.0 * rng.normal(size=6), size * rng.uniform(-1.0, 1.0, 6)
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        kernel = np.empty(6)
        ACTIVATIONS["softmax"].difference(p, d, kernel)
        rule = RULES["softmax"].change(np, (z,), (d,), p, None, axes=(-1,))
        assert np.all(abs(rule - kernel) <= 10 * AGREEMENT * (p * abs(d).max() + abs(kernel)))


@pytest.mark.parametrize("size", [1e-12, 1e-7, 1e-3, 1.0, 20.0])
def test_losses_agree(size):
    rng = np.random.default_rng(4)
    z, d = 3.0 * rng.normal(size=(5, 1)), size * rng.uniform(-1.0, 1.0, (5, 7))
    y = np.eye(5)[:, [2]]
    kernel = np.empty(7)

    cross_entropy_columns(z[:, 0], softmax(z)[:, 0], y[:, 0], d, kernel)
    rule = -RULES["log_softmax"].change(np, (z[:, 0],), (d.T,), None, None, axes=(-1,))[:, 2]
    assert np.all(abs(rule - kernel) <= AGREEMENT * (abs(d).max() + abs(kernel)))

    squared_error_columns(z[:, 0], z[:, 0], y[:, 0], d, kernel)
    rule = RULES["square"].change(np, (z[:, 0] - y[:, 0],), (d.T,), None, None).sum(axis=-1)
    assert np.all(abs(rule - kernel) <= AGREEMENT * (2.0 * abs(d) * abs(z - y) + d * d).sum(axis=0))

    for target in (0.0, 0.3, 1.0):
        targets = np.full(5, target)
        rule = RULES["binary_cross_entropy_with_logits"].change(np, (z[:, 0], targets), (d.T, None), None, None)
        for k in range(5):
            for c in range(7):
                expected = binary_cross_entropy_difference(float(z[k, 0]), target, float(d[k, c]))
                assert math.isclose(rule[c, k], expected, rel_tol=AGREEMENT, abs_tol=AGREEMENT * abs(d[k, c]))


def softmax(z):
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)
