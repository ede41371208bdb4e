"""``fastcheck run``: a function of the user's, whatever it returns, and what cannot be run."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.cli.command import main
from tests.support.repository import ROOT

CODE = '''
"""A model and its gradients."""
import numpy as np
import fastcheck as fc

x, y = np.random.default_rng(0).standard_normal((2, 5))


def cost(w):
    return float(np.mean((w * x - y) ** 2))


def right():
    w = np.ones(5)
    return cost, w, 2 * (w * x - y) * x / 5


def wrong():
    w = np.ones(5)
    return cost, w, 4 * (w * x - y) * x / 5


def with_arguments():
    w = np.ones(5)
    return lambda w, x: float(np.sum(w * x)), w, x, (x,)


def report():
    print("computing")
    return fc.check_function(*right())


def network():
    net = fc.Network([fc.Dense(2, 3, "tanh"), fc.Dense(3, 1, "sigmoid")], cost="binary_cross_entropy")
    parameters, X, Y = net.initialize(0), np.eye(2), np.array([0, 1])
    return net, parameters, net.gradients(parameters, X, Y), X, Y


class Model:
    @staticmethod
    def check():
        return right()


values = right()


def asserting():
    fc.testing.assert_function(*wrong())


def needing(data):
    return wrong()


def nothing():
    return None


def raises():
    return np.ones(3) @ np.ones(4)


async def later():
    return right()


def in_turn():
    yield right()


def leaves():
    raise SystemExit(0)
'''


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(CODE)
    yield path
    sys.modules.pop("model", None)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.parametrize(("name", "status"), [
    ("right", 0), ("wrong", 1), ("with_arguments", 0), ("report", 0), ("network", 0), ("Model.check", 0), ("values", 0),
])  # fmt: skip
def test_what_a_function_returns_is_checked(model, capsys, name, status):
    assert main(["run", f"{model}:{name}"]) == status
    assert ("FAIL" in capsys.readouterr().out) == (status == 1)


def test_a_check_that_asserts_is_the_report_that_it_fails_with(model, capsys):
    """It was told in one line of nine hundred letters, as input that cannot be used."""
    assert main(["run", f"{model}:asserting"]) == 1
    found = capsys.readouterr()
    assert "dtheta is 2.000 times the numerical gradient" in found.out
    assert found.err == ""


def test_a_module_by_name(model, capsys, monkeypatch):
    monkeypatch.chdir(model.parent)
    assert main(["run", "model:wrong"]) == 1
    assert "dtheta is 2.000 times the numerical gradient" in capsys.readouterr().out


def test_json_stands_alone_on_the_standard_output(model, capsys):
    assert main(["run", f"{model}:report", "--json", "-"]) == 0
    found = capsys.readouterr()
    assert json.loads(found.out)["verdict"] == "pass"
    assert "computing" in found.err
    assert json.loads(found.out)["facts"]["command"] == f"fastcheck run {model}:report --json -"


def test_html_is_one_page_that_needs_no_other_file(model, tmp_path, capsys):
    page = tmp_path / "report.html"
    assert main(["run", f"{model}:wrong", "--html", str(page)]) == 1
    written = page.read_text(encoding="utf-8")
    assert written.startswith("<!DOCTYPE html>")
    assert "a factor 2 too many" in written
    assert f"fastcheck run {model}:wrong" in written
    assert "http" not in written


@pytest.mark.parametrize(("target", "words"), [
    ("model.py", "target: expected FILE_OR_MODULE:NAME"),
    (":right", "target: expected FILE_OR_MODULE:NAME"),
    ("{}:", "target: expected FILE_OR_MODULE:NAME"),
    ("{}:missing", "there are cost, right, wrong"),
    ("{}:nothing", "expected a Report; or (cost, parameters, gradients)"),
    ("{}:nothing", "got None; is a return statement missing?"),
    ("{}:needing", "missing 1 required positional argument: 'data'; it is called without arguments"),
    ("{}:raises", "raised ValueError"),
    ("{}:x", "got ndarray"),
    ("{}:later", "got a coroutine; write the function with def, not async def"),
    ("{}:in_turn", "got a generator; write return in place of yield"),
    ("{}:leaves", "it called exit"),
    ("{}", "expected FILE_OR_MODULE:NAME"),
    ("no/such/file.py:f", "No such file"),
    ("no_such_module:f", "No module named"),
])  # fmt: skip
def test_what_cannot_be_run_is_told_in_one_line(model, capsys, target, words):
    assert main(["run", target.format(model)]) == 2
    found = capsys.readouterr()
    assert words in found.err
    assert found.err.count("\n") == 1
    assert found.out == ""


def test_the_line_that_raised_is_named(model, capsys):
    assert main(["run", f"{model}:raises"]) == 2
    line = CODE.split("\n").index("    return np.ones(3) @ np.ones(4)") + 1
    assert f"{model}, line {line}" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_pipes_and_devices_are_refused(tmp_path, capsys, kind):
    for name, command in (("pipe.py", "run"), ("pipe.npz", "check"), ("pipe.mat", "sweep")):
        path = tmp_path / name
        if kind == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
        assert main([command, f"{path}:f" if command == "run" else str(path)]) == 2
        assert "expected a regular file" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "sweep"])
def test_pictures_that_cannot_be_drawn_are_refused_before_the_work(command, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("fastcheck.cli.command.load", pytest.fail)
    assert main([command, "net.npz", "--plot", str(tmp_path / "out.xyz")]) == 2
    assert "--plot: expected a name that ends in one of .png" in capsys.readouterr().err


def test_another_process_runs_it_from_its_folder(model):
    ended = subprocess.run([sys.executable, "-m", "fastcheck", "run", "model:wrong"], cwd=model.parent, text=True,
                           capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=100)
    assert ended.returncode == 1, ended.stderr
    assert "a factor 2 too many" in ended.stdout


def dump(path, net, wrong=1.0):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((net.widths[0], 7))
    Y = rng.integers(net.widths[-1], size=7)
    parameters = net.initialize(0)
    gradients = {name: wrong * value for name, value in net.gradients(parameters, X, Y).items()}
    np.savez(path, **parameters, **gradients, X=X, Y=Y)
    return str(path)


def test_an_activation_for_each_layer(tmp_path, capsys):
    net = fc.Network([fc.Dense(3, 4, "tanh"), fc.Dense(4, 5, "relu"), fc.Dense(5, 3, "softmax")], "cross_entropy")
    path = dump(tmp_path / "net.npz", net)
    assert main(["check", path, "--hidden", "tanh,relu", "--output", "softmax", "--cost", "cross_entropy"]) == 0
    found = capsys.readouterr()
    assert found.out.startswith("Network(3-4-5-3: tanh, relu, softmax; cross_entropy)\n")
    assert "INFERRED" not in found.out
    assert main(["check", path]) == 1
    found = capsys.readouterr()
    assert "INFERRED, NOT TOLD: --hidden relu, --output softmax, --cost cross_entropy." in " ".join(found.out.split())
    assert "agree with tanh in layer 1 instead" in " ".join(found.out.split())
    assert main(["check", path, "--hidden", "tanh,relu,relu"]) == 2
    assert "hidden: expected one activation, or one for each of the 2 hidden layers" in capsys.readouterr().err


def test_what_was_inferred_is_in_the_json(tmp_path, capsys):
    net = fc.Network([fc.Dense(3, 4, "relu"), fc.Dense(4, 3, "softmax")], "cross_entropy")
    assert main(["check", dump(tmp_path / "net.npz", net), "--output", "softmax", "--json", "-"]) == 0
    facts = json.loads(capsys.readouterr().out)["facts"]
    assert facts["inferred"] == {"hidden": "relu", "cost": "cross_entropy"}
    assert facts["network"] == "Network(3-4-3: relu, softmax; cross_entropy)"


@pytest.mark.parametrize(("wrong", "status", "words"), [
    (1.0, 0, "The gradient is right"), (2.0, 1, "Flat in epsilon, at 0.33 (engine response): the gradient is wrong."),
])  # fmt: skip
def test_a_sweep_exits_as_it_concludes(tmp_path, capsys, wrong, status, words):
    net = fc.Network([fc.Dense(3, 4, "relu"), fc.Dense(4, 3, "softmax")], "cross_entropy")
    path = dump(tmp_path / "net.npz", net, wrong)
    page = tmp_path / "page.html"
    assert main(["sweep", path, "--engines", "response"]) == status
    assert words in " ".join(capsys.readouterr().out.split())
    assert main(["check", path, "--html", str(page)]) == status
    assert words in page.read_text()
    assert "<svg" in page.read_text()


def test_a_program_that_exits_has_no_verdict(tmp_path, capsys):
    """Its status 0 was taken for a pass by whoever asked."""
    path = tmp_path / "script.py"
    path.write_text("import sys\n\n\ndef check():\n    pass\n\n\nsys.exit(0)\n")
    assert main(["run", f"{path}:check"]) == 2
    assert "it called exit, with status 0; return what is to be checked instead" in capsys.readouterr().err


def test_a_file_that_is_not_python_is_told_by_its_line(tmp_path, capsys):
    path = tmp_path / "model.py"
    path.write_text("x = 1\ndef check(:\n")
    assert main(["run", f"{path}:check"]) == 2
    said = capsys.readouterr().err
    assert "line 2" in said
    assert "frozen" not in said


@pytest.mark.parametrize(("name", "words"), [
    ("nowhere", "No such file"),
    ("nowhere.csv", "No such file"),
    ("model.py", "a Python file is checked by `fastcheck run model.py:NAME`"),
    ("net.npz", "got a directory; pass a file of it"),
])
def test_what_is_no_file_of_arrays(tmp_path, capsys, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(CODE)
    (tmp_path / "net.npz").mkdir()
    assert main(["check", name]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "sweep"])
def test_pictures_without_matplotlib_are_refused_before_the_work(command, capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr("fastcheck.cli.command.load", pytest.fail)
    assert main([command, "net.npz", "--plot", str(tmp_path / "out.png")]) == 2
    assert 'plots need matplotlib: pip install "fastcheck[plot]"' in capsys.readouterr().err


@pytest.mark.parametrize(("name", "framework"), [("torch", "PyTorch"), ("jax", "JAX")])
def test_a_door_without_its_framework_says_how_to_get_it(name, framework):
    code = (f"import sys; sys.modules[{name!r}] = None\n"
            f"try:\n    import fastcheck.{name}\nexcept ImportError as error:\n    print(error)")
    ended = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True, timeout=100,
                           env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert ended.stdout == f'fastcheck.{name} needs {framework}: pip install "fastcheck[{name}]"\n'
