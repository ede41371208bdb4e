"""Small networks at once: the usual way's numbers, to more digits, and the usual way where anything is unusual."""

from itertools import pairwise

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.plain import at_once, engine as plain, last_layers, powers
from fastcheck.engines.plain.point import Series
from fastcheck.problems.networks.problem import Problem
from fastcheck.rules.activations import ACTIVATIONS
from fastcheck.rules.loss_changes import LOSS_POWERS
from tests.engines.response.digits import agrees
from tests.support.mpmath_network import central_differences, literal_differences
from tests.support.problems import HIDDEN, OUTPUTS, RUN, data, network, problem

ACCURACY = 1e-15


def off(found, exact):
    """Distance to fifty digits, in units of the vector's norm."""
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("epsilon", [1e-7, *(pytest.param(slow, marks=pytest.mark.slow) for slow in (5e-7, 1e-10))])
@pytest.mark.parametrize("between", [[], [4], [4, 3], [4, 3, 3]])
def test_fifty_digits_of_every_activation(hidden, epsilon, between):
    given = problem(network([3, *between, 2], hidden, "softmax", "cross_entropy", 0.1), seed=3)
    found = at_once.differences_at_once(given, epsilon)
    plus, minus, exact = central_differences(given, epsilon)
    assert off(found.gradapprox, exact) < ACCURACY
    np.testing.assert_allclose(np.asarray(found.J_plus) - found.cost, plus, rtol=0, atol=4e-16 * found.cost)
    np.testing.assert_allclose(np.asarray(found.J_minus) - found.cost, minus, rtol=0, atol=4e-16 * found.cost)


@pytest.mark.parametrize(("cost", "output"), OUTPUTS)
def test_fifty_digits_of_every_cost(cost, output):
    given = problem(network([2, 3, 3, 2], "tanh", output, cost, 0.3), seed=5)
    found = at_once.differences_at_once(given, 1e-7)
    if output == "softmax" and cost != "cross_entropy":
        assert found is None  # a mixture that has no powers
    else:
        assert off(found.gradapprox, central_differences(given, 1e-7)[2]) < ACCURACY


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_agree_with_the_usual_way(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    widths, names = rng.integers(1, 9, rng.integers(2, 6)).tolist(), HIDDEN
    cost, output = OUTPUTS[rng.integers(len(OUTPUTS))]
    layers = [fc.Dense(a, b, str(rng.choice(names))) for a, b in pairwise(widths[:-1])]
    net = fc.Network([*layers, fc.Dense(widths[-2], widths[-1], output)], cost, 0.3 * (seed % 2))
    given, epsilon = problem(net, int(rng.integers(1, 7)), seed), float(rng.choice([1e-6, 1e-7, 1e-9]))
    found = at_once.differences_at_once(given, epsilon)
    monkeypatch.setattr(at_once, "TOGETHER", 0)
    usual = plain.differences(given, None, epsilon, RUN)
    if found is None or not np.linalg.norm(usual.gradapprox):
        return
    assert off(found.gradapprox, usual.gradapprox) < 3e-14  # the usual way's own digits
    assert found.cost == pytest.approx(usual.cost, rel=1e-14)
    np.testing.assert_allclose(found.noise, usual.noise, rtol=1e-9)
    np.testing.assert_allclose(np.asarray(found.J_plus), np.asarray(usual.J_plus), rtol=1e-14)


def test_most_of_these_are_done_at_once():
    done = 0
    for seed in range(20):
        net = network([4, 5, 3, 2], HIDDEN[seed % 4], "softmax", "cross_entropy")
        done += at_once.differences_at_once(problem(net, 5, seed), 1e-7) is not None
    assert done >= 18


def course():
    return problem(network([4, 5, 3, 1], "relu", "sigmoid", "binary_cross_entropy"), 6)


def changed(given, name, place, value):
    theta = given.theta.copy()
    given.network.to_parameters(theta)[name][place] = value
    return Problem(given.network, theta, given.X, given.Y)


@pytest.mark.parametrize("where", ["bias", "weights"])
@pytest.mark.parametrize("distance", [0.0, 1e-9, -1e-9, 1e-7, -1e-7])
def test_a_kink_within_reach_is_left_to_the_usual_way(where, distance):
    """In the first layer by its own parameters' steps, in the second by those of the layer before as well."""
    given = course()
    name = "b1" if where == "bias" else "b2"
    z = given.forward().Z[0 if where == "bias" else 1][1, 2]
    near = changed(given, name, (1, 0), given.parameters[name][1, 0] - z + distance)
    assert abs(near.forward().Z[0 if where == "bias" else 1][1, 2]) <= 2e-7
    assert at_once.differences_at_once(given, 1e-7) is not None
    assert at_once.differences_at_once(near, 1e-7) is None
    agrees(near, 1e-7, oracle=literal_differences, form=plain)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200])
@pytest.mark.parametrize("name", ["W1", "b1", "W2", "W3", "b3"])
def test_what_is_not_finite_is_left_to_the_usual_way(name, value):
    assert at_once.differences_at_once(changed(course(), name, (0, 0), value), 1e-7) is None


@pytest.mark.parametrize("part", ["X", "Y"])
def test_data_that_are_not_finite(part):
    given = course()
    spoilt = {"X": given.X.copy(), "Y": given.Y.copy()}
    spoilt[part][0, 0] = np.nan
    assert at_once.differences_at_once(Problem(given.network, given.theta, **spoilt), 1e-7) is None


@pytest.mark.parametrize("which", ["largest_change", "largest_of"])
@pytest.mark.parametrize("hidden", ["tanh", "softplus"])
def test_changes_that_are_no_numbers_are_left_to_the_usual_way(monkeypatch, hidden, which):
    """NaN is neither more nor less than what is short."""
    given = problem(network([3, 4, 3, 2], hidden, "softmax", "cross_entropy"))
    assert at_once.differences_at_once(given, 1e-7) is not None
    monkeypatch.setattr(at_once, which, lambda *arguments: np.nan)
    assert at_once.differences_at_once(given, 1e-7) is None


def test_long_steps_are_left_to_the_usual_way():
    given = course()
    assert at_once.differences_at_once(given, 2.0 * at_once.LONGEST) is None
    assert at_once.differences_at_once(Problem(given.network, given.theta, 10.0 * given.X, given.Y), 1e-7) is not None
    far = Problem(given.network, given.theta, 1e4 * given.X, given.Y)
    assert at_once.differences_at_once(far, 1e-7) is None
    wide = problem(network([4, 5, 3, 2], "tanh", "softmax", "cross_entropy"), 6)
    assert at_once.differences_at_once(changed(wide, "W2", (0, 0), 1e3), 1e-7) is None


@pytest.mark.parametrize("curved", [True, False])
def test_two_layers_crossed_at_once(curved):
    """The same as through the first of them, and onwards."""
    rng = np.random.default_rng(0)
    first, then, m = rng.standard_normal((4, 3)), rng.standard_normal((2, 4)), 5
    series = Series(*(rng.standard_normal((4, m)) for _ in range(3 if curved else 1)))
    began = powers.onwards(first, None)
    crossed = powers.across(series, began, then)
    for found, wanted in zip(crossed, powers.onwards(then, powers.through(series.of(at_once.LIFTED), began)),
                             strict=True):
        assert (found is None) == (wanted is None)
        if found is not None:
            np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("kind", ["hot", "soft", "weighted", "certain"])
@pytest.mark.parametrize("hidden", [0, 1, 2])
@pytest.mark.parametrize("curved", [True, False])
def test_the_last_layers_from_the_outputs_down(hidden, curved, kind):
    """The same as up from the units, and what the loss makes of it."""
    rng = np.random.default_rng(hidden)
    outputs, m = 4, 6
    logits = rng.uniform(-4, 4, (outputs, m)) * (10.0 if kind == "certain" else 1.0)
    a = np.exp(logits) / np.exp(logits).sum(axis=0)
    y = rng.dirichlet(np.ones(outputs), m).T if kind == "soft" else np.eye(outputs)[:, logits.argmin(axis=0)]
    y = y * rng.uniform(0.5, 2.0, m) if kind == "weighted" else y
    weights = [rng.standard_normal(shape) for shape in [(3, 5), (outputs, 3)][2 - hidden :]]
    series = Series(*(rng.standard_normal((3, m)) for _ in range(3 if curved else 1)))
    block = powers.onwards(weights[0], None) if weights else None
    if hidden == 2:
        block = powers.onwards(weights[1], powers.through(series.of(at_once.LIFTED), block))
    wanted = LOSS_POWERS["cross_entropy"](a, y, *(block or ()))
    found, furthest = last_layers.last_responses("cross_entropy", a, y, weights, series if weights else None)
    alone = np.broadcast_to(np.eye(outputs)[:, :, None], (outputs, outputs, m))
    moved = alone if block is None else np.concatenate(
        [np.broadcast_to(block.first, (outputs, block.first.shape[1], m)), alone], axis=1)
    relative = moved - np.einsum("km,kcm->cm", y / y.sum(axis=0), moved)
    assert furthest == pytest.approx(np.abs(relative).max(), rel=1e-12)
    for power, (one, other) in enumerate(zip(found, wanted, strict=True), 1):
        # where a wrong class is certain some cancel
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15 * furthest**power)


@pytest.mark.parametrize("fault", ["onwards", "across", "through", "from_steps", "summed", "series_of"])
@pytest.mark.parametrize("hidden", ["relu", "tanh"])
def test_a_fault_is_seen_by_literal_subtraction(monkeypatch, fault, hidden):
    """Of any part, in nearly every network: the usual way then has the right numbers."""
    right = getattr(at_once, fault)

    def wrong(*arguments, **options):
        found = right(*arguments, **options)
        scale = 1.0 + 1e-4
        if fault == "series_of":
            return type(found)(found.c1 * scale, found.c2, found.c3)
        return found._replace(first=found.first * scale)

    monkeypatch.setattr(at_once, fault, wrong)
    seen = 0
    for seed in range(30):
        given = problem(network([4, 5, 4, 3, 1], hidden, "sigmoid", "binary_cross_entropy"), 6, seed)
        seen += at_once.differences_at_once(given, 1e-7) is None
        usual = plain.differences(given, None, 1e-7, RUN)
        assert usual.facts["spot_checked"] == 1
    assert seen >= 10


@pytest.mark.parametrize("hidden", [0, 1, 2])
def test_a_fault_of_what_is_carried_down_is_seen(monkeypatch, hidden):
    """By literal subtraction, in most networks."""
    right, seen = at_once.last_responses, 0

    def wrong(*arguments):
        found, furthest = right(*arguments)
        return found._replace(first=found.first * (1.0 + 1e-4)), furthest

    monkeypatch.setattr(at_once, "last_responses", wrong)
    for seed in range(20):
        given = problem(network([4, *[5, 4][:hidden], 3], "tanh", "softmax", "cross_entropy"), 6, seed)
        seen += at_once.differences_at_once(given, 1e-7) is None
    assert seen >= 15


def checks(net, **options):
    parameters, (X, Y) = net.initialize(0), data(net, 6)
    return fc.check(net, parameters, net.gradients(parameters, X, Y), X, Y, **options)


@pytest.mark.parametrize("hidden", ["relu", "tanh"])
def test_a_call_that_needs_care_finds_the_same_bits(hidden):
    net = network([4, 5, 3, 1], hidden, "sigmoid", "binary_cross_entropy", 0.1)
    plainly = checks(net)
    for options in ({"progress": lambda done, total: None}, {"memory_limit": 1 << 28},
                    {"samples": None, "threads": 1}, {"epsilon": np.float64(1e-7)}):
        other = checks(net, **options)
        for name in ("gradapprox", "J_plus", "J_minus", "difference", "verdict", "cost", "noise_floor", "summary"):
            assert np.array_equal(getattr(plainly, name), getattr(other, name)), (options, name)


@pytest.mark.parametrize("way", ["float32", "lists", "flat biases", "Fortran", "names", "rows", "labels", "subclass"])
def test_arrays_that_need_care_are_read_as_ever(way):
    net = network([4, 5, 3], "tanh", "softmax", "cross_entropy")
    parameters, (X, Y) = net.initialize(0), data(net, 6)
    gradients = net.gradients(parameters, X, Y)
    usual = fc.check(net, parameters, gradients, X, Y)
    changes = {
        "float32": lambda name, value: value.astype(np.float32),
        "lists": lambda name, value: value.tolist(),
        "flat biases": lambda name, value: value.reshape(-1) if name.startswith(("b", "db")) else value,
        "Fortran": lambda name, value: np.asfortranarray(value),
        "subclass": lambda name, value: value.view(type("Mine", (np.ndarray,), {})),
    }
    if way in changes:
        parameters, gradients = ({name: changes[way](name, value) for name, value in part.items()}
                                 for part in (parameters, gradients))
    if way == "names":
        gradients = {name.removeprefix("d"): value for name, value in gradients.items()}
    X, Y = (X.T, np.eye(3)[Y]) if way == "rows" else (X, Y)
    Y = Y.tolist() if way == "labels" else Y
    report = fc.check(net, parameters, gradients, X, Y)
    assert report.ok
    if way not in ("float32", "rows"):
        assert np.array_equal(report.gradapprox, usual.gradapprox)
        assert report.difference == usual.difference


def test_the_callers_arrays_are_left_alone_and_not_kept():
    net = network([4, 5, 3], "tanh", "softmax", "cross_entropy")
    parameters, (X, Y) = net.initialize(0), data(net, 6)
    gradients = net.gradients(parameters, X, Y)
    kept = {name: value.copy() for name, value in (parameters | gradients).items()}
    report = fc.check(net, parameters, gradients, X, Y)
    for name, value in kept.items():
        assert np.array_equal((parameters | gradients)[name], value)
    before = str(report)
    for value in (parameters | gradients).values():
        value[:] = 7.0
    assert str(report) == before


def test_products_stay_with_one_thread():
    rng = np.random.default_rng(0)
    W, changes = rng.standard_normal((20, 30)), rng.standard_normal((30, 50, 7))
    out = np.empty((20, 350))
    powers._carry(W, changes, out)
    np.testing.assert_allclose(out, W @ changes.reshape(30, 350), rtol=1e-12)


def test_straight_activations_are_nowhere_steeper_than_one():
    """A bound of changes relies on it, without a look at their slopes."""
    z = np.concatenate([np.linspace(-8.0, 8.0, 4001), [-1e9, 1e9]])
    for entry in ACTIVATIONS.values():
        if entry.linear:
            assert np.abs(entry.derivative(z)).max() <= 1.0
