"""Random directions see every entry, and halving finds the wrong one."""

import math

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.finite.directional import NORM, Ray, exact_slopes, probe
from fastcheck.problems.parameters.tensor import Tensor
from tests.support.user_functions import cubes, cubes_gradient, point

N = 1 << 12


def quadratic(theta):
    """A cost whose entries all have a say in each other's derivatives."""
    return 0.5 * float(theta @ theta) + 1e-3 * float(np.sum(theta)) ** 2 / theta.size


def quadratic_gradient(theta):
    return theta + 2e-3 * np.sum(theta) / theta.size


@pytest.mark.slow
def test_one_wrong_entry_of_a_million_is_found_and_located():
    theta = 1.0 + 0.1 * np.random.default_rng(0).standard_normal(1_000_000)
    right = quadratic_gradient(theta)
    clean = fc.check_function(quadratic, theta, right, method="directional")
    assert clean.ok
    assert clean.facts["direction_evaluations"] <= 3 * 6
    wrong = right.copy()
    wrong[654_321] += 1.0
    report = fc.check_function(quadratic, theta, wrong, method="directional")
    assert report.verdict == "fail"
    assert report.worst(1)[0].index == (654_321,)
    once = 3 * 6 + 7 + 2 * 2  # a table, and to be sure of what it says: the noise, and tables at two steps, confirmed
    assert report.facts["direction_evaluations"] <= once + 2 * 20


@pytest.mark.parametrize("relative", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("seed", range(4))
def test_any_entry_is_found_and_located(relative, seed):
    theta = np.random.default_rng(seed).standard_normal(N)
    gradient = quadratic_gradient(theta)
    place = int(np.random.default_rng(seed + 100).integers(N))
    gradient[place] += relative
    report = fc.check_function(quadratic, theta, gradient, method="directional", seed=seed)
    assert report.verdict == "fail"
    assert report.worst(1)[0].index == (place,)
    assert any(f"halving led to theta[{place}]" in note for note in report.notes)


def test_the_tensor_is_named_also_when_its_gradients_are_tiny():
    parameters = {"large": point(0, 500), "tiny": point(1, 500)}

    def cost(p):
        return np.sum(np.exp(p["large"])) + 1e-6 * np.sum(np.exp(p["tiny"]))

    gradients = {"large": np.exp(parameters["large"]), "tiny": 1e-6 * np.exp(parameters["tiny"])}
    assert fc.check_function(cost, parameters, gradients, method="directional").ok
    gradients["tiny"][77] *= 1.5
    report = fc.check_function(cost, parameters, gradients, method="directional")
    assert [t.name for t in report.failures] == ["tiny"]
    assert report.worst(1)[0].index == (77,)


@pytest.mark.parametrize("mistake", [lambda g: 1.001 * g, lambda g: -g, lambda g: 0.0 * g, lambda g: g[::-1].copy()])
def test_errors_everywhere_are_found(mistake):
    theta = point(0, 2000)
    report = fc.check_function(cubes, theta, mistake(cubes_gradient(theta)), method="directional")
    assert report.verdict == "fail"


def test_two_errors_that_cancel_along_signs_are_found():
    """Directions of plus and minus one would miss them half of the time."""
    theta = point(0, 2000)
    gradient = cubes_gradient(theta)
    gradient[10] += 0.1
    gradient[20] -= 0.1
    found = [fc.check_function(cubes, theta, gradient, method="directional", directions=1, seed=s) for s in range(20)]
    assert all(report.verdict == "fail" for report in found)
    assert all(report.worst(1)[0].index in ((10,), (20,)) for report in found)


def test_errors_too_small_for_single_entries_still_fail():
    theta = 1.0 + point(0, 4096) ** 2
    gradient = cubes_gradient(theta) * (1.0 + 3e-7)
    report = fc.check_function(cubes, theta, gradient, method="directional")
    assert report.verdict == "fail"


def test_broken_gradients_are_located_at_once():
    theta = point(0, 3000)
    gradient = cubes_gradient(theta)
    gradient[1234] = np.nan
    report = fc.check_function(cubes, theta, gradient, method="directional")
    assert report.verdict == "fail"
    assert report.worst(1)[0].index == (1234,)


def tensors_of(size):
    return (Tensor("W", (size,), 0, size),)


def test_the_stated_limit_is_one():
    """Errors above it are found in any direction; the limit is not needlessly high."""
    theta = point(0, N)
    gradient = quadratic_gradient(theta)
    clean = probe(tensors_of(N), theta, gradient, Ray(quadratic, theta, quadratic(theta)), directions=3,
                  tolerance=1e-7, generator=np.random.default_rng(0))
    limit = clean.limits["W"]
    assert not clean.suspects
    assert limit < 1e-3
    for seed in range(20):
        wrong = gradient.copy()
        place = int(np.random.default_rng(seed).integers(N))
        wrong[place] += 2.5 * limit
        found = probe(tensors_of(N), theta, wrong, Ray(quadratic, theta, quadratic(theta)), directions=1,
                      tolerance=1e-7, generator=np.random.default_rng(seed))
        assert [s.entry for s in found.suspects] == [place]


def test_spread_errors_are_missed_as_seldom_as_stated():
    theta = point(0, 500)
    gradient = quadratic_gradient(theta)
    limit = probe(tensors_of(500), theta, gradient, Ray(quadratic, theta, quadratic(theta)), directions=3,
                  tolerance=1e-7, generator=np.random.default_rng(0)).limits["W"]
    errors = np.random.default_rng(1).standard_normal(500)
    errors *= NORM * limit / np.linalg.norm(errors)
    missed = [
        not probe(tensors_of(500), theta, gradient + errors, Ray(quadratic, theta, quadratic(theta)), directions=1,
                  tolerance=1e-7, generator=np.random.default_rng(seed)).suspects
        for seed in range(200)
    ]
    assert np.mean(missed) <= math.sqrt(2.0) * 0.5 / NORM + 0.06


def test_exact_differences_see_single_errors_of_a_billionth():
    theta = point(0, 4096)
    calls = [0]

    def difference_along(direction, step):
        calls[0] += 1
        linear, square = float(theta @ direction), 0.5 * float(direction @ direction)
        return step * linear + step**2 * square, -step * linear + step**2 * square

    wrong = theta.copy()
    wrong[99] += 1e-3
    found = probe(tensors_of(4096), theta, wrong, exact_slopes(difference_along), directions=1, tolerance=1e-9,
                  generator=np.random.default_rng(0))
    assert [s.entry for s in found.suspects] == [99]
    assert calls[0] <= 1 + 2 * 12
    assert not probe(tensors_of(4096), theta, theta, exact_slopes(difference_along), directions=3, tolerance=1e-9,
                     generator=np.random.default_rng(0)).suspects


def test_the_statement_of_power_is_in_the_report():
    report = fc.check_function(cubes, point(), cubes_gradient(point()), method="directional", directions=2)
    statement = "Random directions, 2 for each tensor: one wrong entry is found with certainty"
    assert any(statement in note for note in report.notes)
