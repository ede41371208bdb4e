"""The command line: what it prints, what it exits with, and that it never shows a traceback."""

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy.io import savemat

import fastcheck as fc
from fastcheck._errors import EngineError
from fastcheck.cli import demo
from fastcheck.cli.command import main
from fastcheck.problems.files import infer
from fastcheck.problems.files.npz import Dump
from tests.support.course_exercise import exercise, gradients_with

NORMS = {"1": 1.0, "2": 2.0, "inf": np.inf}


def dump(path, *mistakes, suffix=".npz", **others):
    """The course exercise in a file."""
    X, Y, parameters = exercise()
    gradients = {name: array for name, array in gradients_with(*mistakes).items() if name[:2] in ("dW", "db")}
    arrays = {**parameters, **gradients, "X": X, "Y": Y, **others}
    path = path / f"net{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    else:
        savemat(path, arrays)
    return str(path)


def network_dump(path, net, m=6, wrong=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((net.widths[0], m))
    outputs = net.widths[-1]
    Y = rng.integers(0, outputs, m) if net.cost == "cross_entropy" else rng.random((outputs, m))
    parameters = net.initialize(seed)
    gradients = net.gradients(parameters, X, Y)
    if wrong:
        gradients[wrong] = gradients[wrong] * 1.5
    np.savez(path / "net.npz", **parameters, **gradients, X=X, Y=Y)
    return str(path / "net.npz")


def unusable(capsys, *argv):
    """The one line on stderr with which a command ends."""
    try:
        status = main(argv)
    except SystemExit as end:
        status = end.code
    found = capsys.readouterr()
    assert status == 2
    assert found.out == ""
    assert found.err.count("\n") == 1
    assert "Traceback" not in found.err
    return found.err


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_wrong_gradients_are_named(tmp_path, capsys, suffix):
    assert main(["check", dump(tmp_path, "dW2", "db1", suffix=suffix)]) == 1
    printed = capsys.readouterr().out
    assert "Network(4-5-3-1: relu, relu, sigmoid; binary_cross_entropy) (inferred: hidden, output, cost)" in printed
    assert "FAIL" in printed
    assert "dW2" in printed
    assert "db1" in printed


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_right_gradients_pass(tmp_path, capsys, suffix):
    assert main(["check", dump(tmp_path, suffix=suffix)]) == 0
    assert "PASS" in capsys.readouterr().out


def test_what_rounding_may_explain_is_inconclusive(tmp_path, capsys):
    # the textbook's engine cannot tell the mended exercise from a wrong one at this epsilon
    assert main(["check", dump(tmp_path), "--engine", "reference"]) == 3
    assert "INCONCLUSIVE" in capsys.readouterr().out


def test_integer_images_and_labels_from_matlab(tmp_path, capsys):
    net = fc.Network([fc.Dense(6, 4, "tanh"), fc.Dense(4, 3, "softmax")], cost="cross_entropy")
    rng = np.random.default_rng(0)
    X, Y = rng.integers(0, 256, (6, 9)).astype(np.uint8), rng.integers(0, 3, (9, 1)).astype(np.uint8)
    parameters = {name: 0.01 * array for name, array in net.initialize(0).items()}
    gradients = net.gradients(parameters, X, Y.ravel())
    path = tmp_path / "net.mat"
    savemat(path, {**parameters, **gradients, "X": X, "Y": Y})
    assert main(["check", str(path), "--hidden", "tanh"]) == 0
    assert "6-4-3: tanh, softmax; cross_entropy" in capsys.readouterr().out


def test_options_reach_the_check(tmp_path, capsys):
    net = fc.Network([fc.Dense(3, 4, "tanh"), fc.Dense(4, 2, "sigmoid")], cost="mean_squared_error", l2=0.3)
    path = network_dump(tmp_path, net)
    said = ["--hidden", "tanh", "--output", "sigmoid", "--cost", "mean_squared_error", "--l2", "0.3"]
    options = ["--epsilon", "1e-5", "--norm", "inf", "--tolerance", "1e-6", "--engine", "full", "--json", "-"]
    assert main(["check", path, *said, *options]) == 0
    found = json.loads(capsys.readouterr().out)
    asked = {name: found[name] for name in ("epsilon", "norm", "tolerance", "engine", "verdict")}
    assert asked == {"epsilon": 1e-5, "norm": "inf", "tolerance": 1e-6, "engine": "full", "verdict": "pass"}
    assert main(["check", path, *said[:-2]]) == 1, "without the penalty the gradients are wrong"


@pytest.mark.parametrize("norm", NORMS)
def test_norms(tmp_path, capsys, norm):
    main(["check", dump(tmp_path, "dW2"), "--norm", norm, "--json", "-"])
    found = json.loads(capsys.readouterr().out)
    X, Y, parameters = exercise()
    gradients = {name: array for name, array in gradients_with("dW2").items() if name[:2] in ("dW", "db")}
    net = fc.Network.from_parameters(parameters)
    assert found["difference"] == fc.check(net, parameters, gradients, X, Y, norm=NORMS[norm]).difference


def test_sweep(tmp_path, capsys):
    drawn = tmp_path / "sweep.png"
    path = dump(tmp_path)
    assert main(["sweep", path, "--engines", "response,reference", "--norm", "inf", "--plot", str(drawn)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Network(4-5-3-1: relu, relu, sigmoid; binary_cross_entropy)")
    assert lines[1].split() == ["epsilon", "response", "reference"]
    row = next(line.split() for line in lines if line.startswith("1e-07"))
    assert float(row[1]) < 1e-14 < 1e-9 < float(row[2]), "exact differences beside the rounding of the textbook's"
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_sample(tmp_path, capsys):
    said = ["--method", "sample", "--samples", "12", "--seed", "5", "--threads", "1", "--json", "-"]
    assert main(["check", dump(tmp_path), *said]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["method"], found["seed"]) == ("sample", 5)
    assert found["checked"] < found["parameters"] == 47


def test_a_time_limit(tmp_path, capsys):
    net = fc.Network([fc.Dense(60, 40, "tanh"), fc.Dense(40, 10, "softmax")], cost="cross_entropy")
    path = network_dump(tmp_path, net, m=200)
    said = ["--hidden", "tanh", "--engine", "reference", "--time-limit", "1e-9", "--json", "-"]
    assert main(["check", path, *said]) in (0, 3)
    found = json.loads(capsys.readouterr().out)
    assert 0 < found["checked"] < found["parameters"] == 2850
    assert "time" in " ".join(found["notes"])


def test_json_and_plot_files(tmp_path, capsys):
    written, drawn = tmp_path / "report.json", tmp_path / "report.png"
    assert main(["check", dump(tmp_path, "db1"), "--json", str(written), "--plot", str(drawn)]) == 1
    assert "FAIL" in capsys.readouterr().out
    assert json.loads(written.read_text())["failures"] == ["b1"]
    assert drawn.read_bytes().startswith(b"\x89PNG")


# --- what cannot be used ----------------------------------------------------------------------------------------


def test_sweep_of_an_unknown_engine(tmp_path, capsys):
    said = unusable(capsys, "sweep", dump(tmp_path), "--engines", "response,warp")
    assert "expected one of response, full, reference" in said


def test_missing_file(tmp_path, capsys):
    assert "none.npz: No such file" in unusable(capsys, "check", str(tmp_path / "none.npz"))


def test_folder_in_place_of_a_file(tmp_path, capsys):
    (tmp_path / "net.npz").mkdir()
    assert "directory" in unusable(capsys, "check", str(tmp_path / "net.npz"))


def test_damaged_file(tmp_path, capsys):
    path = tmp_path / "net.npz"
    path.write_bytes(b"PK\x03\x04 not really")
    assert "damaged" in unusable(capsys, "check", str(path))


def test_file_without_gradients(tmp_path, capsys):
    X, Y, parameters = exercise()
    np.savez(tmp_path / "net.npz", **parameters, X=X, Y=Y)
    assert "lacks dW1, db1, dW2, db2, dW3, db3" in unusable(capsys, "check", str(tmp_path / "net.npz"))


@pytest.mark.parametrize(("others", "words"), [
    ({"W2": np.ones((3, 4))}, ["W2", "(3, 4)", "(n_2, 5)"]),
    ({"dW2": np.ones((5, 3))}, ["W2", "(5, 3)", "(3, 5)"]),
    ({"b1": np.ones(4)}, ["b1", "(4,)", "(5, 1)"]),
    ({"X": np.ones((3, 5))}, ["X", "(3, 5)", "(4, m)"]),
    ({"X": np.ones((4, 0))}, ["X", "empty batch"]),
    ({"Y": np.ones(7)}, ["Y", "(7,)", "(1, 3)"]),
    ({"X": np.ones((4, 3), complex)}, ["X", "complex128"]),
    ({"X": np.full((4, 3), "a")}, ["X", "<U1"]),
])
def test_arrays_that_do_not_fit(tmp_path, capsys, others, words):
    message = unusable(capsys, "check", dump(tmp_path, **others))
    for word in words:
        assert word in message


@pytest.mark.parametrize(("options", "words"), [
    (["--hidden", "rellu"], ["rellu", "expected one of", "relu"]),
    (["--output", "logit"], ["logit", "sigmoid"]),
    (["--cost", "hinge"], ["hinge", "squared_error"]),
    (["--engine", "warp"], ["warp", "reference"]),
    (["--epsilon", "0"], ["epsilon"]),
    (["--epsilon", "-1e-7"], ["epsilon"]),
    (["--epsilon", "nan"], ["epsilon"]),
    (["--epsilon", "tiny"], ["--epsilon", "tiny"]),
    (["--norm", "3"], ["--norm", "inf"]),
    (["--tolerance", "-1"], ["tolerance"]),
    (["--l2", "-1"], ["l2"]),
    (["--method", "some"], ["some", "all"]),
    (["--samples", "3"], ["samples", "method"]),
    (["--threads", "0"], ["threads", "0"]),
    (["--time-limit", "0"], ["time_limit"]),
    (["--output", "softmax", "--cost", "binary_cross_entropy"], ["binary_cross_entropy", "sigmoid", "softmax"]),
    (["--json", "nowhere/report.json"], ["nowhere/report.json", "folder"]),
    (["--plot", "nowhere/report.png"], ["nowhere/report.png", "folder"]),
])
def test_options_that_do_not_fit(tmp_path, capsys, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    message = unusable(capsys, "check", dump(tmp_path), *options)
    for word in words:
        assert word in message


@pytest.mark.parametrize("argv", [[], ["check"], ["chek", "net.npz"], ["check", "a.npz", "--epsilom", "1"]])
def test_usage(capsys, argv):
    assert "--help" in unusable(capsys, *argv)


def test_gradients_that_are_not_finite_fail(tmp_path, capsys):
    bad = gradients_with()["dW1"].copy()
    bad[2, 1] = np.nan
    assert main(["check", dump(tmp_path, dW1=bad)]) == 1
    assert "dW1[2, 1]" in capsys.readouterr().out


# --- as a process -----------------------------------------------------------------------------------------------


def process(*argv, **options):
    command = [sys.executable, "-m", "fastcheck", *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def test_process_exits_with_the_status(tmp_path):
    ended = process("check", dump(tmp_path, "dW2"), "--engine", "reference", "--json", "-", stdin=subprocess.DEVNULL)
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["verdict"] == "fail"
    assert ended.stderr == ""


def test_process_shows_no_traceback(tmp_path):
    path = tmp_path / "net.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"\x0e\x00\x00\x00\xff\xff\xff\x7f")
    ended = process("check", str(path))
    assert ended.returncode == 2
    said = f"{path}: expected a .mat file, got one that is damaged or of another kind (truncated)"
    assert ended.stderr == f"fastcheck: {said}\n"


def test_reader_that_leaves_early(tmp_path):
    command = f"{sys.executable} -m fastcheck check {dump(tmp_path)} --engine reference | true"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)
    assert ended.stderr == ""


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"fastcheck {fc.__version__}\n"


# --- what is inferred -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("outputs", "Y", "output", "cost"), [
    (1, np.array([0, 1, 1]), "sigmoid", "binary_cross_entropy"),
    (1, np.array([[0.0, 1.0, 1.0]]), "sigmoid", "binary_cross_entropy"),
    (1, np.array([0.5, 1.0, 1.0]), "identity", "squared_error"),
    (4, np.array([0, 3, 1]), "softmax", "cross_entropy"),
    (4, np.array([[0.0, 3.0, 1.0]]), "softmax", "cross_entropy"),
    (4, np.eye(4)[:, :3], "softmax", "cross_entropy"),
    (4, np.full((4, 3), 0.25), "softmax", "cross_entropy"),
    (4, np.ones((4, 3)), "sigmoid", "binary_cross_entropy"),
    (4, np.full((4, 3), -0.3), "identity", "squared_error"),
    (2, np.array([[1.5, 0.5, 0.5], [-0.5, 0.5, 0.5]]), "identity", "squared_error"),
])
def test_output_and_cost_from_the_targets(outputs, Y, output, cost):
    parameters = {"W1": np.ones((outputs, 2)), "b1": np.ones((outputs, 1))}
    net = infer.infer_network(Dump(parameters, {}, np.ones((2, 3)), Y))
    assert (net.layers[-1].activation, net.cost) == (output, cost)


@pytest.mark.parametrize(("said", "output", "cost"), [
    ({"cost": "squared_error"}, "identity", "squared_error"),
    ({"cost": "binary_cross_entropy"}, "sigmoid", "binary_cross_entropy"),
    ({"output": "tanh"}, "tanh", "squared_error"),
    ({"output": "sigmoid"}, "sigmoid", "binary_cross_entropy"),
    ({"output": "sigmoid", "cost": "mean_squared_error"}, "sigmoid", "mean_squared_error"),
])
def test_what_was_said_goes_before_what_is_inferred(said, output, cost):
    parameters = {"W1": np.ones((1, 2)), "b1": np.ones((1, 1))}
    net = infer.infer_network(Dump(parameters, {}, np.ones((2, 3)), np.array([0.5, 0.5, 0.5])), **said)
    assert (net.layers[-1].activation, net.cost) == (output, cost)


# --- the demo ---------------------------------------------------------------------------------------------------


def test_demo_uses_the_courses_exercise():
    X, Y, parameters = exercise()
    found_X, found_Y, found = demo.course_exercise()
    np.testing.assert_array_equal(found_X, X)
    np.testing.assert_array_equal(found_Y, Y)
    for name, array in parameters.items():
        np.testing.assert_array_equal(found[name], array)
    for name, array in demo.course_gradients(mistakes=True).items():
        np.testing.assert_array_equal(array, gradients_with("dW2", "db1")[name])


@pytest.mark.slow
def test_demo(capsys):
    pytest.importorskip("sklearn")
    assert main(["demo"]) == 0
    printed = capsys.readouterr().out
    assert "dW2 is 2.000 times the numerical gradient" in printed
    assert "db1 is 4.000 times the numerical gradient" in printed
    assert "2,778 of 2,778 parameters" in printed
    assert all(len(line) <= 80 for line in printed.splitlines())
    assert all(line == line.rstrip() for line in printed[printed.index("In short") :].splitlines())
    short = " ".join(printed[printed.index("In short") :].split())
    assert "the textbook calls it a mistake (1.2e-07 > 1e-07), fastcheck does not" in short
    assert "dW2 is 2.000 times the numerical gradient: a factor 2 too many; db1 is 4.000 times" in short
    assert "without relu's derivative in layer 1 (its mask is forgotten)." in short
    assert "100 timed, BLAS on one thread" in short
    assert "Now check yours" in short


def test_demo_without_scikit_learn_says_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'fastcheck\[demo\]'"):
        demo.digits()


def test_textbook_loop_is_timed_on_a_share_and_multiplied_up():
    net = demo.digits_network()
    rng = np.random.default_rng(0)
    seconds, timed = demo.textbook_seconds(net, net.initialize(0), rng.random((64, 3)), np.array([1, 2, 3]), count=20)
    assert timed == 20
    assert seconds > 0
    assert demo.textbook_seconds(demo.course_network(), *_course())[1] == 47


def _course():
    X, Y, parameters = demo.course_exercise()
    return parameters, X, Y


def test_ctrl_c(tmp_path, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastcheck.cli.command.check", interrupted)
    assert main(["check", dump(tmp_path)]) == 130
    assert capsys.readouterr().err == "fastcheck: interrupted\n"


def test_engine_that_distrusts_itself_gives_no_verdict(tmp_path, capsys, monkeypatch):
    def distrustful(*_, **__):
        raise EngineError("the spot check disagrees")

    monkeypatch.setattr("fastcheck.cli.command.check", distrustful)
    assert "the spot check disagrees" in unusable(capsys, "check", dump(tmp_path))


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_gradients_of_what_is_no_weight_or_bias_are_said_to_be_left_out(tmp_path, capsys, suffix):
    """A file with gamma1 and dgamma1 passed without a word on them."""
    path = dump(tmp_path, suffix=suffix, gamma1=np.ones(5), dgamma1=np.ones(5), costs=np.ones(3), dZ3=np.ones((1, 3)))
    assert main(["check", path]) == 0
    said = capsys.readouterr().out
    assert "NOT CHECKED: dgamma1. Weights and biases alone are (W1, b1, ...)." in said.replace("\n", " ")
    assert "costs" not in said
    assert "dZ3" not in said


def test_what_was_inferred_stands_in_one_line_and_counts(tmp_path, capsys):
    assert main(["check", dump(tmp_path), "--hidden", "relu", "--output", "sigmoid"]) == 0
    said = capsys.readouterr().out
    assert "INFERRED, NOT TOLD: --cost binary_cross_entropy. If it is wrong, so is the verdict.\n" in said
