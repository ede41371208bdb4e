"""The command line with arguments that cannot work: one line on stderr, status 2, and no file changed."""

from pathlib import Path

import numpy as np
import pytest

from fastcheck.cli.command import main
from tests.support.course_exercise import exercise, gradients_with

X, Y, PARAMETERS = exercise()
GRADIENTS = gradients_with()
COMMANDS = [
    ([], ["--help"]),
    (["chek"], ["chek"]),
    (["check"], ["FILE"]),
    (["check", "{file}", "{file}"], ["unrecognized"]),
    (["check", "{folder}"], ["expected a regular file", "a directory", "pass a file of it"]),
    (["check", "{folder}/none.npz"], ["none.npz", "No such file"]),
    (["check", "{folder}/none.h5"], ["none.h5", "No such file"]),
    (["check", __file__], ["'.py'", "fastcheck run"]),
    (["check", "{empty}"], ["empty.npz", "damaged"]),
    (["check", ""], ["a directory"]),
    (["check", "{file}", "--epsilon", "0"], ["epsilon"]),
    (["check", "{file}", "--epsilon", "1e400"], ["epsilon", "inf"]),
    (["check", "{file}", "--epsilon", "1e-400"], ["epsilon", "0.0"]),
    (["check", "{file}", "--epsilon", "-1"], ["epsilon"]),
    (["check", "{file}", "--epsilon", ""], ["--epsilon"]),
    (["check", "{file}", "--tolerance", "inf"], ["tolerance"]),
    (["check", "{file}", "--tolerance", "x"], ["--tolerance"]),
    (["check", "{file}", "--norm", "0"], ["--norm"]),
    (["check", "{file}", "--engine", ""], ["engine", "reference"]),
    (["check", "{file}", "--method", "sample", "--samples", "0"], ["samples"]),
    (["check", "{file}", "--method", "sample", "--samples", "1.5"], ["--samples"]),
    (["check", "{file}", "--seed", "-1"], ["seed"]),
    (["check", "{file}", "--seed", "x"], ["--seed"]),
    (["check", "{file}", "--threads", "-2"], ["threads"]),
    (["check", "{file}", "--threads", "two"], ["--threads"]),
    (["check", "{file}", "--l2", "nan"], ["l2"]),
    (["check", "{file}", "--l2", "-1"], ["l2"]),
    (["check", "{file}", "--hidden", ""], ["activation"]),
    (["check", "{file}", "--hidden", "softmax"], ["softmax", "output layer"]),
    (["check", "{file}", "--output", "rellu"], ["rellu"]),
    (["check", "{file}", "--cost", "cross_entropy", "--output", "relu"], ["cross_entropy", "softmax"]),
    (["check", "{file}", "--json", "{folder}"], ["Is a directory"]),
    (["check", "{file}", "--json", "{folder}/no/r.json"], ["folder does not exist"]),
    (["check", "{file}", "--plot", "{folder}/no/r.png"], ["folder does not exist"]),
    (["check", "{file}", "--plot", "{folder}/r.xyz"], ["xyz"]),
    (["sweep"], ["FILE"]),
    (["sweep", "{folder}/none.mat"], ["none.mat"]),
    (["sweep", "{file}", "--engines", ""], ["engine"]),
    (["sweep", "{file}", "--engines", "full,warp"], ["warp"]),
    (["sweep", "{file}", "--epsilon", "1"], ["--epsilon"]),
    (["demo", "net.npz"], ["unrecognized"]),
]


@pytest.mark.parametrize(("argv", "words"), COMMANDS)
def test_command_line(tmp_path, capsys, argv, words):
    file, empty = tmp_path / "net.npz", tmp_path / "empty.npz"
    np.savez(file, X=X, Y=Y, **PARAMETERS, **{name: GRADIENTS[name] for name in GRADIENTS if name[1] in "Wb"})
    empty.touch()
    before = {path: path.read_bytes() for path in (file, empty)}
    places = {"file": file, "empty": empty, "folder": tmp_path}
    try:
        status = main([argument.format(**places) for argument in argv])
    except SystemExit as end:
        status = end.code
    shown = capsys.readouterr()
    assert status == 2
    assert shown.err.count("\n") == 1
    for word in words:
        assert word in shown.err
    assert {path: path.read_bytes() for path in (file, empty)} == before
    assert {path.name for path in Path(tmp_path).iterdir()} == {"net.npz", "empty.npz", "temporary"}
