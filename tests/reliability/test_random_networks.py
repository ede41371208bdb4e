"""Right gradients of random networks: never "fail", and "inconclusive" only where nothing is exercised."""

from dataclasses import replace

import numpy as np
import pytest

from tests.reliability.random_networks import KINDS, draw, outcome

# Together they take long, whether or not each of them does.
pytestmark = pytest.mark.slow

COUNT = 2000


@pytest.mark.parametrize("kind", KINDS)
def test_right_gradients_are_never_called_wrong(kind):
    exercised = 0
    for seed in range(KINDS.index(kind), COUNT, len(KINDS)):
        verdict, report = outcome(draw(seed))
        assert verdict in ("pass", "nothing exercised"), f"{draw(seed)}\n{report}"
        exercised += verdict == "pass"
    assert exercised > 0.75 * COUNT / len(KINDS)


@pytest.mark.parametrize("seed", [3000814, 3001667])
def test_sides_of_a_kink_that_round_hide_no_gradient_between_them(seed):
    """A one-sided derivative of zero came out as -1e-17 in NumPy, and the gradient's own zero was held against that."""
    verdict, report = outcome(draw(seed))
    assert verdict == "pass", report


@pytest.mark.parametrize("seed", [10254, 11924, 17844, 21964, 13387, 15517])
def test_a_gradient_that_rounding_puts_beside_an_end_of_the_interval(seed):
    """Zero, where the one-sided derivative came out as 1e-17; a thousandth of the jump outside of it does not pass."""
    drawn = draw(seed)
    verdict, report = outcome(drawn)
    assert verdict == "pass", report
    kinks = report._differences.kinks
    jumps = kinks.high - kinks.low
    place = int(np.argmax(jumps))
    tensor = next(t for t in drawn.net.tensors if t.start <= kinks.where[place] < t.stop)
    wrong = {name: value.copy() for name, value in drawn.gradients.items()}
    wrong["d" + tensor.name].flat[kinks.where[place] - tensor.start] = kinks.low[place] - 1e-3 * jumps[place]
    assert outcome(replace(drawn, gradients=wrong))[0] in ("fail", "inconclusive")
