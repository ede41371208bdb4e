"""Networks in .npz and .mat files, damaged at random or built to do harm."""

import io
import pickle
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy.io import savemat

INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
TRAVERSALS = ("../W1.npy", "/etc/W1.npy", "a/../../W1.npy", "..\\W1.npy", "C:\\W1.npy", "//host/W1.npy",
              "W1.npy/../b1.npy", "./../W1.npy", "~/W1.npy", "W1\x00.npy", "\u202eW1.npy", ".npy", "/", "W1.npy" * 900)
DTYPES = ("|O", "<f16", "<c16", "<U4", "|S0", "|V0", "|V2147483647", "<U2000000000", "<M8[s]", "|b1", ">f4", "f8,f8",
          "nonsense", "<f8\n", [("a", "<f8")], [("a", "|O")], [("a", "<f8", (10**9, 10**9))],
          [("a", [("b", [("c", "|O")])])])
SHAPES = ((10**6, 10**6), (2**62, 2**62), (-1, -8), (0, 10**18), (2**31, 0), (), (3,), (1,) * 70, (True, 6), (3.0, 2),
          (10**30,), (3, 2, 1), "(3, 2)", None, [3, 2])


class Payload:
    """Loading its pickle calls a function that the audit hook sees."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("true",)


@cache
def network() -> dict[str, np.ndarray]:
    """A small network with right gradients."""
    import fastcheck as fc

    net = fc.Network([fc.Dense(3, 4, "relu"), fc.Dense(4, 2, "softmax")], cost="cross_entropy")
    rng = np.random.default_rng(0)
    X, Y, parameters = rng.standard_normal((3, 5)), rng.integers(0, 2, 5).astype(float), net.initialize(0)
    return {**parameters, **net.gradients(parameters, X, Y), "X": X, "Y": Y}


@cache
def sound(kind: str, compressed: bool) -> bytes:
    """The network in a file, as it should be."""
    stream = io.BytesIO()
    if kind == ".npz":
        (np.savez_compressed if compressed else np.savez)(stream, **network())
    else:
        savemat(stream, network(), do_compression=compressed)
    return stream.getvalue()


# --- damage at random -------------------------------------------------------------------------------------------


def truncated(rng: random.Random, raw: bytes) -> bytes:
    return raw[: rng.randrange(len(raw))]


def flipped(rng: random.Random, raw: bytes) -> bytes:
    damaged = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        damaged[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def overwritten(rng: random.Random, raw: bytes) -> bytes:
    """Numbers at the edge of their range, where sizes, kinds and places stand."""
    damaged = bytearray(raw)
    for _ in range(rng.choice((1, 2, 4))):
        form = rng.choice(("B", "<H", ">H", "<I", ">I", "<Q"))
        at = rng.randrange(len(raw) - 8)
        struct.pack_into(form, damaged, at, rng.choice(INTERESTING) & ((1 << 8 * struct.calcsize(form)) - 1))
    return bytes(damaged)


def rearranged(rng: random.Random, raw: bytes) -> bytes:
    """Pieces doubled, removed, exchanged."""
    a, b = sorted(rng.randrange(len(raw)) for _ in range(2))
    return rng.choice((raw[:a] + raw[b:], raw[:b] + raw[a:], raw[:a] + raw[a:b] * 3 + raw[b:], raw[b:] + raw[:b],
                       raw[:a] + rng.randbytes(b - a) + raw[b:], raw[:a] + bytes(b - a) + raw[b:], raw + raw,
                       raw[:a] + rng.randbytes(rng.randrange(1, 99)) + raw[a:]))


def noise(rng: random.Random, raw: bytes) -> bytes:
    keep = rng.choice((0, 2, 4, 20, 128, 132))
    return raw[:keep] + rng.randbytes(rng.choice((0, 1, 30, 1000, 20_000)))


# --- archives built to do harm ----------------------------------------------------------------------------------


def npy(header: Any, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    text = header if isinstance(header, bytes) else (repr(header) + "\n").encode()
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(text) & (0xFFFF if version == b"\1\0" else 0xFFFFFFFF))
    return b"\x93NUMPY" + version + size + text + data


def archive(replaced: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, level: int | None = None) -> bytes:
    """The network's archive with some members replaced and others added."""
    members = {}
    for name, array in network().items():
        stream = io.BytesIO()
        np.save(stream, array)
        members[f"{name}.npy"] = stream.getvalue()
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method, compresslevel=level) as packed:
        warnings.simplefilter("ignore")  # names that come twice
        for name, content in {**members, **replaced}.items():
            packed.writestr(zipfile.ZipInfo(name) if "\0" in name else name, content)
    return stream.getvalue()


def header_of(rng: random.Random) -> Any:
    header: Any = {"descr": "<f8", "fortran_order": False, "shape": (4, 3)}
    change = rng.randrange(7)
    if change == 0:
        header["descr"] = rng.choice(DTYPES)
    elif change == 1:
        header["shape"] = rng.choice(SHAPES)
    elif change == 2:
        header["fortran_order"] = rng.choice((1, None, "yes", [True]))
    elif change == 3:
        del header[rng.choice(list(header))]
    elif change == 4:
        header["more"] = 1
    elif change == 5:
        opening, closing = rng.choice(("()", "[]", "{}", "- ", "' ", "9 ", "+1"))
        depth = rng.choice((50, 900, 5000, 60_000))
        return (opening * depth + closing * depth).encode()
    else:
        return rng.choice((b"", b"\0" * 100, b"__import__('os').system('true')", b"{'descr': __import__('os')}",
                           rng.randbytes(200), b"\xff" * 60_000))
    return header


def bad_header(rng: random.Random, raw: bytes) -> bytes:
    version = rng.choice((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\0\0", b"\xff\xff"))
    name = rng.choice(("W1", "X", "Y", "dW2", "other"))
    return archive({f"{name}.npy": npy(header_of(rng), bytes(rng.choice((0, 8, 96))), version)})


def gigantic_header(rng: random.Random, raw: bytes) -> bytes:
    size = rng.choice((10**5, 10**6, 2 * 10**7))
    return archive({"W1.npy": npy(rng.choice((b"(", b" ", b"{'descr': '", b"\0")) * size, b"", b"\2\0")}, level=1)


def pickled(rng: random.Random, raw: bytes) -> bytes:
    content = pickle.dumps(Payload(), rng.randrange(pickle.HIGHEST_PROTOCOL + 1))
    header = {"descr": rng.choice(("|O", "O", [("a", "|O")])), "fortran_order": False, "shape": (1,)}
    choice = rng.randrange(3)
    if choice == 0:
        return content
    if choice == 1:
        return archive({"W1.npy": content})
    return archive({f"{rng.choice(('W1', 'Y', 'other'))}.npy": npy(header, content)})


def traversing(rng: random.Random, raw: bytes) -> bytes:
    header = {"descr": "<f8", "fortran_order": False, "shape": (4, 3)}
    return archive({rng.choice(TRAVERSALS): npy(header, bytes(96))})


def bomb(rng: random.Random, raw: bytes) -> bytes:
    """Much in little: megabytes of zeros where an array, or something nobody asks for, should be."""
    size = rng.choice((10**6, 10**7, 1 << 26, 1 << 27))
    wide = {"descr": rng.choice(("|u1", "|b1", "|S1")), "fortran_order": False, "shape": (size // 5, 5)}
    name = rng.choice(("X.npy", "W1.npy", "other.npy", "other.txt"))
    return archive({name: npy(wide, bytes(size // 5 * 5))}, level=1)


def wrong_sizes(rng: random.Random, raw: bytes) -> bytes:
    """Sizes, methods and flags in the directory that the members do not have."""
    damaged = bytearray(archive({}, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))))
    at = damaged.index(b"PK\1\2") if rng.random() < 0.7 else damaged.index(b"PK\3\4")
    place = rng.choice((8, 10, 20, 24, 28, 30, 32, 42))
    form = "<I" if place in (20, 24, 42) else "<H"
    value = rng.choice((*INTERESTING, 9, 12, 14, 93, 95, 98, 1, 8))
    struct.pack_into(form, damaged, at + place, value & ((1 << 8 * struct.calcsize(form)) - 1))
    return bytes(damaged)


def other_packing(rng: random.Random, raw: bytes) -> bytes:
    packed = bytearray(archive({}, rng.choice((zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2))))
    at = packed.index(b"PK\3\4") + 30 + len("W1.npy")
    packed[at : at + 9] = rng.choice((bytes(packed[at : at + 9]), b"\x09\x04\x05\x00\x5d\xff\xff\xff\xff"))
    return bytes(packed)


def many_members(rng: random.Random, raw: bytes) -> bytes:
    count = rng.choice((3000, 30_000))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        info = zipfile.ZipInfo("a.txt")
        packed.writestr(info, b"")
        packed.filelist = [info] * count
        packed._didModify = True
    return stream.getvalue()


def twice(rng: random.Random, raw: bytes) -> bytes:
    """An archive in an archive, and members that overlap."""
    if rng.random() < 0.5:
        return archive({"W1.npy": archive({}), "more.npz": raw})
    damaged = bytearray(archive({}, zipfile.ZIP_STORED))
    places = [at for at in range(len(damaged) - 4) if damaged[at : at + 4] == b"PK\1\2"]
    for at in places:
        struct.pack_into("<I", damaged, at + 42, 0)
    return bytes(damaged)


# --- MATLAB files built to do harm ------------------------------------------------------------------------------


def element(kind: int, body: bytes, size: int | None = None) -> bytes:
    return struct.pack("<II", kind, len(body) if size is None else size) + body + bytes(-len(body) % 8)


def packed(body: bytes) -> bytes:
    """A compressed element: the only kind without bytes to fill it up."""
    content = zlib.compress(body, 1)
    return struct.pack("<II", 15, len(content)) + content


def matlab(*elements: bytes) -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(elements)


def matrix(rng: random.Random, name: str = "W1") -> bytes:
    """An array with one thing wrong in it."""
    flags, dims, stored, data = [6, 0], [4, 3], 9, bytes(96)
    change = rng.randrange(7)
    if change == 0:
        flags[0] = rng.choice((0, 1, 2, 3, 5, 8, 16, 17, 255, 0x0806, 0x0206, 0xFFFFFFFF))
    elif change == 1:
        dims = rng.choice(([], [12], [-4, -3], [0, 2**31 - 1], [2**31 - 1] * 2, [2**31 - 1] * 40, [1] * 40,
                           [2**30] * 200_000))
    elif change == 2:
        stored = rng.choice((0, 1, 2, 8, 10, 11, 14, 15, 18, 0xFFFF))
    elif change == 3:
        data = bytes(rng.choice((0, 1, 95, 97, 10**6)))
    elif change == 4:
        data, stored = bytes(1 << 24), 2
    elif change == 5:
        name = rng.choice(("", "W1\0", "\xff" * 9, "W" * 10**6))
    body = element(6, struct.pack("<II", *flags)) + element(5, struct.pack(f"<{len(dims)}i", *dims))
    body += element(1, name.encode("latin-1")) + element(stored, data)
    return element(14, body if change != 6 else body[: rng.randrange(len(body))])


def bad_matrix(rng: random.Random, raw: bytes) -> bytes:
    one = matrix(rng)
    kept = sound(".mat", False)[128:] if rng.random() < 0.5 else b""
    return matlab(kept, packed(one) if rng.random() < 0.5 else one)


def bad_elements(rng: random.Random, raw: bytes) -> bytes:
    """Nothing but elements: empty, nested, many, or unpacking to many."""
    return rng.choice((
        lambda: matlab(element(14, bytes(1 << 22))),
        lambda: matlab(bytes(1 << 22)),
        lambda: matlab(struct.pack("<II", 14, 0) * (1 << 19)),
        lambda: matlab(packed(element(14, bytes(1 << 26)))),
        lambda: matlab(packed(element(14, bytes(1 << 27)))),
        lambda: matlab(*[packed(element(14, bytes(1 << 23)))] * 40),
        lambda: matlab(packed(packed(matrix(rng)))),
        lambda: matlab(element(15, b"")),
        lambda: matlab(element(rng.randrange(2**16), rng.randbytes(64))),
        lambda: matlab(element(14, bytes(64), 2**32 - 1)),
    ))()


ANYWHERE: tuple[Callable[[random.Random, bytes], bytes], ...] = (truncated, flipped, overwritten, rearranged, noise)
BUILT: dict[str, tuple[Callable[[random.Random, bytes], bytes], ...]] = {
    ".npz": (bad_header, gigantic_header, pickled, traversing, bomb, wrong_sizes, other_packing, many_members, twice),
    ".mat": (bad_matrix, bad_matrix, bad_elements),
}


def hostile(seed: int) -> tuple[str, str, bytes]:
    """What was done to it, the kind, and the file of a seed."""
    rng = random.Random(seed)
    kind, raw = rng.choice((".npz", ".mat")), b""
    raw = sound(kind, rng.random() < 0.5)
    damage = rng.choice(BUILT[kind] if rng.random() < 0.35 else ANYWHERE)
    made = damage(rng, raw)
    if rng.random() < 0.1:
        made = rng.choice(ANYWHERE[:4])(rng, made) if len(made) > 16 else made
    return damage.__name__, kind, made
