"""Files of other languages: what is read, and what is refused before it can do harm."""

import io
import os
import random
import struct
import zipfile
import zlib

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_array

from fastcheck.problems.files.npz import load
from tests.support.files import refused

RNG = np.random.default_rng(0)
ARRAYS = {
    "W1": RNG.standard_normal((3, 2)),
    "b1": RNG.standard_normal((3, 1)),
    "dW1": RNG.standard_normal((3, 2)),
    "db1": RNG.standard_normal((3, 1)),
    "X": RNG.standard_normal((2, 5)),
    "Y": np.array([[0, 1, 2, 0, 1]]),
}


class Payload:
    """Unpickling it leaves a trace."""

    executed = False

    def __reduce__(self):
        return setattr, (Payload, "executed", True)


def npz(path, arrays=ARRAYS, compressed=False, **others):
    (np.savez_compressed if compressed else np.savez)(path, **{**arrays, **others})
    return path


def mat(path, arrays=ARRAYS, compressed=False, **others):
    savemat(path, {**arrays, **others}, do_compression=compressed)
    return path


WRITERS = [pytest.param(npz, ".npz", id="npz"), pytest.param(mat, ".mat", id="mat")]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("write", "suffix"), WRITERS)
def test_arrays_come_back(tmp_path, write, suffix, compressed):
    dump = load(write(tmp_path / f"net{suffix}", compressed=compressed))
    assert list(dump.parameters) == ["W1", "b1"]
    assert list(dump.gradients) == ["dW1", "db1"]
    for name, array in {**dump.parameters, **dump.gradients, "X": dump.X, "Y": dump.Y}.items():
        np.testing.assert_array_equal(array, ARRAYS[name], err_msg=name)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("write", "suffix"), WRITERS)
def test_every_kind_of_number(tmp_path, write, suffix, compressed, dtype):
    X = np.asfortranarray((RNG.random((2, 5)) * 200).astype(dtype))
    dump = load(write(tmp_path / f"net{suffix}", compressed=compressed, X=X))
    np.testing.assert_array_equal(dump.X, X)
    assert dump.X.dtype in (X.dtype, np.uint8)
    assert load(npz(tmp_path / "big.npz", X=X.astype(X.dtype.newbyteorder(">")))).X.tolist() == X.tolist()


@pytest.mark.parametrize(("write", "suffix"), WRITERS)
def test_other_names_are_left_alone(tmp_path, write, suffix):
    dump = load(write(tmp_path / f"net{suffix}", Z1=np.ones(3), alpha=0.1, note="made by hand"))
    assert list(dump.parameters) == ["W1", "b1"]


def test_flat_and_turned_arrays_of_matlab(tmp_path):
    # savemat makes rows of flat arrays, and many MATLAB programs keep labels in a column
    path = mat(tmp_path / "net.mat", b1=ARRAYS["b1"].ravel(), db1=ARRAYS["db1"].ravel(), Y=np.arange(5).reshape(5, 1))
    dump = load(path)
    np.testing.assert_array_equal(dump.parameters["b1"], ARRAYS["b1"])
    np.testing.assert_array_equal(dump.gradients["db1"], ARRAYS["db1"])
    np.testing.assert_array_equal(dump.Y, [[0, 1, 2, 3, 4]])


def test_targets_of_as_many_outputs_as_samples_are_not_turned(tmp_path):
    Y = RNG.standard_normal((5, 5))
    np.testing.assert_array_equal(load(mat(tmp_path / "net.mat", Y=Y)).Y, Y)


def element(kind, body):
    return struct.pack("<II", kind, len(body)) + body + bytes(-len(body) % 8)


def matlab_array(name, array, stored, order="<"):
    """A double array as MATLAB itself writes it: small integers stored in few bytes."""
    code = {"u1": 2, "i2": 3, "f4": 7, "f8": 9}[stored]
    body = element(6, struct.pack("<II", 6, 0)) + element(5, struct.pack("<ii", *array.shape))
    return element(14, body + element(1, name.encode()) + element(code, array.astype(stored).tobytes(order="F")))


@pytest.mark.parametrize("stored", ["u1", "i2", "f4", "f8"])
def test_double_arrays_stored_in_fewer_bytes(tmp_path, stored):
    arrays = {**ARRAYS, "X": np.arange(10.0).reshape(2, 5)}
    body = b"".join(matlab_array(name, np.float64(a), stored if name == "X" else "f8") for name, a in arrays.items())
    path = tmp_path / "net.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + body)
    found = load(path).X
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, arrays["X"])


@pytest.mark.parametrize("missing", list(ARRAYS))
@pytest.mark.parametrize(("write", "suffix"), WRITERS)
def test_missing_array_is_named(tmp_path, write, suffix, missing):
    arrays = {name: array for name, array in ARRAYS.items() if name != missing}
    refused(write(tmp_path / f"net{suffix}", arrays), f"lacks {missing}" if missing != "W1" else "lacks W1")


def test_gap_between_layers_is_named(tmp_path):
    refused(npz(tmp_path / "net.npz", W3=np.ones((1, 1)), b3=np.ones((1, 1))), "lacks W2, b2, dW2, db2, dW3, db3")


def test_absurd_layer_number_does_not_make_an_absurd_message(tmp_path):
    assert len(refused(npz(tmp_path / "net.npz", W999999999=np.ones((1, 1))))) < 500


def test_empty_archive(tmp_path):
    refused(npz(tmp_path / "net.npz", {}), "lacks W1, b1, dW1, db1, X, Y", "np.savez")


def test_small_letters_and_arrays_without_names_get_a_hint(tmp_path):
    small = {name.lower() if name in "XY" else name: array for name, array in ARRAYS.items()}
    refused(npz(tmp_path / "net.npz", small), "lacks X, Y (capital letters)")
    np.savez(tmp_path / "net.npz", *ARRAYS.values())
    refused(tmp_path / "net.npz", "none of the names", "np.savez('net.npz', **parameters, **gradients, X=X, Y=Y)")


def test_unknown_kind_of_file(tmp_path):
    path = tmp_path / "net.h5"
    path.write_bytes(b"")
    refused(path, "'.h5'", ".npz or .mat", "np.savez")


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "net.npz")


@pytest.mark.parametrize("name", ["W1", "extra"])
def test_pickled_arrays_are_refused_and_never_loaded(tmp_path, name):
    path = npz(tmp_path / "net.npz", **{name: np.array([Payload()], dtype=object)})
    refused(path, name, "pickled", "np.savez('net.npz', **parameters")
    assert not Payload.executed
    with np.load(path, allow_pickle=True) as archive:
        archive[name]
    assert Payload.executed, "the payload is live: refusing it meant something"
    Payload.executed = False


@pytest.mark.parametrize("value", [{"cell": 1}, "text", np.array([1 + 2j]), csc_array(np.eye(3)), np.array([[{}]])])
def test_what_is_not_an_array_of_real_numbers_in_mat(tmp_path, value):
    refused(mat(tmp_path / "net.mat", W1=value), "W1", "expected plain real numbers")


def test_newer_matlab_files(tmp_path):
    path = tmp_path / "net.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM" + bytes(400))
    refused(path, "7.3", "-v7")
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(400))
    refused(path, "-v7")


# --- harm -------------------------------------------------------------------------------------------------------


def test_archive_that_unpacks_to_too_much(tmp_path):
    path = npz(tmp_path / "net.npz", X=np.zeros((2, 500_000)), compressed=True)
    assert path.stat().st_size < 20_000
    refused(path, "more than the limit leaves", limit=1_000_000)
    assert load(path, limit=9_000_000).X.shape == (2, 500_000)


@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_file_that_unpacks_to_too_much(tmp_path, compressed):
    path = mat(tmp_path / "net.mat", X=np.zeros((2, 500_000)), compressed=compressed)
    refused(path, "more than the limit leaves", limit=1_000_000)


def with_member(path, name, header, data=b""):
    npz(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data)
    return path


@pytest.mark.parametrize("shape", [(10**6, 10**6), (2**62, 2**62), (-1, -8), (3, 3)])
def test_declared_shape_that_the_data_does_not_fill(tmp_path, shape):
    arrays = {name: array for name, array in ARRAYS.items() if name != "W1"}
    path = npz(tmp_path / "net.npz", arrays)
    header = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).encode() + b"\n"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("W1.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(64))
    refused(path, "W1", "64 bytes")


def test_declared_shape_in_matlab_files(tmp_path):
    body = bytearray(matlab_array("W1", np.ones((2, 2)), "f8"))
    at = body.index(struct.pack("<ii", 2, 2))
    body[at : at + 8] = struct.pack("<ii", 2**30, 2**20)
    path = tmp_path / "net.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + bytes(body))
    refused(path, "W1", "more than the limit")


def test_header_made_to_do_harm(tmp_path):
    path = npz(tmp_path / "net.npz")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b2.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 100_000_000) + b"(" * 100_000_000)
    refused(path, "damaged")


@pytest.mark.parametrize("name", ["../W1.npy", "/etc/W1.npy", "a/../../W1.npy", "..\\W1.npy", "C:\\W1.npy"])
def test_names_that_lead_out_of_the_archive(tmp_path, name):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}\n"
    refused(with_member(tmp_path / "net.npz", name, header, bytes(8)), "leads out of the archive")


def test_encrypted_archive(tmp_path):
    path = npz(tmp_path / "net.npz")
    raw = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + flags] |= 1
    path.write_bytes(raw)
    refused(path, "encrypted")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("write", "suffix"), WRITERS)
def test_cut_short_anywhere(tmp_path, write, suffix, compressed):
    raw = write(tmp_path / f"net{suffix}", compressed=compressed).read_bytes()
    path = tmp_path / f"cut{suffix}"
    lengths = range(0, len(raw) - 8, 5)
    for length in lengths:
        path.write_bytes(raw[:length])
        refused(path)
    assert len(lengths) > 90


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("write", "suffix"), WRITERS)
def test_damaged_anywhere(tmp_path, write, suffix, compressed):
    raw = write(tmp_path / f"net{suffix}", compressed=compressed).read_bytes()
    path = tmp_path / f"damaged{suffix}"
    rng, messages = random.Random(1), []
    for _ in range(400):
        damaged = bytearray(raw)
        for _ in range(rng.choice((1, 2, 5))):
            damaged[rng.randrange(len(raw))] = rng.choice((0, 1, 127, 255, rng.randrange(256)))
        path.write_bytes(damaged)
        try:
            load(path, limit=1 << 22)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert not any("\n" in message for message in messages)


def test_text_and_empty_files(tmp_path):
    for suffix in (".npz", ".mat"):
        path = tmp_path / f"net{suffix}"
        for content in (b"", b"W1,b1\n1,2\n" * 50, bytes(1000), zlib.compress(b"x" * 100)):
            path.write_bytes(content)
            refused(path)


def test_one_array_in_place_of_an_archive(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    path = tmp_path / "net.npz"
    path.write_bytes(buffer.getvalue())
    refused(path, "not a zip file")


@pytest.mark.parametrize("target", ["pipe", "/dev/zero", "/dev/null", "folder"])
@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_what_is_no_regular_file_is_refused_before_it_is_read(tmp_path, suffix, target):
    """A pipe would wait for a writer for ever, a device gives zeros for ever."""
    path = tmp_path / f"net{suffix}"
    if target == "pipe":
        os.mkfifo(path)
    elif target == "folder":
        path.mkdir()
    else:
        path.symlink_to(target)
    refused(path, "regular file", {"pipe": "a pipe", "folder": "a directory"}.get(target, "a device"))
