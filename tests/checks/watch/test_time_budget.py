"""An allowance is kept to, nothing is saved up, and few calls read the clock."""

import pytest

from fastcheck.checks.watch.time_budget import AFTERWARDS, Allowance


def spend(allowance, step, cost, until):
    """Work whenever it is allowed; (time spent, calls, readings of the clock, calls that worked)."""
    now, spent, calls, readings, worked = 0.0, 0.0, 0, 0, []
    wake, slept, last = 1, 1, 0
    while now < until:
        calls += 1
        if calls == wake:
            readings += 1
            slept = allowance.calls_to_skip(now, slept)
            if not slept:
                allowance.pay(now, now + cost, calls - last)
                now, spent, last, slept = now + cost, spent + cost, calls, 1
                worked.append(calls)
            wake = calls + slept
        now += step
    return spent, calls, readings, worked


@pytest.mark.parametrize("overhead", [0.001, 0.01, 0.1, 1.0])
@pytest.mark.parametrize("step", [1e-4, 1e-2])
def test_share_is_kept_to_with_few_looks_at_the_clock(overhead, step):
    cost, until = 5e-3, 20.0
    spent, calls, readings, worked = spend(Allowance(overhead), step, cost, until)
    outside = until - spent
    assert (1.0 + AFTERWARDS) * (spent - cost) <= overhead * outside
    assert (1.0 + AFTERWARDS) * (spent + cost) >= overhead * outside / (1.0 + step * overhead / cost) * 0.95
    assert readings <= 1 + len(worked) * 20
    assert worked[0] == 1
    assert calls >= readings


def test_calls_that_do_nothing_are_paid_for_but_never_for_more_than_half():
    for skip, share in ((0.0, 1.0), (5e-7, 0.5), (1e-3, 0.5)):
        allowance = Allowance(0.01, skip)
        spent = spend(allowance, 1e-4, 5e-3, 50.0)[0]
        assert spent == pytest.approx(share * 0.5 / (1.0 + AFTERWARDS), rel=0.1)


def test_a_long_pause_earns_one_piece_of_work():
    allowance = Allowance(0.01)
    allowance.pay(0.0, 0.01, 1)
    assert allowance.calls_to_skip(1000.0, 1) == 0
    allowance.pay(1000.0, 1000.01, 1)
    assert allowance.calls_to_skip(1000.1, 1) > 0


def test_time_that_is_not_the_callers_own_counts_for_nothing():
    one, other = Allowance(0.01), Allowance(0.01)
    for allowance in (one, other):
        allowance.pay(0.0, 0.01, 1)
    other.stand_still(0.3)
    assert one.calls_to_skip(0.5, 10) == other.calls_to_skip(0.8, 10) > 0


def test_a_clock_that_stands_still_is_no_error():
    allowance = Allowance(0.01)
    allowance.pay(0.0, 0.01, 1)
    assert allowance.calls_to_skip(0.01, 5) == 1
