"""Operations of PyTorch are followed: autograd's own derivatives are right, and a factor of 1 + 1e-5 in one is seen."""

import math

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: the extra `torch` runs these tests")
import torch.nn.functional as F  # noqa: N812 (as everyone calls it)

from autodiff_ref.torch import judge
from tests.torch.functions import function

G = torch.Generator().manual_seed(7)


def normal(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=G, dtype=dtype)


def positive_definite(n):
    a = normal(n, n)
    return a @ a.T + n * torch.eye(n, dtype=a.dtype)


LABELS = torch.tensor([2, 0])
PLACES = torch.tensor([[0, 2, 1], [1, 1, 0]])


def written(x, y):
    out = torch.zeros(3, 4, dtype=x.dtype)
    out[:, 1:3] = x[:, :2]
    out[0] += y[0, :4] if y.shape[1] >= 4 else 1
    view = out.t()
    view[3].mul_(2).add_(x[:, 2])
    return out


def masked(x):
    out = x * 2
    out[x > 0.1] = 0.5
    out[x < -0.3] *= x[x < -0.3]
    return out


def branched(x):
    total = x.sum()
    return x * 3 if total > 0 else x**2


def cell(x, h, c, w, u):
    gates = x @ w.T + h @ u.T
    i, f, g, o = gates.chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def checkpointed(x, w):
    return torch.utils.checkpoint.checkpoint(lambda x: torch.tanh(x @ w), x, use_reentrant=False)


BATTERY = {
    "diagonal_scatter": (torch.diagonal_scatter, normal(3, 3), normal(3)),
    "select_scatter": (lambda x, y: torch.select_scatter(x, y, 0, 1), normal(2, 3), normal(3)),
    "slice_scatter": (lambda x, y: torch.slice_scatter(x, y, 1, 1), normal(2, 3), normal(2, 2)),
    "einsum": (lambda a, b: torch.einsum("ij,kj->ik", a, b), normal(2, 3), normal(4, 3)),
    "matmul": (torch.matmul, normal(2, 2, 3), normal(3, 2)),
    "bmm": (torch.bmm, normal(2, 2, 3), normal(2, 3, 2)),
    "linear": (F.linear, normal(2, 3), normal(2, 3), normal(2)),
    "conv2d": (lambda x, w: F.conv2d(x, w, stride=2, padding=1), normal(1, 2, 4, 3), normal(2, 2, 2, 2)),
    "conv2d grouped": (lambda x, w: F.conv2d(x, w, groups=2, dilation=2), normal(1, 2, 4, 4), normal(2, 1, 2, 2)),
    "conv_transpose2d": (
        lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1),
        normal(1, 2, 2, 3),
        normal(2, 2, 2, 2),
    ),
    "conv1d": (lambda x, w: F.conv1d(x, w, padding=1), normal(1, 2, 4), normal(3, 2, 3)),
    "layer_norm": (lambda x, w: F.layer_norm(x, (3,), w), normal(2, 3), normal(3)),
    "batch_norm": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        normal(4, 2),
        normal(2),
        normal(2),
    ),
    "group_norm": (lambda x: F.group_norm(x, 2), normal(2, 4, 2)),
    "softmax": (lambda x: F.softmax(x, dim=0), normal(3, 2)),
    "cross_entropy": (lambda x: F.cross_entropy(x, LABELS), normal(2, 3)),
    "gather": (lambda x: x.gather(1, PLACES), normal(2, 3)),
    "scatter_add": (lambda x, y: x.scatter_add(1, PLACES, y), normal(2, 3), normal(2, 3)),
    "scatter": (lambda x, y: x.scatter(1, torch.tensor([[0, 2], [1, 0]]), y), normal(2, 3), normal(2, 2)),
    "cumsum": (lambda x: x.cumsum(1) ** 2, normal(2, 3)),
    "cumprod": (lambda x: x.cumprod(1), normal(2, 3)),
    "masked": (masked, normal(2, 3)),
    "written in views": (written, normal(3, 3), normal(1, 4)),
    "a branch": (branched, normal(3)),
    "grid_sample": (
        lambda x, g: F.grid_sample(x, g, align_corners=False),
        normal(1, 1, 3, 3),
        torch.tanh(normal(1, 2, 2, 2)),
    ),
    "interpolate": (
        lambda x: F.interpolate(x, size=(3, 5), mode="bilinear", align_corners=False),
        normal(1, 1, 2, 3),
    ),
    "LSTM cell": (cell, normal(1, 2), normal(1, 2), normal(1, 2), normal(8, 2), normal(8, 2)),
    "solve": (torch.linalg.solve, normal(3, 3) + 3 * torch.eye(3, dtype=torch.float64), normal(3)),
    "solve, several": (torch.linalg.solve, normal(2, 2) + 3 * torch.eye(2, dtype=torch.float64), normal(2, 3)),
    "inv": (torch.linalg.inv, normal(3, 3) + 3 * torch.eye(3, dtype=torch.float64)),
    "det": (torch.linalg.det, normal(3, 3)),
    "slogdet": (lambda a: torch.linalg.slogdet(a)[1], normal(3, 3)),
    "cholesky": (lambda a: torch.linalg.cholesky((a + a.T) / 2), positive_definite(3)),
    "eigh": (lambda a: torch.linalg.eigh((a + a.T) / 2)[0], normal(3, 3)),
    "eigenvectors": (lambda a: torch.linalg.eigh((a + a.T) / 2)[1] ** 2, normal(2, 2)),
    "embedding": (lambda w: F.embedding(PLACES, w) ** 2, normal(3, 2)),
    "checkpoint": (checkpointed, normal(2, 2), normal(2, 2)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2, stride=1, padding=1), normal(1, 1, 3, 4)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2, stride=1, padding=1, count_include_pad=False), normal(1, 1, 3, 4)),
    "adaptive": (lambda x: F.adaptive_avg_pool2d(x, 2), normal(1, 1, 3, 4)),
    "attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        normal(1, 1, 3, 2),
        normal(1, 1, 3, 2),
        normal(1, 1, 3, 2),
    ),
    "ctc_loss": (
        lambda x: F.ctc_loss(x.log_softmax(-1), torch.tensor([[1, 2]]), torch.tensor([4]), torch.tensor([2])),
        normal(4, 1, 3),
    ),
    "dropout": (lambda x: F.dropout(x, 0.5), normal(2, 3)),
    "gelu": (F.gelu, normal(2, 3)),
    "silu": (F.silu, normal(2, 3)),
    "softplus": (F.softplus, normal(3)),
    "elu": (F.elu, normal(3)),
    "huber": (F.huber_loss, normal(3), normal(3)),
    "cdist": (torch.cdist, normal(2, 2), normal(3, 2)),
    "norm": (lambda x: x.norm(dim=1), normal(2, 3)),
    "var": (lambda x: x.var(1), normal(2, 3)),
    "logsumexp": (lambda x: x.logsumexp(1), normal(2, 3)),
    "sort": (lambda x: x.sort(dim=1, descending=True)[0] * torch.arange(3), normal(2, 3)),
    "topk": (lambda x: x.topk(2)[0], normal(2, 3)),
    "amax": (lambda x: x.amax(1), normal(2, 3)),
    "cummax": (lambda x: x.cummax(1)[0], normal(2, 3)),
    "prod": (lambda x: x.prod(1), normal(2, 3)),
    "pad": (lambda x: F.pad(x, (1, 1), mode="reflect"), normal(1, 1, 3)),
    "unfold": (lambda x: F.unfold(x, 2) ** 2, normal(1, 1, 3, 3)),
    "lgamma": (torch.lgamma, normal(3).abs() + 0.5),
    "erf": (torch.erf, normal(3)),
    "triangular_solve": (
        lambda b, a: torch.triangular_solve(b, a.tril(), upper=False)[0],
        normal(3, 2),
        positive_definite(3),
    ),
    "triangular_solve, turned": (
        lambda b, a: torch.triangular_solve(b, a, transpose=True)[0],
        normal(3, 2),
        positive_definite(3),
    ),
    "pinv": (torch.linalg.pinv, normal(4, 3)),
    "lstsq": (lambda a, b: torch.linalg.lstsq(a, b).solution, normal(4, 3), normal(4, 2)),
    "lstsq, wide": (lambda a, b: torch.linalg.lstsq(a, b).solution, normal(2, 3), normal(2, 2)),
    "bilinear": (F.bilinear, normal(2, 3), normal(2, 2), normal(4, 3, 2)),
    "median": (lambda x: x.median(), normal(2, 3)),
    "median along an axis": (lambda x: x.median(0)[0], normal(4, 3)),
    "kthvalue": (lambda x: x.kthvalue(2, 1, keepdim=True)[0], normal(2, 4)),
    "searchsorted": (lambda x: x * torch.searchsorted(torch.tensor([-0.5, 0, 0.5], dtype=x.dtype), x), normal(5)),
    "take": (lambda x: x.take(torch.tensor([0, 5, 0])), normal(2, 3)),
    "masked_scatter": (lambda x, y: x.masked_scatter(x > 0, y), normal(2, 3), normal(7)),
    "sgn": (lambda x: torch.sgn(x) * x**2, normal(4)),
    "hardshrink": (F.hardshrink, normal(5)),
    "softshrink": (F.softshrink, normal(5)),
    "replication_pad": (lambda x: F.pad(x, (1, 2), mode="replicate") ** 2, normal(1, 1, 3)),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, (2, 3)), normal(1, 2, 5, 4)),
    "multi_margin_loss": (lambda x: F.multi_margin_loss(x, torch.tensor([0, 2])), normal(2, 3)),
    "shifts": (lambda x: x * ((x * 64).to(torch.int64) >> 2 << 1), normal(3)),
    "set_": (lambda x: x + torch.zeros_like(x).set_().numel(), normal(3)),
    "Hessian": (torch.func.hessian(lambda x: (x**3).sum() * x[0]), normal(3)),
    "forward mode": (lambda x: torch.func.jvp(lambda y: y**3, (x,), (x,))[1], normal(3)),
    "item": (lambda x: x * x.abs().max().item() if x.numel() > 9 else x / 2, normal(3)),
}


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize("name", BATTERY)
def test_autograds_own_derivative_is_followed_and_right(name):
    f, *inputs = BATTERY[name]
    report = judge(f, [x.clone().requires_grad_() for x in inputs], within=1e-9, beside=False)
    assert report.verdict == "right", str(report)


OF_OTHER_KINDS = ["max_pool2d", "avg_pool2d", "slogdet", "eigh", "ctc_loss", "attention"]


@pytest.mark.parametrize("name", ["einsum", "conv2d", "layer_norm", "solve", "masked", "LSTM cell", *OF_OTHER_KINDS])
def test_a_small_factor_in_one_gradient_is_seen(name):
    f, *inputs = BATTERY[name]
    inputs = [x.clone().requires_grad_() for x in inputs]

    def planted(first, *others):
        return f(function(lambda x: x * 1, lambda g, _: g * (1 + 1e-5), "Planted").apply(first), *others)

    report = judge(planted, inputs, within=1e-9, beside=False)
    assert report.verdict == "WRONG", str(report)


def test_what_is_not_followed_is_named():
    def by_numpy(x):
        return torch.sin(x.detach() * 0 + x)

    def cosine(g, x):
        return g * torch.from_numpy(__import__("numpy").cos(x.numpy()))

    x = normal(3).requires_grad_()
    report = judge(function(by_numpy, cosine).apply, (x,))
    assert (report.verdict, "not followed (mul at test_operations.py" in report.text) == ("undecided", True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_difference_of_which_rounding_errors_are_left_is_said_to_be_that(dtype):
    def projected(g, x):
        q = torch.linalg.eigh(x + x.mT).eigenvectors
        rest = torch.eye(3, dtype=x.dtype) - q @ q.mT
        return g * rest / rest.norm()

    report = judge(function(torch.sin, projected).apply, (normal(3, 3, dtype=dtype).requires_grad_(),))
    assert (report.verdict, "sub at test_operations.py" in report.text) == ("undecided", True)
    assert "all digits cancel" in report.text
    assert "left PyTorch" not in report.text


def test_a_slope_kept_from_the_first_call_is_found_where_shapes_change():
    kept = {}

    def sine(x):
        kept.setdefault("slope", x.detach().cos())
        return torch.sin(x)

    report = judge(function(sine, lambda g, x: g * kept["slope"]).apply, (normal(3).requires_grad_(),))
    assert (report.verdict, "axes of 3 shortened to 1" in report.text) == ("WRONG", True)


def test_a_series_of_pytorchs_own_that_is_cut_short_is_no_mistake_of_the_backward():
    right = function(torch.lgamma, lambda g, x: g * torch.digamma(x)).apply
    x = torch.tensor([1.0273089347417266, 1.9041336836778187], dtype=torch.float64, requires_grad=True)
    second = judge(right, (x,)).double_backward
    assert (second.verdict, "polygamma is off by" in second.text) == ("undecided", True), str(second)
    assert judge(right, (x,), within=1e-8).double_backward.verdict == "right"
    wrong = function(torch.lgamma, lambda g, x: g * torch.digamma(x) * (1 + 1e-7)).apply
    assert judge(wrong, (x,), within=1e-8).verdict == "WRONG"


def test_axes_are_not_shortened_where_the_function_holds_a_target_of_that_length():
    target = normal(3)

    def loss(x):
        return ((x - target) ** 2).sum()

    right = function(loss, lambda g, x: g * 2 * (x - target)).apply
    report = judge(right, (normal(3).requires_grad_(),))
    assert report.verdict == "right", str(report)
    assert [trial.verdict for trial in report.trials if "shortened" in trial.name] == ["not tried"] * 2
    wrong = function(loss, lambda g, x: g * (x - target)).apply
    assert judge(wrong, (normal(3).requires_grad_(),)).verdict == "WRONG"


def test_axes_are_not_shortened_where_pytorch_would_read_outside_of_memory():
    def loss(x, targets):
        return F.ctc_loss(x.log_softmax(-1), targets, torch.tensor([4]), torch.tensor([2]))

    report = judge(loss, (normal(4, 1, 3).requires_grad_(), torch.tensor([[1, 2]])))
    assert report.ok
    assert {trial.verdict for trial in report.trials if "shortened" in trial.name} == {"not tried"}


def test_an_operation_that_jax_cannot_differentiate_is_not_followed():
    def product(x, y):
        return x.scatter_reduce(0, torch.tensor([[0, 1, 2]]), y, "prod")

    report = judge(product, (normal(3, 3).requires_grad_(), normal(1, 3).requires_grad_()))
    assert (report.verdict, "not followed (" in report.text) == ("undecided", True)


def test_a_derivative_that_ends_with_a_number_taken_out_is_wrong():
    report = judge(lambda x: x * x.detach().max().item(), (torch.tensor([1.0, 2.0], requires_grad=True),))
    assert report.verdict == "WRONG", str(report)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("towards", [math.inf, -math.inf, 0.5])
def test_the_next_float_is_as_a_real_function_the_number_itself(towards, dtype):
    def beside(x):
        return torch.sin(torch.nextafter(x, torch.full((2, 1), towards, dtype=dtype)))

    def made(factor):
        return function(beside, lambda g, x: (factor * g * torch.cos(x)).sum(0)).apply

    x = normal(3, dtype=dtype).requires_grad_()
    assert judge(made(1), (x,)).verdict == "right"
    assert judge(made(1 + 1e-5), (x,)).verdict == "WRONG"


@pytest.mark.parametrize("turned", ["squeeze_", "unsqueeze_", "t_"])
def test_a_tensor_that_is_turned_in_place_is_another_view(turned):
    def forward(x):
        kept = x * 2
        made = getattr(kept, turned)(*[0] * (turned != "t_"))
        return made * torch.arange(made.numel(), dtype=x.dtype).reshape(made.shape)

    x = normal(1, 3) if turned == "squeeze_" else normal(2, 3)
    assert judge(forward, (x.requires_grad_(),)).verdict == "right"
    factor = function(lambda x: x * 1, lambda g, _: g * (1 + 1e-5), "Planted")
    assert judge(lambda x: forward(factor.apply(x)), (x,)).verdict == "WRONG"


def test_sparse_tensors_are_not_followed():
    x = normal(3, 2, dtype=torch.float32).requires_grad_()
    report = judge(lambda x: torch.sparse.mm(torch.eye(3).to_sparse(), x), (x,))
    assert (report.verdict, "not followed" in report.text) == ("undecided", True), str(report)


def test_code_that_raises_an_error_only_where_it_is_followed_is_not_judged():
    def without_modes(x):
        if torch.utils._python_dispatch._get_current_dispatch_mode() is not None:
            raise RuntimeError("no modes here")
        return x * 2

    report = judge(without_modes, (normal(3).requires_grad_(),))
    assert report.verdict == "undecided"
    assert "it raises an error only where it is followed: RuntimeError: no modes here" in report.text


def test_an_input_where_the_gradient_is_0_is_said_to_show_nothing():
    relu = function(lambda x: x.clamp(min=0), lambda g, x: 2 * g * (x > 0)).apply
    report = judge(relu, (torch.tensor([-1.0, -2.0], requires_grad=True),))
    assert report.ok
    assert any("code that returns zeros would pass" in note for note in report.notes)
    constant = judge(lambda x: (x * 0).sum(), (torch.tensor([1.0, 2.0], requires_grad=True),))
    assert constant.ok
    assert not constant.notes


def by_cholesky(g, a):
    """L⁻ᵀ Φ(Lᵀ g) L⁻¹, Φ the lower triangle with half the diagonal; both triangles by halves"""
    factor = torch.linalg.cholesky(a)
    product = (factor.mT @ g).tril()
    product.diagonal(dim1=-2, dim2=-1).mul_(0.5)
    inverse = torch.linalg.inv(factor)
    found = inverse.mT @ product @ inverse
    return (found + found.mT) / 2


def in_one_triangle(g, a):
    found = by_cholesky(g, a)
    return 2 * found.tril() - torch.diag_embed(torch.diagonal(found))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_gradient_by_a_symmetric_matrix_may_stand_in_one_triangle_or_in_both(dtype):
    a = positive_definite(3).to(dtype).requires_grad_()
    for right in (
        torch.linalg.cholesky,
        function(torch.linalg.cholesky, by_cholesky).apply,
        lambda a: torch.linalg.eigh(a)[0],
    ):
        report = judge(right, (a,))
        assert report.ok, str(report)
        assert any("by symmetric matrices" in note for note in report.notes)
    report = judge(function(torch.linalg.cholesky, in_one_triangle).apply, (a,))
    assert report.ok, str(report)
    assert not report.notes
    for wrong in (lambda g, a: by_cholesky(g, a) * (1 + 1e-5), lambda g, a: by_cholesky(g, a).tril()):
        assert judge(function(torch.linalg.cholesky, wrong).apply, (a,)).verdict == "WRONG"
    quadratic = function(
        lambda a: a[0] @ a[1], lambda g, a: g * torch.stack([(a[1] + a[0]) / 2, (a[0] + a[1]) / 2, 0 * a[0]])
    )
    assert judge(quadratic.apply, (a,)).verdict == "WRONG"  # it reads the whole matrix


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_of_a_product_a_symmetric_factor_has_a_gradient_by_all_its_entries(dtype):
    scales = torch.diag(torch.tensor([1.0, 2.0, 3.0])).to(dtype)

    def of_product(a):
        return torch.linalg.cholesky(a @ scales @ a.mT + torch.eye(3, dtype=dtype))

    def transposed(g, a):
        with torch.enable_grad():
            again = a.detach().requires_grad_()
            return torch.autograd.grad(of_product(again), again, g)[0].mT

    a = positive_definite(3).to(dtype).requires_grad_()
    assert judge(of_product, (a,)).ok
    assert judge(function(of_product, transposed).apply, (a,)).verdict == "WRONG"


def test_numbers_of_a_kind_that_is_not_written_down_are_named():
    report = judge(lambda x: x.to(torch.float8_e4m3fn).to(x.dtype), (normal(2).requires_grad_(),))
    assert report.text == "not followed (torch.float8_e4m3fn: numbers of this kind are not written down)"
