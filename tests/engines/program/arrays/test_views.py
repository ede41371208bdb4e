"""Random views of views, read and written to, held against literal subtraction."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fastcheck import NoRule
from fastcheck.engines.program.arrays.program import Program
from tests.engines.program.arrays.literal import assert_exact

VIEWS = [
    lambda a: a[1:], lambda a: a[..., ::-1], lambda a: a[::2], lambda a: a.T, lambda a: a[None], lambda a: a[..., None],
    lambda a: a[0], lambda a: a[..., -1], lambda a: a.reshape(-1), lambda a: a.ravel(), lambda a: np.squeeze(a),
    lambda a: a.swapaxes(0, -1), lambda a: a[..., 1:, :] if a.ndim > 1 else a, lambda a: np.atleast_2d(a),
    lambda a: a.reshape(a.shape[::-1]), lambda a: np.split(a, [1])[1], lambda a: np.diagonal(a) if a.ndim > 1 else a,
    lambda a: a.reshape(a.shape, order="F"), lambda a: a.ravel("K"), lambda a: a.flatten(), lambda a: a[...],
    lambda a: np.asarray(a), lambda a: np.flip(a), lambda a: a.reshape(2, -1) if a.size % 2 == 0 else a,
    lambda a: np.broadcast_to(a, (2, *a.shape)), lambda a: np.asfortranarray(a), lambda a: np.ascontiguousarray(a),
    lambda a: np.lib.stride_tricks.sliding_window_view(a, 1, axis=0), lambda a: a.real, lambda a: a.view(),
]  # fmt: skip


def assign_all(a, content):
    a[...] = content.ravel()[0]


def assign_first(a, content):
    a[0] = content.ravel()[-1]


def assign_rows(a, content):
    a[...] = np.resize(content, a.shape)


def add(a, content):
    a += content.ravel()[0]


def scale(a, content):
    a *= content.ravel()[-1]


def pick(a, content):
    a[[0, -1]] = content.ravel()[1 % content.size]


def masked(a, content):
    a[np.arange(a.size).reshape(a.shape) % 3 == 0] = content.ravel()[0] * 2.0


def still(a, content):
    a[-1] = 0.25


def add_at(a, content):
    np.add.at(a, [0, 0], content.ravel()[0])


def into(a, content):
    np.multiply(a, content.ravel()[0], out=a)


def flat(a, content):
    a.flat[a.size // 2] = content.ravel()[0]


def shifted(a, content):
    a[1:] = a[:-1] * 1.0


def copied(a, content):
    np.copyto(a, np.resize(content, a.shape))


WRITES = [assign_all, assign_first, assign_rows, add, scale, pick, masked, still, add_at, into, flat, shifted, copied]
MAKES = [
    lambda x: np.zeros((2, 3)), lambda x: np.zeros((3, 2), order="F"), lambda x: x * 1.0, lambda x: (x.T * 2.0),
    lambda x: np.empty_like(x), lambda x: x.copy(order="F"), lambda x: x, lambda x: (x[::-1, ::-1] + 0.0),
    lambda x: np.ones(6), lambda x: np.stack([x, x], axis=-1), lambda x: x.mean(axis=0), lambda x: x[[1, 0]],
    lambda x: np.transpose(np.stack([x, -x]), (1, 2, 0)) * 1.0, lambda x: np.array([[1.0, x[0, 0]], [x[1, 1], 2.0]]),
]  # fmt: skip
STEP = st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.booleans())


def program(make, steps):
    """Makes an array, then makes views of it and writes through them; what is not possible is left out."""

    def function(x, y):
        whole = MAKES[make % len(MAKES)](x)
        if "empty" in str(MAKES[make % len(MAKES)].__code__.co_names):
            whole[...] = 0.0
        views = [whole]
        for place, action, source, writes in steps:
            view = views[place % len(views)]
            if view.ndim == 0 or view.size == 0 or view.ndim > 5:
                continue
            if not writes:
                views.append(VIEWS[action % len(VIEWS)](view))
            elif view.flags.writeable:
                content = (views[source % len(views)] if source % 2 else y) * 0.5
                if content.size:
                    WRITES[action % len(WRITES)](view, content)
        return [view * 1.0 for view in views]

    return function


@settings(max_examples=300, deadline=None)
@given(make=st.integers(0, 99), steps=st.lists(STEP, min_size=1, max_size=10))
def test_whatever_is_written_is_seen_through_every_view(make, steps):
    rng = np.random.default_rng(7)
    assert_exact(program(make, steps), [rng.standard_normal((2, 3)), rng.standard_normal(4)], size=0.4, tolerance=1e-12)


def bilinear(image, x):
    """Sample an image beside its pixels; x is in the place of both coordinates."""
    row, column = np.clip(np.floor(x + 1.0).astype(int), 0, 2), np.clip(np.floor(2.0 * x + 1.0).astype(int), 0, 2)
    part = x - np.floor(x)
    return image[row, column] * (1.0 - part) + image[row + 1, column] * part


INDEXED = {
    "two indices": bilinear,
    "one index": lambda image, x: image[np.rint(x).astype(int) % 3] * 2.0,
    "a slice behind": lambda image, x: image[(x > 0).astype(int), 1:],
    "a slice between": lambda image, x: image.reshape(2, 4, 2)[(x > 0).astype(int), :, None, (x > 0.3).astype(int)],
    "a number beside": lambda image, x: image[1, (x > 0).astype(int)] + image[(x > 0).astype(int), 2],
    "of data": lambda image, x: np.arange(12.0).reshape(4, 3)[(x > 0).astype(int)] + x[:, None],
    "one entry": lambda image, x: image[int(x[1] > 99.0), (x > 0).astype(int)[2]] * x,
    "what stays": lambda image, x: np.exp(image[(x > 99.0).astype(int)]),
}


@pytest.mark.parametrize("name", INDEXED)
def test_indices_may_differ_between_perturbations(name):
    """Each perturbation takes the entries that it leads to; the sizes are those of functions sampled beside a grid."""
    rng = np.random.default_rng(4)
    assert_exact(INDEXED[name], [rng.standard_normal((4, 4)), np.array([0.1, -0.2, 0.4, -0.3])], size=0.5)


def test_indices_outside_are_refused():
    program = Program(lambda x: np.arange(2.0)[np.floor(x).astype(int)] + x, [np.array([0.5, 1.9])])
    with pytest.raises(NoRule, match="differ"):
        program.run({0: np.array([[0.0, 0.2]])})


@pytest.mark.parametrize("name", [*INDEXED, "a truth", "another truth"])
def test_operations_have_the_same_numbers_whether_whole_numbers_differ_or_not(name):
    function = {"a truth": lambda image, x: image * (x - 0.2).astype(bool),
                "another truth": lambda image, x: np.exp(np.floor(x).astype(bool) * x)}.get(name, INDEXED.get(name))
    inputs = [np.random.default_rng(4).standard_normal((4, 4)), np.array([0.1, -0.2, 0.4, -0.3])]
    program = Program(function, inputs)
    for size in (1e-9, 0.35, 1e-9):
        program.run({1: np.array([[size, size, -size, 0.0]])})  # a NoRule if any run counted otherwise than the first
