"""check_taylor: remainders of order two where the gradient is right, of order one where it is wrong; its own window."""

import zlib

import numpy as np
import pytest

import fastcheck as fc
from tests.support.refusals import refuses

RNG = np.random.default_rng(2)
D = RNG.standard_normal(5)


def heat(source):
    """Energy of the last of some implicit time steps of a rod: a small adjoint code."""
    n = source.size
    A = np.eye(n) * 3.0 - np.eye(n, k=1) - np.eye(n, k=-1)
    u = np.zeros(n)
    for _ in range(4):
        u = np.linalg.solve(A, u + source * (1.0 + u**2))
    return float(u @ u)


def heat_gradient(source):
    n = source.size
    A = np.eye(n) * 3.0 - np.eye(n, k=1) - np.eye(n, k=-1)
    us = [np.zeros(n)]
    for _ in range(4):
        us.append(np.linalg.solve(A, us[-1] + source * (1.0 + us[-1] ** 2)))
    adjoint, found = 2.0 * us[-1], np.zeros(n)
    for u in reversed(us[:-1]):
        z = np.linalg.solve(A.T, adjoint)
        found += z * (1.0 + u**2)
        adjoint = z * (1.0 + 2.0 * source * u)
    return found


S = RNG.uniform(0.5, 1.0, 5)


@pytest.mark.parametrize("engine", [None, "differences"])
def test_a_right_adjoint(engine):
    report = fc.check_taylor(heat, S, D, heat_gradient(S), engine=engine)
    assert report.ok, str(report)
    facts = report.facts["taylor"]
    assert facts["order"] == pytest.approx(2.0, abs=0.02)
    assert facts["window"][0] > 1e3 * facts["window"][1]
    assert len(facts["orders"]) == len(facts["steps"]) - 1 == len(facts["remainders"]) - 1
    assert any("as they do where the gradient is right" in note for note in report.notes)


@pytest.mark.parametrize("off", [1e-1, 1e-3, 1e-5])
def test_a_wrong_adjoint_falls_as_h(off):
    report = fc.check_taylor(heat, S, D, (1.0 + off) * heat_gradient(S))
    assert report.verdict == "fail"
    assert report.facts["taylor"]["order"] == pytest.approx(1.0, abs=0.05)
    assert any("the gradient is wrong" in note for note in report.notes)


def test_an_error_across_the_direction_is_not_seen():
    across = RNG.standard_normal(5)
    across -= D * (across @ D) / (D @ D)
    assert fc.check_taylor(heat, S, D, heat_gradient(S) + across).ok
    assert not fc.check_taylor(heat, S, RNG.standard_normal(5), heat_gradient(S) + across).ok


@pytest.mark.parametrize(("f", "x", "d", "g", "order"), [
    (lambda x: np.sum(x**4), np.ones(3) * 0.7, np.ones(3), 4 * 0.7**3 * np.ones(3), 2.0),
    (lambda x: np.sum(x**3), np.zeros(3), np.ones(3), np.zeros(3), 3.0),  # no curvature: of order three
    (lambda x: float(np.exp(1e3 * x)), 0.01, 1.0, 1e3 * np.exp(10.0), 2.0),  # a window far below one
    (lambda p: np.sin(p["a"][0]) * p["b"], {"a": [0.3], "b": 2.0}, {"a": [1.0], "b": -1.0},
     2 * np.cos(0.3) - np.sin(0.3), 2.0),
])
def test_windows_and_structures(f, x, d, g, order):
    report = fc.check_taylor(f, x, d, g)
    assert report.facts["taylor"]["order"] == pytest.approx(order, abs=0.05), str(report)
    assert report.ok or order == 3.0


def test_a_linear_function_has_no_order():
    report = fc.check_taylor(lambda x: float(x.sum()), np.ones(3), np.ones(3), np.ones(3))
    assert report.ok
    assert report.facts["taylor"]["window"] is None
    assert any("no order shows" in note for note in report.notes)
    assert report.to_json()


@pytest.mark.parametrize("level", [1e-12, 1e-10, 1e-8])
@pytest.mark.parametrize(("factor", "order", "wanted"), [(1.0, 2.0, "pass"), (2.0, 1.0, "fail")])
def test_noise_of_an_iterative_solver_ends_the_window(level, factor, order, wanted):
    """What three steps of noise happen to look like is no order, for any seed of the noise."""
    x = np.arange(1.0, 4.0)
    for seed in range(30):
        noise = np.random.default_rng(seed).standard_normal(100_000)

        def f(x, noise=noise):
            return float(np.sum(np.sin(x)) + level * noise[zlib.crc32(x.tobytes()) % 100_000])

        report = fc.check_taylor(f, x, np.ones(3), factor * np.cos(x))
        found = report.facts["taylor"]
        assert found["order"] == pytest.approx(order, abs=0.2), (seed, str(report))
        assert found["window"][1] > level ** (1.2 / order)
        assert report.verdict in (wanted, "inconclusive")


def test_the_note_does_not_contradict_the_verdict():
    """Beside a kink that the steps straddle remainders fall as the step does, and the gradient is right."""
    right = fc.check_taylor(lambda x: abs(float(x[0])), np.array([1e-9]), np.ones(1), np.ones(1))
    assert right.ok
    assert not any("wrong" in note for note in right.notes)
    noisy = np.random.default_rng(0).standard_normal(1000)

    def f(x):
        return float(np.sum(np.sin(x)) + 1e-8 * noisy[zlib.crc32(x.tobytes()) % 1000])

    x = np.arange(1.0, 4.0)
    wrong = fc.check_taylor(f, x, np.ones(3), 1.001 * np.cos(x))
    assert wrong.verdict == "fail"
    assert not any("where the gradient is right" in note for note in wrong.notes)


@pytest.mark.parametrize(("change", "kind", "words"), [
    ({"direction": np.zeros(5)}, ValueError, ["direction", "zero"]),
    ({"direction": np.ones(4)}, ValueError, ["direction", "(5,)", "(4,)"]),
    ({"gradient": np.ones(4)}, ValueError, ["gradient", "(5,)"]),
    ({"gradient": "g"}, TypeError, ["gradient"]),
    ({"f": 3}, TypeError, ["int"]),
    ({"speed": 3}, TypeError, ["speed"]),
])
def test_refusals(change, kind, words):
    refuses(kind, words, fc.check_taylor, **{"f": heat, "x": S, "direction": D, "gradient": heat_gradient(S), **change})
