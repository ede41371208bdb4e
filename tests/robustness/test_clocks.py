"""Clocks that jump or stand still change no answer, and end no check before its time."""

import random
import time

import numpy as np
import pytest

import fastcheck as fc
import fastcheck.checks.watch.watch
from fastcheck.checks.watch.time_budget import LONGEST, TimeBudget
from fastcheck.runtime.pace import Pace
from fastcheck.runtime.progress import Reporter
from tests.support.jobs import in_python, jobs
from tests.support.problems import data, network

# Together they take long, whether or not each of them does.
pytestmark = pytest.mark.slow

JOBS = {job.name: job for job in jobs()}


class Clock:
    """A clock that is put back or forward by hours, or stands still."""

    def __init__(self, kind):
        self.kind, self.real, self.offset, self.random = kind, time.perf_counter, 0.0, random.Random(0)

    def __call__(self):
        if self.kind == "still":
            return 1000.0
        if self.random.random() < 0.2:
            hours = {"back": -1.0, "ahead": 1.0, "both": self.random.choice((-1.0, 1.0))}[self.kind]
            self.offset += 3600.0 * hours
        return self.real() + self.offset


@pytest.mark.parametrize("kind", ["back", "ahead", "both", "still"])
def test_clocks_that_jump_change_no_answer(monkeypatch, kind):
    wanted = {name: job.answer() for name, job in JOBS.items()}
    clock, told = Clock(kind), []
    for name in ("perf_counter", "monotonic", "time"):
        monkeypatch.setattr(time, name, clock)
    for name, job in JOBS.items():
        options = {} if name == "vjp" else {"progress": lambda done, total: told.append((done, total))}
        assert job.answer(**options) == wanted[name], name
    assert told
    assert JOBS["Python"].run().seconds >= 0.0


@pytest.mark.parametrize("kind", ["back", "ahead", "both", "still"])
def test_a_time_limit_by_a_clock_that_jumps_takes_no_part_for_the_whole(monkeypatch, kind):
    monkeypatch.setattr(time, "perf_counter", Clock(kind))
    for seed in range(5):
        theta = np.random.default_rng(seed).uniform(0.5, 1.5, 3000)
        report = fc.check_function(in_python, theta, np.cos(theta), time_limit=0.5)
        checked = int(np.count_nonzero(np.isfinite(report.gradapprox_of("theta"))))
        assert checked == theta.size or f"let {checked:,} of 3,000 entries" in " ".join(report.notes)


def test_progress_goes_on_after_a_clock_was_put_back(monkeypatch):
    told, now = [], [1e6]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    report = Reporter(lambda done, total: told.append(done))
    for done, moment in enumerate((1e6, 1e6 + 0.01, 10.0, 10.01, 10.1)):
        now[0] = moment
        report(done, 100)
    assert told == [0, 2, 4]


@pytest.mark.parametrize("jump", [-1e5, 1e5])
def test_a_watch_goes_on_after_a_jump(monkeypatch, jump):
    net = network([4, 5, 3], "tanh", "softmax", "cross_entropy")
    (X, Y), parameters = data(net, 8), net.initialize(0)
    gradients = net.gradients(parameters, X, Y)
    now = [1e6]

    def clock():
        now[0] += 1e-4
        return now[0]

    monkeypatch.setattr(fastcheck.checks.watch.watch, "perf_counter", clock)
    watch = fc.Watch(net, overhead=0.1)
    for step in range(500):
        now[0] += 1e-3 + jump * (step == 250)
        watch(parameters, gradients, X, Y)
    gradients["dW2"] = gradients["dW2"] * 1.5

    def train(steps):
        for _ in range(steps):
            now[0] += 1e-3
            watch(parameters, gradients, X, Y)

    with pytest.raises(fc.GradientMismatch):
        train(5000)


def test_work_during_which_the_clock_jumps_is_paid_for_as_a_long_one():
    for jump in (-1e5, 1e5):
        budget = TimeBudget(0.01)
        budget.pay(0.0, jump, 1)
        assert budget.due - jump <= 2.0 * LONGEST / 0.01


def test_a_stack_takes_no_longer_than_ctrl_c_may_wait():
    pace = Pace(32, 1 << 20)
    for _ in range(30):
        pace.took(pace.rows, 1e-3 + 1e-2 * pace.rows)  # the more rows, the less time each
    assert pace.rows * 1e-2 < 0.5
