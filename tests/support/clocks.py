"""Processor time of one call, without what other parts of the process cause."""

import gc
import time
from collections.abc import Callable


def seconds_of(call: Callable[[], object]) -> float:
    """Return the processor seconds that this thread spends on one call while no garbage is collected.

    A collection looks through all objects of the process: with thousands of tests that takes a third of a second,
    whichever call it happens to fall into.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        started = time.thread_time()
        call()
        return time.thread_time() - started
    finally:
        if collects:
            gc.enable()
