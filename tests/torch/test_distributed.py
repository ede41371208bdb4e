"""check_distributed: right workers pass, under DDP, FSDP and by hand; what goes wrong between them is named."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import nn

from fastcheck.torch import check_distributed
from fastcheck.torch.distributed.suspects import Shares, named
from fastcheck.torch.distributed.workers import WorkerError
from tests.torch import distributed_steps as steps

LOSS = nn.CrossEntropyLoss()


def test_distributed_data_parallel_passes():
    report = check_distributed(steps.make, LOSS, steps.batches())
    assert report.ok, str(report)
    assert any("2 workers with 6, 6 samples" in note for note in report.notes)


@pytest.mark.slow
def test_shards_pass():
    report = check_distributed(steps.make, LOSS, steps.batches(), wrap=steps.sharded)
    assert report.ok, str(report)


@pytest.mark.slow
@pytest.mark.parametrize(("step", "says"), [
    (steps.no_all_reduce, "the all-reduce is missing"), (steps.divided_twice, "divided by the 2 workers twice"),
    (steps.summed, "summed over the 2 workers"), (steps.one_dropped, "the samples of worker 1 are dropped"),
    (steps.one_parameter_left_out, "missing from the all-reduce"),
], ids=lambda one: getattr(one, "__name__", ""))
def test_what_went_wrong_is_named(step, says):
    report = check_distributed(steps.make, LOSS, steps.batches(), wrap=steps.bare, step=step)
    assert report.verdict == "fail", str(report)
    assert any(says in note for note in report.notes), report.notes


@pytest.mark.slow
def test_unequal_batches():
    unequal = steps.batches((3, 9))
    report = check_distributed(steps.make, LOSS, unequal)
    assert report.verdict == "fail"
    assert any("means of batches of unequal sizes are averaged" in note for note in report.notes)
    assert check_distributed(steps.make, LOSS, unequal, wrap=steps.bare, step=steps.weighted).ok


@pytest.mark.slow
def test_accumulation_of_unequal_micro_batches_fails():
    assert check_distributed(steps.make, LOSS, steps.batches(), step=steps.accumulated).verdict == "fail"


@pytest.mark.slow
def test_a_worker_that_fails_says_why():
    with pytest.raises(WorkerError, match="no such batch"):
        check_distributed(steps.make, LOSS, steps.batches(), wrap=steps.bare, step=steps.failing)


@pytest.mark.slow
def test_a_worker_that_is_brought_down_when_all_is_done_has_done_its_work():
    """Gloo's threads sometimes do that to a process that ends; an abort in the middle is told."""
    assert check_distributed(steps.make, LOSS, steps.batches(), step=steps.aborting_at_the_end).ok
    with pytest.raises(WorkerError, match="expected exit status 0, got -6"):
        check_distributed(steps.make, LOSS, steps.batches(), wrap=steps.bare, step=steps.aborting)


def test_one_batch_is_refused():
    with pytest.raises(ValueError, match="batches: expected one for each of at least two workers"):
        check_distributed(steps.make, LOSS, steps.batches((4,)))


def test_suspects_are_told_apart():
    generator = torch.Generator().manual_seed(2)
    own = [torch.randn(7, generator=generator).numpy().astype(float) for _ in range(3)]
    sizes = [2, 5, 3]
    whole = sum(n * g for n, g in zip(sizes, own, strict=True)) / 10
    shares = Shares(whole, own, sizes)
    assert named(shares, [whole] * 3) == ""
    assert "all-reduce is missing" in named(shares, own)
    assert "divided by the 3 workers twice" in named(shares, [whole / 3] * 3)
    assert "worker 2 are dropped" in named(shares, [whole - 0.3 * own[2]] * 3)
    assert "unequal sizes" in named(shares, [sum(own) / 3] * 3)
    assert named(shares, [whole * 1.234] * 3) == ""


def local_step(module, loss, inputs, targets):
    loss(module(inputs), targets).backward()


@pytest.mark.parametrize(("name", "of"), [
    ("make", {"make": lambda: nn.Linear(5, 3)}), ("loss", {"loss": lambda out, y: (out - y).square().mean()}),
    ("wrap", {"wrap": lambda module: module}), ("step", {"step": lambda *_: None}),
])
def test_a_lambda_is_refused_with_what_to_do(name, of):
    given = {"make": steps.make, "loss": nn.CrossEntropyLoss(), "batches": steps.batches(), **of}
    with pytest.raises(TypeError, match=rf"^{name}: expected .* other processes .*, got <lambda> .*; write it "
                                        r"with def at the top of a module"):
        check_distributed(**given)


def test_a_function_of_an_interactive_session_is_refused(monkeypatch):
    """Worker processes cannot import what was typed in: only a file can be found again."""
    monkeypatch.setattr(local_step, "__module__", "__main__")
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    sys.modules["__main__"].local_step = local_step
    with pytest.raises(TypeError, match=r"^step: .*put it into a file"):
        check_distributed(steps.make, nn.CrossEntropyLoss(), steps.batches(), step=local_step)


def test_batches_that_cannot_be_sent_are_named():
    batches = [(x, [lambda: None]) for x, _ in steps.batches()]
    with pytest.raises(TypeError, match="^batches: "):
        check_distributed(steps.make, nn.CrossEntropyLoss(), batches)


def test_samples_that_meet_only_those_of_their_own_worker_are_told_from_unequal_batches():
    """Batch normalisation: the gradients of the parts do not make up that of the whole, whatever their sizes."""
    generator = torch.Generator().manual_seed(3)
    whole, *own = (torch.randn(7, generator=generator).numpy().astype(float) for _ in range(3))
    shares = Shares(whole, own, [6, 6])
    says = named(shares, [sum(own) / 2] * 2)
    assert "SyncBatchNorm" in says
    assert "unequal" not in says
    assert "all-reduce is missing" in named(shares, own)
    assert named(shares, [whole] * 2) == ""


@pytest.mark.parametrize(("of", "says"), [
    ({"batches": [torch.randn(6, 5)] * 2}, r"^batches: expected pairs \(inputs, targets\), got Tensor"),
    ({"batches": [(torch.randn(6, 5),)] * 2}, r"^batches: expected pairs \(inputs, targets\), got tuple of 1"),
    ({"make": dict}, r"^make: expected a function that returns a torch\.nn\.Module, got one that returns dict"),
])
def test_what_does_not_fit_is_refused_before_workers_start(of, says):
    with pytest.raises(TypeError, match=says):
        check_distributed(**{"make": steps.make, "loss": LOSS, "batches": steps.batches(), **of})


@pytest.mark.slow
def test_a_parameter_that_takes_no_part_explains_why_buckets_are_not_reduced():
    report = check_distributed(steps.half_used, LOSS, steps.batches())
    assert report.verdict == "fail"
    assert "find_unused_parameters=True" in str(report).replace("\n    ", " ")


@pytest.mark.slow
def test_a_script_that_starts_workers_as_it_is_imported_is_told_what_is_missing(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text("""
import torch
from fastcheck.torch import check_distributed
from tests.torch import distributed_steps as steps
check_distributed(steps.make, torch.nn.CrossEntropyLoss(), steps.batches())
""")
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    found = subprocess.run([sys.executable, str(script)], env=here, capture_output=True, text=True, check=False)
    assert 'if __name__ == "__main__":' in found.stderr.splitlines()[-1], found.stderr
