"""Which operation's backward is wrong: custom Functions and submodules, each held by itself against exact differences.

What an operation hands on is linear in what it is handed, so each can be checked alone, at the inputs that it had: its
vector-Jacobian product for a random upstream gradient, against the exact slope of the upstream's product with its
output.  Named are those that are wrong and hold nothing that is.
"""

import contextlib
import inspect
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from .._errors import NoRule
from .._types import Array
from .case import Case, double, mapped
from .program.program import TorchProgram
from .tensors import floating

# Relative distance from the truth along a random direction that is a mistake, in the roundings of single precision.
WRONG = 1e-4
# In double precision; what is right agrees to 1e-12.
WRONG_IN_DOUBLE = 1e-8
DIRECTIONS, STEP = 3, 2.0**-40
# Places that a sentence names at most.
MOST_PLACES = 3
# Seconds that looking for the operation may take.
SECONDS = 10.0


@dataclass
class _Call:
    """One call of an operation.

    name : as sentences have it; within : names of the modules that it happened in, the operation's own first.
    run : runs it again; inputs : (name, tensor) of what it takes, floating, each a leaf.
    """

    name: str
    within: tuple[str, ...]
    run: Callable[[], Any]
    inputs: list[tuple[str, torch.Tensor]]
    function: Callable[..., Any]


def wrong_operations(case: Case) -> list[str]:
    """Sentences on the operations whose backward is wrong; none where each is right by itself or cannot be tried."""
    began = time.perf_counter()
    found: list[str] = []
    wrong_inside: set[str] = set()
    for call in _calls(case):
        if call.name in wrong_inside or time.perf_counter() - began > SECONDS:
            continue
        try:
            sentence = _judged(call)
        except (NoRule, RuntimeError, TypeError, ValueError, IndexError):
            continue  # it cannot be run by itself, or not differenced exactly: nothing is said of it
        if sentence:
            found.append(sentence)
            wrong_inside.update(call.within)
    return list(dict.fromkeys(found))


def of_another_function(case: Case, gradients: Mapping[str, Array]) -> str:
    """A sentence, where the gradients are those of the loss with all that autograd does not see standing still."""
    parameters = case.parameters
    seen = TorchProgram.as_autograd(case.function(double), [double(p) for p in parameters.values()])
    if not seen.detached or seen.weights is None:
        return ""
    generator, changes, expected, size = np.random.default_rng(0), {}, np.zeros(DIRECTIONS), 0.0
    for number, (name, parameter) in enumerate(parameters.items()):
        v = generator.standard_normal((DIRECTIONS, *parameter.shape))
        step = STEP * (float(parameter.detach().double().square().mean().sqrt()) or 1.0)
        terms = np.asarray(gradients[name], np.float64) * v * step
        expected += terms.reshape(DIRECTIONS, -1).sum(1)
        size = math.hypot(size, float(np.linalg.norm(terms)))
        changes[number] = step * v
    low = any(p.dtype != torch.float64 for p in parameters.values())
    (change,) = seen.run(changes).changes
    slopes = np.zeros(DIRECTIONS) if change is None else change.reshape(DIRECTIONS, -1) @ seen.weights.reshape(-1)
    if not np.abs(slopes - expected).max() <= (WRONG if low else WRONG_IN_DOUBLE) * size:
        return ""
    places = [f"{one.what} ({one.place})" if one.place else one.what for one in seen.detached]
    return (f"The gradient is that of another function: of the loss in which {_listed(places[:MOST_PLACES])} "
            f"{'stand' if len(places) > 1 else 'stands'} still. Where that is meant (a straight-through estimator, a "
            "stopped gradient), it is right.")


def _judged(call: _Call) -> str:
    """Return what is wrong with one operation, or ""."""
    outputs = [o for o in tree_leaves(call.run()) if floating(o) and o.requires_grad]
    tensors = [tensor for _, tensor in call.inputs]
    if not outputs or not tensors:
        return ""
    generator = torch.Generator().manual_seed(0)

    def drawn(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.device)

    upstream = [drawn(o) for o in outputs]
    handed = [u.to(o.dtype) for u, o in zip(upstream, outputs, strict=True)]
    gradients = torch.autograd.grad(outputs, tensors, handed, allow_unused=True)
    program = TorchProgram(lambda *values: [o for o in tree_leaves(call.function(*values)) if floating(o)],
                           [double(t) for t in tensors])
    weights = [u.cpu().numpy() for u in handed]
    limit = WRONG_IN_DOUBLE if all(t.dtype == torch.float64 for t in tensors) else WRONG
    right, wrong, constant = [], [], True
    for number, ((name, tensor), gradient) in enumerate(zip(call.inputs, gradients, strict=True)):
        given = torch.zeros_like(tensor) if gradient is None else gradient
        directions = [drawn(tensor) for _ in range(DIRECTIONS)]
        step = STEP * float(tensor.detach().double().square().mean().sqrt() or 1.0)
        moved = program.run({number: np.stack([step * v.cpu().numpy() for v in directions])})
        slopes = sum((change.reshape(DIRECTIONS, -1) @ weight.reshape(-1) / step for change, weight
                      in zip(moved.changes, weights, strict=True) if change is not None), np.zeros(DIRECTIONS))
        promised = np.array([float((given.double() * v).sum()) for v in directions])
        scale = float(given.double().norm()) + float(np.abs(slopes).max())
        constant = constant and not slopes.any()
        if np.abs(slopes - promised).max() <= limit * scale or moved.crossed.any() or moved.ties.any():
            right.append(name)
        else:
            wrong.append((name, _factor(promised, slopes)))
    if not wrong:
        return ""
    if constant:
        return (f"The gradient is that of another function: {call.name} is constant where it is, and its backward "
                "hands gradients on all the same, as a straight-through estimator does.")
    several = len(right) > 1
    fine = f"its gradient{'s' * several} of {_listed(right)} {'are' if several else 'is'} right but " if right else ""
    bad = " and ".join(f"its gradient of {name} is {what}" for name, what in wrong)
    return f"The backward of {call.name} is wrong: {fine}{bad}."


def _factor(promised: Any, slopes: Any) -> str:
    """By what the gradient is off, where that is one factor along all directions."""
    if not np.abs(promised).max():
        return "zero"
    if not np.abs(slopes).max():
        return "not zero where the truth is"
    factors = promised / slopes
    spread = float(np.ptp(factors))
    if math.isfinite(spread) and spread <= 1e-3 * abs(float(factors.mean())):
        return f"{float(factors.mean()):.3f} times the truth"
    return "not that of its forward"


def _listed(names: Sequence[str]) -> str:
    return "".join(names) if len(names) < 2 else ", ".join(names[:-1]) + f" and {names[-1]}"


def _calls(case: Case) -> list[_Call]:
    """Return the first call of each submodule and of each custom Function in a run, inner ones before outer ones."""
    calls: list[_Call] = []
    active: list[str] = []
    names = {part: name for name, part in case.plain.named_modules() if name}

    def before(part: nn.Module, args: Any, kwargs: Any) -> None:
        active.append(names[part])

    def after(part: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        label = f"{names[part]} ({type(part).__name__})"
        if all(one.name != label for one in calls):
            within = tuple(f"{n} ({type(case.plain.get_submodule(n)).__name__})" for n in active)
            calls.append(_module_call(part, label, within, args, kwargs))
        active.pop()

    with contextlib.ExitStack() as stack:
        for part in names:
            stack.enter_context(_removed(part.register_forward_pre_hook(before, with_kwargs=True, prepend=True)))
            stack.enter_context(_removed(part.register_forward_hook(after, with_kwargs=True, prepend=True)))
        loss = case.cost(case.plain, case.args, case.kwargs, case.targets)
        functions = _functions(loss)
        calls.clear()
        active.clear()

        def noticed(kind: Any, given: tuple[Any, ...]) -> None:
            label = f"{kind.__name__}{_place(kind.backward)}"
            if all(one.name != label for one in calls):
                within = tuple(f"{n} ({type(case.plain.get_submodule(n)).__name__})" for n in active)
                calls.append(_function_call(kind, label, within, given, signatures[kind]))

        signatures = {kind: list(inspect.signature(kind.forward).parameters) for kind in functions}
        for kind in functions:
            stack.enter_context(_noticing(kind, noticed))
        case.cost(case.plain, case.args, case.kwargs, case.targets)
    return calls


@contextlib.contextmanager
def _removed(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def _functions(loss: torch.Tensor) -> list[Any]:
    """Return the classes of custom Functions in a loss's graph."""
    found: dict[Any, None] = {}
    waiting, seen = [loss.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        kind = getattr(type(node), "_forward_cls", None)
        if kind is not None:
            found[kind] = None
        waiting += [one for one, _ in node.next_functions]
    return list(found)


@contextlib.contextmanager
def _noticing(kind: Any, noticed: Callable[[Any, tuple[Any, ...]], None]) -> Iterator[None]:
    """Tell of the arguments of each call of a Function meanwhile."""
    forward, own = kind.forward, kind.__dict__.get("forward")
    apart = kind.setup_context is not torch.autograd.Function.setup_context

    def noticing(*given: Any) -> Any:
        noticed(kind, given if apart else given[1:])
        return forward(*given)

    kind.forward = staticmethod(noticing)
    try:
        yield
    finally:
        if own is None:
            del kind.forward
        else:
            kind.forward = own


def _leaf(value: Any) -> Any:
    return value.detach().clone().requires_grad_() if floating(value) else value


def _function_call(
    kind: Any, label: str, within: tuple[str, ...], given: tuple[Any, ...], names: list[str]
) -> _Call:
    args = [_leaf(value) for value in given]
    places = [k for k, value in enumerate(args) if floating(value)]
    apart = kind.setup_context is not torch.autograd.Function.setup_context
    names = names if apart else names[1:]
    inputs = [(names[k] if k < len(names) and len(names) == len(args) else f"argument {k}", args[k]) for k in places]

    def function(*values: torch.Tensor) -> Any:
        full = list(args)
        for place, value in zip(places, values, strict=True):
            full[place] = value
        return kind.apply(*full)

    return _Call(label, within, lambda: kind.apply(*args), inputs, function)


def _module_call(part: nn.Module, label: str, within: tuple[str, ...], args: Any, kwargs: Any) -> _Call:
    args, kwargs = tuple(_leaf(value) for value in args), {name: _leaf(value) for name, value in kwargs.items()}
    names = list(inspect.signature(part.forward).parameters)
    places = [k for k, value in enumerate(args) if floating(value)]
    given = [(names[k] if k < len(names) else f"argument {k}", args[k]) for k in places]
    parameters = [(name, p) for name, p in part.named_parameters() if p.requires_grad]

    def function(*values: torch.Tensor) -> Any:
        full, own = list(mapped(args, double)), dict(zip([n for n, _ in parameters], values[len(places):], strict=True))
        for place, value in zip(places, values, strict=False):
            full[place] = value
        rest = {name: double(b).clone() for name, b in part.named_buffers()}
        return torch.func.functional_call(part, {**rest, **own}, tuple(full), mapped(kwargs, double))

    return _Call(label, within, lambda: part(*args, **kwargs), [*given, *parameters], function)


def _place(function: Any) -> str:
    """ " (file, line n)" of a function in somebody's code, or ""."""
    try:
        source = inspect.unwrap(function)
        return f" ({Path(inspect.getsourcefile(source) or '').name}, line {inspect.getsourcelines(source)[1]})"
    except (TypeError, OSError):
        return ""
