"""What callers pass, options and arrays, validated in one place; each message names the argument."""

import errno
import math
import numbers
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NORMS = (1, 2, math.inf)
# Steps whose powers and products with costs are numbers.
SHORTEST, LONGEST = 1e-100, 1e100


def positive(name: str, value: Any) -> float:
    """A finite number above zero, else TypeError or ValueError."""
    number = real_number(name, value)
    if not (math.isfinite(number) and number > 0.0):
        raise ValueError(f"{name}: {value!r} found, wanted a finite number above 0")
    return number


def real_number(name: str, value: Any) -> float:
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


def boolean(name: str, value: Any) -> bool:
    """True or False, else TypeError: a word like "no" would count as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: {type(value).__name__} {value!r} found, wanted True or False")
    return bool(value)


def integer(name: str, value: Any, least: int) -> int:
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
    number = real_number("norm", value)
    if number not in NORMS:
        raise ValueError(f"norm: {value!r} found, wanted 1, 2 or numpy.inf")
    return number


def tolerance_of(value: Any) -> float | None:
    """A number above 0, or None for the default."""
    return None if value is None else positive("tolerance", value)


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


def known(kind: str, name: object, table: Mapping[str, Any]) -> str:
    """Return ``name`` if the table has it, else raise with the names it has."""
    if not isinstance(name, str):
        raise TypeError(f"{kind}: expected a name (str), got {type(name).__name__}; known: {', '.join(table)}")
    if name not in table:
        raise ValueError(f"{kind} {name!r} is not known; known: {', '.join(table)}")
    return name


def real_array(name: str, value: Any) -> NDArray[Any]:
    """``value`` as a plain array of real numbers, without a copy where it already is one.

    Parameters
    ----------
    name : how the message calls it.

    Raises
    ------
    TypeError : for masked, complex, object, string and other arrays that do not hold real numbers.
    ValueError : for nested sequences of unequal lengths.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: masked arrays are not supported; fill it first (array.filled(...))")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: cannot be made an array: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: dtype {array.dtype} found, wanted real numbers (float64)")
    return array
