"""Names that are exchanged while a run lasts are put back, whatever happens."""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from fastcheck.engines.program.arrays.wrapping import Wrapping


class Place(NamedTuple):
    holder: dict[str, object]
    name: str

    @property
    def value(self):
        return self.holder[self.name]


def test_an_interrupt_while_names_are_exchanged_leaves_them():
    """Those that had been exchanged by then stayed so."""
    user = {"total": np.sum, "distribution": stats.norm(0.0, 1.0)}
    before = dict(user)

    def interrupted(_):
        assert user["total"] is not np.sum
        raise KeyboardInterrupt

    wrapping = Wrapping(lambda: {(np, "sum"): lambda run, function, args, options: None}, interrupted)
    reachable = SimpleNamespace(places=lambda _: [Place(user, "total")], instances=[Place(user, "distribution")])
    with pytest.raises(KeyboardInterrupt), wrapping.around(None, reachable):
        pass
    assert user == before
