"""The response engine against fifty digits, against the other engines, and against itself."""

from itertools import islice

import numpy as np
import pytest

from fastcheck._errors import EngineError
from fastcheck.engines import reference
from fastcheck.engines.response import engine, unit_responses
from fastcheck.engines.response.block import FORWARD_SAMPLES, blocks
from fastcheck.engines.response.sample_sums import Places
from fastcheck.runtime.run import Run
from tests.support.jit_mode import COMPILED, size
from tests.support.mpmath_network import central_differences, literal_differences
from tests.support.problems import HIDDEN, OUTPUTS, PAIRS, PIECEWISE, RUN, data, gradient, network, problem


def agrees(given, epsilon, bound=1e-12, oracle=central_differences):
    """Hold the engine's numbers against fifty digits, to ``bound`` of each tensor's scale."""
    found = engine.differences(given, None, epsilon, RUN)
    plus, minus, quotient = oracle(given, epsilon)
    for tensor in given.network.tensors:
        part = slice(tensor.start, tensor.stop)
        scale = np.max(np.abs(quotient[part]))
        assert np.max(np.abs(found.gradapprox[part] - quotient[part])) <= bound * scale, (tensor.name, epsilon)
    size = np.maximum(np.abs(found.cost), np.maximum(np.abs(plus), np.abs(minus)))
    assert np.all(np.abs(found.J_plus - (found.cost + plus)) <= 1e-13 * size)
    assert np.all(np.abs(found.J_minus - (found.cost + minus)) <= 1e-13 * size)
    return found


@pytest.mark.parametrize("hidden", HIDDEN)
def test_fifty_digits_every_activation(hidden):
    for epsilon in (1e-7, 1e-2, 1e-4, 1e-9):
        agrees(problem(network([3, 4, 3, 2], hidden, "softmax", "cross_entropy", 0.1), seed=3), epsilon)


@pytest.mark.parametrize(("cost", "output"), OUTPUTS)
def test_fifty_digits_every_cost(cost, output):
    for epsilon in (1e-7, 1e-2):
        agrees(problem(network([2, 3, 2], "tanh", output, cost, 0.3), seed=5), epsilon)


@pytest.mark.parametrize("depth", range(6))
@pytest.mark.parametrize("m", [1, 4])
def test_fifty_digits_every_depth(depth, m):
    agrees(problem(network([3, *[2] * depth, 1], "relu", "sigmoid", "binary_cross_entropy"), m, seed=depth), 1e-7)


@pytest.mark.parametrize("widths", [[1, 1], [1, 1, 1, 1], [5, 1, 4, 1]])
def test_width_one(widths):
    agrees(problem(network(widths, "tanh", "identity", "squared_error", 1.0), 1, seed=1), 1e-7)


def test_wide_inputs_need_the_quartic():
    given = problem(network([3, 4, 2], "tanh", "softmax", "cross_entropy"), seed=2, X=1000.0 * np.eye(3))
    parameters = {name: 0.003 * value for name, value in given.network.initialize(0).items()}
    agrees(problem(given.network, parameters=parameters, X=1000.0 * np.eye(3), Y=[0, 1, 0]), 1e-7)


@pytest.mark.parametrize("hidden", PIECEWISE)
@pytest.mark.parametrize("offset", [0.0, 1e-8, -1e-8, 1e-12, -1e-12])
@pytest.mark.parametrize("layers", [(1,), (2,), (1, 2), (1, 2, 3)])
def test_kinks(hidden, offset, layers):
    """Pre-activations at a kink or within epsilon of it, in one layer or several at once."""
    from fastcheck.rules.activations import ACTIVATIONS

    net = network([2, 3, 3, 3, 2], hidden, "softmax", "cross_entropy")
    parameters = net.initialize(7)
    X, Y = np.random.default_rng(7).normal(size=(2, 2)), np.array([0, 1])
    for layer in layers:
        run = net.forward(parameters, X)
        breakpoints = ACTIVATIONS[hidden].breakpoints
        for unit in (0, 2):
            parameters[f"b{layer}"][unit] += breakpoints[unit % len(breakpoints)] + offset - run.Z[layer - 1][unit, 0]
    given = problem(net, parameters=parameters, X=X, Y=Y)
    found = agrees(given, 1e-7, oracle=literal_differences)
    assert found.kinks.where.size > 0
    slack = 1e-9 * np.max(np.abs(gradient(given)))
    wanted = gradient(given)[found.kinks.where]
    assert np.all(found.kinks.low - slack <= wanted)
    assert np.all(wanted <= found.kinks.high + slack)
    clean = np.setdiff1d(np.arange(net.size), found.kinks.where)
    assert np.allclose(found.gradapprox[clean], gradient(given)[clean], rtol=1e-9, atol=slack)


def test_exact_zeros_everywhere():
    """Zero inputs and zero parameters: every unit stands on its kink."""
    net = network([3, 4, 4, 2], "relu", "softmax", "cross_entropy")
    parameters = {t.name: np.zeros(t.shape) for t in net.tensors}
    agrees(problem(net, parameters=parameters, X=np.zeros((3, 2)), Y=[0, 1]), 1e-7)


def test_dead_units_and_zero_inputs_have_zero_gradients():
    net = network([3, 4, 2], "relu", "softmax", "cross_entropy")
    parameters = net.initialize(0)
    parameters["b1"][1] = -1e3
    X = np.random.default_rng(0).normal(size=(3, 5))
    X[2] = 0.0
    found = agrees(problem(net, parameters=parameters, X=X, Y=[0, 1, 0, 1, 1]), 1e-7)
    assert np.all(found.gradapprox[:12].reshape(4, 3)[1] == 0.0)
    assert np.all(found.gradapprox[:12].reshape(4, 3)[:, 2] == 0.0)


@pytest.mark.parametrize(("hidden", "cost", "output"), PAIRS)
def test_agrees_with_reference_and_backpropagation(hidden, cost, output):
    for widths, m, l2 in (([4, 3], 5, 0.0), ([4, 5, 3], 1, 0.7), ([3, 6, 5, 4, 2], 6, 0.2)):
        given = problem(network(widths, hidden, output, cost, l2), m, seed=11)
        found = engine.differences(given, None, 1e-7, RUN)
        slow = reference.differences(given, None, 1e-7, RUN)
        assert np.all(np.abs(found.J_plus - slow.J_plus) <= 1e-13 * max(1.0, abs(found.cost)))
        assert np.all(np.abs(found.J_minus - slow.J_minus) <= 1e-13 * max(1.0, abs(found.cost)))
        wanted = gradient(given)
        assert np.linalg.norm(found.gradapprox - wanted) <= 1e-12 * np.linalg.norm(wanted)


@pytest.mark.parametrize("hidden", ["relu", "tanh", "elu"])
def test_bitwise_equal_whatever_the_threads(monkeypatch, hidden):
    if not COMPILED:  # as many pieces of a smaller network
        monkeypatch.setattr(engine, "TASK_OPERATIONS", (1e3, 1e5))
        monkeypatch.setattr(engine, "INLINE_OPERATIONS", 1e3)
    given = problem(network(size([40, 60, 50, 10], [4, 6, 5, 3]), hidden, "softmax", "cross_entropy"), 70)
    runs = [engine.differences(given, None, 1e-7, Run(threads, 1 << 30)) for threads in (1, 2, 5)]
    for other in runs[1:]:
        assert np.array_equal(runs[0].J_plus, other.J_plus)
        assert np.array_equal(runs[0].gradapprox, other.gradapprox)


@pytest.mark.parametrize("hidden", ["relu", "tanh"])
def test_blocks_of_samples_change_only_the_last_digits(hidden):
    given = problem(network(size([20, 30, 25, 5], [4, 6, 5, 3]), hidden, "softmax", "cross_entropy", 0.1), 150)
    whole = engine.differences(given, None, 1e-7, Run(1, 1 << 30))
    pieces = engine.differences(given, None, 1e-7, Run(1, 1 << 16))
    assert np.allclose(whole.gradapprox, pieces.gradapprox, rtol=0, atol=1e-14 * np.max(np.abs(whole.gradapprox)))
    assert np.allclose(whole.noise, pieces.noise, rtol=0.5, atol=0)


@pytest.mark.parametrize("epsilon", [1e-7, 1e-3])
def test_chosen_positions_equal_those_of_all(epsilon):
    given = problem(network([6, 8, 7, 3], "relu", "softmax", "cross_entropy", 0.4), 9)
    whole = engine.differences(given, None, epsilon, RUN)
    chosen = np.sort(np.random.default_rng(0).choice(given.theta.size, 40, replace=False))
    part = engine.differences(given, chosen, epsilon, RUN)
    scale = np.max(np.abs(whole.gradapprox))
    assert np.allclose(part.gradapprox, whole.gradapprox[chosen], rtol=0, atol=1e-14 * scale)
    assert np.allclose(part.J_plus, whole.J_plus[chosen], rtol=1e-15)
    assert np.array_equal(part.kinks.where, np.nonzero(np.isin(chosen, whole.kinks.where))[0])


@pytest.mark.parametrize("fault", ["row", "sums"])
def test_a_fault_in_the_engine_is_an_error(monkeypatch, fault):
    given = problem(network(size([20, 30, 25, 5], [4, 6, 5, 3]), "tanh", "softmax", "cross_entropy"), 50)
    right = unit_responses.respond_block

    def wrong(flat, layer, units, first, last, h, mirror, powers, *rest):
        degree = right(flat, layer, units, first, last, h, mirror, powers, *rest)
        powers[0] *= 1.0 + 1e-4
        return degree

    if fault == "row":
        monkeypatch.setattr(unit_responses, "respond_block", wrong)
    else:
        from fastcheck.engines.response import sample_sums

        powers = sample_sums.powers_of
        monkeypatch.setattr(sample_sums, "powers_of",
                            lambda a, degree: tuple(p * (1.0 + 1e-6) for p in powers(a, degree)))
    with pytest.raises(EngineError, match="spot check"):
        engine.differences(given, None, 1e-7, RUN)


def test_where_little_can_be_afforded_a_sample_is_still_propagated(monkeypatch):
    given = problem(network([4, 6, 5, 3], "tanh", "softmax", "cross_entropy"), 1)
    right = unit_responses.respond_block

    def wrong(flat, layer, units, first, last, h, mirror, powers, *rest):
        degree = right(flat, layer, units, first, last, h, mirror, powers, *rest)
        powers[0] *= 2.0
        return degree

    monkeypatch.setattr(unit_responses, "respond_block", wrong)
    with pytest.raises(EngineError, match="spot check"):
        engine.differences(given, None, 1e-7, RUN)


def test_not_a_number_reaches_the_results():
    net = network([3, 4, 2], "relu", "softmax", "cross_entropy")
    parameters = net.initialize(0)
    parameters["W1"][0, 0] = np.nan
    found = engine.differences(problem(net, parameters=parameters), None, 1e-7, RUN)
    assert np.isnan(found.cost)


@pytest.mark.parametrize("seed", [10573, 595566])
def test_rounding_is_no_fault(seed):
    """Once engine errors: responses of 1e-18, and an output that meets its target, both below literal propagation."""
    from tests.reliability.random_networks import draw, outcome

    assert outcome(draw(seed))[0] == "pass"


def test_wide_layers_some_of_whose_units_are_dead():
    """More living units than our own product is made for, and not all of them: their weights are gathered."""
    net = network([2, 3, 5, 70, 2], "relu", "softmax", "cross_entropy")
    parameters = net.initialize(4)
    parameters["b2"][1] = -1e3
    parameters["b3"][::2] += 1.0
    parameters["b3"][1::5] = -1e3
    given = problem(net, 2, parameters=parameters)
    found = engine.differences(given, None, 1e-7, RUN)
    wanted = gradient(given)
    assert np.max(np.abs(found.gradapprox - wanted)) <= 1e-13 * np.max(np.abs(wanted))


def test_a_kink_that_only_several_changes_together_reach():
    """Four units pass a change on; their sum wakes a unit that none of them alone would."""
    net = network([1, 1, 4, 1, 1], "relu", "identity", "squared_error")
    parameters = {
        "W1": [[1.0]], "b1": [[1.0]], "W2": np.ones((4, 1)), "b2": np.ones((4, 1)),
        "W3": np.ones((1, 4)), "b3": [[-8.0 - 2.5e-7]], "W4": [[3.0]], "b4": [[0.5]],
    }  # fmt: skip
    parameters = {name: np.array(value) for name, value in parameters.items()}
    given = problem(net, parameters=parameters, X=np.zeros((1, 1)), Y=np.zeros((1, 1)))
    found = agrees(given, 1e-7, oracle=literal_differences)
    assert net.tensors[1].start in found.kinks.where
    assert found.gradapprox[net.tensors[1].start] > 1.0


def test_one_very_wide_layer():
    given = problem(network([1, 300], "", "identity", "squared_error"), 20)
    found = engine.differences(given, None, 1e-7, RUN)
    np.testing.assert_allclose(found.gradapprox, gradient(given), rtol=0, atol=1e-14)


def test_units_with_a_gap_between_them():
    """Positions of the first and the third unit only: no run of neighbours."""
    given = problem(network([3, 4, 2], "tanh", "softmax", "cross_entropy"))
    chosen = np.array([0, 1, 2, 6, 7, 8])
    whole = engine.differences(given, None, 1e-7, RUN)
    part = engine.differences(given, chosen, 1e-7, RUN)
    np.testing.assert_allclose(part.gradapprox, whole.gradapprox[chosen], rtol=1e-12)


@pytest.mark.parametrize("hidden", ["tanh", "silu"])
def test_costs_near_a_perfect_fit_keep_the_fourth_power(hidden):
    """Where the cost is zero its change is even: what the quartic adds to it is then seen."""
    net = network([3, 4, 2], hidden, "identity", "squared_error")
    X, parameters = 2.0 * np.random.default_rng(1).normal(size=(3, 3)), net.initialize(1)
    given = problem(net, parameters=parameters, X=X, Y=net.forward(parameters, X).A[-1])
    epsilon = 1e-4
    found = engine.differences(given, None, epsilon, RUN)
    plus, minus, _ = central_differences(given, epsilon)
    np.testing.assert_allclose(found.J_plus, plus, rtol=3e-10)
    np.testing.assert_allclose(found.J_minus, minus, rtol=3e-10)


@pytest.mark.parametrize("hidden", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("epsilon", [1e-4, 1e-7, 1e-14])
def test_a_perfect_fit_is_no_fault(hidden, epsilon):
    """Once an engine error: where losses are flat, rounding moves the perturbed ones the more."""
    net = network([3, 4, 2], hidden, "identity", "squared_error")
    for seed in range(10):
        X, parameters = np.random.default_rng(seed).normal(size=(3, 3)), net.initialize(seed)
        given = problem(net, parameters=parameters, X=X, Y=net.forward(parameters, X).A[-1])
        found = engine.differences(given, None, epsilon, RUN)
        assert found.cost == 0.0
        assert np.max(np.abs(found.gradapprox)) <= 10.0 * epsilon  # one-sided where a kink is within reach


def test_kinks_at_a_perfect_fit():
    """The cost is zero and rises as a square to one side of each kink: half of that is its even part."""
    net = network([1, 2, 1], "relu", "identity", "squared_error")
    parameters = {"W1": [[0.5], [-2.0]], "b1": [[-0.5], [2.0]], "W2": [[1.5, -3.0]], "b2": [[0.25]]}
    parameters = {name: np.array(value) for name, value in parameters.items()}
    given = problem(net, parameters=parameters, X=np.ones((1, 1)), Y=np.full((1, 1), 0.25))
    found = engine.differences(given, None, 1e-7, RUN)
    plus, minus, _ = literal_differences(given, 1e-7)
    assert found.cost == 0.0
    np.testing.assert_allclose(found.J_plus, plus, rtol=1e-7)
    np.testing.assert_allclose(found.J_minus, minus, rtol=1e-7)


@pytest.mark.parametrize("epsilon", [unit_responses.QUADRATIC_REACH, unit_responses.QUARTIC_REACH])
def test_kinks_at_the_longest_steps(epsilon):
    """Steps as long as a quadratic, or a quartic, is good for."""
    net = network([2, 3, 2], "elu", "identity", "squared_error")
    parameters = net.initialize(3)
    parameters["b1"][1] = 0.0
    given = problem(net, 2, parameters=parameters, X=np.array([[0.0, 0.5], [0.0, -0.25]]))
    found = agrees(given, epsilon, oracle=literal_differences)
    assert net.tensors[1].start + 1 in found.kinks.where


@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_a_kink_that_only_rounding_keeps_away_is_met(bias):
    """The pre-activation is an ulp of its terms: on which side of the kink it lies nobody knows."""
    net = network([2, 1, 1], "relu", "identity", "squared_error")
    parameters = {"W1": [[1e6, bias - 1e6]], "b1": [[-bias]], "W2": [[1.0]], "b2": [[0.0]]}
    parameters = {name: np.array(value) for name, value in parameters.items()}
    X = np.array([[1.0], [1.0 - 2.0**-53]])
    found = engine.differences(problem(net, parameters=parameters, X=X, Y=np.ones((1, 1))), None, 1e-12, RUN)
    assert found.kinks.where.tolist() == [0, 1, 2]


def test_only_changes_that_reach_a_kink_are_at_it():
    """Half a step from its kink: the larger input's weight and the bias get there, the smaller input's does not."""
    net = network([2, 1, 1], "relu", "identity", "squared_error")
    X = np.array([[1.0], [0.1]])
    parameters = net.initialize(2)
    parameters["b1"][:] = 0.5e-7 - parameters["W1"] @ X
    found = agrees(problem(net, parameters=parameters, X=X, Y=np.ones((1, 1))), 1e-7, oracle=literal_differences)
    assert found.kinks.where.tolist() == [0, net.tensors[1].start]


# --- where parameters stand -------------------------------------------------------------------------------------

@pytest.mark.parametrize("layer", [0, 1])
def test_whole_units_are_known_as_such(layer):
    """Their sums are added row by row; all else is picked entry by entry."""
    given = problem(network([4, 5, 6, 3], "tanh", "softmax", "cross_entropy"))
    weights, bias = given.network.tensors[2 * layer : 2 * layer + 2]
    outputs, inputs = weights.shape
    for first in range(outputs):
        for last in range(first + 1, outputs + 1):
            rows = np.arange(weights.start + first * inputs, weights.start + last * inputs)
            whole = np.concatenate([rows, np.arange(bias.start + first, bias.start + last)])
            place = Places(given, layer, whole)
            assert place.whole
            assert place.units.tolist() == list(range(first, last))
            assert place.position(first, inputs) == rows.size
            assert place.position(last - 1, 1) == rows.size - inputs + 1
            for moved in (0, rows.size - 1, rows.size, whole.size - 1):  # another entry instead of an end
                for other in np.setdiff1d(np.arange(weights.start, bias.stop), whole):
                    part = np.sort(np.append(np.delete(whole, moved), other))
                    assert not Places(given, layer, part).whole


# --- noise ------------------------------------------------------------------------------------------------------

def homogeneous(kinks):
    """A network of straight pieces, its parameters, X and Y; where wanted every unit of it stands on its kink."""
    net = network([3, 4, 3, 2], "relu", "identity", "squared_error")
    parameters, (X, Y) = net.initialize(8), data(net, 1 if kinks else 3, seed=8)
    if kinks:
        X, parameters = 0.0 * X, parameters | {f"b{k}": 0.0 * parameters[f"b{k}"] for k in (1, 2, 3)}
    return net, parameters, X, Y


@pytest.mark.parametrize("kinks", [False, True])
def test_noise_grows_with_the_gradient(kinks):
    """Outputs and targets doubled: the cost is four times itself, and so is every hidden layer's gradient."""
    net, parameters, X, Y = homogeneous(kinks)
    before = engine.differences(problem(net, parameters=parameters, X=X, Y=Y), None, 1e-7, RUN)
    doubled = parameters | {"W3": 2.0 * parameters["W3"], "b3": 2.0 * parameters["b3"]}
    after = engine.differences(problem(net, parameters=doubled, X=X, Y=2.0 * Y), None, 1e-7, RUN)
    np.testing.assert_allclose(after.noise, before.noise * [4, 4, 4, 4, 2, 2], rtol=1e-12)
    assert before.noise[1] > 0.0


def test_noise_grows_with_the_inputs():
    """X doubled and W1 halved: nothing changes but the gradient of W1, which doubles."""
    net, parameters, X, Y = homogeneous(kinks=False)
    before = engine.differences(problem(net, parameters=parameters, X=X, Y=Y), None, 1e-7, RUN)
    halved = parameters | {"W1": 0.5 * parameters["W1"]}
    after = engine.differences(problem(net, parameters=halved, X=2.0 * X, Y=Y), None, 1e-7, RUN)
    np.testing.assert_allclose(after.noise, before.noise * [2, 1, 1, 1, 1, 1], rtol=1e-12)


@pytest.mark.parametrize("hidden", ["relu", "tanh"])
def test_the_same_samples_again_change_no_noise(hidden):
    net = network([3, 4, 2], hidden, "softmax", "cross_entropy")
    X, Y = data(net, 4)
    once, twice = (
        engine.differences(problem(net, X=np.tile(X, n), Y=np.tile(Y, n)), None, 1e-7, RUN) for n in (1, 2)
    )
    np.testing.assert_allclose(twice.noise, once.noise, rtol=1e-9)


def test_the_order_of_units_changes_no_noise():
    """One of them sees a far larger pre-activation than the others, whose rounding counts."""
    net = network([1, 3, 2], "tanh", "identity", "squared_error")
    parameters, (X, Y) = net.initialize(0), data(net, 2)
    parameters["b1"][0] = 3.0
    noises = []
    for units in ([0, 1, 2], [2, 1, 0]):
        parameters |= {"W1": parameters["W1"][units], "b1": parameters["b1"][units], "W2": parameters["W2"][:, units]}
        noises.append(engine.differences(problem(net, parameters=parameters, X=X, Y=Y), None, 1e-7, RUN).noise)
    np.testing.assert_allclose(noises[1], noises[0], rtol=1e-12)
    assert np.min(noises[0]) > 0.0


@pytest.mark.parametrize("height", [1.0, 10.0, 40.0])
def test_noise_is_what_rounding_of_the_pre_activations_makes(height):
    """Where a unit is saturated a pre-activation's rounding, some ulps of it, is its slope's relative error."""
    net = network([9, 1], "", "sigmoid", "binary_cross_entropy")
    errors = []
    for seed in range(12):
        X, parameters = np.random.default_rng(seed).normal(size=(9, 1)), net.initialize(seed)
        parameters["W1"] *= -height / (parameters["W1"] @ X).item()
        given = problem(net, parameters=parameters, X=X, Y=np.zeros((1, 1)))
        found = engine.differences(given, None, 1e-7, RUN)
        errors.append(np.max(np.abs(found.gradapprox - central_differences(given, 1e-7)[2])[:9] / found.noise[0]))
    assert 0.1 < np.max(errors) < 4.0


# --- memory -----------------------------------------------------------------------------------------------------

def memory(arrays):
    return sum(part.nbytes for part in arrays if isinstance(part, np.ndarray))


@pytest.mark.parametrize("limit", [1 << 19, 1 << 21, 1 << 23])
def test_what_works_at_once_stays_within_its_share_of_the_memory(monkeypatch, limit):
    """Half of the limit for a block of samples and its responses, half for the buffers of the threads' tasks."""
    given = problem(network([5, 300, 40, 2], "relu", "softmax", "cross_entropy"), 70)
    theta, seen = memory([given.theta]), []

    def only_count(task, items, threads, done):
        seen.append((items, threads))
        return [2] * len(items)

    for block in islice(blocks(given, 1e-7, Run(64, limit)), 1):
        monkeypatch.setattr(engine, "run_all", only_count)
        found = engine.respond(block, [np.arange(n) for n in given.network.widths[1:]], Run(64, limit))
        held = memory(block.flat) - theta + memory(block.inputs)
        held += sum(memory([layer.powers, layer.bounds, layer.kinds]) for layer in found)
        assert held <= limit / 2 or block.m == FORWARD_SAMPLES
        items, threads = seen[-1]
        most = max(task.units.size for task in items)
        buffers = 2 * 2 * 8 * 300 * most  # two, with a float for both signs of each unit at the widest layer
        least = most == engine.LEAST_COLUMNS
        assert buffers <= limit / 16 or least
        assert threads * buffers <= limit / 2 or threads == 1
        assert threads == 64 or (threads + 1) * buffers > limit / 4  # and no fewer than need be


@pytest.mark.parametrize("limit", [1 << 30, 1 << 16])
def test_progress_rises_to_the_number_of_parameters(monkeypatch, limit):
    """Whether the samples come in one block or several, and each block's work in one piece or many."""
    monkeypatch.setattr(engine, "TASK_OPERATIONS", (1e3, 1e4))
    calls = []
    given = problem(network([4, 6, 5, 3], "relu", "softmax", "cross_entropy"), 150)
    engine.differences(given, None, 1e-7, Run(1, limit, lambda done, total: calls.append((done, total))))
    n = given.network.size
    done = [first for first, _ in calls]
    assert {total for _, total in calls} == {n}
    assert done == sorted(done)
    assert done[-1] == n
    assert 0 <= done[0] <= 0.2 * n
    assert np.max(np.diff(done)) <= 0.2 * n
