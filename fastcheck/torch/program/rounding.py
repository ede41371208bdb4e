"""Results of operators that are off by a rounding each."""

from typing import Any

import torch

from ...engines.program.rounded import Roundings


class Rounded:
    """Has results of operators be off by a rounding each."""

    def __init__(self, roundings: Roundings) -> None:
        self._roundings = roundings

    def after(self, slots: tuple[int, ...], values: list[Any], found: list[Any]) -> None:
        """Replace the changes of an operator's outputs, by slot, with those that are off."""
        for slot, value in zip(slots, values, strict=True):
            if isinstance(found[slot], torch.Tensor) and (value.is_floating_point() or value.is_complex()):
                found[slot] = self._off(slot, value, found[slot])

    def _off(self, count: int, value: torch.Tensor, change: torch.Tensor) -> Any:
        draws = self._roundings.draws(count, tuple(value.shape))[:, self._roundings.rows]
        return self._roundings.off(torch, value, change, torch.as_tensor(draws, device=value.device))
