"""What random directions lead to: rows for directions that no entry explains."""

from dataclasses import fields, replace

import numpy as np
import pytest

from fastcheck.checks.directional import with_directions
from fastcheck.engines.finite.directional import Probe, Suspect
from fastcheck.problems.gradients import AnalyticGradient, Kinks, NumericalGradient
from fastcheck.problems.parameters.tensor import Tensor


def probed(direction, slope, expected):
    """A direction of W1 that disagrees though the entry that it was traced to agrees."""
    tensor = Tensor("W1", (3,), 0, 3)
    return tensor, Probe([Suspect(tensor, direction, slope, 1e-12, expected, 1, True)], {"W1": 1e-9, "b1": 1e-9})


@pytest.fixture
def case():
    direction = np.array([1.0, -2.0, 0.5, 0.0])
    tensor, probe = probed(direction, 1.0, 2.0)
    subject = AnalyticGradient(
        (tensor, Tensor("b1", (1,), 3, 4)), np.arange(4.0), np.ones(4), np.array([1, 3]), {"W1": "float32"}, 0.5, 7,
        lambda name, unit: np.full(3 if name == "W1" else 1, unit),
    )
    found = NumericalGradient(
        1.0, np.full(2, 1.1), np.full(2, 0.9), np.ones(2), np.full(2, 1e-15),
        Kinks(np.array([0]), np.zeros(1), np.ones(1)), ("a note",), {"a": 1}, False, np.full(2, 1e-3),
    )
    return probe, subject, found


def test_a_row_for_a_direction_drops_nothing_that_was_known(case):
    probe, subject, found = case
    along, differences, step = with_directions(probe, subject, found, 1e-7, 1e-7)
    assert [t.name for t in along.tensors] == ["W1", "b1", "W1 along a direction"]
    assert (along.l2_weight, along.samples) == (0.5, 7)
    assert along.precision == {"W1": "float32", "W1 along a direction": "float32"}
    assert along.indices.tolist() == [1, 3, 4]
    assert differences.truncation.tolist() == [1e-3, 1e-3, 0.0]
    assert (differences.notes, differences.facts, differences.kinks) == (found.notes, found.facts, found.kinks)
    assert step == 1e-7
    assert differences.limits == probe.limits
    changed = {"tensors", "theta", "gradient", "indices", "precision", "rounding"}
    for field in fields(subject):
        assert field.name in changed or getattr(along, field.name) is getattr(subject, field.name)


def test_rounding_of_a_right_gradient_is_known_along_a_direction_too(case):
    probe, subject, found = case
    along, _, _ = with_directions(probe, subject, found, 1e-7, 1e-7)
    assert along.rounding("W1", 2.0).tolist() == [2.0, 2.0, 2.0]
    assert along.rounding("W1 along a direction", 2.0).tolist() == [2.0 * np.sqrt(1.0 + 4.0 + 0.25)]


@pytest.mark.parametrize("noise", [np.array([1e-15]), np.array([1e-15, 1e-14]), np.array([1e-15, 2e-14])])
def test_noise_known_for_all_or_for_each_tensor_is_that_of_every_entry(case, noise):
    probe, subject, _found = case
    whole = AnalyticGradient(subject.tensors, subject.theta, subject.gradient)
    four = NumericalGradient(1.0, np.full(4, 1.1), np.full(4, 0.9), np.ones(4), noise)
    _, differences, _ = with_directions(probe, whole, four, 1e-7, 1e-7)
    per_tensor = noise if noise.size == 2 else np.repeat(noise, 2)
    assert differences.noise.tolist() == [per_tensor[0]] * 3 + [per_tensor[1], 1e-12]


def test_a_direction_whose_entry_is_wrong_needs_no_row(case):
    probe, subject, found = case
    subject.gradient[1] = 3.0
    along, differences, _ = with_directions(probe, subject, found, 1e-7, 1e-7)
    assert along is subject
    assert differences.gradapprox is found.gradapprox
    assert differences.limits == probe.limits


@pytest.mark.parametrize(("share", "blamed"), [(0.0, True), (1e-3, False)])
def test_slopes_that_do_not_add_up_blame_nobody(case, share, blamed):
    """The entry that halving led to has none of the disagreement, of which it was to have a share."""
    probe, subject, found = case
    probe.suspects[0] = replace(probe.suspects[0], share=share)
    _, differences, _ = with_directions(probe, subject, found, 1e-7, 1e-7)
    assert bool(differences.noise[-1] < 1e-11) == blamed
