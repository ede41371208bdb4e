"""Jacobians by the complex step, exact to rounding: Im f(x + i h) / h with h = 1e-100 cancels nothing."""

import builtins
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import special

from tests.gallery.case import Case

STEP = 1e-100
MAKERS = ("zeros", "empty", "ones", "zeros_like", "empty_like", "ones_like")


class ComplexBuffers:
    """NumPy whose makers of floating buffers make complex ones, in which nothing loses its imaginary part.

    It stands in for the name ``np`` in the gallery's modules alone: NumPy's own code fills what ``np.empty`` gives it.
    """

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if name not in MAKERS:
            return found

        def made(*arguments: Any, **options: Any) -> Any:
            array = found(*arguments, **options)
            return array.astype(complex) if array.dtype.kind == "f" else array

        return made


# What takes no complex numbers though it is analytic, by the names that the gallery's modules use.
STAND_INS: dict[str, Any] = {
    "np": ComplexBuffers(),
    "float": lambda value: value if np.iscomplexobj(value) else builtins.float(value),
    "expit": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "logsumexp": lambda z, axis=None, keepdims=False:
        np.log(np.exp(z - z.real.max()).sum(axis=axis, keepdims=keepdims)) + z.real.max(),
    "erf": special.erf,
}


@contextlib.contextmanager
def complex_programs() -> Iterator[None]:
    """In here the gallery's programs keep imaginary parts: buffers are complex, float() keeps the number."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(f"{__package__}.")
               and module is not sys.modules[__name__]]
    saved = [(vars(module), name, vars(module)[name]) for module in modules for name in STAND_INS
             if name in vars(module)]
    try:
        for namespace, name, _ in saved:
            namespace[name] = STAND_INS[name]
        for module in modules:
            vars(module)["float"] = STAND_INS["float"]
        yield
    finally:
        for namespace, name, value in saved:
            namespace[name] = value
        for module in modules:
            del vars(module)["float"]


def jacobian(case: Case) -> dict[str, list[Any]]:
    """For each tensor and output, d output / d tensor of shape (tensor.size, *output.shape)."""
    function = case.analytic or case.forward
    found = {}
    with complex_programs():
        for name, value in case.tensors.items():
            rows = []
            for k in range(np.size(value)):
                tensors = {each: np.array(given, complex) for each, given in case.tensors.items()}
                tensors[name].reshape(-1)[k] += 1j * STEP
                rows.append([np.imag(output) / STEP for output in case.call(function, tensors)])
            found[name] = [np.stack(outputs) for outputs in zip(*rows, strict=True)]
    return found


def gradients(found: dict[str, list[Any]], case: Case, cotangents: tuple[Any, ...]) -> dict[str, Any]:
    """The true gradient of sum(cotangents * outputs) with respect to each tensor."""
    return {
        name: sum(np.reshape(rows.reshape(rows.shape[0], -1) @ np.ravel(d), np.shape(case.tensors[name]))
                  for rows, d in zip(found[name], cotangents, strict=True))
        for name in found
    }


def cotangents(case: Case) -> tuple[Any, ...]:
    """Random ones of every output, with both signs."""
    generator = np.random.default_rng(1)
    return tuple(generator.choice((-1.0, 1.0), np.shape(out)) * generator.uniform(0.5, 1.5, np.shape(out))
                 for out in case.call(case.forward, {}))


def distance(found: Any, wanted: Any) -> float:
    """Largest difference in units of the tensor's scale."""
    return float(np.max(np.abs(found - wanted)) / np.max(np.abs(wanted)))
