import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from fastcheck.checks.function import check_function
from fastcheck.checks.network import check
from fastcheck.report.report import SCHEMA
from fastcheck.report.text import ROWS
from tests.support.fake_gradients import SHAPES, Made
from tests.support.problems import data, network


def spoiled():
    made = Made(samples=8, l2_weight=0.1)
    made["W2"][:] *= 2.0
    made["b1"][3] *= 1.5
    return made


def inconclusive():
    made = Made()
    made.noise = np.array([1e-6])
    made.gradapprox += 1e-6 * made.rng.standard_normal(made.gradapprox.size)
    return made


def nothing():
    made = Made()
    made.gradient[:] = made.gradapprox[:] = 0.0
    return made


def not_finite():
    made = Made()
    made["W3"][1, 1] = np.nan
    made.cost = np.inf
    return made


def many():
    made = Made({f"{letter}{k}": (3, 3) if letter == "W" else (3, 1) for k in range(1, 41) for letter in "Wb"})
    made["W17"][0, 0] *= 2.0
    return made


def named_at_length():
    made = Made({"encoder.layers.0.attention.query.kernel.weights": (3, 40), "x": (), "y": (4, 3, 2)})
    made["y"][0] = 0.0
    return made


def sampled():
    made = Made()
    made.indices = np.array([0, 3, 31, 40])
    return made


def at_kinks():
    made = Made()
    made.at_kink(made.place("W2", 1, 1), -9.0, 9.0)
    return made


MADE = [Made, spoiled, inconclusive, nothing, not_finite, many, named_at_length, sampled, at_kinks]


@pytest.fixture(params=MADE, ids=lambda make: make.__name__)
def report(request):
    return request.param().report(engine="reference" if request.param is inconclusive else "response")


# --- attributes -------------------------------------------------------------------------------------------------

def test_what_the_run_was_is_kept():
    report = Made().report(epsilon=1e-6, norm=np.inf, tolerance=1e-5)
    assert (report.engine, report.method, report.epsilon) == ("response", "all", 1e-6)
    assert (report.norm, report.tolerance, report.seed, report.seconds) == (np.inf, 1e-5, 3, 0.25)
    assert report.cost == 1.0
    assert report.noise_floor == 1e-16


def test_vectors_and_tensors():
    made = Made()
    report = made.report()
    assert report.gradapprox is made.gradapprox  # no copy
    assert np.array_equal(report.indices, np.arange(made.gradient.size))
    assert np.allclose(report.J_plus - report.J_minus, 2e-7 * made.gradapprox)
    assert [(t.name, t.shape) for t in report.tensors] == list(SHAPES.items())
    for name in SHAPES:
        assert np.array_equal(report.gradapprox_of(name), made.approx(name))
    with pytest.raises(KeyError, match="no tensor 'W9'; there are W1, b1"):
        report.gradapprox_of("W9")


def test_what_was_not_checked_is_nan():
    report = sampled().report()
    assert np.array_equal(report.indices, [0, 3, 31, 40])
    W1 = report.gradapprox_of("W1")
    assert np.isfinite(W1).sum() == 2
    assert np.isfinite(W1[0, [0, 3]]).all()
    assert np.isfinite(report.tensor("W1").relative_error).sum() == 2


def test_the_worst_entries_come_in_order():
    made = Made()
    made["W1"][2, 3] *= 1.01
    made["b2"][4] *= -1.0
    made["W3"][1, 1] = np.nan
    made["W3"][0, 0] *= 2.0
    worst = made.report().worst(4)
    assert [(e.tensor, e.index) for e in worst] == [("W3", (1, 1)), ("b2", (4, 0)), ("W3", (0, 0)), ("W1", (2, 3))]
    assert worst[1].relative_error == 1.0
    assert worst[2].relative_error == pytest.approx(1 / 3)
    assert worst[3].grad == made["W1"][2, 3]
    assert worst[3].gradapprox == made.approx("W1")[2, 3]
    assert worst[3].place == "dW1[2, 3]"
    assert len(made.report().worst()) == 10
    assert len(made.report().worst(10**6)) == made.gradient.size
    assert made.report().worst(0) == []


def test_noise_does_not_count_as_the_worst():
    made = Made()
    made.noise = np.array([1e-4])
    made.gradapprox += 1e-4 * made.rng.standard_normal(made.gradapprox.size)
    made.approx("W1")[0, 0] = made["W1"][0, 0] = 1e-6
    made.approx("W1")[0, 0] *= -1.0
    made["b3"][2] *= 1.5
    assert made.report().worst(1)[0].tensor == "b3"


def test_a_tensors_figures():
    made = Made()
    made["W1"][2, 3] *= 1.01
    tensor = made.report().tensor("W1")
    assert tensor.checked == tensor.size == 30
    assert tensor.worst == (2, 3)
    assert tensor.max_relative_error == pytest.approx(0.01 / 2.01)
    assert tensor.wrong == 1
    assert tensor.noise_floor == 1e-16
    assert tensor.kinks == 0
    assert tensor.zeros == 0
    assert tensor.relative_error[2, 3] == tensor.max_relative_error
    assert "W1: fail" in repr(tensor)


# --- dictionary and JSON ----------------------------------------------------------------------------------------

def test_json_is_strict_and_says_all(report, tmp_path):
    text = report.to_json(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(text)
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found == report.to_dict()
    assert found["schema"] == SCHEMA
    assert found["verdict"] == report.verdict
    assert found["ok"] is report.ok
    assert (found["seed"], found["epsilon"], found["method"]) == (3, 1e-7, report.method)
    assert found["engine"] == report.engine
    assert {"fastcheck", "numpy", "numba", "scipy", "python", "platform"} <= set(found["versions"])
    assert [t["name"] for t in found["tensors"]] == [t.name for t in report.tensors]
    assert [t["diagnosis"] for t in found["tensors"]] == [t.diagnosis for t in report.tensors]
    assert set(found["tensors"][0]) >= {
        "name", "shape", "checked", "difference", "max_relative_error", "worst", "noise_floor", "kinks", "zeros",
        "verdict",
    }  # fmt: skip


def test_what_json_has_no_word_for_becomes_one():
    report = not_finite().report(norm=np.inf, facts=np.array([1, 2]), more={"a": np.float32(0.5), "b": (True, None)})
    found = json.loads(report.to_json())
    assert found["difference"] == "nan"
    assert found["norm"] == "inf"
    assert found["cost"] == "inf"
    assert found["facts"]["facts"] == [1, 2]
    assert found["facts"]["more"] == {"a": 0.5, "b": [True, None]}


def test_an_epsilon_per_parameter_is_kept():
    made = Made()
    epsilon = np.full(made.gradient.size, 1e-7)
    report = made.report(epsilon=epsilon)
    assert report.ok
    assert report.to_dict()["epsilon"] == epsilon.tolist()
    assert "epsilon chosen per parameter" in str(report)


# --- text -------------------------------------------------------------------------------------------------------

def test_plain_text_fits_and_names_everything(report):
    lines = str(report).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(report.verdict.upper())
    assert "\x1b" not in str(report)
    assert str(report) == "\n".join(line.rstrip() for line in lines)
    flat = re.sub(r"\s+", " ", str(report))
    for failed in report.failures:
        assert f"d{failed.name}" in flat.replace("-\n", "") or len(failed.name) > 24
        assert re.sub(r"\s+", " ", failed.diagnosis) in flat
    for sentence in (*report.advice, *report.notes):
        assert sentence.replace("- ", "-") in flat.replace("- ", "-")


def test_the_course_reads_as_promised():
    text = str(spoiled().report())
    assert "FAIL  difference" in text
    assert "dW2 is 2.000 times the numerical gradient: a factor 2 too many." in text
    assert text.index("dW2 is 2.000") < text.index("db1[3, 0]")


def test_long_reports_show_the_failing_tensors():
    report = many().report()
    text = str(report)
    assert len(re.findall(r"^[Wb]\d+ +3x[13] ", text, re.MULTILINE)) == ROWS
    assert "W17" in text
    assert f"... and {80 - ROWS} more tensors: {80 - ROWS} pass" in text


def test_inconclusive_says_what_to_do():
    assert 'Use engine="response"' in " ".join(inconclusive().report(engine="reference").advice)
    assert "less rounding" in " ".join(inconclusive().report(engine="differences").advice)
    assert "Leave epsilon out" in " ".join(inconclusive().report(engine="differences").advice)
    made = inconclusive()
    chosen = made.report(engine="differences", epsilon=np.full(made.gradapprox.size, 1e-7))
    assert chosen.advice == ("Compute the cost with less rounding (stable formulas, double precision).",)
    assert "What to do" in str(inconclusive().report(engine="reference"))


def printed(report, **options):
    stream = io.StringIO()
    Console(file=stream, **options).print(report)
    return stream.getvalue()


def test_rich_colours_in_a_terminal_only(report, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    plain = printed(report, width=100)
    assert plain.rstrip("\n") == str(report)
    for width in (80, 140):
        coloured = printed(report, force_terminal=True, width=width, color_system="standard", legacy_windows=False)
        assert "\x1b[" in coloured
        stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
        assert max(len(line.rstrip()) for line in stripped.splitlines()) <= width
        for tensor in report.failures:
            assert tensor.name[:20] in stripped
    monkeypatch.setenv("NO_COLOR", "1")
    without = printed(report, force_terminal=True, width=80)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", without)
    narrow = printed(report, width=60)
    assert max(map(len, narrow.splitlines())) <= 60


def test_html_is_escaped():
    made = Made({"<script>": (2, 2)})
    made["<script>"][:] = np.nan
    html = made.report()._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert html.count("<div") == html.count("</div>") == 1
    assert "FAIL" in html


def test_html_of_every_kind(report):
    html = report._repr_html_()
    assert report.verdict.upper() in html
    assert html.count("<tr>") == 1 + min(len(report.tensors), ROWS)


def test_repr_is_short(report):
    assert repr(report).startswith(f"<fastcheck.Report: {report.verdict}")


# --- what a report must not do ----------------------------------------------------------------------------------

def test_nothing_heavy_is_imported_to_judge():
    code = (
        "import sys, numpy as np\n"
        "from tests.support.fake_gradients import Made\n"
        "r = Made().report(); r.ok, r.difference, r.tensors[0].verdict\n"
        "print([m for m in ('rich', 'matplotlib', 'numba', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_report_of_a_real_check():
    net = network([5, 4, 3], "relu", "softmax", "cross_entropy", 0.1)
    X, Y = data(net, 6)
    parameters = net.initialize(1)
    gradients = net.gradients(parameters, X, Y)
    report = check(net, parameters, gradients, X, Y)
    assert report.ok
    assert report.to_dict()["samples"] == 6
    gradients["dW1"] = gradients["dW1"] - 0.1 / 6 * parameters["W1"]
    assert "L2 term is missing" in str(check(net, parameters, gradients, X, Y))


def test_a_single_entry_is_spoken_of_as_one():
    made = Made()
    made["b1"][0] = made.approx("b1")[0] = 0.0
    assert "1 of 120 checked entries is exactly zero on both sides." in made.report().notes
    made = Made({"b1": (2,)})
    made["b1"][0] = made.approx("b1")[0] = 0.0
    assert "1 of 2 checked entries is exactly zero on both sides: its agreement proves little." in made.report().notes
    made.indices = np.array([1])
    assert "1 of 2 entries was checked." in made.report().notes


def test_a_cost_that_is_not_a_number_has_no_kinks():
    """Its entries were called right by the interval of their one-sided derivatives."""
    report = check_function(lambda w: float(np.sum(w**2)), np.array([1.0, np.nan, 2.0]), np.array([2.0, 4.0, 6.0]))
    assert report.verdict == "fail"
    assert report.tensors[0].kinks == 0
    assert report.notes == ("The cost is nan.", "theta[1] is nan.")


@pytest.mark.parametrize("count", [1, 3, 12])
def test_right_entries_are_not_listed_beside_a_few_wrong_ones(count):
    x = np.linspace(0.5, 2.0, 12)
    wrong = 3.0 * x**2
    wrong[:count] *= 1.01
    report = check_function(lambda t: np.sum(t**3), x, wrong)
    lines = str(report).partition("Worst entries\n")[2].partition("\n\n")[0].splitlines()
    assert len(lines) == min(count, 5)
    assert all("error 5.0e-03" in line for line in lines)


def test_what_is_said_of_several_gradients_is_said_once():
    """A forgotten 1/m filled a screen: the same sentence for each tensor."""
    net = network([3, 4, 4, 2], "tanh", "softmax", "cross_entropy")
    X, Y = data(net, 5)
    parameters = net.initialize(0)
    gradients = {name: 5.0 * g for name, g in net.gradients(parameters, X, Y).items()}
    report = check(net, parameters, gradients, X, Y)
    text = " ".join(str(report).split())
    assert "dW3, db3, dW2, db2, dW1 and db1 are 5.000 times the numerical gradient: 1/m is missing (m = 5)" in text
    assert text.count("times the numerical gradient") == 1
    assert report.tensor("W1").diagnosis.startswith("dW1 is 5.000 times")
    assert report._repr_html_().count("times the numerical gradient") == 1


def test_what_follows_from_a_mistake_is_said_once():
    net = network([3, 4, 4, 2], "tanh", "softmax", "cross_entropy")
    X, Y = data(net, 5)
    p = net.initialize(0)
    A1 = np.tanh(p["W1"] @ X + p["b1"])
    A2 = np.tanh(p["W2"] @ A1 + p["b2"])
    P = np.exp(p["W3"] @ A2 + p["b3"])
    dZ3 = (P / P.sum(axis=0) - np.eye(2)[Y].T) / 5
    dZ2 = p["W3"].T @ dZ3
    dZ1 = p["W2"].T @ dZ2 * (1 - A1**2)
    gradients = {"dW1": dZ1 @ X.T, "db1": dZ1.sum(axis=1, keepdims=True), "dW2": dZ2 @ A1.T,
                 "db2": dZ2.sum(axis=1, keepdims=True), "dW3": dZ3 @ A2.T, "db3": dZ3.sum(axis=1, keepdims=True)}
    text = " ".join(str(check(net, p, gradients, X, Y)).split())
    assert "dW2 and db2 equal what back-propagation gives without tanh's derivative in layer 2. " in text
    assert "dW1 and db1 follow from the mistake in layer 2: nothing else is wrong there." in text
