import re

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.verdict.diagnosis import claims
from fastcheck.verdict.diagnosis.claims import CLAIMS as ALL
from fastcheck.verdict.diagnosis.evidence import number
from fastcheck.verdict.diagnosis.location import where_it_sits
from tests.support.fake_gradients import Made
from tests.verdict.diagnosis.patterns import (
    PATTERNS,
    not_centred,
    overwritten,
    spoiled,
    with_a_mask_not_applied,
    with_a_shared_array,
    with_another_mask,
    with_labels,
    with_repeats,
)


def spoil(made, name, new):
    made[name][:] = new(made[name].copy())


def swap(made):
    made["W2"][:], made["W3"][:] = made["W3"].copy(), made["W2"].copy()


# what is done to a right gradient, which tensor is then named first, and what its diagnosis says
CLAIMS = {
    "factor 2": (lambda d: spoil(d, "W2", lambda g: 2 * g), "W2",
                 r"^dW2 is 2\.000 times the numerical gradient: a factor 2 too many\.$"),
    "factor 4": (lambda d: spoil(d, "b1", lambda g: 4 * g), "b1",
                 r"^db1 is 4\.000 times the numerical gradient: a factor 4 too many"),
    "factor 1/3": (lambda d: spoil(d, "W1", lambda g: g / 3), "W1", "is 0.333 times .* a factor 3 is missing"),
    "sign": (lambda d: spoil(d, "b2", lambda g: -g), "b2", r"is -1\.000 times .*: the sign is wrong\.$"),
    "sign and factor": (lambda d: spoil(d, "b2", lambda g: -2 * g), "b2", "the sign is wrong, and a factor 2 too many"),
    "1/m missing": (lambda d: spoil(d, "W1", lambda g: 50 * g), "W1", r"is 50\.000 times .*1/m is missing \(m = 50\)"),
    "1/m twice": (lambda d: spoil(d, "W1", lambda g: g / 50), "W1", r"is 0\.02 times .*1/m is applied twice"),
    "m - 1": (lambda d: spoil(d, "W1", lambda g: g * 50 / 49), "W1", "divided by m - 1 instead of m = 50"),
    "outputs": (lambda d: spoil(d, "W1", lambda g: g / 6), "W1", "divided by m times the 6 outputs instead of m"),
    "0.1 %": (lambda d: spoil(d, "W1", lambda g: 1.001 * g), "W1", r"is 1\.001 times .*0\.1 % too large"),
    "0.001 %": (lambda d: spoil(d, "W1", lambda g: (1 - 1e-5) * g), "W1", r"is 0\.99999 times .*0\.001 % too small"),
    "odd factor": (lambda d: spoil(d, "W1", lambda g: 17.3 * g), "W1", r"is 17\.300 times the numerical gradient\.$"),
    "zero": (lambda d: spoil(d, "W3", lambda g: 0 * g), "W3", "^dW3 is exactly zero everywhere"),
    "transposed": (lambda d: spoil(d, "W3", lambda g: g.T), "W3", "^dW3 is the transpose of the numerical gradient"),
    "another": (lambda d: spoil(d, "W3", lambda g: d["W2"]), "W3", r"^dW3 equals the numerical gradient of W2\.$"),
    "swapped": (swap, "W3", "^dW3 equals the numerical gradient of W2: dW3 and dW2 are swapped"),
    "L2 missing": (lambda d: spoil(d, "W2", lambda g: g - 0.2 * d.parameters("W2")), "W2", "L2 term is missing"),
    "L2 twice": (lambda d: spoil(d, "W2", lambda g: g + 0.2 * d.parameters("W2")), "W2",
                 r"the L2 term of dW2 is 2\.000 times what it should be: it is counted twice"),
    "L2 not averaged": (lambda d: spoil(d, "W2", lambda g: g + 49 * 0.2 * d.parameters("W2")), "W2",
                        "l2 stands where l2/m should"),
    "L2 scaled": (lambda d: spoil(d, "W2", lambda g: g + 0.06 * d.parameters("W2")), "W2",
                  r"the L2 term of dW2 is 1\.300 times what it should be\.$"),
    "L2 on biases": (lambda d: spoil(d, "b2", lambda g: g + 0.2 * d.parameters("b2")), "b2",
                     r"^db2 is off by 0\.200 times b2: an L2 term that the cost does not have"),
    "L2 of another": (lambda d: spoil(d, "W2", lambda g: g + 0.2 * (d.parameters("W3") - d.parameters("W2"))), "W2",
                      "^the L2 term of dW2 is made with W3 instead of W2"),
    "factor beside L2": (
        lambda d: spoil(d, "W2", lambda g: 2 * g - 0.2 * d.parameters("W2")), "W2",
        r"^without the L2 term, dW2 is 2\.000 times the numerical gradient: a factor 2 too many"),
    "transposed beside L2": (
        lambda d: spoil(d, "W3", lambda g: g.T + 0.2 * (d.parameters("W3") - d.parameters("W3").T)), "W3",
        "^without the L2 term, dW3 is the transpose"),
    "one value": (lambda d: spoil(d, "b3", lambda g: np.full_like(g, g.mean())), "b3",
                  "^db3 holds one value, .*, everywhere: the mean of the numerical gradient"),
    "any one value": (lambda d: spoil(d, "b3", lambda g: np.full_like(g, 0.7)), "b3",
                      r"^db3 holds one value, 0\.700, everywhere\.$"),
    "entry": (lambda d: d["W1"].__setitem__((2, 3), d["W1"][2, 3] * 1.25), "W1",
              r"^only one entry is wrong, dW1\[2, 3\]: it is 1\.250 times the numerical gradient"),
    "entries": (lambda d: d["W1"].__setitem__((slice(1, 3), 3), 0.0), "W1",
                r"^only dW1\[1, 3\] and dW1\[2, 3\] are wrong"),
    "row": (lambda d: d["W2"].__setitem__(4, 3 * d["W2"][4]), "W2",
            r"^dW2 is wrong in row 4 of 6 only, which is 3\.000 times the numerical gradient"),
    "odd row": (lambda d: d["W2"].__setitem__(4, d["W2"][4] ** 2), "W2", r"^dW2 is wrong in row 4 of 6 only\.$"),
    "column": (lambda d: d["W2"].__setitem__((slice(None), 0), -d["W2"][:, 0]), "W2",
               r"^dW2 is wrong in column 0 of 6 only, which is -1\.000 times"),
    "nan": (lambda d: d["W2"].__setitem__((1, 5), np.nan), "W2", r"^dW2\[1, 5\] is nan\.$"),
    "infs": (lambda d: d["W2"].__setitem__((slice(1, 3), 5), np.inf), "W2",
             r"^dW2\[1, 5\] is inf and at 1 more place\.$"),
}  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_the_numbers_prove_is_said(claim):
    spoiled, name, words = CLAIMS[claim]
    made = Made(l2_weight=0.2, samples=50)
    spoiled(made)
    first = made.report().failures[0]
    assert first.name == name
    assert re.search(words, first.diagnosis), first.diagnosis


@pytest.mark.parametrize("scale", [1e-100, 1e-12, 1e12, 1e100])
@pytest.mark.parametrize("claim", ["factor 2", "transposed", "swapped", "entry", "row", "one value"])
def test_claims_hold_at_any_scale(claim, scale):
    spoiled, _, words = CLAIMS[claim]
    made = Made()
    spoiled(made)
    made.gradient *= scale
    made.gradapprox *= scale
    made.noise = made.noise * scale
    assert re.search(words.replace("0\\.700", ".*"), made.report().failures[0].diagnosis)


def test_a_right_tensor_gets_no_diagnosis():
    made = Made()
    spoil(made, "W2", lambda g: 2 * g)
    report = made.report()
    assert [t.name for t in report.tensors if t.diagnosis] == ["W2"]


@pytest.mark.parametrize("off", [1e-3, 1e-5])
@pytest.mark.parametrize("claim", ["factor 2", "transposed", "another", "L2 missing", "L2 twice", "L2 on biases"])
def test_what_only_nearly_fits_is_not_claimed(claim, off):
    spoiled, name, _ = CLAIMS[claim]
    made = Made(l2_weight=0.2, samples=50)
    spoiled(made)
    made[name][:] += off * made.rng.standard_normal(made[name].shape)
    assert made.report().failures[0].diagnosis == ""


@pytest.mark.parametrize("seed", range(20))
def test_a_gradient_that_is_simply_wrong_gets_no_diagnosis(seed):
    made = Made(seed=seed, l2_weight=0.2, samples=50)
    for name in ("W1", "b1", "W2", "b2", "W3", "b3"):
        made[name][:] = made.rng.standard_normal(made[name].shape)
    assert [t.diagnosis for t in made.report().tensors] == [""] * 6


def test_a_factor_of_what_is_itself_a_multiple_of_the_parameters_is_a_factor():
    made = Made({"x": (3, 4)})
    made.gradapprox[:] = 0.5 * made.theta
    made.gradient[:] = 2 * made.gradapprox
    assert made.report().failures[0].diagnosis.startswith("dx is 2.000 times the numerical gradient")


def test_a_single_number_is_some_multiple_of_any_other():
    shapes = {"W1": (1, 1), "b1": (1, 1)}
    made = Made(shapes, samples=7)
    made["W1"][:] *= 1.234
    assert made.report().failures[0].diagnosis == ""
    made = Made(shapes, samples=7)
    made["W1"][:] *= 7
    assert "1/m is missing (m = 7)" in made.report().failures[0].diagnosis


def test_claims_see_through_noise():
    made = Made()
    made.noise = np.array([1e-9])
    made.gradapprox += 1e-9 * made.rng.standard_normal(made.gradapprox.size)
    spoil(made, "W2", lambda g: 2 * g)
    assert "is 2.000 times" in made.report(engine="reference").failures[0].diagnosis
    made.noise = np.array([0.05])
    made.gradapprox += 0.05 * made.rng.standard_normal(made.gradapprox.size)
    assert made.report(engine="reference").tensor("W2").diagnosis == ""


def test_a_kink_does_not_spoil_a_claim():
    made = Made()
    spoil(made, "W2", lambda g: 2 * g)
    place = made.place("W2", 1, 1)
    made.gradapprox[place] = 100.0
    made.at_kink(place, -1e3, 1e3)
    assert "is 2.000 times" in made.report().failures[0].diagnosis


def test_masks_are_told_from_what_dead_units_receive():
    made = Made(samples=8)
    made.approx("W2")[[1, 4]] = made["W2"][[1, 4]] = 0.0
    made["W2"][1] = made.rng.standard_normal(6)
    diagnosis = made.report().failures[0].diagnosis
    assert diagnosis.startswith("dW2 is wrong exactly where units are dead or saturated (unit 1 of 6)")
    made["W2"][0] += made.rng.standard_normal(6)
    assert "is not zero in dead or saturated units (unit 1 of 6)" in made.report().failures[0].diagnosis


def test_of_a_sample_only_what_it_proves_is_said():
    made = Made()
    made.indices = np.arange(0, made.gradient.size, 3)
    spoil(made, "W2", lambda g: 2 * g)
    assert "is 2.000 times" in made.report().failures[0].diagnosis
    made = Made()
    made.indices = np.arange(0, made.gradient.size, 3)
    spoil(made, "W3", lambda g: g.T)
    assert made.report().failures[0].diagnosis == ""
    made = Made()
    made.indices = np.arange(0, made.gradient.size, 3)
    k = int(made.indices[12])
    made.gradient[k] *= 1.5
    assert "entries that were checked only one is wrong" in made.report().failures[0].diagnosis


def test_the_numerical_gradient_can_be_what_is_not_finite():
    made = Made()
    made.approx("b3")[2] = np.nan
    assert made.report().failures[0].diagnosis == (
        "the numerical gradient of b3[2, 0] is nan: the cost is not finite within epsilon."
    )


# --- where it sits ----------------------------------------------------------------------------------------------

def wrong_in(*names):
    made = Made()
    for name in names:
        made[name][:] = made.rng.standard_normal(made[name].shape)
    return made.report()


def test_the_failing_tensor_nearest_the_output_comes_first():
    assert [t.name for t in wrong_in("W1", "b1", "W2", "b2").failures] == ["W2", "b2", "W1", "b1"]
    assert [t.name for t in wrong_in("b3", "W1").failures] == ["b3", "W1"]


def test_without_layers_the_most_wrong_comes_first():
    made = Made({"kernel": (3, 4), "scale": (5,), "shift": (2, 2, 2)})
    made["scale"][:] *= 1.01
    made["shift"][:] *= 2.0
    assert [t.name for t in made.report().failures] == ["shift", "scale"]
    assert made.report().advice == ()
    assert made.report().tensor("shift").diagnosis.startswith("dshift is 2.000 times")


def test_what_the_failing_set_says():
    assert "Only dW2 is wrong" in " ".join(wrong_in("W2").advice)
    spread = " ".join(wrong_in("W1", "b1", "W2", "b2").advice)
    assert "look first at dZ2" in spread
    assert "look first at dW2" in " ".join(wrong_in("W1", "b1", "W2").advice)
    assert wrong_in("W1", "W3").advice == ()
    assert where_it_sits([]) == ""


def test_every_claim_speaks_in_a_test(monkeypatch):
    """Each claim is heard here, but for those of test_true_sentences and test_known_mistakes."""
    heard = set()

    def listening(claim):
        def heard_if_it_speaks(case):
            sentence = claim(case)
            if sentence:
                heard.add(claim.__name__)
            return sentence

        return heard_if_it_speaks

    monkeypatch.setattr(claims, "CLAIMS", tuple(listening(claim) for claim in ALL))
    for shape, new, _ in PATTERNS.values():
        assert spoiled(shape, new)
    for change, _, _ in CLAIMS.values():
        made = Made(l2_weight=0.2, samples=50)
        change(made)
        assert any(t.diagnosis for t in made.report().tensors)
    made = Made()
    made.approx("W2")[1] = 0.0
    repeats = with_repeats(np.array([0, 1, 1, 5, 3]))
    masks = with_a_mask_not_applied(), with_another_mask()
    repeats = repeats, with_labels(np.array([0, 1, 1, 3, 2, 3]))
    for report in (*masks, not_centred(), overwritten(), with_a_shared_array(), *repeats, made.report()):
        assert any(t.diagnosis for t in report.tensors)
    assert {claim.__name__ for claim in ALL} - heard == {"single_precision", "still", "known_mistake"}


@pytest.mark.parametrize(("share", "words"), [
    (50.0, "a factor 50 too many (is the 1/m of a mean over 50 missing?)."),
    (1 / 50, "a factor 50 is missing (does a mean over 50 stand where a sum should, or is its 1/m applied twice?)."),
    (-4.0, "the sign is wrong, and a factor 4 too many (is the 1/m of a mean over 4 missing?)."),
    (2.0, "a factor 2 too many."),
])
def test_whole_factors_of_a_users_own_function(share, words):
    """Nothing is known of its samples; that 1/m was forgotten is the first thing to look at all the same."""
    w = np.arange(1.0, 5.0)
    report = fc.check_function(lambda w: float(np.sum(w**3)), w, share * 3.0 * w**2)
    assert report.failures[0].diagnosis == f"dtheta is {number(share)} times the numerical gradient: {words}"


def test_places_in_a_row_are_listed_with_commas():
    x = np.random.default_rng(0).standard_normal((6, 4))

    def backward(upstream, x):
        dx = upstream * np.cos(x)
        dx[[0, 1, 5]] = 0.0
        return dx

    sentence = fc.check_vjp(np.sin, backward, x).failures[0].diagnosis
    assert "indices 0, 1 and 5 of axis 0 of the output" in sentence
