"""Every elementwise rule against mpmath: all sizes of changes, saturated and large operands, ties and zeros."""

import numpy as np
import pytest

from fastcheck.rules.table import RULES

from .references import REFERENCES
from .trials import UNDERFLOW, found, groups, trials

ELEMENTWISE = [name for name, rule in RULES.items() if rule.elementwise]


def test_every_elementwise_rule_has_a_reference():
    assert sorted(REFERENCES) == sorted(ELEMENTWISE)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_change_keeps_its_digits(name):
    checked = 0
    for group in groups(name):
        for t, change in zip(group, found(np, name, group), strict=True):
            if RULES[name].discrete:
                assert change == t.true, (t, change)
            else:
                assert abs(change - t.true) <= max(1e-13 * t.scale, UNDERFLOW), (t, change)
            checked += 1
    assert checked >= 2


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_batch_of_all_sizes_is_the_same(name):
    group = [t for t in trials(name) if None not in t.changes]
    assert group
    for t, change in zip(group, found(np, name, tuple(group)), strict=True):
        assert abs(change - t.true) <= max(1e-13 * t.scale, UNDERFLOW), (t, change)
