"""Random chains of operations, held against literal subtraction."""

import numpy as np
from hypothesis import given, settings, strategies as st

from tests.engines.program.arrays.literal import assert_exact

SHAPES = [(2, 3), (3,), (3, 3), (2, 1)]


def written_rows(a, b):
    made = np.zeros(np.broadcast_shapes(a.shape, b.shape))
    made[...] = a
    made[..., -1] = b[..., -1]
    made[..., ::-1][..., :1] += 1.0
    return made


def through_a_view(a, b):
    made = a * 1.0
    flat = made.T.reshape(-1) if made.ndim > 1 else made[::-1]
    flat[0] = b.ravel()[0]
    made.T[..., 0] *= 2.0
    return made + flat[0]


# fmt: off
UNARY = [
    lambda a: np.tanh(a), lambda a: a * a, lambda a: np.exp(-a * a), lambda a: a[..., ::-1], lambda a: a.T.copy().T,
    lambda a: np.maximum(a, 0.1), lambda a: a - a.mean(axis=-1, keepdims=True), lambda a: np.cumsum(a, axis=-1),
    lambda a: np.where(a > 0, a, 0.5 * a), lambda a: np.abs(a), lambda a: a / (1.0 + a * a),
    lambda a: np.sort(a, axis=-1), lambda a: a[..., [0, -1, 0]] if a.shape[-1] > 1 else a,
    lambda a: np.roll(a, 1, axis=-1), lambda a: a * a.max(), lambda a: np.sqrt(a * a + 1.0),
    lambda a: a.reshape(-1).reshape(a.shape), lambda a: np.pad(a, 1)[..., 1:-1][..., :3],
    lambda a: a[(0,) * (a.ndim - 1)] if a.ndim > 1 else a, lambda a: np.stack([a, -a]).sum(axis=0),
]
BINARY = [
    lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - 2.0 * b, lambda a, b: a / (2.0 + b * b), np.maximum,
    written_rows, through_a_view, lambda a, b: np.arctan2(a, 1.5 + b * b),
    # not a > b: where a was made of b they may end exactly alike, which rounding does not know
    lambda a, b: np.where(a > 0.7 * b + 0.05, a, b * b),
]
# fmt: on
STEPS = st.lists(
    st.tuples(st.integers(0, len(UNARY) + len(BINARY) - 1), st.integers(0, 30), st.integers(0, 30)),
    min_size=1,
    max_size=8,
)


def chain(steps):
    """A function of some arrays that takes the steps whose shapes fit, each of any two arrays made so far."""

    def function(*inputs):
        made = list(inputs)
        for operation, left, right in steps:
            a, b = made[left % len(made)], made[right % len(made)]
            if operation < len(UNARY):
                made.append(UNARY[operation](a))
            elif fits(a, b):
                made.append(BINARY[operation - len(UNARY)](a, b))
        return made[-1], sum(one.sum() for one in made)

    return function


def fits(a, b):
    try:
        return np.broadcast_shapes(a.shape, b.shape) == a.shape
    except ValueError:
        return False


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, seed=st.integers(0, 1000))
def test_any_chain_is_exact(steps, seed):
    rng = np.random.default_rng(seed)
    inputs = [rng.standard_normal(shape) for shape in SHAPES]
    assert_exact(chain(steps), inputs, size=0.7, tolerance=1e-12)
