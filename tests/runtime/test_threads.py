"""Work on several cores: results in order, errors and interrupts passed on, BLAS put back as it was."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import scipy.linalg  # noqa: F401 - its BLAS must be loaded before the first count
from threadpoolctl import threadpool_info, threadpool_limits

from fastcheck.runtime.threads import one_blas_thread, run_all


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.mark.parametrize("threads", [1, 3])
def test_results_in_order_and_counts(threads):
    counts = []
    assert run_all(lambda x: x * x, range(20), threads, counts.append) == [x * x for x in range(20)]
    assert counts[-1] == 20
    assert counts == sorted(counts)


@pytest.mark.parametrize("threads", [1, 3])
def test_errors_end_the_run_and_no_thread_stays(threads):
    done = []

    def task(x):
        if x == 3:
            raise ZeroDivisionError
        time.sleep(0.001)
        done.append(x)

    with pytest.raises(ZeroDivisionError):
        run_all(task, range(1000), threads)
    assert len(done) < 100
    assert not [t for t in threading.enumerate() if t.name.startswith("fastcheck")]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_callers_function_may_stop_it(threads):
    def stop(count):
        if count >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(lambda x: time.sleep(0.001), range(1000), threads, stop)
    assert not [t for t in threading.enumerate() if t.name.startswith("fastcheck")]


def test_blas_is_put_back_by_the_last_of_overlapping_users():
    before = blas_threads()
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(blas_threads()) == {1}
    second.__exit__(None, None, None)
    assert blas_threads() == before



def test_any_thread_can_hold_blas_at_one():
    """threadpoolctl 3.8 ignores all threads but the first that sets a limit."""

    def held():
        with one_blas_thread():
            return blas_threads()

    def in_a_thread():
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(held).result()

    before = blas_threads()
    with threadpool_limits(2, user_api="blas"):
        assert set(held()) == set(in_a_thread()) == {1}
        assert set(blas_threads()) == {2}
    assert blas_threads() == before
    assert set(in_a_thread()) == set(held()) == {1}
    assert blas_threads() == before
