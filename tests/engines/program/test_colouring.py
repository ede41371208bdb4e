"""Colourings: entries of one colour never share an output, and the owners are the entries that move it."""

import numpy as np
import pytest

from fastcheck.engines.program.codes import Codes
from fastcheck.engines.program.colouring import Colouring
from fastcheck.engines.program.columns import Job, measure
from fastcheck.engines.program.digits import digits_of
from fastcheck.engines.program.discovery import discover
from fastcheck.engines.program.limits import Limits
from fastcheck.engines.program.places import Place
from fastcheck.engines.program.runner import Runner
from tests.engines.program.stand_in import StandIn


def _window(x, width):
    """Sums over a window along the last axis."""
    padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(width // 2, width // 2)])
    return sum(padded[..., k : k + x.shape[-1]] * (k + 1.0) for k in range(width))


def _elementwise(shape):
    x = np.random.default_rng(0).normal(size=shape)
    program = StandIn(x)
    return program.give(program.tanh(0))


def _conv(shape, width=3):
    x = np.random.default_rng(0).normal(size=shape)
    program = StandIn(x)
    return program.give(program.square(program.linear(program.tanh(0), lambda c: _window(c, width))))


def _rows(samples, pixels, units):
    """An axis that holds samples and pixels, summed over the pixels: rows of one sample meet."""
    x = np.random.default_rng(0).normal(size=(samples * pixels, units))
    program = StandIn(x)
    return program.give(program.linear(
        program.square(0), lambda c: c.reshape(len(c), samples, pixels, units).sum(axis=(2, 3))))


def _dense():
    generator = np.random.default_rng(0)
    program = StandIn(generator.normal(size=(7, 70)), generator.normal(size=(70, 5)))
    return program.give(program.tanh(program.matmul(program.tanh(0), 1)))


CASES = {
    "elementwise": (_elementwise((40, 30)), 1),
    "a long vector": (_elementwise((5000,)), 1),
    "a prime vector": (_elementwise((4999,)), 1),
    "conv": (_conv((4, 3, 20)), 3),
    "wide conv": (_conv((2, 50), 7), 7),
    "rows of samples": (_rows(6, 25, 3), 75),
    "dense": (_dense(), 70),
}


def _runner(program):
    generator = np.random.default_rng(1)
    weights = [generator.normal(size=output.shape) for output in program.outputs]
    return Runner(program, weights, 1 << 28)


def _colouring(program):
    runner = _runner(program)
    place = Place(0, program.inputs[0])
    return runner, discover([place], runner, np.random.default_rng(2))[0]


@pytest.mark.parametrize("name", CASES)
def test_entries_of_one_colour_do_not_meet(name):
    program, expected = CASES[name]
    runner, colouring = _colouring(program)
    assert colouring.count == expected
    n = colouring.place.size
    chosen = np.random.default_rng(3).choice(n, min(n, 300), replace=False)
    change = np.zeros((chosen.size, n))
    change[np.arange(chosen.size), chosen] = 1e-6
    touched = runner.laid_out(runner.run([(colouring.place, change)])) != 0.0
    for colour in np.unique(colouring.colour[chosen]):
        rows = np.flatnonzero(colouring.colour[chosen] == colour)
        assert touched[rows].sum(axis=0).max() <= 1
        if not colouring.single and not colouring.coded:
            for row in rows:
                assert (colouring.first[colour] + colouring.free[touched[row]] == chosen[row]).all()


@pytest.mark.parametrize("name", CASES)
def test_few_columns_find_the_colours(name):
    runner, _ = _colouring(CASES[name][0])
    assert runner.columns <= 60


def test_codes_tell_one_entry_from_a_blend_of_two():
    codes = Codes.draw(1000, np.random.default_rng(0))
    thing, apart = codes.decoded(codes.value, np.ones(1000))
    assert (apart == 0.0).all()
    assert np.array_equal(thing, np.arange(1000))
    blend = np.random.default_rng(1).uniform(size=(2, 100_000))
    first, second = np.random.default_rng(2).integers(0, 1000, (2, 100_000))
    ratio = (blend[0] * codes.value[first] + blend[1] * codes.value[second]) / blend.sum(axis=0)
    assert np.isfinite(codes.decoded(ratio[first != second], np.ones(1))[1]).mean() < 1e-5
    assert np.isinf(codes.decoded(np.array([np.nan, np.inf, -np.inf, 0.0, 2.0]), np.ones(5))[1]).all()


def test_colours_in_which_entries_meet_are_taken_apart():
    program, _ = CASES["conv"]
    runner, right = _colouring(program)
    digits = digits_of(right.place.shape)
    wrong = Colouring(right.place, None, tuple(digits[:2]), ((digits[2], 2),), alone=False)
    plain, mended = (
        measure([Job(colouring, np.arange(colouring.count))], runner, Limits())[0]
        for colouring in (Colouring(right.place), wrong)
    )
    assert mended.done.all()
    assert np.abs(mended.slope - plain.slope).max() <= 1e-13 * np.abs(plain.slope).max()


@pytest.mark.parametrize("name", CASES)
def test_members_are_a_partition(name):
    _, colouring = _colouring(CASES[name][0])
    rows, entries = colouring.members(np.arange(colouring.count))
    assert np.array_equal(np.sort(entries), np.arange(colouring.place.size))
    assert np.array_equal(rows, colouring.colour[entries])


@pytest.mark.parametrize("name", CASES)
def test_quotients_by_colours_are_those_of_single_entries(name):
    program, _ = CASES[name]
    runner, colouring = _colouring(program)
    jobs = [Job(c, np.arange(c.count)) for c in (colouring, Colouring(colouring.place))]
    fast, plain = (measure([job], runner, Limits())[0] for job in jobs)
    assert fast.done.all()
    assert plain.done.all()
    scale = np.abs(plain.slope).max()
    assert np.abs(fast.slope - plain.slope).max() <= 1e-13 * scale
    assert np.abs(fast.right - plain.right).max() <= 1e-13 * scale
    assert np.abs(fast.terms - plain.terms).max() <= 1e-13 * np.abs(plain.terms).max()


def test_quotients_are_the_derivative():
    program = _dense()
    runner, _ = _colouring(program)
    job = Job(Colouring(Place(0, program.inputs[0])), np.arange(490))
    found = measure([job], runner, Limits())[0]
    x, w = program.inputs
    z = np.tanh(x) @ w
    exact = ((runner.weights[0].reshape(z.shape) / np.cosh(z) ** 2) @ w.T) / np.cosh(x) ** 2
    assert np.abs(found.slope - exact.reshape(-1)).max() <= 1e-14 * np.abs(exact).max()


@pytest.mark.parametrize(("shape", "hints"), [((8192, 3), [(8, 3, 32, 32)]), ((7200,), [(8, 10)]), ((4999,), []),
                                              ((3, 64, 65), [])])
def test_digits_tell_all_indices_apart(shape, hints):
    digits = digits_of(shape, hints)
    for axis, extent in enumerate(shape):
        mine = [np.arange(extent) // d.stride % d.extent for d in digits if d.axis == axis]
        assert len({tuple(index) for index in np.stack(mine, axis=1)}) == extent
    assert max(digit.extent for digit in digits) <= 65
