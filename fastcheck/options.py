"""Options that every check takes, validated in one place."""

import errno
import math
import numbers
import os
from pathlib import Path
from typing import Any

import numpy as np

DEFAULT_MEMORY = 1 << 30
NORMS = (1, 2, math.inf)
# Steps whose powers and products with costs are numbers.
SHORTEST, LONGEST = 1e-100, 1e100


def positive(name: str, value: Any) -> float:
    """A finite number above zero, else TypeError or ValueError."""
    number = real(name, value)
    if not (math.isfinite(number) and number > 0.0):
        raise ValueError(f"{name}: {value!r} found, wanted a finite number above 0")
    return number


def real(name: str, value: Any) -> float:
    """A real number, else TypeError."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Real, np.floating, np.integer)):
        raise TypeError(f"{name}: {type(value).__name__} {value!r} found, wanted a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name}: a number beyond double precision found, wanted a smaller one") from None


def epsilon_of(value: Any, name: str = "epsilon") -> float:
    """The perturbation epsilon: a number from SHORTEST to LONGEST, else TypeError or ValueError."""
    number = positive(name, value)
    if not SHORTEST <= number <= LONGEST:
        raise ValueError(f"{name}: {value!r} found, wanted one from {SHORTEST:g} to {LONGEST:g}")
    return number


def flag(name: str, value: Any) -> bool:
    """True or False, else TypeError: a word like "no" would count as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: {type(value).__name__} {value!r} found, wanted True or False")
    return bool(value)


def whole(name: str, value: Any, least: int) -> int:
    """An integer of at least ``least``, else TypeError or ValueError."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        found = " ".join(repr(value).split())  # an array, perhaps: X for its number of samples
        raise TypeError(f"{name}: {type(value).__name__} {found} found, wanted an integer")
    if value < least:
        raise ValueError(f"{name}: {value} found, wanted at least {least}")
    return int(value)


def norm_of(value: Any) -> float:
    """1, 2 or infinity."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"norm: {value!r} found, wanted 1, 2 or numpy.inf")
    number = real("norm", value)
    if number not in NORMS:
        raise ValueError(f"norm: {value!r} found, wanted 1, 2 or numpy.inf")
    return number


def tolerance_of(value: Any) -> float | None:
    """A number above 0, or None for the default."""
    return None if value is None else positive("tolerance", value)


def threads_of(value: Any) -> int:
    """Number of threads; None for as many as this process may run on."""
    if value is not None:
        return whole("threads", value, 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_of(value: Any) -> int:
    """Bytes beside the O(n) vectors; None for a quarter of the free memory, at most 1 GiB."""
    if value is not None:
        return whole("memory_limit", int(value) if isinstance(value, float) and value.is_integer() else value, 1 << 20)
    free = available_bytes()
    return DEFAULT_MEMORY if free is None else max(1 << 24, min(DEFAULT_MEMORY, free // 4))


def available_bytes() -> int | None:
    """Memory that can be had without swapping; None where the system does not say."""
    try:
        with open("/proc/meminfo", "rb", buffering=0) as file:
            found = file.read(512)  # it is the third of some fifty lines
        return int(found.split(b"MemAvailable:", 1)[1].split(maxsplit=1)[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def only_for(name: str, value: Any, wanted: str, method: str) -> None:
    """Refuse an option that another method is for."""
    if value is not None and method != wanted:
        raise ValueError(f'{name}: only for method="{wanted}", found method="{method}"')


def deadline(started: float, time_limit: Any) -> float:
    """When a check ends that began at ``started`` (of time.perf_counter) and may take so many seconds; None: never."""
    return math.inf if time_limit is None else started + positive("time_limit", time_limit)


def executor_of(value: Any) -> Any:
    """A concurrent.futures.Executor or its like, or None."""
    if value is not None and not hasattr(value, "submit"):
        raise TypeError(f"executor: {type(value).__name__} found, wanted a concurrent.futures.Executor")
    return value


def path_of(name: str, value: Any) -> Path | None:
    """A file in a folder that exists, or None."""
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name}: {type(value).__name__} {value!r} found, wanted the path of a file")
    path = Path(value)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"{name}: the folder of this file does not exist", str(path))
    return path
