"""Softmax and its kin along one axis: changes relative to the likeliest class, so that nothing cancels.

With p = softmax(x), t the likeliest class and u = d - d_t, the change of log p_t is -log1p(sum p_j expm1(u_j)), that of
log p_k is u_k more, and p_k changes by p_k (expm1(u_k) - S) / (1 + S), S = sum p_j expm1(u_j).
"""

from typing import Any

from . import small
from .axes import Axes, flattened, restored, unflattened
from .base import Changes, Rule, Values
from .namespaces import any_of, as_count, largest

# Beyond it expm1 may overflow, and the new values may be subtracted from the old.
FAR = 600.0


def relative(xp: Any, x: Any, d: Any) -> tuple[Any, Any, Any]:
    """p, the likeliest class's change (last axis kept), and the changes relative to it."""
    shifted = x - xp.amax(x, axis=-1, keepdims=True)
    top = shifted == 0.0
    first = top & (xp.cumsum(as_count(xp, top), -1) == 1)
    leader = xp.sum(xp.where(first, d, 0.0), axis=-1, keepdims=True)
    e = xp.exp(shifted)
    p = e / xp.sum(e, axis=-1, keepdims=True)
    u = d - leader
    return p, leader, xp.where(p > 0.0, u, 0.0) if any_of(xp, p == 0.0) else u


def growth(xp: Any, p: Any, u: Any, reach: float) -> Any:
    """log sum p_j exp(u_j) (last axis kept), where p has a likeliest class that u does not change."""
    if reach <= 1.0:
        total = xp.sum(p * small.expm1(xp, u, reach), axis=-1, keepdims=True)
        return small.log1p(xp, total)
    most = xp.clip(xp.amax(u, axis=-1, keepdims=True), 0.0, None)
    near = xp.log1p(xp.sum(p * xp.expm1(xp.clip(u, None, FAR)), axis=-1, keepdims=True))
    far = most + xp.log(xp.sum(p * xp.exp(u - most), axis=-1, keepdims=True))
    return xp.where(most > FAR, far, near)


def logsumexp(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Any, axes: Axes, keepdims: bool = False
) -> Any:
    """Return the likeliest class's change and the growth of the sum relative to it."""
    x, d = flattened(xp, values[0], axes), flattened(xp, changes[0], axes)
    p, leader, u = relative(xp, x, d)
    change = leader + growth(xp, p, u, largest(xp, u))
    return restored(change[..., 0], axes, keepdims)


def along(x: Any, axes: Axes) -> tuple[int, ...]:
    """Return the lengths of axes, in their order."""
    return tuple(x.shape[axis] for axis in sorted(axes))


def log_softmax(xp: Any, values: Values, changes: Changes, out: Any, branches: Any, axes: Axes) -> Any:
    """u less the growth."""
    x, d = flattened(xp, values[0], axes), flattened(xp, changes[0], axes)
    p, leader, u = relative(xp, x, d)
    change = (d - leader) - growth(xp, p, u, largest(xp, u))
    return unflattened(xp, change, axes, along(values[0], axes))


def softmax(xp: Any, values: Values, changes: Changes, out: Any, branches: Any, axes: Axes) -> Any:
    """p (E - S) / (1 + S)."""
    x, d = flattened(xp, values[0], axes), flattened(xp, changes[0], axes)
    p, _, u = relative(xp, x, d)
    reach = largest(xp, u)
    e = small.expm1(xp, u, reach) if reach <= FAR else xp.expm1(xp.clip(u, None, FAR))
    total = xp.sum(p * e, axis=-1, keepdims=True)
    change = p * ((e - total) / (1.0 + total))
    if not reach <= FAR:
        most = xp.clip(xp.amax(u, axis=-1, keepdims=True), 0.0, None)
        new = p * xp.exp(u - most)
        change = xp.where(most > FAR, new / xp.sum(new, axis=-1, keepdims=True) - p, change)
    return unflattened(xp, change, axes, along(values[0], axes))


SOFTMAX: dict[str, Rule] = {
    "logsumexp": Rule(logsumexp, elementwise=False),
    "log_softmax": Rule(log_softmax, elementwise=False),
    "softmax": Rule(softmax, elementwise=False, kernel="softmax"),
}
