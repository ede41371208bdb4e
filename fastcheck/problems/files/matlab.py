"""MATLAB's version 5 files (save with -v6 or -v7; SciPy's savemat): named arrays of real numbers.

Written out here because SciPy's reader can crash the process on a damaged file and has no limit on what a compressed
one unpacks to.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

HEADER = 128
# More arrays, and more dimensions of one, than any file has that is not made to take time and memory.
MOST_ARRAYS, MOST_DIMENSIONS = 10_000, 32
MATRIX, COMPRESSED = 14, 15
COMPLEX = 0x0800
# Kinds of stored numbers, and classes of arrays: MATLAB stores a double array of small integers as bytes.
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
NUMBERS = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
OTHERS = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function", 17: "object"}


class Wanted(Protocol):
    """Tells which names are read, as a pattern does."""

    def fullmatch(self, string: str, /) -> object:
        """Return something true for a name that is read."""
        ...


class Refused(ValueError):
    """The file is understood, and not accepted."""


def hold_against(limit: int, size: int, what: str) -> None:
    """Raise Refused if ``what`` would take more bytes than the limit."""
    if size > limit:
        raise Refused(f"{what} would take {size:,} bytes, more than the limit leaves ({limit:,})")


def read(data: bytes, names: Wanted, limit: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file.

    Parameters
    ----------
    data : the file.
    names : what the names of the wanted arrays match in full; others are passed over.
    limit : bytes that the file may unpack to.

    Returns
    -------
    {name: array}, two-dimensional or more as MATLAB's arrays are.

    Raises
    ------
    Refused : for other versions, arrays that do not hold real numbers, and files beyond the limit.
    ValueError, struct.error, zlib.error : for damaged files.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[HEADER - 2 : HEADER])
    if order is None or b"\0" in data[:4]:
        raise Refused("not a MATLAB file of version 5 to 7.2; save it with save(..., '-v7')")
    if b"7.3" in data[:20]:
        raise Refused("MATLAB's version 7.3 cannot be read; save it with save(..., '-v7')")
    arrays = {}
    for count, (kind, body) in enumerate(_elements(memoryview(data)[HEADER:], order)):
        if count >= MOST_ARRAYS:
            raise Refused(f"more than {MOST_ARRAYS:,} arrays")
        if kind == COMPRESSED:
            unpacked = _unpacked(body, limit)
            limit -= len(unpacked)
            kind, body = next(_elements(unpacked, order))
        if kind == MATRIX:
            entry = _array(body, order, names, limit)
            if entry:
                arrays[entry[0]] = entry[1]
                limit -= entry[1].nbytes
    return arrays


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Kind and bytes of one element after the other."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        start, step = at + 8, 8 + size
        if kind >> 16:  # an element of up to four bytes packed into its own tag
            kind, size, start, step = kind & 0xFFFF, kind >> 16, at + 4, 8
        if start + size > len(data):
            raise ValueError("truncated")
        yield kind, data[start : start + size]
        at += step if kind == COMPRESSED else -(-step // 8) * 8


def _unpacked(packed: memoryview, limit: int) -> memoryview:
    inflate = zlib.decompressobj()
    data = inflate.decompress(packed, max(limit, 0) + 1)
    hold_against(limit, len(data), "unpacking it")
    if not inflate.eof:
        raise ValueError("truncated")
    return memoryview(data)


def _array(body: memoryview, order: str, names: Wanted, limit: int) -> tuple[str, NDArray[Any]] | None:
    """Name and value of one array; None where the name is not wanted."""
    parts = list(islice(_elements(body, order), 4))
    if len(parts) < 3:
        return None
    (_, flags), (_, dimensions), (_, label), *values = parts
    name = bytes(label).decode("latin-1")
    if not names.fullmatch(name):
        return None
    (word,) = struct.unpack_from(order + "I", flags)
    code = word & 0xFF
    if code not in NUMBERS or word & COMPLEX:
        what = "complex" if code in NUMBERS else OTHERS.get(code, "unknown")
        raise Refused(f"{name}: expected plain real numbers, got a {what} array")
    if not 8 <= len(dimensions) <= 4 * MOST_DIMENSIONS or not values or values[0][0] not in STORED:
        raise ValueError(f"{name}: damaged header")
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
    if min(shape) < 0:
        raise ValueError(f"{name}: damaged header")
    hold_against(limit, math.prod(shape) * np.dtype(NUMBERS[code]).itemsize, name)
    stored = np.frombuffer(values[0][1], order + STORED[values[0][0]])
    if stored.size != math.prod(shape):
        raise ValueError(f"{name}: expected {math.prod(shape):,} numbers for shape {shape}, got {stored.size:,}")
    with np.errstate(invalid="ignore"):  # a damaged file may hold nan in an array of integers
        return name, stored.astype(NUMBERS[code]).reshape(shape, order="F")
