"""The engine: exact derivatives by every way, kinks with their conventions, and distrust of itself."""

import math
import pickle
import time

import numpy as np
import pytest

from fastcheck._errors import EngineError
from fastcheck.engines.program.engine import differences
from fastcheck.engines.program.kinks import HELD
from fastcheck.engines.program.problem import ProgramProblem
from fastcheck.problems.parameters.tensor import Tensor
from fastcheck.runtime.run import Run
from tests.engines.program.stand_in import StandIn

RUN = Run(1, 1 << 28)


def _problem(build, inputs, weights=None, program=None):
    """A problem from ``build``, which makes a stand-in of the inputs."""
    inputs = [np.asarray(x, float) for x in inputs]
    program = build(*inputs) if program is None else program
    generator = np.random.default_rng(5)
    if weights is None:
        weights = tuple(generator.uniform(0.5, 1.5, np.shape(out)) for out in program.outputs)
    starts = np.cumsum([0, *(x.size for x in inputs)])
    tensors = tuple(
        Tensor(f"input{k}", x.shape, int(starts[k]), int(starts[k + 1])) for k, x in enumerate(inputs)
    )
    theta = np.concatenate([x.reshape(-1) for x in inputs])
    cost = sum(float(np.vdot(w, out)) for w, out in zip(weights, program.outputs, strict=True))
    return ProgramProblem(
        lambda values: build(*values), lambda values: build(*values).outputs, program, weights, tensors, theta, cost
    )


def _dense(x, W, V):
    """tanh(x W) V, of which only V and W enter nothing but products."""
    program = StandIn(x, W, V)
    return program.give(program.matmul(program.tanh(program.matmul(0, 1)), 2))


def _dense_inputs(samples=6, inside=30, units=8, out=3):
    generator = np.random.default_rng(0)
    return [generator.normal(size=s) for s in ((samples, inside), (inside, units), (units, out))]


def _dense_gradient(problem):
    x, W, V = problem.inputs(problem.theta)
    d = problem.weights[0]
    z = x @ W
    dz = (d @ V.T) / np.cosh(z) ** 2
    return np.concatenate([(dz @ W.T).reshape(-1), (x.T @ dz).reshape(-1), (np.tanh(z).T @ d).reshape(-1)])


def _all(problem, **options):
    return differences(problem, np.arange(problem.theta.size), RUN, **options)


def test_units_give_the_derivative():
    problem = _problem(_dense, _dense_inputs())
    found, done = _all(problem)
    exact = _dense_gradient(problem)
    assert done.size == problem.theta.size
    assert np.abs(found.gradapprox - exact).max() <= 2e-14 * np.abs(exact).max()
    assert set(found.facts["ways"].values()) == {"units"}
    assert found.facts["columns"] < problem.theta.size
    assert found.settled
    assert found.kinks is None


def test_noise_covers_the_error():
    problem = _problem(_dense, _dense_inputs())
    found, _ = _all(problem)
    error = np.abs(found.gradapprox - _dense_gradient(problem))
    assert (error <= 8.0 * found.noise + 1e-300).all()
    assert found.noise.max() <= 1e-13 * np.abs(found.gradapprox).max()


def test_some_positions_alone():
    problem = _problem(_dense, _dense_inputs())
    positions = np.array([0, 7, 200, 333, 420, 430])
    found, done = differences(problem, positions, RUN)
    assert np.array_equal(done, positions)
    assert np.abs(found.gradapprox - _dense_gradient(problem)[positions]).max() <= 1e-13


def test_costs_beside_theta_are_asked_for_one_by_one():
    problem = _problem(_dense, _dense_inputs())
    found, _ = _all(problem, epsilon=1e-3)
    before = problem.program.columns
    theta = problem.theta.copy()
    theta[300] += 1e-3
    moved = float(np.vdot(problem.weights[0], problem.plain(problem.inputs(theta))[0]))
    assert found.J_plus[300] == pytest.approx(moved, rel=1e-14)
    assert problem.program.columns == before + 1
    assert np.asarray(found.J_minus).shape == problem.theta.shape
    assert np.array_equal(pickle.loads(pickle.dumps(found.J_minus)), np.asarray(found.J_minus))


def _window(x):
    padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(1, 1)])
    return sum(padded[..., k : k + x.shape[-1]] * (k + 1.0) for k in range(3))


def _conv(x):
    program = StandIn(x)
    return program.give(program.square(program.linear(program.tanh(0), _window)))


def test_colours_give_the_derivative():
    x = np.random.default_rng(0).normal(size=(5, 40))
    problem = _problem(_conv, [x])
    found, _ = _all(problem)
    d, y = problem.weights[0], _window(np.tanh(x))
    back = 2.0 * np.pad(d * y, [(0, 0), (1, 1)])
    exact = (sum((3.0 - k) * back[:, k : k + 40] for k in range(3)) / np.cosh(x) ** 2).reshape(-1)
    assert found.facts["ways"] == {"input0": "colours"}
    assert np.abs(found.gradapprox - exact).max() <= 1e-13 * np.abs(exact).max()
    assert found.facts["columns"] < 120


def _relu(x, W):
    program = StandIn(x, W)
    return program.give(program.relu(program.matmul(0, 1)))


def test_ties_are_kinks_with_conventions():
    """Rows of zeros in x: every unit of that sample stands at 0 exactly."""
    generator = np.random.default_rng(0)
    x, W = generator.normal(size=(3, 2)), generator.normal(size=(2, 4))
    x[1] = 0.0
    problem = _problem(_relu, [x, W])
    found, _ = _all(problem)
    z, d = x @ W, problem.weights[0]
    for convention, name in HELD["kink"].items():
        dz = d * np.where(z == 0, convention, z > 0)
        exact = (dz @ W.T).reshape(-1)
        candidate = found.gradapprox.copy()
        candidate[found.kinks.where] = found.kinks.conventions[name]
        assert np.abs(candidate[: x.size] - exact).max() <= 1e-13
    assert found.kinks.where.tolist() == [2, 3]  # the zero sample; W feels nothing of it
    slopes = d[1] * W
    assert found.kinks.high == pytest.approx(np.maximum(slopes, 0).sum(1) - np.minimum(slopes, 0).sum(1) * 0, rel=1e-12)


def test_an_entry_at_the_edge_of_the_domain():
    """sum(log1p-like) with one side missing: the finite side is the derivative."""
    def build(x):
        program = StandIn(x)

        def change(values, changes, out, notes, convention):
            with np.errstate(invalid="ignore"):
                return np.where(values[0] + changes[0] < 0, np.nan, (values[0] + changes[0]) ** 1.5 - out)

        program._incomplete(0)
        return program.give(program._add((0,), program.inputs[0] ** 1.5, change))

    problem = _problem(build, [np.array([0.0, 4.0])], (np.ones(2),))
    found, _ = _all(problem)
    assert found.gradapprox[0] == pytest.approx(0.0, abs=1e-5)
    assert found.gradapprox[1] == pytest.approx(3.0, rel=1e-6)  # this rule subtracts


def test_a_program_that_loses_a_change_is_an_error():
    def build(x):
        program = StandIn(x)
        return program.give(program.linear(0, lambda c: c * (np.arange(c.shape[-1]) != 3)))

    problem = _problem(build, [np.ones(50)])
    problem = ProgramProblem(
        problem.program_at, lambda values: (np.where(np.arange(50) == 3, values[0] - 1.0, values[0]),),
        problem.program, problem.weights, problem.tensors, problem.theta, problem.cost,
    )
    with pytest.raises(EngineError, match="literal subtraction"):
        _all(problem)


@pytest.mark.parametrize("outside", ["nan", "raises"])
def test_a_change_that_is_lost_is_seen_where_the_function_ends_nearby(outside):
    """Literal steps become shorter until the function is defined there."""
    x = np.ones(50)

    def plain(values):
        if np.abs(values[0] - x).max() > 2.0**-15:
            if outside == "raises":
                raise np.linalg.LinAlgError("not that far")
            return (np.full(50, np.nan),)
        return (np.where(np.arange(50) == 3, values[0] - 1.0, values[0]),)

    def build(x):
        program = StandIn(x)
        return program.give(program.linear(0, lambda c: c * (np.arange(c.shape[-1]) != 3)))

    problem = _problem(build, [x])
    problem = ProgramProblem(problem.program_at, plain, problem.program, problem.weights, problem.tensors,
                             problem.theta, problem.cost)
    with pytest.raises(EngineError, match="literal subtraction"):
        _all(problem)


def test_an_output_that_differs_in_a_bit_is_an_error():
    problem = _problem(_conv, [np.random.default_rng(0).normal(size=(5, 40))])
    plain = problem.plain
    problem = ProgramProblem(
        problem.program_at, lambda values: tuple(np.nextafter(out, 9.0) for out in plain(values)), problem.program,
        problem.weights, problem.tensors, problem.theta, problem.cost,
    )
    with pytest.raises(EngineError, match="bit for bit"):
        _all(problem)


def test_a_footprint_that_was_missed_drops_the_colours(monkeypatch):
    """Colours that put meeting entries together are noticed by a direction, and the entries done singly."""
    from fastcheck.engines.program import choice
    from fastcheck.engines.program.colouring import Colouring

    def wrong(places, runner, generator):
        owner = np.arange(runner.size)
        return [Colouring(place, owner, alone=False) for place in places]

    x = np.random.default_rng(0).normal(size=(5, 40))
    right, _ = _all(_problem(_conv, [x]))
    monkeypatch.setattr(choice, "discover", wrong)
    found, _ = _all(_problem(_conv, [x]))
    assert found.facts["ways"] == {"input0": "entries"}
    assert np.abs(found.gradapprox - right.gradapprox).max() <= 1e-13 * np.abs(right.gradapprox).max()


def test_a_deadline_leaves_a_random_part():
    problem = _problem(_dense, _dense_inputs(inside=400))
    found, done = _all(problem, deadline=time.perf_counter())
    assert 0 < done.size < problem.theta.size
    assert found.gradapprox.shape == done.shape
    assert (np.diff(done) > 0).all()
    for tensor in problem.tensors:
        assert ((done >= tensor.start) & (done < tensor.stop)).any()
    assert np.abs(found.gradapprox - _dense_gradient(problem)[done]).max() <= 1e-12


def test_progress_ends_at_the_total_and_may_stop():
    problem = _problem(_dense, _dense_inputs())
    seen = []
    differences(problem, np.arange(problem.theta.size), Run(1, 1 << 28, lambda done, total: seen.append((done, total))))
    assert seen[-1] == (problem.theta.size, problem.theta.size)
    assert all(done < total for done, total in seen[:-1])

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        differences(problem, np.arange(problem.theta.size), Run(1, 1 << 28, stop))


def test_a_small_memory_limit_gives_the_same():
    problem = _problem(_dense, _dense_inputs(inside=100))
    wide, _ = _all(problem)
    narrow, _ = differences(problem, np.arange(problem.theta.size), Run(1, 1 << 18))
    assert np.abs(wide.gradapprox - narrow.gradapprox).max() <= 1e-13 * np.abs(wide.gradapprox).max()


def test_strong_curvature():
    """Twenty steps of the logistic map: h must be so small that even curvature of 1e12 leaves nothing."""
    def build(x):
        program = StandIn(x)
        place = 0
        for _ in range(20):
            moved = program.linear(place, lambda c: c)
            square = program.square(moved)
            place = program.linear(program.add(moved, program.linear(square, np.negative)), lambda c: 3.9 * c)
        return program.give(place)

    x = np.array([0.3, 0.41, 0.77])
    problem = _problem(build, [x], (np.ones(3),))
    found, _ = _all(problem)
    exact, value = np.ones(3), x.copy()
    for _ in range(20):
        exact, value = exact * 3.9 * (1.0 - 2.0 * value), 3.9 * (value - value**2)
    assert found.gradapprox == pytest.approx(exact, rel=1e-9)
    assert math.isfinite(found.noise.max())


def test_entries_that_meet_one_kink_alone_are_known():
    generator = np.random.default_rng(0)
    x, W = generator.normal(size=(3, 2)), generator.normal(size=(2, 4))
    x[1], W[:, 2] = [1.0, 2.0], [2.0, -1.0]
    found, _ = _all(_problem(_relu, [x, W]))
    assert found.kinks.where.tolist() == [2, 3, 8, 12]
    assert found.kinks.single.all()
    x[1] = 0.0
    found, _ = _all(_problem(_relu, [x, W]))
    assert found.kinks.where.tolist() == [2, 3]
    assert not found.kinks.single.any()


def test_entries_of_one_colour_have_kinks_of_their_own():
    x = np.random.default_rng(0).normal(size=(20, 30))
    x[[3, 3, 9, 12], [1, 2, 2, 20]] = 0.0

    def build(x):
        program = StandIn(x)
        return program.give(program.relu(0))

    found, _ = _all(_problem(build, [x]))
    assert found.facts["ways"] == {"input0": "colours"}
    assert found.kinks.where.tolist() == np.flatnonzero(x.reshape(-1) == 0.0).tolist()
    assert found.kinks.single.all()
