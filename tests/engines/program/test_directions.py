"""Directions through programs: a right gradient takes few passes whatever it has of tensors, a wrong entry is found."""

import numpy as np
import pytest

import fastcheck as fc


def deep(p, x, calls=None):
    """Sixty small layers: 121 tensors."""
    if calls is not None:
        calls.append(1)
    for k in range(60):
        x = np.tanh(x @ p[f"W{k}"] + p[f"b{k}"])
    return np.sum(x @ p["last"])


def deep_gradient(p, x):
    kept = [x]
    for k in range(60):
        kept.append(np.tanh(kept[-1] @ p[f"W{k}"] + p[f"b{k}"]))
    found = {"last": kept[-1].sum(axis=0)}
    d = np.broadcast_to(p["last"], kept[-1].shape)
    for k in reversed(range(60)):
        d = d * (1.0 - kept[k + 1] ** 2)
        found[f"W{k}"], found[f"b{k}"] = kept[k].T @ d, d.sum(axis=0)
        d = d @ p[f"W{k}"].T
    return found


@pytest.fixture(scope="module")
def net():
    generator = np.random.default_rng(0)
    p = {f"W{k}": 0.4 * generator.normal(size=(7, 7)) + np.eye(7) for k in range(60)}
    p |= {f"b{k}": 0.1 * generator.normal(size=7) for k in range(60)}
    p["last"] = generator.normal(size=7)
    x = generator.normal(size=(4, 7))
    return p, x, deep_gradient(p, x)


def test_a_right_gradient_of_many_tensors_takes_few_passes(net):
    p, x, gradient = net
    calls = []
    report = fc.check_function(lambda p, x: deep(p, x, calls), p, gradient, (x,), method="directional")
    assert report.ok
    assert report.engine == "program"
    assert len(calls) <= 30


@pytest.mark.parametrize("tensor", ["W0", "W31", "b59", "last"])
def test_an_entry_off_by_little_is_found(net, tensor):
    p, x, gradient = net
    wrong = {name: value.copy() for name, value in gradient.items()}
    place = np.unravel_index(3, wrong[tensor].shape)
    wrong[tensor][place] += 1e-5 * np.sqrt(np.mean(wrong[tensor] ** 2))
    report = fc.check_function(deep, p, wrong, (x,), method="directional")
    assert report.verdict == "fail"
    assert [t.name for t in report.tensors if t.verdict == "fail"] == [tensor]
    assert report.worst(1)[0].index == place


def large(t):
    return np.sum(np.sin(t) * t)


@pytest.mark.parametrize("count", [1, 2, 5, 300])
def test_one_of_several_wrong_entries_is_found(count):
    generator = np.random.default_rng(count)
    t = generator.normal(size=20_000)
    gradient = np.cos(t) * t + np.sin(t)
    chosen = generator.choice(t.size, count, replace=False)
    gradient[chosen] += generator.choice([-1.0, 1.0], count) * generator.uniform(0.1, 1.0, count)
    report = fc.check_function(large, t, gradient, method="directional")
    assert report.verdict == "fail"
    assert report.engine == "program"
    assert report.worst(1)[0].index[0] in chosen


def test_a_gradient_at_ties_is_held_against_conventions():
    x = np.random.default_rng(0).integers(-1, 2, (30, 40)).astype(float)
    weights = np.random.default_rng(1).normal(size=x.shape)
    for slope in (0.0, 0.5, 1.0):
        gradient = weights * np.where(x == 0, slope, x > 0)
        report = fc.check_function(lambda x: np.sum(weights * np.maximum(x, 0.0)), x, gradient, method="directional")
        assert report.ok, slope
    gradient[3, 4] += 0.01
    report = fc.check_function(lambda x: np.sum(weights * np.maximum(x, 0.0)), x, gradient, method="directional")
    assert report.verdict == "fail"


def test_a_gradient_of_nan_or_infinity_is_led_to():
    t = np.linspace(1.0, 2.0, 500)
    for value in (np.nan, np.inf):
        gradient = np.cos(t) * t + np.sin(t)
        gradient[321] = value
        report = fc.check_function(large, t, gradient, method="directional")
        assert report.verdict == "fail"
        assert report.worst(1)[0].index == (321,)
