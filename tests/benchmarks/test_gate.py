"""The gate on time: who is suspected, who runs again, what fails; and the baseline's file."""

import json
import os
import platform
import subprocess
import sys
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks.gate import baseline as known
from benchmarks.gate.judge import FASTER, MISSING, NEW, OK, SLOWER, UNJUDGED, gate, judge, sentences
from benchmarks.gate.paired import SLOWDOWN, Paired, planted, summary
from benchmarks.gate.runner import Measured, measure, node, short
from benchmarks.measure import processor, versions


@pytest.fixture(autouse=True)
def _by_itself(monkeypatch):
    """Processes that measure are none of those that share the tests: pytest-benchmark would not measure in these."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


class Processes:
    """Stands for fresh processes: the ratios of each in turn, and who was asked for."""

    def __init__(self, *processes, trouble=""):
        self.left, self.asked, self.trouble = list(processes), [], trouble

    def __call__(self, names):
        self.asked.append(list(names))
        found = self.left.pop(0)
        chosen = {name: {"ratio": found[name]} for name in names or found if name in found}
        return Measured(chosen, self.trouble, {})


BASELINE = {"a": 1.0, "b": 2.0}


def states(outcome):
    return {row.name: row.state for row in outcome.rows}


def test_a_quiet_day_costs_one_process():
    processes = Processes({"a": 1.1, "b": 1.9})
    outcome = gate(BASELINE, BASELINE, processes)
    assert outcome.ok
    assert states(outcome) == {"a": OK, "b": OK}
    assert processes.asked == [[]]


def test_three_of_three_fail_and_only_suspects_run_again():
    processes = Processes({"a": 1.2, "b": 2.0}, {"a": 1.3}, {"a": 1.16})
    outcome = gate(BASELINE, BASELINE, processes)
    assert not outcome.ok
    assert states(outcome) == {"a": SLOWER, "b": OK}
    assert processes.asked == [[], ["a"], ["a"]]
    assert outcome.rows[0].ratios == [1.2, 1.3, 1.16]
    assert outcome.rows[0].change == pytest.approx(1.16)
    assert sentences(outcome, 1.15)[0].startswith("slower by more than 15%")


@pytest.mark.parametrize("later", [[{"a": 1.14}], [{"a": 1.5}, {"a": 1.14}]])
def test_two_of_three_are_bad_luck(later):
    outcome = gate(BASELINE, BASELINE, Processes({"a": 9.0, "b": 2.0}, *later))
    assert outcome.ok
    assert states(outcome)["a"] == OK


def test_the_limit_is_kept():
    assert gate(BASELINE, BASELINE, Processes({"a": 1.49, "b": 2.0}), 1.5).ok
    assert judge([1.16], 1.0, 1.15) == SLOWER
    assert judge([1.15], 1.0, 1.15) == OK
    assert judge([0.86], 1.0, 1.15) == FASTER
    assert judge([float("nan")], 1.0, 1.15) == OK


def test_an_improvement_asks_for_a_new_baseline_and_passes():
    outcome = gate(BASELINE, BASELINE, Processes(*[{"a": 0.5, "b": 2.0}] * 3))
    assert outcome.ok
    assert states(outcome)["a"] == FASTER
    assert "rebaseline" in sentences(outcome, 1.15)[0]


def test_missing_benchmarks_fail():
    outcome = gate(BASELINE, BASELINE, Processes({"a": 1.0}))
    assert not outcome.ok
    assert states(outcome) == {"a": OK, "b": MISSING}
    outcome = gate(BASELINE, BASELINE, Processes({"a": 2.0, "b": 2.0}, {}, {}))
    assert states(outcome) == {"a": MISSING, "b": OK}


def test_missing_benchmarks_fail_even_where_nothing_can_be_judged():
    outcome = gate({}, BASELINE, Processes({"a": 99.0}))
    assert states(outcome) == {"a": UNJUDGED, "b": MISSING}
    assert not outcome.ok


def test_a_new_benchmark_is_told_and_passes():
    outcome = gate(BASELINE, BASELINE, Processes({"a": 1.0, "b": 2.0, "c": 3.0}))
    assert outcome.ok
    assert states(outcome)["c"] == NEW


def test_a_benchmark_that_fails_fails_the_gate():
    outcome = gate(BASELINE, BASELINE, Processes({"a": 1.0, "b": 2.0}, trouble="AssertionError"))
    assert not outcome.ok


def test_summary_compares_neighbours_in_time():
    found = summary(np.array([2.0, 2.0, 40.0, 20.0, 20.0]), np.array([1.0, 1.0, 1.0, 10.0, 10.0]))
    assert found["ratio"] == 2.0  # a machine ten times slower for the last rounds
    assert (found["seconds"], found["reference"], found["ratio of medians"]) == (20.0, 1.0, 20.0)


class Holding:
    """pytest-benchmark's fixture, as far as it is used; like its loop, keeps what the last round gave."""

    disabled = False

    def __init__(self):
        self.extra_info, self.stats = {}, SimpleNamespace(stats=SimpleNamespace(data=[]))

    def pedantic(self, target, setup, rounds, warmup_rounds):
        for _ in range(warmup_rounds):
            setup()
            held = target()
        for _ in range(rounds):
            setup()
            held = target()
            self.stats.stats.data.append(1.0)
        return held


def test_no_earlier_result_takes_up_memory_while_the_subject_is_timed(monkeypatch):
    monkeypatch.setattr("benchmarks.gate.paired.ROUND_SECONDS", 0.0)
    alive = weakref.WeakSet()

    def subject():
        assert not alive
        alive.add(result := Holding())
        return result

    assert isinstance(Paired(Holding())(subject, "calls"), Holding)


def test_planted_slowdowns_are_chosen_by_name(monkeypatch):
    assert planted("test_a") == 1.0
    monkeypatch.setenv(SLOWDOWN, "1.3:test_a,test_b")
    assert [planted(name) for name in ("x::test_a", "x::test_b", "x::test_c")] == [1.3, 1.3, 1.0]
    monkeypatch.setenv(SLOWDOWN, "1.3:")
    assert planted("test_a") == 1.0


def test_names_go_there_and_back():
    name = "engines: response[course]"
    assert node(name) == "benchmarks/tracked/bench_engines.py::test_response[course]"
    assert short(node(name)) == name


@pytest.fixture
def path(tmp_path):
    return tmp_path / "baseline.json"


def entry(*ratios):
    return known.entry([Measured({"a": {"ratio": ratio, "mixture": "calls"}}, "", {}) for ratio in ratios])


def test_baseline_is_the_median_of_processes(path):
    known.save(entry(3.0, 1.0, 2.0), path)
    found = known.load(path)
    assert list(found) == [processor()]
    assert found[processor()]["benchmarks"]["a"] == {"ratio": 2.0, "lowest": 1.0, "highest": 3.0, "mixture": "calls"}
    assert found[processor()]["versions"] == versions()
    assert known.unjudged(found) == ""


def test_other_processors_and_benchmarks_are_kept(path):
    made = entry(1.0)
    path.write_text(json.dumps({"other": made, processor(): {**made, "benchmarks": {"b": {"ratio": 5.0}}}}))
    known.save(made, path, partly=True)
    found = known.load(path)
    assert sorted(found) == sorted(["other", processor()])
    assert sorted(found[processor()]["benchmarks"]) == ["a", "b"]


def test_what_is_not_judged_says_why(path):
    made = entry(1.0)
    assert "unknown processor" in known.unjudged({"other": made})
    assert "reference" in known.unjudged({processor(): {**made, "reference": "else"}})
    assert known.changed_versions({**versions(), "numpy": "0"})[0].startswith("numpy 0 ->")
    assert known.changed_versions(versions()) == []


@pytest.mark.parametrize(("entries", "ratio", "status", "word"), [
    ({}, 1.0, 0, "unknown processor"),
    ("mine", 1.0, 0, "gate passed"),
    ("mine", 1.2, 1, "slower by more than 15%"),
    ("changed", 1.2, 0, "reference"),
])
def test_the_command(monkeypatch, capsys, path, entries, ratio, status, word):
    made = entry(1.0)
    if entries:
        path.write_text(json.dumps({processor(): made if entries == "mine" else {**made, "reference": "else"}}))
    monkeypatch.setattr(command, "measure_named", lambda wanted, names: Measured({"a": {"ratio": ratio}}, "", {}))
    assert command.main(["--gate", "--baseline", str(path)]) == status
    printed = capsys.readouterr().out
    assert word in " ".join(printed.split())
    assert ("NOT JUDGED" in printed) == (entries != "mine")


@pytest.mark.slow
def test_a_real_process_is_measured_and_a_planted_slowdown_seen(monkeypatch):
    name = "activations: difference[tanh]"
    plain = measure([name])
    assert plain.trouble == ""
    info = plain.results[name]
    assert info["ratio"] > 0.0
    assert info["mixture"] == "products"
    assert info["calls"] * info["seconds"] > 0.002
    monkeypatch.setenv(SLOWDOWN, f"4:{node(name)}")
    assert measure([name]).results[name]["ratio"] > 2.0 * info["ratio"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
def test_benchmarks_keep_their_memory(monkeypatch):
    given = {}
    monkeypatch.setattr("benchmarks.gate.runner.subprocess", SimpleNamespace(
        run=lambda *args, **options: given.update(options) or SimpleNamespace(returncode=0, stdout="", stderr="")
    ))
    measure(["any: one"])
    script = """if True:
        import numpy as np, resource
        for _ in range(20):
            vectors = [np.ones(600_000) for _ in range(4)]
            del vectors
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    """
    keeps, gives_back = (
        int(subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, check=True).stdout)
        for env in (given["env"], {**os.environ, "MALLOC_TRIM_THRESHOLD_": "131072"})
    )
    assert keeps < gives_back / 2


@pytest.mark.slow
def test_a_benchmark_that_is_not_there_is_trouble():
    found = measure(["activations: difference[none]"])
    assert found.results == {}
    assert "not found" in found.trouble


def test_a_model_without_a_baseline_is_held_against_its_family():
    older, newer, other = ({"recorded": day, "benchmarks": {}} for day in ("2026-01-02", "2026-05-01", "2026-07-01"))
    entries = {"AMD EPYC, family 25, model 1, stepping 1": older, "AMD EPYC, family 25, model 17, stepping 1": newer,
               "AMD EPYC, family 26, model 2, stepping 1": other, "arm64": other}
    assert known.entry_for(entries, "AMD EPYC, family 25, model 1, stepping 1")[1] is older
    assert known.entry_for(entries, "AMD EPYC, family 25, model 33, stepping 2") == (
        "AMD EPYC, family 25, model 17, stepping 1", newer)
    assert known.entry_for(entries, "Intel Xeon, family 6, model 207, stepping 8") == ("", {})
    assert known.entry_for({"riscv": other}, "riscv64") == ("", {})
