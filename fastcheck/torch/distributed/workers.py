"""Worker processes on this machine, joined by Gloo, that compute gradients the way a training loop does."""

import multiprocessing
import pickle
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from ..._errors import FastcheckError, in_short

Batch = tuple[Any, Any]
Gradients = dict[str, torch.Tensor]


class WorkerError(FastcheckError, RuntimeError):
    """A worker process failed or did not finish; the message holds what it said."""


@dataclass(frozen=True)
class Work:
    """What each worker does.  Everything is sent to other processes, and so has to be picklable.

    Parameters
    ----------
    make : -> the module.
    state : its state_dict, the same for all.
    loss : loss(outputs, targets) -> a number.
    wrap : wrap(module) -> the module in which gradients meet, DistributedDataParallel or the like.
    step : step(wrapped module, loss, inputs, targets) leaves gradients in the module's parameters.
    batches : one for each worker.
    """

    make: Callable[[], nn.Module]
    state: Mapping[str, Any]
    loss: Callable[..., torch.Tensor]
    wrap: Callable[[nn.Module], nn.Module]
    step: Callable[..., None]
    batches: Sequence[Batch]


def require_sendable(arguments: Mapping[str, Any]) -> None:
    """Raise TypeError for what cannot be sent to worker processes, or found again there.

    Parameters
    ----------
    arguments : by the names that the caller knows them by.
    """
    for name, value in arguments.items():
        called = getattr(value, "__qualname__", type(value).__name__)
        try:
            ForkingPickler.dumps(value)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise TypeError(
                f"{name}: expected what can be sent to other processes (by pickle), got {called} ({in_short(error)}); "
                "write it with def at the top of a module, without closures"
            ) from None
        if getattr(value, "__module__", "") == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
            raise TypeError(
                f"{name}: expected what other processes can import, got {called}, which was typed in; put it into a "
                "file, and import it from there"
            )


def backward(module: nn.Module, loss: Callable[..., torch.Tensor], inputs: Any, targets: Any) -> None:
    """The usual step: the loss of the worker's own samples, and backward."""
    loss(module(inputs), targets).backward()


def gradients_of_workers(work: Work, seconds: float) -> list[Gradients]:
    """Run the workers and collect the gradients that each is left with.

    Parameters
    ----------
    work : what they do.
    seconds : how long they may take, starting included.

    Raises
    ------
    WorkerError : where one fails, or they do not finish.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        processes = [context.Process(target=_run, args=(work, rank, folder, seconds), daemon=True)
                     for rank in range(len(work.batches))]
        for process in processes:
            process.start()
        end = time.monotonic() + seconds
        try:
            for process in processes:
                process.join(max(0.0, end - time.monotonic()))
            return [_collected(Path(folder), rank, process.exitcode, seconds) for rank, process in enumerate(processes)]
        finally:
            for process in processes:
                if process.is_alive():
                    process.kill()
                process.join()


def _collected(folder: Path, rank: int, exitcode: int | None, seconds: float) -> Gradients:
    failed = folder / f"{rank}.txt"
    if failed.exists():
        raise WorkerError(f"worker {rank} failed:\n{failed.read_text()}")
    if exitcode is None:
        raise WorkerError(f"worker {rank}: expected an end within {seconds:g} s, got none; is every worker part of "
                          "every collective operation?")
    if exitcode != 0 and not (folder / f"{rank}.done").exists():  # as it ends, Gloo's threads may bring it down
        imports = ('; in a script, call check_distributed under if __name__ == "__main__": for each worker imports the '
                   "script" if exitcode == 1 else "")
        raise WorkerError(f"worker {rank}: expected exit status 0, got {exitcode}{imports}")
    found: Gradients = torch.load(folder / f"{rank}.pt", weights_only=True)
    return found


def _run(work: Work, rank: int, folder: str, seconds: float) -> None:
    """One worker's life."""
    try:
        torch.set_num_threads(1)
        distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=len(work.batches),
            timeout=timedelta(seconds=seconds),
        )
        module = work.make()
        module.load_state_dict(dict(work.state))
        names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        wrapped = work.wrap(module)
        inputs, targets = work.batches[rank]
        work.step(wrapped, work.loss, inputs, targets)
        torch.save(dict(zip(names, _whole(wrapped), strict=True)), Path(folder) / f"{rank}.pt")
        distributed.barrier()
        (Path(folder) / f"{rank}.done").touch()
        distributed.destroy_process_group()
    except BaseException:
        (Path(folder) / f"{rank}.txt").write_text(traceback.format_exc())
        raise


def _whole(module: nn.Module) -> list[torch.Tensor]:
    """Return the gradients, gathered where each worker holds a shard; zeros where there is none."""
    found = []
    for parameter in module.parameters():
        if parameter.requires_grad:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            whole = gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient
            found.append(whole.detach().cpu().clone())
    return found
