"""Every elementwise rule against mpmath: all sizes of changes, saturated and large operands, ties and zeros."""

import numpy as np
import pytest

from fastcheck.rules.branches import Branches
from fastcheck.rules.table import RULES
from tests.rules.references import BOOLEAN, REFERENCES
from tests.rules.trials import STEPS, all_moving, arrays, change_of, found, groups, random_trials, rule_of, trials

ELEMENTWISE = list(REFERENCES)


def test_every_elementwise_rule_has_a_reference():
    assert {label.partition(":")[0] for label in REFERENCES} == {n for n, rule in RULES.items() if rule.elementwise}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_change_keeps_its_digits(name):
    checked = 0
    for group in groups(name):
        for t, change in zip(group, found(np, name, group), strict=True):
            assert t.agrees(change), (t, change)
            checked += 1
    assert checked >= 2


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_changes_of_all_sizes_together(name):
    batch = all_moving(name)
    assert batch
    for t, change in zip(batch, found(np, name, batch, Branches(np, (len(batch),))), strict=True):
        assert t.agrees(change), (t, change)


# Booleans and ordered bounds cannot be drawn; a moving divisor's change counts as often as the divisor goes into x.
NOT_RANDOM = {"where", "clip", "remainder", "fmod", "floor_divide", *BOOLEAN}


@pytest.mark.parametrize("name", [label for label in ELEMENTWISE if label not in NOT_RANDOM])
def test_random_operands_and_changes(name):
    batch = random_trials(name, 24)
    assert len(batch) >= 5
    for t, change in zip(batch, found(np, name, batch), strict=True):
        assert t.agrees(change), (t, change)
        assert t.agrees(found(np, name, (t,))[0]), t


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_no_change_is_no_change(name):
    points = np.array(REFERENCES[name].points).T
    values = tuple(p != 0.0 for p in points) if name in BOOLEAN else tuple(points)
    zeros = tuple(np.zeros((2, points.shape[1])) for _ in values)
    with np.errstate(all="ignore"):
        out = np.array([float(REFERENCES[name].function(*point)) for point in REFERENCES[name].points])
        change = change_of(np, name, values, zeros, out, Branches(np, (2,)))
        # beside others that move, too
        mixed = tuple(z.copy() for z in zeros)
        for z in mixed:
            z[1] = 0.1
        beside = change_of(np, name, values, mixed, out, Branches(np, (2,)))
    assert np.all(change == 0.0)
    if name not in ("where", *BOOLEAN):
        assert np.all(np.broadcast_to(beside, (2, points.shape[1]))[0] == 0.0)


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_batch_axes_are_like_a_loop(name, batch):
    group = all_moving(name)[:40]
    values, changes, out = arrays(np, name, group)
    shift = np.arange(1.0, 1.0 + np.prod(batch)).reshape((*batch, 1))
    many = tuple(shift * d if name not in BOOLEAN and name != "where" else shift**0 * d for d in changes)
    with np.errstate(all="ignore"):
        together = np.broadcast_to(
            change_of(np, name, values, many, out, Branches(np, batch)), (*batch, len(group))
        )
        for place in np.ndindex(batch):
            alone = change_of(np, name, values, tuple(d[place] for d in many), out, None)
            atol = 1e-13 * np.nanmax(np.abs(alone))
            np.testing.assert_allclose(together[place], alone, rtol=1e-11, atol=atol, equal_nan=True)


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if not rule_of(n).discrete and n != "where"])
def test_nan_does_not_come_out_as_a_number(name):
    group = all_moving(name)
    values, changes, out = arrays(np, name, group)
    changes = tuple(np.where(np.arange(len(group)) % 2, d, np.nan) for d in changes)
    with np.errstate(all="ignore"):
        change = change_of(np, name, values, changes, out, Branches(np, (len(group),)))
    assert np.all(np.isnan(change[::2])), np.array(group)[::2][~np.isnan(change[::2])]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_operands_and_changes_stay_as_they_are(name):
    values, changes, out = arrays(np, name, all_moving(name))
    kept = [x.copy() for x in (*values, *changes, out)]
    for x in (*values, *changes, out):
        x.flags.writeable = False
    with np.errstate(all="ignore"):
        change_of(np, name, values, changes, out, Branches(np, out.shape))
    assert all(np.array_equal(a, b) for a, b in zip(kept, (*values, *changes, out), strict=True))


def test_trials_have_all_sizes_of_changes():
    assert {abs(t.changes[0]) for t in trials("tanh")} == {abs(s) for s in STEPS}
