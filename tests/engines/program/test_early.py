"""Small programs are followed few times: what holds entries to account is run together with them."""

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.program.arrays.program import Program

THETA = np.array([1.1, 0.4, -0.3, 2.0])


@pytest.fixture
def batches(monkeypatch):
    """Return the sizes of the batches in which programs are followed."""
    found, run_once = [], Program._run_once

    def counted(self, run, given):
        found.append(run.batch)
        return run_once(self, run, given)

    monkeypatch.setattr(Program, "_run_once", counted)
    return found


def energy(theta):
    return theta[0] * np.exp(-theta[1]) + np.sin(theta[2]) * theta[3] ** 2


def slopes(theta):
    a, b, c, d = theta
    return np.array([np.exp(-b), -a * np.exp(-b), np.cos(c) * d * d, 2.0 * d * np.sin(c)])


def test_entries_and_directions_share_a_call(batches):
    report = fc.check_function(energy, THETA, slopes(THETA))
    assert (report.verdict, report.engine) == ("pass", "program")
    assert report.difference < 2e-15
    # entries up and down, two directions with steps of two digits; dithered inputs; a literal step
    assert batches == [2 * THETA.size + 2 * 2, 2, 1]


def test_a_literal_step_onto_another_branch_leaves_the_others_alone(batches):
    """Steps of 2**-10 and 2**-20 lead there, those of 2**-30 do not."""
    def branching(theta):
        return energy(theta) if (theta[0] - THETA[0]) ** 2 < 1e-16 else energy(theta) + 1.0

    report = fc.check_function(branching, THETA, slopes(THETA))
    assert (report.verdict, report.engine) == ("pass", "program")
    assert report.difference < 2e-15
    assert batches[:2] == [2 * THETA.size + 2 * 2, 2]
    assert set(batches[2:]) == {1}


def test_several_inputs_wait_together(batches):
    report = fc.check_function(lambda p: np.sum(p["W"] @ p["x"]) ** 2, {"W": np.eye(3), "x": np.arange(1.0, 4.0)},
                               {"W": 12.0 * np.tile(np.arange(1.0, 4.0), (3, 1)), "x": 12.0 * np.ones(3)})
    assert (report.verdict, report.engine) == ("pass", "program")
    assert batches == [2 * 12 + 2 * 2 * 2, 4, 2]


def test_a_wrong_entry_of_a_small_program_is_found(batches):
    for entry in range(THETA.size):
        wrong = slopes(THETA)
        wrong[entry] *= 1.0 + 1e-6
        report = fc.check_function(energy, THETA, wrong)
        assert report.verdict == "fail"
        assert report.failures[0].worst == (entry,)


def test_units_of_few_samples_are_moved_one_by_one(batches):
    rng = np.random.default_rng(0)
    X, W, b = rng.standard_normal((12, 3)), rng.standard_normal((15, 12)), np.full((15, 1), 0.3)

    def loss(p):
        return np.sum(np.tanh(p["W"] @ X + p["b"]) ** 2)

    a = np.tanh(W @ X + b)
    d = 2.0 * a * (1.0 - a * a)
    report = fc.check_function(loss, {"W": W, "b": b}, {"W": d @ X.T, "b": d.sum(axis=1, keepdims=True)})
    assert (report.verdict, report.facts["ways"]["W"]) == ("pass", "units")
    assert report.difference < 2e-15
    assert max(batches) == 2 * 15 * 3
    assert len(batches) <= 6
