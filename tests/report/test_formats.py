"""Every format of the table writes every kind of report, by ``Report.save`` and from the command line."""

import json

import pytest

from fastcheck.report.formats import FORMATS, format_of, write
from tests.support.fake_gradients import Made
from tests.support.problems import data, network

ENDINGS = [(name, ending) for name, form in FORMATS.items() for ending in form.endings]


def failing():
    made = Made()
    made["W2"][1, 1] *= 2.0
    return made.report()


def test_no_ending_is_claimed_twice_and_every_entry_stands_under_its_name():
    endings = [ending for _, ending in ENDINGS]
    assert len(set(endings)) == len(endings)
    assert all(ending.startswith(".") and ending == ending.lower() for ending in endings)
    for name, form in FORMATS.items():
        assert form.name == name
        assert (form.text is None) != (form.draw is None)
        assert form.endings


@pytest.mark.parametrize(("name", "ending"), [
    pytest.param(*known, marks=pytest.mark.slow) if FORMATS[known[0]].draw else known for known in ENDINGS])
def test_the_ending_tells_the_format(name, ending, tmp_path):
    path = tmp_path / f"report{ending}"
    failing().save(path)
    assert path.stat().st_size > 100
    assert format_of(path) == name
    assert format_of(f"{tmp_path}/REPORT{ending.upper()}") == name


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.text])
def test_texts_name_the_tensor_that_fails(name, tmp_path):
    report = failing()
    write(report, name, tmp_path / "report")
    written = (tmp_path / "report").read_text(encoding="utf-8")
    assert "W2" in written
    assert written == FORMATS[name].text(report) + "\n"


def test_json_is_what_to_json_gives(tmp_path):
    report = failing()
    report.save(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == report.to_dict()


@pytest.mark.parametrize("path", ["report", "report.docx", "report.json.gz", ".json"])
def test_unknown_endings_are_refused_with_those_that_are_known(path):
    with pytest.raises(ValueError, match=r"path: expected a name that ends in one of \.json, .*got '"):
        failing().save(path)


def test_the_command_line_has_every_format(tmp_path, capsys):
    import numpy as np

    from fastcheck.cli import main

    net = network([3, 2, 1], "tanh", "sigmoid", "binary_cross_entropy")
    parameters, (X, Y) = net.initialize(0), data(net, 5)
    file = tmp_path / "dump.npz"
    np.savez(file, X=X, Y=Y, **parameters, **net.gradients(parameters, X, Y))
    paths = {name: tmp_path / f"written-{name}{form.endings[0]}" for name, form in FORMATS.items()}
    options = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    assert main(["check", str(file), "--hidden", "tanh", *options]) == 0
    assert all(path.stat().st_size > 100 for path in paths.values())
    capsys.readouterr()
    for name, form in FORMATS.items():
        if form.text:
            assert main(["check", str(file), "--hidden", "tanh", f"--{name}", "-"]) == 0
            assert "pass" in capsys.readouterr().out.lower()
