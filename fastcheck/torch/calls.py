"""Calls of submodules and custom Functions in a run: what each takes and returns, as tensors of its own.

A tensor may be read in several places, and its gradient is the sum of what these hand back.  Each call therefore gets
aliases of its inputs, and its outputs are handed on as aliases: a gradient of one belongs to that call alone, and so
does a change that is injected there.
"""

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from .program.recorder import recorder_at_work
from .program.tape import Ref
from .tensors import floating

MODULE, FUNCTION = "module", "function"


@dataclass(eq=False)
class Mark:
    """An input or output of a call: its name in sentences, the tensor, and the gradient that a backward pass gave it.

    known : whether a backward pass came by, or would have.
    ref : where a recorder says that its values come from.
    """

    name: str
    tensor: torch.Tensor
    gradient: torch.Tensor | None = None
    known: bool = False
    ref: Ref | None = None


@dataclass(eq=False)
class Seen:
    """One call.

    Parameters
    ----------
    label : as sentences have it.
    kind : MODULE or FUNCTION.
    within : numbers of the calls that it happened in.
    inputs, outputs : its floating tensors.
    parameters : (local name, name in the whole module) of a module's parameters.
    places : of a Function's inputs among its arguments.
    """

    label: str
    kind: str
    within: tuple[int, ...]
    inputs: list[Mark] = field(default_factory=list)
    outputs: list[Mark] = field(default_factory=list)
    parameters: list[tuple[str, str]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)


class Calls:
    """Notes the calls in one run of a module.

    Parameters
    ----------
    module : its submodules, and itself, are watched.
    functions : classes of custom Functions.
    gradients : whether the run is followed by a backward pass, whose gradients the marks are to have.

    Attributes
    ----------
    seen : the calls, in the order of their beginning.
    """

    def __init__(self, module: nn.Module, functions: Sequence[Any], *, gradients: bool) -> None:
        self.module, self.functions, self.gradients = module, functions, gradients
        self.seen: list[Seen] = []
        self._open: list[int] = []
        self._noting = True
        self._of_context: dict[int, tuple[Any, Seen]] = {}

    @contextlib.contextmanager
    def watching(self) -> Iterator["Calls"]:
        """Everything is as before afterwards."""
        with contextlib.ExitStack() as stack:
            for name, part in self.module.named_modules():
                stack.enter_context(self._module(name, part))
            for kind in self.functions:
                stack.enter_context(self._function(kind))
            yield self

    def stop(self) -> None:
        """Note no more calls: a backward pass may run parts of the module once more."""
        self._noting = False

    def _begin(self, label: str, kind: str) -> Seen:
        call = Seen(label, kind, tuple(self._open))
        self._open.append(len(self.seen))
        self.seen.append(call)
        return call

    def _marked(self, value: Any, name: str, marks: list[Mark]) -> Any:
        """Return a value with aliases in place of its tensors, and keep these."""

        def alias(tensor: Any) -> Any:
            if not floating(tensor) or tensor.layout != torch.strided:
                return tensor
            mark = Mark(name, tensor.view_as(tensor))
            marks.append(mark)
            recorder = recorder_at_work()
            if recorder is not None:
                mark.ref = recorder.reference(mark.tensor)
            if self.gradients and mark.tensor.requires_grad:
                mark.known = True
                mark.tensor.register_hook(lambda gradient: setattr(mark, "gradient", gradient.detach().clone()))
            return mark.tensor

        return tree_map(alias, value)

    @contextlib.contextmanager
    def _module(self, name: str, part: nn.Module) -> Iterator[None]:
        label = f"{name} ({type(part).__name__})" if name else f"the whole {type(part).__name__}"
        names = list(inspect.signature(part.forward).parameters)
        dotted = f"{name}." if name else ""
        parameters = [(own, dotted + own) for own, p in part.named_parameters() if p.requires_grad]

        def before(part: nn.Module, args: Any, kwargs: Any) -> Any:
            if not self._noting:
                return None
            call = self._begin(label, MODULE)
            call.parameters = parameters
            args = tuple(self._marked(value, names[k] if k < len(names) else f"argument {k}", call.inputs)
                         for k, value in enumerate(args))
            return args, {key: self._marked(value, key, call.inputs) for key, value in kwargs.items()}

        def after(part: nn.Module, args: Any, kwargs: Any, out: Any) -> Any:
            if not self._noting:
                return None
            call = self.seen[self._open.pop()]
            return self._marked(out, "its output", call.outputs)

        handles = [part.register_forward_pre_hook(before, with_kwargs=True, prepend=True),
                   part.register_forward_hook(after, with_kwargs=True)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextlib.contextmanager
    def _function(self, kind: Any) -> Iterator[None]:
        apart = kind.setup_context is not torch.autograd.Function.setup_context
        forward, setup, backward = kind.forward, kind.setup_context, kind.backward
        names = list(inspect.signature(forward).parameters)[0 if apart else 1 :]
        label = f"{kind.__name__}{place_of(backward)}"

        def noticing(*given: Any) -> Any:
            if not self._noting:
                return forward(*given)
            lead, args = ((), given) if apart else (given[:1], given[1:])
            call = self._begin(label, FUNCTION)
            known = [names[k] if k < len(names) and len(names) == len(args) else f"argument {k}"
                     for k in range(len(args))]
            if self.gradients:
                call.places = [k for k, value in enumerate(args) if floating(value)]
                call.inputs = [Mark(known[k], args[k]) for k in call.places]
                self._of_context.update({id(one): (one, call) for one in lead})
                out = forward(*given)
                call.outputs = [Mark("its output", one) for one in tree_leaves(out) if floating(one)]
            else:
                args = tuple(self._marked(value, name, call.inputs)
                             for name, value in zip(known, args, strict=True))
                out = forward(*lead, *args)
                if not any(one is value for one in tree_leaves(out) for value in args if floating(value)):
                    out = self._marked(out, "its output", call.outputs)
            self._open.pop()
            return out

        def setting_up(ctx: Any, inputs: Any, output: Any) -> Any:
            if self.gradients and self._noting:
                call = next(one for one in reversed(self.seen) if one.label == label)
                self._of_context[id(ctx)] = (ctx, call)
            return setup(ctx, inputs, output)

        def handing_back(ctx: Any, *handed: Any) -> Any:
            returned = backward(ctx, *handed)
            if id(ctx) in self._of_context:
                _note(self._of_context[id(ctx)][1], handed, returned)
            return returned

        preparing = replaced(kind, "setup_context", setting_up) if apart else contextlib.nullcontext()
        with replaced(kind, "forward", noticing), replaced(kind, "backward", handing_back), preparing:
            yield


def _note(call: Seen, handed: Sequence[Any], returned: Any) -> None:
    """Keep the gradients that a Function was handed and hands back."""
    back = returned if isinstance(returned, tuple) else (returned,)
    for mark, gradient in zip(call.outputs, (one for one in handed if one is None or floating(one)), strict=False):
        mark.gradient, mark.known = _kept(gradient), True
    for mark, place in zip(call.inputs, call.places, strict=True):
        if mark.tensor.requires_grad and place < len(back):
            mark.gradient, mark.known = _kept(back[place]), True


def _kept(gradient: torch.Tensor | None) -> torch.Tensor | None:
    return None if gradient is None else gradient.detach().clone()


@contextlib.contextmanager
def replaced(kind: Any, name: str, function: Any) -> Iterator[None]:
    """Give a class another static method for a while."""
    own = kind.__dict__.get(name)
    setattr(kind, name, staticmethod(function))
    try:
        yield
    finally:
        if own is None:
            delattr(kind, name)
        else:
            setattr(kind, name, own)


def functions_of(loss: torch.Tensor) -> list[Any]:
    """Return the classes of custom Functions in a loss's graph, but for PyTorch's own."""
    kinds = (getattr(type(node), "_forward_cls", None) for node in graph_of(loss))
    return list(dict.fromkeys(kind for kind in kinds if kind and not kind.__module__.startswith("torch.")))


def graph_of(tensor: torch.Tensor) -> Iterator[Any]:
    """Yield the nodes of autograd's graph that a tensor comes from."""
    waiting, seen = [tensor.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting += [one for one, _ in node.next_functions]


def place_of(function: Any) -> str:
    """ " (file, line n)" of a function in somebody's code, or ""."""
    try:
        source = inspect.unwrap(function)
        return f" ({Path(inspect.getsourcefile(source) or '').name}, line {inspect.getsourcelines(source)[1]})"
    except (TypeError, OSError):
        return ""
