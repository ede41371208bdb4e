"""Checkpoints: going on after a kill, and refusing files that are not of the same check."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.checks import network as network_check
from fastcheck.checks.network import network_problem
from fastcheck.engines import base
from fastcheck.engines.distributed import checkpoint, plan
from tests.support.problems import assert_same_numbers, machine_code
from tests.support.repository import ROOT

# Together they take long, whether or not each of them does.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("by_machine_code")]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(plan, "SECONDS", 1e-4)
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)


class Counting:
    """The engine, counting its calls; stops at the one numbered ``stop``."""

    def __init__(self, monkeypatch, stop=None, error=KeyboardInterrupt):
        self.calls, self.stop, self.error = 0, stop, error
        monkeypatch.setattr(network_check, "engine_named", lambda name: self)

    def __call__(self, *arguments):
        self.calls += 1
        if self.calls == self.stop:
            raise self.error
        return base.engine("response")(*arguments)


def assert_same(found, plain):
    assert_same_numbers(found, plain)
    notes = ([note for note in report.notes if "Compiling took" not in note] for report in (found, plain))
    assert next(notes) == next(notes)


def test_goes_on_where_it_stopped(given, tmp_path, monkeypatch):
    plain, path = fc.check(*given), tmp_path / "run.npz"
    pieces = Counting(monkeypatch)
    fc.check(*given, checkpoint=tmp_path / "other.npz")
    total = pieces.calls
    Counting(monkeypatch, stop=4)
    with pytest.raises(KeyboardInterrupt):
        fc.check(*given, checkpoint=path)
    rest = Counting(monkeypatch)
    assert_same(fc.check(*given, checkpoint=path), plain)
    assert total > 5
    assert rest.calls == total - 3
    again = Counting(monkeypatch)
    assert_same(fc.check(*given, checkpoint=str(path)), plain)
    assert again.calls == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.npz", "other.npz.data", "run.npz", "run.npz.data"]


@pytest.mark.parametrize("options", [{}, {"method": "sample"}, {"epsilon": 1e-2}])
def test_what_is_small_is_one_piece_with_the_same_digits(small, tmp_path, monkeypatch, options):
    monkeypatch.setattr(base, "ALWAYS_SHALLOW", 0.5)
    plain, path = fc.check(*small, **options), tmp_path / "run.npz"
    for _ in range(2):
        assert_same(fc.check(*small, **options, checkpoint=path), plain)
    assert path.exists()
    with machine_code(), pytest.raises(ValueError, match="belongs to other"):  # pieces of another kind
        fc.check(*small, **options, checkpoint=path)


def test_other_gradients_use_the_same_differences(given, tmp_path, monkeypatch):
    net, parameters, gradients, X, Y = given
    path = tmp_path / "run.npz"
    wrong = {**gradients, "dW2": 2.0 * gradients["dW2"]}
    assert fc.check(net, parameters, wrong, X, Y, checkpoint=path).verdict == "fail"
    again = Counting(monkeypatch)
    assert fc.check(net, parameters, gradients, X, Y, checkpoint=path).ok
    assert again.calls == 0


def changed(given, what):
    net, parameters, gradients, X, Y = given
    other = {
        "parameters": (net, {**parameters, "b1": parameters["b1"] + 1e-15}, gradients, X, Y),
        "X": (net, parameters, gradients, np.nextafter(X, 1.0), Y),
        "Y": (net, parameters, gradients, X, (Y + 1) % 3),
        "network": (fc.Network(net.layers, net.cost, 0.2), parameters, gradients, X, Y),
    }
    return other[what]


@pytest.mark.parametrize("what", ["parameters", "X", "Y", "network"])
def test_of_another_check_is_refused(given, tmp_path, what):
    path = tmp_path / "run.npz"
    fc.check(*given, checkpoint=path)
    kept = path.read_bytes()
    with pytest.raises(ValueError, match=r"checkpoint: .*run\.npz cannot be used: it belongs to other"):
        fc.check(*changed(given, what), checkpoint=path)
    assert path.read_bytes() == kept


@pytest.mark.parametrize("options", [{"epsilon": 1e-6}, {"method": "sample"}, {"time_limit": 9.0}])
def test_of_other_options_is_refused(given, tmp_path, options):
    fc.check(*given, checkpoint=tmp_path / "run.npz")
    with pytest.raises(ValueError, match="belongs to other"):
        fc.check(*given, checkpoint=tmp_path / "run.npz", **options)


@pytest.mark.parametrize("name", ["run.npz", "run.npz.data"])
@pytest.mark.parametrize("harm", ["cut", "emptied", "flipped", "removed", "other"])
def test_damaged_is_refused(given, tmp_path, name, harm):
    fc.check(*given, checkpoint=tmp_path / "run.npz")
    path = tmp_path / name
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 16
    harmed = {"cut": content[:-9], "emptied": b"", "flipped": bytes(flipped), "other": b"not a checkpoint"}
    if harm != "removed":
        path.write_bytes(harmed[harm])
    else:
        path.unlink()
    if (name, harm) == ("run.npz", "removed"):  # nothing to go on from, and the data are written over
        assert fc.check(*given, checkpoint=tmp_path / "run.npz").ok
        return
    with pytest.raises(ValueError, match=r"checkpoint: .*cannot be used"):
        fc.check(*given, checkpoint=tmp_path / "run.npz")


def test_flipping_any_byte_of_the_list_is_noticed(given, tmp_path):
    path = tmp_path / "run.npz"
    plain = fc.check(*given, checkpoint=path)
    content = path.read_bytes()
    for place in np.random.default_rng(0).choice(len(content), 40, replace=False):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(place) % 8
        path.write_bytes(bytes(flipped))
        try:
            found = fc.check(*given, checkpoint=path)
        except ValueError as error:
            assert "checkpoint" in str(error)  # noqa: PT017 - either outcome is right, and each is looked at
        else:
            assert_same(found, plain)  # a byte that means nothing


def test_what_stands_behind_the_last_whole_piece_is_written_over(given, tmp_path, monkeypatch):
    plain, path = fc.check(*given), tmp_path / "run.npz"
    Counting(monkeypatch, stop=3)
    with pytest.raises(KeyboardInterrupt):
        fc.check(*given, checkpoint=path)
    with (tmp_path / "run.npz.data").open("ab") as data:
        data.write(b"half a piece")
    Counting(monkeypatch)
    assert_same(fc.check(*given, checkpoint=path), plain)
    assert_same(fc.check(*given, checkpoint=path), plain)


class Full:
    """A disk that is full after so many visits."""

    def __init__(self, monkeypatch, visits):
        self.left, self.right = visits, os.fsync
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, descriptor):
        if self.left == 0:
            raise OSError(28, "No space left on device")
        self.left -= 1
        self.right(descriptor)


@pytest.mark.parametrize("visits", range(6))
def test_a_full_disk_is_an_error_and_loses_nothing_finished(given, tmp_path, monkeypatch, visits):
    plain, path = fc.check(*given), tmp_path / "run.npz"
    with monkeypatch.context() as patch:
        Full(patch, visits)
        with pytest.raises(OSError, match="No space left"):
            fc.check(*given, checkpoint=path)
    assert {p.name for p in tmp_path.iterdir()} <= {"run.npz", "run.npz.data"}
    rest = Counting(monkeypatch)
    assert_same(fc.check(*given, checkpoint=path), plain)
    assert rest.calls == len(plan.plan(network_problem(*given)[0], None, "response")) - visits // 2


def test_an_engine_error_keeps_what_is_finished(given, tmp_path, monkeypatch):
    Counting(monkeypatch, stop=4, error=MemoryError)
    with pytest.raises(MemoryError):
        fc.check(*given, checkpoint=tmp_path / "run.npz")
    rest = Counting(monkeypatch)
    fc.check(*given, checkpoint=tmp_path / "run.npz")
    whole = Counting(monkeypatch)
    fc.check(*given, checkpoint=tmp_path / "whole.npz")
    assert rest.calls == whole.calls - 3


def test_a_missing_folder_is_said_before_the_work(given, tmp_path):
    with pytest.raises(FileNotFoundError, match="checkpoint"):
        fc.check(*given, checkpoint=tmp_path / "none" / "run.npz")


LONG_RUN = """
import sys
import numpy as np
import fastcheck as fc
from fastcheck.engines.distributed import checkpoint, plan

plan.SECONDS, checkpoint.INTERVAL = 0.01, 0.0
net = fc.Network([fc.Dense(20, 30, "relu"), fc.Dense(30, 20, "relu"), fc.Dense(20, 5, "softmax")], "cross_entropy")
parameters, rng = net.initialize(0), np.random.default_rng(0)
X, Y = rng.standard_normal((20, 10)), rng.integers(0, 5, 10)
gradients = net.gradients(parameters, X, Y)
report = fc.check(net, parameters, gradients, X, Y, checkpoint=sys.argv[1], engine="reference", epsilon=1e-6)
print(report.gradapprox.tobytes().hex(), report.verdict)
"""


def run(path):
    return subprocess.Popen([sys.executable, "-c", LONG_RUN, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_killed_at_any_moment_it_goes_on(tmp_path):
    """kill -9, again and again, until it is done: each time it is as far or further, and at the end right."""
    whole, _ = run(tmp_path / "whole.npz").communicate(timeout=300)
    generator, path, kills, reached = np.random.default_rng(0), tmp_path / "run.npz", 0, 0
    while kills < 8:
        process = run(path)
        started = time.monotonic()
        while process.poll() is None and time.monotonic() < started + 60:
            if path.exists() and path.stat().st_size > reached:  # it has begun, and saved something new
                break
            time.sleep(0.005)
        time.sleep(float(generator.uniform(0.0, 0.1)))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
        assert path.stat().st_size >= reached
        reached = path.stat().st_size
    found, _ = (run(path) if kills == 8 else process).communicate(timeout=300)
    assert kills > 1
    assert found == whole
    left = {p.name for p in tmp_path.iterdir() if not p.name.endswith(".new")}
    assert left == {"run.npz", "run.npz.data", "whole.npz", "whole.npz.data"}
