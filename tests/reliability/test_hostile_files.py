"""Files made to break the reader: hundreds here, ten thousand with ``python -m tests.reliability.hostile_files``."""

import json
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

from fastcheck.cli.command import main
from fastcheck.problems.files import npz
from tests.reliability.harmful_bytes import archive, element, hostile, matlab, npy, packed, sound
from tests.support.files import refused


@pytest.mark.slow
def test_hundreds_of_hostile_files():
    # a process of its own: it limits its memory, and may be killed
    command = [sys.executable, "-m", "tests.reliability.hostile_files", "--files", "200"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode in (0, 1), ended.stderr[-500:]
    found = json.loads(ended.stdout)
    assert not found["problems"]
    assert found["files"] == 200
    assert found["statuses"]["2"] > 150
    assert len(found["kinds"]) > 12


def test_the_same_seed_makes_the_same_file():
    assert hostile(7) == hostile(7)
    assert len({hostile(seed)[2] for seed in range(40)}) > 35


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_unusual_packing(tmp_path, method):
    path = tmp_path / "net.npz"
    path.write_bytes(archive({}, method))
    refused(path, "packed in an unusual way", "numpy.savez")


def test_a_directory_of_a_hundred_thousand_members(tmp_path):
    path = tmp_path / "net.npz"
    with zipfile.ZipFile(path, "w") as made:
        info = zipfile.ZipInfo("a.txt")
        made.writestr(info, b"")
        made.filelist = [info] * 100_000
    refused(path, "its directory would take")


@pytest.fixture
def little(monkeypatch):
    """A smaller idea of what is small."""
    monkeypatch.setattr(npz, "SMALL", 1 << 20)


def test_much_in_little(tmp_path, little):
    path = tmp_path / "net.npz"
    size = npz.SMALL + 1
    path.write_bytes(archive({"X.npy": npy({"descr": "|u1", "fortran_order": False, "shape": (1, size)}, bytes(size))}))
    refused(path, "unpacking it would take")
    path = tmp_path / "net.mat"
    path.write_bytes(matlab(packed(element(14, bytes(size)))))
    refused(path, "unpacking it would take")


def test_one_bomb_after_the_other(tmp_path, little):
    path = tmp_path / "net.mat"
    path.write_bytes(matlab(*[packed(element(14, bytes(1 << 17)))] * 20))
    refused(path, "unpacking it would take")


@pytest.mark.parametrize("body", [bytes(1 << 20), b"\x0e\0\0\0\0\0\0\0" * (1 << 17)], ids=["zeros", "empty arrays"])
def test_nothing_but_elements(tmp_path, body):
    path = tmp_path / "net.mat"
    path.write_bytes(matlab(body))
    refused(path, "more than 10,000 arrays")
    path.write_bytes(matlab(element(14, body)))
    refused(path, "lacks W1")


def one_matrix(dims, stored, data):
    flags = element(6, b"\6\0\0\0\0\0\0\0")
    return matlab(element(14, flags + element(5, np.array(dims, "<i4").tobytes()) + element(1, b"W1")
                          + element(stored, data)))


@pytest.mark.parametrize("dims", [[], [3], [2**31 - 1] * 40, [-1, 3], [1] * 50_000])
def test_dimensions_of_no_array(tmp_path, dims):
    path = tmp_path / "net.mat"
    path.write_bytes(one_matrix(dims, 9, bytes(96)))
    refused(path, "W1", "damaged")


def test_more_numbers_than_the_shape_holds_are_never_copied(tmp_path):
    path = tmp_path / "net.mat"
    path.write_bytes(one_matrix([2, 2], 2, bytes(1000)))
    refused(path, "W1", "expected 4 numbers", "(2, 2)", "got 1,000")


@pytest.mark.parametrize("name", ["W" + "9" * 5000, "W\u0661", "W0", "W01", "dX"])
def test_names_that_are_nearly_right(tmp_path, name):
    path = tmp_path / "net.npz"
    path.write_bytes(sound(".npz", False))
    with zipfile.ZipFile(path, "a") as added:
        added.writestr(f"{name}.npy", npy({"descr": "<f8", "fortran_order": False, "shape": (1,)}, bytes(8)))
    assert set(npz.load(path).parameters) == {"W1", "b1", "W2", "b2"}


@pytest.mark.parametrize("seed", [2834, 3917, 8815, 9765])
def test_files_that_once_broke_it(tmp_path, capsys, seed):
    """Noise and parameters near the largest number, headers that are no Python."""
    _, kind, made = hostile(seed)
    path = tmp_path / f"net{kind}"
    path.write_bytes(made)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        status = main(["check", str(path)])
    assert status in (0, 1, 2, 3)
    assert capsys.readouterr().err.count("\n") == (status == 2)


def test_long_reasons_are_cut(tmp_path):
    path = tmp_path / "net.npz"
    path.write_bytes(archive({"W1.npy": npy({"descr": "<f8", "fortran_order": False, "shape": (10**8,) * 500})}))
    assert len(refused(path, "W1", "...")) < 500
    path.write_bytes(archive({"../" * 9999 + "W1.npy": b""}))
    assert len(refused(path, "leads out of the archive")) < 500
