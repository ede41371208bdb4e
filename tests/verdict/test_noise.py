"""What noise excuses, and what it does not."""

import numpy as np
import pytest

from tests.support.fake_gradients import LARGE, SHAPES, Made, failing, verdicts


@pytest.mark.parametrize("form", ["one", "per tensor", "per entry"])
def test_disagreement_within_noise_is_inconclusive_and_beyond_it_fails(form):
    made = Made()
    size = made.gradient.size
    made.noise = {"one": np.array([1e-6]), "per tensor": np.full(6, 1e-6), "per entry": np.full(size, 1e-6)}[form]
    made.gradapprox += 1e-6 * made.rng.standard_normal(size)
    report = made.report(engine="reference")
    assert report.verdict == "inconclusive"
    assert "response" in " ".join(report.advice)
    made["W3"][2, 2] += 1e-4
    assert failing(made.report(engine="reference")) == {"W3"}
    made["W3"][:] *= 1.0 + 1e-4
    assert failing(made.report(engine="reference")) == {"W3"}


def test_a_systematic_error_within_every_entrys_noise_shows_in_the_norm():
    made = Made(LARGE)
    made.noise = np.array([1e-6])
    made.gradient[:] = made.gradapprox[:] = np.sign(made.gradapprox)
    for standard_errors, verdict in ((3.8, "inconclusive"), (4.3, "fail"), (7.9, "fail")):
        made["W1"][:] = made.approx("W1") * (1.0 + standard_errors * 1e-6)
        report = made.report(engine="full")
        assert report.tensor("W1").verdict == verdict, standard_errors
        assert report.tensor("W1").wrong == 0


def test_an_entry_may_be_off_by_eight_standard_errors():
    made = Made()
    made.noise = np.array([1e-6])
    for standard_errors, verdict in ((7.9, "inconclusive"), (8.3, "fail")):
        made.approx("W2")[1, 1] = made["W2"][1, 1] = 1.0
        made["W2"][1, 1] += standard_errors * 1e-6
        assert made.report(engine="full").tensor("W2").verdict == verdict, standard_errors


def test_every_entry_that_disagrees_is_counted_once():
    """As wrong, as doubtful (here: what rounding of a right gradient may explain) or as noisy."""
    made = Made(rounding=lambda name, unit: np.full(36, 1e-5))
    made.noise = np.array([1e-6])
    made.approx("W2")[0, :6] = 1.0
    made["W2"][0, :6] = 1.0 + np.array([5e-6, 5e-6, 5e-6, 5e-5, 5e-5, 1e-2])
    found = made.report(engine="full").judgement.tensors[2]
    entries = found.entries
    places = [p.tolist() for p in (entries.noisy, entries.rounded, entries.stepped, entries.wrong)]
    assert (found.name, *places) == ("W2", [0, 1, 2], [3, 4], [], [5])
    assert entries.all.tolist() == list(range(6))


def test_noise_and_rounding_of_a_right_gradient_may_add_up():
    made = Made(rounding=lambda name, unit: np.full(36, 1e-6))
    made.noise = np.array([1e-6])
    for share, verdict in ((0.97, "pass"), (1.03, "fail")):
        made.approx("W2")[1, 1], made["W2"][1, 1] = 1.0, 1.0 + share * 16e-6
        assert made.report(engine="full").tensor("W2").verdict == verdict, share


def test_noise_of_an_entry_that_the_norm_does_not_see_passes():
    made = Made()
    made.noise = np.array([1e-8])
    made.approx("W2")[1, 1], made["W2"][1, 1] = 1e-3, 1e-3 + 1e-8
    found = made.report(engine="full").judgement.tensors[2]
    assert (found.verdict, found.entries.noisy.size) == ("pass", 1)


def test_single_precision_within_noise_goes_without_saying():
    made = Made()
    made.noise = np.array([1e-7])
    made.approx("W2")[:] += 1e-7 * made.rng.standard_normal((6, 6))
    made["W2"][:] = made["W2"].astype(np.float32)
    assert "single precision" not in " ".join(made.report(engine="full").notes)


def test_nothing_checked_differs_by_nothing():
    made = Made()
    made.indices = np.empty(0, np.int64)
    assert made.report(norm=np.inf).difference == 0.0


def wrong_positions(report):
    """Positions, among the checked ones, of the entries that the verdict calls wrong."""
    tensors = report.judgement.tensors
    return [t.comparison.first + int(k) for t in tensors for k in t.entries.wrong]


def test_the_entries_that_disagree_are_told_by_position():
    made = Made()
    made["W2"][[0, 3], [2, 4]] *= 2.0
    made["b3"][1] *= 2.0
    made["W2"][5] *= 1.0 + 1e-7  # half of the tolerance
    wrong = [made.place("W2", 0, 2), made.place("W2", 3, 4), made.place("b3", 1, 0)]
    assert wrong_positions(made.report()) == wrong
    made.indices = np.array([3, 40, *wrong[:2], 80, wrong[2]])
    made.indices.sort()
    assert made.indices[wrong_positions(made.report())].tolist() == wrong


def test_noise_of_one_tensor_excuses_no_other():
    made = Made()
    made.noise = np.array([1.0, 1e-16, 1e-16, 1e-16, 1e-16, 1e-16])
    made["b1"][0] *= 1.1
    made["W1"][0] *= 1.1
    assert verdicts(made.report()) == {**dict.fromkeys(SHAPES, "pass"), "W1": "inconclusive", "b1": "fail"}


def test_noise_that_is_no_number_never_hides_a_mistake():
    made = Made()
    made["W2"][1, 1] *= 2.0
    made.noise = np.full(made.gradapprox.size, 1e-16)
    made.noise[made.place("W2", 1, 1)] = np.nan
    assert failing(made.report()) == {"W2"}
