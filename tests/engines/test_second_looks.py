"""The policy of second looks: few first, more of what is not settled, nobody twice."""

import numpy as np
import pytest

from fastcheck.engines.second_looks import SecondLooks


def asked(looks, settled=()):
    """The batches, where rows in ``settled`` settle their groups."""
    batches = []
    for rows in looks:
        batches.append(rows.tolist())
        looks.settle(np.intersect1d(rows, settled))
    return batches


def test_all_are_asked_once_in_growing_batches():
    groups = [np.array([3, 1, 2]), np.array([9]), np.array([4, 8, 5, 7, 6])]
    assert asked(SecondLooks(groups, 1, 2)) == [[3, 4, 9], [1, 2, 5, 8], [6, 7]]


def test_a_settled_group_is_asked_no_more():
    groups = [np.arange(5), np.arange(5, 10)]
    assert asked(SecondLooks(groups, 2, 8), settled=[6]) == [[0, 1, 5, 6], [2, 3, 4]]


def test_batches_stop_growing_where_most_says_so():
    assert [len(rows) for rows in asked(SecondLooks([np.arange(20)], 2, 4, most=8))] == [2, 8, 8, 2]


@pytest.mark.parametrize("together", [1, 2])
def test_groups_come_one_after_the_other_where_so_many_are_asked_at_a_time(together):
    groups = [np.array([0]), np.array([1]), np.array([2])]
    batches = asked(SecondLooks(groups, 4, 2, together=together))
    assert batches == [[0], [1], [2]] if together == 1 else [[0, 1], [2]]


def test_who_waits_is_known_while_a_batch_is_out():
    looks = SecondLooks([np.arange(5), np.arange(5, 7)], 1, 4)
    assert [sorted(looks.waiting.tolist()) for _ in looks] == [[0, 1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 6]]
    assert looks.waiting.size == 0


def test_a_batch_is_ascending_and_the_order_of_a_group_is_kept():
    assert asked(SecondLooks([np.array([7, 1, 9, 0])], 2, 2)) == [[1, 7], [0, 9]]
