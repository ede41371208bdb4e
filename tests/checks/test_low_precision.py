"""Backward passes at points further and further away, until what they share is told from a mistake."""

from dataclasses import replace

import numpy as np
import pytest

from fastcheck._constants import FURTHER, UNIT_ROUNDOFFS
from fastcheck.checks.low_precision import errors_of_yardstick, judged_by_runs, report_of
from fastcheck.problems.gradients import Dithered
from fastcheck.problems.parameters.layout import Layout

SIZE = 40
TENSORS = Layout.of({"w": np.zeros((8, 5))}).tensors
TRUTH = np.random.default_rng(0).standard_normal(SIZE)
SHARED = 2e-3 * np.random.default_rng(1).standard_normal(SIZE)


def runs(count, factor, move, rounding):
    """Backward passes whose errors are ``rounding(generator)`` at points that are moved by ``move``."""
    generator = np.random.default_rng(2)
    truths = TRUTH * (1.0 + move * generator.standard_normal((count, SIZE)))
    errors = np.stack([rounding(generator) + 1e-8 * generator.standard_normal(SIZE) for _ in range(count)])
    return Dithered(factor * truths + errors, truths, UNIT_ROUNDOFFS["float32"])


def judged(factor, told_apart):
    """The report, and the distances that were tried, where roundings are shared at less than ``told_apart``."""
    tried = []

    def further(reach):
        tried.append(reach)
        shared = reach < told_apart
        return runs(25, factor, reach,
                    lambda generator: SHARED if shared else 2e-3 * generator.standard_normal(SIZE))

    def report_on(found):
        return report_of(TENSORS, TRUTH, 1.0, found, norm=2, seed=0, seconds=0.0)

    return judged_by_runs(report_on, runs(32, factor, 1e-7, lambda _: SHARED), further), tried


@pytest.mark.parametrize("number", range(len(FURTHER)))
def test_rounding_is_told_from_a_mistake_where_it_is_no_longer_shared(number):
    report, tried = judged(1.0, FURTHER[number])
    assert report.verdict == "pass"
    assert tried == list(FURTHER[: number + 1])
    assert 1e-3 < report.tensors[0].power < 1e-2  # what is still seen beside that rounding
    assert "would be seen with probability 0.999" in " ".join(report.notes)


def test_in_half_precision_points_are_moved_by_a_rounding_at_least():
    tried, unit = [], UNIT_ROUNDOFFS["bfloat16"]

    def further(reach):
        tried.append(reach)
        return replace(runs(25, 1.1, reach, lambda generator: SHARED), unit=unit)

    def report_on(found):
        return report_of(TENSORS, TRUTH, 1.0, found, norm=2, seed=0, seconds=0.0)

    report = judged_by_runs(report_on, replace(runs(32, 1.1, unit, lambda _: SHARED), unit=unit), further)
    assert report.verdict == "fail"
    assert tried[0] == max(unit, FURTHER[0])
    assert tried == sorted(set(tried))


@pytest.mark.parametrize("factor", [1.01, -1.0, 0.0])
def test_a_mistake_is_the_same_at_all_distances(factor):
    report, tried = judged(factor, FURTHER[0])
    assert report.verdict == "fail"
    assert tried == list(FURTHER)


def test_what_stays_the_same_at_all_distances_fails():
    assert judged(1.0, 1.0)[0].verdict == "fail"


def test_nothing_further_is_run_where_nothing_is_doubted():
    def refused(reach):
        raise AssertionError

    def report_on(found):
        return report_of(TENSORS, TRUTH, 1.0, found, norm=2, seed=0, seconds=0.0)

    assert judged_by_runs(report_on, runs(32, 1.0, 1e-7, lambda generator: 1e-8), refused).verdict == "pass"


@pytest.mark.parametrize(("least", "verdict"), [(2e-3, "pass"), (2e-4, "inconclusive")])
def test_rounding_that_is_shared_is_held_against_a_yardstick_too(least, verdict):
    """What runs further away excuse may still be more rounding than there has to be."""
    unit = 1e-4  # so low that the runs' own rounding is beyond it, and that a yardstick counts

    def further(reach):
        return replace(runs(25, 1.0, reach, lambda generator: 2e-3 * generator.standard_normal(SIZE)), unit=unit)

    near = replace(runs(32, 1.0, unit, lambda _: SHARED), unit=unit,
                   yardstick=least * np.random.default_rng(3).standard_normal((8, SIZE)))

    def report_on(found):
        return report_of(TENSORS, TRUTH, 1.0, found, norm=2, seed=0, seconds=0.0)

    report = judged_by_runs(report_on, near, further)
    assert report.verdict == verdict, report
    assert ("automatic differentiation" in str(report)) == (verdict != "pass")


def test_a_yardstick_that_cannot_be_had_is_none():
    def broken():
        raise RuntimeError

    def endless():
        found = runs(8, 1.0, 1e-3, lambda generator: SHARED)
        found.gradients[3, 2] = np.nan
        return found

    def sound():
        return runs(8, 1.0, 1e-3, lambda generator: SHARED)

    half, single = UNIT_ROUNDOFFS["float16"], UNIT_ROUNDOFFS["float32"]
    assert errors_of_yardstick(broken, half) is None
    assert errors_of_yardstick(endless, half) is None
    assert errors_of_yardstick(sound, single) is None
    assert errors_of_yardstick(sound, half).shape == (8, SIZE)
