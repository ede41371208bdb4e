"""Exact differences take about as long as the loop over all entries that they stand for, whatever the program is."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

import fastcheck as fc
from fastcheck._errors import TooSlow
from fastcheck.checks import differencing
from fastcheck.engines.program import columns, limits
from fastcheck.runtime import pace

GENERATOR = np.random.default_rng(0)
SQUARE = GENERATOR.normal(size=(18, 18))


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


# Costs, parameters, gradients, and bounds of the times as long as the loop: half at most of what rotations took.
DECOMPOSED = {
    "singular values": (lambda v: np.linalg.svd(v, compute_uv=False).sum(), SQUARE, polar, 40.0),
    "those of a wide matrix": (lambda v: np.linalg.svd(v, compute_uv=False).sum(), SQUARE[:12], polar, 60.0),
    "the nuclear norm": (lambda v: np.linalg.norm(v, "nuc"), SQUARE, polar, 30.0),
    "the largest eigenvalue": (lambda v: np.linalg.eigvalsh(v @ v.T).max(), SQUARE, of_largest, 15.0),
}


@pytest.mark.parametrize("name", DECOMPOSED)
def test_matrices_are_decomposed_once_for_all_entries(name):
    cost, p, gradient, most = DECOMPOSED[name]
    assert times_the_loop(cost, p, gradient(p)) < most


def distances(v):
    """Return the sum of the distances of all pairs of points."""
    apart = v[:, None, :] - v[None, :, :]
    return np.sqrt((apart**2).sum(axis=-1) + 1e-3).sum()


POINTS = GENERATOR.normal(size=(20, 6))
FORCES = 2.0 * np.sum(
    (POINTS[:, None] - POINTS[None]) / np.sqrt(
        ((POINTS[:, None] - POINTS[None]) ** 2).sum(axis=-1, keepdims=True) + 1e-3), axis=1)


@pytest.fixture
def no_patience(monkeypatch):
    """Have exact differences wait for nothing."""
    monkeypatch.setattr(differencing, "WORTH", 0.0)
    monkeypatch.setattr(differencing, "WORTH_SECONDS", 0.0)
    monkeypatch.setattr(pace, "LONGEST", 1e-4)  # many small blocks


@pytest.mark.usefixtures("no_patience")
def test_what_takes_far_longer_than_the_loop_is_left_to_ordinary_differences():
    calls = 0

    def counted(v):
        nonlocal calls
        calls += 1
        return distances(v)

    plain = fc.check_function(counted, POINTS, FORCES, engine="differences")
    calls, alone = 0, calls
    report = fc.check_function(counted, POINTS, FORCES)
    assert (report.verdict, report.engine) == ("pass", "differences")
    assert report.difference == plain.difference
    assert any(note.startswith("Ordinary differences were taken: exact ones would have taken about ")
               and 'engine="program"' in note for note in report.notes)
    assert calls < alone + 40


@pytest.mark.usefixtures("no_patience")
def test_wrong_gradients_are_seen_by_ordinary_differences_too():
    wrong = FORCES.copy()
    wrong[3, 2] *= 1.001
    report = fc.check_function(distances, POINTS, wrong)
    assert (report.verdict, report.engine) == ("fail", "differences")
    assert report.tensors[0].worst == (3, 2)


@pytest.mark.usefixtures("no_patience")
def test_who_asks_for_exact_differences_waits_for_them():
    report = fc.check_function(distances, POINTS, FORCES, engine="program")
    assert (report.verdict, report.engine) == ("pass", "program")
    assert report.difference < 1e-14


@pytest.mark.usefixtures("no_patience")
def test_entries_beside_directions_are_few_and_stay_exact():
    report = fc.check_function(distances, POINTS, FORCES, method="directional")
    assert (report.verdict, report.engine) == ("pass", "program")


def test_exact_differences_are_worth_some_waiting():
    assert fc.check_function(distances, POINTS, FORCES).engine == "program"


def test_patience_ends_when_what_is_left_would_take_too_long():
    short = limits.Limits(longest=10.0, started=time.process_time() - 2.0)
    short.require_patience(70, 0.1)
    short.require_patience(0, 100.0)
    with pytest.raises(TooSlow, match="about 11 seconds"):
        short.require_patience(90, 0.1)
    early = limits.Limits(longest=10.0, started=time.process_time() - 0.5)
    early.require_patience(1000, 0.1)
    limits.Limits(started=time.process_time() - 1e6).require_patience(10**9, 1.0)


def test_few_columns_go_first_where_those_before_were_slow_and_patience_is_short():
    runner = SimpleNamespace(seconds=0.2, paid=5)
    firsts = [limits.Limits(longest=longest).first(runner, 64) for longest in (2.0, 100.0, np.inf)]
    assert firsts == [2, 64, 64]


class Growing:
    """A pace that doubles up to 64 rows, as that of a program of many operations does: each block takes as long."""

    rows = 4

    def took(self, rows, seconds):
        """Double the rows."""
        self.rows = min(2 * self.rows, 64)


def test_small_blocks_tell_nothing_while_larger_ones_are_tried():
    judged, went = [], limits.Limits(longest=1.0)
    went.require_patience = lambda left, seconds: judged.append(left)
    for _ in columns._blocks(200, Growing(), went):
        pass
    assert judged == [76, 12]
