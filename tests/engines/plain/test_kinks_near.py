"""Which moves meet a kink: in the next layer, and further on, where what is told is what propagating them finds."""

from itertools import pairwise

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.plain import at_once, engine as plain, kinks_near
from fastcheck.engines.plain.kinks_near import FurtherOn, spectral_bound
from tests.support.problems import RUN, problem

WIDTHS = [5, 9, 8, 11, 7, 6, 8, 4]


def next_layer(seed):
    """Weights, distances to kinks, changes and bounds of what they become; a few of the changes are zero."""
    rng = np.random.default_rng(seed)
    W, sizes = rng.standard_normal((7, 5)), rng.uniform(0, 1, (5, 6)) * (rng.uniform(size=(5, 6)) > 0.2)
    margin = np.abs(rng.standard_normal((7, 6)))
    return W, margin, sizes, np.abs(W).max(axis=1)[:, None] * sizes.max(axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_columns_that_meet_a_kink(seed):
    W, margin, sizes, bounds = next_layer(seed)
    moves = np.abs(W[:, :, None]) * sizes
    met, told = kinks_near.met_behind(W, margin, sizes, bounds)
    assert told
    np.testing.assert_array_equal(met, ((moves >= margin[:, None]) & (moves != 0.0)).any(axis=0))


def test_none_where_bounds_stay_away():
    W, margin, sizes, bounds = next_layer(0)
    assert kinks_near.met_behind(W, margin + bounds, sizes, bounds * 0.5) == (None, True)


def test_nan_meets_everything():
    W, margin, sizes, bounds = next_layer(0)
    margin[:, 2] = np.nan
    met, _ = kinks_near.met_behind(W, margin, sizes, bounds)
    np.testing.assert_array_equal(met[:, 2], sizes[:, 2] != 0.0)


def test_too_many_to_tell(monkeypatch):
    monkeypatch.setattr(kinks_near, "MOST", 5)
    assert kinks_near.met_behind(*next_layer(0)) == (None, False)


@pytest.fixture(autouse=True)
def nothing_travels_together(monkeypatch):
    monkeypatch.setattr(at_once, "TOGETHER", -1)
    monkeypatch.setattr(plain, "TOGETHER", 0)


def deep(hidden, output="softmax", cost="cross_entropy", seed=0):
    names = [*(hidden[k % len(hidden)] for k in range(len(WIDTHS) - 2)), output]
    layers = [fc.Dense(*sizes, name) for sizes, name in zip(pairwise(WIDTHS), names, strict=True)]
    return problem(fc.Network(layers, cost), 6, seed)


def near_kinks(given, epsilon, seed):
    """The same with some units of every hidden layer about a step away from their kinks, in one sample each."""
    rng, net = np.random.default_rng(seed), given.network
    parameters = {name: np.array(value) for name, value in given.parameters.items()}
    for layer in range(1, len(WIDTHS) - 1):
        moved = problem(net, 6, parameters=parameters, X=given.X, Y=given.Y.argmax(axis=0))
        z = moved.forward().Z[layer - 1]
        unit, sample = rng.integers(z.shape[0]), rng.integers(z.shape[1])
        distance = rng.choice([-1.0, 0.0, 1.0]) * epsilon * 10.0 ** rng.uniform(-2, 2)
        parameters[f"b{layer}"].reshape(-1)[unit] += distance - z[unit, sample]
    return problem(net, 6, parameters=parameters, X=given.X, Y=given.Y.argmax(axis=0))


@pytest.fixture
def told(monkeypatch):
    """What was told of each layer: whether something met a kink, and whether that could be said."""
    seen, usual = [], FurtherOn.met

    def met(*arguments):
        found = usual(*arguments)
        seen.append((found[0] is not None, found[1]))
        return found

    monkeypatch.setattr(FurtherOn, "met", met)
    return seen


@pytest.mark.parametrize("way", ["as needed", "norms"])
@pytest.mark.parametrize("epsilon", [1e-8, 1e-7, 1e-5])
@pytest.mark.parametrize("hidden", [["relu"], ["leaky_relu"], ["relu6", "relu", "identity"]])
def test_kinks_of_deep_networks_are_met_where_propagating_meets_them(monkeypatch, told, hidden, epsilon, way):
    """The same numbers and the same parameters at kinks, with all layers carried down from the outputs."""
    if way == "norms":
        usual = FurtherOn._within_reach
        monkeypatch.setattr(FurtherOn, "_within_reach",
                            lambda *given, sharp, norms: usual(*given, sharp=True, norms=True))
    at_kinks = 0
    for seed in range(6):
        given = near_kinks(deep(hidden, seed=seed), epsilon, seed)
        found = plain.differences(given, None, epsilon, RUN)
        with monkeypatch.context() as patch:
            patch.setattr(plain, "carried", lambda *given: [])
            expected = plain.differences(given, None, epsilon, RUN)
        scale = np.abs(expected.gradapprox).max()
        np.testing.assert_allclose(found.gradapprox, expected.gradapprox, rtol=0, atol=1e-14 * scale)
        assert np.array_equal(found.kinks.where, expected.kinks.where)
        at_kinks += found.kinks.where.size
    assert at_kinks
    assert any(met for met, _ in told)
    assert sum(could for _, could in told) > 0.9 * len(told)


def test_bounds_by_norms_take_over_in_deep_networks(monkeypatch):
    """Magnitudes that are added up grow faster from layer to layer."""
    widths = [64] * 9 + [3]
    net = fc.Network([*(fc.Dense(64, 64, "relu") for _ in widths[:-2]), fc.Dense(64, 3, "softmax")], "cross_entropy")
    given, counts, usual = problem(net, 40), {}, FurtherOn._within_reach

    def within_reach(self, k, *rest, sharp, norms):
        found = usual(self, k, *rest, sharp=sharp, norms=norms)
        counts[k, norms] = sum(place.units.size for place in found)
        return found

    monkeypatch.setattr(FurtherOn, "_within_reach", within_reach)
    carried, layers = plain.carried, []
    monkeypatch.setattr(plain, "carried", lambda *given: layers.extend(carried(*given)) or layers)
    found = plain.differences(given, None, 3e-6, RUN)
    assert [layer.layer for layer in layers] == list(range(8, -1, -1))
    assert counts[0, False] > 40
    assert counts[0, True] < 0.8 * counts[0, False]
    layers.clear()
    monkeypatch.setattr(plain, "carried", lambda *given: [])
    expected = plain.differences(given, None, 3e-6, RUN)
    scale = np.abs(expected.gradapprox).max()
    np.testing.assert_allclose(found.gradapprox, expected.gradapprox, rtol=0, atol=1e-14 * scale)


def test_layers_with_too_many_places_are_left_to_the_usual_way(told):
    """Steps so long that everything is within reach."""
    given = deep(["relu"])
    found = plain.differences(given, None, 0.5, RUN)
    assert found.facts["spot_checked"] == 1
    assert any(not could for _, could in told)


@pytest.mark.parametrize("shape", [(1, 1), (3, 9), (9, 3), (40, 40)])
@pytest.mark.parametrize("kind", ["normal", "rank one", "diagonal", "tiny"])
def test_the_spectral_bound_is_one(shape, kind):
    rng = np.random.default_rng(shape[0])
    W = rng.normal(size=shape)
    if kind == "rank one":
        W = np.outer(rng.normal(size=shape[0]), rng.normal(size=shape[1]))
    elif kind == "diagonal":
        W = np.eye(*shape) * 3.0
    elif kind == "tiny":
        W *= 1e-60
    exact = np.linalg.norm(W, 2)
    assert exact <= kinks_near.ROUNDED * spectral_bound(W) <= 1.01 * min(shape) ** 0.125 * exact


@pytest.mark.parametrize(("value", "bound"), [(0.0, 0.0), (1e200, np.inf), (np.nan, np.nan), (np.inf, np.inf)])
def test_no_number_has_no_bound(value, bound):
    with np.errstate(all="ignore"):
        np.testing.assert_equal(spectral_bound(np.full((3, 3), value)), bound)
