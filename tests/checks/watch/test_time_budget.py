"""A budget of time is kept to, and nothing is saved up."""

import pytest

from fastcheck.checks.watch.time_budget import AFTERWARDS, TimeBudget


def spend(budget, step, cost, until):
    """Work whenever it is due; (time spent, calls that worked)."""
    now, spent, calls, worked = 0.0, 0.0, 0, []
    while now < until:
        calls += 1
        if budget.is_due(now):
            budget.pay(now, now + cost, calls - (worked[-1] if worked else 0))
            now, spent = now + cost, spent + cost
            worked.append(calls)
        now += step
    return spent, worked


@pytest.mark.parametrize("overhead", [0.001, 0.01, 0.1, 1.0])
@pytest.mark.parametrize("step", [1e-4, 1e-2])
def test_share_is_kept_to(overhead, step):
    cost, until = 5e-3, 20.0
    spent, worked = spend(TimeBudget(overhead), step, cost, until)
    outside = until - spent
    assert (1.0 + AFTERWARDS) * (spent - cost) <= overhead * outside
    assert (1.0 + AFTERWARDS) * (spent + cost) >= overhead * outside / (1.0 + step * overhead / cost) * 0.95
    assert worked[0] == 1


def test_calls_that_do_nothing_are_paid_for_but_never_for_more_than_half():
    for skip, share in ((0.0, 1.0), (5e-7, 0.5), (1e-3, 0.5)):
        spent, _ = spend(TimeBudget(0.01, skip), 1e-4, 5e-3, 50.0)
        assert spent == pytest.approx(share * 0.5 / (1.0 + AFTERWARDS), rel=0.1)


def test_a_long_pause_earns_one_piece_of_work():
    budget = TimeBudget(0.01)
    budget.pay(0.0, 0.01, 1)
    assert budget.is_due(1000.0)
    budget.pay(1000.0, 1000.01, 1)
    assert not budget.is_due(1000.1)


def test_time_that_is_not_the_callers_own_counts_for_nothing():
    one, other = TimeBudget(0.01), TimeBudget(0.01)
    for budget in (one, other):
        budget.pay(0.0, 0.01, 1)
    other.stand_still(0.3)
    assert (one.due - one.paid, one.due + 0.3) == pytest.approx((other.due - other.paid, other.due))


def test_a_clock_that_was_put_back_does_not_keep_work_waiting():
    budget = TimeBudget(0.01)
    budget.pay(100.0, 100.01, 1)
    assert not budget.is_due(100.01)
    assert budget.is_due(3.0)
