"""What kinks and large steps excuse, and what they do not."""

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.checks.network import check
from fastcheck.problems.gradients import Kinks
from fastcheck.verdict.kinks import TensorKinks
from tests.support.fake_gradients import Made, failing, verdicts
from tests.support.problems import network


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


def test_a_kink_is_told_where_the_noise_is_overestimated_for_it():
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


@pytest.mark.parametrize("step", [np.nan, np.inf, 0.0, -1e-7])
def test_a_step_that_is_no_step_never_hides_a_mistake(step):
    made = Made()
    made["W2"][1, 1] *= 2.0
    epsilon = np.full(made.gradapprox.size, 1e-7)
    assert made.report(epsilon=epsilon).verdict == "fail"
    epsilon[5], epsilon[9] = step, -3.0
    with pytest.raises(ValueError, match=f"epsilon: expected .*, got {step:g} at checked position 5"):
        made.report(epsilon=epsilon)


@pytest.mark.parametrize("epsilon", [1e-7, 1e-3])
def test_derivatives_that_no_difference_can_hold_are_lost(epsilon):
    """Where the costs' differences fall below the smallest normal number, zero is as good as any, beside a larger one.

    Alone it says nothing.
    """
    lost = np.finfo(float).tiny / epsilon
    both, alone = {"W1": (4, 6), "W2": (6, 6)}, {"W2": (6, 6)}
    for shapes, size, verdict in ((both, 0.9 * lost, "pass"), (alone, 0.9 * lost, "inconclusive"),
                                  (alone, 1.5 * lost, "fail")):
        made = Made(shapes)
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


def test_between_the_sides_and_off_one_of_them_by_noise_is_not_apart():
    kinks = TensorKinks(np.arange(3), np.array([-1e-17, -1e-17, -1e-17]), np.ones(3))
    settled = kinks.settle(np.array([0.0, 0.3, -1e-3]), 1e-7, np.array([1e-16]))
    assert settled.nearest.tolist() == [0.0, 0.3, -1e-17]
    assert settled.loose.tolist() == [False, True, False]  # the last lies beside them


def test_entries_beside_their_interval_are_not_told_to_lie_in_it():
    """Biases at zero under units that are dead elsewhere: three of five were said to be right by their interval."""
    made = Made({"b1": (5,)})
    low, high = np.array([-0.4, -0.2, -0.6, -0.2, 0.5]), np.array([-0.2, 0.3, 0.0, 0.2, 0.6])
    made.gradapprox[:] = 0.5 * (low + high)
    made.kinks = Kinks(np.arange(5), low, high)
    made["b1"][:] = -0.03, 0.25, 0.4, 0.1, 0.02
    report = made.report()
    assert report.tensors[0].loose == 2
    assert any("At 2 of them the gradient lies between" in note for note in report.notes)


@pytest.mark.parametrize("whole", [np.floor, np.ceil, np.trunc])
def test_a_large_jump_hides_no_small_one(whole):
    """Each entry stands on a whole number, and the cost jumps to one side of it by very different sizes."""
    rng = np.random.default_rng(0)
    x, q = rng.standard_normal(6), rng.standard_normal(6) * 10.0 ** np.array([0, 12, 0, 0, -9, 3])
    p = np.array([1.0, 2.0, 3.0, 0.3, -1.0, -2.0])

    def cost(given):
        return float(np.sum(x * given["q"] * whole(given["p"])) + np.sum(given["p"]))

    right = {"p": np.ones(6), "q": x * whole(p)}
    assert fc.check_function(cost, {"p": p, "q": q}, right).verdict == "pass"
    for name in right:
        wrong = {**right, name: right[name].copy()}
        wrong[name][3] += 0.01
        assert fc.check_function(cost, {"p": p, "q": q}, wrong).verdict == "fail"


def test_a_jump_to_both_sides_blames_nobody():
    """Ordinary differences over it go like one over the step, and are no slope; entries beside it are judged."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, q = rng.standard_normal(6), rng.standard_normal(6)
        p = np.array([0.0, 0.0, 1.0, 2.0, -1.0, 0.0])

        def cost(given, x=x):
            return float(np.sum(x * given["q"] * np.sign(given["p"])))

        right = {"p": np.zeros(6), "q": x * np.sign(p)}
        report = fc.check_function(cost, {"p": p, "q": q}, right, engine="differences")
        assert report.verdict == "inconclusive", report
        wrong = {**right, "q": 1.01 * right["q"]}
        report = fc.check_function(cost, {"p": p, "q": q}, wrong, engine="differences")
        assert [tensor.name for tensor in report.failures] == ["q"], report


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.01])
def test_a_gradient_on_a_jump_is_that_of_its_smooth_side(factor):
    """Once passed: the other side's quotient goes like one over the step, and anything lies between the two."""
    for seed in range(25):
        rng = np.random.default_rng(seed)
        p, w, v = 2.0 * rng.normal(size=4), rng.normal(size=4), rng.normal(size=3)
        p[0] = -1.0

        def cost(p, w=w, v=v):
            return 3.0 * np.maximum(0.0, 1.0 - w @ np.trunc(p)) + v @ np.sin(p[1:])

        gradient = np.append(0.0, v * np.cos(p[1:]))
        assert fc.check_function(cost, p, gradient).verdict == "pass"
        gradient[0] = factor
        assert fc.check_function(cost, p, gradient).verdict == "fail"
