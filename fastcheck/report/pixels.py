"""Maps of relative errors as small images, without any other package."""

import base64
import math
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from .._types import Array
from .plots import HIGHEST, LOWEST

# Colours from dark to light, as evenly seen as viridis, which they are taken from.
COLOURS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
UNCHECKED = (200, 200, 200)


def coloured(errors: Array) -> NDArray[np.uint8]:
    """Return a map of relative errors (rows, columns) as (rows, columns, 3) bytes; what was not checked is grey."""
    low, high = math.log10(LOWEST), math.log10(HIGHEST)
    with np.errstate(invalid="ignore"):
        place = (np.log10(np.clip(errors, LOWEST, HIGHEST)) - low) / (high - low) * (len(COLOURS) - 1)
    known = np.isfinite(place)
    place = np.where(known, place, 0.0)
    stops = np.arange(len(COLOURS))
    bytes_ = np.stack([np.interp(place, stops, [c[k] for c in COLOURS]) for k in range(3)], axis=-1)
    bytes_[~known] = UNCHECKED
    return np.asarray(np.round(bytes_), dtype=np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Bytes (rows, columns, 3) as a PNG file (RFC 2083: a header, one block of rows that are not filtered, an end)."""
    rows, columns, _ = pixels.shape
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), pixels.reshape(rows, -1)], axis=1)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)),
             (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    blocks = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
              for kind, data in parts]
    return b"".join([b"\x89PNG\r\n\x1a\n", *blocks])


def as_address(pixels: NDArray[np.uint8]) -> str:
    """Return the image as an address that holds it, for a page that needs no other file."""
    return f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"
