"""What callers pass, options and arrays, validated in one place; each message names the argument."""

import errno
import math
import numbers
import os
import stat
import time
import types
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NORMS = (1, 2, math.inf)
# What a path may lead to instead of a file.
KINDS_OF_FILES = (
    (stat.S_ISDIR, "a directory"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)  # fmt: skip
# Shortest and longest step whose powers and products with costs are still numbers.
SHORTEST, LONGEST = 1e-100, 1e100

# What to do with complex numbers: derivatives are by real ones.
TWO_PARTS = "pass their real and imaginary parts as two arrays, which functions put together again (re + 1j * im)"
REAL_ALONE = "their imaginary parts are zero, so pass their real part alone"


def positive(name: str, value: Any) -> float:
    """A finite number above zero, else TypeError or ValueError."""
    number = real_number(name, value)
    if not (math.isfinite(number) and number > 0.0):
        raise ValueError(f"{name}: expected a finite number above 0, got {value!r}")
    return number


def real_number(name: str, value: Any) -> float:
    """A real number, else TypeError."""
    if type(value) is float:  # nearly always, and much quicker to ask
        return value
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Real, np.floating, np.integer)):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__} {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name}: expected a number within double precision, got a larger one") from None


def epsilon_of(value: Any, name: str = "epsilon") -> float:
    """The perturbation epsilon: a number from SHORTEST to LONGEST, else TypeError or ValueError."""
    number = positive(name, value)
    if not SHORTEST <= number <= LONGEST:
        raise ValueError(f"{name}: expected a number from {SHORTEST:g} to {LONGEST:g}, got {value!r}")
    return number


def boolean(name: str, value: Any) -> bool:
    """True or False, else TypeError: a word like "no" would count as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {type(value).__name__} {value!r}")
    return bool(value)


def integer(name: str, value: Any, least: int) -> int:
    """An integer of at least ``least``, else TypeError or ValueError."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        if np.ndim(value):  # X for its number of samples
            raise TypeError(f"{name}: expected an integer, got {type(value).__name__} of shape {np.shape(value)}; pass "
                            "one number")
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__} {value!r}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")
    return int(value)


def norm_of(value: Any) -> float:
    """1, 2 or infinity."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"norm: expected 1, 2 or numpy.inf, got {value!r}")
    number = real_number("norm", value)
    if number not in NORMS:
        raise ValueError(f"norm: expected 1, 2 or numpy.inf, got {value!r}")
    return number


def tolerance_of(value: Any) -> float | None:
    """A number above 0, or None for the default."""
    return None if value is None else positive("tolerance", value)


def only_for(name: str, value: Any, wanted: str, method: str) -> None:
    """Refuse an option that another method is for."""
    if value is not None and method != wanted:
        raise ValueError(f'{name}: expected with method="{wanted}" only, got method="{method}"')


# A check whose time is over before it begins still has to say something.
LEAST_SECONDS = 1e-6


def deadline(started: float, time_limit: Any) -> float:
    """When a check that started at ``started`` (of time.perf_counter) has to end; never (infinity) without a limit."""
    return math.inf if time_limit is None else started + positive("time_limit", time_limit)


def time_left(started: float, time_limit: Any) -> float | None:
    """What is left of a time limit for a check within one that started at ``started``; None without a limit."""
    return None if time_limit is None else max(deadline(started, time_limit) - time.perf_counter(), LEAST_SECONDS)


def executor_of(value: Any) -> Any:
    """A concurrent.futures.Executor, or something else with ``submit``, or None."""
    if value is not None and not hasattr(value, "submit"):
        raise TypeError(f"executor: expected a concurrent.futures.Executor, got {type(value).__name__}")
    return value


def path_of(name: str, value: Any) -> Path | None:
    """A file in a folder that exists, or None."""
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name}: expected the path of a file, got {type(value).__name__} {value!r}")
    path = Path(value)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"{name}: expected a file in a folder that exists", str(path))
    return path


def regular_file(path: Path) -> Path:
    """A path that exists and can be read to its end; ValueError for pipes, devices and folders.

    Raises
    ------
    ValueError : before anything is read: a pipe would wait for a writer, and a device may never end.
    OSError : where there is nothing of that name.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = next((word for is_kind, word in KINDS_OF_FILES if is_kind(mode)), "something else")
        remedy = "pass a file of it" if stat.S_ISDIR(mode) else "copy its contents to a file first"
        raise ValueError(f"{path}: expected a regular file, got {kind}; {remedy}")
    return path


def known(kind: str, name: object, names: Collection[str], synonyms: Mapping[str, str] | None = None) -> str:
    """The one of the names that is meant, else TypeError or ValueError with those there are.

    Parameters
    ----------
    kind : what it is a name of, for messages.
    name : what the caller wrote.
    names : those there are.
    synonyms : other words for some of them, in small letters and digits alone; with them "ReLU" and "leaky-relu" are
        understood too.  None where only the names themselves are.
    """
    if not isinstance(name, str):
        own = getattr(name, "__name__", None) if callable(name) else None  # numpy.tanh, say
        remedy = f" {own}; pass its name, {own!r}" if own in names else ""
        raise TypeError(f"{kind}: expected one of {', '.join(names)}, got {type(name).__name__}{remedy}")
    if name in names:
        return name
    if synonyms is not None:
        plain = {_plain(one): one for one in names}
        understood = plain.get(_plain(name), synonyms.get(_plain(name)))
        if understood in names:
            return str(understood)
    raise ValueError(f"{kind}: expected one of {', '.join(names)}, got {name!r}{meant(name, names)}")


def meant(name: str, names: Collection[str]) -> str:
    """ "; did you mean 'relu'?" for what is near one of the names, whatever its upper case; else ""."""
    near = nearest(name, names)
    return f"; did you mean {near!r}?" if near else ""


def nearest(name: str, names: Collection[str]) -> str:
    """The one of some names that is near a name, whatever its upper case; "" where none is."""
    from difflib import get_close_matches  # only where it is needed: brings other modules along

    plain = {_plain(one): one for one in names}
    near = get_close_matches(name, names, 1) or [plain[one] for one in get_close_matches(_plain(name), plain, 1)]
    return near[0] if near else ""


def only_options(function: str, options: Collection[str], names: Collection[str]) -> None:
    """Refuse an option that a function does not have, as Python does, but by the name of what was called."""
    for name in options:
        if name not in names:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{meant(name, names)}")


def kind_of(value: Any) -> str:
    """What an object is in messages: "list", or "the class Network; pass an instance of it"."""
    return f"the class {value.__name__}; pass an instance of it" if isinstance(value, type) else type(value).__name__


def _plain(name: str) -> str:
    """Small letters and digits alone."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def no_result(value: Any) -> str:
    """What a function returned that has no result, with what to do, or "" for what may be one.

    A coroutine is closed: nobody will await it.
    """
    if value is None:
        return "None; is a return statement missing?"
    if isinstance(value, types.CoroutineType):
        value.close()
        return "a coroutine; write the function with def, not async def"
    if isinstance(value, (types.GeneratorType, types.AsyncGeneratorType)):
        return "a generator; write return in place of yield"
    return ""


def without(framework: str, name: str, error: ImportError) -> ImportError:
    """The error for a door whose framework cannot be found: how to get it, or else what is wrong with it."""
    if (error.name or "").partition(".")[0] != name:
        return error
    return ImportError(f'fastcheck.{name} needs {framework}: pip install "fastcheck[{name}]"', name=name)


def package_of(value: Any) -> str:
    """The package that an object's class comes from."""
    return type(value).__module__.partition(".")[0]


def as_numpy(name: str, value: Any) -> Any:
    """An array of another package as NumPy can read it: off its device, without its gradient.

    Parameters
    ----------
    name : how messages call it.

    Raises
    ------
    TypeError : for sparse arrays, and for precisions that NumPy does not have, with what to call.
    """
    package = package_of(value)
    if hasattr(value, "toarray") and not hasattr(value, "__array__"):
        raise TypeError(f"{name}: expected a dense array, got {type(value).__name__}; pass its toarray()")
    if package == "torch" and hasattr(value, "detach"):
        if str(value.layout) != "torch.strided":
            raise TypeError(f"{name}: expected a dense array, got a {value.layout} tensor; pass its to_dense()")
        try:
            return value.detach().cpu().resolve_conj().resolve_neg().numpy()
        except TypeError:
            raise TypeError(f"{name}: expected a dtype that NumPy has, got a tensor of {value.dtype}; pass its "
                            "float(), or check it with fastcheck.torch") from None
    if package == "cupy":
        return value.get()
    return value


def real_array(name: str, value: Any) -> NDArray[Any]:
    """``value`` as a plain array of real numbers, without a copy where it already is one.

    Parameters
    ----------
    name : how the message calls it.

    Raises
    ------
    TypeError : for masked, complex, object, string and other arrays that do not hold real numbers, and for what is no
        array at all.
    ValueError : for nested sequences of unequal lengths.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected a plain array, got a masked one; fill it first (array.filled(...))")
    try:
        array = np.asarray(value if type(value) is np.ndarray else as_numpy(name, value))
    except ValueError as error:
        raise ValueError(f"{name}: expected an array, got a sequence that cannot be made one: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real numbers (float64), got {_no_numbers(value, array)}")
    return array


def _no_numbers(value: Any, array: NDArray[Any]) -> str:
    """What a value is instead of real numbers, and what to do where that is plain."""
    if array.dtype.kind == "c":
        return f"dtype {array.dtype}; {TWO_PARTS if array.imag.any() else REAL_ALONE}"
    if array.dtype.kind == "O" and any(isinstance(item, (complex, np.complexfloating)) for item in array.flat):
        return f"dtype object that holds complex numbers; {TWO_PARTS}"
    if value is None or isinstance(value, (str, bytes)):
        return repr(value)
    if array.dtype.kind in "US" or (array.dtype.kind == "O" and any(isinstance(item, str) for item in array.flat)):
        return f"dtype {array.dtype}, words; pass numbers (those of classes are np.unique(..., return_inverse=True)[1])"
    if array.dtype.kind == "O" and isinstance(value, np.ndarray):
        return "dtype object; where it holds numbers alone, pass its astype(float)"
    if isinstance(value, Iterator):
        return f"a {type(value).__name__}; pass a list of what it yields"
    if array.dtype.kind == "O" and array.ndim == 0:
        return "a function" if callable(value) else f"a {type(value).__name__}"
    return f"dtype {array.dtype}"
