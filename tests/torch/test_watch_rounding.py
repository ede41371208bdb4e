"""``fastcheck.torch.rounding``: what is looked into, by the spread as it was measured and by what checks excused."""

import numpy as np

from fastcheck._constants import NOISE_SIGMAS, UNIT_ROUNDOFFS
from fastcheck.torch.rounding import FADES, GROWTH, NORM, Allowed, errors_of, sizes_of, spread_of
from fastcheck.verdict.alone import least_alone

UNIT = UNIT_ROUNDOFFS["float32"]


def error(size):
    return {"w": np.array([size / 10.0, size, size])}


def test_before_a_measurement_only_what_a_check_can_call_wrong_is_looked_into():
    allowed, least = Allowed(), least_alone(UNIT)[NORM]
    allowed.forget(UNIT)
    assert not allowed.beyond(error(0.9 * least), allowed.spread)
    assert allowed.beyond(error(1.1 * least), allowed.spread) == ["w"]
    assert allowed.beyond({"w": np.full(3, np.inf)}, allowed.spread) == ["w"]


def test_a_measured_spread_grows_slowly_and_shrinks_at_once():
    allowed = Allowed()
    allowed.forget(UNIT)
    allowed.measured(error(1e-3))
    assert not allowed.beyond(error(0.9e-3 * NOISE_SIGMAS), allowed.spread)
    allowed.measured(error(1.0))  # a mask that flipped
    assert allowed.spread["w"][NORM] == GROWTH * 1e-3
    allowed.measured(error(1e-5))
    assert allowed.spread["w"][NORM] == 1e-5
    allowed.forget(2.0 * UNIT)
    assert not allowed.spread


def test_what_a_check_excused_fades():
    allowed = Allowed()
    allowed.forget(UNIT)
    allowed.excuse(error(0.1), 2.0)
    assert not allowed.beyond(error(0.15), allowed.spread)
    for _ in range(4):
        allowed.fade()
    assert allowed.beyond(error(0.15), allowed.spread)
    assert allowed.shares(["w"])["w"] == 0.2 * FADES**4


def test_what_several_checks_excused_is_the_largest_of_them():
    """Near a perfect fit each batch rounds otherwise: what one excused the next one does not take back."""
    allowed = Allowed()
    allowed.forget(UNIT)
    allowed.excuse(error(0.1), 2.0)
    allowed.excuse(error(0.01), 2.0)
    assert allowed.shares(["w"])["w"] == 0.2


def test_a_tensor_of_rounding_alone_is_measured_by_the_roundings_of_the_largest():
    rng = np.random.default_rng(0)
    truth = {"w": rng.standard_normal((4, 5)), "zero": 1e-17 * rng.standard_normal(4), "none": np.zeros(3)}
    sizes = sizes_of(truth, UNIT)
    assert sizes["zero"] == sizes["none"] == UNIT * np.linalg.norm(truth["w"])
    runs = [{name: one + 3.0 * UNIT * rng.standard_normal(one.shape) for name, one in truth.items()} for _ in range(5)]
    spread = spread_of(runs, sizes, UNIT)
    errors = errors_of(runs[0], truth, sizes)
    assert errors["w"][NORM] < 1e-5 < 0.1 < errors["zero"][NORM]
    assert all((errors[name] <= NOISE_SIGMAS * spread[name]).all() for name in truth)
