"""Exact differences take about as long as the loop over all entries that they stand for, whatever the program is."""

import time

import numpy as np
import pytest

import fastcheck as fc

GENERATOR = np.random.default_rng(0)
SQUARE, MATRIX = GENERATOR.normal(size=(18, 18)), GENERATOR.normal(size=(30, 30))


def processor_seconds(call):
    """Return the least of two readings, so that what happens once is not counted."""
    readings = []
    for _ in range(2):
        started = time.process_time()
        call()
        readings.append(time.process_time() - started)
    return min(readings)


def times_the_loop(cost, p, gradient):
    """Return how many times as long as central differences of all entries by two calls each a check takes."""
    def check():
        report = fc.check_function(cost, p, gradient, engine="program")
        assert report.verdict == "pass"
        assert report.difference < 1e-13

    def loop():
        for _ in range(2 * p.size):
            cost(p)

    check()
    return processor_seconds(check) / processor_seconds(loop)


def polar(v):
    """Return the gradient of the sum of singular values."""
    u, _, vh = np.linalg.svd(v, full_matrices=False)
    return u @ vh


def of_largest(v):
    """Return the gradient of the largest eigenvalue of v v^T."""
    top = np.linalg.eigh(v @ v.T)[1][:, -1]
    return 2.0 * np.outer(top, top) @ v


DECOMPOSED = {
    "singular values": (lambda v: np.linalg.svd(v, compute_uv=False).sum(), SQUARE, polar),
    "singular values of a wide matrix": (
        lambda v: np.linalg.svd(v, compute_uv=False).sum(), SQUARE[:12], polar),
    "the nuclear norm": (lambda v: np.linalg.norm(v, "nuc"), SQUARE, polar),
    "the largest eigenvalue": (lambda v: np.linalg.eigvalsh(v @ v.T).max(), SQUARE, of_largest),
    "the logarithm of a determinant": (lambda v: np.linalg.slogdet(v)[1], MATRIX, lambda v: np.linalg.inv(v).T),
}


@pytest.mark.parametrize("name", DECOMPOSED)
def test_matrices_are_decomposed_once_for_all_entries(name):
    cost, p, gradient = DECOMPOSED[name]
    assert times_the_loop(cost, p, gradient(p)) < 20.0
