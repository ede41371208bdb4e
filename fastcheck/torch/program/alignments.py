"""The likelihood of labels under all their alignments with a sequence: connectionist temporal classification."""

import math
from typing import Any

import torch

from .call import Call, ruled


def ctc_loss(call: Call) -> Any:
    """Return minus the logarithm of the sum over alignments, which grows by one step in time after another.

    States are the labels with blanks between, before and after them.  Each is reached from itself, from the one before
    it, and past a blank from the label before where that is another one (Graves et al., "Connectionist temporal
    classification", 2006).
    """
    call.only(0)
    scores, change, blank = call.args[0], call.changes[0], call.option(4, "blank", 0)
    times, lengths = (torch.as_tensor(v, device=scores.device).reshape(-1) for v in call.args[2:4])
    states = _states(call.args[1].to(scores.device), lengths, blank)
    skips = torch.zeros_like(states, dtype=torch.bool)
    skips[:, 2:] = states[:, 2:] != states[:, :-2]
    emitted, moved = (v.gather(-1, states.expand(*v.shape[:-1], -1)) for v in (scores, change))
    moved = moved.movedim(-3, 0)
    begins = torch.arange(states.shape[1], device=states.device) < 2
    value = torch.where(begins, emitted[0], -math.inf)
    delta = torch.where(begins, moved[0], 0.0)
    ends = 2 * lengths[:, None] - torch.arange(2, device=states.device)  # the last blank, the last label
    last, d_last = _at(value, ends, -math.inf), _at(delta, ends, 0.0)
    for t in range(1, len(emitted)):
        value, delta = _sum(call, _reached_from(value, skips, -math.inf), _reached_from(delta, skips, 0.0))
        value, delta = value + emitted[t], delta + moved[t]
        now = (times == t + 1)[:, None]
        last = torch.where(now, _at(value, ends, -math.inf), last)
        d_last = torch.where(now, _at(delta, ends, 0.0), d_last)
    d_last = torch.where((times > 0)[:, None], d_last, 0.0)
    return [-_sum(call, last, d_last)[1], None]


def _states(labels: torch.Tensor, lengths: torch.Tensor, blank: int) -> torch.Tensor:
    """Return, for each sequence, its labels with blanks around them, filled up with blanks to equal lengths."""
    inside = torch.arange(int(lengths.max()), device=labels.device) < lengths[:, None]
    states = torch.full((len(lengths), 2 * inside.shape[1] + 1), blank, device=labels.device)
    given = labels[:, : inside.shape[1]][inside] if labels.ndim == 2 else labels
    states[:, 1::2].masked_scatter_(inside, given.to(states.dtype))
    return states


def _reached_from(values: torch.Tensor, skips: torch.Tensor, outside: float) -> torch.Tensor:
    """Return, as a last axis, what each state is reached from: itself, the one before, the label before that."""
    one, two = (torch.nn.functional.pad(values, (k, 0), value=outside)[..., : values.shape[-1]] for k in (1, 2))
    return torch.stack((values, one, torch.where(skips, two, outside)), -1)


def _at(values: torch.Tensor, ends: torch.Tensor, outside: float) -> torch.Tensor:
    """Return the values of some states; those before the first one have none."""
    places = ends.clamp(min=0).expand(*values.shape[:-1], -1)
    return torch.where(ends >= 0, values.gather(-1, places), outside)


def _sum(call: Call, values: torch.Tensor, changes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logarithm of the summed exponentials along the last axis, and its change: none where all are zero."""
    reached = (values > -math.inf).any(-1, keepdim=True)
    values, changes = torch.where(reached, values, 0.0), torch.where(reached, changes, 0.0)
    out = torch.logsumexp(values, -1)
    change = ruled("logsumexp", (values,), (changes,), out, call, axes=(-1,))
    return torch.where(reached[..., 0], out, -math.inf), torch.where(reached[..., 0], change, 0.0)
