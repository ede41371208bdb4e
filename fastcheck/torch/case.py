"""A module with its loss and data: the gradients of a backward pass, and the same loss as a function of parameters."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .._constants import UNIT_ROUNDOFFS
from .._errors import NondeterministicError
from .._types import Array
from .._validation import kind_of, no_result
from ..problems.functions.purity import same
from .inside import StillPadding, as_twin, inside, tensors_of, widened_loss
from .kept import afresh, beside, copied_buffers, untouched
from .redrawn import Drawn, Redrawn
from .tensors import as_tuple, dense, floating
from .widened import Widened

REMEDY = "call module.eval() first, and backward() in that mode too"
FROZEN = "frozen"
CHANGING = ("Likely causes: functional dropout, noise drawn in forward, or a buffer that each call moves; "
            f'{REMEDY}, or check it as it is with randomness="frozen"')
KEEPS_CHANGING = ("Likely causes: a counter or another attribute of a module, not a buffer, that each call moves, or "
                  "random numbers of NumPy or Python; keep them in a buffer (register_buffer), or draw them with torch")

# With what a loss is called.
LOSS_OF_BOTH = "the module's outputs and targets"
LOSS_ALONE = "the module's outputs alone: targets is None"

DOUBLE = torch.finfo(torch.float64).bits
HALVES = {torch.float16: "float16", torch.bfloat16: "bfloat16"}


class Coarsest(TorchDispatchMode):
    """Notices in which precision below single operators compute, as autocast has it.

    Parameters
    ----------
    of_double : notice only what is made of numbers in double precision: others are constants.

    Attributes
    ----------
    found : the unit roundoff of the lowest such precision; 0.0 where there is none.
    single : whether some operator computes in single precision or less.
    numbers : how many numbers the operators made in all.
    """

    def __init__(self, *, of_double: bool = False) -> None:
        super().__init__()
        self._of_double = of_double
        self.found, self.single, self.numbers = 0.0, False, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and look at what it made."""
        out = func(*args, **(kwargs or {}))
        if self._of_double and not any(floating(one) and one.dtype == torch.float64 for one in tree_leaves(args)):
            return out
        for one in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(one, torch.Tensor):
                self.numbers += one.numel()
                self.single |= floating(one) and one.dtype not in (torch.float64, torch.complex128)
                if one.dtype in HALVES:
                    self.found = max(self.found, UNIT_ROUNDOFFS[HALVES[one.dtype]])
        return out


@dataclass
class Case:
    """A module, its loss and its data.

    Parameters
    ----------
    module : as the caller has it; a compiled one runs compiled, and is differenced as the module that it was made of.
    loss : loss(outputs, targets), or loss(outputs) where targets is None.
    args, kwargs : what the module is called with.
    targets : of the loss.
    frozen : whether each run begins with the random state that the first one had.
    coarse : the unit roundoff of the lowest precision below single that the forward pass was seen to compute in, or
        that a parameter has; 0.0 where there is none.
    single : whether the forward pass was seen to compute in single precision or less.
    narrow : whether the module is for less than double precision: the constants that follow the precision stay then.
    draws : random numbers that each run takes in place of its own, where it is frozen (see ``Redrawn``).
    original : the module that this one is a copy of, where the loss may hold tensors of that one.
    """

    module: nn.Module
    loss: Callable[..., torch.Tensor]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    targets: Any
    frozen: bool = False
    state: Any = field(default=None, repr=False)
    coarse: float = 0.0
    single: bool = False
    narrow: bool = False
    draws: list[torch.Tensor] | None = field(default=None, repr=False)
    original: nn.Module | None = field(default=None, repr=False)

    @classmethod
    def of(cls, module: nn.Module, loss: Any, inputs: Any, targets: Any, *, frozen: bool) -> "Case":
        """A case of what the caller passed: inputs are a tensor, a tuple, or a dictionary of keyword arguments."""
        if isinstance(loss, type) or not callable(loss):
            raise TypeError(f"loss: expected a function of outputs and targets, got {kind_of(loss)}")
        args, kwargs = ((), dict(inputs)) if isinstance(inputs, Mapping) else (as_tuple(inputs), {})
        _require_values("module", {**dict(module.named_parameters()), **dict(module.named_buffers())})
        _require_values("inputs", dict(enumerate(tree_leaves((args, kwargs)))))
        narrow = any(floating(t) and torch.finfo(t.dtype).bits < DOUBLE for t in (*args, *module.parameters()))
        return cls(module, loss, args, kwargs, targets, frozen, random_state() if frozen else None, narrow=narrow)

    @property
    def plain(self) -> nn.Module:
        """The module that a compiled one was made of, or the module itself."""
        found: nn.Module = getattr(self.module, "_orig_mod", self.module)
        return found

    @property
    def parameters(self) -> dict[str, torch.Tensor]:
        """Those that are checked, shared ones once."""
        return {name: p for name, p in self.plain.named_parameters() if p.requires_grad}

    @cached_property
    def others(self) -> list[nn.Module]:
        """The modules that the loss holds, or the module in plain lists."""
        return beside(self.plain, self.loss)[0]

    @property
    def is_double(self) -> bool:
        """Whether all real numbers of the module, its inputs and targets are in double precision, and so what it does.

        A module that casts to less by itself has another loss than in double precision throughout.
        """
        if self.single:
            return False
        own = (*self.plain.parameters(), *self.plain.buffers())
        tensors = [leaf for leaf in (*own, *tree_leaves((self.args, self.kwargs, self.targets))) if floating(leaf)]
        return all(tensor.dtype == torch.float64 for tensor in tensors)

    def cost(self, run: Callable[..., Any], args: Any, kwargs: Any, targets: Any) -> torch.Tensor:
        """Return the loss, by way of running the module, which may write to copies of its inputs.

        Where runs are frozen, each begins with the buffers that there are now, and leaves them.
        """
        with self.drawing():
            return self.cost_drawn_on(run, args, kwargs, targets)

    def cost_drawn_on(self, run: Callable[..., Any], args: Any, kwargs: Any, targets: Any) -> torch.Tensor:
        """Return the same within ``drawing``: a backward pass may follow, with the random numbers that come next."""
        args, kwargs, targets = (mapped(part, copied) for part in (args, kwargs, targets))
        buffers = afresh((self.plain, *self.others)) if self.frozen else contextlib.nullcontext()
        with buffers, as_twin(self.original, self.plain):
            with _told("the module", lambda: _called_with((*args, *kwargs.values()))):
                outputs = run(*args, **kwargs)
            with _told("the loss", lambda: LOSS_ALONE if targets is None else LOSS_OF_BOTH):
                value = self.loss(outputs) if targets is None else self.loss(outputs, targets)
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            raise ValueError(f"loss: expected one number, got {_no_loss(value)}")
        return value.reshape(())

    @contextlib.contextmanager
    def drawing(self) -> Iterator[None]:
        """Random numbers as in the first run, where they are frozen; the caller's state afterwards as before."""
        if not self.frozen:
            yield
            return
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            _set_random_state(self.state)
            with contextlib.nullcontext() if self.draws is None else Redrawn(self.draws):
                yield

    def drawn(self) -> Drawn:
        """Return what random numbers a run draws, in the module's own precision."""
        with Drawn() as found, torch.enable_grad(), untouched(self.plain, copied_buffers(self.plain)):
            self.cost(self.module, self.args, self.kwargs, self.targets)
        return found

    def backward(self) -> tuple[float, dict[str, Array]]:
        """Return the loss and, by loss.backward(), the gradients.

        Raises
        ------
        ValueError : where no parameter requires gradients, or the module's buffers change what it computes.
        NondeterministicError : where the loss is random.
        """
        parameters = self.parameters
        if not parameters:
            raise ValueError("module: expected parameters that require gradients, got none; there is nothing to check")
        for name, parameter in parameters.items():
            if parameter.is_inference():
                raise ValueError(f"module: expected parameters that autograd gives gradients to, got {name}, which was "
                                 "made under torch.inference_mode(); make the module outside of it")
            parameter.grad = None
        args, kwargs = mapped(self.args, detached), mapped(self.kwargs, detached)
        watching = Coarsest()
        with self.drawing():  # what backward draws (dropout that is computed again) are not the first numbers
            with watching:
                value = self.cost_drawn_on(self.module, args, kwargs, self.targets)
            if not value.requires_grad:
                raise ValueError("loss: expected one that the module's parameters move, got one that no parameter "
                                 "moves; is something detached on the way (detach(), .data, no_grad())?")
            before = {name: p._version for name, p in parameters.items()}
            value.backward()
        own = (UNIT_ROUNDOFFS[HALVES[p.dtype]] for p in parameters.values() if p.dtype in HALVES)
        self.coarse, self.single = max([watching.found, *own]), watching.single
        first = value.item()
        again = self.cost(self.module, args, kwargs, self.targets).item()
        low = max((torch.finfo(p.dtype).eps for p in parameters.values()), default=0.0)
        if not same(first, again) and not abs(first - again) <= 1e2 * low * abs(again):
            if changed := [name for name, version in before.items() if parameters[name]._version != version]:
                raise ValueError(
                    f"module: expected backward() to leave parameters as they are, got a change of {changed[0]}: "
                    "does an optimizer step in a hook? Take the hook off for the check"
                )
            raise NondeterministicError(
                f"the loss is random or changes with each call: {first!r} and then {again!r} for the same parameters. "
                f"{KEEPS_CHANGING if self.frozen else CHANGING}"
            )
        return first, {
            name: np.zeros(tuple(in_pairs(p).shape), _numpy_dtype(p)) if p.grad is None else as_array(p.grad)
            for name, p in parameters.items()
        }

    def function(self, widen: Callable[[Any], Any]) -> Callable[..., torch.Tensor]:
        """Return the loss as a function of the checked parameters, everything else widened and standing still.

        Rows of an embedding at its padding index stand still as well: PyTorch defines their gradient as zero.
        """
        run = self._with_values(widen)
        return lambda *values: run(values, lambda loss: loss)

    def gradients(
        self, widen: Callable[[Any], Any], values: Sequence[torch.Tensor], factor: float = 1.0
    ) -> list[Array]:
        """Return the gradients that autograd gives of that function times a factor, zero where there are none.

        What happens to the gradients of the module's own parameters afterwards, by hooks of theirs, is not in them.
        """
        values = [value.requires_grad_() for value in values]

        def differentiated(loss: torch.Tensor) -> Any:
            return torch.autograd.grad(loss * factor, values, allow_unused=True)

        with torch.enable_grad():
            found = self._with_values(widen)(values, differentiated)
        return [np.zeros(tuple(value.shape)) if one is None else as_array(_widest(one))
                for value, one in zip(values, found, strict=True)]

    def _with_values(self, widen: Callable[[Any], Any]) -> Callable[[Sequence[torch.Tensor], Callable[..., Any]], Any]:
        """Return a call that gives parameters values, and then what is to be done with the loss that it finds."""
        names, module = tuple(self.parameters), self.plain
        state = tensors_of(module)
        rest = {name: widen(tensor) for name, tensor in state.items() if name not in names}
        args, kwargs, targets = (mapped(v, widen) for v in (self.args, self.kwargs, self.targets))
        before = [widen(parameter) for parameter in self.parameters.values()]
        here = replace(self, loss=widened_loss(self.loss, widen, state.values()))

        def run(values: Sequence[torch.Tensor], then: Callable[..., Any]) -> Any:
            given = {**dict(zip(names, values, strict=True)), **{name: value.clone() for name, value in rest.items()}}
            tables = {id(value): still for value, still in zip(values, before, strict=True)}
            wide = Widened(self.narrow) if widen is double else contextlib.nullcontext()
            with wide, StillPadding(tables) if _pads(module) else contextlib.nullcontext():
                return inside(module, given, lambda: then(here.cost(module, args, kwargs, targets)))

        return run


def _require_values(argument: str, tensors: Mapping[Any, Any]) -> None:
    """Refuse tensors of the device meta, by name."""
    for name, one in tensors.items():
        if isinstance(one, torch.Tensor) and one.is_meta:
            raise ValueError(f"{argument}: expected tensors that have values, got {name} on the device meta; "
                             "make them on a device (to_empty() and an initialisation, for a module)")


def _widest(gradient: torch.Tensor) -> torch.Tensor:
    """Return a gradient in a precision that NumPy has and that loses nothing."""
    return gradient.to(torch.float32) if gradient.dtype in HALVES else gradient


def _pads(module: nn.Module) -> bool:
    """Tell whether an embedding has a padding index."""
    return any(isinstance(part, nn.Embedding) and part.padding_idx is not None for part in module.modules())


def still(module: nn.Module) -> bool:
    """Tell whether no dropout is active."""
    try:
        require_still(module)
    except ValueError:
        return False
    return True


def require_still(module: nn.Module) -> None:
    """Refuse dropout that is active, which makes a loss random, with the remedies."""
    for name, part in module.named_modules():
        if not part.training:
            continue
        p = part.p if isinstance(part, nn.modules.dropout._DropoutNd) else getattr(part, "dropout", 0.0)
        if isinstance(p, (int, float)) and p > 0.0:
            raise ValueError(
                f"{name or 'module'} ({type(part).__name__}): dropout {p} is active, which makes the loss random; "
                f'{REMEDY}, or check it as it is with randomness="frozen"'
            )


def random_state() -> tuple[torch.Tensor, list[torch.Tensor]]:
    """That of the processor's generator and of every device's."""
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []


def _set_random_state(state: tuple[torch.Tensor, list[torch.Tensor]]) -> None:
    torch.set_rng_state(state[0])
    if state[1]:
        torch.cuda.set_rng_state_all(state[1])


def _numpy_dtype(tensor: torch.Tensor) -> Any:
    if tensor.dtype in (torch.float64, torch.complex128):
        return np.float64
    return np.float16 if tensor.dtype in (torch.float16, torch.complex32) else np.float32


def as_array(tensor: torch.Tensor) -> Array:
    """Return a copy as a NumPy array of the same precision, float32 for bfloat16; complex numbers in pairs."""
    found = in_pairs(dense(tensor)).detach().cpu()
    return np.array((found.to(torch.float32) if found.dtype == torch.bfloat16 else found).numpy())


def in_pairs(tensor: torch.Tensor) -> torch.Tensor:
    """Return complex numbers as pairs of real ones along a last axis; a real tensor as it is."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def detached(value: Any) -> Any:
    """Return a tensor without its history, requiring gradients where it did; anything else as it is."""
    return value.detach().requires_grad_(value.requires_grad) if isinstance(value, torch.Tensor) else value


def copied(value: Any) -> Any:
    """Return a copy of a tensor like ``detached``; anything else as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    copy = value.detach().clone()
    return copy.requires_grad_() if value.requires_grad else copy  # vmap refuses to be asked for no gradients, too


def double(value: Any) -> Any:
    """Return a tensor of real numbers in double precision, detached like ``detached``; anything else as it is."""
    if not floating(value) or value.is_complex():
        return detached(value)
    return value.detach().to(torch.float64).requires_grad_(value.requires_grad)


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return the same structure with every tensor changed."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(item, change) for item in value))
    if isinstance(value, (tuple, list)):
        return type(value)(mapped(item, change) for item in value)
    if isinstance(value, dict):
        return {key: mapped(item, change) for key, item in value.items()}
    return change(value)


@contextlib.contextmanager
def _told(whose: str, called: Callable[[], str]) -> Iterator[None]:
    """Whose exception it is, and with what that was called."""
    try:
        yield
    except Exception as error:
        error.add_note(f"fastcheck: raised by {whose}, called with {called()}")
        raise


def _called_with(inputs: Sequence[Any]) -> str:
    """Inputs in words: their shapes and dtypes."""
    each = [f"{tuple(one.shape)} {str(one.dtype).removeprefix('torch.')}" if isinstance(one, torch.Tensor)
            else type(one).__name__ for one in inputs]
    return f"{len(each)} input{'s' * (len(each) != 1)}: {', '.join(each) or 'nothing'}"


def _no_loss(value: Any) -> str:
    """What a loss is instead of one number, and what to do."""
    if isinstance(value, torch.Tensor):
        return f"{tuple(value.shape)}; reduce it, e.g. with .mean()"
    if isinstance(value, (tuple, list, Mapping)):
        return f"{type(value).__name__}; return the tensor of the loss alone"
    return no_result(value) or f"{type(value).__name__}; return the tensor itself, without item() and numpy()"
