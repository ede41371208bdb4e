"""Power series of differences against arithmetic of many digits, saturated units and certain classes included."""

import mpmath as mp
import numpy as np
import pytest

from fastcheck.rules.loss_changes import (
    LOSS_CHANGES,
    LOSS_CUMULANTS,
    LOSS_POWERS,
    cross_entropy_cumulants,
    moments,
    relative_to_targets,
)
from fastcheck.rules.losses import COSTS
from fastcheck.rules.power_series import ACTIVATION_POWERS, LOSS_SERIES
from tests.support import mpmath_rules
from tests.support.mpmath_network import VALUES

# Steps around the longest that three powers are for, and one that needs the first alone.
STEPS = [3e-6, -3e-6, 1e-7, -1e-12]
PLACES = [0.0, 1e-9, 0.3, -0.7, 2.0, -5.0, 20.0, -38.0, 300.0, -300.0]


def sums_to(powers, step, exact, digits=8e-16):
    """Hold c1 d + c2 d^2 + c3 d^3 against the exact change; the cubic part, by itself, to seven digits."""
    c1, c2, c3 = (float(np.squeeze(part)) for part in powers)
    assert c1 * step + c2 * step**2 + c3 * step**3 == pytest.approx(float(exact), rel=digits, abs=1e-300)


@pytest.mark.parametrize("name", ACTIVATION_POWERS)
@pytest.mark.parametrize("z", PLACES)
def test_activations(name, z):
    with mp.workdps(700):  # of tanh at 300 the digits after six hundred nines
        value, at = VALUES[name], mp.mpf(z)
        a = np.array([float(value(at))])
        for step in STEPS:
            sums_to(ACTIVATION_POWERS[name](np.array([z]), a), step, value(at + mp.mpf(step)) - value(at))


@pytest.mark.parametrize("name", ACTIVATION_POWERS)
@pytest.mark.parametrize("z", [-1.3, 0.4, 3.0])
def test_second_and_third_powers_of_activations(name, z):
    powers = ACTIVATION_POWERS[name](np.array([z]), np.array([float(VALUES[name](mp.mpf(z)))]))
    for power, expected in zip(powers, mp.taylor(VALUES[name], z, 3)[1:], strict=True):
        assert float(power[0]) == pytest.approx(float(expected), rel=1e-13)


def loss_at(name, z, y):
    return mpmath_rules.LOSSES[name](z, y)


@pytest.mark.parametrize("name", LOSS_SERIES)
@pytest.mark.parametrize("z", PLACES)
@pytest.mark.parametrize("y", [0.0, 1.0, 0.3])
def test_losses_that_are_sums_over_outputs(name, z, y):
    if COSTS[name].output is None and abs(z) > 30.0:
        return  # of a square with a large slope the step is lost in nothing
    with mp.workdps(700):
        a = np.array([[float(1 / (1 + mp.exp(-mp.mpf(z))))]]) if COSTS[name].output else np.array([[z]])
        powers = LOSS_SERIES[name](np.array([[z]]), a, np.array([[y]]))
        for step in STEPS:
            exact = loss_at(name, [mp.mpf(z) + mp.mpf(step)], [y]) - loss_at(name, [mp.mpf(z)], [y])
            sums_to(powers, step, exact, 3e-15)


def logits_and_targets(rng, outputs, m, spread, kind):
    """Logits and targets (outputs, m): one class each, shares of all, or the class that is all but certain."""
    z = spread * rng.uniform(-1, 1, (outputs, m))
    y = rng.dirichlet(np.ones(outputs), m).T if kind == "soft" else np.eye(outputs)[:, rng.integers(outputs, size=m)]
    return z, np.eye(outputs)[:, z.argmax(axis=0)] if kind == "certain" else y


@pytest.mark.parametrize("spread", [0.5, 5.0, 60.0])
@pytest.mark.parametrize("kind", ["hot", "soft", "certain"])
@pytest.mark.parametrize("curved", [0, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_cross_entropy(spread, kind, curved, seed):
    """For columns with and without second and third powers."""
    rng = np.random.default_rng(seed)
    outputs, columns, m = 5, 3, 2
    z, y = logits_and_targets(rng, outputs, m, spread, kind)
    first = rng.standard_normal((outputs, columns, m))
    second, third = (rng.standard_normal((outputs, curved, m)) if curved else None for _ in range(2))
    with mp.workdps(120):
        a = np.array([[float(p) for p in mpmath_rules.softmax(z[:, s])] for s in range(m)]).T
        powers = LOSS_POWERS["cross_entropy"](a, y, first, second, third)
        first = np.concatenate([first, np.eye(outputs)[:, :, None] * np.ones(m)], axis=1)  # single outputs come last
        for step in STEPS:
            for column in range(columns + outputs):
                for s in range(m):
                    d = [mp.mpf(first[k, column, s]) * mp.mpf(step) for k in range(outputs)]
                    if second is not None and third is not None and column < curved:
                        d = [one + mp.mpf(second[k, column, s]) * mp.mpf(step) ** 2
                             + mp.mpf(third[k, column, s]) * mp.mpf(step) ** 3 for k, one in enumerate(d)]
                    before = [mp.mpf(v) for v in z[:, s]]
                    after = [one + change for one, change in zip(before, d, strict=True)]
                    exact = loss_at("cross_entropy", after, y[:, s]) - loss_at("cross_entropy", before, y[:, s])
                    sums_to([power[column, s] for power in powers], step, exact, 2e-13)


def test_cross_entropy_of_columns_that_all_samples_share():
    rng = np.random.default_rng(0)
    a, y = rng.dirichlet(np.ones(4), 3).T, rng.dirichlet(np.ones(4), 3).T
    one = rng.standard_normal((4, 2, 1))
    shared = LOSS_POWERS["cross_entropy"](a, y, one, None, None)
    each = LOSS_POWERS["cross_entropy"](a, y, np.repeat(one, 3, axis=2), None, None)
    for left, right in zip(shared, each, strict=True):
        np.testing.assert_array_equal(left, right)


def cumulants(y, a, u, degree):
    """Powers (m, columns) of the loss."""
    powers = [np.empty((len(u), u.shape[2])) for _ in range(degree)]
    moments([a] * degree, u, powers)
    cross_entropy_cumulants(powers)
    return [y.sum(axis=0)[:, None] * power for power in powers]


@pytest.mark.parametrize("spread", [0.5, 5.0, 60.0])
@pytest.mark.parametrize("kind", ["hot", "soft", "certain"])
@pytest.mark.parametrize("seed", range(3))
def test_cross_entropy_cumulants(spread, kind, seed):
    """For changes that are straight in the step."""
    rng = np.random.default_rng(seed)
    outputs, columns, m = 5, 3, 2
    z, y = logits_and_targets(rng, outputs, m, spread, kind)
    d = rng.standard_normal((m, outputs, columns))
    with mp.workdps(60):
        a = np.array([[float(p) for p in mpmath_rules.softmax(z[:, s])] for s in range(m)])
        u = relative_to_targets(y) @ d
        *powers, fourth = cumulants(y, a, u, 4)
        for one, other in zip(cumulants(y, a, u, 2), powers, strict=False):
            np.testing.assert_array_equal(one, other)
        for column in range(columns):
            for s in range(m):
                before = [mp.mpf(v) for v in z[:, s]]

                def change(step, before=before, s=s, column=column):
                    after = [one + mp.mpf(d[s, k, column]) * step for k, one in enumerate(before)]
                    return loss_at("cross_entropy", after, y[:, s]) - loss_at("cross_entropy", before, y[:, s])

                for step in STEPS:
                    sums_to([power[s, column] for power in powers], step, change(mp.mpf(step)), 2e-13)
                exact = float(mp.taylor(change, 0, 4)[4])
                assert fourth[s, column] == pytest.approx(exact, rel=1e-9, abs=1e-11)


def test_the_only_target_does_not_change_relative_to_itself():
    y = np.eye(4)[:, [2, 0, 3]]
    assert np.all(relative_to_targets(y)[np.arange(3), [2, 0, 3]] == 0.0)


def test_every_loss_has_its_powers():
    """What is differenced at once has them in one of the two forms."""
    assert set(LOSS_CHANGES) == set(LOSS_SERIES) | set(LOSS_POWERS)
    assert set(LOSS_CUMULANTS) == set(LOSS_POWERS)
