"""A watch keeps to its share of the time, covers everything, finds what is wrong, and never cries wolf."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.checks.watch import watch as watching
from fastcheck.checks.watch.random_direction import ROUNDING
from fastcheck.checks.watch.time_budget import AFTERWARDS
from tests.support.problems import HIDDEN, OUTPUTS, data, network

ALWAYS = 1e9  # an overhead that leaves no step out


def example(hidden="tanh", widths=(5, 6, 4, 3), output="softmax", cost="cross_entropy", m=8):
    """A network, its parameters, right gradients, X and Y."""
    net = network(list(widths), hidden, output, cost, 0.1)
    parameters, (X, Y) = net.initialize(0), data(net, m)
    return net, parameters, net.gradients(parameters, X, Y), X, Y


class Clock:
    """Time that passes only where a test says so: by a look's fixed cost and for each unit, and between steps."""

    def __init__(self, monkeypatch, fixed=0.002, unit=0.001):
        self.now, self.fixed, self.unit = 100.0, fixed, unit
        self.validate, self.take = watching.network_problem, watching.Rotation.ahead
        monkeypatch.setattr(watching, "perf_counter", lambda: self.now)
        monkeypatch.setattr(watching, "network_problem", self.slow_problem)
        monkeypatch.setattr(watching.Rotation, "ahead", lambda rotation, count: self.slow_take(rotation, count))

    def slow_problem(self, *given):
        self.now += self.fixed
        return self.validate(*given)

    def slow_take(self, rotation, count):
        self.now += self.unit * min(count, rotation.left)
        return self.take(rotation, count)


SMALL = """
import sys
import numpy as np
import fastcheck as fc
net = fc.Network([fc.Dense(4, 5, "relu"), fc.Dense(5, 3, "tanh"), fc.Dense(3, 1, "sigmoid")], "binary_cross_entropy")
parameters, X, Y = net.initialize(0), np.ones((4, 3)), np.array([1, 1, 0])
watch = fc.Watch(net, overhead=1e9)
for _ in range(20):
    watch(parameters, net.gradients(parameters, X, Y), X, Y)
print(watch.glances > 0, watch.looks > 0, "numba" in sys.modules)
"""


def test_what_numpy_does_is_watched_without_machine_code():
    done = subprocess.run([sys.executable, "-c", SMALL], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["True", "True", "False"]


LOGITS, PROBABILITIES = ("softmax", "cross_entropy"), ("sigmoid", "squared_error")


@pytest.mark.parametrize(("hidden", "depth", "loss", "asked"), [
    ("relu", 6, LOGITS, 0), ("tanh", 2, LOGITS, 0), ("tanh", 6, LOGITS, 0), ("gelu", 2, LOGITS, 0),
    ("tanh", 6, PROBABILITIES, 2),
])
def test_what_looks_need_is_compiled_when_the_watch_is_made(monkeypatch, hidden, depth, loss, asked):
    """For steps of usual length and for those that meet kinks."""
    calls = []
    monkeypatch.setattr(watching, "engine", lambda name: lambda *given: calls.append(given))
    watching.warm_up(network([30] * depth + [10], hidden, *loss))
    assert len(calls) == asked


def repeat(watch, step, number):
    for _ in range(number):
        watch(*step)


def no_glances(monkeypatch):
    monkeypatch.setattr(watching.Glance, "suspects", lambda self, problem, gradient: False)


@pytest.mark.parametrize("overhead", [0.01, 0.1, 1.0])
def test_time_spent_is_the_share_asked_for(monkeypatch, overhead):
    clock, (net, *step) = Clock(monkeypatch), example()
    watch = fc.Watch(net, overhead=overhead)
    watch._budget.skip = 2e-6
    began, looks, longest = clock.now, 0.0, 0.0
    while clock.now < began + 1.0 / overhead:
        before = clock.now
        watch(*step)
        looks, longest = looks + clock.now - before, max(longest, clock.now - before)
        clock.now += 1e-3 + watch._budget.skip
    outside = clock.now - began - looks
    spent = looks + watch.steps * watch._budget.skip
    charged = spent + AFTERWARDS * looks
    assert 0.6 * overhead * outside <= charged <= overhead * outside + (1.0 + AFTERWARDS) * longest
    assert watch.seconds == pytest.approx(spent)
    assert watch.coverage == 1.0
    assert watch.rotations > 1


def test_where_doing_nothing_costs_more_than_the_share_looks_go_on(monkeypatch):
    clock, (net, *step) = Clock(monkeypatch), example()
    watch = fc.Watch(net, overhead=0.01)
    watch._budget.skip = 1e-3
    for _ in range(10_000):
        watch(*step)
        clock.now += 1e-3
    assert watch.glances > 3
    assert watch.looks > 3


def test_glances_and_looks_share_the_time(monkeypatch):
    clock, (net, *step) = Clock(monkeypatch), example()
    watch = fc.Watch(net, overhead=0.1)
    while watch.looks < 50:
        watch(*step)
        clock.now += 1e-3
    assert watch.glances > watch.looks
    assert watch._spent["glances"] == pytest.approx(watch._spent["looks"], rel=0.1)


@pytest.mark.parametrize(("fixed", "unit", "largest"), [(0.01, 0.001, 40), (0.1, 1e-6, 41), (0.001, 0.1, 4)])
def test_share_of_units_follows_what_looks_cost(monkeypatch, fixed, unit, largest):
    clock = Clock(monkeypatch, fixed, unit)
    net, *step = example(widths=(5, 20, 17, 4))
    watch = fc.Watch(net, overhead=ALWAYS)
    while watch.looks < 15:
        watch(*step)
        clock.now += 1.0
    assert 0.25 * largest <= watch._share <= largest


@pytest.mark.parametrize("glances", [True, False])
@pytest.mark.parametrize("tensor", ["W1", "b1", "W2", "b2", "W3", "b3"])
def test_any_wrong_entry_is_found_within_a_rotation(monkeypatch, tensor, glances):
    net, parameters, gradients, X, Y = example()
    if not glances:
        no_glances(monkeypatch)
    watch = fc.Watch(net, overhead=ALWAYS)
    while watch.rotations == 0:
        watch(parameters, gradients, X, Y)
    gradients["d" + tensor].flat[-1] *= 1.001
    sound = {name: value.copy() for name, value in gradients.items()}
    rotations, step = watch.rotations, watch.steps
    with pytest.raises(fc.GradientMismatch) as caught:
        repeat(watch, (parameters, gradients, X, Y), 10_000)
    assert watch.rotations <= rotations + 1
    if glances:
        assert caught.value.step == step + 1 or watch._spent["looks"] > 0
    assert caught.value.report.failures[0].name == tensor
    assert caught.value.report.gradapprox.size == net.size
    assert watch.failures == 1
    assert watch.worst >= caught.value.report.difference > 1e-7
    assert watch.worst_step == caught.value.step == watch.steps
    assert all(np.array_equal(gradients[name], sound[name]) for name in sound)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e300])
def test_the_first_step_is_looked_at_and_what_is_absurd_fails_at_once(value):
    net, parameters, gradients, X, Y = example("relu")
    gradients["dW2"][1, 1] = value
    with pytest.raises(fc.GradientMismatch, match=r"step 1: (.|\n)*dW2"):
        fc.Watch(net)(parameters, gradients, X, Y)


def test_parameters_that_are_not_finite_fail():
    net, parameters, gradients, X, Y = example()
    parameters["b2"][0] = np.nan
    with pytest.raises(fc.GradientMismatch, match="cost is nan"):
        fc.Watch(net)(parameters, gradients, X, Y)


def test_on_fail_gets_the_report_and_training_goes_on():
    net, parameters, gradients, X, Y = example()
    reports = []
    watch = fc.Watch(net, overhead=ALWAYS, on_fail=reports.append)
    gradients["dW1"] *= 2.0
    while len(reports) < 3:
        assert watch(parameters, gradients, X, Y)
    assert watch.failures == 3
    assert "2.000 times" in reports[0].failures[0].diagnosis
    gradients["dW1"] /= 2.0
    assert watch(parameters, gradients, X, Y)
    assert watch.failures == 3


@pytest.mark.parametrize("hidden", HIDDEN)
def test_right_gradients_of_every_activation(hidden):
    net, *step = example(hidden)
    watch = fc.Watch(net, overhead=ALWAYS)
    while watch.rotations < 2:
        assert watch(*step)
    assert watch.failures == watch.inconclusive == 0
    assert watch.worst < 1e-9


@pytest.mark.parametrize(("cost", "output"), OUTPUTS)
def test_right_gradients_of_every_cost(cost, output):
    net, *step = example(output=output, cost=cost, m=3)
    watch = fc.Watch(net, overhead=ALWAYS)
    for _ in range(30):
        watch(*step)
    assert watch.failures == 0


@pytest.mark.parametrize(("hidden", "rate"), [("relu", 1.0), ("tanh", 5.0)])
def test_training_among_kinks_and_saturated_units_raises_no_alarm(hidden, rate):
    """With such rates units die, or saturate; the minibatches have different sizes."""
    net = network([6, 10, 8, 3], hidden, "softmax", "cross_entropy")
    rng, parameters = np.random.default_rng(0), net.initialize(0)
    data_X = rng.normal(size=(6, 100))
    labels = np.argmax(data_X[:3] ** 2, axis=0)
    watch = fc.Watch(net, overhead=ALWAYS)
    for _ in range(400):
        chosen = rng.choice(100, rng.integers(1, 20), replace=False)
        X, Y = data_X[:, chosen], labels[chosen]
        gradients = net.gradients(parameters, X, Y)
        watch(parameters, gradients, X, Y)
        for name in parameters:
            parameters[name] -= rate * gradients["d" + name]
    assert watch.failures == 0
    assert watch.rotations > 2


def test_single_precision_is_no_mistake_and_soon_costs_no_more():
    net, parameters, _, X, Y = example("relu")
    parameters = {name: value.astype(np.float32) for name, value in parameters.items()}
    gradients = {name: value.astype(np.float32) for name, value in net.gradients(parameters, X, Y).items()}
    watch = fc.Watch(net, overhead=ALWAYS)
    for _ in range(100):
        watch(parameters, gradients, X, Y)
    assert watch.failures == 0
    assert watch._glance.allowed < 1e-5
    gradients["dW1"][0, 0] *= 1.1
    with pytest.raises(fc.GradientMismatch):
        repeat(watch, (parameters, gradients, X, Y), 20)


def test_no_verdict_never_raises():
    net = network([2, 3, 1], "relu", "identity", "squared_error")
    parameters = {name: np.zeros_like(value) for name, value in net.initialize(0).items()}
    gradients = {f"d{name}": value for name, value in parameters.items()}
    watch = fc.Watch(net, overhead=ALWAYS)
    for _ in range(20):
        watch(parameters, gradients, np.ones((2, 4)), np.zeros((1, 4)))
    assert watch.failures == 0


def test_digits_lost_by_a_right_back_propagation_give_no_verdict_and_no_alarm():
    net = network([2, 1], "tanh", "sigmoid", "binary_cross_entropy")
    parameters = {"W1": np.array([[30.0, 0.0]]), "b1": np.array([[0.0]])}
    X, Y = np.array([[1.0, 1.1, 1.2], [1.0, 2.0, 3.0]]), np.ones((1, 3))
    a = 1.0 / (1.0 + np.exp(-parameters["W1"] @ X))
    gradients = {"dW1": (a - Y) @ X.T / 3.0, "db1": np.sum(a - Y, axis=1, keepdims=True) / 3.0}
    assert fc.check(net, parameters, gradients, X, Y).verdict == "inconclusive"
    watch = fc.Watch(net, overhead=ALWAYS)
    for _ in range(20):
        watch(parameters, gradients, X, Y)
    assert watch.failures == 0
    assert watch.inconclusive > 0


def test_bad_arguments_are_refused_before_training():
    net, *_ = example()
    with pytest.raises(TypeError, match="net: expected a fastcheck.Network"):
        fc.Watch("net")
    with pytest.raises(ValueError, match="overhead: expected a finite number above 0, got 0"):
        fc.Watch(net, overhead=0)
    with pytest.raises(TypeError, match="on_fail: expected .*, got .*3"):
        fc.Watch(net, on_fail=3)
    with pytest.raises(ValueError, match="tolerance"):
        fc.Watch(net, tolerance=-1.0)
    with pytest.raises(ValueError, match="threads"):
        fc.Watch(net, threads=0)
    with pytest.raises(ValueError, match="dropout"):
        fc.Watch(fc.Network([fc.Dense(2, 3, "relu", dropout=0.5), fc.Dense(3, 1, "sigmoid")],
                            cost="binary_cross_entropy"))


def test_what_does_not_fit_is_refused_by_the_call_that_looks():
    net, parameters, gradients, X, Y = example()
    with pytest.raises(ValueError, match=r"X: expected shape \(5, m\)"):
        fc.Watch(net)(parameters, gradients, X[1:], Y)


def test_the_mismatch_survives_pickling_and_the_watch_describes_itself():
    net, parameters, gradients, X, Y = example()
    watch = fc.Watch(net)
    gradients["dW1"] *= -1.0
    with pytest.raises(fc.GradientMismatch) as caught:
        watch(parameters, gradients, X, Y)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.step, again.report.verdict) == (1, "fail")
    assert str(again) == str(caught.value)
    assert "1 steps, 1 glances" in repr(watch)
    assert "1 failures" in repr(watch)


@pytest.mark.parametrize("verdict", ["inconclusive", "pass"])
def test_only_a_check_that_passed_excuses_a_glance_and_not_for_good(monkeypatch, verdict):
    """A check that comes to no verdict must not blind the watch to all that follows."""
    net, parameters, right, X, Y = example()
    watch = fc.Watch(net, overhead=ALWAYS)
    seen = fc.check(net, parameters, right, X, Y)

    class Harmless:
        judgement = seen.judgement

    Harmless.verdict = verdict
    with monkeypatch.context() as patched:
        patched.setattr(watching, "check", lambda *arguments, **options: Harmless)
        repeat(watch, (parameters, {name: 3.0 * value for name, value in right.items()}, X, Y), 1)
    assert watch.glances == 1
    assert (watch._glance.allowed > 0.1) == (verdict == "pass")
    while watch._glance.allowed > ROUNDING:
        repeat(watch, (parameters, right, X, Y), 100)
        assert watch.steps < 10_000
    with pytest.raises(fc.GradientMismatch):
        repeat(watch, (parameters, {name: -value for name, value in right.items()}, X, Y), 3)


@pytest.mark.parametrize(("output", "cost"), [("identity", "squared_error"), ("sigmoid", "binary_cross_entropy"),
                                              ("softmax", "cross_entropy")])
def test_wrong_gradients_of_a_converged_training_are_raised(output, cost):
    net, parameters, gradients, X, Y = example(widths=(3, 2), output=output, cost=cost, m=60)
    for _ in range(30_000):
        parameters = {name: value - 1.0 * gradients["d" + name] for name, value in parameters.items()}
        gradients = net.gradients(parameters, X, Y)
        if max(np.abs(g).max() for g in gradients.values()) < 1e-6:
            break
    watch = fc.Watch(net, overhead=ALWAYS)
    repeat(watch, (parameters, gradients, X, Y), 20)
    assert watch.failures == 0
    for factor in (-1.0, 2.0, 1.01, 0.0):
        wrong = {name: factor * gradient for name, gradient in gradients.items()}
        with pytest.raises(fc.GradientMismatch):
            repeat(fc.Watch(net, overhead=ALWAYS), (parameters, wrong, X, Y), 20)
