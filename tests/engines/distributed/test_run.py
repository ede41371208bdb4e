"""An engine's work on the workers of executors: the same digits, and what goes wrong there."""

import multiprocessing
import os
import signal
import time
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

import fastcheck as fc
from fastcheck.engines import base
from fastcheck.engines.base import ENGINES
from fastcheck.engines.distributed import plan, workers
from tests.support.problems import assert_same_numbers, data, network

# Together they take long, whether or not each of them does.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("by_machine_code")]


@contextmanager
def dask():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster, distributed.Client(cluster) as client:
        yield client.get_executor()


@contextmanager
def mpi():
    futures = pytest.importorskip("mpi4py.futures", reason="needs mpi4py")
    with futures.MPIPoolExecutor(2) as executor:
        yield executor


EXECUTORS = {
    "threads": lambda: ThreadPoolExecutor(2),
    "fork": lambda: ProcessPoolExecutor(2, multiprocessing.get_context("fork")),
    "spawn": lambda: ProcessPoolExecutor(2, multiprocessing.get_context("spawn")),
    "dask": dask,
    "mpi": mpi,
}


SLOW_TO_START = ("spawn", "dask", "mpi")


@pytest.fixture(scope="module", params=[
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW_TO_START else name for name in EXECUTORS
])
def executor(request):
    with EXECUTORS[request.param]() as made:
        yield made


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(plan, "SECONDS", 1e-4)


@pytest.fixture(scope="module")
def plain(given):
    return fc.check(*given)


def test_bitwise_what_one_process_finds(executor, given, plain):
    assert_same_numbers(fc.check(*given, executor=executor), plain)


def test_the_job_goes_once_to_each_worker(executor, given, monkeypatch):
    sent = []
    right = workers.Dispatcher._send

    def counted(self, shard, *, whole):
        sent.append(whole)
        right(self, shard, whole=whole)

    monkeypatch.setattr(workers.Dispatcher, "_send", counted)
    fc.check(*given, executor=executor, epsilon=2e-7)
    assert len(sent) > 4
    assert sum(sent) <= 3  # two workers, and one that was not sure to reach the second


@pytest.mark.parametrize("method", ["sample", "directional"])
def test_other_methods(executor, given, method):
    assert_same_numbers(fc.check(*given, method=method, executor=executor), fc.check(*given, method=method))


def test_wrong_gradients_and_large_steps_get_the_same_second_look(executor, given):
    net, parameters, gradients, X, Y = given
    wrong = {**gradients, "dW2": gradients["dW2"] * 1.001}
    options = {"epsilon": 1e-4}
    alone, found = (fc.check(net, parameters, wrong, X, Y, **options, executor=e) for e in (None, executor))
    assert_same_numbers(found, alone)
    assert [t.name for t in found.failures] == ["W2"]
    assert found.summary == alone.summary


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "response"])
def test_loops(executor, engine):
    net = network([3, 5, 2], "tanh", "identity", "squared_error")
    parameters = net.initialize(0)
    X, Y = data(net, 4)
    given = net, parameters, net.gradients(parameters, X, Y), X, Y
    assert_same_numbers(fc.check(*given, engine=engine, epsilon=1e-5, executor=executor),
                fc.check(*given, engine=engine, epsilon=1e-5))


def test_the_callers_arrays_are_as_they_were(executor, given):
    before = [a.tobytes() for part in given[1:3] for a in part.values()] + [given[3].tobytes()]
    fc.check(*given, executor=executor)
    assert before == [a.tobytes() for part in given[1:3] for a in part.values()] + [given[3].tobytes()]


def test_nothing_is_kept_in_the_callers_process(given):
    with ThreadPoolExecutor(2) as executor:
        fc.check(*given, executor=executor)
    assert not workers._held


def test_several_checks_at_once_on_one_executor(executor, given, plain):
    with ThreadPoolExecutor(3) as callers:
        found = list(callers.map(lambda _: fc.check(*given, executor=executor), range(3)))
    for report in found:
        assert_same_numbers(report, plain)


class Refusing:
    """An executor whose workers fail at the third piece."""

    def __init__(self):
        self.calls = 0

    def submit(self, function, *arguments):
        self.calls += 1
        future = Future()
        if self.calls == 3:
            future.set_exception(RuntimeError("worker on fire"))
        else:
            future.set_result(function(*arguments))
        return future


@pytest.mark.parametrize("options", [{}, {"method": "sample"}, {"method": "directional"}, {"epsilon": 1e-2}])
def test_what_is_small_is_done_at_once_with_the_same_digits(small, monkeypatch, options):
    monkeypatch.setattr(base, "ALWAYS_SHALLOW", 0.5)
    executor = Refusing()
    assert_same_numbers(fc.check(*small, **options, executor=executor), fc.check(*small, **options))
    assert executor.calls == 0


def test_a_workers_error_is_the_callers(given):
    with pytest.raises(RuntimeError, match="worker on fire"):
        fc.check(*given, executor=Refusing())
    assert not workers._held


class Killed(ThreadPoolExecutor):
    """Raises Ctrl-C in the caller once two pieces are out."""

    def submit(self, *arguments):
        if self._work_queue.qsize() >= 2:
            raise KeyboardInterrupt
        return super().submit(*arguments)


def test_ctrl_c_ends_it_and_threads_give_up(given):
    with Killed(1) as executor:
        with pytest.raises(KeyboardInterrupt):
            fc.check(*given, executor=executor)
        started = time.perf_counter()
    assert time.perf_counter() - started < 5.0
    assert not workers._held


def test_a_killed_process_of_a_pool_is_an_error(given):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        pid = executor.submit(os.getpid).result()

        def kill(done, total):
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

        with pytest.raises(BrokenExecutor):
            fc.check(*given, executor=executor, progress=kill)
    assert not workers._held


def test_a_killed_worker_of_dask_is_made_up_for(given, plain):
    with dask() as executor:
        pid = executor.submit(os.getpid).result()
        killed = []

        def kill(done, total):
            if not killed:
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)

        assert_same_numbers(fc.check(*given, executor=executor, progress=kill), plain)
        assert killed


@pytest.mark.parametrize("engine", ENGINES)
def test_a_time_limit_takes_entries_at_random(engine, monkeypatch):
    monkeypatch.setattr(plan, "SHORT", 1e-5)
    net = network([6, 100, 50, 3], "relu", "softmax", "cross_entropy")
    parameters = net.initialize(0)
    X, Y = data(net, 9)
    report = fc.check(net, parameters, net.gradients(parameters, X, Y), X, Y, engine=engine, epsilon=1e-6,
                      time_limit=1e-9)
    assert 0 < report.indices.size < net.size
    assert report.verdict == "pass" or engine != "response"
    assert any("time limit let" in note for note in report.notes)
    assert any("missed with probability" in note for note in report.notes)
    weights = [t for t in report.tensors if t.name.startswith("W")]
    assert all(t.checked for t in weights)


def test_time_enough_checks_all(given, plain):
    report = fc.check(*given, time_limit=600.0)
    assert report.indices.size == plain.indices.size
    assert report.verdict == plain.verdict
    assert not any("time limit" in note for note in report.notes)
