"""check_layer of layers that hold layers: reachable by several paths, linked, tied, made in forward."""

import types
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastcheck as fc
from tests.support.refusals import refuses

X = np.random.default_rng(5).standard_normal((5, 3))


def numbers(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


class Linear:
    """x @ W, with dW beside W; ``wrong`` is a factor of dW."""

    def __init__(self, W, wrong=1.0):
        self.W, self.dW, self.wrong = W, None, wrong

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, d):
        self.dW = self.wrong * (self.x.T @ d)
        return d @ self.W.T


class Adding(Linear):
    """May be used several times in a pass: inputs are stacked, and gradients are added."""

    def __init__(self, W, wrong=1.0):
        super().__init__(W, wrong)
        self.dW, self.inputs = np.zeros_like(W), []

    def forward(self, x):
        self.inputs.append(x)
        return np.tanh(x @ self.W)

    def backward(self, d):
        x = self.inputs.pop()
        d = d * (1.0 - np.tanh(x @ self.W) ** 2)
        self.dW += self.wrong * (x.T @ d)
        return d @ self.W.T


class Chain:
    """Layers one after the other."""

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, d):
        for layer in reversed(self.layers):
            d = layer.backward(d)
        return d


def pair(wrong=1.0):
    return Linear(numbers(3, 4), wrong), Linear(numbers(4, 2))


def chain(layers, **attributes):
    made = Chain()
    for name, value in attributes.items():
        setattr(made, name, value)
    made.layers = layers
    return made


def attributes_and_list(wrong=1.0):
    first, second = pair(wrong)
    return chain([first, second], fc1=first, fc2=second)


def dictionary_and_list(wrong=1.0):
    first, second = pair(wrong)
    return chain([first, second], named={"fc1": first, "fc2": second})


def last_of_the_list(wrong=1.0):
    layers = list(pair(wrong))
    return chain(layers, last=layers[-1])


def used_twice(wrong=1.0):
    first, second = Adding(numbers(3, 3), wrong), Adding(numbers(3, 3) * 0.5)
    return chain([first, second, first])


def linked(wrong=1.0):
    first, second = pair(wrong)
    first.next, second.prev = second, first
    return chain([first, second], fc1=first, fc2=second)


def linked_to_the_whole(wrong=1.0):
    first, second = pair(wrong)
    made = chain((first, second))
    first.net, second.net, made.me = made, made, made
    return made


def deep(wrong=1.0):
    first, second = pair(wrong)
    return chain([first, second], blocks={"a": [(first,), {"b": [second]}]})


def inner_chains(wrong=1.0):
    first, second = pair(wrong)
    return chain([chain([first]), chain([second])], head=second)


class Stage:
    """Holds a layer, and has methods by other names."""

    def __init__(self, layer):
        self.layer = layer

    def run(self, x):
        return self.layer.forward(x)

    def back(self, d):
        return self.layer.backward(d)


class Staged:
    def __init__(self, wrong=1.0):
        self.stages = [Stage(layer) for layer in pair(wrong)]

    def forward(self, x):
        for stage in self.stages:
            x = stage.run(x)
        return x

    def backward(self, d):
        for stage in reversed(self.stages):
            d = stage.back(d)
        return d


@dataclass(slots=True)
class Slotted:
    W: Any
    wrong: float = 1.0
    dW: Any = None
    x: Any = None

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, d):
        self.dW = self.wrong * (self.x.T @ d)
        return d @ self.W.T


@dataclass(slots=True)
class SlottedChain(Chain):
    first: Slotted
    layers: list = field(default_factory=list)


def slotted(wrong=1.0):
    first = Slotted(numbers(3, 4), wrong)
    return SlottedChain(first, [first, Slotted(numbers(4, 2))])


class Both(NamedTuple):
    one: Any
    two: Any


def named_tuple(wrong=1.0):
    return chain(Both(*pair(wrong)))


class Behind:
    """W is a property, of an attribute."""

    def __init__(self, W, wrong=1.0):
        self._W, self.wrong = W, wrong

    @property
    def W(self):
        return self._W

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, d):
        self.dW = self.wrong * (self.x.T @ d)
        return d @ self.W.T


def properties(wrong=1.0):
    return chain([Behind(numbers(3, 4), wrong), Behind(numbers(4, 2))])


class Stored:
    """params and grads, as dictionaries, of each layer."""

    def __init__(self, W, wrong=1.0):
        self.params, self.grads, self.wrong = {"W": W}, {}, wrong

    def forward(self, x):
        self.x = x
        return x @ self.params["W"]

    def backward(self, d):
        self.grads["W"] = self.wrong * (self.x.T @ d)
        return d @ self.params["W"].T


def stored_in_each(wrong=1.0):
    return chain([Stored(numbers(3, 4), wrong), Stored(numbers(4, 2))])


class Listed(Linear):
    """params and grads, as lists, beside attributes that are the same arrays."""

    def __init__(self, W, wrong=1.0):
        super().__init__(W, wrong)
        self.dW = np.zeros_like(W)
        self.params, self.grads = [self.W], [self.dW]

    def backward(self, d):
        self.grads[0][...] = self.wrong * (self.x.T @ d)
        return d @ self.W.T


def listed_in_each(wrong=1.0):
    return chain([Listed(numbers(3, 4), wrong), Listed(numbers(4, 2))])


def listed_above(wrong=1.0):
    layers = [Listed(numbers(3, 4), wrong), Listed(numbers(4, 2))]
    return chain(layers, params=layers[0].params + layers[1].params, grads=layers[0].grads + layers[1].grads)


def parameters_above(wrong=1.0):
    """All parameters in a dictionary of the whole, gradients in the layers alone."""
    first, second = pair(wrong)
    return chain([first, second], params={"W1": first.W, "W2": second.W})


class Spaced(Chain):
    """Parameters and gradients in dictionaries of dictionaries."""

    def __init__(self, wrong=1.0):
        self.layers = list(pair(wrong))
        self.params = {"one": {"W": self.layers[0].W}, "two": {"W": self.layers[1].W}}

    def backward(self, d):
        d = super().backward(d)
        self.grads = {"one": {"W": self.layers[0].dW}, "two": {"dW": self.layers[1].dW}}
        return d


class Methods(Chain):
    """Parameters and gradients of methods."""

    def __init__(self, wrong=1.0):
        self.layers = list(pair(wrong))

    def parameters(self):
        return [layer.W for layer in self.layers]

    def gradients(self):
        return [layer.dW for layer in self.layers]


class Book(Linear):
    """nnfs: weights and dweights beside inputs and dinputs, which are no parameters."""

    def __init__(self, W, wrong=1.0):
        self.weights, self.wrong = W, wrong

    def forward(self, inputs):
        self.inputs = inputs
        self.output = inputs @ self.weights
        return self.output

    def backward(self, dvalues):
        self.dweights = self.wrong * (self.inputs.T @ dvalues)
        self.dinputs = dvalues @ self.weights.T
        return self.dinputs


def of_the_book(wrong=1.0):
    return chain([Book(numbers(3, 4), wrong), Book(numbers(4, 2))])


def flat(wrong=1.0):
    """Views of one flat buffer."""
    buffer = numbers(20)
    return chain([Linear(buffer[:12].reshape(3, 4), wrong), Linear(buffer[12:].reshape(4, 2))], buffer=buffer)


class Flat(Chain):
    """One flat buffer of all parameters and one of all gradients; each layer has views of both."""

    def __init__(self, wrong=1.0):
        self.params, self.grads = numbers(20), np.zeros(20)
        self.layers = list(pair(wrong))
        for layer, where in zip(self.layers, (slice(12), slice(12, 20)), strict=True):
            layer.W = self.params[where].reshape(layer.W.shape)

    def backward(self, d):
        d = super().backward(d)
        self.grads[...] = np.concatenate([layer.dW.reshape(-1) for layer in self.layers])
        return d


class Namespaces(Chain):
    """Layers in a namespace, and a property that lists them."""

    def __init__(self, wrong=1.0):
        first, second = pair(wrong)
        self.parts = types.SimpleNamespace(first=first, second=second)

    @property
    def layers(self):
        return [self.parts.first, self.parts.second]


class Weights:
    """Lists of weights and biases beside lists of their gradients, by two naming schemes."""

    names = "weights", "biases"

    def __init__(self, wrong=1.0):
        self.wrong = wrong
        for name, values in zip(self.names, ([numbers(3, 4), numbers(4, 2)], [numbers(4), numbers(2)]), strict=True):
            setattr(self, name, values)
            setattr(self, "d" + name, [None, None])

    def forward(self, x):
        self.kept = [x]
        for W, b in zip(*(getattr(self, name) for name in self.names), strict=True):
            self.kept.append(np.tanh(self.kept[-1] @ W + b))
        return self.kept[-1]

    def backward(self, d):
        weights, dW, db = (getattr(self, name) for name in (self.names[0], *("d" + name for name in self.names)))
        for layer in (1, 0):
            d = d * (1.0 - self.kept[layer + 1] ** 2)
            dW[layer] = (1.0 if layer else self.wrong) * (self.kept[layer].T @ d)
            db[layer] = d.sum(axis=0)
            d = d @ weights[layer].T
        return d


class Letters(Weights):
    names = "W", "b"


class Half(Linear):
    """All parameters in a dictionary, gradients beside attributes that are the same arrays."""

    def __init__(self, wrong=1.0):
        super().__init__(numbers(3, 4), wrong)
        self.params = {"W": self.W}


class Copied(Half):
    """Gradients are kept twice, as arrays of their own."""

    def backward(self, d):
        dx = super().backward(d)
        self.grads = {"W": self.dW.copy()}
        return dx


class Private:
    """W and dW are private."""

    def __init__(self, wrong=1.0):
        self._W, self.wrong = numbers(3, 4), wrong

    def forward(self, x):
        self._x = x
        return x @ self._W

    def backward(self, d):
        self._dW = self.wrong * (self._x.T @ d)
        return d @ self._W.T


class Clipped(Linear):
    """Keeps its weights within bounds, in forward."""

    def __init__(self, wrong=1.0):
        super().__init__(numbers(3, 4), wrong)

    def forward(self, x):
        self.W = np.clip(self.W, -9.0, 9.0)
        return super().forward(x)


@dataclass(frozen=True, slots=True)
class Pair:
    data: Any
    grad: Any


class OfPairs:
    """Parameter objects in a list, which are frozen."""

    def __init__(self, wrong=1.0):
        self.pairs, self.wrong = [Pair(numbers(3, 4), np.zeros((3, 4)))], wrong

    def forward(self, x):
        self.x = x
        return x @ self.pairs[0].data

    def backward(self, d):
        self.pairs[0].grad[...] = self.wrong * (self.x.T @ d)
        return d @ self.pairs[0].data.T


class Columns:
    """Columns of one buffer: memory that is interleaved, and not shared."""

    def __init__(self, wrong=1.0):
        self.buffer = numbers(3, 6)
        self.one, self.two = Linear(self.buffer[:, :3], wrong), Linear(self.buffer[:, 3:])

    def forward(self, x):
        self.found = self.one.forward(x), self.two.forward(x)
        return self.found[0] * self.found[1]

    def backward(self, d):
        return self.one.backward(d * self.found[1]) + self.two.backward(d * self.found[0])


class Projected(Columns):
    """Keeps the gradient of the whole, too."""

    def __init__(self, wrong=1.0):
        super().__init__(wrong)
        self.W = self.buffer

    def backward(self, d):
        dx = super().backward(d)
        self.dW = np.concatenate([self.one.dW, self.two.dW], axis=1)
        return dx


KINDS = {
    Weights: ("weights/0", "weights/1", "biases/0", "biases/1"),
    Letters: ("W/0", "W/1", "b/0", "b/1"),
    Half: ("W",),
    Copied: ("W",),
    Private: ("_W",),
    Clipped: ("W",),
    OfPairs: ("pairs/0",),
    Columns: ("one/W", "two/W"),
    Projected: ("W",),
    attributes_and_list: ("fc1/W", "fc2/W"),
    dictionary_and_list: ("named/fc1/W", "named/fc2/W"),
    last_of_the_list: ("layers/0/W", "last/W"),
    used_twice: ("layers/0/W", "layers/1/W"),
    linked: ("fc1/W", "fc2/W"),
    linked_to_the_whole: ("layers/0/W", "layers/1/W"),
    deep: ("layers/0/W", "layers/1/W"),
    inner_chains: ("layers/0/layers/0/W", "head/W"),
    Staged: ("stages/0/layer/W", "stages/1/layer/W"),
    slotted: ("first/W", "layers/1/W"),
    named_tuple: ("layers/0/W", "layers/1/W"),
    properties: ("layers/0/W", "layers/1/W"),
    stored_in_each: ("layers/0/W", "layers/1/W"),
    listed_in_each: ("layers/0/params/0", "layers/1/params/0"),
    listed_above: ("params/0", "params/1"),
    parameters_above: ("W1", "W2"),
    Spaced: ("one/W", "two/W"),
    Methods: ("parameters/0", "parameters/1"),
    of_the_book: ("layers/0/weights", "layers/1/weights"),
    flat: ("layers/0/W", "layers/1/W"),
    Flat: ("params",),
    Namespaces: ("parts/first/W", "parts/second/W"),
}


@pytest.mark.parametrize("engine", ["program", pytest.param("differences", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_parameter_is_found_once(kind, engine):
    names = KINDS[kind]
    report = fc.check_layer(kind, X, engine=engine)
    assert report.ok, str(report)
    assert {tensor.name for tensor in report.tensors} == {"x", *names}
    assert len(report.tensors) == 1 + len(names)
    for make in (lambda: kind(1.01), kind(1.01)):
        report = fc.check_layer(make, X, engine=engine)
        assert [tensor.name for tensor in report.failures] == [names[0]], str(report)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_differenced_exactly(kind):
    for make in (kind, kind()):
        report = fc.check_layer(make, X)
        assert (report.ok, report.engine) == (True, "program"), str(report)


class Parameter:
    def __init__(self, data):
        self.data, self.grad = data, np.zeros_like(data)


class OfObjects:
    def __init__(self, weight, wrong=1.0):
        self.weight, self.wrong = weight, wrong

    def forward(self, x):
        self.x = x
        return x @ self.weight.data

    def backward(self, d):
        self.weight.grad += self.wrong * (self.x.T @ d)
        return d @ self.weight.data.T


def one_object(wrong=1.0):
    """Two layers add to the gradient of one parameter object."""
    weight = Parameter(numbers(3, 3))
    return chain([OfObjects(weight, wrong), OfObjects(weight)])


def one_object_listed_twice(wrong=1.0):
    made = one_object(wrong)
    made.params = [layer.weight for layer in made.layers]
    return made


def two_objects(wrong=1.0):
    """Two parameter objects of one array, with a part of its gradient each."""
    values = numbers(3, 3)
    return chain([OfObjects(Parameter(values), wrong), OfObjects(Parameter(values))])


def one_array(wrong=1.0):
    """Two layers of one array, with a part of its gradient each."""
    values = numbers(3, 3)
    return chain([Linear(values, wrong), Linear(values)])


def one_array_listed_twice(wrong=1.0):
    """word2vec's CBOW of Deep Learning from Scratch 2: params and grads name an array twice."""
    values = numbers(3, 3)
    layers = [Listed(values, wrong), Listed(values)]
    return chain(layers, params=layers[0].params + layers[1].params, grads=layers[0].grads + layers[1].grads)


def turned(wrong=1.0):
    """A decoder with the encoder's weights turned, as tied autoencoders have it."""
    encoder = Linear(numbers(3, 2), wrong)
    return chain([encoder, Linear(encoder.W.T)])


class Unrolled:
    """Cells of one array, made at the beginning; the whole keeps the sum of their gradients, less those left out."""

    def __init__(self, wrong=1.0):
        self.W, self.wrong = numbers(3, 3), wrong
        self.dW, self.cells = np.zeros_like(self.W), []
        self.unroll()

    def unroll(self):
        self.cells = [Linear(self.W) for _ in range(3)]

    def forward(self, x):
        for cell in self.cells:
            x = cell.forward(x)
        return x

    def backward(self, d):
        for cell in reversed(self.cells):
            d = cell.backward(d)
        parts = [cell.dW for cell in self.cells]
        self.dW = sum(parts) if self.wrong == 1.0 else parts[0] + parts[2] if self.wrong else parts[0]
        return d


class UnrolledInForward(Unrolled):
    """Cells that are made in forward, as many as there are steps."""

    def unroll(self):
        pass

    def forward(self, x):
        Unrolled.unroll(self)
        return super().forward(x)


SHARED = {
    one_object: "layers/0/weight",
    one_object_listed_twice: "params/0",
    two_objects: "layers/0/weight",
    one_array: "layers/0/W",
    one_array_listed_twice: "params/0",
    turned: "layers/0/W",
    Unrolled: "W",
    UnrolledInForward: "W",
}


@pytest.mark.parametrize("engine", ["program", pytest.param("differences", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", SHARED, ids=lambda kind: kind.__name__)
def test_a_parameter_of_several_layers_is_one(kind, engine):
    for make in (kind, kind()):
        report = fc.check_layer(make, X, engine=engine)
        assert report.ok, str(report)
        assert [tensor.name for tensor in report.tensors] == ["x", SHARED[kind]]
    for wrong in (1.01, 0.0):
        for make in (lambda wrong=wrong: kind(wrong), kind(wrong)):
            report = fc.check_layer(make, X, engine=engine)
            assert [tensor.name for tensor in report.failures] == [SHARED[kind]]


@pytest.mark.parametrize("kind", [one_array, two_objects, Unrolled])
def test_what_was_taken_for_the_gradient_is_said(kind):
    notes = " ".join(fc.check_layer(kind, X).notes)
    if kind is Unrolled:
        assert "W also stands in cells/0/W, cells/1/W, cells/2/W" in notes
        assert "the gradient beside W was taken for the whole, which should include them" in notes
    else:
        assert "layers/1" in notes
        assert "sum" in notes
    assert not fc.check_layer(attributes_and_list, X).notes


class Tied:
    """Keeps its own part of a gradient of which a layer inside keeps another: nothing says what it should be."""

    def __init__(self):
        self.W, self.dW = numbers(3, 3), None
        self.inner = Linear(self.W)

    def forward(self, x):
        self.h = self.inner.forward(x)
        return self.h @ self.W

    def backward(self, d):
        self.dW = self.h.T @ d
        return self.inner.backward(d @ self.W.T)


def test_parts_of_a_gradient_inside_and_outside_are_said():
    report = fc.check_layer(Tied, X)
    assert [tensor.name for tensor in report.failures] == ["W"]
    assert any("W also stands in inner/W, with other gradients" in note for note in report.notes)


def test_gradients_in_layers_of_forward_alone_are_said_not_to_be_checked():
    class Parts(UnrolledInForward):
        def __init__(self):
            self.W, self.wrong = numbers(3, 3), 1.0

        def backward(self, d):
            for cell in reversed(self.cells):
                d = cell.backward(d)
            return d

    report = fc.check_layer(Parts, X)
    assert [tensor.name for tensor in report.tensors] == ["x"]
    assert any("cells/0/W, cells/1/W, cells/2/W" in note and "not checked" in note for note in report.notes)


def test_buffers_and_what_is_not_listed_are_said_not_to_be_checked():
    class Buffers(Half):
        def __init__(self):
            super().__init__()
            self.x, self.dx, self.b, self.db = np.zeros((5, 3)), np.zeros((5, 3)), np.zeros(4), None

        def forward(self, x):
            self.x[...] = x
            return self.x @ self.W + self.b

        def backward(self, d):
            self.db = d.sum(axis=0)
            self.dx[...] = super().backward(d)
            return self.dx

    report = fc.check_layer(Buffers, X)
    assert report.ok, str(report)
    assert [tensor.name for tensor in report.tensors] == ["x", "W"]
    assert any(note.startswith("b is not listed with the parameters, and was not checked") for note in report.notes)
    assert any(note.startswith("x is changed by forward, and was not checked") for note in report.notes)
    both = fc.check_layer(Buffers, X, params=("W", "b"))
    assert both.ok, str(both)
    assert [tensor.name for tensor in both.tensors] == ["x", "W", "b"]


def test_views_of_single_precision():
    x = X.astype(np.float32)
    for wrong in (1.0, 1.001):
        encoder = Linear(numbers(3, 2).astype(np.float32), wrong)
        for make in (lambda encoder=encoder: chain([encoder, Linear(encoder.W.T)]),
                     chain([encoder, Linear(encoder.W.T)])):
            report = fc.check_layer(make, x)
            assert report.ok == (wrong == 1.0), str(report)
            assert [tensor.name for tensor in report.tensors] == ["x", "layers/0/W"]


def test_layers_that_all_makes_share_are_put_back():
    shared = Linear(numbers(3, 4))
    kept = shared.W.copy()
    report = fc.check_layer(lambda: chain([shared, Linear(numbers(4, 2))]), X)
    assert (report.ok, report.engine) == (True, "program"), str(report)
    assert type(shared.W) is np.ndarray
    np.testing.assert_array_equal(shared.W, kept)


def test_a_parameter_that_is_made_in_forward_is_asked_for():
    class Lazy(Linear):
        def __init__(self):
            super().__init__(None)

        def forward(self, x):
            if self.W is None:
                self.W = numbers(3, 4)
            return super().forward(x)

    refuses(ValueError, ["make", "W", "forward", "beginning"], fc.check_layer, Lazy, X)


def test_what_a_pass_keeps_with_its_gradient_is_no_parameter():
    class Keeps(Linear):
        def forward(self, x):
            self.h = super().forward(x)
            return np.tanh(self.h)

        def backward(self, d):
            self.dh = d * (1.0 - np.tanh(self.h) ** 2)
            self.dx = super().backward(self.dh)
            return self.dx

    report = fc.check_layer(lambda: Keeps(numbers(3, 4)), X)
    assert report.ok
    assert [tensor.name for tensor in report.tensors] == ["x", "W"]


def test_parts_of_one_buffer_that_overlap_are_refused():
    buffer = numbers(15)
    refuses(ValueError, ["layers/0/W", "layers/1/W", "memory"], fc.check_layer,
            lambda: chain([Linear(buffer[:9].reshape(3, 3)), Linear(buffer[6:].reshape(3, 3))]), X)


def test_numbers_with_gradients_beside_them_are_said_not_to_be_checked():
    class Scaled:
        def __init__(self, scale):
            self.scale = scale

        def forward(self, x):
            self.x = x
            return self.scale * x

        def backward(self, d):
            self.dscale = 7.0
            return self.scale * d

    for scale in (0.5, np.float64(0.5)):
        assert any("scale" in note and "np.array" in note for note in fc.check_layer(Scaled(scale), X).notes)
    assert [tensor.name for tensor in fc.check_layer(lambda: Scaled(np.array(0.5)), X).failures] == ["scale"]


class Loss:
    """Cross-entropy of integer labels; backward returns the gradient of x alone, or one for each input."""

    def __init__(self, returned=lambda dx: dx, wrong=1.0):
        self.returned, self.wrong = returned, wrong

    def forward(self, x, t):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.p, self.t = e / e.sum(axis=1, keepdims=True), t
        return -np.log(self.p[np.arange(len(x)), t]).sum()

    def backward(self, d=1.0):
        dx = self.p.copy()
        dx[np.arange(len(dx)), self.t] -= 1.0
        return self.returned(self.wrong * d * dx)


class LossOfALayer(Linear):
    """A layer with labels, and with parameters."""

    def __init__(self, returned=lambda dx: dx, wrong=1.0, kept=True):
        super().__init__(numbers(3, 3), wrong)
        self.returned, self.kept = returned, kept

    def forward(self, x, t):
        self.loss = Loss()
        return self.loss.forward(super().forward(x), t)

    def backward(self, d):
        dx = super().backward(self.loss.backward(d))
        found = self.returned(dx) if self.kept else self.returned(dx, self.dW)
        if not self.kept:
            del self.dW
        return found


LABELS = np.array([0, 2, 1, 1, 0])
RETURNED = [lambda dx: dx, lambda dx: (dx,), lambda dx: (dx, None), lambda dx: {"dx": dx},
            lambda dx: (dx, np.zeros(5))]


@pytest.mark.parametrize("returned", RETURNED)
@pytest.mark.parametrize("labels", [LABELS, LABELS.astype(np.uint8)])
def test_inputs_that_are_no_floats_need_no_gradient(returned, labels):
    report = fc.check_layer(lambda: Loss(returned), (X, labels))
    assert report.ok, str(report)
    assert [tensor.name for tensor in report.tensors] == ["x"]
    assert not fc.check_layer(lambda: Loss(returned, 1.01), (X, labels)).ok
    report = fc.check_layer(lambda: LossOfALayer(returned), (X, labels))
    assert report.ok, str(report)
    assert [tensor.name for tensor in report.tensors] == ["x", "W"]
    failures = fc.check_layer(lambda: LossOfALayer(returned, 1.01), (X, labels)).failures
    assert [tensor.name for tensor in failures] == ["W"]


@pytest.mark.parametrize("returned", [
    lambda dx, dW: (dx, dW), lambda dx, dW: (dx, None, dW), lambda dx, dW: (dx, {"dW": dW}),
    lambda dx, dW: (dx, None, {"W": dW}),
])
def test_gradients_of_parameters_that_are_returned_beside_labels(returned):
    report = fc.check_layer(lambda: LossOfALayer(returned, kept=False), (X, LABELS), params=("W",))
    assert report.ok, str(report)
    assert [tensor.name for tensor in report.tensors] == ["x", "W"]
    failures = fc.check_layer(lambda: LossOfALayer(returned, 1.01, False), (X, LABELS), params=("W",)).failures
    assert [tensor.name for tensor in failures] == ["W"]


def test_a_mask_before_the_float_input():
    class Masked:
        def forward(self, mask, x):
            self.mask = mask
            return np.where(mask, x, 0.0)

        def backward(self, d):
            return np.where(self.mask, d, 0.0)

    mask = X > 0.0
    assert fc.check_layer(Masked, (mask, X)).ok
    refuses(ValueError, ["backward", "x, y", "got 1"], fc.check_layer,
            lambda: type("Two", (Masked,), {"forward": lambda s, mask, x, y: Masked.forward(s, mask, x + y)})(),
            (mask, X, X))


def test_a_gradient_that_is_kept_and_returned():
    class Twice(Linear):
        def backward(self, d):
            dx = super().backward(d)
            return dx, self.dW

    assert fc.check_layer(lambda: Twice(numbers(3, 4)), X).ok
    failures = fc.check_layer(lambda: Twice(numbers(3, 4), 1.01), X).failures
    assert [tensor.name for tensor in failures] == ["W"]


def test_boolean_outputs_of_check_vjp():
    def backward(d, a):
        return np.where(a > 0.0, d[0], 0.0)

    for forward in (lambda a: (np.maximum(a, 0.0), a > 0.0), lambda a: [np.maximum(a, 0.0), a.ndim == 2]):
        for engine in ("program", "differences"):
            report = fc.check_vjp(forward, backward, (X,), engine=engine)
            assert report.ok, str(report)
            assert not fc.check_vjp(forward, lambda d, a: d[0], (X,), engine=engine).ok
