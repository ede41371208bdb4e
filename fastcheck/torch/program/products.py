"""Where a program's inputs enter operators that are linear in them: what the engine's units are found from.

An input is followed through everything that only moves entries about (a transpose, a slice, a table look-up):
numbers in place of its entries tell where each one went.  Where it then enters a sum, a product or a convolution, that
operator's output is a place whose responses serve all entries of the input (see ``fastcheck.engines.program.units``).
"""

from collections.abc import Sequence
from typing import Any

import torch

from ..._types import Array
from ...engines.program.adjoints import Adjoint, Kernel, Product, summed_to
from ..tensors import dense
from .tape import Node, Ref, refs_of

aten, prims = torch.ops.aten, torch.ops.prims

MOVING_ABOUT = frozenset(
    getattr(namespace, name)
    for namespace, names in (
        (aten, ("view", "_unsafe_view", "reshape", "permute", "transpose", "t", "slice", "select", "unsqueeze",
                "squeeze", "alias", "detach", "clone", "expand", "index_select", "embedding", "index", "flip",
                "unbind", "split", "split_with_sizes", "chunk", "narrow", "repeat", "as_strided", "gather",
                "_reshape_alias")),
        (prims, ("broadcast_in_dim", "transpose", "view_of", "collapse_view", "split_dim", "clone")),
    )
    for name in names
    if hasattr(namespace, name)
)
MATRICES = {aten.mm.default: "ij,jk->ik", aten.bmm.default: "bij,bjk->bik", aten.mv.default: "ij,j->i",
            aten.dot.default: "i,i->"}


def products_of(
    nodes: Sequence[Node], inputs: Sequence[Node], outputs: Sequence[Any]
) -> tuple[tuple[Product, ...], tuple[bool, ...]]:
    """Return all uses of inputs that units can serve, and for each input whether these are all its uses."""
    labels = {(id(node), 0): (number, torch.arange(node.values[0].numel()).reshape(node.values[0].shape))
              for number, node in enumerate(inputs)}
    found: list[Product] = []
    complete = [True] * len(inputs)
    for site, node in enumerate(nodes):
        for place, ref in enumerate(node.args):
            for one in refs_of([ref]):
                label = labels.get((id(one.node), one.output))
                if label is None:
                    continue
                if place == 0 and isinstance(ref, Ref) and _follow(node, label, labels):
                    continue
                product = _product(site, node, place, *label) if isinstance(ref, Ref) else None
                if product is None:
                    complete[label[0]] = False
                else:
                    found.append(product)
    for output in outputs:
        if isinstance(output, Ref) and (id(output.node), output.output) in labels:
            complete[labels[id(output.node), output.output][0]] = False
    return tuple(found), tuple(complete)


def _follow(node: Node, label: tuple[int, torch.Tensor], labels: dict[Any, Any]) -> bool:
    """Give the outputs of an operator that only moves entries about their labels."""
    if getattr(node.operator, "overloadpacket", None) not in MOVING_ABOUT or refs_of(node.args[1:]):
        return False
    moved = node.operator(label[1], *node.args[1:], **node.kwargs)
    for output, one in enumerate(moved if isinstance(moved, (list, tuple)) else [moved]):
        labels[id(node), output] = (label[0], one)
    return True


def _product(site: int, node: Node, place: int, number: int, owners: torch.Tensor) -> Product | None:
    """Return the use of an input as the argument ``place`` of an operator; None where units cannot serve it."""
    operator, values = node.operator, [a.value if isinstance(a, Ref) else a for a in node.args]
    side, other = place, None
    contraction: str | Adjoint | None = None
    if operator in MATRICES and place < 2:
        other, contraction = values[1 - place], MATRICES[operator]
    elif operator in (aten.addmm.default, aten.baddbmm.default) and not node.kwargs:
        text = "ij,jk->ik" if operator is aten.addmm.default else "bij,bjk->bik"
        if place == 0:
            other, contraction = torch.zeros(()), _summed_to(owners)
        else:
            side, other, contraction = place - 1, values[3 - place], text
    elif operator in (aten.mul.Tensor, prims.mul.default) and place < 2 and isinstance(values[1 - place], torch.Tensor):
        other, contraction = values[1 - place], _scaled_to(owners)
    elif operator in (aten.add.Tensor, prims.add.default) and place < 2 and not node.kwargs:
        other, contraction = torch.zeros(()), _summed_to(owners)
    elif operator is aten.convolution.default and place in (1, 2):
        other = values[0]
        contraction = _kernel_of(node) if place == 1 else _channels
    if other is None or contraction is None:
        return None
    return Product(site, number, side, _array(node.values[0]), _array(other), contraction, owners.numpy())


def _array(tensor: torch.Tensor) -> Array:
    found: Array = dense(tensor).detach().to(torch.float64).cpu().numpy()
    return found


def _summed_to(owners: torch.Tensor) -> Adjoint:
    """What is added is responded to by the response, summed over the axes along which it was broadcast."""
    shape = tuple(owners.shape)
    return lambda response, other: summed_to(response, shape)


def _scaled_to(owners: torch.Tensor) -> Adjoint:
    """Return the same times the other factor."""
    shape = tuple(owners.shape)
    return lambda response, other: summed_to(response * other, shape)


def _channels(response: Array, other: Array) -> Array:
    return response.sum(axis=(0, *range(2, response.ndim)))


def _kernel_of(node: Node) -> Adjoint:
    """Return the adjoint of a convolution in its kernel: products of the response with windows of the input.

    Of a transposed convolution the windows are of the response, and the input stands beside them.
    """
    stride, padding, dilation, transposed, _, groups = node.args[3:9]
    kernel = tuple(node.args[1].value.shape[2:]) if isinstance(node.args[1], Ref) else ()
    slides = Kernel(kernel, stride, padding, dilation, groups)

    def adjoint(response: Array, x: Array) -> Array:
        return slides.response(x, response) if transposed else slides.response(response, x)

    return adjoint
