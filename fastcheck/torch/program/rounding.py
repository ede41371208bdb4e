"""Results of operators that are off by a rounding each."""

from typing import Any

import torch

from ...engines.program.rounded import Roundings
from .operators import ALONG, SAME_ORDER, overloads

aten, prims = torch.ops.aten, torch.ops.prims

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
EXACT = frozenset(overload for namespace in (aten, prims) for name in GIVEN for overload in overloads(namespace, name))


class Rounded:
    """Has results of operators be off by a rounding each, but for those that are numbers which they were given."""

    def __init__(self, roundings: Roundings) -> None:
        self._roundings = roundings

    def after(self, operator: Any, slots: tuple[int, ...], values: list[Any], found: list[Any]) -> None:
        """Replace the changes of an operator's outputs, by slot, with those that are off."""
        if operator in EXACT:
            return
        for slot, value in zip(slots, values, strict=True):
            if isinstance(found[slot], torch.Tensor) and (value.is_floating_point() or value.is_complex()):
                found[slot] = self._off(slot, value, found[slot])

    def _off(self, count: int, value: torch.Tensor, change: torch.Tensor) -> Any:
        draws = self._roundings.draws(count, tuple(value.shape))[:, self._roundings.rows]
        return self._roundings.off(torch, value, change, torch.as_tensor(draws, device=value.device))
