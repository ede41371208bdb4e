"""The machine: how many threads and how much memory a check may use."""

import os
from typing import Any

import numpy as np

from .._validation import integer

DEFAULT_MEMORY = 1 << 30
# Unused memory of which a quarter is more than that, whatever the system keeps to itself.
PLENTY = 5 * DEFAULT_MEMORY
# Bytes of the largest block, with its header, that makes glibc keep freed memory (DEFAULT_MMAP_THRESHOLD_MAX).
KEPT_BLOCK = (1 << 25) - (1 << 13)


def threads_of(value: Any) -> int:
    """Return the number of threads; None for the number of cores that this process may run on."""
    if value is not None:
        return integer("threads", value, 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_of(value: Any) -> int:
    """Return the bytes on top of the O(n) vectors; None for a quarter of the free memory, at most 1 GiB."""
    if value is not None:
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        return integer("memory_limit", whole, 1 << 20)
    if (_unused_bytes() or 0) >= PLENTY:  # quick to ask, and mostly enough
        return DEFAULT_MEMORY
    free = available_bytes()
    return DEFAULT_MEMORY if free is None else max(1 << 24, min(DEFAULT_MEMORY, free // 4))


def available_bytes() -> int | None:
    """Memory that can be had without swapping; None where the system does not say."""
    try:
        with open("/proc/meminfo", "rb", buffering=0) as file:
            found = file.read(512)  # it is the third of some fifty lines
        return int(found.split(b"MemAvailable:", 1)[1].split(maxsplit=1)[0]) * 1024
    except (OSError, ValueError, IndexError):
        return _unused_bytes()


def _unused_bytes() -> int | None:
    """Memory that nothing is in, not even files that could be read again; None where the system does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def keep_freed_memory() -> None:
    """Have the C library keep what large arrays leave behind, up to 64 MiB, for the arrays that follow.

    Otherwise glibc maps fresh pages for every array of some size, and the system clears them one by one: a fifth of the
    time of a check of 784-512-256-10 relu.  It takes the size of the largest block that was freed, up to 32 MiB, for
    what a program uses again and again (``mallopt(3)``, M_MMAP_THRESHOLD), so such a block is allocated, never touched,
    and freed.  Other C libraries take no notice.
    """
    np.empty(KEPT_BLOCK, np.uint8)
