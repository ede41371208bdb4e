"""check_function and check_vjp with calls that cannot work: refused by name in one line."""

import gc
import warnings
from decimal import Decimal

import numpy as np
import pytest

import fastcheck as fc
from fastcheck._errors import ChangedArgumentError, NondeterministicError
from tests.support.refusals import refuses

# --- check_function ---------------------------------------------------------------------------------------------


HUGE = 10**400


def squares(theta, *args):
    return float(np.sum(np.square(theta)))


def point():
    return np.arange(1.0, 4.0)


def function(**changes):
    return {"cost": squares, "parameters": point(), "gradients": 2 * point(), **changes}


FUNCTION = [
    ({"cost": None}, TypeError, ["cost", "NoneType", "function"]),
    ({"cost": "squares"}, TypeError, ["cost", "str", "function"]),
    ({"cost": lambda theta: None}, TypeError, ["cost", "None", "return"]),
    ({"cost": lambda theta: "1"}, TypeError, ["cost", "str", "number"]),
    ({"cost": lambda theta: theta}, TypeError, ["cost", "(3,)", "one number", "vectorized"]),
    ({"cost": lambda theta: 1j * theta.sum()}, TypeError, ["cost", "complex", "complex_step"]),
    ({"cost": lambda theta: 1j * theta.sum(axis=-1), "vectorized": True}, TypeError, ["cost", "complex", "real parts"]),
    ({"cost": lambda theta: True}, TypeError, ["cost", "bool"]),
    ({"cost": lambda theta: Decimal(1)}, TypeError, ["cost", "Decimal"]),
    ({"cost": lambda theta: {}}, TypeError, ["cost", "dict"]),
    ({"cost": lambda theta: [[1.0], [1.0, 2.0]]}, TypeError, ["cost", "list"]),
    ({"cost": lambda theta: np.random.random()}, NondeterministicError, ["cost", "not a function"]),
    ({"cost": lambda theta: float(theta.__iadd__(1).sum())}, ChangedArgumentError, ["cost", "its own argument"]),
    ({"cost": lambda theta: 1 / 0}, ZeroDivisionError, []),
    ({"parameters": None}, TypeError, ["theta in parameters", "got None"]),
    ({"parameters": "theta"}, TypeError, ["theta in parameters", "got 'theta'"]),
    ({"parameters": (x for x in point())}, TypeError, ["theta in parameters", "a generator", "list"]),
    ({"cost": point(), "parameters": squares}, TypeError, ["cost", "ndarray", "function"]),
    ({"parameters": {}}, ValueError, ["parameters", "no numbers"]),
    ({"parameters": []}, ValueError, ["parameters", "no numbers"]),
    ({"parameters": np.empty((3, 0))}, ValueError, ["parameters", "no numbers"]),
    ({"parameters": np.array([1, None])}, TypeError, ["theta in parameters", "object", "astype(float)"]),
    ({"parameters": point() + 0j}, TypeError, ["theta in parameters", "complex128", "zero", "real part"]),
    ({"parameters": point() + 1j}, TypeError, ["theta in parameters", "complex128", "imaginary parts", "re + 1j * im"]),
    ({"parameters": {"a": {"b": point() + 1j}}}, TypeError, ["a/b in parameters", "complex128", "re + 1j * im"]),
    ({"parameters": np.array([1j, 2], object)}, TypeError, ["theta in parameters", "object", "re + 1j * im"]),
    ({"parameters": point() > 1}, TypeError, ["theta in parameters", "bool", "args"]),
    ({"parameters": {1.0, 2.0}}, TypeError, ["theta in parameters", "got a set"]),
    ({"parameters": np.ma.array(point())}, TypeError, ["theta in parameters", "masked"]),
    ({"parameters": [[1.0], [1.0, 2.0]]}, ValueError, ["theta in parameters", "array"]),
    ({"parameters": np.zeros(3, "datetime64[s]")}, TypeError, ["theta in parameters", "datetime64"]),
    ({"parameters": np.zeros(3, "f8,f8")}, TypeError, ["theta in parameters", "f0"]),
    ({"parameters": {"a": {"b": None}}}, TypeError, ["a/b in parameters", "got None"]),
    ({"parameters": [point(), {"b": "x"}]}, TypeError, ["1/b in parameters", "got 'x'"]),
    ({"gradients": None}, TypeError, ["theta in gradients", "got None"]),
    ({"gradients": {"dw": point()}}, TypeError, ["theta in gradients", "got a dict"]),
    ({"gradients": (14.0, 2 * point())}, TypeError, ["gradients", "(cost, gradients)", "second"]),
    ({"gradients": lambda theta: (14.0, 2 * theta)}, TypeError, ["gradients", "(cost, gradients)", "second"]),
    ({"gradients": (2 * point(),)}, ValueError, ["theta in gradients", "(1, 3) (a tuple)"]),
    ({"gradients": point()[:2]}, ValueError, ["theta in gradients", "(2,)", "(3,)"]),
    ({"gradients": point()[:, None]}, ValueError, ["theta in gradients", "(3, 1)", "(3,)"]),
    ({"gradients": 1j * point()}, TypeError, ["theta in gradients", "complex128", "imaginary parts"]),
    ({"gradients": {"theta": point()}}, TypeError, ["theta in gradients", "a dict"]),
    ({"gradients": np.ma.array(point())}, TypeError, ["theta in gradients", "masked"]),
    ({"parameters": {"a": point()}}, TypeError, ["gradients", "ndarray", "dictionary", "a"]),
    ({"parameters": {"a": point()}, "gradients": {"b": point()}}, ValueError, ["a is missing", "gradients", "b"]),
    ({"parameters": {"a": point()}, "gradients": {"a": 0, "da": 0}}, ValueError, ["a in gradients", "da", "one of"]),
    ({"parameters": [point(), point()], "gradients": [point()]}, TypeError, ["gradients", "list of 1", "of 2"]),
    ({"args": point()}, TypeError, ["args", "ndarray", "tuple"]),
    ({"args": {}}, TypeError, ["args", "dict", "tuple"]),
    ({"args": None}, TypeError, ["args", "NoneType", "tuple"]),
    ({"vectorized": True}, ValueError, ["cost", "()", "(1,)", "leading axis"]),
    ({"vectorized": True, "cost": lambda stack: np.zeros(7)}, ValueError, ["cost", "(7,)", "(1,)"]),
    ({"vectorized": True, "cost": lambda stack: None}, TypeError, ["cost", "object"]),
    ({"vectorized": "no"}, TypeError, ["vectorized", "'no'", "True or False"]),
    ({"complex_step": "no"}, TypeError, ["complex_step", "'no'", "True or False"]),
    ({"complex_step": True, "cost": lambda theta: np.abs(theta).sum()}, ValueError, ["complex_step", "not analytic"]),
    ({"epsilon": 0}, ValueError, ["epsilon", "0"]),
    ({"epsilon": -1.0}, ValueError, ["epsilon", "-1.0"]),
    ({"epsilon": np.nan}, ValueError, ["epsilon", "nan"]),
    ({"epsilon": np.inf}, ValueError, ["epsilon", "inf"]),
    ({"epsilon": 1e-99}, ValueError, ["epsilon", "1e-99", "rounding", "theta[0]"]),
    ({"epsilon": 1e300}, ValueError, ["epsilon", "1e+300", "1e+100"]),
    ({"epsilon": HUGE}, ValueError, ["epsilon", "double precision"]),
    ({"epsilon": "1"}, TypeError, ["epsilon", "'1'"]),
    ({"epsilon": point()}, TypeError, ["epsilon", "ndarray"]),
    ({"order": 3}, ValueError, ["order", "3", "2, 4, 6"]),
    ({"order": True}, ValueError, ["order", "True"]),
    ({"order": "richard"}, ValueError, ["order", "richard", "2, 4, 6"]),
    ({"order": None}, ValueError, ["order", "None"]),
    ({"order": [2]}, ValueError, ["order", "[2]"]),
    ({"order": np.array([2, 4])}, ValueError, ["order", "array"]),
    ({"tolerance": 0}, ValueError, ["tolerance", "0"]),
    ({"tolerance": np.inf}, ValueError, ["tolerance", "inf"]),
    ({"tolerance": "1"}, TypeError, ["tolerance", "'1'"]),
    ({"tolerance": Decimal(1)}, TypeError, ["tolerance", "Decimal"]),
    ({"norm": 3}, ValueError, ["norm", "3"]),
    ({"norm": None}, TypeError, ["norm", "None"]),
    ({"method": "some"}, ValueError, ["method", "some", "directional"]),
    ({"method": None}, TypeError, ["method", "NoneType"]),
    ({"samples": 3}, ValueError, ["samples", "sample"]),
    ({"method": "sample", "samples": 0}, ValueError, ["samples", "0"]),
    ({"method": "sample", "samples": 1.5}, TypeError, ["samples", "1.5"]),
    ({"method": "sample", "directions": 3}, ValueError, ["directions", "directional"]),
    ({"method": "directional", "directions": 0}, ValueError, ["directions", "0"]),
    ({"method": "directional", "directions": "3"}, TypeError, ["directions", "'3'"]),
    ({"seed": None}, TypeError, ["seed", "None"]),
    ({"seed": -1}, ValueError, ["seed", "-1"]),
    ({"seed": 1.0}, TypeError, ["seed", "1.0"]),
    ({"seed": np.random.default_rng(0)}, TypeError, ["seed", "Generator"]),
    ({"threads": 0}, ValueError, ["threads", "0"]),
    ({"threads": "2"}, TypeError, ["threads", "'2'"]),
    ({"threads": True}, TypeError, ["threads", "True"]),
    ({"memory_limit": 1}, ValueError, ["memory_limit", "1"]),
    ({"memory_limit": "1G"}, TypeError, ["memory_limit", "'1G'"]),
    ({"memory_limit": np.nan}, TypeError, ["memory_limit", "nan"]),
    ({"memory_limit": np.inf}, TypeError, ["memory_limit", "inf"]),
    ({"time_limit": 0}, ValueError, ["time_limit", "0"]),
    ({"time_limit": np.nan}, ValueError, ["time_limit", "nan"]),
    ({"time_limit": "1"}, TypeError, ["time_limit", "'1'"]),
    ({"progress": "yes"}, TypeError, ["progress", "'yes'"]),
    ({"progress": 1}, TypeError, ["progress", "1"]),
    ({"executor": "threads"}, TypeError, ["executor", "str"]),
    ({"executor": 3, "vectorized": True}, ValueError, ["executor", "vectorized"]),
    ({"gradients": lambda theta: None}, TypeError, ["gradients", "None", "return statement"]),
    ({"gradients": lambda theta: (x for x in theta)}, TypeError, ["gradients", "a generator", "return in place"]),
    ({"cost": lambda theta: (x for x in theta)}, TypeError, ["cost", "a generator", "return in place of yield"]),
    ({"parameters": {"w": point()}, "gradients": {"dW": point()}}, ValueError, ["gradients", "'dW'", "call it 'dw'"]),
    ({"parameters": {"w": point(), "n": 3}, "gradients": {"dw": point()}}, ValueError, ["n is missing", "args"]),
    ({"parameters": np.ones((2, 3)), "gradients": np.ones((3, 2))}, ValueError, ["(2, 3)", "(3, 2)", "transposed"]),
    ({"parameters": np.ones((3, 1)), "gradients": np.ones(3)}, ValueError, ["(3, 1)", "(3,)", "reshape(3, 1)"]),
    ({"gradients": np.ones((3, 1))}, ValueError, ["(3,)", "(3, 1)", "reshape(3)"]),
    ({"eps": 1e-4}, TypeError, ["check_function()", "eps"]),
]


@pytest.mark.parametrize(("changes", "kind", "words"), FUNCTION)
def test_check_function(changes, kind, words):
    refuses(kind, words, fc.check_function, **function(**changes))


# --- check_vjp --------------------------------------------------------------------------------------------------


def double(x):
    return 2 * x


def double_back(d, x):
    return 2 * d


def double_back_of_two(d, x):
    return np.append(d, 0.0)


VJP = [
    ({"forward": None}, TypeError, ["forward", "NoneType", "function"]),
    ({"backward": "double"}, TypeError, ["backward", "str", "function"]),
    ({"inputs": None}, TypeError, ["x in inputs", "None"]),
    ({"inputs": ()}, ValueError, ["inputs", "floating"]),
    ({"inputs": np.arange(3)}, ValueError, ["inputs", "floating"]),
    ({"inputs": np.empty(0)}, ValueError, ["inputs", "floating"]),
    ({"inputs": "x"}, TypeError, ["x in inputs", "'x'"]),
    ({"inputs": {"x": point()}}, TypeError, ["inputs", "a dict", "tuple(inputs.values())", "names=list(inputs)"]),
    ({"eps": 1e-4}, TypeError, ["check_vjp()", "'eps'", "did you mean 'epsilon'?"]),
    ({"backward": lambda d, x: (y for y in d)}, ValueError, ["backward", "a generator", "return in place of yield"]),
    ({"forward": lambda x: (y for y in x)}, TypeError, ["forward", "a generator", "return in place of yield"]),
    ({"inputs": point() + 0j}, TypeError, ["x in inputs", "complex128", "zero", "real part"]),
    ({"inputs": point() + 1j}, TypeError, ["x in inputs", "complex128", "imaginary parts", "re + 1j * im"]),
    ({"forward": np.fft.fft}, TypeError, ["forward", "output 0", "complex128", "y.real", "y.imag"]),
    ({"forward": lambda x: (x, 1j * x)}, TypeError, ["forward", "output 1", "complex128", "y.real", "y.imag"]),
    ({"inputs": np.ma.array(point())}, TypeError, ["x in inputs", "masked"]),
    ({"inputs": ([[1.0], [1.0, 2.0]],)}, ValueError, ["x in inputs", "array"]),
    ({"forward": lambda x: None}, TypeError, ["forward", "output 0", "None"]),
    ({"forward": lambda x: ()}, ValueError, ["forward", "no output"]),
    ({"forward": lambda x: (x, "text")}, TypeError, ["forward", "output 1", "a str", "cache=True"]),
    ({"forward": lambda x, y: x}, TypeError, []),
    ({"forward": lambda x: x.__imul__(2)}, ChangedArgumentError, ["its own argument"]),
    ({"forward": lambda x: x * np.random.random()}, NondeterministicError, ["not a function"]),
    ({"forward": lambda x: x[: 2 + (x[0] != 1.0)], "backward": double_back_of_two}, ValueError,
     ["forward", "shape changed", "(2,)", "(3,)"]),
    ({"backward": lambda d, x: None}, ValueError, ["backward", "None", "x"]),
    ({"backward": lambda d, x: d[:2]}, ValueError, ["x in gradients", "(2,)", "(3,)"]),
    ({"backward": lambda d, x: (d, d)}, ValueError, ["backward", "2 gradients", "each of x"]),
    ({"backward": lambda d, x: "d"}, TypeError, ["x in gradients", "'d'"]),
    ({"backward": lambda d, x: d * 1j}, TypeError, ["x in gradients", "complex128", "imaginary parts"]),
    ({"backward": lambda d: d}, TypeError, []),
    ({"seed": "a"}, TypeError, ["seed", "'a'"]),
    ({"epsilon": 0}, ValueError, ["epsilon", "0"]),
    ({"speed": 1}, TypeError, ["speed"]),
]


@pytest.mark.parametrize(("changes", "kind", "words"), VJP)
def test_check_vjp(changes, kind, words):
    refuses(kind, words, fc.check_vjp, **{"forward": double, "backward": double_back, "inputs": point(), **changes})


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_exceptions_of_a_layer_say_whose_they_are(name):
    def broken(*arguments):
        raise ArithmeticError("mine")

    call = {"forward": double, "backward": double_back, name: broken}
    with pytest.raises(ArithmeticError, match="mine") as caught:
        fc.check_vjp(**call, inputs=point())
    assert f"raised by {name}" in caught.value.__notes__[0]


def test_a_backward_that_scales_the_cotangents_in_place_is_still_right():
    assert fc.check_vjp(double, lambda d, x: d.__imul__(2), point()).ok
    assert fc.check_vjp(lambda x: (2 * x, x), lambda d, x: d[0].__imul__(2) + d[1], point()).ok


def test_whose_call_raised_is_told():
    with pytest.raises(KeyError) as caught:
        fc.check_function(squares, point(), lambda theta: {}["dW"])
    assert "gradients" in caught.value.__notes__[0]

    class Affine:
        def __init__(self, W):
            self.W = W

    with pytest.raises(TypeError, match="W") as caught:
        fc.check_layer(Affine, point())
    assert "lambda" in caught.value.__notes__[0]


async def later(theta):
    return float(theta.sum())


def test_a_coroutine_is_told_as_such_and_closed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refuses(TypeError, ["cost", "a coroutine", "def, not async def"], fc.check_function, later, point(), point())
        gc.collect()


def test_wrong_options_are_told_by_the_function_that_was_called():
    refuses(TypeError, ["numerical_gradient()", "'eps'", "did you mean 'epsilon'?"],
            fc.numerical_gradient, squares, point(), eps=1e-4)
    refuses(TypeError, ["check_taylor()", "'eps'"], fc.check_taylor, squares, point(), point(), point(), eps=1e-4)
    refuses(TypeError, ["check_layer()", "'eps'"], fc.check_layer, object, point(), eps=1e-4)


def test_a_stack_that_a_cost_does_not_take_is_told_as_one():
    A = np.ones((2, 3))
    with pytest.raises(ValueError, match="matmul") as caught:
        fc.check_function(lambda w: float(np.sum(A @ w)), point(), np.full(3, 2.0), vectorized=True)
    assert "vectorized=True" in caught.value.__notes__[0]
    assert "leading axis" in caught.value.__notes__[0]


def test_a_complex_step_that_is_refused_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refuses(ValueError, ["complex_step", "not analytic"], fc.check_function, squares, point(), 2 * point(),
                complex_step=True)


def test_an_operator_that_raises_is_named():
    M = np.ones((3, 4))
    with pytest.raises(ValueError, match="matmul") as caught:
        fc.check_adjoint(M, M)
    assert "raised by At, called with an array of shape (3,)" in caught.value.__notes__[0]


class Affine:
    def __init__(self):
        self.W = np.ones((3, 2))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, d):
        self.dW = self.x.T @ d
        return d @ self.W.T


@pytest.mark.parametrize("grads", ["nothing", "dV"])
def test_an_attribute_of_gradients_that_is_not_there(grads):
    refuses(ValueError, ["grads", repr(grads)], fc.check_layer, Affine, np.ones((5, 3)), grads=grads)


@pytest.mark.parametrize(("parameters", "remedy"), [
    ((point(), point()), "lambda p: cost(*p)"), ([point(), point()], "lambda p: cost(*p)"),
    ({"w": point(), "b": point()}, "lambda p: cost(**p)"),
])
def test_a_cost_of_several_parameters_is_told_how_it_is_called(parameters, remedy):
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'b'") as caught:
        fc.check_function(lambda w, b: np.sum(w * b), parameters, parameters)
    said = caught.value.__notes__[0]
    assert f"it is called with the parameters as one {type(parameters).__name__}" in said
    assert f"pass {remedy}" in said


def test_a_cost_of_other_arguments_is_told_how_it_is_called():
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given") as caught:
        fc.check_function(lambda w: np.sum(w), point(), point(), args=(3.0,))
    assert "it is called with the parameters as one ndarray, and 1 of args" in caught.value.__notes__[0]


def test_an_error_inside_of_a_cost_is_not_blamed_on_how_it_is_called():
    def cost(w):
        return (lambda a, b: a)(w)

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'b'") as caught:
        fc.check_function(cost, point(), point())
    assert "it is called with" not in caught.value.__notes__[0]


def test_a_class_is_no_cost():
    class Model:
        def __init__(self, theta):
            self.theta = theta

    refuses(TypeError, ["cost", "the class Model", "instance"], fc.check_function, Model, point(), point())
    refuses(TypeError, ["forward", "the class Model", "instance"], fc.check_vjp, Model, double_back, point())
    refuses(TypeError, ["net", "the class Network", "instance"], fc.Watch, fc.Network)
