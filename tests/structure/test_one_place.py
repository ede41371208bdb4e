"""Where would you put a new activation, loss, report format, diagnosis?  In one file, and it is found everywhere."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import cosdg

import fastcheck as fc
from fastcheck.cli import main
from fastcheck.engines.program.arrays.program import Program
from fastcheck.report import text
from fastcheck.report.data import ReportData, TensorData
from fastcheck.report.formats import FORMATS, Format
from fastcheck.rules.table import RULES, Rule
from fastcheck.verdict.diagnosis import claims
from tests.structure.house import House
from tests.support.refusals import given

ARCTAN = '''
import math

import numpy as np


def arctan(z: Any) -> Any:
    """arctan z."""
    return np.arctan(z)


def arctan_derivative(z: Array) -> Array:
    """1 / (1 + z^2)."""
    return 1.0 / (1.0 + z * z)


def arctan_difference(z: float, d: float) -> float:
    """arctan of d / (1 + z (z + d)), half a turn on where the two lie further apart than a quarter turn."""
    product = 1.0 + z * (z + d)
    return math.atan2(d, product)
'''
USES_ARCTAN = '''
import numpy as np
import fastcheck as fc
from fastcheck.engines.base import ENGINES

net = fc.Network([fc.Dense(3, 4, "arctan"), fc.Dense(4, 2, "arctan")], cost="squared_error")
parameters, rng = net.initialize(0), np.random.default_rng(0)
X, Y = rng.standard_normal((3, 5)), rng.standard_normal((2, 5))
gradients = net.gradients(parameters, X, Y)
for engine in ENGINES:
    epsilon = 1e-7 if engine == "response" else 1e-5
    report = fc.check(net, parameters, gradients, X, Y, engine=engine, epsilon=epsilon)
    assert report.ok, (engine, str(report))
    wrong = {**gradients, "dW1": 1.001 * gradients["dW1"]}
    assert not fc.check(net, parameters, wrong, X, Y, engine=engine, epsilon=epsilon).ok, engine
assert fc.check(net, parameters, gradients, X, Y, method="directional").ok
watch = fc.Watch(net, overhead=0.5)
for _ in range(20):
    watch(parameters, gradients, X, Y)
assert watch.failures == 0
read = fc.Network.from_parameters({k: v for k, v in parameters.items()}, hidden="arctan", output="arctan")
assert read.layers[0].activation == "arctan"
assert fc.estimate(net, 5).parameters == 26
try:
    fc.Dense(3, 4, "arcsine")
except ValueError as error:
    assert "arctan" in str(error)
'''


@pytest.mark.slow
def test_an_activation_is_one_entry(tmp_path):
    house = House(tmp_path)
    house.add("rules/activations.py", "ACTIVATIONS", ARCTAN,
              'Activation("arctan", arctan, arctan_derivative, arctan_difference)')
    house.run(USES_ARCTAN)


STAIRS = '''
import numpy as np

from .kernels.pieces import relu_difference

STAIR_ENDS = (-0.5, 0.0, 0.7)


def stairs(z: Any) -> Any:
    """Four straight pieces of slopes 0, 1, 1/2 and 2."""
    return np.maximum(z + 0.5, 0.0) - 0.5 * np.maximum(z, 0.0) + 1.5 * np.maximum(z - 0.7, 0.0)


def stairs_derivative(z: Array) -> Array:
    """The slope of the piece."""
    return (z > -0.5) - 0.5 * (z > 0.0) + 1.5 * (z > 0.7)


def stairs_difference(z: float, d: float) -> float:
    """Each corner's rise by sides."""
    low, middle, high = relu_difference(z + 0.5, d), relu_difference(z, d), relu_difference(z - 0.7, d)
    return low - 0.5 * middle + 1.5 * high
'''
USES_STAIRS = '''
import numpy as np
import fastcheck as fc
from fastcheck.engines.base import ENGINES

net = fc.Network([fc.Dense(3, 8, "stairs"), fc.Dense(8, 6, "stairs"), fc.Dense(6, 2, "stairs")], cost="squared_error")
parameters, rng = net.initialize(0), np.random.default_rng(0)
X, Y = rng.standard_normal((3, 40)), rng.standard_normal((2, 40))
gradients = net.gradients(parameters, X, Y)
for engine in ENGINES:
    for epsilon in (1e-7, 1e-5, 1e-3, 1e-2) if engine == "response" else (1e-6,):
        report = fc.check(net, parameters, gradients, X, Y, engine=engine, epsilon=epsilon)
        assert report.ok, (engine, epsilon, str(report))
        wrong = {**gradients, "dW1": 1.001 * gradients["dW1"]}
        assert not fc.check(net, parameters, wrong, X, Y, engine=engine, epsilon=epsilon).ok, engine
assert fc.check(net, parameters, gradients, X, Y, epsilon=1e-2).kinks > 10
'''


@pytest.mark.slow
def test_an_activation_may_have_any_number_of_breakpoints(tmp_path):
    house = House(tmp_path)
    house.add("rules/activations.py", "ACTIVATIONS", STAIRS,
              'Activation("stairs", stairs, stairs_derivative, stairs_difference, STAIR_ENDS, linear=True)')
    house.run(USES_STAIRS)


# log(1 + |a - y|^2): a loss that mixes the outputs
CAUCHY = '''
def cauchy(A: Array, Y: Array) -> float:
    """log(1 + |a - y|^2), mean over samples."""
    return float(np.mean(np.log(1.0 + np.sum((A - Y) ** 2, axis=0))))


def cauchy_losses(Z: Array, A: Array, Y: Array) -> Array:
    """One per sample."""
    return np.log1p(np.sum((A - Y) ** 2, axis=0))


def cauchy_gradient(Z: Array, A: Array, Y: Array) -> Array:
    """2 (a - y) / (1 + |a - y|^2)."""
    return 2.0 * (A - Y) / (1.0 + np.sum((A - Y) ** 2, axis=0))


def cauchy_columns(z: Array, a: Array, y: Array, d: Array, out: Array) -> None:
    """log1p of the change of |a - y|^2, divided by what it was plus one."""
    size = 1.0
    for k in range(d.shape[0]):
        size += (a[k] - y[k]) ** 2
    for c in range(out.size):
        change = 0.0
        for k in range(d.shape[0]):
            change += d[k, c] * (2.0 * (a[k] - y[k]) + d[k, c])
        out[c] = math.log1p(change / size)


def cauchy_column(z: Array, a: Array, y: Array) -> float:
    """The loss of one sample."""
    total = 0.0
    for k in range(a.size):
        total += (a[k] - y[k]) ** 2
    return math.log1p(total)
'''
USES_CAUCHY = '''
import numpy as np
import fastcheck as fc
from fastcheck.engines.base import ENGINES

rng = np.random.default_rng(0)
for output in ("identity", "tanh", "relu", "hardtanh", "softmax"):
    for widths in ((3, 2), (3, 5, 2), (3, 5, 4, 3)):
        names = ["tanh", "relu"][: len(widths) - 2] + [output]
        layers = [fc.Dense(a, b, name) for a, b, name in zip(widths, widths[1:], names)]
        net = fc.Network(layers, cost="cauchy", l2=0.1)
        parameters, m = net.initialize(0), 7
        X, Y = rng.standard_normal((3, m)), rng.standard_normal((widths[-1], m))
        gradients = net.gradients(parameters, X, Y)
        for engine in ENGINES:
            for epsilon in (1e-7, 1e-4) if engine == "response" else (1e-5,):
                report = fc.check(net, parameters, gradients, X, Y, engine=engine, epsilon=epsilon)
                assert report.ok, (output, widths, engine, str(report))
                if engine == "response" and epsilon == 1e-7:
                    assert report.difference < 1e-12, (output, widths, report.difference)
                wrong = {**gradients, "dW1": 1.001 * gradients["dW1"]}
                assert not fc.check(net, parameters, wrong, X, Y, engine=engine, epsilon=epsilon).ok, engine
        assert fc.check(net, parameters, gradients, X, Y, method="directional").ok
'''


@pytest.mark.slow
def test_a_loss_that_mixes_the_outputs_is_one_entry(tmp_path):
    house = House(tmp_path)
    house.add("rules/losses.py", "COSTS", CAUCHY,
              'Cost("cauchy", None, False, cauchy, cauchy_losses, cauchy_gradient, lambda m, outputs: 1.0 / m, '
              "cauchy_columns, cauchy_column, rounding_of_twice_the_difference, separable=False)")
    house.run(USES_CAUCHY)


def cosine_of_degrees_changes(xp, values, changes, out, branches):
    """cos(x + d) - cos(x) = -2 sin(x + d/2) sin(d/2), in degrees."""
    half = 0.5 * np.pi / 180.0 * changes[0]
    return -2.0 * xp.sin(np.pi / 180.0 * values[0] + half) * xp.sin(half)


def test_an_operation_is_one_rule(monkeypatch):
    """Without its rule a program cannot use it, with it the change is exact."""
    degrees, change = np.array([10.0, 80.0]), np.full((1, 2), 1e-9)

    def differences():
        return Program(lambda x: np.sum(cosdg(x) * np.array([1.0, 2.0])), [degrees]).run({0: change}).changes[0]

    with pytest.raises(fc.NoRule, match="cosdg"):
        differences()
    with monkeypatch.context() as patched:
        patched.setitem(RULES, "cosdg", Rule(cosine_of_degrees_changes))
        slope = -np.sin(np.deg2rad(degrees)) @ np.array([1.0, 2.0]) * np.pi / 180.0
        np.testing.assert_allclose(differences(), 1e-9 * slope, rtol=1e-9)
    with pytest.raises(fc.NoRule, match="cosdg"):
        differences()


def test_a_diagnosis_is_one_claim(monkeypatch):
    """It is asked after those that stand before it, speaks in the report, and is gone when it is taken out."""
    case = given()
    case["gradients"]["dW2"] = case["gradients"]["dW2"] * np.random.default_rng(1).uniform(0.5, 2.0, (3, 5))

    def thursday(case):
        return f"{case.name} was made on a Thursday." if case.name == "dW2" else ""

    with monkeypatch.context() as patched:
        patched.setattr(claims, "CLAIMS", (*claims.CLAIMS, thursday))
        report = fc.check(**case)
        assert report.tensor("W2").diagnosis == "dW2 was made on a Thursday."
        for text in (str(report), report.to_json(), report._repr_html_()):
            assert "dW2 was made on a Thursday." in text
    assert "Thursday" not in str(fc.check(**case))


def members(protocol):
    """Names of what a protocol promises."""
    return [name for name in (*protocol.__annotations__, *vars(protocol)) if not name.startswith("_")]


def plain_copy(report):
    """The report as attributes without any class of ours behind them: what the renderers' protocols promise."""
    def copied(protocol, thing):
        return SimpleNamespace(**{name: getattr(thing, name) for name in members(protocol)})

    copy = copied(ReportData, report)
    tensors = {tensor.name: copied(TensorData, tensor) for tensor in report.tensors}
    copy.tensors = [tensors[tensor.name] for tensor in report.tensors]
    copy.failures = [tensors[tensor.name] for tensor in report.failures]
    return copy


def markdown(report: ReportData) -> str:
    """A new format: one function of a report's data."""
    rows = [f"| {tensor.name} | {tensor.difference:.1e} | {tensor.verdict} |" for tensor in report.tensors]
    return "\n".join([f"**{report.verdict}**: {report.summary}", "", "| tensor | difference | verdict |",
                      "|---|---|---|", *rows])


def test_a_report_format_is_one_renderer_and_one_entry(monkeypatch, tmp_path, capsys):
    """``Report.save`` and the command line have it from the table alone, and it is gone when it is taken out.

    A renderer takes the data that the protocol promises and nothing else, as those that there are do.
    """
    case = given()
    case["gradients"]["dW2"] = 2.0 * case["gradients"]["dW2"]
    report = fc.check(**case)
    net, file = case["net"], tmp_path / "dump.npz"
    np.savez(file, X=case["X"], Y=case["Y"], **case["parameters"], **case["gradients"])
    command = ["check", str(file), "--hidden", net.layers[0].activation, "--output", net.layers[-1].activation,
               "--cost", net.cost, "--l2", str(net.l2)]
    with monkeypatch.context() as patched:
        patched.setitem(FORMATS, "markdown", Format("markdown", "as a table", (".md",), text=markdown))
        report.save(tmp_path / "report.md")
        shown = (tmp_path / "report.md").read_text()
        assert main([*command, "--markdown", "-"]) == 1
        assert capsys.readouterr().out == shown
        assert "**fail**: " in shown
        assert "| W2 | 3.3e-01 | fail |" in shown
        renderers = [form.text for form in FORMATS.values() if form.text]
        for renderer in (*renderers, text.plain, text.html):
            assert renderer(plain_copy(report)) == renderer(report)
    with pytest.raises(ValueError, match=r"\.md"):
        report.save(tmp_path / "report.md")
    with pytest.raises(SystemExit):
        main([*command, "--markdown", "-"])
