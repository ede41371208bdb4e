"""Differences by subtraction where they are hardest: narrow structure, edges of domains, complex steps, time limits."""

import time

import numpy as np
import pytest

import fastcheck as fc


class Counted:
    """A cost that only its values tell about: what it does inside cannot be followed.  Counts its calls."""

    def __init__(self, cost, seconds=0.0):
        self.cost, self.seconds, self.calls = cost, seconds, 0

    def __call__(self, x, *args):
        self.calls += 1
        time.sleep(self.seconds)
        return self.cost(np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape), *args)


def check(cost, x, gradient, **options):
    return fc.check_function(Counted(cost), np.asarray(x, float), np.asarray(gradient, float), **options)


# --- structure narrower than the parameters -----------------------------------------------------------------------


def logistic_map(x, steps=20):
    for _ in range(steps):
        x = 3.9 * x * (1.0 - x)
    return x


def logistic_slope(x, steps=20):
    slope = 1.0
    for _ in range(steps):
        slope, x = slope * 3.9 * (1.0 - 2.0 * x), 3.9 * x * (1.0 - x)
    return slope


NARROW = {
    "sin of period one": (lambda v: float(np.sin(2 * np.pi * v)), lambda v: 2 * np.pi * np.cos(2 * np.pi * v), 300.3),
    "period of a power of two": (lambda v: np.sin(2048 * np.pi * v), lambda v: 2048 * np.pi * np.cos(2048 * np.pi * v),
                                 20.7),
    "sum of sin far out": (lambda p: np.sum(np.sin(p)), np.cos, 1e5 + np.linspace(-3.0, 3.0, 40)),
    "few of them": (lambda p: np.sum(np.sin(p)), np.cos, 1e5 + np.linspace(-3.0, 3.0, 4)),
    "beside something large": (lambda p: 1e3 + np.sum(np.sin(p)), np.cos, 1e5 + np.linspace(-3.0, 3.0, 40)),
    "a ripple on a parabola": (lambda p: np.sum(p**2 + np.sin(100.0 * p)), lambda p: 2 * p + 100 * np.cos(100.0 * p),
                               300.0 + np.linspace(-3.0, 3.0, 30)),
    "a frequency": (lambda w: np.sin(1e4 * w[0]) + w[1], lambda w: np.array([1e4 * np.cos(1e4 * w[0]), 1.0]),
                    np.array([0.73, 0.2])),
    "a chaotic map": (logistic_map, logistic_slope, 0.3),
}


OPTIONS = [{}, *(pytest.param(slow, marks=pytest.mark.slow)
                 for slow in ({"order": 4}, {"order": 6}, {"method": "directional"}))]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", NARROW)
def test_narrow_structure(name, options):
    cost, slope, x = NARROW[name]
    cost_of_array = (lambda p: cost(p)) if np.ndim(x) else (lambda p: cost(float(p)))
    assert check(cost_of_array, x, slope(x), **options).verdict == "pass"
    assert check(cost_of_array, x, np.zeros_like(x), **options).verdict == "fail"
    assert check(cost_of_array, x, 1.001 * slope(x), **options).verdict == "fail"


@pytest.mark.parametrize("seed", range(10))
def test_narrow_structure_at_random(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.1, 0.9)
    assert check(lambda v: logistic_map(float(v)), x, logistic_slope(x)).verdict == "pass"
    assert check(lambda v: logistic_map(float(v)), x, -logistic_slope(x)).verdict == "fail"
    p = 1e5 + rng.standard_normal(50)
    assert check(lambda p: np.sum(np.sin(p)), p, np.cos(p)).verdict == "pass"
    assert check(lambda p: np.sum(np.sin(p)), p, -np.cos(p)).verdict == "fail"


@pytest.mark.parametrize("options", [{}, {"order": 6}, {"method": "directional"}], ids=str)
@pytest.mark.parametrize(("amplitude", "size", "count"), [
    (1e-12, 0.03, 3), (1e-11, 0.03, 3), (1e-10, 3.0, 1), (1e-9, 3.0, 1), (1e-8, 3.0, 1),
])  # fmt: skip
def test_structure_as_faint_as_noise_blames_no_gradient(amplitude, size, count, options):
    """A ripple of some ten thousand roundings has slopes that count: steps that see it contradict the others."""
    rng = np.random.default_rng(count)
    p, c = size * rng.standard_normal(count), rng.standard_normal(count)

    def cost(p):
        return float(np.sum(c * np.sin(p)) + amplitude * np.sin(1e5 * np.sum(p)))

    gradient = c * np.cos(p) + amplitude * 1e5 * np.cos(1e5 * p.sum())
    assert check(cost, p, gradient, **options).verdict != "fail"
    assert check(cost, p, 1.5 * gradient, **options).verdict != "pass"


AT_KINKS = {
    "sizes": (lambda p: np.sum(np.abs(p)), [0.0, 1.0, -1.0], [0.0, 1.0, -1.0]),
    "the largest of two": (np.max, [1.0, 1.0, -1.0], [0.5, 0.5, 0.0]),
    "a hinge at its margin": (lambda p: np.maximum(0.0, 1.0 - p).sum(), [1.0, 0.5, 2.0], [-0.5, -1.0, 0.0]),
    "targets that are met": (lambda p: np.abs(p - [1.0, 2.0, 3.0]).sum(), [1.0, 2.0, 5.0], [0.0, 0.0, 1.0]),
    "the edges of a clip": (lambda p: np.clip(p, 0.0, 1.0).sum(), [0.0, 0.5, 1.0], [0.5, 1.0, 0.5]),
    "one alone": (lambda p: np.maximum(p, 0.0).sum(), [0.0], [0.5]),
}


@pytest.mark.parametrize("order", [2, 6])
@pytest.mark.parametrize("name", AT_KINKS)
def test_half_of_both_sides_at_a_kink_of_a_small_tensor(name, order):
    """It agrees with the central difference, whose error there is that of a step which is not smooth."""
    cost, at, gradient = AT_KINKS[name]
    at, gradient = np.array(at), np.array(gradient)
    assert check(lambda p: float(cost(p)), at, gradient, order=order).verdict == "pass"
    assert check(lambda p: float(cost(p)), at, gradient + 1.1, order=order).verdict != "pass"


def test_noise_is_not_taken_for_structure():
    """A cost rounded to single precision has noise at every step."""
    p = np.random.default_rng(0).standard_normal(60)
    rounded = lambda p: float(np.float32(np.sum(np.cos(p))))  # noqa: E731
    assert check(rounded, p, -np.sin(p)).verdict != "fail"
    assert check(rounded, p, np.sin(p)).verdict == "fail"
    few = p[:5]
    assert check(rounded, few, -np.sin(few)).verdict != "fail"
    assert check(rounded, few, np.sin(few)).verdict == "fail"


# --- complex steps ------------------------------------------------------------------------------------------------


def test_complex_step_at_a_chaotic_map():
    x = 0.3
    report = fc.check_function(lambda v: logistic_map(v), x, logistic_slope(x), complex_step=True)
    assert report.verdict == "pass"


@pytest.mark.parametrize(("extra", "forgotten"), [
    (lambda p: 0.1 * np.linalg.norm(p) ** 2, True), (lambda p: np.sum(np.abs(p)), True),
    (lambda p: 0.01 * np.sum(p.real**2), True), (lambda p: 0.1 * np.sum(p**2), False),
])
def test_complex_step_of_a_part_that_is_not_analytic(extra, forgotten):
    p = np.random.default_rng(0).standard_normal(30)
    cost = lambda p: np.sum(np.sin(p)) + extra(p)  # noqa: E731
    if forgotten:
        with pytest.raises(ValueError, match="analytic"):
            fc.check_function(cost, p, np.cos(p), complex_step=True)
    else:
        assert fc.check_function(cost, p, np.cos(p), complex_step=True).verdict == "fail"
        assert fc.check_function(cost, p, np.cos(p) + 0.2 * p, complex_step=True).verdict == "pass"


@pytest.mark.parametrize("scale", [1e-200, 1e-25, 1e-18, 1.0, 1e25, 1e150])
def test_complex_step_at_parameters_of_any_size(scale):
    p = scale * np.array([1.0, -2.0, 3.0, 0.0])
    cost = lambda p: np.sum((p / scale) ** 3)  # noqa: E731
    assert fc.check_function(cost, p, 3 * (p / scale) ** 2 / scale, complex_step=True).verdict == "pass"
    assert fc.check_function(cost, p, 3.1 * (p / scale) ** 2 / scale, complex_step=True).verdict == "fail"


def test_complex_step_at_parameters_of_different_sizes():
    p = np.array([1e-30, 1e-10, 1.0, 1e10, 1e30])
    assert fc.check_function(lambda p: np.sum(np.log(p)), p, 1.0 / p, complex_step=True).verdict == "pass"
    assert fc.check_function(lambda p: np.sum(np.log(p)), p, 1.01 / p, complex_step=True).verdict == "fail"


# --- the edge of a domain -----------------------------------------------------------------------------------------


def raising(function):
    def cost(p):
        if (p < 0.0).any():
            raise FloatingPointError("a parameter below zero")
        return function(p)
    return cost


EDGES = {
    "power": (lambda t: np.sum(t**1.5), lambda t: 1.5 * np.sqrt(t)),
    "smooth": (lambda t: np.sum(10.0 * np.exp(t / 10.0) + 0.0 * np.sqrt(t)), lambda t: np.exp(t / 10.0)),
    "steeper": (lambda t: np.sum(t + t**1.25), lambda t: 1.0 + 1.25 * t**0.25),
}


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("point", [[0.0, 1.0, 2.0], [0.0, 0.0, 0.0], list(np.arange(40.0))], ids=["few", "all", "many"])
@pytest.mark.parametrize("name", EDGES)
def test_the_edge_of_a_domain(name, point, raises):
    cost, slope = EDGES[name]
    cost = raising(cost) if raises else cost
    point = np.array(point)
    report = check(cost, point, slope(point))
    # where t**1.5 is zero to all digits, rounding is all there is
    assert report.verdict in (("pass", "inconclusive") if name == "power" else ("pass",)), report
    assert "one side" in str(report)
    wrong = slope(point) + np.where(point == 0.0, 0.5, 0.0)
    assert check(cost, point, wrong).verdict == "fail"


def test_a_cost_that_is_defined_nowhere_else():
    report = check(lambda t: 1.0 if (t == 1.0).all() else np.nan, np.ones(3), np.zeros(3))
    assert report.verdict == "fail"


# --- evaluations and time -----------------------------------------------------------------------------------------


def calls(gradient, p, cost, **options):
    counted = Counted(cost)
    report = fc.check_function(counted, p, gradient, **options)
    return counted.calls, report.verdict


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("size", [20, 200, pytest.param(2000, marks=pytest.mark.slow)])
def test_a_failing_check_takes_few_evaluations_more(size, share):
    p = np.random.default_rng(0).standard_normal(size)
    cost = lambda p: np.sum(np.exp(np.sin(p)))  # noqa: E731
    right = np.cos(p) * np.exp(np.sin(p))
    wrong = right.copy()
    wrong[: max(1, int(share * size))] *= 1.4
    passing, verdict = calls(right, p, cost)
    assert verdict == "pass"
    failing, verdict = calls(wrong, p, cost)
    assert verdict == "fail"
    assert failing <= 1.5 * passing


def test_a_failing_check_of_several_tensors_takes_few_evaluations_more():
    rng = np.random.default_rng(0)
    p = {"W": rng.standard_normal((10, 20)), "b": rng.standard_normal(10), "V": rng.standard_normal((5, 10))}
    cost = Counted(lambda theta: theta)
    def of(p):
        cost.calls += 1
        V = np.frombuffer(p["V"].tobytes()).reshape(p["V"].shape)
        return float(np.sum(np.tanh(V @ np.tanh(p["W"].sum(1) + p["b"]))))
    def gradient(p):
        a = np.tanh(p["W"].sum(1) + p["b"])
        d = 1.0 - np.tanh(p["V"] @ a) ** 2
        back = (p["V"].T @ d) * (1.0 - a**2)
        return {"W": np.repeat(back[:, None], 20, axis=1), "b": back, "V": np.outer(d, a)}
    assert fc.check_function(of, p, gradient(p)).verdict == "pass"
    passing, cost.calls = cost.calls, 0
    assert fc.check_function(of, p, {name: -g for name, g in gradient(p).items()}).verdict == "fail"
    assert cost.calls <= 1.5 * passing


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize(("seconds", "limit"), [
    pytest.param(0.05, 2.0, marks=pytest.mark.slow), (0.002, 0.5), pytest.param(0.3, 1.0, marks=pytest.mark.slow)])
def test_time_limits_hold(seconds, limit, wrong):
    rng = np.random.default_rng(0)
    p = {name: rng.standard_normal(10) for name in "abcd"}

    def cost(p):
        time.sleep(seconds)
        return sum(float(np.sum(np.sin(np.frombuffer(v.tobytes(), v.dtype)))) for v in p.values())

    gradient = {name: (2.0 if wrong else 1.0) * np.cos(v) for name, v in p.items()}
    started = time.perf_counter()
    report = fc.check_function(cost, p, gradient, time_limit=limit)
    took = time.perf_counter() - started
    first = 8 * seconds  # the cost is looked at, and followed as a program, before anything is checked
    assert took <= max(limit, first) + seconds + 0.35
    if seconds < 0.1:
        assert report.verdict == ("fail" if wrong else "pass"), report
        assert ("time limit" in str(report)) == (report.gradapprox.size < 40)
