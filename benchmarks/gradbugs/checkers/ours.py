"""fastcheck's default call for each kind of program, with no option set."""

import re
from typing import Any

import fastcheck as fc

from ..subjects import Cost, Dense, JaxFunction, Layer, Subject, TorchFunction, TorchModule, Version
from .answer import Answer, Opinion

OPINIONS: dict[str, Opinion] = {"pass": "right", "fail": "wrong", "inconclusive": "inconclusive"}


def fastcheck(subject: Subject, version: Version) -> Answer:
    """The call that the README gives for such a program; its message is what a report says beside its table."""
    if isinstance(subject, TorchFunction):
        return _raised(lambda: _gradcheck(subject, version))
    if isinstance(subject, JaxFunction):
        return _raised(lambda: _check_grads(subject, version))
    report = _report(subject, version)
    said = [*(t.diagnosis for t in report.failures), *report.advice]
    return Answer(OPINIONS[report.verdict], "\n".join(filter(None, said)), tuple(t.name for t in report.failures))


def _report(subject: Layer | Cost | Dense | TorchModule, version: Version) -> Any:
    if isinstance(subject, Layer):
        return fc.check_vjp(subject.forward, getattr(subject, version), subject.inputs())
    if isinstance(subject, Cost):
        return fc.check_function(subject.cost, subject.parameters(), getattr(subject, version)(subject.parameters()))
    if isinstance(subject, Dense):
        net, parameters, X, Y = subject.network()
        return fc.check(net, parameters, getattr(subject, version)(parameters, X, Y), X, Y)
    from fastcheck.torch import check_module

    inputs, targets = subject.data()
    return check_module(subject.make(version), subject.loss, inputs, targets)


def _gradcheck(subject: TorchFunction, version: Version) -> None:
    from fastcheck.torch import gradcheck

    gradcheck(getattr(subject, version), subject.inputs())


def _check_grads(subject: JaxFunction, version: Version) -> None:
    from fastcheck.jax import check_grads

    check_grads(getattr(subject, version), subject.arguments(), order=1, modes=("rev",))


def _raised(check: Any) -> Answer:
    """The answer of a checker that raises; its message names the input by its number."""
    try:
        check()
    except (AssertionError, RuntimeError) as error:  # GradcheckError is a RuntimeError
        text = str(error)
        if "inconclusive" in text.lower():
            return Answer("inconclusive", text)
        return Answer("wrong", text, tuple(_inputs_in(text)))
    return Answer("right")


def _inputs_in(text: str) -> list[str]:
    """The inputs that a message accuses, as "input 2"."""
    return [f"input {number}" for number in re.findall(r"(?:respect to input|argument|input) (\d+)", text)]
