"""Random views of views, read and written to, held against literal subtraction."""

import numpy as np
from hypothesis import given, settings, strategies as st

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
