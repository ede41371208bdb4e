"""Every elementwise rule with arrays of other libraries: nothing but what all of them understand."""

import numpy as np
import pytest

from fastcheck.rules.table import RULES

from .trials import all_moving, arrays, groups

ELEMENTWISE = [name for name, rule in RULES.items() if rule.elementwise]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_torch(name):
    torch = pytest.importorskip("torch")
    from fastcheck.rules.branches import Branches

    for group in (*groups(name), all_moving(name)):
        values, changes, out = arrays(torch, name, group)
        change = RULES[name].change(torch, values, changes, out, Branches(torch, (len(group),)))
        assert isinstance(change, torch.Tensor)
        assert change.dtype == torch.float64
        with np.errstate(all="ignore"):
            for t, x in zip(group, change.expand(len(group)), strict=True):
                assert t.agrees(float(x)), (t, float(x))
