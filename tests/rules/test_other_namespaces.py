"""Every elementwise rule with arrays of other libraries: nothing but what all of them understand."""

import numpy as np
import pytest

from .references import REFERENCES
from .trials import all_moving, arrays, change_of, groups

ELEMENTWISE = list(REFERENCES)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_torch(name):
    torch = pytest.importorskip("torch")
    from fastcheck.rules.branches import Branches

    for group in (*groups(name), all_moving(name)):
        values, changes, out = arrays(torch, name, group)
        change = change_of(torch, name, values, changes, out, Branches(torch, (len(group),)))
        assert isinstance(change, torch.Tensor)
        assert change.dtype == torch.float64
        with np.errstate(all="ignore"):
            for t, x in zip(group, change.expand(len(group)), strict=True):
                assert t.agrees(float(x)), (t, float(x))
