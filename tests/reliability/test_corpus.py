"""The corpus: every mistake at every layer where it can occur, in every activation, must fail and be named."""

from collections import Counter

import numpy as np
import pytest

from fastcheck.checks.network import check
from fastcheck.engines.base import ENGINES
from tests.reliability.bugs import BUGS, Backward, planted
from tests.reliability.corpus import SAMPLES, cases, mixed, outcomes
from tests.support.problems import data, gradient, problem

# Together they take long, whether or not each of them does.
pytestmark = pytest.mark.slow

CASES = {case.name: case for case in cases()}
SEEDS = range(5)


@pytest.mark.parametrize("name", CASES)
def test_every_mistake_is_found_placed_and_named(name):
    for seed in SEEDS:
        for outcome in outcomes(CASES[name], seed):
            assert outcome.found, f"not found, seed {seed}: {outcome}"
            assert outcome.first, f"another tensor first, seed {seed}: {outcome}"
            assert outcome.said is not False, f"another diagnosis, seed {seed}: {outcome}"


@pytest.mark.parametrize("name", CASES)
def test_the_hand_written_back_propagation_is_right(name):
    given = problem(CASES[name].net, SAMPLES, 0)
    by_hand = given.network.to_vector(Backward(given).run())
    assert np.allclose(by_hand, gradient(given), rtol=1e-10, atol=1e-13)


def test_all_46_mistakes_are_planted_and_change_the_gradient():
    assert [bug.number for bug in BUGS] == list(range(1, 47))
    seen = Counter()
    for case in CASES.values():
        given, other = problem(case.net, SAMPLES, 0), problem(case.net, SAMPLES, 1000)
        seen.update(one.bug.number for one in planted(given, other, 0, case.numbers))
    assert set(seen) == set(range(1, 47))
    assert seen.total() > 3000


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "response"])
def test_engines_that_subtract_find_them_too(engine):
    below_noise = (44, 45)  # single precision; 0.1 % of an entry that may be small
    for outcome in outcomes(CASES["hidden tanh"], 0, engine):
        assert (outcome.found and outcome.first) or outcome.planted.bug.number in below_noise, outcome


def test_from_end_to_end():
    net = mixed(0.7)
    given, other = problem(net, SAMPLES, 0), problem(net, SAMPLES, 1000)
    X, Y = data(net, SAMPLES, 0)
    for one in list(planted(given, other, 0))[::7]:
        gradients = {f"d{name}": value for name, value in one.gradients.items()}
        report = check(net, given.parameters, gradients, X, Y)
        assert report.verdict == "fail" or one.bug.number == 44, f"{one.bug} at {one.place}"
