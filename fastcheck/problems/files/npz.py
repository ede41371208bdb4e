"""Networks dumped to a file by any language: .npz and .mat, read without trusting them.

A file holds W1, b1, W2, b2, ..., their gradients dW1, db1, ..., the inputs X and the targets Y.  Nothing in it is ever
unpickled or written to disk, and what it declares is held against a limit before memory is given to it.
"""

import io
import math
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..._validation import regular_file
from ..networks.names import GRADIENT, PATTERN, kind_and_number, layer_of, name_of
from . import matlab
from .matlab import Refused, hold_against

Arrays = dict[str, NDArray[Any]]

# Bytes that a file may unpack to.
LIMIT = 4 << 30
# A compressed file may unpack to this many bytes in any case, ...
SMALL = 96 << 20
# ... and to this many times its own size.
RATIO = 50
# How people who have NumPy write such a file.
SAVING = "np.savez('net.npz', **parameters, **gradients, X=X, Y=Y) writes such a file"
NAME = re.compile(f"{GRADIENT}?{PATTERN}|X|Y")
# A .npy header is shorter than this unless it is made to do harm.
HEADER = 1 << 16
# Bytes of a zip archive's directory, which is read whole: thousands of members.
DIRECTORY = 1 << 20
# What numpy.savez writes; other ways of packing may ask for any amount of memory.
PACKING = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Characters of a reason: names and shapes in a file can be of any length.
LONGEST = 300
# What NumPy, zipfile, zlib and struct raise for files that are damaged or of another kind.
DAMAGE = (ValueError, TypeError, LookupError, ArithmeticError, EOFError, RuntimeError, MemoryError, OSError,
          SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error, struct.error)


@dataclass(frozen=True)
class Dump:
    """What a file holds: parameters and gradients by name ("W1", "dW1"), X (n_x, m) and Y as the file has it.

    ``unchecked`` are the names of gradients of what is neither a weight nor a bias, such as dgamma1 beside gamma1.
    """

    parameters: Arrays
    gradients: Arrays
    X: NDArray[Any]
    Y: NDArray[Any]
    unchecked: tuple[str, ...] = ()


class _Names:
    """The names that are read, by their pattern; keeps those that are passed over."""

    def __init__(self) -> None:
        self.passed: set[str] = set()

    def fullmatch(self, name: str) -> "re.Match[str] | None":
        """Return whether an array of that name is read."""
        found = NAME.fullmatch(name)
        if found is None:
            self.passed.add(name)
        return found


def load(path: str | Path, limit: int = LIMIT) -> Dump:
    """Read a network's parameters, gradients and data from a file.

    Parameters
    ----------
    path : a .npz (numpy.savez) or .mat (MATLAB's save with -v6 or -v7) file with W1, b1, ..., dW1, db1, ..., X and Y.
    limit : bytes that the file may unpack to; of a compressed file no more than 50 times its size, but 96 MiB anyway.

    Returns
    -------
    Dump; other arrays of the file are left alone.

    Raises
    ------
    OSError : if the file cannot be opened.
    ValueError : for damaged, oversized and other kinds of files, pickled arrays, and arrays that are missing.  The
        message is one line and begins with the path.
    """
    path, names = Path(path), _Names()
    readers = {".npz": _read_npz, ".mat": _read_mat}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        regular_file(path)  # what is not there is of no kind
        program = path.suffix.lower() == ".py"
        remedy = f"a Python file is checked by `fastcheck run {path}:NAME`" if program else SAVING
        raise ValueError(f"{path}: expected {' or '.join(readers)}, got an unknown kind of file, {path.suffix!r}; "
                         f"{remedy}")
    with regular_file(path).open("rb") as stream:
        try:
            size = path.stat().st_size
            hold_against(limit, size, "the file")
            arrays = reader(stream, min(limit, max(SMALL, RATIO * size)), names)
        except Refused as error:
            raise ValueError(f"{path}: {_shortened(error)}") from None
        except DAMAGE as error:
            reason = _shortened(error) or type(error).__name__
            raise ValueError(
                f"{path}: expected a {path.suffix} file, got one that is damaged or of another kind ({reason})"
            ) from None
    unchecked = tuple(sorted(GRADIENT + name for name in names.passed if GRADIENT + name in names.passed))
    return replace(_sorted_out(str(path), arrays), unchecked=unchecked)


def _shortened(error: BaseException) -> str:
    """Return the message in one line."""
    reason = " ".join(str(error).split())
    return reason if len(reason) <= LONGEST else f"{reason[:LONGEST]} ..."


def _sorted_out(path: str, arrays: Mapping[str, NDArray[Any]]) -> Dump:
    parameters = {name: array for name, array in arrays.items() if kind_and_number(name)}
    gradients = {name: array for name, array in arrays.items() if name.startswith(GRADIENT)}
    depth = max((layer_of(name) for name in parameters), default=1)
    names = [name_of(kind, layer) for layer in range(1, min(depth, len(arrays) + 1) + 1) for kind in "Wb"]
    missing = [name for name in (*names, *(GRADIENT + name for name in names), "X", "Y") if name not in arrays]
    if missing:
        found = ", ".join(sorted(arrays)) or "none of the names it looks for"
        capitals = " (capital letters)" if {"X", "Y"} & set(missing) else ""
        raise ValueError(f"{path}: expected W1, b1, ..., dW1, db1, ..., X and Y, got {found}; "
                         f"it lacks {', '.join(missing)}{capitals}{'' if parameters else f'; {SAVING}'}")
    return Dump(parameters, gradients, arrays["X"], arrays["Y"])


# --- .npz: a zip archive of .npy members ------------------------------------------------------------------------


def _read_npz(stream: BinaryIO, limit: int, names: _Names) -> Arrays:
    arrays = {}
    reader = _Directory(stream)
    with zipfile.ZipFile(reader) as archive:
        reader.most = limit
        members = archive.infolist()
        hold_against(limit, sum(member.file_size for member in members), "unpacking it")
        for member in members:
            name = PurePosixPath(member.filename.replace("\\", "/"))
            if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
                raise Refused(f"a member leads out of the archive: {member.filename!r}")
            if member.compress_type not in PACKING:
                raise Refused("a member is packed in an unusual way; save with numpy.savez or numpy.savez_compressed: "
                              f"{member.filename!r}")
            if name.suffix == ".npy":
                with archive.open(member) as packed:
                    array = _read_npy(packed, member.file_size, str(name.with_suffix("")), names)
                if array is not None:
                    arrays[name.stem] = array
    return arrays


class _Directory:
    """A stream of which no more than ``most`` bytes are read at once: zipfile reads a directory whole, however large.

    Each of its members takes twenty times the memory it has in the file.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.most = stream, DIRECTORY
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, size: int = -1) -> bytes:
        """Read at most ``size`` bytes."""
        hold_against(self.most, size, "its directory")
        return self.stream.read(size)


def _read_npy(stream: Any, size: int, name: str, names: _Names) -> NDArray[Any] | None:
    """One member; None where its name is not one of ours.  The header is always read: pickles are refused anywhere."""
    head = io.BytesIO(stream.read(HEADER))
    read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(npy.read_magic(head))
    if read_header is None:
        raise Refused(f"{name}: version of the .npy format not known")
    shape, fortran, dtype = read_header(head)
    if dtype.hasobject:
        raise Refused(f"{name}: a pickled array, which could run code when loaded; {SAVING}")
    if not names.fullmatch(name):
        return None
    wanted = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or wanted != size - head.tell():
        raise Refused(f"{name}: shape {shape} of {dtype} declared, but {size - head.tell():,} bytes of data")
    data = head.read() + stream.read()
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


# --- .mat: MATLAB's format --------------------------------------------------------------------------------------


def _read_mat(stream: BinaryIO, limit: int, names: _Names) -> Arrays:
    return _columns(matlab.read(stream.read(), names, limit))


def _columns(arrays: Arrays) -> Arrays:
    """MATLAB has no flat arrays: a bias saved as a row, and targets saved as a column, are turned to fit."""
    samples = arrays["X"].shape[-1] if "X" in arrays else 0
    for name, array in arrays.items():
        bias_row = name.lstrip("d")[0] == "b" and array.shape[0] == 1
        target_column = name == "Y" and array.shape == (samples, 1)
        if bias_row or target_column:
            arrays[name] = array.T
    return arrays
