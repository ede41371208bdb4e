"""What a check costs, before it is begun: operations counted by hand, how time and memory grow, and refusals."""

import time
from importlib import import_module

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.base import ENGINES
from fastcheck.problems.networks.cost_model import CALLS, RATES, VECTORS, operations
from fastcheck.runtime.resources import available_bytes
from tests.support.problems import data, network
from tests.support.refusals import refuses

NET = network([4, 3, 2], "tanh", "softmax", "cross_entropy")  # 15 + 8 parameters
WIDE = network([784, 512, 256, 10], "relu", "softmax", "cross_entropy")
ROOM = 1 << 26
MODULE = import_module("fastcheck.problems.networks.cost_model")  # fc.estimate is its function


def test_every_engine_has_its_rates():
    assert set(RATES) == set(CALLS) == set(ENGINES)


def test_operations_counted_by_hand():
    # A column of the first layer costs the activation's difference and its products with the second layer's two units,
    # to either side; one of the second the loss alone.  Then sums over 5 samples for 4 + 1, and 3 + 1, parameters.
    first, second = 2 * (10 + 2), 2 * 10
    assert operations(NET, 5, "response") == 5 * (3 * (first + 2 * 5) + 2 * (second + 2 * 4))
    assert operations(NET, 5, "full") == operations(NET, 5, "reference") == 2 * 23 * 23 * 5


@pytest.mark.parametrize("engine", ENGINES)
def test_work_grows_with_the_samples(engine):
    assert operations(WIDE, 200, engine) == pytest.approx(2.0 * operations(WIDE, 100, engine))
    few, many = (fc.estimate(WIDE, m, engine=engine, threads=1) for m in (100, 1000))
    assert few.seconds < many.seconds <= 10.0 * few.seconds


def test_more_workers_take_less_time_and_the_same_memory_each():
    one, many = (fc.estimate(WIDE, 2000, workers=k, memory_limit=ROOM) for k in (1, 16))
    assert many.seconds < one.seconds <= 16.0 * many.seconds
    assert many.worker_memory == one.worker_memory == ROOM + 8 * WIDE.size
    assert many.memory == one.memory == VECTORS * 8 * WIDE.size


def test_threads_share_the_work_and_no_worker_is_paid_for():
    one, two = (fc.estimate(WIDE, 2000, threads=k, memory_limit=ROOM) for k in (1, 2))
    assert one.seconds / 2.0 <= two.seconds < one.seconds
    assert two.memory == VECTORS * 8 * WIDE.size + ROOM
    assert two.worker_memory == 0


def test_engines_are_as_far_apart_as_they_are():
    response, full, reference = (fc.estimate(WIDE, 128, engine=engine, threads=1).seconds for engine in ENGINES)
    assert 1000.0 * response < full <= reference


def test_reads_well():
    alone = str(fc.estimate(WIDE, 128, threads=2, memory_limit=ROOM))
    shared = str(fc.estimate(WIDE, 128, workers=3, memory_limit=ROOM))
    assert alone.startswith("535,818 parameters, 128 samples, engine response, 2 threads: about ")
    assert alone.endswith(" and 88.5 MiB of memory")
    assert ", 3 workers: about " in shared
    assert shared.endswith(" and 24.5 MiB of memory, 68.1 MiB for each worker")


@pytest.mark.parametrize(("changes", "kind", "words"), [
    ({"net": None}, TypeError, ["net", "NoneType", "Network"]),
    ({"samples": 0}, ValueError, ["samples", "0", "at least 1"]),
    ({"samples": 1.5}, TypeError, ["samples", "1.5"]),
    ({"samples": np.ones((4, 3))}, TypeError, ["samples", "ndarray"]),
    ({"engine": "warp"}, ValueError, ["engine", "warp", "response, full, reference"]),
    ({"engine": None}, TypeError, ["engine", "NoneType"]),
    ({"threads": 0}, ValueError, ["threads", "0"]),
    ({"memory_limit": 1}, ValueError, ["memory_limit", "1"]),
    ({"memory_limit": "1G"}, TypeError, ["memory_limit", "'1G'"]),
    ({"workers": -1}, ValueError, ["workers", "-1"]),
    ({"workers": None}, TypeError, ["workers", "None"]),
])
def test_bad_arguments(changes, kind, words):
    refuses(kind, words, fc.estimate, **{"net": NET, "samples": 3, **changes})


# --- refused before anything is done ----------------------------------------------------------------------------


@pytest.fixture
def little(monkeypatch):
    """A machine with hardly more memory free than the limit given below."""
    monkeypatch.setattr(MODULE, "available_bytes", lambda: ROOM + 4 * 8 * WIDE.size - 1)


@pytest.fixture(scope="module")
def given():
    parameters = WIDE.initialize(0)
    X, Y = data(WIDE, 8)
    return WIDE, parameters, WIDE.gradients(parameters, X, Y), X, Y


def test_results_that_do_not_fit_are_refused_at_once(little, given, monkeypatch):
    monkeypatch.setattr("fastcheck.engines.distributed.run.Shared.as_far_as", None)  # the work is not begun
    started = time.perf_counter()
    with pytest.raises(MemoryError) as caught:
        fc.check(*given, memory_limit=ROOM)
    assert time.perf_counter() - started < 1.0
    for word in ("535,818 parameters", "16.4 MiB and 64 MiB", "80.4 MiB free",
                 'method="sample"', 'method="directional"', "lower memory_limit"):
        assert word in str(caught.value), word


@pytest.mark.parametrize("method", ["sample", "directional"])
def test_the_methods_that_it_names_are_not_refused(little, given, method):
    assert fc.check(*given, memory_limit=ROOM, method=method).ok


def test_a_lower_limit_is_not_refused(little, given):
    assert fc.check(*given, memory_limit=ROOM // 2).ok


def test_a_system_that_does_not_say_refuses_nothing(given, monkeypatch):
    monkeypatch.setattr(MODULE, "available_bytes", lambda: None)
    assert fc.check(*given, memory_limit=ROOM).ok


def test_this_system_says():
    assert available_bytes() > 1 << 20
