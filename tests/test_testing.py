import subprocess
import sys
import unittest
from importlib.util import find_spec

import numpy as np
import pytest

import fastcheck as fc
from fastcheck import testing
from fastcheck.testing import assert_gradients
from tests.support.problems import data, network


@pytest.fixture
def case():
    net = network([4, 3, 2], "tanh", "softmax", "cross_entropy")
    parameters = net.initialize(0)
    X, Y = data(net, 5)
    return net, parameters, net.gradients(parameters, X, Y), X, Y


def test_right_gradients_pass_and_give_the_report(case):
    assert assert_gradients(*case).ok


def test_wrong_gradients_raise_with_the_report_as_message(case):
    case[2]["dW1"] = 2 * case[2]["dW1"]
    with pytest.raises(AssertionError, match=r"dW1 is 2\.000 times the numerical gradient") as raised:
        assert_gradients(*case)
    assert "FAIL" in str(raised.value)


def test_inconclusive_is_no_pass(case):
    net, parameters, gradients, X, Y = case
    with pytest.raises(AssertionError, match="INCONCLUSIVE"):
        assert_gradients(net, parameters, gradients, X, Y, engine="reference", epsilon=1e-10)


def test_options_are_handed_on(case):
    assert assert_gradients(*case, norm=np.inf, tolerance=1e-9).tolerance == 1e-9
    with pytest.raises(TypeError, match="nonsense"):
        assert_gradients(*case, nonsense=1)


class Unit(unittest.TestCase):
    def runTest(self):
        net = network([2, 1], "tanh", "identity", "squared_error")
        parameters = net.initialize(0)
        X, Y = data(net, 3)
        with self.assertRaisesRegex(AssertionError, "dW1 is exactly zero"):  # noqa: PT027 - unittest's way
            assert_gradients(net, parameters, {"dW1": np.zeros((1, 2)), "db1": net.gradients(parameters, X, Y)["db1"]},
                             X, Y)


def test_under_python_without_assertions(case):
    code = (
        "import numpy as np, fastcheck as fc\n"
        "from fastcheck.testing import assert_gradients\n"
        "net = fc.Network([fc.Dense(2, 1)], cost='squared_error')\n"
        "p, X, Y = net.initialize(0), np.eye(2), np.ones((1, 2))\n"
        "g = net.gradients(p, X, Y); g['dW1'] = -g['dW1']\n"
        "try:\n"
        "    assert_gradients(net, p, g, X, Y)\n"
        "except AssertionError as error:\n"
        "    print('raised', 'the sign is wrong' in str(error), __debug__)"
    )
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["raised", "True", "False"]


class Scale:
    def __init__(self, wrong=1.0):
        self.w, self.wrong = np.arange(1.0, 4.0), wrong

    def forward(self, x):
        self.x = x
        return self.w * x

    def backward(self, d):
        self.dw = self.wrong * d * self.x
        return d * self.w


@pytest.mark.parametrize(("call", "wrong"), [
    (lambda c: testing.assert_function(lambda x: np.sum(x**2), np.arange(3.0), 2 * c * np.arange(3.0)), "dtheta"),
    (lambda c: testing.assert_function(lambda x, a: a * np.sum(x), np.ones(3), np.full(3, 2 * c), (2.0,)), "dtheta"),
    (lambda c: testing.assert_vjp(lambda x: np.sin(x), lambda d, x: c * d * np.cos(x), np.arange(3.0)), "dx"),
    (lambda c: testing.assert_layer(lambda: Scale(c), np.arange(1.0, 4.0)), "dw"),
])
def test_every_door_has_an_assertion(call, wrong):
    assert call(1.0).ok
    with pytest.raises(AssertionError, match=rf"{wrong} is 1\.500 times the numerical gradient"):
        call(1.5)


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
def test_modules():
    import torch

    module = torch.nn.Linear(3, 2).double()
    X, Y = torch.ones(4, 3).double(), torch.zeros(4, 2).double()
    assert testing.assert_module(module, torch.nn.functional.mse_loss, X, Y).ok
    module.weight.register_hook(lambda gradient: 2.0 * gradient)
    with pytest.raises(AssertionError, match=r"2\.000 times"):
        testing.assert_module(module, torch.nn.functional.mse_loss, X, Y)


def test_public_names_are_imported_when_they_are_asked_for():
    code = "import sys, fastcheck as fc; one = 'numpy' in sys.modules; fc.check; print(one, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
    assert set(fc.__all__) <= set(dir(fc))
    assert all(getattr(fc, name) is not None for name in fc.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        fc.nonsense  # noqa: B018 - asked for, not used
