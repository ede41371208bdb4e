"""Sparse matrices of SciPy times arrays that carry changes, held against literal subtraction."""

import gc
import sys
import threading
from queue import SimpleQueue

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spl

import fastcheck as fc
from fastcheck import NoRule
from fastcheck.engines.program.arrays.program import Program
from tests.engines.program.arrays.literal import assert_exact, inputs_of

DENSE = np.random.default_rng(5).standard_normal((3, 3)) * (np.arange(9).reshape(3, 3) % 3 > 0)
SHAPES = [(3, 4), (4, 3), (3,)]
FORMATS = ["csr_matrix", "csc_matrix", "coo_matrix", "dia_matrix", "lil_matrix", "bsr_matrix", "csr_array", "coo_array"]
PRODUCTS = {
    "from the left": lambda A, x, y, v: A @ x,
    "dot": lambda A, x, y, v: A.dot(x),
    "of a vector": lambda A, x, y, v: A @ v,
    "from the right": lambda A, x, y, v: y @ A,
    "of a vector from the right": lambda A, x, y, v: v @ A,
    "transposed, twice": lambda A, x, y, v: A.T @ (A @ x),
    "of a view": lambda A, x, y, v: A @ x[:, 1:3] + A @ x.T.T[:, :2],
    "of something written": lambda A, x, y, v: A @ written(x),
}


def written(x):
    out = np.zeros(x.shape)
    out[1:] = np.tanh(x[1:])
    return out


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_those_of_literal_subtraction(kind, name):
    A = getattr(sp, kind)(DENSE)
    assert_exact(lambda *inputs: PRODUCTS[name](A, *inputs), inputs_of(SHAPES), tolerance=1e-14)


def test_the_star_of_matrices_is_their_product():
    A = sp.csr_matrix(DENSE)
    assert_exact(lambda x, y, v: A * x + (y * A).T, inputs_of(SHAPES), tolerance=1e-14)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: sp.csr_array(DENSE) * x,
        lambda x: x * sp.csr_array(DENSE),
        lambda x: sp.csr_matrix(DENSE).multiply(x),
        lambda x: x + sp.csr_matrix(DENSE),
        lambda x: sp.csr_matrix(x) @ DENSE,
    ],
)
def test_whatever_else_has_no_rule(function):
    """With as many perturbations as rows, shapes alone would not object."""
    x = np.random.default_rng(6).standard_normal((3, 3))
    with pytest.raises(NoRule):
        Program(lambda x: np.asarray(function(x).sum()), [x]).run({0: np.ones((3, 3, 3))})


def test_what_stands_still_counts_as_an_operation_too():
    """Operations have the same numbers in every run, whatever moves."""
    A, x = sp.csr_matrix(DENSE), np.random.default_rng(6).standard_normal((2, 3, 3))
    program = Program(lambda x, y: np.tanh(A @ x) + A @ y, list(x))
    for moving in ([0], [1], [0, 1]):
        response = program.run({number: np.ones((2, 3, 3)) for number in moving})
        assert response.changes[0].shape == (2, 3, 3)


REGULAR = sp.csc_matrix(DENSE + 4.0 * np.eye(3))
FACTORS, SOLVE = spl.splu(REGULAR), spl.factorized(REGULAR)
SOLUTIONS = {
    "spsolve": lambda x, y, v: spl.spsolve(REGULAR, x) + spl.spsolve(sp.csr_matrix(REGULAR.T), v)[:, None],
    "splu": lambda x, y, v: spl.splu(REGULAR).solve(x) + spl.splu(REGULAR).solve(v, "T")[:, None],
    "factorized": lambda x, y, v: spl.factorized(REGULAR)(v) * 2.0,
    "factors of before": lambda x, y, v: FACTORS.solve(x) * FACTORS.solve(FACTORS.solve(v), trans="T")[:, None],
    "a solver of before": lambda x, y, v: SOLVE(SOLVE(v)) + SOLVE(x[:, 2]) + SOLVE(np.ones(3)),
    "what is known of them": lambda x, y, v: x * FACTORS.nnz + FACTORS.L[0, 0] + spl.splu(REGULAR).shape[0],
}


@pytest.mark.parametrize("name", SOLUTIONS)
def test_solutions_are_those_of_literal_subtraction(name):
    assert_exact(SOLUTIONS[name], inputs_of(SHAPES), tolerance=1e-14)
    assert type(FACTORS) is spl.SuperLU


def test_a_cost_behind_steps_that_solve_with_factors_is_checked():
    rng = np.random.default_rng(0)
    A = sp.csc_matrix(sp.eye(30) + 0.3 * sp.diags([2.0, -1.0, -1.0], [0, 1, -1], shape=(30, 30)))
    u, target, factors = rng.standard_normal(30), rng.standard_normal(30), spl.splu(A)

    def cost(u):
        for _ in range(3):
            u = factors.solve(u)
        return 0.5 * np.sum((u - target) ** 2)

    end = np.linalg.matrix_power(np.linalg.inv(A.toarray()), 3)
    right = end.T @ (end @ u - target)
    report = fc.check_function(cost, u, right)
    assert (report.verdict, report.engine) == ("pass", "program"), str(report)
    assert fc.check_function(cost, u, 1.001 * right).verdict == "fail"


def test_factors_are_kept_by_nobody_after_a_run():
    factors = spl.splu(REGULAR)
    before = sys.getrefcount(factors)
    run_with = [lambda x: factors.solve(x)]
    for _ in range(2):
        Program(run_with[0], [np.ones(3)]).run({0: np.eye(3)})
    run_with.clear()
    gc.collect()
    assert sys.getrefcount(factors) <= before + 1  # the cell of this function holds it, too


def test_threads_may_solve_with_the_same_factors():
    """A thread that looks around while another one runs finds what stands in for them."""
    made = SimpleQueue()  # a list would be put back after the run

    def outer(x):
        if type(FACTORS) is not spl.SuperLU:  # it is followed
            thread = threading.Thread(target=lambda: made.put(Program(inner, [np.ones(3)])))
            thread.start()
            thread.join()
        return FACTORS.solve(x) + SOLVE(x)

    def inner(x):
        return FACTORS.solve(x) - 2.0 * SOLVE(x)

    Program(outer, [np.ones(3)]).run({0: np.eye(3)})
    program = made.get_nowait()
    for _ in range(2):
        found = program.run({0: np.eye(3)}).changes[0]
        np.testing.assert_allclose(found, -np.linalg.inv(REGULAR.toarray()).T)
    assert type(FACTORS) is spl.SuperLU
    assert not any(hasattr(one, "stands_for") for one in (FACTORS, getattr(SOLVE, "__self__", None)))
