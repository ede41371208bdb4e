"""Rotations that are made at once, and what is quicker than rotations and elimination where changes are small."""

import numpy as np
import pytest

from fastcheck.rules import linear_algebra, perturbations
from fastcheck.rules.rotations import diagonalised, pairs_in_rounds


@pytest.mark.parametrize("n", [0, 1, 2, 3, 8, 13])
def test_every_pair_meets_once_and_nobody_twice_in_a_round(n):
    rounds = pairs_in_rounds(n)
    assert sorted((p, q) for first, second in rounds for p, q in zip(first, second, strict=True)) == [
        (p, q) for p in range(n) for q in range(p + 1, n)
    ]
    for first, second in rounds:
        assert len({*first, *second}) == 2 * len(first)
    assert len(rounds) == (0 if n < 2 else n - 1 + n % 2)


@pytest.mark.parametrize("size", [2.0**-48, 1e-9, 2e-7])
def test_perturbations_are_what_rotations_find(size):
    generator = np.random.default_rng(1)
    w = np.sort(generator.normal(size=9))
    s = generator.normal(size=(4, 9, 9))
    s = size * (s + np.swapaxes(s, -1, -2))
    shift, turned = diagonalised(np, w, s)
    for values_alone in (False, True):
        x = perturbations.mixtures(np, w, s, 9, values_alone=values_alone)
        np.testing.assert_allclose(perturbations.shifts(np, s, x), shift, rtol=1e-13, atol=1e-14 * size)
    x = perturbations.mixtures(np, w, s, 9, values_alone=False)
    np.testing.assert_allclose(perturbations.turns(np, x), turned, rtol=1e-11, atol=1e-13 * size)


def test_equal_eigenvalues_are_left_to_rotations():
    w, s = np.array([1.0, 1.0, 2.0]), np.full((1, 3, 3), 1e-14)
    assert perturbations.mixtures(np, w, s, 3, values_alone=True) is None
    assert perturbations.mixtures(np, w, s, 1, values_alone=True) is not None


def test_tiny_changes_of_cholesky_factors_need_no_columns(monkeypatch):
    generator = np.random.default_rng(4)
    s = generator.normal(size=(5, 12, 12))
    s = 2.0**-48 * (s + np.swapaxes(s, -1, -2))
    found = linear_algebra.unit_cholesky(np, s)
    monkeypatch.setattr(linear_algebra, "TINY", 0.0)
    np.testing.assert_allclose(found, linear_algebra.unit_cholesky(np, s), rtol=1e-12, atol=1e-15 * np.abs(s).max())


def test_tiny_changes_of_determinants_need_no_elimination(monkeypatch):
    generator = np.random.default_rng(2)
    a = generator.normal(size=(12, 12))
    s = np.linalg.solve(a, 2.0**-48 * generator.normal(size=(5, 12, 12)))
    expected = np.sum(np.log1p(linear_algebra.pivots(np, s)), axis=-1)
    monkeypatch.setattr(linear_algebra, "pivots", None)
    found = linear_algebra.log_of_small_determinant(np, s)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15 * np.abs(s).max())
