"""Which form of the response engine does a check: small ones compile nothing, and load nothing that could."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.checks.selection import METHODS
from fastcheck.engines import base
from fastcheck.engines.plain import at_once, engine as plain, from_outputs, pieces, spot_check
from fastcheck.engines.plain.from_outputs import responses as short_responses
from fastcheck.problems.networks.problem import Problem
from fastcheck.rules.activation_changes import ACTIVATION_CHANGES
from fastcheck.rules.activations import ACTIVATIONS
from fastcheck.rules.loss_changes import LOSS_CHANGES
from fastcheck.rules.losses import COSTS
from fastcheck.runtime.run import Run
from tests.support.problems import RUN, data, network, problem

FRESH = """
import sys
import numpy as np
import fastcheck as fc
net = fc.Network([fc.Dense(4, 5, "relu"), fc.Dense(5, 3, "tanh"), fc.Dense(3, 1, "sigmoid")], "binary_cross_entropy")
parameters, X, Y = net.initialize(0), np.ones((4, 3)), np.array([1, 1, 0])
gradients = net.gradients(parameters, X, Y)
gradients["dW2"] = gradients["dW2"] * 2.0
report = fc.check(net, parameters, gradients, X, Y, method=sys.argv[1])
print(report.verdict, [t.name for t in report.failures], "numba" in sys.modules, "scipy" in sys.modules)
print(report)
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_small_check_loads_neither_numba_nor_scipy(method):
    """Diagnosis and second look included, in a fresh process."""
    command = [sys.executable, "-c", FRESH, method]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[0] == "fail ['W2'] False False"
    assert "2.000 times" in done.stdout


@pytest.fixture
def ledger(monkeypatch):
    """A process that has not looked for machine code yet; that there is none is what it finds."""
    made = base._Ledger()
    monkeypatch.setattr(base, "_ledger", made)
    monkeypatch.setattr(made, "at_hand", False)
    monkeypatch.setattr("fastcheck.runtime.jit.is_at_hand", lambda kernel: False)
    return made


@pytest.fixture
def compiled(monkeypatch):
    """How often the compiled engine was asked."""
    calls = []

    def differences(given, indices, epsilon, run):
        calls.append(given.network.size)

    monkeypatch.setattr("fastcheck.engines.response.engine.differences", differences)
    return calls


def usual_way(monkeypatch):
    """Take no network for so small that everything is done at once, nor all of its columns together."""
    monkeypatch.setattr(at_once, "TOGETHER", 0)
    monkeypatch.setattr(plain, "TOGETHER", 0)


@pytest.mark.parametrize("at_hand", [False, True])
def test_what_is_small_is_done_in_numpy_whatever_lies_on_disk(ledger, compiled, at_hand):
    ledger.at_hand = at_hand
    base.engine("response")(problem(network([4, 5, 1], "relu", "sigmoid", "binary_cross_entropy")), None, 1e-7, RUN)
    assert compiled == []


def test_what_is_larger_is_done_by_machine_code_where_there_is_some(ledger, compiled):
    """Of networks whose loss is not taken from logits, so that nothing is carried down from there."""
    given = problem(network([32, 32, 32, 32, 10], "tanh", "sigmoid", "squared_error"), 64)
    assert base.ALWAYS < base.numpy_seconds(given.network, given.m) < base.WORTH_COMPILING
    base.engine("response")(given, None, 1e-7, RUN)
    assert compiled == []
    ledger.at_hand = True
    base.engine("response")(given, None, 1e-7, RUN)
    assert compiled == [given.network.size]


@pytest.mark.parametrize("longest", [1.0, 1e3])
def test_deep_curved_networks_are_done_in_numpy_where_their_steps_are_short(ledger, compiled, longest):
    """Machine code, which goes layer by layer, takes several times as long; it is as quick where steps are long."""
    ledger.at_hand = True
    given = problem(network([32, 128, 128, 128, 10], "tanh", "softmax", "cross_entropy"), 64)
    given = Problem(given.network, given.theta, np.full_like(given.X, longest), given.Y)
    base.engine("response")(given, None, 1e-7, RUN)
    assert (compiled == []) == (longest == 1.0)


def test_what_takes_longer_in_numpy_than_compiling_is_compiled(ledger, compiled, monkeypatch):
    given = problem(network([8, 6, 5, 4], "tanh", "softmax", "cross_entropy"), 4)
    usual_way(monkeypatch)
    monkeypatch.setattr(base, "ALWAYS_SHALLOW", 0.0)
    seconds = base.numpy_seconds(given.network, given.m)
    monkeypatch.setattr(base, "COMPILING", 2.5 * seconds)
    for asked in (0, 0, 1):
        base.engine("response")(given, None, 1e-7, RUN)
        assert len(compiled) == asked
    ledger.spent = 0.0
    monkeypatch.setattr(base, "WORTH_COMPILING", 0.5 * seconds)
    base.engine("response")(given, None, 1e-7, RUN)
    assert len(compiled) == 2


def test_pieces_of_a_check_and_little_memory_take_machine_code(ledger, compiled):
    given = problem(network([4, 5, 1], "relu", "sigmoid", "binary_cross_entropy"), 50)
    base.engine("response")(given, None, 1e-7, Run(1, 1 << 16))
    base.engine("response")(Problem(given.network, given.theta, given.X, given.Y, {}), None, 1e-7, RUN)
    assert len(compiled) == 2


def test_a_function_without_an_array_rule_is_left_to_its_kernel(ledger, compiled, monkeypatch):
    monkeypatch.delitem(ACTIVATION_CHANGES, "relu")
    base.engine("response")(problem(network([4, 5, 1], "relu", "sigmoid", "binary_cross_entropy")), None, 1e-7, RUN)
    assert len(compiled) == 1


@pytest.mark.parametrize("seed", [3000062, 3000081, 3000952, 3001501])
def test_networks_far_out_are_not_accused(seed):
    """GELUs at pre-activations of thousands were."""
    from tests.reliability.random_networks import draw, outcome

    assert outcome(draw(seed))[0] == "pass"


def test_all_functions_have_array_rules():
    assert ACTIVATION_CHANGES.keys() >= ACTIVATIONS.keys()
    assert LOSS_CHANGES.keys() >= COSTS.keys()


def test_the_same_check_gives_the_same_bits():
    net = network([6, 7, 5, 3], "silu", "softmax", "cross_entropy")
    parameters, (X, Y) = net.initialize(0), data(net, 9)
    reports = [fc.check(net, parameters, net.gradients(parameters, X, Y), X, Y) for _ in range(2)]
    for name in ("gradapprox", "J_plus", "J_minus"):
        assert np.array_equal(getattr(reports[0], name), getattr(reports[1], name))


def test_shallow_networks_are_done_in_numpy_up_to_half_a_second(ledger, compiled):
    given = problem(network([64, 128, 64, 10], "relu", "softmax", "cross_entropy"), 64)
    assert base.ALWAYS < base.numpy_seconds(given.network, given.m) < base.ALWAYS_SHALLOW
    ledger.at_hand = True
    base.engine("response")(given, None, 1e-7, RUN)
    assert compiled == []


@pytest.mark.parametrize("hidden", ["relu", "tanh"])
def test_pieces_on_threads_are_the_same_bits(monkeypatch, hidden):
    for module in (pieces, from_outputs):
        monkeypatch.setattr(module, "PIECE", 1 << 12)
    given = problem(network([30, 60, 40, 10], hidden, "softmax", "cross_entropy"), 64)
    runs = [plain.differences(given, None, 1e-7, Run(threads, 1 << 30)) for threads in (1, 2, 5)]
    for other in runs[1:]:
        assert np.array_equal(runs[0].gradapprox, other.gradapprox)
        assert np.array_equal(np.asarray(runs[0].J_plus), np.asarray(other.J_plus))


@pytest.mark.parametrize("hidden", ["relu", "tanh"])
def test_groups_of_units_change_only_the_last_digits(monkeypatch, hidden):
    given = problem(network([5, 9, 7, 4], hidden, "softmax", "cross_entropy", 0.2), 6)
    monkeypatch.setattr(at_once, "TOGETHER", 0)
    whole = plain.differences(given, None, 1e-7, RUN)
    monkeypatch.setattr(plain, "BLOCK", 100)
    monkeypatch.setattr(plain, "TOGETHER", 0)
    parts = plain.differences(given, None, 1e-7, RUN)
    np.testing.assert_allclose(parts.gradapprox, whole.gradapprox, rtol=0, atol=1e-14 * np.abs(whole.gradapprox).max())
    np.testing.assert_allclose(parts.J_plus, whole.J_plus, rtol=1e-15)


def carried_layers(monkeypatch, given, epsilon):
    """Differences where nothing travels together, and the layers that were carried down from the outputs."""
    usual_way(monkeypatch)
    carried, seen = plain.carried, []
    monkeypatch.setattr(plain, "carried", lambda *given: seen.extend(carried(*given)) or seen)
    found = plain.differences(given, None, epsilon, RUN)
    monkeypatch.undo()
    return found, [layer.layer for layer in seen]


def layer_by_layer(monkeypatch, given, epsilon, indices=None):
    """Differences where nothing is carried down from the outputs."""
    usual_way(monkeypatch)
    monkeypatch.setattr(plain, "carried", lambda *given: [])
    found = plain.differences(given, indices, epsilon, RUN)
    monkeypatch.undo()
    return found


def same_to_rounding(found, other, digits=2e-15):
    """All that differences say of a network."""
    np.testing.assert_allclose(
        found.gradapprox, other.gradapprox, rtol=0, atol=digits * np.abs(other.gradapprox).max())
    every = np.arange(found.gradapprox.size)
    bends = [one.J_plus[every] + one.J_minus[every] - 2.0 * one.cost for one in (found, other)]
    np.testing.assert_allclose(*bends, rtol=0, atol=1e-15 * found.cost)
    assert np.array_equal(found.kinks.where, other.kinks.where)


@pytest.mark.parametrize(("output", "cost"), [("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy")])
@pytest.mark.parametrize("hidden", ["relu", "leaky_relu", "identity"])
def test_straight_layers_are_carried_down_from_the_outputs(monkeypatch, hidden, output, cost):
    """The same numbers as layer by layer; a layer from which a kink may be met further on is not carried."""
    given = problem(network([5, 9, 8, 7, 6, 4], hidden, output, cost), 6)
    found, layers = carried_layers(monkeypatch, given, 1e-7)
    assert layers == [4, 3, 2, 1, 0]
    same_to_rounding(found, layer_by_layer(monkeypatch, given, 1e-7))
    assert (carried_layers(monkeypatch, given, 1.0)[1] == [4, 3, 2, 1, 0]) == (hidden == "identity")


@pytest.mark.parametrize(("output", "cost"), [("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy")])
@pytest.mark.parametrize("epsilon", [1e-9, 5e-8, 1e-6, 1e-4])
@pytest.mark.parametrize("hidden", [["tanh"] * 4, ["relu", "tanh", "relu", "leaky_relu"], ["relu"] * 4])
def test_what_is_carried_down_is_the_same_to_rounding(monkeypatch, hidden, epsilon, output, cost):
    names, widths = [*hidden, output], pairwise([5, 9, 8, 7, 6, 4])
    layers = [fc.Dense(*sizes, name) for sizes, name in zip(widths, names, strict=True)]
    given = problem(fc.Network(layers, cost, 0.1), 6, seed=3)
    found, _ = carried_layers(monkeypatch, given, epsilon)
    same_to_rounding(found, layer_by_layer(monkeypatch, given, epsilon), 2e-15 if epsilon < 1e-6 else 1e-13)


@pytest.mark.parametrize(("hidden", "epsilon"), [("tanh", 5e-8), ("tanh", 2e-6), ("gelu", 1e-7), ("elu", 1e-7)])
@pytest.mark.parametrize(("output", "cost"), [("softmax", "cross_entropy"), ("sigmoid", "binary_cross_entropy"),
                                              ("identity", "mean_squared_error")])
def test_curved_layers_are_carried_down_however_many_follow(monkeypatch, hidden, epsilon, output, cost):
    given = problem(network([5, 9, 8, 7, 6, 4], hidden, output, cost), 6)
    found, layers = carried_layers(monkeypatch, given, epsilon)
    assert layers == [4, 3, 2, 1, 0]
    same_to_rounding(found, layer_by_layer(monkeypatch, given, epsilon), 3e-15 if epsilon < 1e-6 else 1e-13)


@pytest.mark.parametrize(("first", "count"), [(0, 20), (54, 8), (134, 4), (197, 2)])
def test_some_entries_are_carried_down_as_all_are(monkeypatch, first, count):
    """Of all layers, and of the last ones alone."""
    given = problem(network([5, 9, 8, 7, 4], "relu", "softmax", "cross_entropy"), 6)
    whole = carried_layers(monkeypatch, given, 1e-7)[0]
    places = np.random.default_rng(0).choice(given.theta.size - first, count, replace=False)
    indices = np.sort(first + places)
    usual_way(monkeypatch)
    some = plain.differences(given, indices, 1e-7, RUN)
    scale = np.abs(whole.gradapprox).max()
    np.testing.assert_allclose(some.gradapprox, whole.gradapprox[indices], rtol=0, atol=1e-15 * scale)


def test_blocks_of_samples_change_only_the_last_digits(monkeypatch):
    given = problem(network([5, 9, 7, 4], "tanh", "softmax", "cross_entropy"), 6)
    whole = carried_layers(monkeypatch, given, 1e-7)[0]
    monkeypatch.setattr(from_outputs, "ROWS", 1)
    monkeypatch.setattr(from_outputs, "PIECE", 1)
    usual_way(monkeypatch)
    same_to_rounding(plain.differences(given, None, 1e-7, RUN), whole, 1e-15)


@pytest.mark.parametrize("epsilon", [5e-9, 1e-8, 2e-8, 3e-8, 4e-8, 2e-7, 4e-7])
@pytest.mark.parametrize("hidden", [["relu"], ["tanh"], ["relu", "leaky_relu", "tanh"]])
def test_blocks_in_which_other_powers_count_go_together(monkeypatch, hidden, epsilon):
    """Some samples' outputs change by so little that two powers say it, and others' by so much that it takes four."""
    names, widths = [*hidden, *hidden, "softmax"], [5, *[9, 7, 8, 6, 7, 8][: 2 * len(hidden)], 4]
    layers = [fc.Dense(*sizes, name) for sizes, name in zip(pairwise(widths), names, strict=True)]
    parameters = fc.Network(layers, "cross_entropy").initialize(0)
    sizes = [0.01, 0.1, 0.3, 1.0, 3.0, 10.0] * np.random.default_rng(0).normal(size=(5, 6))
    given = problem(fc.Network(layers, "cross_entropy"), 6, parameters=parameters, X=sizes)
    expected = layer_by_layer(monkeypatch, given, epsilon)
    monkeypatch.setattr(from_outputs, "ROWS", 1)
    monkeypatch.setattr(from_outputs, "PIECE", 1)
    usual_way(monkeypatch)

    def unset(shape, dtype=float):
        return np.full(shape, np.nan, dtype) if np.dtype(dtype).kind == "f" else np.zeros(shape, dtype)

    monkeypatch.setattr(np, "empty", unset)
    monkeypatch.setattr(np, "empty_like", lambda array: unset(array.shape, array.dtype))
    found = plain.differences(given, None, epsilon, RUN)
    monkeypatch.undo()
    same_to_rounding(found, expected, 1e-13)


@pytest.mark.parametrize("bad", range(3))
def test_changes_that_are_no_numbers_in_one_block_leave_a_layer_to_the_usual_way(monkeypatch, bad):
    """Whichever block it is; NaN is neither more nor less than any other size."""
    given = problem(network([5, 9, 7, 4], "relu", "softmax", "cross_entropy"), 6)
    expected = layer_by_layer(monkeypatch, given, 1e-7)
    monkeypatch.setattr(from_outputs, "ROWS", 8)
    monkeypatch.setattr(from_outputs, "PIECE", 1)
    blocks = [0, 0]

    def largest(values):
        blocks[values.shape[-1] == 9] += 1
        broken = values.shape[-1] == 9 and blocks[1] == bad + 1
        return np.nan if broken else float(np.abs(values).max())

    monkeypatch.setattr(from_outputs, "largest_of", largest)
    seen = []
    monkeypatch.setattr(plain, "short_responses", lambda *arguments: seen.append(short_responses(*arguments)) or
                        list(seen[0]))
    usual_way(monkeypatch)
    found = plain.differences(given, None, 1e-7, Run(1, 1 << 30))
    assert blocks[1] >= 3
    assert [one.layer for one, _ in seen[0]] == [2, 1]
    same_to_rounding(found, expected)


@pytest.mark.parametrize("samples", [5, 31, 200])
@pytest.mark.parametrize("hidden", ["tanh", "relu"])
def test_a_fault_in_the_sums_is_an_error(monkeypatch, hidden, samples):
    """Whether the parameter is tried in all samples or in some."""
    given = problem(network([6, 7, 5, 3], hidden, "softmax", "cross_entropy"), samples)
    usual_way(monkeypatch)
    assert plain.differences(given, None, 1e-7, RUN).facts["spot_checked"] == 1
    monkeypatch.setattr(plain, "short_responses", lambda *arguments: [
        (replace(one, powers=[power * (1.0 + 1e-4) for power in one.powers]), met)
        for one, met in short_responses(*arguments)])
    with pytest.raises(fc.EngineError, match="spot check"):
        plain.differences(given, None, 1e-7, RUN)


def test_the_spot_check_tries_a_quarter_of_the_samples(monkeypatch):
    """But all where a unit's sums over those at kinks stand only as a whole."""
    seen = []
    literal = spot_check._literal
    monkeypatch.setattr(spot_check, "_literal", lambda point, place, samples, losses: seen.append(len(losses)) or
                        literal(point, place, samples, losses))
    usual_way(monkeypatch)
    for samples in (5, 20, 64, 1000):
        given = problem(network([6, 7, 5, 3], "tanh", "softmax", "cross_entropy"), samples)
        plain.differences(given, None, 1e-7, RUN)
    assert seen[:3] == [5, 10, 16]
    assert seen[3] in (32, 33)
    given = problem(network([6, 7, 5, 3], "relu", "softmax", "cross_entropy"), 40)
    found = plain.differences(given, None, 0.3, RUN)
    assert found.kinks.where.size
    assert seen[-1] == 40


COLD = """
import numpy as np
import fastcheck as fc
from fastcheck.engines import base
from fastcheck.engines.plain import at_once
from numba.core import event
base.ALWAYS_SHALLOW = base.WORTH_COMPILING = at_once.TOGETHER = 0.0
net = fc.Network([fc.Dense(4, 3, "relu"), fc.Dense(3, 1, "sigmoid")], "binary_cross_entropy")
parameters, X, Y = net.initialize(0), np.ones((4, 3)), np.array([1, 1, 0])
said = []
for _ in range(2):
    with event.install_recorder("numba:compile") as record:
        report = fc.check(net, parameters, net.gradients(parameters, X, Y), X, Y, progress=True)
    print(report.ok, len(record.buffer) > 0, report.facts.get("compiling_seconds", 0.0), report.seconds,
          any("Compiling took" in note for note in report.notes))
"""


@pytest.mark.slow
def test_compiling_is_said_and_counted_apart(tmp_path):
    """In a process without machine code on disk: the first report says so, the second has nothing to say."""
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True, timeout=300,
                          env=environment)
    first, second = (line.split() for line in done.stdout.splitlines()[:2])
    assert first[:2] == ["True", "True"]
    assert float(first[2]) > max(1.0, 3.0 * float(first[3]))  # what is left is loading Numba
    assert first[4] == "True"
    assert second[:3] == ["True", "False", "0.0"]
    assert second[4] == "False"


# --- long steps ---------------------------------------------------------------------------------------------------


def test_long_steps_in_numpy_are_reckoned_for_each_parameter():
    net = network([40, 30, 20, 3], "tanh", "softmax", "cross_entropy")
    assert base.numpy_seconds(net, 64, literal=True) > 10.0 * base.numpy_seconds(net, 64)


def test_long_steps_in_numpy_are_told_of_and_can_be_stopped_between_pieces():
    net = network([200, 300, 200, 3], "tanh", "softmax", "cross_entropy")
    given, told = problem(net, 16), []

    def progress(done, total):
        told.append(done)
        if len(told) > 4 and done > total // 2:
            raise KeyboardInterrupt

    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        plain.differences(given, None, 1e-2, Run(threads=2, memory_limit=1 << 30, progress=progress))
    assert time.perf_counter() - started < 5.0
    assert told == sorted(told)
