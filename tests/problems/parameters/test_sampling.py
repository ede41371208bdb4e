"""Samples represent every tensor, and what they prove is true."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import fastcheck as fc
from fastcheck.problems.parameters.sampling import choose, miss_probability, power, shares, stratified_order
from fastcheck.problems.parameters.tensor import Tensor

TENSORS = (
    Tensor("W", (400, 500), 0, 200_000), Tensor("b", (3,), 200_000, 200_003), Tensor("V", (10, 9), 200_003, 200_093),
)


def counts(positions):
    return [int(np.count_nonzero((positions >= t.start) & (positions < t.stop))) for t in TENSORS]


@pytest.mark.parametrize(("samples", "wanted"), [
    (None, [1000, 3, 90]), (30, [14, 3, 13]), (3, [1, 1, 1]), (1, [1, 1, 1]), (10**9, [200_000, 3, 90]),
])
def test_every_tensor_is_represented(samples, wanted):
    positions = choose(TENSORS, samples, np.random.default_rng(0))
    assert counts(positions) == wanted
    assert np.all(np.diff(positions) > 0)


@settings(deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8), st.integers(1, 3000))
def test_shares_add_up(sizes, samples):
    found = shares(sizes, samples)
    assert all(1 <= count <= size for count, size in zip(found, sizes, strict=True))
    assert sum(found) == min(max(samples, len(sizes)), sum(sizes))


def test_choices_differ_with_the_generator_and_repeat_with_it():
    first, again, other = (choose(TENSORS, 50, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("beginning", [3, 10, 100, 1000, 100_000])
def test_each_beginning_of_an_order_represents_every_tensor(beginning):
    positions = np.arange(200_093)
    order = stratified_order(TENSORS, positions, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(order), positions)
    found = counts(positions[order[:beginning]])
    assert min(found) >= 1
    assert found[0] == pytest.approx(beginning * 200_000 / 200_093, rel=0.3, abs=3)


def test_miss_probabilities_are_those_of_drawing():
    generator = np.random.default_rng(0)
    misses = np.mean([not np.any(generator.choice(50, 8, replace=False) < 5) for _ in range(20_000)])
    assert miss_probability(50, 8, 5) == pytest.approx(misses, abs=0.01)
    assert miss_probability(50, 8, 5) == pytest.approx(math.comb(45, 8) / math.comb(50, 8), rel=1e-9)
    assert miss_probability(50, 46, 5) == 0.0
    assert miss_probability(50, 8, 0) == 1.0


def test_the_statement_of_power():
    positions = choose(TENSORS, None, np.random.default_rng(0))
    assert "An error in 1% of W (1,000 of 200,000 entries" in power(TENSORS, positions)
    assert "probability 4e-05" in power(TENSORS, positions)
    assert power(TENSORS, np.arange(200_093)) == "Every entry of every tensor was checked."


def test_a_sample_finds_an_error_as_often_as_it_says():
    theta = np.linspace(1.0, 2.0, 400)
    gradient = 2.0 * theta
    gradient[:40] += 1.0
    missed = np.mean([
        fc.check_function(lambda t: np.sum(t**2), theta, gradient, epsilon=1e-5, method="sample", samples=10, seed=s).ok
        for s in range(60)
    ])
    assert missed == pytest.approx(miss_probability(400, 10, 40), abs=0.2)
