"""check_layer: layers that are classes, in the ways in which people write them; right ones pass, mistakes are found."""

import copy
import pickle
import threading

import numpy as np
import pytest

import fastcheck as fc
from tests.support.refusals import refuses

RNG = np.random.default_rng(5)
X, W, B = RNG.standard_normal((6, 4)), RNG.standard_normal((4, 3)), RNG.standard_normal(3)


class Attributes:
    """W and dW side by side, as most textbooks' layers."""

    names = ("x", "W", "b")

    def __init__(self, W=W, b=B, wrong=1.0):
        self.W, self.b, self.wrong = W.copy(), b.copy(), wrong

    def forward(self, x):
        self.x = x
        self.out = np.tanh(x @ self.W + self.b)
        return self.out

    def backward(self, dout):
        d = dout * (1.0 - self.out**2)
        self.dW, self.db = self.wrong * (self.x.T @ d), d.sum(axis=0)
        return d @ self.W.T


class Dictionaries(Attributes):
    """params and grads as dictionaries."""

    def __init__(self, **options):
        super().__init__(**options)
        self.params, self.grads = {"W": self.W, "b": self.b}, {}
        del self.W, self.b

    def forward(self, x):
        self.x = x
        self.out = np.tanh(x @ self.params["W"] + self.params["b"])
        return self.out

    def backward(self, dout):
        d = dout * (1.0 - self.out**2)
        self.grads["W"], self.grads["b"] = self.wrong * (self.x.T @ d), d.sum(axis=0)
        return d @ self.params["W"].T


class Lists(Attributes):
    """params and grads as lists, gradients written into arrays that are there from the beginning, W known twice."""

    names = ("x", "params/0", "params/1")

    def __init__(self, **options):
        super().__init__(**options)
        self.params = [self.W, self.b]
        self.grads = [np.zeros_like(self.W), np.zeros_like(self.b)]

    def backward(self, dout):
        dx = super().backward(dout)
        self.grads[0][...], self.grads[1][...] = self.dW, self.db
        del self.dW, self.db
        return dx


class Adding(Attributes):
    """Gradients that are added to what is there, and something is there."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dW, self.db = np.full_like(self.W, 3.0), np.full_like(self.b, -2.0)

    def backward(self, dout):
        d = dout * (1.0 - self.out**2)
        self.dW += self.wrong * (self.x.T @ d)
        self.db += d.sum(axis=0)
        return d @ self.W.T


class Overwriting(Adding):
    """Gradients that were there, and are overwritten."""

    def backward(self, dout):
        return Attributes.backward(self, dout)


class Parameter:
    def __init__(self, data):
        self.data, self.grad = data.copy(), np.zeros_like(data)


class Objects(Attributes):
    """Objects with data and grad, listed by a method."""

    names = ("x", "parameters/0", "parameters/1")

    def __init__(self, W=W, b=B, wrong=1.0):
        self.weight, self.bias, self.wrong = Parameter(W), Parameter(b), wrong

    def parameters(self):
        return [self.weight, self.bias]

    def forward(self, x):
        self.x = x
        self.out = np.tanh(x @ self.weight.data + self.bias.data)
        return self.out

    def backward(self, dout):
        d = dout * (1.0 - self.out**2)
        self.weight.grad += self.wrong * (self.x.T @ d)
        self.bias.grad += d.sum(axis=0)
        return d @ self.weight.data.T


class Composite:
    """Layers in a list; each has its own parameters."""

    names = ("x", "layers/0/W", "layers/0/b", "layers/1/W", "layers/1/b")

    def __init__(self, wrong=1.0):
        self.layers = [Attributes(wrong=wrong), Attributes(W[:3] * 0.5, B * 0.1)]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dout):
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        return dout


class Returning(Attributes):
    """dx, dW, db are returned, nothing is kept."""

    def backward(self, dout):
        dx = super().backward(dout)
        found = dx, self.dW, self.db
        del self.dW, self.db
        return found


class ReturningADictionary(Attributes):
    """dx, and a dictionary of the parameters' gradients."""

    def __init__(self, **options):
        super().__init__(**options)
        self.params = {"W": self.W, "b": self.b}

    def backward(self, dout):
        dx = super().backward(dout)
        gradients = {"dW": self.dW, "db": self.db}
        del self.dW, self.db
        return dx, gradients


Returning.names = ("x", "W", "b")
SINGLE = {Returning: {"params": ("W", "b")}}
KINDS = [Attributes, Dictionaries, Lists, Adding, Overwriting, Objects, Composite, Returning, ReturningADictionary]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ["program", "differences"])
def test_kinds_of_layers(kind, engine):
    options = SINGLE.get(kind, {})
    report = fc.check_layer(kind, X, engine=engine, **options)
    assert report.ok, str(report)
    assert tuple(t.name for t in report.tensors) == kind.names
    layer = kind(wrong=1.01)
    before = pickle.dumps(layer)
    report = fc.check_layer(layer, X, engine=engine, **options)
    assert [t.name for t in report.failures] == [kind.names[1]]
    assert pickle.dumps(layer) == before


@pytest.mark.parametrize("kind", KINDS)
def test_exactly_by_default(kind):
    report = fc.check_layer(kind, X, **SINGLE.get(kind, {}))
    assert report.engine == "program"
    assert report.difference < 1e-14


class Single(Attributes):
    """float32 throughout."""

    def __init__(self, wrong=1.0):
        super().__init__(W.astype(np.float32), B.astype(np.float32), wrong)


class HiddenSingle(Attributes):
    """A buffer in float32 that nobody sees: double parameters, single results."""

    def __init__(self, wrong=1.0):
        super().__init__(wrong=wrong)
        self.buffer = np.zeros((6, 3), np.float32)

    def forward(self, x):
        self.x = x
        self.buffer[...] = x @ self.W + self.b
        self.out = np.tanh(self.buffer)
        return self.out


@pytest.mark.parametrize(("kind", "x"), [(Single, X.astype(np.float32)), (HiddenSingle, X)])
def test_single_precision_is_judged_as_such(kind, x):
    report = fc.check_layer(kind, x)
    assert report.ok, str(report)
    assert 1e-9 < report.difference < 1e-5
    report = fc.check_layer(lambda: kind(wrong=1.001), x)
    assert [t.name for t in report.failures] == ["W"]


class BatchNorm:
    """Training mode: running averages move with every call, and gain is named gamma."""

    def __init__(self, cross=True):
        self.gamma, self.beta, self.cross = B.copy(), B * 0.5, cross
        self.running_mean, self.calls = np.zeros(3), 0

    def forward(self, x):
        self.calls += 1
        mean, self.scale = x.mean(axis=0), 1.0 / np.sqrt(x.var(axis=0) + 1e-5)
        self.running_mean = 0.9 * self.running_mean + 0.1 * mean
        self.normal = (x - mean) * self.scale
        return self.gamma * self.normal + self.beta

    def backward(self, d):
        self.dgamma, self.dbeta = (d * self.normal).sum(axis=0), d.sum(axis=0)
        d = d * self.gamma
        cross = self.normal * (d * self.normal).mean(axis=0) if self.cross else 0.0
        return self.scale * (d - d.mean(axis=0) - cross)


def test_state_that_moves_with_every_call_reaches_no_other_run():
    x = RNG.standard_normal((7, 3))
    layer = BatchNorm()
    assert fc.check_layer(layer, x).ok
    assert layer.calls == 0
    np.testing.assert_array_equal(layer.running_mean, 0.0)
    assert fc.check_layer(lambda: layer, x).ok  # the same object each time: it is copied too
    assert layer.calls == 0
    assert [t.name for t in fc.check_layer(BatchNorm(cross=False), x).failures] == ["x"]


class Embedding:
    """Integer inputs; a right one adds the gradients of repeated indices."""

    def __init__(self, adds=True):
        self.W, self.adds = W.copy(), adds

    def forward(self, indices):
        self.indices = indices
        return self.W[indices]

    def backward(self, d):
        self.dW = np.zeros_like(self.W)
        if self.adds:
            np.add.at(self.dW, self.indices, d)
        else:
            self.dW[self.indices] = d


def test_integer_inputs_and_nothing_returned():
    indices = np.array([0, 2, 2, 1])
    report = fc.check_layer(Embedding, (indices,))
    assert report.ok, str(report)
    assert [t.name for t in report.tensors] == ["W"]
    assert not fc.check_layer(lambda: Embedding(adds=False), (indices,)).ok


class Turned(Attributes):
    """Keeps a view of its weights, made once."""

    def __init__(self, **options):
        super().__init__(**options)
        self.turned = self.W.T

    def forward(self, x):
        self.x = x
        self.out = np.tanh((self.turned @ x.T).T + self.b)
        return self.out


def test_views_of_parameters():
    assert fc.check_layer(Turned, X).ok
    assert [t.name for t in fc.check_layer(lambda: Turned(wrong=2.0), X).failures] == ["W"]


def test_methods_by_other_names_and_as_functions():
    class Layer:
        def __init__(self):
            self.inner = Attributes()
            self.lock = threading.Lock()

        def __call__(self, x):
            return self.inner.forward(x)

        def pull(self, d):
            return {"dx": self.inner.backward(d)}

    report = fc.check_layer(Layer, X, forward=lambda layer, x: layer(x), backward="pull")
    assert report.ok, str(report)
    alone = fc.check_layer(Layer, (), forward=lambda layer: layer(X), backward="pull")
    assert [t.name for t in alone.tensors] == ["inner/W", "inner/b"]
    assert alone.ok
    refuses(TypeError, ["make", "copied", "Attributes"], fc.check_layer, locked(), X)


def locked():
    layer = Attributes()
    layer.lock = threading.Lock()
    return layer


@pytest.mark.parametrize(("make", "options", "kind", "words"), [
    (3, {}, TypeError, ["make", "int"]),
    (lambda: object(), {}, TypeError, ["forward", "method", "object"]),
    (Attributes, {"backward": "pull"}, TypeError, ["pull", "Attributes"]),
    (Attributes, {"params": "weights"}, ValueError, ["params", "weights"]),
    (Attributes, {"params": ("V",)}, ValueError, ["params", "V"]),
    (Lists, {"grads": "slopes"}, ValueError, ["grads", "params/0"]),
])
def test_what_cannot_be_checked_is_refused(make, options, kind, words):
    refuses(kind, words, fc.check_layer, make, X, **options)


class Fortran(Attributes):
    """Weights in Fortran order."""

    def __init__(self, wrong=1.0, dtype=np.float64):
        super().__init__(b=B.astype(dtype), wrong=wrong)
        self.W = np.asfortranarray(W, dtype)


class Transposed(Fortran):
    """Weights and a buffer whose axes lie in memory in another order than they are counted."""

    def __init__(self, wrong=1.0, dtype=np.float64):
        super().__init__(wrong, dtype)
        self.buffer = np.zeros((50, 1, 3), dtype).transpose(1, 2, 0)

    def forward(self, x):
        self.buffer[...] = super().forward(x)[:, :, None]
        self.buffer *= np.linspace(0.5, 1.0, 50)
        return self.buffer.sum(axis=2)

    def backward(self, d):
        return super().backward(d * np.linspace(0.5, 1.0, 50).sum())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", [Fortran, Transposed])
def test_weights_and_buffers_in_another_order_of_memory(kind, dtype):
    for number in range(5):  # whose product is rounded otherwise in another order
        x = np.random.default_rng(number).standard_normal((1, len(W))).astype(dtype)
        report = fc.check_layer(kind(dtype=dtype), x)
        assert report.ok, str(report)
        assert report.engine == "program", report.notes
        assert [t.name for t in fc.check_layer(kind(1.01, dtype), x).failures] == ["W"]


class Two:
    """A layer with two outputs, whose gradients backward takes one by one."""

    def forward(self, x):
        self.x = x
        return x**2, np.sin(x)

    def backward(self, one, other):
        return one * 2.0 * self.x + other * np.cos(self.x)


class Listed:
    """A layer that takes one list of arrays."""

    def forward(self, arrays):
        return np.hstack(arrays)

    def backward(self, d):
        return np.split(d, 2, axis=1)


class Listless:
    """A layer whose backward takes nothing, although its output is no single number."""

    def forward(self, x):
        return x

    def backward(self):
        return 1.0


class Named:
    """A layer that returns its output in a dictionary."""

    def forward(self, x):
        return {"out": x}

    def backward(self, d):
        return d["out"]


def test_errors_of_the_layer_say_how_it_was_called():
    for call, words in (
        (lambda: fc.check_layer(Two(), X), ["backward", "one tuple", "layer.backward(*d)"]),
        (lambda: fc.check_vjp(lambda x: (x, x), lambda one, other, x: one + other, X), ["backward", "one tuple"]),
        (lambda: fc.check_layer(Listed(), [X, X]), ["forward", "2 inputs: arrays, input1"]),
        (lambda: fc.check_layer(Listed(), ()), ["forward", "0 inputs"]),
        (lambda: fc.check_vjp(lambda x: x, lambda d, x: d, [X, X]), ["forward", "2 inputs"]),
        (lambda: fc.check_layer(Listless(), X), ["backward", "gradient of forward's output"]),
    ):
        with pytest.raises(TypeError) as caught:
            call()
        (note,) = caught.value.__notes__
        assert all(word in note for word in words), note
    assert fc.check_layer(Two(), X, backward=lambda layer, d: layer.backward(*d)).ok
    refuses(TypeError, ["forward", "dict"], fc.check_layer, Named(), X)


class Criterion:
    """A loss whose backward takes nothing: the gradients of the loss itself, added to what was there or not."""

    def __init__(self, wrong=1.0, adds=False, dtype=np.float64):
        self.W, self.wrong, self.adds = W.astype(dtype), wrong, adds
        self.dW = np.full_like(self.W, 0.25)

    def forward(self, x, t):
        self.x, self.error = x, x @ self.W - t
        return np.mean(self.error**2)

    def backward(self):
        d = 2.0 * self.error / self.error.size
        dW = self.wrong * (self.x.T @ d)
        self.dW = self.dW + dW if self.adds else dW
        return d @ self.W.T, -d


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("adds", [False, True])
def test_losses_whose_backward_takes_no_upstream_gradient(adds, dtype):
    x, targets = X.astype(dtype), np.ones((6, 3), dtype)
    for make in (Criterion(1.0, adds, dtype), lambda: Criterion(1.0, adds, dtype)):
        report = fc.check_layer(make, (x, targets))
        assert (report.ok, report.engine) == (True, "program"), str(report)
        assert any("takes no upstream gradient" in note for note in report.notes)
    wrong = fc.check_layer(Criterion(1.01, adds, dtype), (x, targets))
    assert [tensor.name for tensor in wrong.failures] == ["W"]
    assert "1.01" in wrong.failures[0].diagnosis


class Keeping(Attributes):
    """A layer that returns nothing, but keeps its output and the gradient of its inputs."""

    def forward(self, inputs):
        self.output = super().forward(inputs)

    def backward(self, dvalues):
        self.dinputs = super().backward(dvalues)


def test_outputs_and_gradients_of_inputs_that_are_kept_are_named_with_the_remedy():
    words = ["forward", "lambda layer, inputs: layer.forward(inputs) or layer.output"]
    refuses(TypeError, words, fc.check_layer, Keeping(), X)

    def forward(layer, inputs):
        return layer.forward(inputs) or layer.output

    report = fc.check_layer(Keeping(), X, forward=forward)
    assert [tensor.name for tensor in report.failures] == ["inputs"]
    assert any("backward=lambda layer, d: layer.backward(d) or layer.dinputs" in note for note in report.notes)
    report = fc.check_layer(Keeping(), X, forward=forward,
                            backward=lambda layer, d: layer.backward(d) or layer.dinputs)
    assert (report.ok, report.engine, report.notes) == (True, "program", ())


def test_inputs_that_are_no_arrays_are_refused_with_the_remedy():
    class Masked:
        def forward(self, x, mask=None):
            return x if mask is None else x * mask

        def backward(self, d):
            return d

    for given in (None, "train", {"mask": X}):
        refuses(TypeError, ["mask in inputs", "lambda"], fc.check_vjp,
                lambda x, mask: x, lambda d, x, mask: d, (X, given))
    refuses(TypeError, ["mask in inputs", "lambda"], fc.check_layer, Masked(), (X, None))
    assert fc.check_layer(Masked(), X, forward=lambda layer, x: layer.forward(x, None)).ok


def test_a_gradient_that_is_never_returned_is_zero_and_said_so():
    class Forgetful(Attributes):
        def backward(self, d):
            super().backward(d)

    report = fc.check_layer(Forgetful, X)
    assert [t.name for t in report.failures] == ["x"]
    assert "backward gave None for x: it was taken as zeros." in report.notes


def test_the_layers_own_arrays_are_not_touched():
    shared = W.copy()
    layer = Attributes()
    layer.W = shared

    def make():
        made = copy.copy(layer)
        made.W = shared
        return made

    kept = shared.copy()
    assert fc.check_layer(make, X).ok
    np.testing.assert_array_equal(shared, kept)


class Slotted:
    __slots__ = ("W", "dW", "wrong", "x")

    def __init__(self, wrong=1.0):
        self.W, self.wrong = W.copy(), wrong

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, d):
        self.dW = self.wrong * (self.x.T @ d)
        return d @ self.W.T


class InTheClass(Slotted):
    W_kept = W.copy()
    V = W_kept

    def __init__(self, wrong=1.0):
        self.wrong = wrong

    def forward(self, x):
        self.x = x
        return x @ self.V

    def backward(self, d):
        self.dV = self.wrong * (self.x.T @ d)
        return d @ self.V.T


@pytest.mark.parametrize(("kind", "name"), [(Slotted, "W"), (InTheClass, "V")])
def test_slots_and_arrays_of_the_class(kind, name):
    kept = W.copy()
    report = fc.check_layer(kind, X)
    assert report.ok
    assert [t.name for t in report.tensors] == ["x", name]
    assert [t.name for t in fc.check_layer(lambda: kind(2.0), X).failures] == [name]
    np.testing.assert_array_equal(InTheClass.V, kept)


def test_a_layer_without_parameters_says_so():
    class Square:
        def forward(self, x):
            self.x = x
            return x**2

        def backward(self, d):
            return 2.0 * self.x * d

    report = fc.check_layer(Square, X)
    assert report.ok
    assert any("No parameters were found in the layer" in note for note in report.notes)
    assert not any("No parameters" in note for note in fc.check_layer(Slotted, X).notes)
