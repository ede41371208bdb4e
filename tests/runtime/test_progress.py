"""Progress is told seldom enough to cost nothing, and in order."""

import time

import pytest

import fastcheck as fc
from fastcheck.runtime.progress import INTERVAL, REDRAWS, reporting
from tests.support.problems import data, network


def test_an_eager_engine_is_heard_at_most_every_interval():
    """A hundred thousand reports are a few calls: one each INTERVAL, the first and the last."""
    calls = []
    started = time.perf_counter()
    with reporting(lambda done, total: calls.append(done)) as report:
        for done in range(1, 100_001):
            report(done, 100_000)
    assert len(calls) <= 2 + (time.perf_counter() - started) / INTERVAL
    assert calls[-1] == 100_000


@pytest.mark.parametrize("engine", ["response", "full", "reference"])
def test_calls_of_a_check_are_few_and_in_order(engine):
    net = network([64, 32, 16, 10], "relu", "softmax", "cross_entropy")
    parameters, calls = net.initialize(0), []
    X, Y = data(net, 32)
    gradients = net.gradients(parameters, X, Y)
    started = time.perf_counter()
    fc.check(net, parameters, gradients, X, Y, engine=engine, epsilon=1e-6,
             progress=lambda done, total: calls.append((done, total)))
    assert len(calls) <= 3 + (time.perf_counter() - started) / INTERVAL
    assert calls[-1] == (net.size, net.size)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_the_bar_is_redrawn_a_few_times_a_second(monkeypatch):
    """Each redrawing takes one or two milliseconds: so many are less than a hundredth of the time."""
    from rich.live import Live

    drawn, draw = [], Live.refresh
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    monkeypatch.setattr(Live, "refresh", lambda self: drawn.append(draw(self)))
    with reporting(True) as report:
        started = time.perf_counter()
        while time.perf_counter() < started + 1.0:
            report(1, 10)
            time.sleep(0.01)
    assert 2 <= len(drawn) <= REDRAWS + 4  # it is drawn at the beginning and at the end as well


def test_what_goes_on_is_said_where_there_is_a_bar(monkeypatch, capsys):
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    with reporting(True) as report:
        report.says("compiling, once")
        report(1, 10)
    assert "compiling, once" in capsys.readouterr().err
    with reporting(lambda done, total: None) as report:
        report.says("nobody hears it")
