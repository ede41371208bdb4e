"""check_layer: parameters and gradients where courses and books keep them, and return them."""

import types
from functools import partial

import numpy as np
import pytest

import fastcheck as fc
from tests.support.refusals import refuses

RNG = np.random.default_rng(8)
X, W, B = RNG.standard_normal((5, 4)), RNG.standard_normal((4, 3)), RNG.standard_normal(3)


class Plain:
    """W and b; the gradient whose name is wrong is 1 % too large.  Subclasses say where gradients go."""

    names, asked = ("W", "b"), None

    def __init__(self, wrong=None):
        self.wrong = wrong
        self.start(W.copy(), B.copy())

    def start(self, weights, bias):
        self.W, self.b = weights, bias

    def own(self):
        return self.W, self.b

    def forward(self, x):
        self.x = x
        weights, bias = self.own()
        return x @ weights + bias

    def backward(self, d):
        dW, db = self.x.T @ d, d.sum(axis=0)
        dW, db = (1.01 * one if name == self.wrong else one for name, one in zip(self.names, (dW, db), strict=True))
        return self.give((1.01 if self.wrong == "x" else 1.0) * d @ self.own()[0].T, dW, db)

    def give(self, dx, dW, db):
        self.dW, self.db = dW, db
        return dx


class InADictionary(Plain):
    """W and b are attributes, and their gradients stand in a dictionary."""

    def give(self, dx, dW, db):
        self.grads = {"dW": dW, "db": db}
        return dx


class InADictionaryByName(Plain):
    def give(self, dx, dW, db):
        self.gradients = {"W": dW, "b": db}
        return dx


class MethodsOfDictionaries(Plain):
    """parameters() and gradients() give dictionaries of private attributes."""

    def start(self, weights, bias):
        self._W, self._b, self._grads = weights, bias, {"W": None, "b": None}

    def own(self):
        return self._W, self._b

    def parameters(self):
        return {"W": self._W, "b": self._b}

    def gradients(self):
        return self._grads

    def give(self, dx, dW, db):
        self._grads = {"W": dW, "b": db}
        return dx


class Properties(MethodsOfDictionaries):
    """The same as properties."""

    parameters = property(MethodsOfDictionaries.parameters)
    gradients = property(MethodsOfDictionaries.gradients)


class PrivateGradients(MethodsOfDictionaries):
    """The same as properties, over private attributes."""

    parameters = property(MethodsOfDictionaries.parameters)

    @property
    def gradients(self):
        return {"W": self._dW, "b": self._db}

    def start(self, weights, bias):
        super().start(weights, bias)
        self._dW = self._db = None

    def give(self, dx, dW, db):
        self._dW, self._db = dW, db
        return dx


class Generators(Plain):
    names = "parameters/0", "parameters/1"

    def parameters(self):
        yield self.W
        yield self.b

    def gradients(self):
        yield from self.found

    def give(self, dx, dW, db):
        self.found = [dW, db]
        return dx


class ReturnsATuple(Plain):
    asked = "W", "b"

    def give(self, dx, dW, db):
        return dx, (dW, db)


class ReturnsADictionary(Plain):
    def give(self, dx, dW, db):
        return {"dx": dx, "dW": dW, "db": db}


class ReturnsADictionaryAsked(ReturnsADictionary):
    asked = "W", "b"


class ReturnsADictionaryAfter(Plain):
    def give(self, dx, dW, db):
        return dx, {"W": dW, "b": db}


class Nested(Plain):
    """Gradients in a structure like that of the parameters, of which the last level is empty before backward."""

    names = "layers/0/W", "layers/0/b"

    def start(self, weights, bias):
        self.params, self.grads = {"layers": [{"W": weights, "b": bias}]}, {"layers": [{}]}

    def own(self):
        return self.params["layers"][0]["W"], self.params["layers"][0]["b"]

    def give(self, dx, dW, db):
        self.grads["layers"][0].update(W=dW, b=db)
        return dx


class OneAdds(Plain):
    """There are gradients before: one is added to, the other overwritten."""

    def start(self, weights, bias):
        super().start(weights, bias)
        self.dW, self.db = np.ones_like(weights), np.ones_like(bias)

    def give(self, dx, dW, db):
        self.dW += dW
        self.db = db
        return dx


class Called(Plain):
    """A callable without a method named forward."""

    def __getattribute__(self, name):
        if name == "forward":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def __call__(self, x):
        return Plain.forward(self, x)


class OfDictionaries(Plain):
    """Each parameter is a dictionary of its value and its gradient."""

    def start(self, weights, bias):
        self.params = {"W": {"value": weights, "grad": None}, "b": {"value": bias, "grad": None}}

    def own(self):
        return self.params["W"]["value"], self.params["b"]["value"]

    def give(self, dx, dW, db):
        self.params["W"]["grad"], self.params["b"]["grad"] = dW, db
        return dx


class OfNamespaces(Plain):
    def start(self, weights, bias):
        self.params = {"W": types.SimpleNamespace(value=weights, grad=None),
                       "b": types.SimpleNamespace(value=bias, grad=None)}

    def own(self):
        return self.params["W"].value, self.params["b"].value

    def give(self, dx, dW, db):
        self.params["W"].grad, self.params["b"].grad = dW, db
        return dx


def named(*forms):
    class Named(Plain):
        """Gradients by other names."""

        def give(self, dx, dW, db):
            for form, one in zip(forms, (dW, db), strict=True):
                setattr(self, form, one)
            return dx

    Named.__name__ = forms[0]
    return Named


KINDS = [
    Plain, InADictionary, InADictionaryByName, MethodsOfDictionaries, Properties, PrivateGradients, Generators,
    ReturnsATuple, ReturnsADictionary, ReturnsADictionaryAsked, ReturnsADictionaryAfter, Nested, OneAdds, Called,
    OfDictionaries, OfNamespaces, named("gradW", "gradB"), named("nabla_W", "nabla_b"), named("dL_dW", "dL_db"),
    named("W_gradient", "b_gradient"),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_gradient_is_found(kind):
    names = {"x", *kind.names}
    options = {"params": kind.asked} if kind.asked else {}
    for make in (kind, kind()):
        report = fc.check_layer(make, X, **options)
        assert report.ok, str(report)
        assert {tensor.name for tensor in report.tensors} == names
    for wrong in names:
        for make in (lambda wrong=wrong: kind(wrong), kind(wrong)):
            assert [tensor.name for tensor in fc.check_layer(make, X, **options).failures] == [wrong]


def test_gradients_of_parameters_that_nobody_named():
    class Returns(Plain):
        def give(self, *gradients):
            return gradients

    refuses(ValueError, ["backward", "x", "got 3", "params="], fc.check_layer, Returns, X)
    assert fc.check_layer(Returns, X, params=("W", "b")).ok


def test_all_gradients_are_no_gradient_of_an_attribute():
    """``grads`` is no gradient of ``s``, nor ``grad`` one of ``rad``."""

    class Short(Plain):
        def start(self, weights, bias):
            super().start(weights, bias)
            self.s = self.rad = np.ones(3)

        def forward(self, x):
            return self.s * self.rad * super().forward(x)

        def give(self, dx, dW, db):
            self.grads = self.grad = {"W": dW, "b": db}
            return dx

    report = fc.check_layer(Short, X)
    assert report.ok, str(report)
    assert {tensor.name for tensor in report.tensors} == {"x", "W", "b"}


def test_arrays_without_a_gradient_that_the_outputs_depend_on_are_said_not_to_be_checked():
    class Half(Plain):
        """The gradient of b is under a name that says nothing; scale is a constant, unused is not read."""

        shift = np.ones(3)

        def start(self, weights, bias):
            super().start(weights, bias)
            self.kept, self.unused = {"scale": np.full(3, 2.0)}, np.ones(3)

        def forward(self, x):
            return self.kept["scale"] * super().forward(x) + self.shift

        def give(self, dx, dW, db):
            self.dW, self.delta_b = 2.0 * dW, db
            return 2.0 * dx

    for make in (Half, Half()):
        report = fc.check_layer(make, X)
        assert report.ok, str(report)
        assert {tensor.name for tensor in report.tensors} == {"x", "W"}
        (note,) = report.notes
        assert note.startswith("The outputs also depend on shift, b, kept/scale, of which no gradient was found")
    assert not fc.check_layer(Half, X, params=("W",)).notes
    assert not fc.check_layer(Plain, X).notes


class Kept(np.ndarray):
    """A kind of array of the user's own."""


class Whole(Plain):
    """Weights of another kind than plain arrays of floating numbers, which ``kind`` makes; b is as it should be."""

    def __init__(self, kind, listed):
        self.kind, self.listed = kind, listed
        super().__init__()

    def start(self, weights, bias):
        weights = self.kind(np.arange(12).reshape(4, 3))
        if self.listed:
            self.params, self.grads = {"W": weights, "b": bias, "stride": np.array([1, 1])}, {}
        else:
            self.W, self.b, self.stride = weights, bias, np.array([1, 1])

    def own(self):
        W, b = (self.params["W"], self.params["b"]) if self.listed else (self.W, self.b)
        return np.asarray(W), b

    def give(self, dx, dW, db):
        if self.listed:
            self.grads.update(W=dW, b=db)
        else:
            self.dW, self.db = dW, db
        return dx


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(("kind", "called"), [
    (np.array, "int64"), (lambda values: values.tolist(), "list"), (lambda values: (1.0 * values).view(Kept), "Kept"),
])
def test_parameters_that_are_no_plain_floating_arrays_are_said_not_to_be_checked(kind, called, listed):
    report = fc.check_layer(Whole(kind, listed), X)
    assert [tensor.name for tensor in report.tensors] == ["x", "b"]
    (note,) = report.notes
    assert f"not {'params/' if listed else ''}W ({called}), although a gradient stands beside" in note
    assert not fc.check_layer(Whole(lambda values: np.array(kind(values), float), listed), X).notes


GLOBAL = {kind: W.astype(kind) for kind in ("float32", "float64")}


class InTwoPlaces(Plain):
    """Forward reads the weights of the layer, but not from its attribute; ``how`` says from where."""

    def __init__(self, how, dtype, wrong=""):
        self.how, self.dtype = how, dtype
        super().__init__(wrong)

    def start(self, weights, bias):
        W, self.b = weights.astype(self.dtype), bias.astype(self.dtype)
        self.W = W
        if self.how == "closure":
            self.product = lambda x: x @ W
        elif self.how == "default":
            self.product = lambda x, weights=W: x @ weights
        elif self.how == "partial":
            self.product = partial(lambda weights, x: x @ weights, W)
        else:
            self.W = GLOBAL[self.dtype]
            self.product = lambda x: x @ GLOBAL[self.dtype]

    def forward(self, x):
        self.x = x
        return self.product(x) + self.b


@pytest.mark.parametrize("how", ["closure", "default", "partial", "global"])
def test_weights_that_forward_reads_elsewhere_are_moved_there_or_refused(how):
    right, wrong = (lambda: InTwoPlaces(how, "float64")), (lambda: InTwoPlaces(how, "float64", "W"))
    assert fc.check_layer(right, X).ok
    assert [tensor.name for tensor in fc.check_layer(wrong, X).failures] == ["W"]
    make, single = (lambda: InTwoPlaces(how, "float32")), X.astype(np.float32)
    refuses(ValueError, ["make", "W", "closure", "float64"], fc.check_layer, make, single)
    refuses(ValueError, ["make", "W", "closure"], fc.check_layer, make(), single)


class ReadsItself(Plain):
    """Forward calls a function that was made with the layer, and reads that one."""

    def start(self, weights, bias):
        super().start(weights, bias)
        self.apply = lambda x: x @ self.W + self.b

    def forward(self, x):
        self.x = x
        return self.apply(x)


def test_copies_that_read_the_layer_itself_are_refused():
    refuses(ValueError, ["make", "copies", "W", "closure", "function"], fc.check_layer, ReadsItself(), X)
    assert fc.check_layer(ReadsItself, X).ok
    for wrong in ("x", "W", "b"):
        assert [tensor.name for tensor in fc.check_layer(lambda w=wrong: ReadsItself(w), X).failures] == [wrong]
    assert [tensor.name for tensor in fc.check_layer(Plain("W"), X).failures] == ["W"]
