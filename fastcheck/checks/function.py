"""The front door for any cost and any layer: check_function, check_vjp and check_layer."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from .._errors import ChangedArgumentError, EngineError, NondeterministicError, NoRule, TooSlow
from .._names import FUNCTION_OPTIONS, FunctionEngine, FunctionOptions, Method as MethodName, Order
from .._types import Array, Indices
from .._validation import (
    boolean,
    deadline,
    epsilon_of,
    integer,
    known,
    norm_of,
    only_options,
    time_left,
    tolerance_of,
)
from ..engines.finite.directional import Probe
from ..engines.finite.problem import FunctionProblem, Method
from ..engines.finite.stencils import ORDERS
from ..problems.functions.c_functions import is_foreign
from ..problems.functions.evaluators import PythonCost
from ..problems.functions.further_arguments import in_double_precision
from ..problems.functions.integers import integer_arrays
from ..problems.functions.numba_functions import is_jitted
from ..problems.functions.purity import examine
from ..problems.functions.random_numbers import random_numbers_kept, random_numbers_kept_by
from ..problems.functions.repeats import called
from ..problems.gradients import AnalyticGradient, NumericalGradient
from ..problems.parameters.layout import Layout, lowest_precision
from ..problems.parameters.sampling import choose, power
from ..problems.parameters.tree import require_numpy
from ..report.report import Report
from ..runtime.progress import Progress, reporting
from ..runtime.resources import memory_of, threads_of
from ..runtime.run import Run
from ..runtime.threads import one_blas_thread
from ..verdict.outcome import FAIL, PASS
from ..verdict.tolerance import allowed_anywhere
from .differencing import LARGE, Differencing, Subtracted, as_program, follows, time_for_exact
from .directional import entries_beside, with_directions
from .evaluating import evaluator_of, keeping, left_as_found, state_kept, worth_compiling
from .selection import Selection
from .solvers import solver_of

if TYPE_CHECKING:
    from ..engines.program.proof import Proof

PROGRAM, SUBTRACTED = "program", "differences"
# Gradients that are off by less than this may be so for the tolerance of a solver.
LITTLE = 1e-2


@random_numbers_kept_by
def check_function(
    cost: Any,
    parameters: Any,
    gradients: Any,
    args: tuple[Any, ...] = (),
    *,
    vectorized: bool = False,
    epsilon: float | None = None,
    order: Order = 2,
    complex_step: bool = False,
    tolerance: float | None = None,
    norm: float = 2,
    method: MethodName = "all",
    samples: int | None = None,
    directions: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    memory_limit: int | None = None,
    time_limit: float | None = None,
    progress: bool | Progress = False,
    executor: Executor | None = None,
    engine: FunctionEngine | None = None,
) -> Report:
    """Compare the gradient of any cost with differences of the cost.

    Parameters
    ----------
    cost : cost(parameters, *args) -> number.  A Python callable (one without arguments, ``lambda: model.loss(X, y)``,
        finds its parameters by itself: they are moved where they are and put back bit for bit, whatever happens);
        a Numba-jitted function of one array (called from a compiled loop on several threads); with ``vectorized`` a
        function of a stack of parameters; or a C function
        ``double f(int n, double *theta, void *data)`` as scipy.LowLevelCallable, ctypes or cffi pointer or
        numba.cfunc, called from several threads unless threads=1.
    parameters : an array of any shape, a number, or dictionaries and lists of them, nested at will.  The cost gets
        the same structure in double precision, with one entry changed; the original is never changed.
    gradients : the same structure; in dictionaries the gradient of "W" may be called "dW".  Or a function
        gradients(parameters, *args) that returns it: where it disagrees it is run again beside the parameters, which
        tells rounding (of float32 buffers, say) from a mistake.
    args : further arguments of the cost; for a C function one array or address, its data pointer.  Where parameters
        came in less than double precision, a Python cost gets the arrays among these in double precision too.
    vectorized : the cost takes every array with a leading axis, one row per perturbation, and returns (rows,) costs
        (as jax.vmap and torch.func.vmap make them).
    epsilon : the step; None chooses one per parameter from measured noise and curvature, where a usual one does not do.
    order : 2, 4 or 6, of the central difference.  In tensors of up to 16 entries it is 6 in any case.
    complex_step : Im cost(theta + i h) / h, exact to rounding, where the cost takes complex parameters.
    tolerance : largest relative difference; None for 1e-7, or what the gradients' precision allows.
    norm : 1, 2 or numpy.inf, of the difference.
    method : "all" parameters; a random "sample" of each tensor; or "directional": random directions in each tensor,
        and bisection to a wrong entry.
    samples : entries in all for method="sample"; None for 1,000 of each tensor.
    directions : directions per tensor for method="directional"; None for three, or two of exact differences through
        everything.
    seed : of all random choices.
    threads : at most this many; None for all cores.
    memory_limit : bytes that stacks may take, beside some 24 vectors of n numbers; None for a quarter of the free
        memory, at most 1 GiB.
    time_limit : seconds that the check may take, to within one evaluation or a fifth of a second; the report says
        how many entries were checked.
    progress : True for a bar, or a function of (done, total), which may raise to stop.
    executor : any concurrent.futures.Executor to call a Python cost in.
    engine : "program": exact differences of a cost made of NumPy operations, which nothing rounds, most entries many
        at a time; "differences": costs are subtracted; None: exact ones where every operation has them, they take no
        more than about eight times as long as ordinary ones (or two seconds), and none of vectorized, executor,
        complex_step and order was asked for, else ordinary ones, with a note that says why.  ``report.engine`` says
        which.

    Returns
    -------
    Report

    Raises
    ------
    NoRule : with engine="program", for an operation that has no exact difference.
    EngineError : with engine="program", where literal subtraction contradicts exact differences.
    ValueError, TypeError : for input that does not fit, and for costs that return anything but one real number.
    NondeterministicError : if the cost gives two values at the same parameters.
    ChangedArgumentError : if the cost changes its argument.
    Whatever the cost raises, with a note that says at which parameter.

    Examples
    --------
    >>> import numpy as np
    >>> check_function(lambda theta: np.sum(theta**3), np.arange(4.0), 3 * np.arange(4.0) ** 2).verdict
    'pass'
    """
    started = time.perf_counter()
    selection = Selection.of(method, samples, directions, seed)
    chosen = None if engine is None else known("engine", engine, (PROGRAM, SUBTRACTED))
    norm, tolerance, vectorized = norm_of(norm), tolerance_of(tolerance), boolean("vectorized", vectorized)
    _require_cost_first(cost, parameters)
    require_numpy("parameters", parameters)
    layout = Layout.of(parameters)
    gradients, again = called(gradients, (parameters, *_tuple(args)), lambda found, _: layout.gradients(found).vector,
                              selection.seed, deadline(started, time_limit), keeping(gradients))
    at, promised = layout.parameters(parameters), layout.gradients(gradients)
    theta, gradient = at.vector, promised.vector
    precision = {**lowest_precision(at, promised), **getattr(cost, "precision", {})}
    rounding = cost.rounding if hasattr(cost, "user_code") else None
    coarse = None
    if at.precision and not (is_foreign(cost) or is_jitted(cost)):
        coarse, args = _in_its_precision(cost, layout, _tuple(args)), in_double_precision(_tuple(args))
    integers = integer_arrays(cost, _tuple(args))
    subject = AnalyticGradient(layout.tensors, theta, gradient, None, precision, rounding=rounding, integers=integers,
                               again=again or getattr(cost, "again", None))
    choice = Method(
        None if epsilon is None else epsilon_of(epsilon), _order(order),
        boolean("complex_step", complex_step), allowed_anywhere(subject, tolerance), deadline(started, time_limit),
        selection.seed,
    )
    if choice.epsilon is not None:
        remedy = "use a larger one, or epsilon=None, which chooses one per parameter"
        layout.require_visible(theta, choice.epsilon, remedy)
    limits = Run(threads_of(threads), memory_of(memory_limit))
    how = (vectorized, executor, choice.complex_step)
    evaluator = evaluator_of(cost, parameters, layout, theta, _tuple(args), how, limits)
    if chosen == PROGRAM and not follows(cost, evaluator, choice):
        raise ValueError(f'engine: expected "{SUBTRACTED}" or None, got "{PROGRAM}"; exact differences are those of a '
                         "Python cost with order=2, without vectorized, executor, complex_step and compiled code")
    with state_kept(cost, evaluator):
        # A framework's cost comes with its value, once the framework's door has seen it twice.
        value, seconds = (cost.examined, 0.0) if hasattr(cost, "examined") else examine(
            evaluator.at, theta, choice.deadline
        )
        evaluator = worth_compiling(evaluator, cost, limits.threads)
        coarse = coarse if isinstance(evaluator, PythonCost) else None
        problem = FunctionProblem(evaluator, layout, theta, gradient, value, seconds, coarse)
        with reporting(progress) as report:
            run = Run(limits.threads, limits.memory_limit, report)
            found = _differenced(cost, _tuple(args), problem, subject, choice, run, chosen, selection)
    subject, numerical, step, name = found
    made = Report.of(
        subject, numerical, epsilon=step, norm=norm, tolerance=tolerance, engine=name, method=method, seed=seed,
        seconds=time.perf_counter() - started,
    )
    return made if made.verdict == PASS else _with_word_on_solvers(made, cost)


def _in_its_precision(cost: Any, layout: Layout, args: tuple[Any, ...]) -> Callable[[Sequence[Array]], Any]:
    """Return a cost of one array for each tensor, with further arguments as they came."""
    return lambda values: cost(layout.filled(values), *args)


def _require_cost_first(cost: Any, parameters: Any) -> None:
    if callable(parameters) and not callable(cost):
        raise TypeError(f"cost: expected a function of (parameters, *args), got {type(cost).__name__}; the cost comes "
                        "first, then its parameters")


def _with_word_on_solvers(report: Report, cost: Any) -> Report:
    """Return a report of gradients that disagree by little with a word on the solver that the cost calls, if any."""
    solver = solver_of(cost) if report.difference <= LITTLE else None
    return report if solver is None else report.noted(
        f"The cost calls {solver}, whose answer is right to its own tolerance, and so is its slope: ask it for more "
        "digits (rtol, atol, tol) before you look for a mistake."
    )


def _differenced(
    cost: Any, args: tuple[Any, ...], problem: FunctionProblem, subject: AnalyticGradient, choice: Method, run: Run,
    chosen: str | None, selection: Selection,
) -> tuple[AnalyticGradient, NumericalGradient, float | Array, str]:
    """Differences by the engine that was chosen; unasked, exact ones where the cost is a program that has them."""
    note = ""
    unasked = chosen is None and follows(cost, problem.evaluator, choice) and time_for_exact(problem, choice)
    if chosen == PROGRAM or unasked:
        # Where threads share the columns BLAS is held at one, from the first run on: its rounding depends on that.
        alone = problem.theta.size < LARGE or hasattr(cost, "as_evaluator")
        try:
            with nullcontext() if alone else one_blas_thread():
                exact = as_program(cost, args, problem, choice, subject.precision)
                subject = replace(subject, paths=exact.paths)  # of ordinary differences too: it follows what it can
                if unasked and problem.seconds:
                    exact = replace(exact, seconds=problem.seconds)
                return (*_checked(exact, problem, subject, choice, run, selection), PROGRAM)
        except (NoRule, EngineError) as error:  # an operation without a rule, or the engine's cross-checks refuse
            if chosen == PROGRAM:
                raise
            note = f"Ordinary differences were taken: {error}."
        except TooSlow as error:
            note = f"Ordinary differences were taken: {error}."
            subject = replace(subject, paths=None)  # to follow the program would take as long
    subtracted = Subtracted(problem, choice, subject.precision)
    subject, found, step = _checked(subtracted, problem, subject, choice, run, selection)
    return subject, replace(found, notes=(*found.notes, note)) if note else found, step, SUBTRACTED


def _checked(
    differencing: Differencing, problem: FunctionProblem, subject: AnalyticGradient, choice: Method, run: Run,
    selection: Selection,
) -> tuple[AnalyticGradient, NumericalGradient, float | Array]:
    """Run a method: which entries, their differences, and what that proves."""
    tensors = problem.layout.tensors
    notes: list[str] = []
    facts: dict[str, Any] = {}
    probed = Probe()
    wanted: Indices = np.arange(problem.theta.size)
    if selection.method == "sample":
        wanted = choose(tensors, selection.count, np.random.default_rng(choice.seed))
    elif selection.method == "directional":
        generator = np.random.default_rng(choice.seed)
        proven = differencing.proof(selection.count, generator, bool(subject.precision), run)
        if proven is not None:
            return _proven(*proven, subject, choice.tolerance)
        probed, effort = differencing.probe(selection.count, generator, bool(subject.precision), run)
        wanted = entries_beside(probed, tensors, generator, dear=differencing.dear)
        kind = "exact cost differences" if differencing.name == PROGRAM else "cost evaluations"
        notes += [*probed.notes, f"{effort:,} {kind} went into directions."]
        facts["direction_evaluations"] = effort
    found, checked, step = differencing.differences(wanted, run, beside=selection.method == "directional")
    if checked.size < wanted.size:
        notes.append(f"The time limit let {checked.size:,} of {wanted.size:,} entries be checked, at random.")
    if checked.size < problem.theta.size and selection.method != "directional":
        notes.append(power(tensors, checked))
    if checked.size < problem.theta.size:
        subject = replace(subject, indices=checked)
    if notes or facts:
        found = replace(found, notes=(*notes, *found.notes), facts={**found.facts, **facts})
    return with_directions(probed, subject, found, step, choice.tolerance)


def _proven(
    proof: "Proof", step: float, subject: AnalyticGradient, tolerance: float
) -> tuple[AnalyticGradient, NumericalGradient, float | Array]:
    """Return what directions and a few entries, all of which agree, amount to."""
    effort = (f"{proof.columns:,} exact cost differences went into directions through all tensors at once, one of them "
              f"subtracted as well, and {proof.positions.size} entries.")
    found = replace(proof.found, notes=(*proof.probed.notes, effort))
    return with_directions(proof.probed, replace(subject, indices=proof.positions), found, step, tolerance)


@random_numbers_kept()
def check_vjp(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Any,
    *,
    epsilon: float | None = None,
    seed: int = 0,
    cache: bool = False,
    names: Sequence[str] | None = None,
    **options: Unpack[FunctionOptions],
) -> Report:
    """Check the backward pass of one layer: its vector-Jacobian product, at every entry of every input.

    Backward is also handed upstream gradients that are not contiguous, expanded from one number and zero, as
    frameworks do; where it gives another gradient then, the check fails and says why.

    Gradients that disagree, in single precision or by as little as float32 buffers make of double, are computed again
    at inputs a rounding apart: what is rounding varies, what is a mistake stays (``fastcheck.verdict.spread``).

    Parameters
    ----------
    forward : forward(*inputs) -> array, or tuple of arrays.
    backward : backward(cotangents, *inputs) -> the gradient of each floating input, in order: a tuple, or one array
        where there is one such input.  It may also give one entry for each input, None for those without influence, or
        a dictionary by the inputs' names ("W", "dW", "grad_W").  The cotangents have the structure and shapes of the
        outputs.
    inputs : tuple of arrays (or one array); integer and boolean ones are passed on and not checked.
    epsilon : the step; None chooses one per entry.
    seed : of the random cotangents, whose signs are mixed and whose sizes lie between 0.5 and 1.5.
    cache : whether forward returns a pair (output, cache), and backward is called as backward(cotangents, cache).
    names : of the inputs, one for each; None for those of forward's signature.
    options : as in ``check_function``.

    Returns
    -------
    Report : one tensor for each floating input, named as in forward's signature.

    Examples
    --------
    >>> import numpy as np
    >>> W, x = np.arange(6.0).reshape(2, 3), np.ones(3)
    >>> check_vjp(lambda W, x: W @ x, lambda d, W, x: (np.outer(d, x), W.T @ d), (W, x)).verdict
    'pass'
    """
    from ..problems.functions.upstream import IGNORED
    from ..problems.functions.vjp import vjp_problem  # imported where used, as the engines are

    only_options("check_vjp", options, (*FUNCTION_OPTIONS, "epsilon", "vectorized"))
    started = time.perf_counter()
    limit = options.get("time_limit")
    cost, parameters, gradients, notes = vjp_problem(
        forward, backward, inputs, integer("seed", seed, 0), cache=boolean("cache", cache), names=names,
        # Half of the time at most is for other upstream gradients: the differences come first.
        deadline=started + 0.5 * (deadline(started, limit) - started), keeping=keeping(forward, backward),
    )
    options["time_limit"] = time_left(started, limit)
    try:
        report = check_function(cost, parameters, gradients[0], epsilon=epsilon, seed=seed, **options)
        for shown in gradients[1:] if report.verdict != FAIL else ():
            options["time_limit"] = time_left(started, limit)
            report = check_function(cost, parameters, shown, epsilon=epsilon, seed=seed, **options)
    except (NondeterministicError, ChangedArgumentError) as error:
        error.add_note("fastcheck: the cost is the sum of forward's outputs, times fixed random numbers")
        raise
    if IGNORED in notes:
        notes.remove(IGNORED)
        report = report.explained(IGNORED)
    return report.noted(*notes) if notes else report


# What is said of gradients that are right in a layer's first run, and not in its second.
STALE = ("is right from a new layer, and wrong from one that ran before with other inputs: it keeps something of its "
         "first run (a cache, a mask) that each forward pass should renew")


def check_layer(
    make: Any,
    inputs: Any,
    *,
    forward: str | Callable[..., Any] = "forward",
    backward: str | Callable[..., Any] = "backward",
    params: str | Sequence[str] | None = None,
    grads: str | None = None,
    epsilon: float | None = None,
    seed: int = 0,
    **options: Unpack[FunctionOptions],
) -> Report:
    """Check the backward pass of a layer that is a class: the gradients of its inputs and of its parameters.

    Every run has a layer of its own, so that nothing which one run leaves behind reaches another.  Where all is right,
    a layer that ran before with other inputs has to give the same gradients too, if its output is the same; but
    one pass back may leave something to the next, as cells do that carry a gradient to the time step before.  What the
    layer's code keeps elsewhere, in its class or its module, is put back at the end, and so are the random numbers it
    draws.

    Parameters
    ----------
    make : a class or function that makes the layer, ``lambda: Affine(W, b)``; or a layer, which is copied for each run.
    inputs : tuple of arrays (or one array) that forward takes; integer and boolean ones are passed on and not checked.
    forward : the method's name, or a function of the layer and the inputs.
    backward : the method's name, or a function of the layer and the gradient of its output.  It returns the gradients
        of the inputs: one, or a tuple, or a dictionary by their names; those that are not floating may be left out.
        Where the output is one number, as of a loss, it may take no gradient, and give those of the output itself.
        Gradients of parameters may come after them, in order or in a dictionary by their names.
    params : the attribute that holds the parameters, a dictionary or list; or the names of single attributes.  None to
        look where layers keep them: in ``params`` and the like, in attributes beside whose names there are gradients
        (W and dW, grad_W or W_grad), in objects with ``data`` and ``grad``, in the layers that a layer holds.  An array
        that stands in several places, or of which some hold views, is one parameter: its gradient is that of the
        outermost layer that has one, or the sum where layers side by side do.
    grads : the attribute that holds the gradients after backward; None to look for them likewise.  They may be added
        to what was there before.
    epsilon, seed, options : as in ``check_vjp``.

    Returns
    -------
    Report : one tensor for each floating input, and for each parameter.

    Raises
    ------
    ValueError, TypeError : for a layer without such methods, parameters or gradients, by name.

    Examples
    --------
    >>> import numpy as np
    >>> class Affine:
    ...     def __init__(self, W, b):
    ...         self.W, self.b = W, b
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x @ self.W + self.b
    ...     def backward(self, d):
    ...         self.dW, self.db = self.x.T @ d, d.sum(axis=0)
    ...         return d @ self.W.T
    >>> layer = Affine(np.arange(6.0).reshape(3, 2), np.ones(2))
    >>> report = check_layer(layer, np.eye(4, 3))
    >>> report.verdict, [tensor.name for tensor in report.tensors]
    ('pass', ['x', 'W', 'b'])
    """
    from ..problems.functions.layer_calls import LayerCalls  # imported where used, as the engines are

    only_options("check_layer", options, (*FUNCTION_OPTIONS, "epsilon", "vectorized"))
    started = time.perf_counter()
    given = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    with left_as_found((make,)):
        calls = LayerCalls(make, given, forward, backward, params, grads)
        with left_as_found(calls.code):
            calls.find()
            limit = options.get("time_limit")
            check_of = partial(check_vjp, calls.forward_of, inputs=calls.values, names=calls.names, epsilon=epsilon,
                               seed=seed)
            options["time_limit"] = time_left(started, limit)
            report = check_of(calls.backward_of, **options)
            if report.ok and calls.is_stale():
                options["time_limit"] = time_left(started, limit)
                report = check_of(calls.backward_of_used, **options).explained(STALE)
            calls.require_own([tensor.name for tensor in report.failures])
    return report.noted(*calls.notes) if calls.notes else report


def _tuple(args: Any) -> tuple[Any, ...]:
    if not isinstance(args, (tuple, list)):
        raise TypeError(f"args: expected a tuple of further arguments, as in args=(X, Y), got {type(args).__name__}")
    return tuple(args)


def _order(order: Any) -> int:
    if isinstance(order, (bool, np.ndarray)) or order not in ORDERS:
        raise ValueError(f"order: expected one of {', '.join(map(str, ORDERS))}, got {order!r}")
    return int(order)
