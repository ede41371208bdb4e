"""Launching a user's parallel Numba functions without harm: one at a time, with no more threads than were asked for.

The workqueue threading layer aborts the process when two Python threads launch a parallel kernel at once.  fastcheck's
own kernels are serial and run on Python threads: that is faster (by a tenth to a quarter), and survives a fork.
"""

import os
import threading
from collections.abc import Callable
from typing import TypeVar

import numba

Result = TypeVar("Result")

_lock = threading.Lock()


def _renew_lock() -> None:
    """A forked child must not inherit a lock that a thread of its parent held."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def launch(kernel: Callable[[], Result], count: int) -> Result:
    """Call what launches a parallel kernel, alone in this process, with at most ``count`` threads; Numba's number of
    threads is put back, whatever comes of it.
    """
    with _lock:
        before = numba.get_num_threads()
        try:
            numba.set_num_threads(max(1, min(count, int(getattr(numba.config, "NUMBA_NUM_THREADS", 1)))))
            result = kernel()
            numba.set_num_threads(before)
        except BaseException:
            numba.set_num_threads(before)
            raise
    return result
