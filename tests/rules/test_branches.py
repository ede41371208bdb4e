"""Kinks: who crosses them, what is tied, and what the conventions make of ties."""

import numpy as np
import pytest

from fastcheck.rules.branches import Branches
from fastcheck.rules.table import RULES

LEFT, MIDDLE, RIGHT = 0.0, 0.5, 1.0
# rule, operands, out, changes of three perturbations of one entry, crossed, tied
KINKS = [
    ("relu", (0.5,), 0.5, (-0.1, -0.6, 0.2), (False, True, False), (False, False, False)),
    ("relu", (-0.5,), 0.0, (0.4, 0.6, -1.0), (False, True, False), (False, False, False)),
    ("relu", (0.0,), 0.0, (0.1, -0.1, 0.0), (False, False, False), (True, True, False)),
    ("absolute", (-0.5,), 0.5, (0.4, 0.6, -1.0), (False, True, False), (False, False, False)),
    ("absolute", (0.0,), 0.0, (0.1, -0.1, 0.0), (False, False, False), (True, True, False)),
    ("maximum", (1.0, 0.5), 1.0, (-0.4, -0.6, 9.0), (False, True, False), (False, False, False)),
    ("maximum", (1.0, 1.0), 1.0, (-0.4, 0.6, 0.0), (False, False, False), (True, True, False)),
    ("minimum", (1.0, 0.5), 0.5, (-0.4, -0.6, 9.0), (False, True, False), (False, False, False)),
    ("minimum", (1.0, 1.0), 1.0, (-0.4, 0.6, 0.0), (False, False, False), (True, True, False)),
    ("fmax", (1.0, 1.0), 1.0, (-0.4, 0.6, 0.0), (False, False, False), (True, True, False)),
    ("fmin", (1.0, 0.5), 0.5, (-0.4, -0.6, 9.0), (False, True, False), (False, False, False)),
    ("greater", (1.0, 0.5), 1.0, (-0.4, -0.6, 9.0), (False, True, False), (False, False, False)),
    ("greater", (1.0, 1.0), 0.0, (-0.4, 0.6, 0.0), (False, False, False), (True, True, False)),
    ("greater_equal", (1.0, 1.0), 1.0, (-0.4, 0.6, 0.0), (False, False, False), (True, True, False)),
    ("sign", (0.3,), 1.0, (-0.2, -0.6, 1.0), (False, True, False), (False, False, False)),
    ("sign", (0.0,), 0.0, (-0.2, 0.6, 0.0), (False, False, False), (True, True, False)),
    ("floor", (1.5,), 1.0, (0.4, 0.6, -0.6), (False, True, True), (False, False, False)),
    ("floor", (2.0,), 2.0, (0.4, -1e-20, 0.0), (False, False, False), (True, True, False)),
    ("ceil", (2.0,), 2.0, (0.4, -0.4, 0.0), (False, False, False), (True, True, False)),
    ("trunc", (-2.0,), -2.0, (0.4, -0.4, 0.0), (False, False, False), (True, True, False)),
    ("trunc", (0.0,), 0.0, (0.4, -0.4, 0.0), (False, False, False), (False, False, False)),
    ("remainder", (5.0, 2.0), 1.0, (0.4, 1.5, -0.5), (False, True, False), (False, False, False)),
    ("remainder", (4.0, 2.0), 0.0, (0.4, -1e-20, 0.0), (False, False, False), (True, True, False)),
    ("leaky_relu", (0.0,), 0.0, (0.1, -0.1, 0.0), (False, False, False), (True, True, False)),
    ("selu", (0.5,), 0.5, (-0.1, -0.6, 0.2), (False, True, False), (False, False, False)),
    ("hardtanh", (0.5,), 0.5, (0.4, 0.6, -1.6), (False, True, True), (False, False, False)),
    ("softshrink", (0.7,), 0.2, (-0.1, -0.3, 1.0), (False, True, False), (False, False, False)),
    ("hardshrink", (0.7,), 0.7, (-0.1, -0.3, 1.0), (False, True, False), (False, False, False)),
    ("threshold", (0.0,), 0.0, (0.1, -0.1, 0.0), (False, False, False), (True, True, False)),
]


def noted(name, values, out, changes, convention=None):
    branches = Branches(np, (len(changes),), convention)
    steps = np.array(changes)[:, None]
    still = (None,) * (len(values) - 1)
    operands = tuple(np.array([v]) for v in values)
    change = RULES[name].change(np, operands, (steps, *still), np.array([out]), branches)
    return np.broadcast_to(change, (len(changes), 1))[:, 0], branches


@pytest.mark.parametrize(("name", "values", "out", "changes", "crossed", "ties"), KINKS)
def test_crossings_and_ties_are_told_apart(name, values, out, changes, crossed, ties):
    _, branches = noted(name, values, out, changes)
    assert tuple(branches.crossed) == crossed
    assert tuple(branches.ties) == ties


@pytest.mark.parametrize("name", ["elu", "celu", "huber_loss", "silu", "gelu"])
def test_smooth_joints_are_no_kinks(name):
    _, branches = noted(name, (0.0,), 0.0, (0.5, -2.0, 1e-9))
    assert not branches.crossed.any()
    assert not branches.ties.any()


@pytest.mark.parametrize(
    ("name", "values", "out", "left", "right"),
    [
        ("relu", (0.0,), 0.0, 0.0, 1.0),
        ("leaky_relu", (0.0,), 0.0, 0.01, 1.0),
        ("absolute", (0.0,), 0.0, -1.0, 1.0),
        ("maximum", (1.0, 1.0), 1.0, 0.0, 1.0),
        ("minimum", (1.0, 1.0), 1.0, 0.0, 1.0),
        ("relu6", (6.0,), 6.0, 0.0, 1.0),
        ("hardtanh", (-1.0,), -1.0, 0.0, 1.0),
        ("softshrink", (0.5,), 0.0, 0.0, 1.0),
        ("softshrink", (-0.5,), 0.0, 0.0, 1.0),
        ("threshold", (0.0,), 0.0, 0.0, 1.0),
        ("sign", (0.0,), 0.0, 0.0, 0.0),
        ("floor", (2.0,), 2.0, 0.0, 0.0),
        ("equal", (1.0, 1.0), 1.0, 0.0, 0.0),
        ("remainder", (4.0, 2.0), 0.0, 1.0, 1.0),
    ],
)
@pytest.mark.parametrize("step", [1e-9, -1e-9])
def test_conventions_freeze_the_slope(name, values, out, left, right, step):
    for convention, slope in ((LEFT, left), (MIDDLE, 0.5 * (left + right)), (RIGHT, right)):
        change, branches = noted(name, values, out, (step,), convention)
        assert change[0] == pytest.approx(slope * step, rel=1e-12, abs=0.0)
        assert not branches.crossed.any()


@pytest.mark.parametrize(("convention", "expected"), [(RIGHT, 1.0), (MIDDLE, 1.5), (LEFT, 2.0)])
def test_two_moving_operands_that_are_equal(convention, expected):
    one, two = np.array([[1.0]]), np.array([[2.0]])
    tied = np.array([3.0])
    for name in ("maximum", "minimum"):
        branches = Branches(np, (1,), convention)
        assert RULES[name].change(np, (tied, tied), (one, two), tied, branches) == expected
    # the true finite change
    assert RULES["maximum"].change(np, (tied, tied), (one, two), tied, Branches(np, (1,))) == 2.0


@pytest.mark.parametrize(("convention", "expected"), [(None, 3.0), (RIGHT, 1.0), (MIDDLE, 2.0), (LEFT, 3.0)])
def test_equal_candidates_of_a_maximum(convention, expected):
    x, d = np.array([5.0, 1.0, 5.0, 5.0]), np.array([[1.0, 9.0, 2.0, 3.0], [0.0, -9.0, 0.0, 0.0]]) * 1e-6
    branches = Branches(np, (2,), convention)
    change = RULES["max"].change(np, (x,), (d,), np.float64(5.0), branches, axes=(-1,))
    np.testing.assert_allclose(change, [expected * 1e-6, 0.0], rtol=1e-12)
    assert branches.ties.tolist() == [True, False]
    assert not branches.crossed.any()


@pytest.mark.parametrize(
    ("convention", "expected"),
    [(None, [-5, 1, 2]), (RIGHT, [-5, 2, 1]), (MIDDLE, [-5, 1.5, 1.5]), (LEFT, [-5, 1, 2])],
)
def test_equal_values_in_order(convention, expected):
    x, d = np.array([3.0, 3.0, 0.0]), np.array([[2.0, 1.0, -5.0]])
    branches = Branches(np, (1,), convention)
    change = RULES["sort"].change(np, (x,), (d,), np.sort(x), branches, axes=(-1,))
    np.testing.assert_allclose(change[0], expected)
    assert branches.ties.tolist() == [True]


def test_another_winner_of_a_maximum():
    x, d = np.array([[5.0, 4.0], [1.0, 2.0]]), np.zeros((2, 2, 2))
    d[0, 0] = [-0.25, 0.25]
    d[1, 0] = [-1.0, 0.5]
    branches = Branches(np, (2,))
    change = RULES["max"].change(np, (x,), (d,), x.max(axis=-1), branches, axes=(-1,))
    assert change.tolist() == [[-0.25, 0.0], [-0.5, 0.0]]
    assert branches.crossed.tolist() == [False, True]


def test_places_of_extremes_and_orders():
    x, d = np.array([1.0, 3.0, 2.0]), np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 1.5], [2.5, 0.0, 0.0]])
    branches = Branches(np, (3,))
    assert RULES["argmax"].change(np, (x,), (d,), np.array(1), branches, axes=(-1,)).tolist() == [0.0, 1.0, -1.0]
    assert branches.crossed.tolist() == [False, True, True]
    branches = Branches(np, (3,))
    RULES["sort"].change(np, (x,), (d,), np.sort(x), branches, axes=(-1,))
    assert branches.crossed.tolist() == [False, True, True]


def test_a_condition_that_changes():
    condition, a, b = np.array([True, False]), np.array([1.0, 2.0]), np.array([10.0, 20.0])
    turned = np.array([[0.0, 0.0], [-1.0, 1.0]])
    branches = Branches(np, (2,))
    change = RULES["where"].change(np, (condition, a, b), (turned, None, None), np.where(condition, a, b), branches)
    assert change.tolist() == [[0.0, 0.0], [9.0, -18.0]]
    assert branches.crossed.tolist() == [False, True]


def test_an_angle_that_passes_the_negative_half_axis():
    y, x = np.array([1e-3]), np.array([-1.0])
    d = np.array([[-2e-3], [1e-3]])
    branches = Branches(np, (2,))
    change = RULES["arctan2"].change(np, (y, x), (d, None), np.arctan2(y, x), branches)
    np.testing.assert_allclose(change[:, 0], np.arctan2(y + d, x)[:, 0] - np.arctan2(y, x), rtol=1e-12)
    assert branches.crossed.tolist() == [True, False]


def test_one_perturbation_needs_no_batch_axis():
    branches = Branches(np)
    RULES["relu"].change(np, (np.array([1.0, -1.0]),), (np.array([-2.0, 0.5]),), np.array([1.0, 0.0]), branches)
    assert branches.crossed
    assert not branches.ties


@pytest.mark.parametrize(("name", "values", "lone"), [
    ("relu", (0.0,), [True, True]), ("absolute", (0.0,), [True, True]), ("clip", (1.0, -1.0, 1.0), [True, True]),
    ("clip", (1.0, 1.0, 1.0), [False, True]), ("softshrink", (0.5,), [True, True]), ("relu", (0.5,), [False, False]),
    ("greater", (0.0, 0.0), [False, False]), ("sign", (0.0,), [False, False]),
])
def test_a_lone_kink_is_one_of_two_slopes(name, values, lone):
    _, branches = noted(name, values, 0.0, (0.1, -0.1, 0.0))
    assert branches.lone.tolist() == [*lone, False]


def test_kinks_of_several_values_or_operations_are_not_lone():
    branches = Branches(np, (3,))
    changes = np.array([[1.0, 0.0], [0.0, -1.0], [1.0, 1.0]])
    RULES["relu"].change(np, (np.zeros(2),), (changes,), np.zeros(2), branches)
    assert branches.lone.tolist() == [True, True, False]
    RULES["absolute"].change(np, (np.zeros(()),), (changes[:, 0],), np.zeros(()), branches)
    assert branches.lone.tolist() == [False, True, False]
    RULES["max"].change(np, (np.zeros(2),), (changes,), np.zeros(()), branches, axes=(-1,))
    assert not branches.lone.any()
