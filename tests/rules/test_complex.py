"""Complex numbers: the rules that hold for them, and the refusal of all others."""

import numpy as np
import pytest

from fastcheck._errors import NoRule
from fastcheck.rules.branches import Branches
from fastcheck.rules.table import RULES

Z = np.array([1.0 + 2.0j, -0.5 + 0.1j, 3.0 - 4.0j])
W = np.array([0.3 - 1.0j, 2.0 + 0.0j, -1.0 + 1.0j])
D = np.array([[1.0 - 1.0j, 0.5j, -2.0], [0.0, 1.0, 1.0j]])
ONE = {
    "negative": np.negative, "positive": np.positive, "conjugate": np.conj, "square": np.square,
    "reciprocal": np.reciprocal, "absolute": np.abs, "exp": np.exp,
}  # fmt: skip
TWO = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}
STEPS = [1e-9, 1e-3, 1.0]
LONG = np.clongdouble


def true_change(function, operands, changes):
    wide = [LONG(x) for x in operands]
    new = function(*(x if d is None else x + LONG(d) for x, d in zip(wide, changes, strict=True)))
    return new - function(*wide)


def assert_close(found, expected, step):
    # the reference subtracts in extended precision, to which a short step leaves 19 digits less its own
    assert np.all(abs(found - expected) <= (1e-14 + 1e-18 / step) * np.max(abs(expected)))


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("step", STEPS)
def test_one_operand(name, step):
    change = RULES[name].change(np, (Z,), (step * D,), ONE[name](Z), Branches(np, (2,)))
    assert_close(change, true_change(ONE[name], (Z,), (step * D,)), step)


@pytest.mark.parametrize("name", TWO)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("moving", [(True, True), (True, False), (False, True)])
def test_two_operands(name, step, moving):
    changes = tuple(step * d if moves else None for d, moves in zip((D, D[::-1]), moving, strict=True))
    change = RULES[name].change(np, (Z, W), changes, TWO[name](Z, W), None)
    assert_close(change, true_change(TWO[name], (Z, W), changes), step)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_whole_powers(n):
    change = RULES["power"].change(np, (Z, n), (1e-3 * D, None), Z**n, None)
    assert_close(change, true_change(lambda z: z**n, (Z,), (1e-3 * D,)), 1e-3)
    with pytest.raises(NoRule, match="power of complex numbers"):
        RULES["power"].change(np, (Z, 0.5), (1e-3 * D, None), Z**0.5, None)


def test_zero_has_a_magnitude():
    zero, d = np.zeros(2, dtype=complex), np.array([[3.0 + 4.0j, 0.0]])
    branches = Branches(np, (1,))
    assert RULES["absolute"].change(np, (zero,), (d,), np.zeros(2), branches).tolist() == [[5.0, 0.0]]
    assert branches.ties.tolist() == [True]


def test_matrices():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3)) + 3.0 * np.eye(3)
    d = 1e-4 * (rng.normal(size=(2, 3, 3)) + 1j * rng.normal(size=(2, 3, 3)))
    for name in ("inv", "det"):
        function = getattr(np.linalg, name)
        change = RULES[name].change(np, (a,), (d,), function(a), None)
        np.testing.assert_allclose(change, function(a + d) - function(a), rtol=1e-9)
    b = rng.normal(size=(3, 2)) * 1j
    change = RULES["solve"].change(np, (a, b), (d, None), np.linalg.solve(a, b), None)
    np.testing.assert_allclose(change, np.linalg.solve(a + d, b) - np.linalg.solve(a, b), rtol=1e-9)


CAPABLE = {name for name, rule in RULES.items() if rule.complex}


def test_what_holds_for_complex_numbers():
    assert set(ONE) | set(TWO) <= CAPABLE


@pytest.mark.parametrize("name", sorted(set(RULES) - CAPABLE))
def test_all_others_refuse(name):
    with pytest.raises(NoRule, match=f"{name} of complex numbers"):
        RULES[name].change(np, (Z, Z, Z), (D, D, D), Z, None)


@pytest.mark.parametrize("name", sorted(set(RULES) - CAPABLE))
def test_real_operands_with_complex_results_are_refused_too(name):
    with pytest.raises(NoRule, match=f"{name} of complex numbers"):
        RULES[name].change(np, (Z.real, Z), (D.real, None), Z, None)


@pytest.mark.parametrize("name", ["tanh", "sqrt", "relu"])
def test_torch(name):
    torch = pytest.importorskip("torch")
    with pytest.raises(NoRule, match="complex"):
        RULES[name].change(torch, (torch.asarray(Z),), (torch.asarray(D),), torch.asarray(Z), None)


@pytest.mark.parametrize("name", ["absolute", "exp", "square"])
def test_torch_agrees(name):
    torch = pytest.importorskip("torch")
    found = RULES[name].change(torch, (torch.asarray(Z),), (torch.asarray(D),), torch.asarray(ONE[name](Z)), None)
    np.testing.assert_allclose(found.numpy(), RULES[name].change(np, (Z,), (D,), ONE[name](Z), None), rtol=1e-13)
