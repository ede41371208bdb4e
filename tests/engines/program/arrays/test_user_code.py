"""What users' functions do beside calculating: floats, types, states, random numbers, nested and parallel runs."""

import functools
import math

import numpy as np
import pytest
from numpy import maximum

from fastcheck import NoRule
from fastcheck.engines.program.arrays.program import Program
from tests.engines.program.arrays.literal import assert_exact
from tests.engines.program.arrays.stateful import Layer

INPUT = np.array([0.5, -1.25, 2.0])
CHANGE = np.array([[0.1, 0.2, -0.1], [-0.1, -0.2, 0.1]])
X = np.arange(12.0).reshape(4, 3)


def run(function, change=CHANGE, **options):
    return Program(function, [INPUT], **options).run({0: change})


ENDINGS = {
    "float": lambda x: float(np.sum(x * x)),
    "item": lambda x: np.sum(x * x).item(),
    "numpy scalar": lambda x: np.sum(x * x),
    "squeezed": lambda x: np.squeeze(np.sum(x * x, keepdims=True)),
    "item of an array of one": lambda x: np.sum(x * x, keepdims=True).item(),
    "item by place": lambda x: (np.cumsum(x * x)).item(2),
    "an entry": lambda x: np.cumsum(x * x)[-1],
    "asserted": lambda x: asserted(np.sum(x * x)),
    "float twice over": lambda x: float(float(np.sum(x * x))),
    "python's sum": lambda x: sum(float_free for float_free in x * x),
    "in a dictionary": lambda x: {"cost": float(np.sum(x * x))},
}


def asserted(cost):
    assert isinstance(cost, float)
    assert np.isscalar(cost) or np.ndim(cost) == 0
    assert cost.shape == ()
    return cost


@pytest.mark.parametrize("name", ENDINGS)
def test_costs_end_in_many_ways(name):
    (change,) = run(ENDINGS[name]).changes
    np.testing.assert_allclose(change, (CHANGE * (2 * INPUT + CHANGE)).sum(axis=1), rtol=1e-14)


def test_arrays_are_arrays():
    def function(x):
        assert isinstance(x, np.ndarray)
        assert not isinstance(x, float)
        assert isinstance(x[0], np.floating)
        assert x.dtype == np.float64
        assert len(x) == 3
        assert x.ndim == 1
        assert str(x) == str(INPUT)
        assert f"{x[0]:.3f}" == "0.500"
        return x

    np.testing.assert_array_equal(run(function).changes[0], CHANGE)


def test_the_callers_arrays_stay_as_they_are():
    change, x = CHANGE.copy(), INPUT.copy()

    def function(x):
        x += 1.0
        x[0] = 5.0
        return x

    program = Program(function, [x])
    for _ in range(2):
        np.testing.assert_array_equal(program.run({0: change}).changes[0], CHANGE * [0, 1, 1])
    np.testing.assert_array_equal(change, CHANGE)
    np.testing.assert_array_equal(x, INPUT)


def test_what_an_object_keeps_is_as_it_was():
    layer = Layer()
    layer.forward(INPUT)
    before = (layer.cache, layer.running_mean, list(layer.history), dict(layer.parameters), layer.W)
    program = Program(layer.forward, [INPUT])
    kept = layer.cache
    for _ in range(2):
        program.run({0: CHANGE})
    assert layer.cache is kept
    assert len(layer.history) == len(before[2]) + 1  # by the plain call that gave the outputs
    assert all(type(one) is np.float64 for one in layer.history)
    assert type(layer.running_mean) is np.ndarray
    assert layer.W is before[4]


def test_what_an_object_keeps_is_as_it_was_after_an_error():
    layer = Layer()

    def function(x):
        layer.forward(x)
        return np.linalg.eigvals(np.outer(x, x))[0]

    program = Program(function, [INPUT])
    kept = (layer.cache, layer.running_mean)
    with pytest.raises(NoRule):
        program.run({0: CHANGE})
    assert (layer.cache, layer.running_mean) == kept or (layer.cache is kept[0] and layer.running_mean is kept[1])


def test_parameters_that_an_object_keeps_are_moved_there():
    layer = Layer()
    names = [layer.W, layer.parameters["b"], layer.parameters["nested"][0]]
    program = Program(layer.forward, [INPUT, *names], held=dict(enumerate(names, 1)))
    changes = {1: np.full((2, 3, 3), [[[0.1]], [[-0.1]]]), 2: np.full((2, 3), 0.2), 3: np.full((2, 3), 0.3)}
    found = program.run(changes).changes[0]
    for place in range(2):
        other = Layer()
        other.W = other.W + changes[1][place]
        other.parameters["b"] = other.parameters["b"] + 0.2
        other.parameters["nested"][0] = other.parameters["nested"][0] + 0.3
        np.testing.assert_allclose(found[place], other.forward(INPUT) - Layer().forward(INPUT), atol=1e-15)
    assert layer.W is names[0]
    assert layer.parameters["nested"][0] is names[2]


def test_views_of_what_is_held_move_with_it():
    layer = Layer()
    program = Program(lambda: layer.transposed @ INPUT, [layer.W], held={0: layer.W})
    change = np.random.default_rng(0).standard_normal((2, 3, 3))
    np.testing.assert_allclose(program.run({0: change}).changes[0], np.swapaxes(change, 1, 2) @ INPUT)
    assert layer.transposed.base is layer.W or layer.transposed.base is layer.W.base


def test_plain_arguments_answer():
    def cost(w, X, options):
        return (X.dot(w) * options["scale"][0]).sum()

    (change,) = run(cost, args=(X, {"scale": [np.array(2.0)]})).changes
    np.testing.assert_allclose(change, 2 * (CHANGE @ X.T).sum(axis=1))


def test_plain_globals_and_closures_answer():
    local = X + 1.0
    (change,) = run(lambda w: X.dot(w) + local.dot(w)).changes
    np.testing.assert_allclose(change, CHANGE @ (X + local).T)
    assert type(X) is np.ndarray
    assert type(local) is np.ndarray


def test_arrays_of_a_run_that_has_ended_act_as_plain_ones():
    leaked = set()

    class Keeper:
        __slots__ = ("x",)

    keeper = Keeper()

    def function(x):
        keeper.x = x
        leaked.add(id(x))
        return x * 2 + (old[0] * 1.0 if old else 0.0)

    old = []
    run(function)
    x = keeper.x
    for found in (
        x + 1,
        1 + x,
        np.exp(x),
        x.sum(),
        x[0],
        x @ x,
        np.dot(x, x),
        np.stack([x, x]),
        x.reshape(3, 1),
        -x,
        x.T,
    ):
        assert not hasattr(found, "change") or found.change is None
    np.testing.assert_array_equal(np.asarray(x), INPUT)
    assert float(x[0]) == 0.5
    assert bool(x[0])
    x += 1.0
    np.testing.assert_array_equal(np.asarray(x), INPUT + 1)
    np.testing.assert_allclose(run(lambda y: y * x).changes[0], CHANGE * (INPUT + 1))
    np.testing.assert_allclose(run(lambda y: np.concatenate([x, y]) * 1.0).changes[0][:, 3:], CHANGE)


def test_random_draws_from_a_seed_run_and_leave_the_state_alone():
    def dropout(x):
        rng = np.random.default_rng(5)
        legacy = np.random.RandomState(3)
        return x * (rng.random(3) < 0.5) * legacy.rand(3) + rng.standard_normal(3)

    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    response = run(dropout)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    rng = np.random.default_rng(5)
    np.testing.assert_allclose(response.changes[0], CHANGE * (rng.random(3) < 0.5) * np.random.RandomState(3).rand(3))


def test_functions_of_every_kind_are_followed():
    class Callable:
        scale = np.full(3, 2.0)

        def __call__(self, x):
            return self.static(x) + self.by_class(x) + self.value(x)

        @staticmethod
        def static(x):
            made = np.zeros(3)
            made[:] = x
            return made

        @classmethod
        def by_class(cls, x):
            made = np.empty(3)
            made[:] = x * cls.scale
            return made

        @property
        def value(self):
            return functools.partial(helper, power=2)

    found = run(Callable()).changes[0]
    np.testing.assert_allclose(found, 3 * CHANGE + CHANGE * (2 * INPUT + CHANGE))


def helper(x, power):
    made = np.ones_like(X[0])
    made *= x**power
    return made


def test_nothing_is_replaced_afterwards_whatever_happens():
    def names():
        return np, globals()["np"], np.zeros

    before = names()

    def function(x):
        assert np is not before[0]
        raise KeyError("x") if fails else None

    fails = False
    program = Program(lambda x: x + np.zeros(3), [INPUT])
    program.run({0: CHANGE})
    assert names() == before

    def failing(x):
        if type(x) is not np.ndarray:
            raise KeyError("some key")
        return x

    with pytest.raises(NoRule, match="KeyError"):
        run(failing)
    assert names() == before
    assert np.zeros(3).base is None


def test_interrupts_pass_and_clean_up():
    def interrupted(x):
        if type(x) is not np.ndarray:
            raise KeyboardInterrupt
        return x

    before = np
    with pytest.raises(KeyboardInterrupt):
        run(interrupted)
    assert np is before
    np.testing.assert_array_equal(run(lambda x: x + np.zeros(3)).changes[0], CHANGE)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (1, 1, 1), (0, 3)])
def test_inputs_of_odd_shapes(shape):
    x = np.full(shape, 0.3)
    change = np.full((2, *shape), 0.1)
    response = Program(lambda x: (np.exp(x) * x, x.sum(), np.reshape(x, -1)), [x]).run({0: change})
    right = np.exp(0.4) * 0.4 - np.exp(0.3) * 0.3
    np.testing.assert_allclose(response.changes[0], np.full((2, *shape), right))
    assert response.changes[1].shape == (2,)
    assert response.changes[2].shape == (2, x.size)


def test_outputs_that_no_input_reaches_stand_still():
    response = run(lambda x: (x * 2, np.ones(2), 3.0, {"a": X}))
    assert [change is None for change in response.changes] == [False, True, True, True]


def test_complex_numbers_on_the_way():
    def spectrum(x):
        F = np.fft.rfft(x)
        return (
            np.real(F * np.conj(F)),
            np.abs(F),
            F.real * F.imag,
            np.fft.irfft(F * 2.0, 3),
            (F / (1 + F * F)).imag,
            np.exp(F / 9).real,
        )

    assert_exact(spectrum, [INPUT], tolerance=1e-14)
    with pytest.raises(NoRule, match="complex"):
        run(lambda x: np.arctan(np.fft.rfft(x)).real)


def test_conventions_and_ties():
    x = np.array([0.0, 1.0, -1.0])
    change = np.array([[0.1, 0.1, 0.1], [-0.1, 0.1, 0.1]])
    program = Program(lambda x: np.maximum(x, 0.0), [x])
    true = program.run({0: change})
    np.testing.assert_allclose(true.changes[0], [[0.1, 0.1, 0.0], [0.0, 0.1, 0.0]])
    assert list(true.ties) == [True, True]
    assert list(true.crossed) == [False, False]
    for convention, slope in ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0)):
        found = program.run({0: change}, convention=convention).changes[0]
        np.testing.assert_allclose(found[:, 0], slope * change[:, 0])
    crossing = program.run({0: np.array([[0.0, -2.0, 0.0], [0.0, 0.0, 0.0]])})
    assert list(crossing.crossed) == [True, False]


def test_scalar_functions_of_pythons_own():
    def function(x):
        return math.exp(x[0]) * x

    found = run(function).changes[0]
    right = [math.exp(0.5 + change[0]) * (INPUT + change) - math.exp(0.5) * INPUT for change in CHANGE]
    np.testing.assert_allclose(found, right, rtol=1e-13)


def lists_of_numbers(x):
    rows = np.outer(x, x).tolist()
    return sum(a * math.sin(b) for row in rows for a, b in zip(row, x.tolist(), strict=True)) + max(x.tolist())


NUMBERS = {
    "item": lambda x: x[0].item() * x.sum().item() + x.item(1) ** 2 + np.outer(x, x).item(1, 2) - np.exp(x).item((2,)),
    "item of a matrix by its place in memory": lambda x: np.outer(x, x).item(5) * np.outer(x, x).T.item(-2),
    "item of arrays of one": lambda x: x[:1].item() * np.sum(x, keepdims=True).item() * np.asarray(x[1]).item(),
    "item of complex numbers": lambda x: abs((x[0] * np.exp(1j * x[1])).item() - 2.0) ** 2,
    "tolist": lists_of_numbers,
    "tolist of a number": lambda x: x[1].tolist() * x[0].tolist(),
    "an array of a list": lambda x: np.sum(np.array(np.outer(x, x).tolist()) ** 3),
    "items kept": lambda x: np.mean([float(i) * one.item() ** 2 for i, one in enumerate(x)]),
    "text and comparisons": lambda x: x.sum().item() ** 2 if f"{x[0].item():.1f}" == "0.5" and x[0] > 0.1 else 0.0,
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_python_carry_changes(name):
    """What item() and tolist() give can be calculated with further."""
    function = NUMBERS[name]
    for change in (CHANGE * 1e-3, CHANGE * 0.0):
        found = run(function, change).changes[0]
        expected = [np.asarray(function(INPUT + one)) - np.asarray(function(INPUT)) for one in change]
        np.testing.assert_allclose(0.0 if found is None else found, expected, rtol=1e-9, atol=1e-13)


COMPLEX_NUMBERS = {
    "one times": lambda x: np.exp(1j * x[0]).real * x[1],
    "plus": lambda x: abs(x[0] + 2j) ** 2 + abs(1j - x[1]),
    "a quotient": lambda x: abs(1.0 / (1.0 + 1j * x[0] * x[1])) ** 2,
    "a power": lambda x: ((x[0] + 1j * x[1]) ** 2).real,
    "a sum in a loop": lambda x: abs(sum(t * np.exp(-2j * np.pi * k * x[0]) for k, t in enumerate(x))) ** 2,
    "a filter's response": lambda x: np.log(abs(x[0] / (1.0 - 0.3 * x[1] * np.exp(-1j * x[2])))),
}


@pytest.mark.parametrize("name", COMPLEX_NUMBERS)
def test_complex_numbers_of_python_beside_numbers_of_numpy(name):
    """The product of 1j and a NumPy number is one of Python's."""
    function = COMPLEX_NUMBERS[name]
    found = run(function, CHANGE * 1e-3).changes[0]
    expected = [function(INPUT + one) - function(INPUT) for one in CHANGE * 1e-3]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-13)


LISTS = {
    "reduce": lambda x: np.logaddexp.reduce([x[0], x[1] * x[2], 0.5]) + np.maximum.reduce([x, 2 * x, x * x]).sum(),
    "reduce along an axis": lambda x: np.multiply.reduce([x, x + 1.0], axis=1) @ X[:2, 0] + np.add.reduce((x, x), 0)[1],
    "minimum of rows": lambda x: np.minimum([x[0], x[1]], 0.1)[1] + np.maximum([x[0], x[1]], [x[1], x[2]])[0],
    "two lists": lambda x: np.sum(np.multiply([x[0], x[1]], [x[1], x[2]])) + np.add([x[0], 1.0], 2.0)[0],
    "accumulate": lambda x: np.add.accumulate([x[0] ** 2, *x]) @ X[:, 0] + np.logaddexp.accumulate(list(x))[2],
    "outer": lambda x: np.sum(np.multiply.outer([x[0], x[1]], x) ** 2) + np.subtract.outer(x, [x[0], 1.0]).prod(),
    "at": lambda x: at_a_list(x),
    "at several indices": lambda x: at_several(ROWS.dot(x)),
    "arrays": lambda x: np.maximum(x, 0.1).sum() + np.maximum.reduce(x) + np.maximum(0.3, x[0]) + np.add.reduce(X[0]),
    "imported names": lambda x: maximum.reduce([x[0], x[1]]) + functools.reduce(maximum, [x[0], x[1], x[2]]),
    "what it says of itself": lambda x: x.sum() * np.maximum.nin + len(np.maximum.__name__) * x[0],
}


ROWS = np.array([[0, 1, 1], [1, 0, 2], [0, 0, 1]])


def at_several(x):
    out = np.zeros((2, 3))
    np.add.at(out, (slice(None), ROWS[0]), np.multiply.outer([1.0, 2.0], x))
    return np.sum(out**2)


def at_a_list(x):
    out = np.zeros(2)
    np.add.at(out, [0, 1, 1], [x[0] ** 2, x[1], x[2]])
    return out.prod()


@pytest.mark.parametrize("name", LISTS)
def test_ufuncs_and_their_methods_take_lists_of_what_moves(name):
    function = LISTS[name]
    found = run(function, CHANGE * 1e-3).changes[0]
    expected = [function(INPUT + one) - function(INPUT) for one in CHANGE * 1e-3]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-13)
    assert type(np.maximum) is np.ufunc
    assert type(maximum) is np.ufunc


def slope_of(t, limit=0.4):
    return t * t if abs(t) < limit else 2.0 * limit * abs(t) - limit**2


huber_of = np.vectorize(slope_of)


@np.vectorize
def gated(t, u):
    if t > 0.0:
        return math.tanh(t) * u
    return u - t


VECTORIZED = {
    "inside": lambda x: np.vectorize(lambda t: t * math.sin(t))(np.outer(x, x)).sum(),
    "outside": lambda x: huber_of(x).sum() + huber_of(x, 0.1) @ x + huber_of(0.3 * x[1]),
    "a decorator": lambda x: gated(x[:, None], np.array([1.0, 2.0])).prod(axis=0).sum() + gated(x, x * x).sum(),
    "several results": lambda x: sum(a @ x * b.sum() for a, b in [np.vectorize(lambda t: (t, np.exp(t)))(x)]),
    "types": lambda x: np.vectorize(lambda t: t**3, otypes=[float])(x).sum() * np.vectorize(slope_of, "d")(x)[0],
    "indices": lambda x: np.vectorize(lambda k: x[k] ** 2)(np.array([[0, 2], [2, 1]])).sum(axis=0).prod(),
    "whole numbers": lambda x: np.vectorize(lambda t: int(t > 0.0))(x) @ x,
    "what is left out": lambda x: np.vectorize(lambda p, t: p @ x * t, excluded=[0])(x, x).sum(),
    "what is left out by name": lambda x: np.vectorize(lambda t, p: p @ x * t, excluded={"p"})(x, p=x).sum(),
    "kept in an object": lambda x: BESIDE["huber"](x).sum(),
}
BESIDE = {"huber": huber_of}


@pytest.mark.parametrize("name", VECTORIZED)
def test_vectorized_functions_are_followed_entry_by_entry(name):
    function = VECTORIZED[name]
    program = Program(function, [INPUT])
    for change in (CHANGE * 1e-3, CHANGE * 0.0):
        found = program.run({0: change}).changes[0]
        expected = [function(INPUT + one) - function(INPUT) for one in change]
        np.testing.assert_allclose(0.0 if found is None else found, expected, rtol=1e-9, atol=1e-13)
    assert type(huber_of) is np.vectorize


def test_vectorized_functions_that_are_refused():
    function = np.vectorize(lambda a, b: a @ b, signature="(n),(n)->()")
    with pytest.raises(NoRule, match="signature"):
        run(lambda x: function(x, x))
    with pytest.raises(NoRule, match="whole number"):
        run(lambda x: np.vectorize(lambda t: 0 if t == INPUT[0] else t)(x), 0.0 * CHANGE)
