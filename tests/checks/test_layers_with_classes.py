"""Layers whose parameters, buffers and statistics stand in the class: exact differences, nothing is left changed."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import pytest

import fastcheck as fc

INPUTS = np.random.default_rng(1).standard_normal((5, 3))


def numbers(dtype, *shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


class Tanh:
    """tanh(x W + b), where ``both`` says what W and b are."""

    def forward(self, x):
        self.x = x
        W, b = self.both()
        self.y = np.tanh(x @ W + b)
        return self.y

    def backward(self, d):
        d = d * (1.0 - self.y * self.y)
        self.keep(self.x.T @ d, d.sum(axis=0))
        return d @ self.both()[0].T

    def both(self):
        return self.W, self.b

    def keep(self, dW, db):
        self.dW, self.db = dW, db


def in_attributes(dtype):
    class Layer(Tanh):
        W, b = numbers(dtype, 3, 2), numbers(dtype, 2)

    return Layer


def in_two_classes(dtype):
    class Base(Tanh):
        W = numbers(dtype, 3, 2)

    class Layer(Base):
        b = numbers(dtype, 2)

    return Layer


def in_dictionaries(dtype):
    class Layer(Tanh):
        params, grads = {"W": numbers(dtype, 3, 2), "b": numbers(dtype, 2)}, {"W": None, "b": None}

        def both(self):
            return self.params["W"], self.params["b"]

        def keep(self, dW, db):
            self.grads["W"], self.grads["b"] = dW, db

    return Layer


def in_a_tuple(dtype):
    class Layer(Tanh):
        params = numbers(dtype, 3, 2), numbers(dtype, 2)

        def both(self):
            return self.params

        def keep(self, dW, db):
            self.grads = dW, db

    return Layer


def in_a_layer_inside(dtype):
    class Layer(Tanh):
        def __init__(self):
            self.first = in_attributes(dtype)()
            self.W, self.b = numbers(dtype, 2, 2), numbers(dtype, 2)

        def forward(self, x):
            return super().forward(self.first.forward(x))

        def backward(self, d):
            return self.first.backward(super().backward(d))

    return Layer


def among_all_layers(dtype):
    class Layer(Tanh):
        made: ClassVar[list["Layer"]] = []
        W = numbers(dtype, 3, 2)

        def __init__(self):
            self.b = numbers(dtype, 2)
            self.made.append(self)

    return Layer


def with_a_buffer(dtype):
    class Layer(Tanh):
        W, b, buffer = numbers(dtype, 3, 2), numbers(dtype, 2), np.zeros((5, 2), dtype)

        def forward(self, x):
            self.x = x
            np.matmul(x, self.W, out=self.buffer)
            self.y = np.tanh(self.buffer + self.b)
            return self.y

    return Layer


def with_statistics(dtype):
    class Layer(Tanh):
        W, b, mean = numbers(dtype, 3, 2), numbers(dtype, 2), np.zeros(3, dtype)

        def forward(self, x):
            type(self).mean = 0.9 * self.mean + 0.1 * x.mean(axis=0)
            return super().forward(x)

    return Layer


def with_gradients(dtype):
    class Layer(Tanh):
        W, b = numbers(dtype, 3, 2), numbers(dtype, 2)

        def keep(self, dW, db):
            type(self).dW, type(self).db = dW, db

    return Layer


KINDS = [in_attributes, in_two_classes, in_dictionaries, in_a_tuple, in_a_layer_inside, among_all_layers,
         with_a_buffer, with_statistics, with_gradients]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_right_gradients_pass_and_wrong_ones_fail(kind, dtype):
    layer = kind(dtype)
    before = {name: (value, np.copy(value)) for name, value in vars(layer).items() if isinstance(value, np.ndarray)}
    report = fc.check_layer(layer, INPUTS.astype(dtype))
    assert (report.verdict, report.engine) == ("pass", "program")
    assert len(report.tensors) == (5 if kind is in_a_layer_inside else 3)
    for name, (value, kept) in before.items():
        assert getattr(layer, name) is value, name
        np.testing.assert_array_equal(value, kept, err_msg=name)

    class Wrong(layer):
        def backward(self, d):
            return 1.01 * super().backward(d)

    assert fc.check_layer(Wrong, INPUTS.astype(dtype)).verdict == "fail"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_a_class_that_never_has_an_object(factor, dtype):
    """Its methods are those of the class, and so is all that they keep."""

    class Layer:
        W = numbers(dtype, 3, 2)

        @classmethod
        def forward(cls, x):
            cls.x, cls.y = x, np.tanh(x @ cls.W)
            return cls.y

        @classmethod
        def backward(cls, d):
            d = d * (1.0 - cls.y**2)
            cls.dW = factor * (cls.x.T @ d)
            return d @ cls.W.T

    report = fc.check_layer(Layer, INPUTS.astype(dtype))
    assert [tensor.name for tensor in report.failures] == (["W"] if factor > 1.0 else [])
    assert report.engine == "program"
    assert not {"x", "y", "dW"} & set(vars(Layer))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_threads_that_share_a_class_take_turns(dtype):
    """What stands in a class is exchanged for all its layers: others wait until it is back."""

    class Layer(in_attributes(dtype)):
        def forward(self, x):
            time.sleep(1e-5)  # another thread goes on
            return super().forward(x)

    report = fc.check_layer(Layer, INPUTS.astype(dtype), executor=ThreadPoolExecutor(4))
    assert (report.verdict, report.engine) == ("pass", "differences")
