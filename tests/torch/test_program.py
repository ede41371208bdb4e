"""Exact differences of PyTorch functions: every layer and loss, what writes in place, what leaves the graph."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fastcheck import NoRule  # noqa: E402 - after the framework is known to be there
from fastcheck.torch.program.program import TorchProgram  # noqa: E402
from tests.torch.layers import CASES, DOUBLE, normal  # noqa: E402

STEP = 1e-9
X = normal(4, 5)


def along(program, directions, convention=None):
    """The central difference of the first output along a direction."""
    moved = program.run({k: np.stack([STEP * d, -STEP * d]) for k, d in enumerate(directions)}, convention=convention)
    change = moved.changes[0]
    return 0.0 if change is None else float(change[0] - change[1]) / (2.0 * STEP), moved


@pytest.fixture(scope="module", params=CASES, ids=[case.name for case in CASES])
def case(request):
    name, function, inputs = request.param
    leaves = [value.clone().requires_grad_() for value in inputs]
    gradients = [g.numpy() for g in torch.autograd.grad(function(*leaves), leaves)]
    return name, function, inputs, gradients, TorchProgram(function, inputs)


def test_agrees_with_right_gradients(case):
    """To some roundings of the terms: in a central difference along a direction through all parameters."""
    _, function, inputs, gradients, program = case
    generator = np.random.default_rng(0)
    directions = [generator.standard_normal(g.shape) for g in gradients]
    found, moved = along(program, directions)
    terms = sum(float(np.abs(g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    assert abs(found - sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))) <= 1e-13 * terms
    assert not moved.crossed.any()
    assert not moved.ties.any()
    np.testing.assert_allclose(program.outputs[0], function(*inputs).detach().numpy(), rtol=1e-14)


def test_large_changes_are_exact_too(case):
    """No derivative in disguise: a step of three tenths gives what literal subtraction gives."""
    _, function, inputs, _, program = case
    generator = np.random.default_rng(1)
    steps = [0.3 * generator.standard_normal(tuple(value.shape)) for value in inputs]
    found = program.run({k: step[None] for k, step in enumerate(steps)}).changes[0]
    before = function(*inputs)
    after = function(*(v + torch.from_numpy(s) for v, s in zip(inputs, steps, strict=True)))
    size = abs(float(before)) + abs(float(after)) + 1.0
    assert abs(float(found[0]) - float(after - before)) <= 1e-12 * size


def test_a_batch_gives_what_its_members_give(case):
    _, _, inputs, _, program = case
    generator = np.random.default_rng(2)
    changes = {k: 1e-3 * generator.standard_normal((3, *value.shape)) for k, value in enumerate(inputs)}
    together = program.run(changes).changes[0]
    for row in range(3):
        alone = program.run({k: change[row : row + 1] for k, change in changes.items()}).changes[0]
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-10, atol=1e-15)


def test_units_serve_every_entry(case):
    """The responses of products' outputs, times what stands beside the parameter, are its derivatives."""
    *_, gradients, program = case
    for number, gradient in enumerate(gradients):
        if not program.complete[number]:
            continue
        found = np.zeros(gradient.size)
        for product in (p for p in program.products if p.input == number):
            count = product.value.size
            steps = STEP * np.eye(count).reshape(count, *product.value.shape)
            change = program.run({}, {product.site: np.concatenate([steps, -steps])}).changes[0]
            response = ((change[:count] - change[count:]) / (2.0 * STEP)).reshape(product.value.shape)
            if isinstance(product.contraction, str):
                operands, out = product.contraction.split("->")
                mine, other = operands.split(",")[:: 1 - 2 * product.side]
                operand = np.einsum(f"{out},{other}->{mine}", response, product.other)
            else:
                operand = product.contraction(response, product.other)
            found += np.bincount(product.owners.reshape(-1), operand.reshape(-1), gradient.size)
        scale = max(np.abs(gradient).max(), 1.0)
        np.testing.assert_allclose(found, gradient.reshape(-1), rtol=1e-9, atol=1e-11 * scale)


def test_most_parameters_are_served_by_units():
    """All of linear, convolution and recurrence; what normalisation scales is moved itself."""
    served = [complete for case in CASES for complete in TorchProgram(*case[1:]).complete]
    assert np.mean(served) > 0.85


def test_a_loss_is_the_weighted_sum_of_the_tensor_that_it_is_cut_at(case):
    """For any change, large ones too; and most losses are cut at a tensor with samples apart."""
    _, function, inputs, _, whole = case
    program = TorchProgram(function, inputs, cut_loss=True)
    generator = np.random.default_rng(3)
    changes = {k: 0.1 * generator.standard_normal((2, *value.shape)) for k, value in enumerate(inputs)}
    wanted, found = whole.run(changes).changes[0], program.run(changes).changes[0]
    terms = (np.abs(program.weights) * np.abs(found)).reshape(2, -1).sum(axis=1)
    np.testing.assert_array_less(np.abs((program.weights * found).reshape(2, -1).sum(axis=1) - wanted), 1e-14 * terms)
    assert program.loss == pytest.approx(float(whole.outputs[0]), rel=1e-14)
    # label smoothing adds two sums, and a reduction of one number is none
    assert program.outputs[0].size > 1 or case[0] in ("cross entropy", "margin ranking")


def buffer(x):
    out = torch.zeros(4, 5, dtype=DOUBLE)
    out[1] = x[0] * 2
    out[:, 2] += x[:, 1]
    out[0].mul_(x[1])
    return (out * torch.arange(20.0, dtype=DOUBLE).view(4, 5)).sin().sum()


def view_of_a_view(x):
    y = x * 1
    y.view(-1)[3:7] = x.flatten()[:4] ** 2
    z = y.t()
    z[0].exp_()
    return (y * z.t()).sum()


def mask_that_grows(x):
    mask, total = torch.zeros(5, dtype=DOUBLE), 0.0
    for column in range(5):
        mask[column] = 1.0
        total = total + (x * mask).sin().sum()
    return total


def accumulated(x):
    out = x.clone()
    for _ in range(3):
        out += x * out
    return out.sum()


def recurrent(x):
    state, out = torch.zeros(5, dtype=DOUBLE), torch.empty(4, 5, dtype=DOUBLE)
    for step in range(4):
        state = torch.tanh(x[step] + state)
        out[step] = state
    return out.pow(2).sum()


def out_argument(x):
    out = torch.empty(4, 5, dtype=DOUBLE)
    torch.mul(x, x, out=out)
    return out.sum()


def channels_last(x):
    y = (x.view(1, 4, 5, 1) * 1.0).contiguous(memory_format=torch.channels_last)
    y[:, 1] = x[0].view(1, 5, 1)
    y *= 2
    return (y * torch.arange(20.0, dtype=DOUBLE).view(1, 4, 5, 1)).sum()


def indexed(x):
    y = x.clone()
    y[torch.tensor([0, 1, 0]), torch.tensor([1, 2, 3])] = x[3, :3]
    y.index_put_((torch.tensor([0, 0]), torch.tensor([1, 1])), x[2, :2], accumulate=True)
    return (y**2).sum()


def scattered(x):
    places = torch.tensor([[0, 1, 1, 2, 6]] * 4)
    added = torch.zeros(4, 7, dtype=DOUBLE).scatter_add_(1, places, x)
    return added.pow(3).sum() + x.gather(1, places[:, :3]).exp().sum()


def masked(x):
    return x.masked_fill(x > 0.3, 0.0).sum() + x.masked_fill(torch.eye(4, 5).bool(), -1.0).prod(1).sum()


def ordered(x):
    weights = torch.arange(5.0, dtype=DOUBLE)
    return ((x.sort(1, descending=True).values * weights).sum() + x.topk(2, 0).values.pow(2).sum()
            + x.max(1).values.sum() + x.median() + x.amin(0).prod() + x.cummax(1).values.sum())


def algebra(x):
    a = x @ x.t() + 4 * torch.eye(4, dtype=DOUBLE)
    return (torch.logdet(a) + torch.linalg.inv(a).sum() + torch.linalg.solve(a, x).sum()
            + torch.linalg.cholesky(a).sum() + torch.det(a) + torch.linalg.solve(a, x[:, 0]).sum())


def sums(x):
    return (torch.cumsum(x, 1).cumprod(0).sum() + x.var() + x.std(0).sum() + x.norm() + x.norm(1)
            + torch.var_mean(x, 1)[0].sum() + torch.logsumexp(x, (0, 1)) + torch.einsum("ij,kj->ik", x, x.sin()).sum())


def arranged(x):
    return (x.expand(3, 4, 5).sum() + x.repeat(2, 1).pow(2).sum() + torch.roll(x, 1, 0).mul(x).sum()
            + x.flip(0).mul(x).sum() + x.unfold(1, 3, 1).pow(2).sum() + torch.tril(x).sum() + x.diagonal().prod())


def steps(x):
    return (x.floor() * x).sum() + (x.round() * x).sum() + x.abs().sum() + x.sign().sum() * x.sum()


def spectrum(x):
    z = torch.fft.rfft(x)
    angles = z[:, 1:].angle().sin().sum()
    back = torch.fft.ifft(torch.fft.fft(x)).real.pow(2).sum()
    return angles + back + (z * z.conj()).real.sum() + torch.fft.fft(x).abs().sum()


def branched(x):
    return x.sum() * 2 if x[0, 0] > -100 else x.prod()


def looked_at(x):
    order = x[:, 0].argsort()
    parts = x[order].split(torch.bincount(x.argmax(1), minlength=3).tolist())
    return sum(part.pow(k + 1).sum() for k, part in enumerate(parts)) * x[0, 0].ceil().long().item()


def turned(x):
    y, still = x * 2, torch.arange(4.0, dtype=DOUBLE)
    before = y.sin() + still[:, None] * x
    still.unsqueeze_(1)
    view = y.view(-1)
    y.t_().add_(x[:, :1].t())
    y.unsqueeze_(0).transpose_(0, 1).squeeze_(1)
    return (before.sum() * y.pow(2).sum() + (view * torch.arange(20.0, dtype=DOUBLE)).sum() + (still * x).exp().sum()
            + torch.as_strided(x * 1.0, (3, 2), (5, 2), 1).pow(3).sum())


GROUPS = torch.tensor([[0, 2, 2, 0, 5], [1, 1, 1, 1, 1], [0, 2, 4, 0, 5]])


def grouped(x):
    own = (x.sum() + torch.linspace(-1, 1, 28, dtype=DOUBLE)).sin().view(4, 7)
    kept = own.scatter_reduce(1, GROUPS, x, "sum", include_self=False).sum() * x[0, 0]
    for name in ("sum", "prod", "mean", "amax", "amin"):
        for included in (False, True):
            kept = kept + own.scatter_reduce(1, GROUPS, x, name, include_self=included).pow(2).sum()
            if name != "sum":
                reduced = own.t().index_reduce(-2, GROUPS[0], x.t(), name, include_self=included)
                kept = kept + reduced.pow(3).sum()
    return kept


def distances(x):
    y = x.view(2, 2, 5)
    found = torch.cdist(y, y[:1, :1].exp()).sum() + torch.pdist(x).pow(2).sum() + torch.pdist(x, 1.0).prod()
    for order in (0.5, 1.0, 2.0, 3.0, torch.inf):
        found = found + torch.cdist(x[:2], x[2:] - 0.1, p=order).pow(2).sum()
    return found


def triangles(x):
    found = torch.logcumsumexp(x, 1).pow(2).sum() + torch.logcumsumexp(x, 0).sum()
    a = x[:, :4] + 3 * torch.eye(4, dtype=DOUBLE)
    for upper in (False, True):
        found = found + torch.cholesky_solve(x, a, upper=upper).pow(2).sum()
        for ones in (False, True):
            found = found + torch.linalg.solve_triangular(a, x, upper=upper, unitriangular=ones).pow(2).sum()
            found = found + torch.linalg.solve_triangular(a, x.t(), upper=upper, left=False, unitriangular=ones).sum()
    return found


def placed(x):
    knots = x[0].softmax(0).cumsum(0)
    spline = knots[torch.searchsorted(knots, x[1:].sigmoid()).clamp(max=4)] * x[1:]
    return spline.sum() + (torch.bucketize(x, torch.tensor([-0.5, 0.1, 0.7], dtype=DOUBLE)) * x).sum()


def sparse(x):
    edges, weights = torch.tensor([[0, 2, 2, 0], [3, 0, 1, 3]]), torch.arange(1.0, 5.0, dtype=DOUBLE)
    graph = torch.sparse_coo_tensor(edges, weights, (4, 4))
    return ((graph @ x).sin().sum() + torch.sparse.mm(graph, x).pow(2).sum() + (graph @ x[:, 0]).exp().sum()
            + torch.sparse.addmm(x, graph, x, beta=0.5, alpha=2.0).pow(2).sum())


def ignored(x):
    return x[0].sum().detach() * 0 + 3.0


PROGRAMS = [
    buffer, view_of_a_view, mask_that_grows, accumulated, recurrent, out_argument, channels_last, indexed, scattered,
    masked, ordered, algebra, sums, arranged, steps, spectrum, branched, turned, grouped, distances, triangles, sparse,
    ignored,
]
# They hold near the point alone: further off they take another path, which a run refuses.
NEARBY = [looked_at, placed]


@pytest.mark.parametrize(("function", "size"), [(function, size) for function in (*PROGRAMS, *NEARBY)
                                                for size in (0.3, 1e-3) if size < 0.3 or function not in NEARBY])
def test_programs_as_people_write_them(function, size):
    """In place, through views and buffers: what literal subtraction gives, at changes that it can tell."""
    step = size * np.random.default_rng(0).standard_normal((4, 5))
    found = TorchProgram(function, [X]).run({0: step[None]}).changes[0]
    before, after = float(function(X.clone())), float(function(X + torch.from_numpy(step)))
    got = 0.0 if found is None else float(found[0])
    assert abs(got - (after - before)) <= 1e-13 * (abs(before) + abs(after) + 1.0) * max(1.0, 1e-1 / size)


@pytest.mark.parametrize(("function", "words"), [
    (lambda x: x.sum() * float(x[0, 0]), "float()"),
    (lambda x: torch.as_tensor(x.numpy()).sum(), "numpy"),
    (lambda x: torch.tensor(x.tolist()).sum(), "tolist"),
    (lambda x: torch.as_tensor(np.asarray(x)).sum(), "NumPy array"),
    (lambda x: x.sum() * x[0, 0].item(), "item"),
    (lambda x: torch.zeros_like(x, dtype=torch.float32).copy_(x).sum(), "float32"),
])
def test_what_leaves_the_graph_is_refused(function, words):
    with pytest.raises(NoRule, match=words):
        TorchProgram(function, [X]).run({0: np.ones((2, 4, 5))})


@pytest.mark.parametrize("function", NEARBY)
def test_places_that_a_perturbation_changes_are_refused(function):
    with pytest.raises(NoRule):
        TorchProgram(function, [X]).run({0: np.broadcast_to(np.linspace(-3, 3, 5), (1, 4, 5))})


def test_a_branch_that_a_perturbation_takes_the_other_way():
    program = TorchProgram(lambda x: x.sum() if x[0, 0] > 0 else -x.sum(), [X])
    step = np.zeros((1, 4, 5))
    step[0, 0, 0] = -2.0 * float(X[0, 0])
    with pytest.raises(NoRule, match=r"torch\.where"):
        program.run({0: step})


def test_ties_follow_the_convention():
    program = TorchProgram(lambda x: torch.relu(x).sum() + x.max(), [torch.zeros(3, dtype=DOUBLE)])
    direction = [np.array([1.0, 0.0, 0.0])]
    slopes = [along(program, direction, convention)[0] for convention in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(slopes, [0.0, 0.5 + 1.0 / 3.0, 2.0], atol=1e-12)
    assert along(program, direction)[1].ties.all()


def test_custom_functions_and_checkpoints_are_followed():
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            return 3 * g * ctx.saved_tensors[0] ** 2

    from torch.utils.checkpoint import checkpoint

    program = TorchProgram(lambda x: Cube.apply(x).sum() + checkpoint(torch.sin, x, use_reentrant=False).sum(), [X])
    found, _ = along(program, [np.ones((4, 5))])
    assert found == pytest.approx(float((3 * X**2 + X.cos()).sum()), rel=1e-13)


def test_nothing_of_the_callers_changes():
    kept, state, fast = X.clone(), torch.get_rng_state(), torch.backends.mha.get_fastpath_enabled()
    TorchProgram(lambda x: x.mul_(2.0).sum(), [X]).run({0: np.ones((1, 4, 5))})
    assert torch.equal(X, kept)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert torch.is_grad_enabled()
