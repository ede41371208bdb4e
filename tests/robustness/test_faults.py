"""Faults at any moment: a clean error or a right answer, nothing left behind, and the next check is right."""

import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
import scipy.linalg  # noqa: F401 - its BLAS must be loaded before threads are counted
from threadpoolctl import threadpool_info

import fastcheck as fc
import fastcheck.checks.watch.watch
from fastcheck.engines.response import unit_responses
from fastcheck.runtime import threads
from tests.support.child_processes import run
from tests.support.jit_mode import needs_compiled
from tests.support.jobs import in_python, jobs
from tests.support.problems import data, machine_code, network

# Together they take long, whether or not each of them does.
pytestmark = pytest.mark.slow

JOBS = {job.name: job for job in jobs()}
MOMENTS = 6  # for each kind of check and each kind of error


@pytest.fixture
def by_machine_code():
    with machine_code():
        yield


def left_behind():
    """What a check must leave as it was: threads of its own, and BLAS's number of threads."""
    blas = [(library["filepath"], library["num_threads"]) for library in threadpool_info()]
    return [t.name for t in threading.enumerate() if t.name.startswith("fastcheck")], blas


def run_with_events(job, act):
    """Run with ``act(number)`` at each start of a Python function and each return from a built-in one: the moments
    at which Python lets a signal's handler run.
    """
    count = 0

    def event(frame, kind, argument):
        nonlocal count
        if kind in ("call", "c_return") and "fastcheck" in frame.f_code.co_filename:
            count += 1
            act(count)

    sys.setprofile(event)
    try:
        return job.answer(), count
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("name", JOBS)
def test_stopped_at_random_moments(name, error):
    job = JOBS[name]
    wanted, before, held = job.answer(), left_behind(), job.held()
    total = run_with_events(job, lambda number: None)[1]
    moments = random.Random(name).sample(range(1, total + 1), min(MOMENTS, total))
    for moment in moments:
        def stop(number, moment=moment):
            if number == moment:
                raise error

        try:
            found = run_with_events(job, stop)[0]
        except error:
            pass
        else:  # timing may make fewer events, and some errors are answered by another way to the same end
            assert found == wanted
        assert left_behind() == before, moment
        assert job.held() == held
    assert job.answer() == wanted


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of __del__, which is interrupted too
@pytest.mark.parametrize("file", ["threads.py", "parallel.py"])
@pytest.mark.parametrize("name", ["response", "full", "jitted"])
def test_ctrl_c_at_every_moment_of_the_bookkeeping(name, file):
    """Every moment of what holds limits and threads: not a sample of them."""
    job = JOBS[name]
    wanted, before = job.answer(), left_behind()
    reached = True
    moment = 0
    while reached and moment < 400:
        moment += 1
        count, reached = 0, False

        def event(frame, kind, argument, moment=moment):
            nonlocal count, reached
            if kind in ("call", "c_return") and frame.f_code.co_filename.endswith(f"fastcheck/{file}"):
                count += 1
                if count == moment:
                    reached = True
                    raise KeyboardInterrupt

        sys.setprofile(event)
        try:
            job.run()
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        assert left_behind() == before, moment
    assert job.answer() == wanted


@pytest.mark.parametrize(("name", "module", "kernel"), [
    ("response", unit_responses, "respond_block"),
    ("response, large step", unit_responses, "respond_literally"),
])
@pytest.mark.parametrize("error", [MemoryError("no memory"), ZeroDivisionError("in a worker")])
@pytest.mark.usefixtures("by_machine_code")
def test_an_error_in_one_worker(monkeypatch, name, module, kernel, error):
    job, real, calls = JOBS[name], getattr(module, kernel), []
    wanted, before, held = job.answer(), left_behind(), job.held()

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise error
        return real(*arguments)

    monkeypatch.setattr(module, kernel, failing)
    with pytest.raises(type(error), match=str(error)):
        job.run()
    monkeypatch.undo()
    assert left_behind() == before
    assert job.held() == held
    assert job.answer() == wanted


def test_where_no_thread_can_be_started_the_callers_does_it_all(monkeypatch):
    wanted = JOBS["response"].answer()

    def refused(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert JOBS["response"].answer() == wanted


@pytest.fixture
def heeds_ctrl_c():
    """Ctrl-C raises KeyboardInterrupt, also in a process that was started in the background and told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_while_waiting_for_helpers():
    """Thread.join takes a running thread for ended when it is interrupted."""
    running, main = [], threading.main_thread()

    def task(item):
        if threading.current_thread() is main:
            return
        running.append(1)
        signal.pthread_kill(main.ident, signal.SIGINT)
        time.sleep(0.1)
        running.pop()

    def run_until_stopped():
        while True:
            threads.run_all(task, range(4), 3)

    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            run_until_stopped()
        assert not running
        assert not left_behind()[0]


def killed(theta):
    if theta[3] != 1.0 and theta[4] == 1.0:
        os.kill(os.getpid(), signal.SIGKILL)
    return in_python(theta)


def test_a_killed_worker_of_an_executor_is_a_clear_error():
    theta = np.ones(12)
    with ProcessPoolExecutor(1) as pool, pytest.raises(BrokenProcessPool, match="terminated abruptly"):
        fc.check_function(killed, theta, np.cos(theta), executor=pool)
    with ProcessPoolExecutor(1) as pool:
        assert fc.check_function(in_python, theta, np.cos(theta), executor=pool).ok


CTRL_C = """
import contextlib, signal, threading, time
import numpy as np
import fastcheck as fc
from tests.support.jobs import in_c, in_python, jitted, jobs, stacked
from tests.support.problems import data, network
from scipy import LowLevelCallable

signal.signal(signal.SIGALRM, signal.default_int_handler)
SMALL = jobs()
WANTED = [job.answer() for job in SMALL]

def of_network(widths, m, **options):
    net = network(widths, "tanh", "softmax", "cross_entropy")
    X, Y = data(net, m)
    parameters = net.initialize(0)
    gradients = net.gradients(parameters, X, Y)
    arrays = [*parameters.values(), *gradients.values(), X]
    return (lambda **more: fc.check(net, parameters, gradients, X, Y, **options, **more)), arrays

def of_function(cost, size, **options):
    theta = np.random.default_rng(0).uniform(0.5, 1.5, size)
    gradient = np.cos(theta)
    return (lambda **more: fc.check_function(cost, theta, gradient, **options, **more)), [theta, gradient]

WIDE, MIDDLE = ([1024, 1024, 1024, 10], 32), ([784, 512, 256, 10], 128)
LONG = {
    "response": of_network(*WIDE), "response, large step": of_network(*WIDE, epsilon=1e-2),
    "full": of_network(*MIDDLE, engine="full"), "reference": of_network(*MIDDLE, engine="reference"),
    "sample": of_network(*MIDDLE, engine="full", method="sample"),
    "directional": of_network(*WIDE, method="directional"),
    "Python": of_function(in_python, 20_000, engine="differences"), "program": of_function(in_python, 1_000_000),
    "stacked": of_function(stacked, 5_000, vectorized=True),
    "jitted": of_function(jitted, 200_000), "C": of_function(LowLevelCallable(in_c.ctypes), 200_000),
}
class Warm(Exception):
    pass

def working_on():
    # A thread whose start was interrupted stays listed though it never ran, and one that just began ends by itself.
    until = time.perf_counter() + 0.3
    while (found := [t for t in threading.enumerate() if t.name.startswith("fastcheck") and t.is_alive()]):
        if time.perf_counter() > until:
            return found
        time.sleep(0.01)
    return []

def warm(done, total):
    raise Warm

moments, stopped, late = np.random.default_rng(0), 0, []
for name, (check, arrays) in LONG.items():
    held = [array.tobytes() for array in arrays]
    with contextlib.suppress(Warm):
        check(progress=warm)  # what has to be compiled is: a compiler does not listen
    for _ in range(5):
        delay = moments.uniform(0.005, 0.15)
        started = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, delay)
        try:
            check()
        except KeyboardInterrupt:
            stopped += 1
            took = time.perf_counter() - started - delay
            if took > 0.3:
                late.append((name, took))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        assert not working_on()
    assert [array.tobytes() for array in arrays] == held, name
assert stopped >= 50, stopped
assert len(late) <= 2, late
assert [job.answer() for job in SMALL] == WANTED
"""


@needs_compiled("pieces of work take a hundred times as long")
def test_ctrl_c_is_heard_within_three_tenths_of_a_second_by_every_engine():
    """Fifty-five random moments of a timer's signals; on a busy machine a few may wait for the processor."""
    run(CTRL_C)


MEMORY = """
import resource, threading
import numpy as np
import fastcheck as fc
from tests.support.problems import data, network

net = network([1024, 1024, 1024, 10], "tanh", "softmax", "cross_entropy")
X, Y = data(net, 2)
parameters = net.initialize(0)
gradients = net.gradients(parameters, X, Y)
CHECKS = {engine: {"engine": engine, **({} if engine == "response" else {"method": "sample", "samples": 40})}
          for engine in ("response", "full")}

def answer(engine):
    return fc.check(net, parameters, gradients, X, Y, threads=2, memory_limit=1 << 26, **CHECKS[engine]).gradapprox

WANTED = {engine: answer(engine) for engine in CHECKS}
# OpenBLAS takes memory for each thread that multiplies beside others, and ends the process where there is none.
together = threading.Barrier(4)
def multiply():
    together.wait()
    for _ in range(20):
        np.ones((400, 400)) @ np.ones((400, 400))
threads = [threading.Thread(target=multiply) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
failed = whole = 0
_, hard = resource.getrlimit(resource.RLIMIT_AS)
for megabytes in (4, 16, 40, 80, 160, 400):
    for engine in CHECKS:
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (megabytes << 20), hard))
        try:
            found = answer(engine)
            whole += 1
        except MemoryError:
            failed += 1
            found = None
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        assert found is None or np.array_equal(found, WANTED[engine]), (engine, megabytes)
        assert np.array_equal(answer(engine), WANTED[engine]), (engine, megabytes)
assert failed >= 2, (failed, whole)
assert whole >= 2, (failed, whole)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
@needs_compiled("a network that needs memory would take hours")
def test_without_memory_the_answer_is_right_or_a_memory_error():
    # arrays go back to the system when they are freed, and have to be asked for anew: none is left over from before
    run(MEMORY, env={"MALLOC_MMAP_THRESHOLD_": str(1 << 16)})


# --- an interrupted watch ---------------------------------------------------------------------------------------


def test_units_that_an_interrupt_kept_from_being_checked_are_not_covered(monkeypatch):
    net = network([4, 5, 3], "tanh", "softmax", "cross_entropy")
    (X, Y), parameters = data(net, 8), net.initialize(0)
    gradients = net.gradients(parameters, X, Y)
    watch = fc.Watch(net, overhead=1e6)
    real = fastcheck.checks.watch.watch.engine

    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(fastcheck.checks.watch.watch, "engine", interrupted)

    def train(steps):
        for _ in range(steps):
            watch(parameters, gradients, X, Y)

    with pytest.raises(KeyboardInterrupt):
        train(100)
    assert watch.coverage == 0.0
    monkeypatch.setattr(fastcheck.checks.watch.watch, "engine", real)
    train(200)
    assert watch.coverage == 1.0
