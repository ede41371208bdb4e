"""``check_distributed``: what data parallel workers are left with against one process that sees all samples."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..._errors import in_short
from ..._types import Array
from ...problems.gradients import AnalyticGradient, NumericalGradient
from ...problems.parameters.layout import Layout
from ...report.report import Report
from ..case import as_array, double, mapped
from ..gradients import gradcheck
from ..inside import inside
from ..low_precision import doubled
from .suspects import MISSING, Shares, named
from .workers import Batch, Work, backward, gradients_of_workers, require_sendable

# What is said where some parameter's gradient is zero throughout, and no bucket with such a one has been reduced.
WAITING = ("; DistributedDataParallel waits for {name}, which takes no part in the loss: pass "
           "find_unused_parameters=True to it, in a wrap of your own")


def check_distributed(
    make: Callable[[], nn.Module],
    loss: Callable[..., torch.Tensor],
    batches: Sequence[Batch],
    *,
    wrap: Callable[[nn.Module], nn.Module] = DistributedDataParallel,
    step: Callable[..., None] = backward,
    seconds: float = 120.0,
) -> Report:
    """Check the gradients that data parallel workers are left with, one process for each batch, joined by Gloo.

    The truth is the gradient of the loss over all samples together, in double precision, proven by exact differences.

    Parameters
    ----------
    make : -> the module.  This, loss, wrap and step are sent to other processes: functions of a module, not lambdas.
    loss : loss(outputs, targets) -> a number, a mean over samples or a sum.
    batches : (inputs, targets) for each worker, of at least two; tensors whose leading axis counts samples, which may
        differ from worker to worker.
    wrap : puts the module into what brings the gradients together: DistributedDataParallel,
        torch.distributed.fsdp.fully_shard, or a function of your own.
    step : step(wrapped module, loss, inputs, targets) computes the gradients as your training loop does, with
        accumulation, scaling and all-reduce of its own; by default loss(module(inputs), targets).backward().
    seconds : how long the workers may take.

    Returns
    -------
    Report : of the gradients that worker 0 is left with.  Where they are wrong a note says what happened if that is
        known: the all-reduce is missing, a division by the workers too many, a worker's samples dropped, means of
        unequal batches averaged.

    Raises
    ------
    ValueError : for less than two batches.
    TypeError : for what cannot be sent to other processes: lambdas, functions inside functions or typed in.
    WorkerError : where a worker fails, or they do not finish.
    GradcheckError : where the module's gradients are wrong in one process already.

    Notes
    -----
    Gradients of every worker are compared; those of the others show in the note.
    """
    _require_pairs(batches)
    require_sendable({"make": make, "loss": loss, "wrap": wrap, "step": step, "batches": batches})
    started = time.perf_counter()
    module = make()
    if not isinstance(module, nn.Module):
        made = type(module).__name__
        raise TypeError(f"make: expected a function that returns a torch.nn.Module, got one that returns {made}")
    state = {name: value.detach().cpu() for name, value in module.state_dict().items()}
    found = gradients_of_workers(Work(make, state, loss, wrap, step, batches), seconds)
    twin, twin_loss, wide = _in_double(module, loss, batches)
    together = tuple(_joined([batch[part] for batch in wide]) for part in (0, 1))
    _prove(twin, twin_loss, together)
    names = [name for name, parameter in twin.named_parameters() if parameter.requires_grad]
    cost, whole = _gradient(twin, twin_loss, together)
    own = [_gradient(twin, twin_loss, batch)[1] for batch in wide]
    each = [np.concatenate([as_array(gradients[name]).astype(np.float64).ravel() for name in names])
            for gradients in found]
    layout = Layout.of({name: np.zeros(tuple(found[0][name].shape)) for name in names})
    precision = {name: str(found[0][name].dtype).removeprefix("torch.") for name in names
                 if found[0][name].dtype != torch.float64}
    theta = np.concatenate([as_array(p).astype(np.float64).ravel() for p in module.parameters() if p.requires_grad])
    costs = np.full(whole.size, cost)
    report = Report.of(
        AnalyticGradient(layout.tensors, theta, each[0], precision=precision),
        NumericalGradient(cost, costs, costs, whole, np.zeros(1), settled=True),
        epsilon=1.0, norm=2, tolerance=None, engine="program", method="all", seed=0,
        seconds=time.perf_counter() - started,
    )
    sizes = [len(batch[1]) for batch in batches]
    sentence = named(Shares(whole, own, sizes), each)
    idle = [tensor.name for tensor in layout.tensors if not whole[tensor.start : tensor.stop].any()]
    if idle and MISSING in sentence and wrap is DistributedDataParallel:
        sentence += WAITING.format(name=idle[0])
    note = f"{len(batches)} workers with {', '.join(map(str, sizes))} samples against one process with all of them."
    return report.noted(*([f"What happened: {sentence}."] if sentence else []), note)


def _require_pairs(batches: Sequence[Batch]) -> None:
    """Refuse what is not a pair of inputs and targets for each of several workers."""
    if len(batches) < 2:
        raise ValueError(f"batches: expected one for each of at least two workers, got {len(batches)}")
    for batch in batches:
        several = isinstance(batch, (tuple, list))
        if not several or len(batch) != 2:
            got = f"{type(batch).__name__}{f' of {len(batch)}' if several else ''}"
            raise TypeError(f"batches: expected pairs (inputs, targets), got {got}; hand in one for each worker")


def _in_double(module: nn.Module, loss: Any, batches: Sequence[Batch]) -> tuple[nn.Module, Any, list[Batch]]:
    """Module, loss and batches in double precision."""
    try:
        twin, twin_loss = doubled(module, loss)
    except Exception as error:
        raise TypeError(
            f"make: expected a module that can be copied in double precision, got {in_short(error)}"
        ) from None
    return twin, twin_loss, [(mapped(inputs, double), mapped(targets, double)) for inputs, targets in batches]


def _prove(module: nn.Module, loss: Any, batch: Batch) -> None:
    """Hold autograd's gradients in one process against exact differences; raises GradcheckError."""
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    values = tuple(p.detach().clone().requires_grad_() for p in parameters.values())

    def cost(*given: torch.Tensor) -> torch.Tensor:
        moved = dict(zip(parameters, given, strict=True))
        return inside(module, moved, lambda: loss(module(batch[0]), batch[1]))

    gradcheck(cost, values, fast_mode=True, check_undefined_grad=False)


def _gradient(module: nn.Module, loss: Any, batch: Batch) -> tuple[float, Array]:
    """Return the loss and the gradients end to end."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    value = loss(module(batch[0]), batch[1])
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    flat = [np.zeros(p.numel()) if g is None else as_array(g).ravel()
            for g, p in zip(gradients, parameters, strict=True)]
    return value.item(), np.concatenate(flat)


def _joined(parts: Sequence[Any]) -> Any:
    """Return tensors, or tuples of them, put together along their leading axis."""
    if isinstance(parts[0], torch.Tensor):
        return torch.cat(list(parts))
    return type(parts[0])(_joined([part[place] for part in parts]) for place in range(len(parts[0])))
