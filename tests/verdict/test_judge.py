import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fastcheck.checks.network import check
from fastcheck.engines.base import ENGINES
from fastcheck.problems.networks.network import Network
from fastcheck.verdict.comparison import CHUNK
from tests.support.course_exercise import exercise, gradients_with
from tests.support.fake_gradients import SHAPES, Made
from tests.support.problems import network

LARGE = {"W1": (512, 784), "b1": (512, 1), "W2": (256, 512), "b2": (256, 1), "W3": (10, 256), "b3": (10, 1)}


def verdicts(report):
    return {t.name: t.verdict for t in report.tensors}


def failing(report):
    return {t.name for t in report.tensors if t.verdict == "fail"}


# --- right gradients --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("norm", [1, 2, np.inf])
@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 1e12, 1e300])
def test_a_right_gradient_passes_at_any_scale_in_any_norm(norm, scale):
    made = Made()
    made.gradapprox *= scale
    made.gradient *= scale
    made.noise = made.noise * scale
    report = made.report(norm=norm)
    assert report.ok
    assert report.difference < 1e-15


@pytest.mark.parametrize("norm", [1, 2, np.inf])
def test_the_difference_is_the_seeds_formula(norm):
    made = Made()
    made.gradient += 1e-3 * made.rng.standard_normal(made.gradient.size)
    g, a = made.gradient, made.gradapprox
    ratio = np.linalg.norm(g - a, norm) / (np.linalg.norm(g, norm) + np.linalg.norm(a, norm))
    report = made.report(norm=norm)
    assert report.difference == pytest.approx(ratio, rel=1e-13)
    for tensor in report.tensors:
        g, a = made[tensor.name].ravel(), made.approx(tensor.name).ravel()
        ratio = np.linalg.norm(g - a, norm) / (np.linalg.norm(g, norm) + np.linalg.norm(a, norm))
        assert tensor.difference == pytest.approx(ratio, rel=1e-13)


def test_large_tensors_are_worked_on_in_chunks():
    made = Made({"W1": (3, CHUNK - 1), "b1": (3, 1)})
    made.gradient += 1e-3 * made.rng.standard_normal(made.gradient.size)
    g, a = made.gradient, made.gradapprox
    ratio = np.linalg.norm(g - a) / (np.linalg.norm(g) + np.linalg.norm(a))
    assert made.report().difference == pytest.approx(ratio, rel=1e-12)
    made.gradient[:] = made.gradapprox
    made["W1"][2, CHUNK - 5] *= 1.001
    report = made.report()
    assert failing(report) == {"W1"}
    assert report.tensor("W1").worst == (2, CHUNK - 5)
    assert report.tensor("W1").wrong == 1


def test_rounding_of_small_entries_beside_large_ones_is_no_mistake():
    made = Made()
    for name in SHAPES:
        made.approx(name).reshape(-1)[::2] *= 1e-9
    made.gradient = made.gradapprox + 1e-15 * made.rng.standard_normal(made.gradient.size)
    assert made.report().ok


# --- what is scale-free -----------------------------------------------------------------------------------------

SPOILED = {
    "right": lambda made: None,
    "factor": lambda made: np.multiply(made["W2"], 2.0, out=made["W2"]),
    "sign": lambda made: np.negative(made["b1"], out=made["b1"]),
    "entry": lambda made: made["W3"].__setitem__((1, 2), made["W3"][1, 2] * 1.0001),
    "little": lambda made: np.multiply(made["W1"], 1.0 + 3e-8, out=made["W1"]),
    "zeros": lambda made: made["b3"].__setitem__(slice(None), 0.0),
    "nan": lambda made: made["W1"].__setitem__((0, 0), np.nan),
}


@settings(max_examples=30, deadline=None)
@given(exponent=st.integers(-280, 280), spoiled=st.sampled_from(sorted(SPOILED)), norm=st.sampled_from([1, 2, np.inf]))
def test_no_scale_of_the_cost_changes_a_verdict(exponent, spoiled, norm):
    made = Made()
    SPOILED[spoiled](made)
    before = made.report(norm=norm)
    scale = 10.0**exponent
    for vector in (made.gradient, made.gradapprox):
        vector *= scale
    made.noise, made.cost = made.noise * scale, made.cost * scale
    after = made.report(norm=norm)
    assert verdicts(after) == verdicts(before)
    assert after.difference == pytest.approx(before.difference, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("scale", [1e-12, 1e-30, 1e-200])
def test_a_small_tensor_cannot_hide_behind_large_ones(scale):
    made = Made()
    for vector in (made["b2"], made.approx("b2")):
        vector *= scale
    assert made.report(noise=None).ok
    made["b2"][:] *= 2.0
    made.noise = np.array([1e-16, 1e-16, 1e-16, 1e-16 * scale, 1e-16, 1e-16])
    report = made.report()
    assert failing(report) == {"b2"}
    assert report.difference <= 1e-12


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0])
def test_one_entry_of_half_a_million_wrong_by_a_hundred_thousandth_is_found(size):
    made = Made(LARGE)
    made.noise = np.full(6, 1e-15)
    assert made.report().ok
    for vector in (made["W2"], made.approx("W2")):
        vector[17, 100] = 1.01 * size * np.sqrt(np.mean(made.approx("W2") ** 2))
    made["W2"][17, 100] *= 1.0 + 1e-5
    report = made.report()
    assert failing(report) == {"W2"}
    assert (report.worst(1)[0].tensor, report.worst(1)[0].index) == ("W2", (17, 100))
    assert report.difference < 1e-7  # the textbook's number does not see it


# --- what is not finite -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["gradient", "gradapprox", "both"])
@pytest.mark.parametrize("norm", [1, 2, np.inf])
def test_what_is_not_finite_fails_and_says_where(value, side, norm):
    made = Made()
    place = made.place("W2", 3, 4)
    for vector in {"gradient": [made.gradient], "gradapprox": [made.gradapprox],
                   "both": [made.gradient, made.gradapprox]}[side]:
        vector[place] = value
    report = made.report(norm=norm)
    assert not report.ok
    assert report.verdict == "fail"
    assert failing(report) == {"W2"}
    assert "[3, 4]" in report.failures[0].diagnosis
    assert report.worst(1)[0].index == (3, 4)
    assert np.isnan(report.difference)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_cost_that_is_not_finite_fails(value):
    made = Made()
    made.cost = value
    made.theta[made.place("b1", 2, 0)] = value
    report = made.report()
    assert report.verdict == "fail"
    assert "b1[2, 0]" in " ".join(report.notes)


def test_numbers_too_large_to_be_squared_are_still_numbers():
    made = Made()
    made.gradient *= 1e307
    made.gradapprox *= 1e307
    assert made.report().ok
    made["W1"][0, 0] *= -1.0
    assert failing(made.report()) == {"W1"}


# --- zeros and coverage -----------------------------------------------------------------------------------------

def test_zero_agrees_with_zero_and_is_counted():
    made = Made()
    made["W1"][:2] = made.approx("W1")[:2] = 0.0
    report = made.report()
    assert report.ok
    assert report.tensor("W1").zeros == 10
    assert report.tensor("W1").dead == 2
    assert "10 of" in " ".join(report.notes)


def test_nothing_exercised_is_inconclusive():
    made = Made()
    made.gradient[:] = made.gradapprox[:] = 0.0
    report = made.report()
    assert report.verdict == "inconclusive"
    assert report.difference == 0.0
    assert "nothing was exercised" in report.summary


@pytest.mark.parametrize("side", ["gradient", "gradapprox"])
def test_zero_against_something_fails(side):
    made = Made()
    getattr(made, side)[:] = 0.0
    assert failing(made.report()) == set(SHAPES)
    made = Made()
    made.gradapprox *= 1e-30
    made.gradient *= 1e-30
    made.noise = made.noise * 1e-30
    made["W1" if side == "gradient" else "W2"][:] = 0.0
    assert len(failing(made.report())) == 1


def test_only_checked_entries_are_judged():
    made = Made()
    made.indices = np.array([0, 3, 31, 40, 41, 100])
    assert made.report().ok
    made["W1"][0, 3] *= 2.0
    report = made.report()
    assert failing(report) == {"W1"}
    assert report.tensor("W1").worst == (0, 3)
    assert [t.checked for t in report.tensors] == [2, 1, 2, 0, 1, 0]
    made["W1"][0, 3] /= 2.0
    made["W1"][0, 4] *= 2.0
    report = made.report()
    assert report.ok
    assert "Nothing was checked of b2 and b3" in " ".join(report.notes)


# --- noise ------------------------------------------------------------------------------------------------------

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


# --- kinks and large steps --------------------------------------------------------------------------------------

def test_at_kinks_the_one_sided_derivatives_judge():
    made = Made()
    place = made.place("W2", 1, 1)
    made.at_kink(place, -1.0, 2.0)
    for value, verdict in ((0.5, "pass"), (-1.0, "pass"), (2.0, "pass"), (2.0 + 1e-5, "fail"), (-1.001, "fail")):
        made.gradient[place] = value
        report = made.report()
        assert report.verdict == verdict, value
        assert report.tensor("W2").kinks == report.kinks == 1
    made.gradient[place] = 0.5
    assert report.at_kinks(3)[0].index == (1, 1)
    made["W2"][0, 0] *= 2.0
    assert failing(made.report()) == {"W2"}


def test_a_kink_the_engine_does_not_know_is_no_failure():
    made = Made()
    place, epsilon = made.place("W2", 1, 1), 1e-5
    slope = np.array(made.gradapprox)
    up, down = made.cost + epsilon * slope, made.cost - epsilon * slope
    made.gradient[place] = 1.5
    up[place], down[place] = made.cost + 1.5 * epsilon, made.cost - 0.5 * epsilon
    made.gradapprox[place] = 1.0
    made.differences = {"J_plus": up, "J_minus": down, "kinks": None}
    report = made.report(epsilon=epsilon, engine="full")
    assert verdicts(report)["W2"] == report.verdict == "inconclusive"
    assert "kink" in report.summary
    made.gradient[place] = 1.7
    assert failing(made.report(epsilon=epsilon, engine="full")) == {"W2"}


def test_a_kink_is_told_where_every_entry_has_its_own_step():
    made = Made()
    place = made.place("W2", 1, 1)
    epsilon = 10.0 ** made.rng.uniform(-6.0, -4.0, made.gradapprox.size)
    up, down = made.cost + epsilon * made.gradapprox, made.cost - epsilon * made.gradapprox
    up[place], down[place] = made.cost + 1.5 * epsilon[place], made.cost - 0.5 * epsilon[place]
    made.gradapprox[place] = 1.0
    made.differences = {"J_plus": up, "J_minus": down, "kinks": None}
    for value, verdict in ((1.5, "inconclusive"), (0.51, "inconclusive"), (1.6, "fail"), (0.4, "fail")):
        made.gradient[place] = value
        assert verdicts(made.report(epsilon=epsilon, engine="full"))["W2"] == verdict, value


def test_a_jump_that_rounding_of_the_cost_makes_is_no_kink():
    made = Made()
    made.cost, epsilon, place = 1e6, 1e-5, made.place("W2", 1, 1)
    up, down = made.cost + epsilon * made.gradapprox, made.cost - epsilon * made.gradapprox
    up[place] += 3.0 * np.spacing(1e6)
    made.gradient[place] += 1.5e-5
    made.differences = {"J_plus": up, "J_minus": down, "kinks": None}
    assert failing(made.report(epsilon=epsilon, engine="full")) == {"W2"}


def test_a_kink_is_told_where_the_noise_the_noise_is_overestimated_for_it():
    made = Made()
    place, epsilon = made.place("W2", 1, 1), 1e-5
    made.noise = np.array([0.01])
    up, down = made.cost + epsilon * made.gradapprox, made.cost - epsilon * made.gradapprox
    up[place], down[place] = made.cost + 1.5 * epsilon, made.cost + 0.5 * epsilon
    made.gradapprox[place] = 0.5
    made.gradient[place] = 1.5
    made.differences = {"J_plus": up, "J_minus": down, "kinks": None}
    assert verdicts(made.report(epsilon=epsilon, engine="full"))["W2"] == "inconclusive"
    made.gradient[place] = 2.5
    assert verdicts(made.report(epsilon=epsilon, engine="full"))["W2"] == "fail"


def test_between_quotients_that_curvature_explains_is_still_wrong():
    made = Made()
    epsilon, slope = 1e-5, np.array(made.gradapprox)
    bent = 0.5 * epsilon**2 * 3.0
    made.differences = {
        "J_plus": made.cost + epsilon * slope + bent, "J_minus": made.cost - epsilon * slope + bent, "kinks": None,
    }  # fmt: skip
    made["W2"][1, 1] += 5e-6  # well inside [slope - 1.5e-5, slope + 1.5e-5]
    assert failing(made.report(epsilon=epsilon, engine="full")) == {"W2"}


@pytest.mark.parametrize("engine", ["reference", "full"])
def test_a_right_gradient_at_a_large_epsilon_passes_by_exact_differences(engine):
    net = network([4, 5, 3], "tanh", "softmax", "cross_entropy")
    X, Y, parameters = np.random.default_rng(0).standard_normal((4, 6)), np.arange(6) % 3, net.initialize(0)
    gradients = net.gradients(parameters, X, Y)
    report = check(net, parameters, gradients, X, Y, epsilon=1e-2, engine=engine)
    assert report.ok
    assert "is a large step; judged there by exact differences" in " ".join(report.notes)
    gradients["dW2"] = 1.5 * gradients["dW2"]
    assert failing(check(net, parameters, gradients, X, Y, epsilon=1e-2, engine=engine)) == {"W2"}


@pytest.mark.parametrize("known", ["settled", "truncation"])
def test_a_step_whose_error_is_known_excuses_no_more_than_that(known):
    """A bend that would excuse the mistake, had not the engine or a second look gone into it."""
    made = Made()
    epsilon, slope = 1e-2, np.array(made.gradapprox)
    bent = 0.5 * epsilon**2 * 3.0
    made.differences = {"J_plus": made.cost + epsilon * slope + bent, "J_minus": made.cost - epsilon * slope + bent}
    made["W2"][1, 1] += 1e-3
    found = made.report(epsilon=epsilon).judgement.tensors[2]
    entries = found.entries
    assert (found.verdict, entries.wrong.size, entries.stepped.size, entries.noisy.size) == ("inconclusive", 0, 1, 0)
    made.differences[known] = {"settled": True, "truncation": np.zeros_like(slope)}[known]
    assert failing(made.report(epsilon=epsilon)) == {"W2"}


def test_a_tensor_that_stands_on_kinks_alone_is_no_failure():
    """Like |x| at zero: every central difference vanishes, whatever the engine knows of kinks."""
    made = Made()
    made.approx("b3")[:] = 0.0
    up = made.cost + 1e-5 * made.gradapprox
    down = made.cost - 1e-5 * made.gradapprox
    up[made.place("b3", 0, 0) :] = down[made.place("b3", 0, 0) :] = made.cost + 1e-5
    made.differences = {"J_plus": up, "J_minus": down, "kinks": None}
    for value, verdict in ((0.5, "inconclusive"), (-0.9, "inconclusive"), (1.1, "fail")):
        made["b3"][:] = value
        assert verdicts(made.report(epsilon=1e-5, engine="full"))["b3"] == verdict, value


def test_a_known_truncation_is_taken_off():
    made = Made()
    made.differences = {"truncation": 1e-3 * np.ones_like(made.gradapprox)}
    made.gradapprox += 1e-3
    report = made.report()
    assert report.ok
    assert report.difference > 1e-4
    made["W1"][2, 2] *= 1.0001
    assert failing(made.report()) == {"W1"}
    assert "only one entry is wrong, dW1[2, 2]" in made.report().failures[0].diagnosis


# --- precision --------------------------------------------------------------------------------------------------

def test_single_precision_gradients_are_held_to_what_it_allows():
    made = Made(precision={"W1": "float32"})
    made["W1"][:] = made["W1"].astype(np.float32)
    report = made.report()
    assert report.ok
    assert 1e-7 < report.tensor("W1").tolerance < 1e-4
    assert report.tensor("W2").tolerance == report.tolerance == 1e-7
    assert "float32" in " ".join(report.notes)
    made["W1"][1, 1] *= 1.001
    assert failing(made.report()) == {"W1"}


def test_half_precision_is_looser_still():
    made = Made(precision={"W1": "float16"})
    made["W1"][:] = made["W1"].astype(np.float16)
    assert made.report().ok
    assert made.report().tensor("W1").tolerance > 1e-3


@pytest.mark.parametrize("rounding", ["stored", "computed"])
def test_double_precision_numbers_right_to_single_precision_pass_with_a_note(rounding):
    made = Made()
    if rounding == "stored":
        made["W2"][:] = made["W2"].astype(np.float32)
    else:
        made["W2"][:] *= 1.0 + 1.5e-7 * made.rng.uniform(-1.0, 1.0, (6, 6))
    report = made.report()
    assert report.ok
    assert "dW2 agrees to single precision only" in " ".join(report.notes)
    assert failing(made.report(tolerance=1e-9)) == {"W2"}


@pytest.mark.parametrize("rounding", ["stored", "computed"])
@pytest.mark.parametrize("name", ["W2", "b2"])
def test_double_precision_numbers_that_look_like_single_precision_are_held_to_double_precision(name, rounding):
    """Errors of a few entries look like anything: a soak found an L2 term, a lost sample and an overwritten cache."""
    made = Made()
    made[name][:] *= 1.0 + 2e-6 * made.rng.standard_normal(made[name].shape)
    if rounding == "stored":
        made[name][:] = made[name].astype(np.float32)
    report = made.report()
    assert failing(report) == {name}
    assert report.tensor(name).tolerance == 1e-7
    assert f"d{name} agrees to single precision only" in " ".join(report.notes)
    assert ("float32" in report.failures[0].diagnosis) == (rounding == "stored")


def test_a_factor_within_single_precision_is_no_rounding():
    made = Made()
    made["W2"][:] *= 1.0 + 3e-6
    report = made.report()
    assert failing(report) == {"W2"}
    assert "single precision" not in " ".join(report.notes)


def test_one_wrong_entry_is_no_single_precision():
    made = Made()
    made["W2"][0, 0] *= 1.0 + 3e-6
    report = made.report()
    assert failing(report) == {"W2"}
    assert "single precision" not in " ".join(report.notes)


def test_noise_is_not_taken_for_single_precision():
    made = Made()
    made.noise = np.array([3e-9])
    made.gradapprox += 3e-9 * made.rng.standard_normal(made.gradapprox.size)
    made["W2"][0, 0] *= 1.0 + 1e-6
    report = made.report(engine="reference")
    assert failing(report) == {"W2"}
    assert "single precision" not in " ".join(report.notes)


def test_in_single_precision_small_entries_carry_the_errors_of_large_ones():
    made = Made()
    made["W2"][:] *= 1.0 + 2e-7 * made.rng.standard_normal((6, 6))
    made.approx("W2")[0, 0], made["W2"][0, 0] = 1e-9, 1e-7
    report = made.report()
    assert failing(report) == {"W2"}
    assert "dW2 agrees to single precision only" in " ".join(report.notes)


def test_a_tolerance_given_is_kept():
    made = Made(precision={"W1": "float32"})
    made["W1"][:] = made["W1"].astype(np.float32)
    made["b3"][:] *= 1.0 + 1e-5
    assert failing(made.report(tolerance=1e-3)) == set()
    assert failing(made.report(tolerance=1e-9)) == {"W1", "b3"}
    assert made.report(tolerance=1e-3).tolerance == 1e-3


# --- rounding of a right back-propagation -----------------------------------------------------------------------

def saturated():
    net = network([3, 4, 4, 2], "sigmoid", "identity", "squared_error")
    rng = np.random.default_rng(0)
    parameters = net.initialize(0)
    parameters["b2"] = parameters["b2"] + 36.0
    return net, parameters, rng.standard_normal((3, 5)), rng.standard_normal((2, 5))


def test_digits_lost_in_one_minus_a_are_no_mistake():
    net, parameters, X, Y = saturated()
    right = net.gradients(parameters, X, Y)
    assert check(net, parameters, right, X, Y).ok
    textbook = dict(right)
    Z1 = parameters["W1"] @ X + parameters["b1"]
    A1 = 1 / (1 + np.exp(-Z1))
    A2 = 1 / (1 + np.exp(-(parameters["W2"] @ A1 + parameters["b2"])))
    A3 = parameters["W3"] @ A2 + parameters["b3"]
    dZ2 = parameters["W3"].T @ ((A3 - Y) / 5) * A2 * (1 - A2)
    dZ1 = parameters["W2"].T @ dZ2 * A1 * (1 - A1)
    textbook |= {"dW2": dZ2 @ A1.T, "db2": dZ2.sum(axis=1, keepdims=True),
                 "dW1": dZ1 @ X.T, "db1": dZ1.sum(axis=1, keepdims=True)}
    assert np.linalg.norm(textbook["dW2"] - right["dW2"]) > 1e-3 * np.linalg.norm(right["dW2"])
    report = check(net, parameters, textbook, X, Y)
    assert report.verdict == "inconclusive"
    assert "rounding in back-propagation itself" in report.summary.replace("\n", " ")


def test_saturation_excuses_no_mistake_that_exceeds_it():
    net, parameters, X, Y = saturated()
    for name in ("dW3", "db3"):
        wrong = net.gradients(parameters, X, Y)
        wrong[name] = wrong[name] * (1.0 + 1e-6)
        assert failing(check(net, parameters, wrong, X, Y)) == {name[1:]}
    parameters["b2"] -= 30.0
    wrong = net.gradients(parameters, X, Y)
    wrong["dW2"] = 2.0 * wrong["dW2"]
    assert failing(check(net, parameters, wrong, X, Y)) == {"W2"}


# --- the course exercise ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("engine", ENGINES)
def test_the_course_exercise(engine):
    X, Y, parameters = exercise()
    net = Network.from_parameters(parameters)
    names = [f"d{t.name}" for t in net.tensors]

    def report(*mistakes):
        gradients = gradients_with(*mistakes)
        return check(net, parameters, {name: gradients[name] for name in names}, X, Y, engine=engine)

    right = report()
    if engine == "reference":
        assert right.difference == pytest.approx(1.1890913024229996e-07, rel=1e-3)
        assert right.verdict == "inconclusive"
        assert "rounding of the cost" in right.summary
    else:
        assert right.ok
        assert right.difference < (1e-14 if engine == "response" else 1e-8)
    both = report("dW2", "db1")
    assert both.verdict == "fail"
    assert failing(both) == {"W2", "b1"}
    assert "dW2 is 2.000 times the numerical gradient" in str(both)
    assert "db1 is 4.000 times the numerical gradient" in str(both)
    assert both.difference == pytest.approx(0.2850931567761623, rel=1e-6)


@pytest.mark.parametrize("step", [np.nan, np.inf, 0.0, -1e-7])
def test_a_step_that_is_no_step_never_hides_a_mistake(step):
    made = Made()
    made["W2"][1, 1] *= 2.0
    epsilon = np.full(made.gradapprox.size, 1e-7)
    assert made.report(epsilon=epsilon).verdict == "fail"
    epsilon[5], epsilon[9] = step, -3.0
    with pytest.raises(ValueError, match=f"epsilon: expected .*, got {step:g} at checked position 5"):
        made.report(epsilon=epsilon)


def test_noise_that_is_no_number_never_hides_a_mistake():
    made = Made()
    made["W2"][1, 1] *= 2.0
    made.noise = np.full(made.gradapprox.size, 1e-16)
    made.noise[made.place("W2", 1, 1)] = np.nan
    assert failing(made.report()) == {"W2"}


def test_a_low_precision_entry_is_measured_by_the_size_of_its_tensor():
    """A small entry may be off by what an entry of the usual size may be off by, and no more."""
    for share, verdict in ((0.5, "pass"), (1.5, "fail")):
        made = Made(precision={"W1": "float32"})
        made.approx("W1")[0, 0] = made["W1"][0, 0] = 0.0
        tolerance = made.report().tensor("W1").tolerance
        made["W1"][0, 0] = share * tolerance * np.sqrt(np.mean(made.approx("W1") ** 2))
        assert made.report().tensor("W1").verdict == verdict


def test_a_large_low_precision_entry_is_measured_by_itself():
    for share, verdict in ((0.9, "pass"), (1.5, "fail")):
        made = Made(precision={"W1": "float32"})
        tolerance = made.report().tensor("W1").tolerance
        made.approx("W1")[0, 0] = 30.0
        made["W1"][0, 0] = 30.0 * (1.0 + 2.0 * share * tolerance)
        found = made.report().judgement.tensors[0]
        entries = found.entries
        assert (found.verdict, entries.wrong.size, entries.stepped.size) == (verdict, int(verdict == "fail"), 0)


def test_in_low_precision_rounding_of_a_right_gradient_is_no_doubt():
    for precision, verdict in (({"W1": "float32"}, "pass"), ({}, "inconclusive")):
        made = Made(precision=precision, rounding=lambda name, unit: np.full(30, 1e-2))
        made["W1"][0, 0] += 1e-2
        assert made.report().tensor("W1").verdict == verdict


@pytest.mark.parametrize("epsilon", [1e-7, 1e-3])
def test_derivatives_that_no_difference_can_hold_are_lost(epsilon):
    """Where the costs' differences fall below the smallest normal number, zero is as good as any."""
    lost = np.finfo(float).tiny / epsilon
    for size, verdict in ((0.9 * lost, "pass"), (1.5 * lost, "fail")):
        made = Made({"W2": (6, 6)})
        made.noise = np.array([0.0])
        made.approx("W2")[:], made["W2"][:] = 0.0, size
        assert made.report(epsilon=epsilon).tensor("W2").verdict == verdict


def test_rounding_of_a_large_cost_is_not_taken_for_curvature():
    made = Made()
    # Between two doubles: quotients are off by 1e-3 to either side, as much as a bend that would excuse the mistake.
    made.cost, between = 1e6, 0.49 * np.spacing(1e6)
    made.differences = {
        "J_plus": made.cost + (between + 1e-7 * made.gradapprox),
        "J_minus": made.cost + (between - 1e-7 * made.gradapprox),
    }
    assert made.report().ok
    made["W2"][1, 1] *= 1.0 + 1e-5
    assert failing(made.report()) == {"W2"}


def test_a_tensor_that_does_nothing_has_no_bend(recwarn):
    made = Made()
    made.approx("b3")[:] = 0.0
    made["b3"][:] = 1.0
    assert failing(made.report()) == {"b3"}
    assert not recwarn.list
