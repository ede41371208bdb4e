"""Networks that ``scripts/soak`` once found misjudged."""

import pytest

from tests.reliability import soak

# Together they take long, whether or not each of them does.
pytestmark = pytest.mark.slow

# Errors of a few entries that looked like single precision, and had its tolerance.
LIKE_SINGLE = (2028, 2088, 6258, 6850, 15338, 17390)


@pytest.mark.parametrize("seed", LIKE_SINGLE)
def test_what_was_missed_is_found(seed):
    _, counts, wrong = soak.one(seed)
    assert not wrong, "\n".join(wrong)
    assert counts["mistakes"] > 20


def test_a_right_gradient_through_a_cancelling_activation_is_no_mistake():
    """In single precision 1 + tanh(...) of a gelu loses what is left of a strongly negative unit."""
    assert soak.one(80306)[2] == []
