"""What no exact difference is known of ends in NoRule, by name and with a remedy; never in a change that is lost."""

import math

import numpy as np
import pytest
from numpy import zeros

from fastcheck import NoRule
from fastcheck.engines.program.arrays.program import Program

INPUT = np.array([0.5, -1.25, 2.0])
CHANGE = np.array([[0.1, 0.2, -0.1], [-0.1, -0.2, 0.1], [0.0, 0.0, 0.0]])
PLAIN = np.zeros(3)


def run(function, change=CHANGE, inputs=(INPUT,)):
    return Program(function, list(inputs)).run({0: change})


def float_and_more(x):
    c = float(x.sum())
    return c, x * c


def float_twice(x):
    c = float(x.sum())
    return c * 2


def float_in_a_list(x):
    c = float(x.sum())
    return c, [c * 2]


def float_kept(x):
    c = float(x.sum())
    return x * 1.0 if c > -100 else x


def swallowed(x):
    try:
        return np.linalg.eigvals(np.outer(x, x) + np.eye(3))
    except TypeError:
        return np.zeros((3, 3))


def swallowed_float(x):
    try:
        total = int(x.sum() * 100)
    except Exception:
        total = 7
    return x * 0 + total


def filled_from_outside(x):
    made = np.random.default_rng(0).standard_normal(3) * 0
    made[0] = x[0]
    return made


def added_to_a_plain_array(x):
    made = np.random.default_rng(0).standard_normal(3)
    made += x
    return made


def half_precision(x):
    made = np.zeros(3, dtype=np.float32)
    made[:] = x
    return made


def put_at_an_index(x):
    made = np.zeros(5)
    made[x.astype(int)] = 1.0
    return made + x[0]


def integer_buffer(x):
    made = np.zeros(3, int)
    made[:] = x
    return made


def still_shared(x):
    made = np.random.default_rng(0).standard_normal(3) * 0
    np.add.at(made, [0, 1, 1], x)
    return made


REFUSED = {
    "float() and more": (float_and_more, "float"),
    "float() calculated with": (float_twice, "float"),
    "float() beside itself": (float_in_a_list, "float"),
    "float() that is kept": (float_kept, "float"),
    "int()": (lambda x: x * int(x[2]), "int"),
    "an index to write at": (put_at_an_index, "indices that differ"),
    "tobytes": (lambda x: np.frombuffer(x.tobytes()), "tobytes"),
    "math.gamma": (lambda x: x * math.gamma(x[0]), "float"),
    "math.dist": (lambda x: x * math.dist(x, x + 1), "float"),
    "complex()": (lambda x: abs(complex(x[0])), "complex"),
    "astype(float32)": (lambda x: x.astype(np.float32), "float32"),
    "a float32 buffer": (half_precision, "float32"),
    "an integer buffer": (integer_buffer, "int64"),
    "longdouble": (lambda x: x.astype(np.longdouble), "longdouble|float128"),
    "an array made by others": (filled_from_outside, "make arrays that receive entries"),
    "plain += moving": (added_to_a_plain_array, "plain array"),
    "add.at into a plain array": (still_shared, "plain array"),
    "out= of a plain array": (lambda x: np.exp(x, out=np.random.default_rng(0).standard_normal(3)), "plain array"),
    "a function without a rule": (lambda x: np.linalg.eigvals(np.outer(x, x) + np.eye(3)), r"numpy\.linalg\.eigvals"),
    "a ufunc without a rule": (lambda x: np.nextafter(x, 1.0), r"numpy\.nextafter"),
    "a ufunc of one's own": (lambda x: np.frompyfunc(math.sqrt, 1, 1)(x * x).astype(float), "sqrt"),
    "piecewise of a mean": (
        lambda x: np.piecewise(x, [x > 0.0], [lambda t: t - t.mean(), 0.0]), "functions that look at several entries"
    ),
    "interp with a period": (lambda x: np.interp(x, [0.0, 1.0], [1.0, 2.0], period=3.0), r"numpy\.interp"),
    "geomspace": (lambda x: np.geomspace(x[0] ** 2, 1 + x[1] ** 2, 4), r"numpy\.geomspace"),
    "arange": (lambda x: np.arange(x[0], x[0] + 2.5), r"numpy\.arange"),
    "a method without a rule": (lambda x: x.view(np.int64) * 1.0, r"ndarray\.view"),
    "a refusal that is caught": (swallowed, r"numpy\.linalg\.eigvals"),
    "another refusal that is caught": (swallowed_float, "int"),
    "a buffer protocol": (lambda x: np.frombuffer(memoryview(x)), "memoryview|bytes"),
    "a random function": (lambda x: x * np.random.default_rng().standard_normal(3), "random"),
    "ptp of what is cast": (lambda x: np.sum(x, dtype=np.float32), "float32"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_by_name(name):
    function, match = REFUSED[name]
    with pytest.raises(NoRule, match=match):
        run(function)


def test_branches_that_differ_are_refused_and_others_taken():
    def function(x):
        return x * 2 if x[0] > 0.45 else x

    with pytest.raises(NoRule, match="branch"):
        run(function)
    np.testing.assert_allclose(run(function, CHANGE / 4).changes[0], CHANGE / 2)


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(NoRule, match="differ"):
        run(lambda x: x[x > 0.45])
    np.testing.assert_array_equal(run(lambda x: x[x > 0]).changes[0], CHANGE[:, [0, 2]])


def test_truth_of_a_number_that_reaches_zero():
    with pytest.raises(NoRule, match="branch"):
        run(lambda x: x * 2 if x[0] - 0.75 else x, np.full((1, 3), 0.25))


def test_whole_numbers_jump_or_stand_still():
    response = run(lambda x: (x * 10).astype(int) * 1.0)
    np.testing.assert_array_equal(response.changes[0], [[1, 2, -1], [-1, -2, 1], [0, 0, 0]])
    assert run(lambda x: (x * 10 + 0.25).astype(int) * 1.0, CHANGE / 1e3).changes[0] is None


def test_zeros_by_its_own_name_is_replaced_too():
    def function(x):
        made = zeros(3)
        made[1:] = x[1:]
        return made

    np.testing.assert_array_equal(run(function).changes[0], CHANGE * [0, 1, 1])


def test_a_plain_global_may_be_filled():
    """The second try hands the function's surroundings over, and gives them back."""

    def function(x):
        PLAIN[:] = x * x
        return PLAIN * 2

    response = run(function)
    np.testing.assert_allclose(response.changes[0], 2 * CHANGE * (2 * INPUT + CHANGE))
    assert type(PLAIN) is np.ndarray


def test_compiled_functions_are_refused():
    numba = pytest.importorskip("numba")

    @numba.njit
    def kernel(x):
        return x.sum()

    with pytest.raises(NoRule):
        run(lambda x: kernel(x))
