"""Costs as programs: where their data come from, and what they keep, as people write it."""

import copy

import numpy as np
import pytest

import fastcheck as fc

generator = np.random.default_rng(2)
X, W, LABELS = generator.standard_normal((6, 4)), generator.standard_normal((4, 3)), np.array([0, 2, 1, 1, 2, 0])
ONE_HOT = np.eye(3, dtype=int)[LABELS]
GRADIENT = X.T @ np.ones((6, 3)) * 2.0
BUFFER = np.zeros((6, 3))


class Data:
    def __init__(self):
        self.batches = {"train": [X, LABELS]}
        self.scores, self.mean = np.zeros((6, 3)), np.zeros(3)

    def linear(self, W):
        return 2.0 * np.sum(self.batches["train"][0].dot(W))

    def buffered(self, W):
        self.scores[:] = self.batches["train"][0] @ W
        return 2.0 * self.scores.sum()

    def running(self, W):
        scores = X @ W
        self.mean = 0.9 * self.mean + 0.1 * scores.mean(axis=0)
        return 2.0 * np.sum(scores)

    def running_in_place(self, W):
        scores = X @ W
        self.mean *= 0.9
        self.mean += 0.1 * scores.mean(axis=0)
        return 2.0 * np.sum(scores)


def from_a_buffer(W):
    np.dot(X, W, out=BUFFER)
    return 2.0 * BUFFER.sum()


data = Data()
COSTS = {
    "global": (lambda W: 2.0 * np.sum(X.dot(W)), ()),
    "argument": (lambda W, x: 2.0 * np.sum(x.dot(W)), (X,)),
    "nested argument": (lambda W, batch: 2.0 * np.sum(batch["x"][0].dot(W)), ({"x": [X]},)),
    "argument transposed": (lambda W, x: 2.0 * np.sum(x.T.T.dot(W)), (X,)),
    "default": (lambda W, x=X: 2.0 * np.sum(x.dot(W)), ()),
    "method": (data.linear, ()),
    "buffer of an object": (data.buffered, ()),
    "global buffer": (from_a_buffer, ()),
    "state": (data.running, ()),
    "state in place": (data.running_in_place, ()),
    "integers": (lambda W, x: 2.0 * np.sum(x.T.dot(X @ W)), (ONE_HOT,)),
    "integers of a dictionary": (lambda W, batch: 2.0 * np.sum(batch["t"].T.dot(X @ W)), ({"t": ONE_HOT},)),
    "global integers": (lambda W: 2.0 * np.sum(ONE_HOT.T.dot(X @ W)), ()),
    "booleans": (lambda W: 2.0 * np.sum((ONE_HOT > 0).T.dot(X @ W)), ()),
    "tuple": (lambda W, pair=(X, LABELS): 2.0 * np.sum(pair[0].dot(W)), ()),
    "labels": (lambda W, x, y: 2.0 * sum(np.sum(x.dot(W)[np.arange(6), (y + k) % 3]) for k in range(3)), (X, LABELS)),
}


@pytest.mark.parametrize("name", COSTS)
def test_data_may_come_from_anywhere(name):
    cost, args = COSTS[name]
    wanted = GRADIENT
    before = copy.deepcopy((X, ONE_HOT, args))
    report = fc.check_function(cost, W, wanted, args)
    assert (report.verdict, report.engine) == ("pass", "program"), str(report)
    assert fc.check_function(cost, W, 1.01 * wanted, args).verdict == "fail"
    for found, given in zip((X, ONE_HOT), before, strict=False):
        np.testing.assert_array_equal(found, given)
    for kept in (BUFFER, data.scores, data.mean, data.batches["train"][0]):
        assert type(kept) is np.ndarray


@pytest.mark.parametrize("still", [ONE_HOT, ONE_HOT > 0])
def test_inputs_of_a_layer_that_stand_still_may_be_integers(still):
    report = fc.check_vjp(lambda t, W: t.T.dot(X @ W), lambda d, t, W: X.T @ (t @ d), (still, W))
    assert (report.verdict, report.engine) == ("pass", "program"), str(report)


@pytest.mark.parametrize(("cost", "derivative"), [
    (lambda t: t**1.5, lambda t: 1.5 * t**0.5), (lambda t: t * np.sqrt(t), lambda t: 1.5 * np.sqrt(t)),
    (lambda t: t**2.5, lambda t: 2.5 * t**1.5), (lambda t: t * np.sqrt(t) + t, lambda t: 1.5 * np.sqrt(t) + 1.0),
])
def test_at_the_edge_of_a_domain_the_side_that_is_there_decides(cost, derivative):
    """Right gradients pass there, and one that is wrong there alone fails."""
    theta = np.array([0.0, 1.0, 4.0])
    right = derivative(theta)
    report = fc.check_function(lambda t: float(np.sum(cost(t))), theta, right, engine="program")
    assert report.ok, str(report)
    wrong = right + np.array([0.5, 0.0, 0.0])
    assert fc.check_function(lambda t: float(np.sum(cost(t))), theta, wrong, engine="program").verdict == "fail"


def guarded(numerator, denominator, limit):
    """A quotient whose value at zero is filled in, as people write it; the inner guard keeps the division silent."""
    return lambda x: np.where(x == 0, limit, numerator(x) / np.where(x == 0, 1.0, denominator(x)))


GUARDED = {
    "sin(x) / x": (guarded(np.sin, lambda x: x, 1.0), 0.0),
    "tanh(x) / x": (guarded(np.tanh, lambda x: x, 1.0), 0.0),
    "expm1(x) / x": (guarded(np.expm1, lambda x: x, 1.0), 0.5),
    "log1p(x) / x": (guarded(np.log1p, lambda x: x, 1.0), -0.5),
    "(1 - cos(x)) / x^2": (guarded(lambda x: 1 - np.cos(x), lambda x: x * x, 0.5), 0.0),
}


@pytest.mark.parametrize("name", list(GUARDED))
def test_a_quotient_that_is_guarded_at_zero(name):
    """The slope there is that of its neighbours: no branch as it stands has it."""
    function, slope = GUARDED[name]
    x = np.array([0.0, 0.25])

    def cost(x):
        return float(function(x) @ np.array([1.0, 2.0]))

    gradient = fc.numerical_gradient(cost, x)
    assert abs(gradient[0] - slope) < 1e-6
    gradient[0] = slope
    assert fc.check_function(cost, x, gradient).verdict == "pass"
    assert fc.check_function(cost, x, gradient + np.array([0.1, 0.0])).verdict == "fail"


# Costs of removable singularities as people write them, beside slopes without cancellation: by series, near zero.
SINGULAR = {
    "sin(x) / x": (lambda x: np.sin(x) / x, lambda x: x * (-1 / 3 + x**2 / 30 - x**4 / 840)),
    "(1 - cos(x)) / x^2": (lambda x: (1 - np.cos(x)) / x**2, lambda x: x * (-1 / 12 + x**2 / 180)),
    "(exp(x) - 1) / x": (lambda x: (np.exp(x) - 1) / x, lambda x: 1 / 2 + x / 3 + x**2 / 8 + x**3 / 30),
    "log(1 + x) / x": (lambda x: np.log(1 + x) / x, lambda x: -1 / 2 + 2 * x / 3 - 3 * x**2 / 4 + 4 * x**3 / 5),
    "tanh(x) / x": (lambda x: np.tanh(x) / x, lambda x: x * (-2 / 3 + 8 * x**2 / 15)),
    "1 / x - 1 / sin(x)": (lambda x: 1 / x - 1 / np.sin(x), lambda x: -1 / 6 - 7 * x**2 / 120),
    "1 / tanh(x) - 1 / x": (lambda x: 1 / np.tanh(x) - 1 / x, lambda x: 1 / 3 - x**2 / 15),
}


@pytest.mark.parametrize("method", ["all", "directional"])
@pytest.mark.parametrize("size", [1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize("name", list(SINGULAR))
def test_rounding_near_a_removable_singularity_is_not_blamed_on_the_gradient(name, size, method):
    function, slope = SINGULAR[name]
    x = size * np.array([1.0, -2.3, 0.7, 5.1])
    right = slope(x)
    report = fc.check_function(lambda x: np.sum(function(x)), x, right, method=method)
    assert report.engine == "program"
    assert report.verdict != "fail", str(report)


@pytest.mark.parametrize("name", list(SINGULAR))
def test_where_rounding_reaches_less_far_mistakes_are_seen(name):
    function, slope = SINGULAR[name]
    x = 1e-2 * np.array([1.0, -2.3, 0.7, 5.1])
    wrong = slope(x) * np.array([1.0, 1.0, 1.1, 1.0])
    assert fc.check_function(lambda x: np.sum(function(x)), x, wrong).verdict == "fail"


@pytest.mark.parametrize("factor", [1.0, 1.001])
def test_a_jump_beside_it_is_no_noise_of_another_tensor(factor):
    """A number that is truncated stands on its very jump: a rounding away the cost is another."""
    parameters = {"sign": np.ones(3), "w": np.array([0.3, -0.7, 1.1])}

    def cost(p):
        return np.sum(np.trunc(p["sign"]) * np.sin(p["w"]))

    gradients = {"sign": np.zeros(3), "w": np.cos(parameters["w"]) * np.array([factor, 1.0, 1.0])}
    report = fc.check_function(cost, parameters, gradients)
    assert [t.name for t in report.failures] == ([] if factor == 1.0 else ["w"]), str(report)
    assert report.ok == (factor == 1.0)


TARGETS = np.where(np.arange(18).reshape(6, 3) % 5 == 1, np.nan, generator.standard_normal((6, 3)))
PRESENT, DIVISOR = ~np.isnan(TARGETS), np.where(np.arange(18).reshape(6, 3) % 5 == 1, 0.0, 2.0)


def quotients(scores):
    with np.errstate(all="ignore"):
        found = scores / DIVISOR
    return np.where(np.isfinite(found), found, 0.0)


# Costs that leave out missing targets or empty denominators, and what they have to do with scores to leave out.
MISSING = {
    "nanmean": (lambda s: np.nanmean((s - TARGETS) ** 2), lambda s: 2.0 * (s - TARGETS) / PRESENT.sum()),
    "nansum": (lambda s: np.nansum(np.square(s - TARGETS)), lambda s: 2.0 * (s - TARGETS)),
    "where": (lambda s: np.sum(np.where(PRESENT, (s - TARGETS) ** 2, 0.0)), lambda s: 2.0 * (s - TARGETS)),
    "quotient": (lambda s: np.sum(quotients(s) ** 2), lambda s: 2.0 * quotients(s) / 2.0),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_left_out(name):
    cost, slope = MISSING[name]
    right = X.T @ np.where(PRESENT, slope(X @ W), 0.0)
    report = fc.check_function(lambda w: float(cost(X @ w)), W, right)
    assert (report.verdict, report.engine) == ("pass", "program"), str(report)
    assert fc.check_function(lambda w: float(cost(X @ w)), W, 1.001 * right).verdict == "fail"


def sampled(p, image, targets):
    """Sample an image beside its pixels by bilinear interpolation, as spatial transformers and optical flow do."""
    places = p["places"] @ p["turn"]
    corner = np.floor(places).astype(int)
    (top, left), (down, right) = corner.T, (places - corner).T
    value = (1 - down) * ((1 - right) * image[top, left] + right * image[top, left + 1]) + down * (
        (1 - right) * image[top + 1, left] + right * image[top + 1, left + 1])
    return np.sum((value - targets) ** 2)


def sampled_gradient(p, image, targets):
    places = p["places"] @ p["turn"]
    corner = np.floor(places).astype(int)
    (top, left), (down, right) = corner.T, (places - corner).T
    a, b, c, d = image[top, left], image[top, left + 1], image[top + 1, left], image[top + 1, left + 1]
    error = 2 * ((1 - down) * ((1 - right) * a + right * b) + down * ((1 - right) * c + right * d) - targets)
    slopes = np.stack([(1 - right) * (c - a) + right * (d - b), (1 - down) * (b - a) + down * (d - c)], axis=1)
    moved = error[:, None] * slopes
    return {"places": moved @ p["turn"].T, "turn": p["places"].T @ moved}


@pytest.mark.parametrize("places", [generator.uniform(1.2, 4.8, (7, 2)), np.arange(1.0, 9.0).reshape(4, 2) / 2.0])
def test_places_between_pixels_and_on_them(places):
    """On a pixel, where an identity leads, the slope is that of the side which is rounded down to."""
    p = {"places": places, "turn": np.eye(2)}
    args = generator.standard_normal((7, 7)), generator.standard_normal(len(places))
    right = sampled_gradient(p, *args)
    report = fc.check_function(sampled, p, right, args)
    assert (report.verdict, report.engine) == ("pass", "program"), str(report)
    wrong = {**right, "places": right["places"] * np.where(np.arange(len(places)) == 1, -3.0, 1.0)[:, None]}
    assert fc.check_function(sampled, p, wrong, args).verdict == "fail"
