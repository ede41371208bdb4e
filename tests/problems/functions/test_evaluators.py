"""Every way of computing a cost gives the same costs; what users do wrong is said with the place."""

import concurrent.futures
import contextlib
import ctypes
import subprocess
import sys

import numba
import numpy as np
import pytest
import scipy

import fastcheck as fc
from fastcheck._errors import ChangedArgumentError
from fastcheck.problems.functions.compiled import foreign, jitted
from fastcheck.problems.functions.evaluators import BatchedCost, ExecutorCost, PythonCost
from fastcheck.problems.parameters.layout import Layout
from tests.support.jit_mode import COMPILED, needs_compiled
from tests.support.user_functions import (
    cubes,
    cubes_gradient,
    fails_at_seven,
    fails_everywhere,
    layer,
    layer_problem,
    point,
)

NO_ADDRESS = "only compiled code calls what stands at an address"
WEIGHTS = np.linspace(1.0, 2.0, 40)


@numba.njit
def jitted_cubes(theta, weights):
    total = 0.0 * theta[0]
    for i in range(theta.size):
        total += weights[i] * theta[i] * theta[i] * theta[i]
    return total


@numba.njit(parallel=True)
def parallel_cubes(theta, weights):
    total = 0.0
    for i in numba.prange(theta.size):
        total += weights[i] * theta[i] * theta[i] * theta[i]
    return total


@numba.njit
def jitted_failing(theta):
    if theta[7] > 1e3:
        raise ValueError("theta is too large")
    return theta.sum()


@numba.njit
def jitted_writing(theta):
    theta[1] += 1.0
    return theta.sum()


@(numba.cfunc("float64(int32, CPointer(float64), voidptr)") if COMPILED else lambda function: function)
def numba_callback(n, theta, data):
    values = numba.carray(theta, (n,))
    return np.sum(values**3)


def stacked_cubes(theta, weights=1.0):
    return np.sum(weights * theta**3, axis=-1)


def evaluators(theta, executor=None):
    layout = Layout.of(theta)
    called = PythonCost(cubes, layout, theta, (WEIGHTS,))
    yield "called", called
    yield "stacked", BatchedCost(stacked_cubes, layout, theta, (WEIGHTS,), 1 << 26)
    yield "stacked, a row at a time", BatchedCost(stacked_cubes, layout, theta, (WEIGHTS,), 1)
    yield "jitted", jitted(PythonCost(jitted_cubes, layout, theta, (WEIGHTS,)), 2)
    if executor:
        yield "sent", ExecutorCost(called, executor)


def test_all_evaluators_agree_and_leave_theta_alone():
    theta = point()
    before = theta.copy()
    positions = np.random.default_rng(0).integers(0, 40, 500)
    values = theta[positions] + np.random.default_rng(1).standard_normal(500)
    wanted = []
    for k, value in zip(positions, values, strict=True):
        moved = theta.copy()
        moved[k] = value
        wanted.append(cubes(moved, WEIGHTS))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, evaluator in evaluators(theta, pool):
            np.testing.assert_allclose(evaluator.costs_at(positions, values), wanted, rtol=1e-13, err_msg=name)
            assert evaluator.costs_at(positions[:0], values[:0]).size == 0
            assert evaluator.at(theta) == pytest.approx(cubes(theta, WEIGHTS), rel=1e-14)
            np.testing.assert_array_equal(theta, before)


def test_a_compiled_cost_that_was_called_before_needs_no_loop_of_its_own_to_be_timed():
    theta = point()
    evaluator = dict(evaluators(theta))["jitted"]
    loop, lengths = evaluator.loop, []

    def counted(theta, positions, *others):
        lengths.append(len(positions))
        loop(theta, positions, *others)

    evaluator.loop = counted
    evaluator.costs_at(np.arange(3), theta[:3] + 1.0)
    assert lengths == [1, 2], "nobody knows yet how long an evaluation takes"
    lengths.clear()
    evaluator.seconds = np.inf
    evaluator.at(theta)  # compiles, perhaps; the next call tells how long it takes
    evaluator.at(theta)
    evaluator.costs_at(np.arange(3), theta[:3] + 1.0)
    assert lengths == [3]


@pytest.mark.parametrize("name", ["called", "stacked", "jitted"])
def test_complex_parameters_reach_the_cost(name):
    theta = point()
    evaluator = dict(evaluators(theta))[name]
    costs = evaluator.costs_at(np.arange(40), theta + 1e-20j)
    np.testing.assert_allclose(costs.imag / 1e-20, cubes_gradient(theta, WEIGHTS), rtol=1e-14)


def test_nested_stacks_have_the_right_rows():
    parameters, gradients, x = layer_problem()

    def stacked(p, x):
        pre = p["layer"]["W"] @ x + p["layer"]["b"]
        assert p["scale"].shape == pre.shape[:1]
        return np.sum(np.tanh(pre) ** 2, axis=1) + np.exp(p["scale"])

    one = fc.check_function(layer, parameters, gradients, (x,))
    many = fc.check_function(stacked, parameters, gradients, (x,), vectorized=True)
    assert one.verdict == many.verdict == "pass"
    np.testing.assert_allclose(one.gradapprox, many.gradapprox, rtol=1e-7)


def test_blocks_stay_under_the_memory_limit():
    sizes = []

    def cost(theta):
        sizes.append(theta.nbytes)
        return np.sum(theta**2, axis=-1)

    theta = point(size=10_000)
    assert fc.check_function(cost, theta, 2.0 * theta, vectorized=True, memory_limit=1 << 20).ok
    assert 1e5 < max(sizes) <= 1 << 20


@pytest.mark.parametrize(("cost", "error", "words"), [
    (lambda theta: np.sum(theta), ValueError, r"expected shape \(1,\).*got shape \(\).*leading axis"),
    (lambda theta: theta, ValueError, "expected"),
    (lambda theta: [str(row) for row in theta], TypeError, "expected real numbers"),
])
def test_stacks_must_give_one_cost_a_row(cost, error, words):
    with pytest.raises(error, match=words):
        fc.check_function(cost, np.ones(3), np.ones(3), vectorized=True)


def test_processes_evaluate_it_too():
    theta = point()
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        report = fc.check_function(cubes, theta, cubes_gradient(theta), executor=pool)
    assert report.ok
    alone = fc.check_function(cubes, theta, cubes_gradient(theta), engine="differences")
    np.testing.assert_array_equal(report.gradapprox, alone.gradapprox)


@pytest.mark.parametrize("kind", [None, concurrent.futures.ThreadPoolExecutor, concurrent.futures.ProcessPoolExecutor])
def test_the_users_exception_comes_with_the_parameter(kind):
    theta = point()
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(kind(1)) if kind else None
        with pytest.raises(OSError, match="the disk is full") as caught:
            fc.check_function(fails_at_seven, theta, cubes_gradient(theta), executor=executor)
    assert f"raised by the cost with theta[7] (entry 7 of theta) at {theta[7]:.2f}"[:-1] in caught.value.__notes__[0]


def test_an_exception_for_a_stack_says_which_parameters_it_moves():
    def cost(theta):
        if len(theta) > 1:
            raise OSError("the disk is full")
        return stacked_cubes(theta)

    with pytest.raises(OSError, match="the disk is full") as caught:
        fc.check_function(cost, point(), point(), vectorized=True)
    assert "rows, theta[" in caught.value.__notes__[0]


def test_an_exception_at_the_parameters_themselves_says_so():
    with pytest.raises(OSError, match="the disk is full") as caught:
        fc.check_function(fails_everywhere, point(), point())
    assert "at the parameters themselves" in caught.value.__notes__[0]


def test_a_jitted_cost_on_threads_gives_what_one_thread_gives():
    theta = point(size=3000)
    weights = np.linspace(1.0, 2.0, 3000)
    reports = [
        fc.check_function(jitted_cubes, theta, cubes_gradient(theta, weights), (weights,), threads=t) for t in (1, 3)
    ]
    assert all(r.ok for r in reports)
    np.testing.assert_array_equal(reports[0].gradapprox, reports[1].gradapprox)


@pytest.mark.slow
@needs_compiled("nothing is launched in parallel")
def test_a_jitted_cost_that_is_parallel_itself():
    theta = point(size=600)
    weights = np.ones(600)
    evaluator = jitted(PythonCost(parallel_cubes, Layout.of(theta), theta, (weights,)), 4)
    assert evaluator.threads == 1  # two launches at once would abort the process
    assert fc.check_function(parallel_cubes, theta, cubes_gradient(theta), (weights,)).ok


def test_exceptions_of_a_jitted_cost_name_the_parameter():
    theta = np.ones(20)
    evaluator = jitted(PythonCost(jitted_failing, Layout.of(theta), theta, ()), 2)
    values = np.ones(20)
    values[7] = 1e6
    with pytest.raises(ValueError, match="too large") as caught:
        evaluator.costs_at(np.arange(20), values)
    assert "theta[7] (entry 7 of theta) at 1000000.0" in caught.value.__notes__[0]


def test_a_jitted_cost_that_writes_to_theta_is_found():
    theta = np.ones(20)
    with pytest.raises(ChangedArgumentError):
        fc.check_function(jitted_writing, theta, theta)
    with pytest.raises(ChangedArgumentError):
        jitted(PythonCost(jitted_writing, Layout.of(theta), theta, ()), 1).costs_at(np.arange(20), theta + 1.0)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("c")
    (folder / "cost.c").write_text("""
        double cubes(int n, double *theta, void *data) {
            double total = 0.0, *weights = data;
            for (int i = 0; i < n; i++) total += (data ? weights[i] : 1.0) * theta[i] * theta[i] * theta[i];
            return total;
        }
        double writing(int n, double *theta, void *data) { theta[0] += 1.0; return theta[n - 1]; }
        double two(int n, double *theta) { return theta[0]; }
    """)
    try:
        command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(folder / "cost.so"), str(folder / "cost.c")]
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no C compiler here")
    return ctypes.CDLL(str(folder / "cost.so"))


def prototype(function):
    function.restype = ctypes.c_double
    function.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.c_void_p]
    return function


@needs_compiled(NO_ADDRESS)
def test_c_functions_of_all_kinds(library):
    theta, function = point(), prototype(library.cubes)
    data = ctypes.cast(WEIGHTS.ctypes.data, ctypes.c_void_p)
    costs = [(function, ()), (scipy.LowLevelCallable(function), ()), (numba_callback, ())]
    weighted = [(function, (WEIGHTS,)), (function, (data,)), (scipy.LowLevelCallable(function, data), ())]
    try:
        import cffi
    except ImportError:
        pass
    else:
        ffi = cffi.FFI()
        ffi.cdef("double cubes(int n, double *theta, void *data);")
        costs.append((ffi.dlopen(library._name).cubes, ()))
    for cost, args in costs:
        assert fc.check_function(cost, theta, cubes_gradient(theta), args).ok
    for cost, args in weighted:
        assert fc.check_function(cost, theta, cubes_gradient(theta, WEIGHTS), args).ok
    assert fc.check_function(function, theta, 1.001 * cubes_gradient(theta)).verdict == "fail"


@needs_compiled(NO_ADDRESS)
def test_c_functions_of_another_kind_are_refused(library):
    theta = point()
    plain = ctypes.CDLL(library._name)
    with pytest.raises(TypeError, match=r"restype = ctypes\.c_double"):
        fc.check_function(plain.cubes, theta, theta)
    plain.two.restype, plain.two.argtypes = ctypes.c_double, [ctypes.c_int, ctypes.c_void_p]
    with pytest.raises(TypeError, match="expected double f"):
        fc.check_function(plain.two, theta, theta)
    with pytest.raises(TypeError, match="expected double f"):
        fc.check_function(scipy.LowLevelCallable(prototype(plain.cubes), signature="double (double)"), theta, theta)
    with pytest.raises(ChangedArgumentError):
        fc.check_function(prototype(library.writing), theta, theta)
    with pytest.raises(TypeError, match="expected one array"):
        fc.check_function(prototype(library.cubes), {"a": theta, "b": theta}, {"a": theta, "b": theta})
    with pytest.raises(TypeError, match="takes complex parameters"):
        fc.check_function(prototype(library.cubes), theta, theta, complex_step=True)
    with pytest.raises(TypeError, match="at most one .* got 2"):
        fc.check_function(prototype(library.cubes), theta, theta, (theta, theta))


@needs_compiled(NO_ADDRESS)
def test_a_c_function_sees_a_private_theta_on_every_thread(library):
    theta = point(size=5000)
    evaluator = foreign(prototype(library.cubes), Layout.of(theta), theta, (), 4)
    positions = np.arange(5000)
    costs = evaluator.costs_at(positions, theta + 1.0)
    np.testing.assert_allclose(costs - cubes(theta), (theta + 1.0) ** 3 - theta**3, rtol=1e-7, atol=1e-8)


def test_importing_fastcheck_leaves_numba_alone():
    code = ("import sys, numpy as np, fastcheck as fc; "
            "fc.check_function(lambda t: float(np.sum(t**2)), np.ones(3), 2 * np.ones(3)); "
            "sys.exit('numba' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
