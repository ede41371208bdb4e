"""Arrays that share memory: which entries they have in common, and copies that share it likewise."""

import numpy as np
import pytest

from fastcheck.problems.functions.shared_memory import copies_of, overlap, positions_in

WHOLE = np.arange(24.0).reshape(4, 6)
VIEWS = {
    "itself": WHOLE,
    "turned": WHOLE.T,
    "backwards": WHOLE[::-1, ::2],
    "column": WHOLE[:, 2:3],
    "flat": WHOLE.reshape(-1)[5:11],
    "one": WHOLE[1, 1:2].reshape(()),
    "repeated": np.broadcast_to(WHOLE[0], (3, 6)),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_positions_say_which_entries_a_view_has(name, order):
    whole = WHOLE if order == "C" else WHOLE.T
    view = VIEWS[name]
    positions = positions_in(whole, view)
    assert positions.shape == view.shape
    np.testing.assert_array_equal(whole.reshape(-1)[positions], view)
    assert overlap(whole, view)


def test_what_is_not_inside_has_no_positions():
    assert positions_in(WHOLE[:2], WHOLE[1:3]) is None
    assert positions_in(WHOLE, WHOLE.copy()) is None
    assert overlap(WHOLE[:2], WHOLE[1:3])
    assert not overlap(WHOLE[:, ::2], WHOLE[:, 1::2])
    assert not overlap(WHOLE, WHOLE.copy())
    assert not overlap(WHOLE, 3.0)


@pytest.mark.parametrize("dtype", [None, np.float64])
def test_copies_share_memory_as_the_arrays_do(dtype):
    root = np.arange(24, dtype=np.float32).reshape(4, 6, order="F")
    views = [root[1:], root.T[::-2], root[:, 3], root[:0]]
    views[2].flags.writeable = False
    alone = np.ones(3, np.float32)
    copies = copies_of([*views, alone], dtype)
    made = [copies[id(view)] for view in views]
    for view, copy in zip([*views, alone], [*made, copies[id(alone)]], strict=True):
        np.testing.assert_array_equal(copy, view)
        assert copy.dtype == (dtype or view.dtype)
        assert copy.flags.writeable == view.flags.writeable
        assert not np.may_share_memory(copy, view)
    made[0][...] = 7.0
    root[1:] = 7.0
    np.testing.assert_array_equal(made[1], root.T[::-2])
    np.testing.assert_array_equal(made[2], root[:, 3])


def test_arrays_by_themselves_may_be_left_out():
    one, other = np.ones(3), np.ones(4)
    assert copies_of([one, other, one], alone=False) == {}
