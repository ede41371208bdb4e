"""fastcheck.torch.gradcheck beside torch's own, slow modes, on functions of over 1,000 inputs.

    python -m tests.torch.large_functions
"""

import time
import warnings

import torch
from torch.nn import functional as F

import fastcheck.torch as ft
from tests.torch.support import tensor


def perceptron(x, w, b, v):
    """The loss of two dense layers."""
    return F.cross_entropy(torch.tanh(x @ w + b) @ v, torch.arange(len(x)) % v.shape[1])


def recurrence(x, h, wi, wh):
    """The last state of an LSTM, summed."""
    c = torch.zeros_like(h)
    for step in x:
        i, f, g, o = (step @ wi + h @ wh).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    return h.sum()


FUNCTIONS = {
    "two dense layers": (perceptron, ((8, 16), (16, 32), (32,), (32, 16))),
    "two dense layers, larger": (perceptron, ((16, 32), (32, 100), (100,), (100, 10))),
    "convolution, relu, pooling": (lambda x, w: F.max_pool2d(F.relu(F.conv2d(x, w, padding=1)), 2).sum((2, 3)),
                                   ((2, 3, 12, 12), (8, 3, 3, 3))),
    "sine": (torch.sin, ((1500,),)),
    "softmax": (lambda x: x.softmax(0), ((1200,),)),
    "matrix product": (torch.matmul, ((32, 32), (32, 32))),
    "convolution": (lambda x, w: F.conv2d(x, w, padding=1), ((2, 3, 14, 14), (8, 3, 3, 3))),
    "inverse": (torch.linalg.inv, ((32, 32),)),
    "layer norm, cubed": (lambda x: F.layer_norm(x, (32,)).pow(3).sum(1), ((32, 32),)),
    "attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v).sum(-1), ((2, 16, 16),) * 3),
    "LSTM, 5 steps": (recurrence, ((5, 4, 16), (4, 10), (16, 40), (10, 40))),
    "linear system, badly conditioned": (lambda a, b: torch.linalg.solve(a, b).sum(0), ((32, 32), (32, 1))),
}


def seconds(check, call, inputs) -> float:
    """Processor time of one check, which passes."""
    started = time.process_time()
    assert check(call, inputs)
    return time.process_time() - started


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("| function | inputs | outputs | fastcheck | torch | times as fast |\n|---|---|---|---|---|---|")
    for name, (call, shapes) in FUNCTIONS.items():
        torch.manual_seed(0)
        inputs = tuple(tensor(*shape) for shape in shapes)
        ft.gradcheck(call, inputs, fast_mode=True)
        ours = min(seconds(ft.gradcheck, call, inputs) for _ in range(3))
        theirs = min(seconds(torch.autograd.gradcheck, call, inputs) for _ in range(2))
        count = sum(t.numel() for t in inputs)
        print(f"| {name} | {count:,} | {call(*inputs).numel():,} | {1e3 * ours:.1f} ms | {1e3 * theirs:.0f} ms "
              f"| {theirs / ours:.0f} |")


if __name__ == "__main__":
    main()
