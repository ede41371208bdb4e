"""Every cost: textbook value, losses, gradient and exact difference, against arithmetic of many digits."""

import mpmath as mp
import numpy as np
import pytest

from fastcheck.rules.losses import COSTS
from tests.support import mpmath_rules

SIZES = [1e-12, 1e-7, 1e-4, 4e-4, 1e-3, 1e-2, 1.0]
OUTPUTS, COLUMNS = 5, 6


def sample(cost, spread, kind, rng):
    """Logits z, activation a (floats) and targets y of one sample; softmax targets sum to one."""
    z = spread * rng.uniform(-1, 1, OUTPUTS)
    with mp.workdps(60):
        if cost.output == "softmax":
            a = np.array([float(p) for p in mpmath_rules.softmax(z)])
        else:
            a = np.array([float(1 / (1 + mp.exp(-mp.mpf(v)))) for v in z]) if cost.output else z
    if cost.labels:
        y = rng.dirichlet(np.ones(OUTPUTS)) if kind == "soft" else np.eye(OUTPUTS)[rng.integers(OUTPUTS)]
        y = np.eye(OUTPUTS)[z.argmax()] if kind == "certain" else y
    elif cost.output:
        y = rng.random(OUTPUTS) if kind == "soft" else np.round(rng.random(OUTPUTS))
        y = (z > 0).astype(float) if kind == "certain" else y
    else:
        y = a.copy() if kind == "certain" else rng.uniform(-1, 1, OUTPUTS)
    return z, a, y


def loss(name, z, a, y):
    """The exact loss of what the cost reads: the logits, or the activation."""
    return mpmath_rules.LOSSES[name](z if COSTS[name].output else a, y)


def exact_differences(name, z, a, y, d):
    with mp.workdps(60):
        before = loss(name, z, a, y)
        read = z if COSTS[name].output else a
        moved = [[mp.mpf(v) + mp.mpf(c) for v, c in zip(read, step, strict=True)] for step in d.T]
        return [loss(name, step, step, y) - before for step in moved]


def terms(name, z, a, y, d):
    """Size of the terms that the difference is summed from: what rounding is measured by where they cancel."""
    if name == "cross_entropy":
        return (a[:, None] * np.abs(d - y @ d)).sum(axis=0)
    if name == "binary_cross_entropy":
        with np.errstate(over="ignore"):
            p, q = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(z))
        return (((1 - y) * p + y * q)[:, None] * np.abs(d)).sum(axis=0)
    return (np.abs(d) * (2 * np.abs(a - y)[:, None] + np.abs(d))).sum(axis=0)


def test_every_cost_has_an_exact_twin():
    assert sorted(mpmath_rules.LOSSES) == sorted(COSTS)


@pytest.mark.parametrize("kind", ["hard", "soft", "certain"])
@pytest.mark.parametrize("spread", [1.0, 8.0, 40.0])
@pytest.mark.parametrize("name", COSTS)
def test_difference_keeps_its_digits(name, spread, kind):
    rng = np.random.default_rng(7)
    for size in SIZES:
        z, a, y = sample(COSTS[name], spread, kind, rng)
        d, out = size * rng.uniform(-1, 1, (OUTPUTS, COLUMNS)), np.empty(COLUMNS)
        d[:, 0], d[1:, 1] = 0.0, 0.0
        COSTS[name].columns(z, a, y, d, out)
        assert out[0] == 0.0
        for true, found, slack in zip(exact_differences(name, z, a, y, d), out, terms(name, z, a, y, d), strict=True):
            assert abs(found - true) <= 1e-13 * max(abs(true), slack), (size, found, mp.nstr(true, 20))


@pytest.mark.parametrize("name", COSTS)
def test_difference_of_one_output_is_relatively_exact(name):
    # a single output cannot cancel against others: no slack, also where the output is saturated
    rng = np.random.default_rng(11)
    for target in (0.0, 1.0):
        for size in SIZES:
            for z in (-40.0, -20.0, -1.0, 0.3, 20.0, 40.0):
                z, y = np.array([z, 0.0]), np.array([target, 1.0 - target])
                with mp.workdps(60):
                    a = np.array([float(p) for p in mpmath_rules.softmax(z)]) if COSTS[name].labels else z.copy()
                d = np.zeros((2, 4))
                d[0], out = size * rng.uniform(-1, 1, 4), np.empty(4)
                COSTS[name].columns(z, a, y, d, out)
                for true, found in zip(exact_differences(name, z, a, y, d), out, strict=True):
                    assert abs(found - true) <= 1e-13 * abs(true), (z, y, size)


def test_cross_entropy_of_steps_that_turn_the_classes_over():
    z, y = np.array([30.0, -30.0, 0.0]), np.array([0.0, 1.0, 0.0])
    d, out = np.array([[-60.0, 60.0, 300.0], [60.0, -60.0, -300.0], [0.0, 1.0, 2.0]]), np.empty(3)
    with mp.workdps(400):
        a = np.array([float(p) for p in mpmath_rules.softmax(z)])
    COSTS["cross_entropy"].columns(z, a, y, d, out)
    for true, found in zip(exact_differences("cross_entropy", z, a, y, d), out, strict=True):
        assert abs(found - true) <= 1e-13 * abs(true)


@pytest.mark.parametrize("name", COSTS)
def test_nan_does_not_come_out_as_a_number(name):
    rng = np.random.default_rng(3)
    z, a, y = sample(COSTS[name], 1.0, "hard", rng)
    d, out = 1e-7 * rng.uniform(-1, 1, (OUTPUTS, 3)), np.empty(3)
    d[int(y.argmin()), 1] = np.nan
    COSTS[name].columns(z, a, y, d, out)
    assert np.isnan(out).tolist() == [False, True, False]


@pytest.mark.parametrize("name", ["binary_cross_entropy", "cross_entropy"])
def test_an_output_that_is_not_a_number_has_no_difference(name):
    out = np.zeros(1)
    COSTS[name].columns(np.full(2, np.nan), np.full(2, np.nan), np.eye(2)[0], np.full((2, 1), 1e-7), out)
    assert np.isnan(out[0])


@pytest.mark.parametrize("kind", ["hard", "soft", "certain"])
@pytest.mark.parametrize("name", COSTS)
def test_losses_and_compiled_loss(name, kind):
    rng = np.random.default_rng(2)
    entry = COSTS[name]
    samples = [sample(entry, spread, kind, rng) for spread in (1.0, 8.0, 40.0)]
    Z, A, Y = (np.stack(arrays, axis=1) for arrays in zip(*samples, strict=True))
    for (z, a, y), found in zip(samples, entry.losses(Z, A, Y), strict=True):
        with mp.workdps(60):
            true = loss(name, z, a, y)
        size = max(true, np.abs(z).max()) if entry.labels else true  # log of a partition near one, as every softmax has
        assert abs(found - true) <= 4e-16 * OUTPUTS * size
        assert abs(entry.column(z, a, y) - true) <= 4e-16 * OUTPUTS * size


@pytest.mark.parametrize("name", COSTS)
def test_textbook_value_is_the_scaled_loss(name):
    rng = np.random.default_rng(4)
    entry = COSTS[name]
    samples = [sample(entry, 3.0, kind, rng) for kind in ("hard", "soft", "hard", "soft")]
    _, A, Y = (np.stack(arrays, axis=1) for arrays in zip(*samples, strict=True))
    with mp.workdps(60):
        total = mp.fsum(loss(name, *given) for given in samples)
    assert entry.textbook(A, Y) == pytest.approx(float(total) * entry.scale(4, OUTPUTS), rel=1e-13)


@pytest.mark.parametrize("name", COSTS)
def test_scales(name):
    # of 6 samples with 2 outputs each, by the costs' definitions
    means = {"binary_cross_entropy": 1 / 6, "cross_entropy": 1 / 6}
    scales = means | {"squared_error": 1 / 12, "mean_squared_error": 1 / 12}
    assert COSTS[name].scale(6, 2) == pytest.approx(scales[name], rel=1e-15)


@pytest.mark.parametrize("kind", ["hard", "soft", "certain"])
@pytest.mark.parametrize("spread", [1.0, 20.0])
@pytest.mark.parametrize("name", COSTS)
def test_gradient(name, spread, kind):
    rng = np.random.default_rng(9)
    z, a, y = sample(COSTS[name], spread, kind, rng)
    found = COSTS[name].gradient(z[:, None], a[:, None], y[:, None])[:, 0]
    read = z if COSTS[name].output else a
    with mp.workdps(80):
        h = mp.mpf(10) ** -30
        for k in range(OUTPUTS):
            up, down = ([mp.mpf(v) + (sign * h if j == k else 0) for j, v in enumerate(read)] for sign in (1, -1))
            true = (loss(name, up, up, y) - loss(name, down, down, y)) / (2 * h)
            # soft targets: a_k and y_k cancel; hard ones keep every digit however certain the output is
            size = abs(true) if kind != "soft" else max(abs(true), a[k] + y[k] if COSTS[name].output else 0.0)
            assert abs(found[k] - true) <= 4e-15 * size, (k, found[k], mp.nstr(true, 20))


def test_impossible_class_of_no_weight_adds_nothing_to_the_textbook_cost():
    A, Y = np.array([[1.0], [0.0]]), np.array([[1.0], [0.0]])
    assert COSTS["cross_entropy"].textbook(A, Y) == 0.0


def test_losses_of_logits_too_far_apart_for_their_exponential_are_finite():
    z, y = np.array([-800.0, 0.0, 900.0]), np.eye(3)[0]
    entry = COSTS["cross_entropy"]
    assert entry.column(z, np.zeros(3), y) == 1700.0
    assert entry.losses(z[:, None], np.zeros((3, 1)), y[:, None]) == [1700.0]
    assert COSTS["binary_cross_entropy"].column(z, np.zeros(3), np.array([1.0, 0.5, 0.0])) == pytest.approx(
        1700.0 + np.log(2.0), rel=1e-15
    )
