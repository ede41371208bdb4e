"""Volumes looked up at coordinates between their entries: ``grid_sample`` in three dimensions, by smaller operators."""

import itertools
import math

import torch

# The numbers that PyTorch gives to its ways of looking up, and to what is outside.
NEAREST, BORDER, REFLECTION = 1, 1, 2


def grid_sampler_3d(
    volumes: torch.Tensor, grid: torch.Tensor, mode: int, outside: int, align_corners: bool
) -> torch.Tensor:
    """Return volumes (N, C, D, H, W) at coordinates (N, ..., 3) between -1 and 1, of which that along W comes first."""
    lengths = volumes.shape[-3:]
    places = [_place(grid[..., 2 - axis], length, outside, align_corners=align_corners)
              for axis, length in enumerate(lengths)]
    if mode == NEAREST:
        return _entries(volumes, [place.round() for place in places])
    lower = [place.floor() for place in places]
    shares = [(place - low).unsqueeze(1) for place, low in zip(places, lower, strict=True)]
    found = torch.zeros((), dtype=volumes.dtype, device=volumes.device)
    for corner in itertools.product((0, 1), repeat=3):
        share = math.prod(s if up else 1.0 - s for s, up in zip(shares, corner, strict=True))
        found = found + share * _entries(volumes, [low + up for low, up in zip(lower, corner, strict=True)])
    return found


def _place(coordinate: torch.Tensor, length: int, outside: int, *, align_corners: bool) -> torch.Tensor:
    """Return which entry of an axis a coordinate stands for, between two of them where it is no whole number."""
    edge = 0.0 if align_corners else 0.5  # of the first entry, whose middle has the place 0
    place = (coordinate + 1.0) * (0.5 * (length - 1 + 2.0 * edge)) - edge
    if outside == REFLECTION:
        span = length - 1 + 2.0 * edge
        beyond = (place + edge).abs()
        rest = torch.fmod(beyond, span) if span else 0.0 * beyond
        back = torch.fmod((beyond / span).floor(), 2.0) == 1.0 if span else rest != 0.0
        place = torch.where(back, span - rest, rest) - edge
    return place.clamp(0.0, length - 1.0) if outside in (BORDER, REFLECTION) else place


def _entries(volumes: torch.Tensor, places: list[torch.Tensor]) -> torch.Tensor:
    """Return the entries at whole places (N, ...), zero where there are none."""
    lengths = volumes.shape[-3:]
    inside, index = torch.ones_like(places[0], dtype=torch.bool), torch.zeros_like(places[0], dtype=torch.int64)
    for place, length in zip(places, lengths, strict=True):
        inside = inside & (place >= 0.0) & (place <= length - 1.0)
        index = index * length + place.clamp(0.0, length - 1.0).to(torch.int64)
    rows = index.flatten(1).unsqueeze(1).expand(-1, volumes.shape[1], -1)
    found = volumes.flatten(2).gather(-1, rows).unflatten(-1, index.shape[1:])
    return torch.where(inside.unsqueeze(1), found, 0.0)
