"""Jacobians against exact ones: differences that are not finite, or absurd, pass nothing."""

import numpy as np
import pytest

from fastcheck.checks.jacobian.exact import compare_exactly
from fastcheck.checks.jacobian.point import Part, Point, Tolerances
from fastcheck.checks.jacobian.quotients import ExactJacobian
from fastcheck.problems.parameters.tensor import Tensor

LIMITS = Tolerances(1e-5, 1e-5, 1e-4)


def point(entries=1):
    return Point(None, np.ones(entries), np.ones(1), (Part(Tensor("x", (entries,), 0, entries)),),
                 (Part(Tensor("y", (), 0, 1)),))


def quotients(right, left, nearer=None, held=()):
    sides = [np.array([side]) for side in (right, left)]
    found = sides if nearer is None else [np.array([side]) for side in nearer]
    return ExactJacobian(*sides, np.ones(len(right), bool), lambda: iter(np.array([[one]]) for one in held),
                         lambda doubted: tuple(side[:, doubted] for side in found))


NAN, INF, HUGE = np.nan, np.inf, 1e26
ABSURD = {
    "nothing is known": quotients([NAN], [NAN]),
    "huge": quotients([HUGE], [-HUGE]),
    "huge on one side": quotients([HUGE], [0.0]),
    "huge at first, then unknown": quotients([-8e26], [-7e25], ([NAN], [NAN]), held=(0.0, -8e26)),
    "a number at first, then unknown": quotients([0.5], [0.5], ([NAN], [NAN])),
    "a number at first, then huge": quotients([0.5], [0.5], ([HUGE], [-HUGE]), held=(0.5,)),
    "infinite on one side": quotients([INF], [0.0]),
    "infinite and unknown": quotients([INF], [NAN]),
    "infinite on both sides": quotients([INF], [-INF]),
}


@pytest.mark.parametrize("name", ABSURD)
@pytest.mark.parametrize("judged", [3.0, -5e6, INF, NAN])
def test_what_is_no_number_passes_nothing(name, judged):
    assert compare_exactly(point(), np.array([[judged]]), ABSURD[name], LIMITS) is not None


def test_a_huge_difference_of_one_entry_excuses_no_other():
    exact = quotients([HUGE, 1.0], [HUGE, 1.0])
    found = compare_exactly(point(2), np.array([[1.0, 1.5]]), exact, LIMITS)
    assert sorted(found.places[:, 1]) == [0, 1]


def test_looking_nearer_leaves_the_first_differences_for_the_next_mode():
    exact = quotients([2.0], [2.0], ([NAN], [NAN]))
    assert compare_exactly(point(), np.array([[3.0]]), exact, LIMITS) is not None
    assert compare_exactly(point(), np.array([[2.0]]), exact, LIMITS) is None


def test_a_side_that_is_not_known_leaves_the_other_one():
    exact = quotients([2.0], [NAN])
    assert compare_exactly(point(), np.array([[2.0]]), exact, LIMITS) is None
    assert compare_exactly(point(), np.array([[1.5]]), exact, LIMITS) is not None
