"""check_function: any cost, the same verdict; options; limits; the caller's arrays."""

import threading
import time

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der
from scipy.optimize._numdiff import approx_derivative

import fastcheck as fc
from benchmarks.data.network_costs import NetworkCost, numpy_cost
from fastcheck import Dense, Network
from tests.support.course_exercise import exercise, gradients_with
from tests.support.user_functions import cubes, cubes_gradient, layer, layer_problem, point

METHODS = [
    {}, {"order": 4}, {"order": 6}, {"complex_step": True}, {"epsilon": 1e-6},
    {"method": "sample", "samples": 20}, {"method": "directional"},
]
# The difference that a method must reach on the Rosenbrock function in 50 dimensions.
REACH = [1e-9, 1e-12, 1e-13, 1e-15, 1e-8, 1e-9, 1e-8]


@pytest.mark.parametrize(("options", "reach"), list(zip(METHODS, REACH, strict=True)))
def test_every_method_passes_a_right_gradient_closely_and_fails_a_wrong_one(options, reach):
    x = point(size=50)
    gradient = rosen_der(x)
    report = fc.check_function(rosen, x, gradient, **options)
    assert report.ok, report
    assert report.difference < reach
    if "samples" not in options:
        gradient[17] *= 1.0 + 1e-5
        wrong = fc.check_function(rosen, x, gradient, **options)
        assert wrong.verdict == "fail"
        assert wrong.worst(1)[0].index == (17,)


@pytest.mark.parametrize("options", METHODS)
def test_nested_parameters_are_named_and_left_alone(options):
    parameters, gradients, x = layer_problem()
    before = parameters["layer"]["W"].copy()
    report = fc.check_function(layer, parameters, gradients, (x,), **options)
    assert report.ok
    assert [t.name for t in report.tensors] == ["layer/W", "layer/b", "scale"]
    gradients["layer"]["db"] = -gradients["layer"]["db"]
    report = fc.check_function(layer, parameters, gradients, (x,), **options)
    assert [t.name for t in report.failures] == ["layer/b"]
    np.testing.assert_array_equal(parameters["layer"]["W"], before)


def test_the_scalar_exercise_of_the_course():
    report = fc.check_function(lambda theta, x: theta * x, 4.0, 2.0, (2.0,), epsilon=1e-7, engine="differences")
    assert report.difference == pytest.approx(2.919335883291695e-10, rel=1e-14)
    assert (report.J_plus[0], report.J_minus[0]) == ((4.0 + 1e-7) * 2.0, (4.0 - 1e-7) * 2.0)
    exact = fc.check_function(lambda theta, x: theta * x, 4.0, 2.0, (2.0,), epsilon=1e-7)
    assert (exact.engine, exact.difference, exact.epsilon) == ("program", 0.0, 1e-7)
    assert (exact.J_plus[0], exact.J_minus[0]) == ((4.0 + 1e-7) * 2.0, (4.0 - 1e-7) * 2.0)


def test_the_course_exercise_as_a_function():
    X, Y, parameters = exercise()
    net = Network.from_parameters(parameters, hidden="relu", output="sigmoid")
    right = {name[1:]: value for name, value in gradients_with().items() if name[1:] in parameters}
    wrong = {name[1:]: value for name, value in gradients_with("dW2", "db1").items() if name[1:] in parameters}

    def cost(p):
        return net.cost_of(p, X, Y)

    assert fc.check_function(cost, parameters, right).difference < 1e-8
    report = fc.check_function(cost, parameters, wrong)
    assert {t.name for t in report.failures} == {"W2", "b1"}
    assert report.difference == pytest.approx(0.28509315677, rel=1e-7)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_the_cost_changes_no_verdict(scale):
    x = point(size=30)
    gradient = scale * rosen_der(x)
    assert fc.check_function(lambda t: scale * rosen(t), x, gradient).ok
    gradient[3] *= 1.0001
    assert fc.check_function(lambda t: scale * rosen(t), x, gradient).verdict == "fail"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_scale_of_the_parameters_changes_no_verdict(scale):
    x = point(size=30) * scale

    def cost(t):
        return np.sum(np.exp(t / scale)) + np.prod(t[:2] / scale)

    gradient = np.exp(x / scale) / scale
    gradient[0] += x[1] / scale**2
    gradient[1] += x[0] / scale**2
    assert fc.check_function(cost, x, gradient).difference < 1e-9


def test_badly_scaled_parameters_have_steps_of_their_own():
    x = np.concatenate([np.full(40, 1e-5), np.full(40, 1e5)])
    report = fc.check_function(lambda t: np.sum(np.log(t)), x, 1.0 / x, norm=np.inf)
    assert report.ok
    assert max(entry.relative_error for entry in report.worst(80)) < 1e-7


def test_noise_of_a_cost_in_single_precision_is_never_blamed_on_the_gradient():
    x = point(size=60)
    report = fc.check_function(lambda t: float(np.sum(np.float32(t) ** 3)), x, cubes_gradient(x))
    assert report.verdict == "inconclusive"
    assert report.noise_floor > 1e-7
    wrong = cubes_gradient(x)
    wrong[5] += 1.0
    assert fc.check_function(lambda t: float(np.sum(np.float32(t) ** 3)), x, wrong).verdict == "fail"


def test_gradients_in_single_precision_are_held_to_it():
    x = point(size=60)
    assert fc.check_function(cubes, x, cubes_gradient(x).astype(np.float32)).ok
    assert fc.check_function(cubes, x, 1.001 * cubes_gradient(x).astype(np.float32)).verdict == "fail"


@pytest.mark.parametrize("epsilon", [1e-1, 1e-2])
def test_too_large_an_epsilon_is_not_blamed_on_the_gradient(epsilon):
    x = point(size=20)
    options = {"epsilon": epsilon, "engine": "differences"}
    report = fc.check_function(lambda t: np.sum(np.sin(t)), x, np.cos(x), **options)
    assert report.verdict == "inconclusive"
    assert any(f"epsilon={epsilon:g} is too large" in note for note in report.notes)
    wrong = np.cos(x)
    wrong[4] *= 1.5
    assert fc.check_function(lambda t: np.sum(np.sin(t)), x, wrong, **options).verdict == "fail"
    assert fc.check_function(lambda t: np.sum(np.sin(t)), x, np.cos(x), epsilon=epsilon).ok


@pytest.mark.parametrize("options", METHODS[:3] + METHODS[4:5])
def test_kinks_are_judged_by_one_sided_derivatives(options):
    x = np.array([0.0, 1.0, -2.0, 1e-4 if "epsilon" in options else 3e-9])
    for slope in (-1.0, 0.3, 1.0):  # any subgradient at 0 is right
        gradient = np.array([slope, 1.0, -1.0, 1.0])
        report = fc.check_function(lambda t: np.sum(np.abs(t)), x, gradient, **options)
        assert report.ok, report
    # Where several kinks meet on a line a gradient a little outside may be right; far outside it is not.
    for slope, verdicts in ((1.5, ("fail", "inconclusive")), (100.0, ("fail",))):
        report = fc.check_function(lambda t: np.sum(np.abs(t)), x, np.array([slope, 1.0, -1.0, 1.0]), **options)
        assert report.verdict in verdicts


def test_random_networks_with_kinks_never_fail():
    generator = np.random.default_rng(7)
    for trial in range(12):
        widths = [int(w) for w in generator.integers(2, 9, 4)]
        layers = [Dense(widths[0], widths[1], "relu"), Dense(widths[1], widths[2], "hardtanh"),
                  Dense(widths[2], widths[3], "identity")]
        net = Network(layers, cost="squared_error")
        parameters = net.initialize(trial)
        X, Y = generator.standard_normal((widths[0], 8)), generator.standard_normal((widths[3], 8))
        gradients = net.gradients(parameters, X, Y)
        options = METHODS[trial % 3]
        report = fc.check_function(lambda p, n=net, X=X, Y=Y: n.cost_of(p, X, Y), parameters, gradients, **options)
        assert report.verdict != "fail", report


def test_many_kinks_leave_it_closer_to_the_gradient_than_a_three_point_difference():
    problem = NetworkCost.random(50)
    theta, gradient = problem.theta, problem.gradient
    report = fc.check_function(numpy_cost, theta, gradient, problem.args)
    scipys = approx_derivative(numpy_cost, theta, args=problem.args)
    assert report.ok
    assert np.linalg.norm(report.gradapprox - gradient) < np.linalg.norm(scipys - gradient)
    assert report.facts["evaluations"] < 2.4 * theta.size


@pytest.mark.parametrize("size", [5, 40])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_parameters_that_are_not_finite_fail(size, bad):
    x = point(size=size)
    x[3] = bad
    gradient = cubes_gradient(x)
    report = fc.check_function(lambda t: np.sum(t[np.isfinite(t)] ** 3), x, gradient)
    assert report.verdict == "fail"
    assert np.all(np.isfinite(report.epsilon))


def test_a_cost_that_breaks_the_complex_step_is_found():
    x = point(size=20)
    with pytest.raises(ValueError, match="not analytic"):
        fc.check_function(lambda t: np.sum(np.abs(t) ** 3), x, 3.0 * x * np.abs(x), complex_step=True)


def test_time_is_kept_and_what_fits_is_stratified():
    theta = {"W": np.ones((40, 50)), "b": np.ones(3)}

    def slow(p):
        time.sleep(5e-4)
        return np.sum(p["W"] ** 2) + np.sum(p["b"] ** 2)

    started = time.perf_counter()
    gradient = {"W": 2 * np.ones((40, 50)), "b": 2 * np.ones(3)}
    report = fc.check_function(slow, theta, gradient, time_limit=0.3, engine="differences")
    assert time.perf_counter() - started < 2.0
    assert report.ok
    assert all(t.checked > 0 for t in report.tensors)
    assert report.tensors[0].checked < 2000
    assert any("time limit" in note for note in report.notes)
    assert any("missed with probability" in note for note in report.notes)


def test_progress_is_told_and_may_stop():
    seen = []
    fc.check_function(cubes, point(), cubes_gradient(point()), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (40, 40)

    def stop(done, total):
        raise KeyboardInterrupt

    theta = point()
    with pytest.raises(KeyboardInterrupt):
        fc.check_function(cubes, theta, cubes_gradient(theta), progress=stop)
    np.testing.assert_array_equal(theta, point())


@pytest.mark.parametrize(("engine", "call"), [("differences", 70), ("program", 2), ("program", 6)])
def test_an_interrupt_within_the_cost_leaves_the_arrays_alone(engine, call):
    theta, calls = point(), [0]

    def cost(t):
        calls[0] += 1
        if calls[0] == call:
            raise KeyboardInterrupt
        return cubes(t)

    with pytest.raises(KeyboardInterrupt):
        fc.check_function(cost, theta, theta, engine=engine)
    np.testing.assert_array_equal(theta, point())


def test_checks_on_several_threads_do_not_disturb_each_other():
    reports = []

    def run(seed):
        x = point(seed)
        reports.append(fc.check_function(cubes, x, cubes_gradient(x)).ok)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reports == [True] * 4


def test_the_same_seed_gives_the_same_report():
    x = point(size=400)
    one, two = (fc.check_function(cubes, x, cubes_gradient(x), method="sample", samples=30, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.indices, two.indices)
    np.testing.assert_array_equal(one.gradapprox, two.gradapprox)


def test_evaluations_are_few():
    """Two for each parameter and a fixed number for noise and steps."""
    calls = [0]

    def cost(t):
        calls[0] += 1
        return np.sum(np.exp(t))

    x = point(size=1000)
    report = fc.check_function(cost, x, np.exp(x))
    assert report.ok
    assert calls[0] < 2 * 1000 + 120


@pytest.mark.parametrize(("options", "words"), [
    ({"order": 3}, "order: expected one of 2, 4, 6, got 3"),
    ({"order": True}, "order: .*got True"),
    ({"method": "some"}, "method: expected one of all, sample, directional, got 'some'"),
    ({"samples": 5}, 'samples: expected with method="sample" only'),
    ({"directions": 5}, 'directions: expected with method="directional" only'),
    ({"method": "sample", "samples": 0}, "samples: expected at least 1, got 0"),
    ({"epsilon": 0.0}, "epsilon"),
    ({"epsilon": 1e-30}, "lost in rounding against theta"),
    ({"time_limit": -1.0}, "time_limit"),
    ({"args": np.ones(3)}, "args: expected a tuple.*got ndarray"),
    ({"executor": 3}, "executor: .*got int"),
    ({"vectorized": True, "executor": 3}, "executor: expected None with vectorized"),
    ({"cost": 3}, "cost: expected a function.*got int"),
    ({"tolerance": -1.0}, "tolerance"),
    ({"threads": 0}, "threads"),
    ({"seed": -1}, "seed"),
    ({"norm": 3}, "norm"),
])
def test_options_that_do_not_fit_are_named(options, words):
    options = {"cost": cubes, **options}
    with pytest.raises((ValueError, TypeError), match=words):
        fc.check_function(options.pop("cost"), point(), point(), **options)


def test_unknown_gradients_are_named():
    with pytest.raises(ValueError, match=r"theta in gradients: expected shape \(40,\), got shape \(3,\)"):
        fc.check_function(cubes, point(), np.ones(3))


# Costs that round to less than double precision, each in a way of its own, with their true gradients.
ROUNDED = {
    "powers": (lambda t: float(np.sum(np.float32(t) ** 3)), cubes_gradient),
    "products": (lambda t: float(np.sum(np.float32(t) * np.float32(t) * np.float32(t))), cubes_gradient),
    "the sum alone": (lambda t: float(np.float32(np.sum(t**3))), cubes_gradient),
    "sines": (lambda t: float(np.sum(np.sin(t.astype(np.float32)))), np.cos),
    "half precision": (lambda t: float(np.sum(np.float16(t) ** 2, dtype=np.float64)), lambda t: 2.0 * t),
}


@pytest.mark.parametrize("options", [{}, {"order": 6}, {"epsilon": 1e-4}, {"method": "directional"}])
@pytest.mark.parametrize("kind", ROUNDED)
def test_a_cost_rounded_to_less_than_double_precision_blames_no_gradient(kind, options):
    cost, gradient = ROUNDED[kind]
    for seed in range(4):
        generator = np.random.default_rng(seed)
        x = generator.standard_normal(int(generator.integers(3, 80))) * 10.0 ** generator.uniform(-1, 1)
        assert fc.check_function(cost, x, gradient(x), **options).verdict != "fail", seed


@pytest.mark.parametrize("kind", [kind for kind in ROUNDED if kind != "half precision"])
def test_a_mistake_well_above_single_precision_is_found_all_the_same(kind):
    cost, gradient = ROUNDED[kind]
    for seed in range(4):
        x = np.random.default_rng(seed).standard_normal(20)
        assert fc.check_function(cost, x, 1.3 * gradient(x)).verdict == "fail", seed


def test_a_cost_of_zero_has_no_noise_to_divide_by(recwarn):
    report = fc.check_function(lambda t: t @ t, np.zeros(3), np.ones(3), epsilon=1e-4)
    assert report.verdict == "fail"
    assert not recwarn.list


def normalized(p, x):
    z = x @ p["W"] + p["b"]
    return np.sum(np.sin((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)))


def normalized_gradient(p, x):
    z = x @ p["W"] + p["b"]
    scale = 1.0 / np.sqrt(z.var(0) + 1e-5)
    y = (z - z.mean(0)) * scale
    d = np.cos(y)
    dz = scale * (d - d.mean(0) - y * (d * y).mean(0))
    return {"W": x.T @ dz, "b": dz.sum(0)}


@pytest.mark.parametrize("seed", range(10))
def test_a_gradient_that_is_zero_in_theory_is_no_error_of_the_engine(seed):
    generator = np.random.default_rng(seed)
    x, p = generator.normal(size=(8, 5)), {"W": generator.normal(size=(5, 4)), "b": generator.normal(size=4)}
    report = fc.check_function(normalized, p, normalized_gradient(p, x), (x,), engine="program")
    assert report.ok
    assert np.abs(report.gradapprox_of("b")).max() < 1e-14


def test_a_program_that_its_own_cross_checks_refuse_is_checked_by_ordinary_differences(monkeypatch):
    from fastcheck.engines.program.arrays import tables

    def lost(run, function, args, options):
        return run.fresh(function(args[0].value), None)

    monkeypatch.setitem(tables.FUNCTIONS, np.flip, lost)

    def forward(x):
        return np.flip(x) ** 2

    def backward(upstream, x):
        return 2 * x * np.flip(upstream)

    x = point(size=6)
    report = fc.check_vjp(forward, backward, (x,))
    assert report.ok, report
    assert report.engine == "differences"
    assert any("Ordinary differences" in note and "literal" in note for note in report.notes)
    with pytest.raises(fc.EngineError, match="literal"):
        fc.check_vjp(forward, backward, (x,), engine="program")


@pytest.mark.parametrize("bounded", [
    lambda x: 1 / (1 + np.flip(x) ** 2), lambda x: np.tanh(np.flip(x)), lambda x: np.sin(np.flip(x)),
    lambda x: np.exp(-np.flip(x) ** 2), lambda x: np.linalg.inv(np.diag(np.flip(x) + 3)),
])
def test_what_a_program_misses_is_found_where_the_function_levels_off(bounded, monkeypatch):
    from fastcheck.engines.program.arrays import tables

    def lost(run, function, args, options):
        return run.fresh(function(args[0].value), None)

    monkeypatch.setitem(tables.FUNCTIONS, np.flip, lost)
    x = point(size=6)
    with pytest.raises(fc.EngineError, match="literal"):
        fc.check_vjp(bounded, lambda d, x: np.zeros_like(x), (x,), engine="program")


def test_complex_matrices_keep_their_imaginary_parts():
    rng = np.random.default_rng(3)
    base = np.diag(np.full(5, 3.0)) + 0.3 * rng.standard_normal((5, 5)) + 0.7j * np.eye(5)
    source = rng.standard_normal(5) + 0.5j

    def cost(p):
        return float(np.sum(np.abs(np.linalg.solve(base + np.diag(p), source)) ** 2))

    def gradient(p):
        a = base + np.diag(p)
        u = np.linalg.solve(a, source)
        return -2 * (np.linalg.solve(a.T, u.conj()) * u).real

    p = rng.uniform(0.5, 2, 5)
    report = fc.check_function(cost, p, gradient(p))
    assert report.ok, report
    assert not fc.check_function(cost, p, gradient(p) * 1.001).ok


@pytest.mark.parametrize("engine", ["differences", None])
@pytest.mark.parametrize("scale", [1e-295, 1e-304, 1e-306, 1e-308, 1e-310])
def test_costs_near_the_smallest_numbers_excuse_nothing(scale, engine):
    """Below 1e-304 the differences of costs are lost, and say so; a gradient 1.5 times too large passed there."""
    x, w = np.array([0.3, -0.7, 1.1]), np.array([1.0, 2.0, 3.0])

    def cost(v):
        return float(scale * np.sum(np.sin(v) * w))

    gradient = scale * np.cos(x) * w
    assert fc.check_function(cost, x, gradient, engine=engine).verdict != "fail"
    for factor in (1.5, -1.0, 0.0):
        report = fc.check_function(cost, x, factor * gradient, engine=engine)
        assert report.verdict == ("fail" if scale >= 1e-304 else "inconclusive"), report


@pytest.mark.parametrize("scale", [1e-7, 1e-8, 1e-12])
@pytest.mark.parametrize("factor", [0.0, -1.0, 0.5, 1.01, 2.0])
def test_a_forgotten_gradient_beside_a_larger_one_fails(scale, factor):
    """Zeros are no sums that single precision has rounded."""
    at = {"a": np.ones(3), "b": np.ones(2)}
    gradients = {"a": factor * scale * np.cos(at["a"]), "b": np.cos(at["b"])}
    report = fc.check_function(lambda p: scale * np.sin(p["a"]).sum() + np.sin(p["b"]).sum(), at, gradients)
    assert report.verdict == "fail"


@pytest.mark.parametrize("scale", [1e-7, 1e-9])
@pytest.mark.parametrize("share", [0.01, 1.0])
def test_noise_in_a_gradient_beside_a_larger_one_fails(scale, share):
    """It is no rounding of the larger one, which is right to all digits, and far more than rounding of its own."""
    at = {"a": np.linspace(0.1, 1.0, 10), "b": np.ones(20)}
    off = 1.0 + share * np.random.default_rng(0).normal(size=10)
    gradients = {"a": scale * np.cos(at["a"]) * off, "b": np.cos(at["b"])}
    report = fc.check_function(lambda p: scale * np.sin(p["a"]).sum() + np.sin(p["b"]).sum(), at, gradients)
    assert report.verdict == "fail"
    assert [t.name for t in report.failures] == ["a"]


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_an_empty_array_beside_others(factor):
    """Also where they are wrong, and looked at again."""
    at = {"a": np.ones(2), "nothing": np.zeros((0, 3))}
    gradients = {"a": factor * 2.0 * at["a"], "nothing": np.zeros((0, 3))}
    report = fc.check_function(lambda p: (p["a"] ** 2).sum(), at, gradients)
    assert report.verdict == ("pass" if factor == 1.0 else "fail")
