"""Functions written in C: where they and their data lie in memory, and whether their signature is the one called."""

import ctypes
import sys
from typing import Any

import numpy as np

SIGNATURE = "double f(int n, double *theta, void *data)"
_NORMAL = "double(int,double*,void*)"


def is_foreign(cost: Any) -> bool:
    """Tell whether a cost is a C function of one of the kinds that can be called without Python."""
    return _kind(cost) != ""


def _kind(cost: Any) -> str:
    if isinstance(cost, ctypes._CFuncPtr):  # type: ignore[attr-defined]  # no public name
        return "ctypes"
    scipy = sys.modules.get("scipy._lib._ccallback")
    if scipy is not None and isinstance(cost, scipy.LowLevelCallable):
        return "scipy"
    cffi = sys.modules.get("_cffi_backend")
    if cffi is not None and isinstance(cost, cffi._CDataBase):
        return "cffi"
    ccallback = sys.modules.get("numba.core.ccallback")
    return "numba" if ccallback is not None and isinstance(cost, ccallback.CFunc) else ""


def address_of(cost: Any) -> tuple[int, int]:
    """Address of a C function, and of its data (0 for none).

    Raises
    ------
    TypeError : where it does not have the one signature that is called.
    """
    kind = _kind(cost)
    if kind in ("ctypes", "numba"):
        return _ctypes_address(cost if kind == "ctypes" else cost.ctypes), 0
    if kind == "cffi":
        from scipy import LowLevelCallable  # reads signatures of cffi's pointers

        cost = LowLevelCallable(cost)
    return _scipy_address(cost)


def _ctypes_address(cost: Any) -> int:
    if cost.restype is not ctypes.c_double:
        raise TypeError(f"cost: expected {SIGNATURE}, got a ctypes function that returns {cost.restype}; set "
                        "cost.restype = ctypes.c_double")
    pointers = (ctypes.c_void_p, ctypes.POINTER(ctypes.c_double))
    kinds = cost.argtypes
    if kinds is not None and not (len(kinds) == 3 and kinds[0] is ctypes.c_int and kinds[1] in pointers
                                  and kinds[2] is ctypes.c_void_p):
        raise TypeError(f"cost: expected {SIGNATURE}, got a ctypes function of {[k.__name__ for k in kinds]}")
    return int(ctypes.cast(cost, ctypes.c_void_p).value or 0)


def _scipy_address(cost: Any) -> tuple[int, int]:
    if cost.signature.replace(" ", "") != _NORMAL:
        raise TypeError(f"cost: expected {SIGNATURE}, got a C function of signature {cost.signature!r}")
    capsule = tuple.__getitem__(cost, 0)  # LowLevelCallable itself refuses to be indexed
    python = ctypes.pythonapi
    python.PyCapsule_GetName.restype, python.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    python.PyCapsule_GetPointer.restype = ctypes.c_void_p
    python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    python.PyCapsule_GetContext.restype, python.PyCapsule_GetContext.argtypes = ctypes.c_void_p, [ctypes.py_object]
    name = python.PyCapsule_GetName(capsule)
    return int(python.PyCapsule_GetPointer(capsule, name)), int(python.PyCapsule_GetContext(capsule) or 0)


def data_address(args: tuple[Any, ...]) -> int:
    """Address of what the data pointer of a C function shall point at: the one object in ``args``, or nothing (0)."""
    if not args:
        return 0
    if len(args) > 1:
        raise TypeError(f"args: expected at most one for a C function, its data pointer, got {len(args)}")
    data = args[0]
    if isinstance(data, np.ndarray):
        if not data.flags.c_contiguous:
            raise ValueError("args: expected a C-contiguous array, got another; pass numpy.ascontiguousarray(...)")
        return int(data.ctypes.data)
    if isinstance(data, int):
        return data
    if isinstance(data, (ctypes.c_void_p, ctypes._Pointer)):
        return int(ctypes.cast(data, ctypes.c_void_p).value or 0)
    if isinstance(data, (ctypes.Array, ctypes.Structure, ctypes._SimpleCData)):
        return ctypes.addressof(data)
    raise TypeError(f"args: expected an array, a ctypes object or an address for a C function, which its data "
                    f"pointer will be, got {type(data).__name__}")
