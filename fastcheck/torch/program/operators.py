"""The table of ATen operators: how each one's change comes from its operands'.

To add an operator, write one entry: ``elementwise`` with the name of its rule in ``fastcheck.rules``, ``linear`` with
the places of the arguments that it is linear in, or a function of a ``Call`` for what is neither.
"""

import math
from typing import Any

import torch

from . import alignments, bags, contractions, grouped, linear_algebra, normalisation, ordering, structure
from .call import Call, Handler, elementwise, linear, ruled

aten, prims = torch.ops.aten, torch.ops.prims


def _scaled_sum(sign: float) -> Handler:
    """a + alpha b, or a - alpha b."""

    def handler(call: Call) -> Any:
        a, b = call.args[:2]
        da, db = call.changes[:2]
        factor = sign * call.option(2, "alpha", 1)
        if db is not None and factor != 1.0:
            db = db * factor
        return ruled("add", (a, b), (da, db), call.out, call)

    return handler


def _reversed_subtraction(call: Call) -> Any:
    da = None if call.changes[0] is None else -call.changes[0] * call.option(2, "alpha", 1)
    return ruled("add", call.args[:2], (da, call.changes[1]), call.out, call)


def _clamp(call: Call) -> Any:
    values = (call.args[0], call.option(1, "min"), call.option(2, "max"))
    changes = (call.changes[0], *(call.changes[k] if k < len(call.changes) else None for k in (1, 2)))
    return ruled("clip", values, changes, call.out, call)


def _only_where_unmasked(call: Call) -> Any:
    """masked_fill: the fill's change under the mask, the tensor's elsewhere."""
    condition, d_condition = call.args[1], call.changes[1]
    values = (condition, call.args[2], call.args[0])
    changes = (d_condition, call.changes[2] if len(call.changes) > 2 else None, call.changes[0])
    return ruled("where", values, changes, call.out, call)


def _relu6(call: Call) -> Any:
    return ruled("clip", (call.args[0], 0.0, 6.0), (call.changes[0], None, None), call.out, call)


def _hardtanh(call: Call) -> Any:
    bounds = call.option(1, "min_val", -1.0), call.option(2, "max_val", 1.0)
    return ruled("clip", (call.args[0], *bounds), (call.changes[0], None, None), call.out, call)


def _with(name: str, **places: tuple[int, Any]) -> Handler:
    """Return an elementwise operator with options: the rule's option by the argument's place and default."""

    def handler(call: Call) -> Any:
        call.only(0)
        options = {option: call.option(place, "", default) for option, (place, default) in places.items()}
        return ruled(name, call.args[:1], call.changes[:1], call.out, call, **options)

    return handler


def _gelu(call: Call) -> Any:
    name = "gelu" if call.option(1, "approximate", "none") == "none" else "gelu_tanh"
    return ruled(name, call.args[:1], call.changes[:1], call.out, call)


def _rrelu(call: Call) -> Any:
    """Leaky ReLU with slopes that were drawn, which the second argument holds afterwards, or the middle one."""
    call.only(0)
    lower, upper = call.option(2, "lower", 0.125), call.option(3, "upper", 1.0 / 3.0)
    slope = call.args[1] if call.option(4, "training", False) else 0.5 * (lower + upper)
    return ruled("leaky_relu", call.args[:1], call.changes[:1], call.out, call, slope=slope)


def _angle(call: Call) -> Any:
    """Return the angle of complex numbers; that of real ones is zero or pi."""
    (z,), (dz,) = call.args, call.changes
    if not z.is_complex():
        return math.pi * ruled("less", (z, 0.0), (dz, None), z < 0.0, call)
    return ruled("arctan2", (z.imag, z.real), (dz.imag, dz.real), call.out, call)


def _convert(call: Call) -> Any:
    """A cast to real or complex numbers carries the change; to integers or truths it is piecewise constant."""
    if call.out.dtype in (torch.float64, torch.complex128):
        return call.changes[0].to(call.out.dtype)
    return ruled("trunc", (call.args[0].to(torch.float64),), call.changes[:1], call.out.to(torch.float64), call)


def _log_sigmoid(call: Call) -> Any:
    """Return the logarithm of a sigmoid, and exp(-|x|), which its backward pass reads."""
    (x,), (dx,) = call.args, call.changes
    change = ruled("log_expit", (x,), (dx,), call.out, call)
    if not call.read[1]:
        return [change, None]
    size = x.abs()
    smaller = -ruled("absolute", (x,), (dx,), size, call)
    return [change, ruled("exp", (-size,), (smaller,), call.outputs[1], call)]


def _direction(call: Call) -> Any:
    """Return the sign of real numbers, z / |z| of complex ones."""
    (z,), (dz,) = call.args, call.changes
    if not z.is_complex():
        return ruled("sign", (z,), (dz,), call.out, call)
    size = z.abs()
    return ruled("divide", (z, size), (dz, ruled("absolute", (z,), (dz,), size, call)), call.out, call)


UNARY = {
    "neg": "negative", "exp": "exp", "exp2": "exp2", "expm1": "expm1", "log": "log", "log2": "log2", "log10": "log10",
    "log1p": "log1p", "sqrt": "sqrt", "rsqrt": "rsqrt", "reciprocal": "reciprocal", "square": "square", "sin": "sin",
    "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "sinh": "sinh", "cosh": "cosh",
    "tanh": "tanh", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh", "erf": "erf", "erfc": "erfc",
    "sigmoid": "sigmoid", "relu": "relu", "abs": "absolute", "sign": "sign", "floor": "floor", "ceil": "ceil",
    "trunc": "trunc", "round": "rint", "lgamma": "gammaln", "digamma": "digamma", "logical_not": "logical_not",
    "bitwise_not": "invert", "isnan": "isnan", "isinf": "isinf", "signbit": "signbit", "silu": "silu",
    "special_log_ndtr": "log_ndtr", "special_ndtr": "ndtr", "special_erfcx": "erfcx", "special_entr": "entr",
    "mish": "mish", "hardswish": "hardswish", "hardsigmoid": "hardsigmoid", "cbrt": "cbrt", "isfinite": "isfinite",
    "deg2rad": "deg2rad", "rad2deg": "rad2deg", "erfinv": "erfinv", "special_ndtri": "ndtri", "i0": "i0",
    "special_i1": "i1", "special_i0e": "i0e", "special_i1e": "i1e",
    "special_modified_bessel_i0": "i0", "special_modified_bessel_i1": "i1", "special_modified_bessel_k0": "k0",
    "special_modified_bessel_k1": "k1", "special_scaled_modified_bessel_k0": "k0e",
    "special_scaled_modified_bessel_k1": "k1e",
}
BINARY = {
    "mul": "multiply", "div": "divide", "maximum": "maximum", "minimum": "minimum", "fmax": "fmax", "fmin": "fmin",
    "pow": "power", "atan2": "arctan2", "hypot": "hypot", "logaddexp": "logaddexp", "logaddexp2": "logaddexp2",
    "copysign": "copysign", "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal", "logical_and": "logical_and", "logical_or": "logical_or", "logical_xor": "logical_xor",
    "bitwise_and": "bitwise_and", "bitwise_or": "bitwise_or", "bitwise_xor": "bitwise_xor", "fmod": "fmod",
    "remainder": "remainder", "xlogy": "xlogy", "special_xlog1py": "xlog1py", "heaviside": "heaviside",
    "special_zeta": "zeta", "polygamma": "polygamma", "igamma": "gammainc", "igammac": "gammaincc",
}
LINEAR = (
    "roll", "index", "gather", "take", "repeat", "diagonal", "tril", "triu", "movedim", "trace", "diag_embed",
    "rot90", "pixel_shuffle", "pixel_unshuffle",
    "channel_shuffle", "nansum", "_fft_r2c", "_fft_c2c", "_fft_c2r", "view_as_complex", "_conj",
    "_neg_view", "real", "imag", "as_strided_copy", "diagonal_copy", "conj", "resolve_conj",
    "_conj_physical",
)
# They leave a tensor without axes as it is.
THEMSELVES = (
    "cumsum", "cumprod", "cummax", "cummin", "sort", "topk", "median", "max", "min", "amax", "amin", "prod", "sum",
    "mean", "logsumexp", "flip", "roll", "nansum",
    "nanmedian", "kthvalue",
)
SAME_ORDER = (
    "view", "_unsafe_view", "reshape", "_reshape_alias", "view_copy", "contiguous", "flatten", "unflatten",
    "unsqueeze", "squeeze", "unsqueeze_copy", "squeeze_copy", "alias", "detach", "clone", "lift_fresh",
    "collapse_view", "split_dim", "view_of", "alias_copy",
)
ALONG = {
    "slice": (1, 0), "select": (1, 0), "cumsum": (1, 0), "unbind": (1, 0), "split": (2, 0), "split_with_sizes": (2,
    0), "unsafe_split": (2, 0), "unsafe_split_with_sizes": (2, 0), "index_select": (1, 0), "unfold": (1, 0), "cat":
    (1, 0), "slice_copy": (1, 0), "select_copy": (1, 0), "narrow": (1, 0), "chunk": (2, 0),
}
IMAGES = {
    "avg_pool1d": 1, "avg_pool2d": 2, "avg_pool3d": 3, "_adaptive_avg_pool2d": 2, "_adaptive_avg_pool3d": 3,
    "reflection_pad1d": 1, "reflection_pad2d": 2, "reflection_pad3d": 3, "replication_pad1d": 1,
    "replication_pad2d": 2, "replication_pad3d": 3, "upsample_nearest1d": 1, "upsample_nearest2d": 2,
    "upsample_nearest3d": 3, "upsample_linear1d": 1, "upsample_bilinear2d": 2, "upsample_trilinear3d": 3,
    "upsample_bicubic2d": 2, "_upsample_bilinear2d_aa": 2, "_upsample_bicubic2d_aa": 2, "_upsample_lanczos2d_aa": 2,
    "im2col": 2, "col2im": 1,
}
# Gradients of averages and of images stretched or padded: linear in the output's gradient, of the input the shape.
LINEAR_BACKWARD = (
    "avg_pool2d_backward", "avg_pool3d_backward", "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward",
    "upsample_nearest1d_backward", "upsample_nearest2d_backward", "upsample_nearest3d_backward",
    "upsample_linear1d_backward", "upsample_bilinear2d_backward", "upsample_trilinear3d_backward",
    "upsample_bicubic2d_backward", "_upsample_bilinear2d_aa_backward", "_upsample_bicubic2d_aa_backward",
    "_upsample_lanczos2d_aa_backward", "replication_pad1d_backward", "replication_pad2d_backward",
    "replication_pad3d_backward", "reflection_pad1d_backward", "reflection_pad2d_backward",
    "reflection_pad3d_backward", "_embedding_bag_dense_backward",
)
STILL = (
    "full_like", "zeros_like", "ones_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty", "zero",
    "fill", "rand_like", "randn_like", "bernoulli", "new_empty_strided", "rand", "empty_strided",
    "normal_functional", "uniform", "normal", "randint_like",
)


# Operators whose results are numbers that they were given, in other places and perhaps with the other sign.
GIVEN = (
    *SAME_ORDER, *(name for name in ALONG if name != "cumsum"), "roll", "index", "_unsafe_index", "gather", "take",
    "repeat", "diagonal", "diagonal_copy", "tril", "triu", "movedim", "diag_embed", "rot90", "flip", "pixel_shuffle",
    "pixel_unshuffle", "channel_shuffle", "t", "t_copy", "transpose", "transpose_copy", "permute", "permute_copy",
    "expand", "expand_copy", "broadcast_in_dim", "stack", "embedding", "copy", "as_strided", "as_strided_copy",
    "as_strided_scatter", "slice_scatter", "select_scatter", "diagonal_scatter", "scatter", "masked_scatter",
    "index_copy", "index_fill", "masked_fill", "constant_pad_nd", "im2col", "reflection_pad1d", "reflection_pad2d",
    "reflection_pad3d", "replication_pad1d", "replication_pad2d", "replication_pad3d", "upsample_nearest1d",
    "upsample_nearest2d", "upsample_nearest3d", "_to_copy", "convert_element_type", "view_as_real", "view_as_complex",
    "real", "imag", "conj", "_conj", "_conj_physical", "resolve_conj", "neg", "_neg_view", "abs", "relu", "where",
    "clamp", "clamp_min", "clamp_max", "hardtanh", "relu6", "threshold", "maximum", "minimum", "fmax", "fmin", "max",
    "min", "amax", "amin", "sort", "topk", "median", "nanmedian", "kthvalue", "cummax", "cummin", "copysign", "sign",
    "sgn", "floor", "ceil", "trunc", "round", "max_pool2d_with_indices", "max_pool3d_with_indices",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "fractional_max_pool2d", "fractional_max_pool3d",
)  # fmt: skip


def overloads(namespace: Any, name: str) -> list[Any]:
    """Return the overloads of an operator that return what they make; none where this PyTorch has no such operator."""
    packet = getattr(namespace, name, None)
    return [] if packet is None else [getattr(packet, o) for o in packet.overloads() if "out" not in o]


def _table() -> dict[Any, Handler]:
    table: dict[Any, Handler] = {}
    for name in LINEAR:
        table.update(dict.fromkeys(overloads(aten, name), linear(0)))
    for namespace in (aten, prims):
        for name in SAME_ORDER:
            table.update(dict.fromkeys(overloads(namespace, name), structure.reshape))
        for name, rule in UNARY.items():
            table.update(dict.fromkeys(overloads(namespace, name), elementwise(rule)))
        for name, rule in BINARY.items():
            table.update(dict.fromkeys(overloads(namespace, name), elementwise(rule, 2)))
    for name, (place, default) in ALONG.items():
        table.update(dict.fromkeys(overloads(aten, name), structure.along(place, "dim", default)))
    for name in LINEAR_BACKWARD:
        table.update(dict.fromkeys(overloads(aten, name), linear(0, shapes=(1,))))
    for name, count in IMAGES.items():
        table.update(dict.fromkeys(overloads(aten, name), structure.by_samples(count)))
    for name, handler in SPECIAL.items():
        table.update(dict.fromkeys(overloads(aten, name), handler))
    for name, handler in SPECIAL_PRIMS.items():
        table.update(dict.fromkeys(overloads(prims, name), handler))
    for name in THEMSELVES:
        for overload in (*overloads(aten, name), *overloads(prims, name)):
            if overload in table:
                table[overload] = structure.of_numbers(table[overload])
    for overload in ("Tensor_mode", "Scalar_mode"):  # rounding towards zero or down
        table.pop(getattr(aten.div, overload), None)
    return table


SPECIAL: dict[str, Handler] = {
    "add": _scaled_sum(1.0), "sub": _scaled_sum(-1.0), "rsub": _reversed_subtraction, "clamp": _clamp,
    "clamp_min": lambda call: ruled("clip", (*call.args[:2], None), (*call.changes[:2], None), call.out, call),
    "clamp_max": lambda call: ruled("clip", (call.args[0], None, call.args[1]),
                                    (call.changes[0], None, call.changes[1]), call.out, call),
    "where": lambda call: ruled("where", call.args, call.changes, call.out, call),
    "masked_fill": _only_where_unmasked, "constant_pad_nd": structure.padded, "hardtanh": _hardtanh, "relu6":
    _relu6,
    "rrelu_with_noise": _rrelu, "leaky_relu": _with("leaky_relu", slope=(1, 0.01)), "gelu": _gelu,
    "elu": _with("elu", alpha=(1, 1.0), scale=(2, 1.0), input_scale=(3, 1.0)), "celu": _with("celu", alpha=(1, 1.0)),
    "softplus": _with("softplus", beta=(1, 1.0), threshold=(2, 20.0)),
    "softshrink": _with("softshrink", lambd=(1, 0.5)), "hardshrink": _with("hardshrink", lambd=(1, 0.5)),
    "threshold": _with("threshold", threshold=(1, 0.0), value=(2, 0.0)), "_to_copy": _convert,
    "view_as_real": structure.pairs,
    "stack": structure.along(1, new=True), "copy": structure.copy, "as_strided": structure.as_strided,
    "as_strided_scatter": structure.as_strided_scatter, "slice_scatter": linear(0, 1), "select_scatter": linear(0, 1),
    "diagonal_scatter": linear(0, 1), "index_put": linear(0, 2), "scatter": structure.overwritten,
    "masked_scatter": linear(0, 2), "put": linear(0, 2), "scatter_reduce": grouped.scatter_reduce,
    "index_reduce": grouped.index_reduce, "scatter_add": linear(0, 3), "index_add": linear(0, 3),
    "index_copy": structure.index_copy, "index_fill": structure.overwritten, "angle": _angle,
    "_unsafe_index": linear(0), "_unsafe_index_put": linear(0, 2), "_embedding_bag": bags.embedding_bag,
    "_embedding_bag_forward_only": bags.embedding_bag, "segment_reduce": bags.segment_reduce,
    "sum": structure.reduced, "mean": structure.reduced, "t": structure.transposed, "transpose": structure.transposed,
    "transpose_copy": structure.transposed, "t_copy": structure.transposed, "permute": structure.permuted,
    "permute_copy": structure.permuted, "expand": structure.expanded, "expand_copy": structure.expanded,
    "embedding": structure.embedded, "flip": structure.flipped,
    "mm": contractions.matmul, "bmm": contractions.matmul, "matmul": contractions.matmul, "mv": contractions.vector,
    "dot": contractions.dot, "vdot": contractions.dot, "addmm": contractions.addmm, "baddbmm": contractions.addmm,
    "_sparse_addmm": contractions.addmm,
    "convolution": contractions.convolution, "_trilinear": contractions.trilinear, "outer": contractions.outer,
    "_softmax": normalisation.softmax, "_log_softmax": normalisation.log_softmax, "var": normalisation.variance,
    "std": normalisation.deviation, "logsumexp": normalisation.logsumexp,
    "native_layer_norm": normalisation.layer_norm, "native_group_norm": normalisation.group_norm,
    "native_batch_norm": normalisation.batch_norm,
    "max": ordering.extreme("max"), "min": ordering.extreme("min"), "amax": ordering.extreme("max"),
    "amin": ordering.extreme("min"), "sort": ordering.sort, "topk": ordering.topk, "argmax": ordering.discrete,
    "argmin": ordering.discrete, "any": ordering.discrete, "all": ordering.discrete, "prod": ordering.product,
    "cumprod": ordering.cumulative_product, "max_pool2d_with_indices": ordering.max_pool,
    "max_pool3d_with_indices": ordering.max_pool, "adaptive_max_pool2d": ordering.adaptive_max_pool,
    "adaptive_max_pool3d": ordering.adaptive_max_pool,
    "fractional_max_pool2d": ordering.fractional_max_pool, "fractional_max_pool3d": ordering.fractional_max_pool,
    "cummax": ordering.running("max"), "cummin": ordering.running("min"), "median": ordering.median,
    "nanmedian": ordering.nanmedian,
    "kthvalue": ordering.kth_value, "searchsorted": ordering.discrete, "bucketize": ordering.discrete,
    "logcumsumexp": ordering.cumulative_logsumexp, "linalg_vector_norm": normalisation.vector_norm,
    "_cdist_forward": normalisation.distances, "_pdist_forward": normalisation.distances_within,
    "linalg_inv_ex": linear_algebra.of_matrix("inv"), "linalg_matrix_exp": linear_algebra.of_matrix("expm"),
    "_linalg_det": linear_algebra.determinant, "_linalg_slogdet": linear_algebra.slogdet,
    "linalg_pinv": linear_algebra.of_matrix("pinv"), "linalg_lu": linear_algebra.lu,
    "linalg_lu_factor_ex": linear_algebra.lu_factors, "lu_unpack": linear_algebra.unpacked,
    "linalg_cholesky_ex": linear_algebra.cholesky, "cholesky_solve": linear_algebra.cholesky_solve,
    "_linalg_solve_ex": linear_algebra.solve, "linalg_solve_triangular": linear_algebra.solve_triangular,
    "_linalg_eigh": linear_algebra.eigenvalues, "_linalg_svd": linear_algebra.singular_values,
    "linalg_qr": linear_algebra.qr, "linalg_lstsq": linear_algebra.least_squares,
    "nll_loss_forward": structure.labelled, "nll_loss2d_forward": structure.labelled,
    "convolution_backward": contractions.convolution_backward, "log_sigmoid_forward": _log_sigmoid, "sgn": _direction,
    "_ctc_loss": alignments.ctc_loss, "_safe_softmax": normalisation.safe_softmax,
}
SPECIAL_PRIMS: dict[str, Handler] = {
    "add": _scaled_sum(1.0), "sub": _scaled_sum(-1.0), "convert_element_type": _convert,
    "where": lambda call: ruled("where", call.args, call.changes, call.out, call),
    "cat": structure.along(1), "transpose": structure.permuted, "broadcast_in_dim": structure.broadcast,
    "sum": structure.reduced,
    "amax": ordering.extreme("max"), "amin": ordering.extreme("min"),
    "var": normalisation.variance_prim, "prod": ordering.product,
}
OPERATORS = _table()
# Operators that only look at shapes, or draw random numbers.
CONSTANT = frozenset(overload for name in STILL for overload in overloads(aten, name))
# Those that round nothing.
EXACT = frozenset(overload for namespace in (aten, prims) for name in GIVEN for overload in overloads(namespace, name))
