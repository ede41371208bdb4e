"""Work on several cores: results in order, errors and interrupts passed on, BLAS put back as it was."""

import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import scipy.linalg  # noqa: F401 - its BLAS must be loaded before the first count
from threadpoolctl import threadpool_info, threadpool_limits

from fastcheck.runtime.threads import helpers_at_hand, one_blas_thread, run_all


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


def helpers():
    return [t for t in threading.enumerate() if t.name.startswith("fastcheck")]


def meeting(threads):
    """Work that takes as many threads: each waits for the others."""
    barrier = threading.Barrier(threads, timeout=10.0)
    return run_all(lambda _: (barrier.wait(), threading.get_ident())[1], range(threads), threads)


def test_helpers_at_hand_are_the_same_threads_until_the_end():
    with helpers_at_hand():
        assert not helpers()
        first = set(meeting(3))
        assert len(first) == 3
        with helpers_at_hand():
            assert set(meeting(3)) == first
        assert set(meeting(3)) == first
        assert len(set(meeting(4)) - first) == 1
        assert len(helpers()) == 3
    assert not helpers()


def test_helpers_at_hand_go_on_after_errors_and_interrupts():
    def fail(_):
        raise ZeroDivisionError

    def stop(_):
        raise KeyboardInterrupt

    with helpers_at_hand():
        first = set(meeting(3))
        for _ in range(20):
            with pytest.raises(ZeroDivisionError):
                run_all(fail, range(9), 3)
            with pytest.raises(KeyboardInterrupt):
                run_all(lambda x: time.sleep(0.001), range(9), 3, stop)
        assert set(meeting(3)) == first
    assert not helpers()


def test_each_thread_has_helpers_of_its_own():
    def check(_):
        with helpers_at_hand():
            return [set(meeting(2)) for _ in range(20)]

    with ThreadPoolExecutor(3) as pool:
        for first, *others in pool.map(check, range(6)):
            assert all(other == first for other in others)
    assert not helpers()


def test_work_within_work_does_not_wait_for_itself():
    with helpers_at_hand():
        found = run_all(lambda x: sum(run_all(lambda y: x * y, range(5), 3)), range(7), 3)
    assert found == [10 * x for x in range(7)]


def test_helpers_keep_nothing_of_what_they_did():
    class Large:
        pass

    with helpers_at_hand():
        large = Large()
        gone = weakref.ref(large)
        run_all(lambda x, kept=large: time.sleep(0.001), range(8), 3)
        meeting(3)
        del large
        assert gone() is None


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
