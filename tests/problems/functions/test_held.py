"""Costs without arguments: a class's loss is differenced exactly, and the object is left as it was."""

from contextlib import suppress
from itertools import count

import numpy as np
import pytest

import fastcheck as fc
from tests.support.refusals import refuses

RNG = np.random.default_rng(1)
X, Y = RNG.standard_normal((6, 4)), RNG.integers(0, 3, 6)


class Net:
    """CS231n's two-layer network as a class that keeps its parameters, its gradients and what it computed."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.params = {"W1": rng.standard_normal((4, 5)), "b1": np.full(5, 0.1), "W2": rng.standard_normal((5, 3)),
                       "b2": np.array([-0.0, 0.2, 0.3])}
        self.grads = {name: np.zeros_like(array) for name, array in self.params.items()}
        self.calls, self.hidden = 0, None

    def loss(self, X, y):
        p, n = self.params, len(X)
        self.calls += 1
        self.hidden = np.maximum(0.0, X @ p["W1"] + p["b1"])
        scores = self.hidden @ p["W2"] + p["b2"]
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = e / e.sum(axis=1, keepdims=True)
        d = probabilities.copy()
        d[np.arange(n), y] -= 1.0
        d /= n
        self.grads["W2"][...] = self.hidden.T @ d
        self.grads["b2"] = d.sum(axis=0)
        dh = d @ p["W2"].T * (self.hidden > 0)
        self.grads["W1"], self.grads["b1"] = X.T @ dh, dh.sum(axis=0)
        return -np.log(probabilities[np.arange(n), y]).mean()


def state(model):
    """Everything the model keeps, by identity and content."""
    arrays = {**model.params, **{f"d{name}": value for name, value in model.grads.items()}, "hidden": model.hidden}
    return {name: (id(value), value.tobytes()) for name, value in arrays.items()}, model.calls


@pytest.fixture
def model():
    made = Net()
    made.loss(X, Y)
    return made


@pytest.mark.parametrize(("engine", "precision"), [(None, 1e-14), ("program", 1e-14), ("differences", 1e-8)])
def test_a_class_is_checked_and_left_as_it_was(model, engine, precision):
    before = state(model)
    report = fc.check_function(lambda: model.loss(X, Y), model.params, model.grads, engine=engine)
    assert report.ok, str(report)
    assert report.difference < precision
    assert report.engine == (engine or "program")
    assert state(model) == before
    assert np.signbit(model.params["b2"][0])


@pytest.mark.parametrize("engine", ["program", "differences"])
@pytest.mark.parametrize("name", ["W1", "b1", "W2", "b2"])
def test_a_mistake_is_found_where_it_is(model, engine, name):
    wrong = model.grads | {name: 1.01 * model.grads[name]}
    report = fc.check_function(lambda: model.loss(X, Y), model.params, wrong, engine=engine)
    assert [t.name for t in report.failures] == [name]


@pytest.mark.parametrize("options", [{"method": "directional"}, {"method": "sample", "samples": 9}])
@pytest.mark.parametrize("engine", ["program", "differences"])
def test_other_methods(model, engine, options):
    before = state(model)
    assert fc.check_function(lambda: model.loss(X, Y), model.params, model.grads, engine=engine, **options).ok
    assert state(model) == before


@pytest.mark.parametrize("call", [2, 3, 4, 17, 40])
@pytest.mark.parametrize("raised", [KeyboardInterrupt, ZeroDivisionError("late"), MemoryError, SystemExit])
def test_whatever_is_raised_the_model_is_as_it_was(model, call, raised):
    before, calls, came = state(model), count(1), iter([True])

    def cost():
        value = model.loss(X, Y)
        if next(calls) == call:
            next(came)
            raise raised
        return value

    with suppress(BaseException):
        fc.check_function(cost, model.params, model.grads, engine="differences")
    assert not list(came)
    assert state(model) == before


def test_report_looked_at_later_does_not_undo_training(model):
    report = fc.check_function(lambda: model.loss(X, Y), model.params, model.grads)
    model.params["W1"] += 1.0
    trained = model.params["W1"].copy()
    assert report.J_plus.size == 43
    assert report.to_json()
    np.testing.assert_array_equal(model.params["W1"], trained)


def test_parameters_in_lists_and_closures_and_views():
    W, b = RNG.standard_normal((3, 4)), RNG.standard_normal(3)
    weights = [W, b]
    turned = W.T  # a view, kept beside it
    x = RNG.standard_normal(4)

    def cost():
        return float(np.sum(np.tanh(x @ turned + weights[1])))

    s = 1.0 - np.tanh(W @ x + b) ** 2
    for engine in ("program", "differences"):
        report = fc.check_function(cost, [W, b], [np.outer(s, x), s], engine=engine)
        assert report.ok, str(report)


def test_an_array_that_the_cost_does_not_read_is_no_accusation(model):
    """A copy of the parameters, as ``dict(model.params)`` of other arrays: the cost never sees it move."""
    copies = {name: array.copy() for name, array in model.params.items()}
    report = fc.check_function(lambda: model.loss(X, Y), copies, model.grads)
    assert report.summary == "The cost does not change with W1, b1, W2 and b2: does it use its argument?"
    report = fc.check_function(lambda p: model.loss(X, Y), model.params, model.grads)
    assert report.summary == "The cost does not change with W1, b1, W2 and b2: does it use its argument?"


def test_a_cost_that_updates_its_parameters_is_refused(model):
    before = state(model)

    def step():
        value = model.loss(X, Y)
        model.params["W1"] -= 0.1 * model.grads["W1"]
        return value

    with pytest.raises(fc.ChangedArgumentError):
        fc.check_function(step, model.params, model.grads)
    assert state(model) == before


@pytest.mark.parametrize(("parameters", "kind", "words"), [
    ({"W": np.ones(2, np.float32)}, TypeError, ["W in parameters", "float64", "float32"]),
    ({"W": 1.0}, TypeError, ["W in parameters", "very NumPy array", "float"]),
    ({"W": np.broadcast_to(1.0, (2,))}, ValueError, ["W in parameters", "read-only"]),
    ({"W": (shared := np.ones(2)), "V": shared}, ValueError, ["W and V", "same memory"]),
])
def test_what_cannot_be_moved_in_place_is_refused(parameters, kind, words):
    refuses(kind, words, fc.check_function, lambda: 1.0, parameters, parameters)


def test_options_that_move_no_arrays_in_place(model):
    refuses(ValueError, ["complex_step", "no argument"], fc.check_function, lambda: model.loss(X, Y), model.params,
            model.grads, complex_step=True)


def test_loss_and_gradients_together_are_told_apart(model):
    refuses(TypeError, ["cost", "tuple", "[0]"], fc.check_function, lambda: (model.loss(X, Y), model.grads),
            model.params, model.grads)


def test_statistics_and_buffers_of_any_shape_are_as_they_were():
    class Buffered:
        def __init__(self):
            self.W, self.out, self.mean = RNG.standard_normal((4, 3)), np.zeros((6, 3)), np.zeros(3)

        def loss(self):
            np.matmul(X, self.W, out=self.out)
            self.mean *= 0.9
            self.mean += 0.1 * self.out.mean(axis=0)
            return np.sum(self.out**2)

    model = Buffered()
    assert fc.check_function(lambda: model.loss(), {"W": model.W}, {"W": 2.0 * X.T @ (X @ model.W)}).ok
    assert not model.out.any()
    assert not model.mean.any()
