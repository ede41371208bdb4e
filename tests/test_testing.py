import subprocess
import sys
import unittest

import numpy as np
import pytest

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
