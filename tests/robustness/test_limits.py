"""Limits that callers set are kept: of memory, as the system counts it, and of threads."""

import json
import os
import subprocess
import sys
import time

import pytest

import fastcheck as fc
from fastcheck.checks.selection import METHODS
from fastcheck.engines.base import ENGINES
from fastcheck.problems.networks.backprop_rounding import Rounding
from fastcheck.problems.networks.problem import BYTES_PER_UNIT, Problem
from tests.support.jit_mode import needs_compiled
from tests.support.peak_memory import RESET, SIZES
from tests.support.problems import data, network, problem
from tests.support.repository import ROOT

# Together they take long, whether or not each of them does.
pytestmark = pytest.mark.slow


@needs_compiled("as many samples as memory shows would take hours")
@pytest.mark.skipif(not os.access(RESET, os.W_OK), reason="needs a system that tells the most memory used")
@pytest.mark.parametrize("kind", [*ENGINES, *SIZES])
def test_memory_stays_within_the_limit_and_the_vectors_of_n_numbers(kind):
    command = [sys.executable, "-m", "tests.support.peak_memory", kind]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert len(found) >= 3
    for case, (grown, allowed) in found.items():
        assert grown <= 1.1 * allowed, f"{case}: {grown / 2**20:.1f} MiB, {allowed / 2**20:.1f} allowed"


@needs_compiled("it takes minutes then, and BLAS is the same")
@pytest.mark.parametrize("engine", ENGINES)
def test_one_thread_is_one_thread(engine):
    net = network([500, 500, 500, 10], "relu", "softmax", "cross_entropy")
    parameters = net.initialize(0)
    X, Y = data(net, 64)
    gradients = net.gradients(parameters, X, Y)
    method = {"method": "all"} if engine == "response" else {"method": "sample", "samples": 50}
    shares = []
    time.sleep(0.5)  # the threads of BLAS that worked above spin for a while before they sleep
    for _ in range(4):  # the least counts: others may run beside it
        wall, processor = time.perf_counter(), time.process_time()
        fc.check(net, parameters, gradients, X, Y, engine=engine, threads=1, **method)
        shares.append((time.process_time() - processor) / (time.perf_counter() - wall))
    assert min(shares) <= 1.2


def in_threes(monkeypatch):
    """Let every limit be one of three samples."""
    whole = Problem.parts
    limit = 3.5 * BYTES_PER_UNIT
    monkeypatch.setattr(Problem, "parts", lambda self, _: whole(self, limit * sum(self.network.widths)))


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "response"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("output", "cost"), [("softmax", "cross_entropy"), ("identity", "squared_error")])
def test_samples_a_few_at_a_time_give_the_same_costs(engine, method, output, cost, monkeypatch):
    net = network([4, 6, 5, 3], "tanh", output, cost, 0.3)
    parameters = net.initialize(0)
    X, Y = data(net, 10)
    wrong = net.gradients(parameters, X, Y)
    wrong["dW2"] = 1.1 * wrong["dW2"]
    whole = fc.check(net, parameters, wrong, X, Y, engine=engine, method=method, epsilon=1e-5)
    in_threes(monkeypatch)
    found = fc.check(net, parameters, wrong, X, Y, engine=engine, method=method, epsilon=1e-5)
    assert [t.name for t in found.failures] == [t.name for t in whole.failures] == ["W2"]
    assert found.indices.tolist() == whole.indices.tolist()
    for name in ("cost", "J_plus", "J_minus"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name), rel=1e-14), name


def test_rounding_of_a_few_samples_at_a_time_adds_up_to_that_of_all(monkeypatch):
    given = problem(network([4, 6, 3], "relu", "softmax", "cross_entropy", 0.3), 10)
    whole = {t.name: Rounding(given)(t.name) for t in given.network.tensors}
    in_threes(monkeypatch)
    for name, errors in whole.items():
        assert Rounding(given)(name) == pytest.approx(errors, rel=1e-12), name
