"""Mistakes that were found in packages, made again in code of our own, and what is right beside them."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: the extra `torch` runs these tests")

from autodiff_ref.torch import UndecidedError, WrongGradientError, gradcheck, judge
from tests.torch import functions as made

DTYPES = [torch.float64, torch.float32]


def tensor(values, dtype, *, fixed=False):
    return torch.tensor(values, dtype=dtype, requires_grad=not fixed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_edge_that_stands_there_twice_counts_twice(dtype):
    x, edges = tensor([[0.0, 0.0]], dtype), torch.tensor([[0, 0], [1, 1]])
    with pytest.raises(WrongGradientError, match=r"0\.5 times what it should be"):
        gradcheck(made.EdgeLoss.apply, (x, edges))
    assert gradcheck(made.EdgeLossAdded.apply, (x, edges))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_series_cut_off_is_no_jacobian_and_one_long_enough_is(dtype):
    t = tensor([1.0, 0.0, 0.0, 2.0], dtype)
    with pytest.raises(WrongGradientError):
        gradcheck(made.similarity(8).apply, (t,))
    assert gradcheck(made.similarity(30).apply, (t,), within=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gradient_forgotten_where_another_input_is_frozen(dtype):
    low, highs, taps = tensor([1.0, 2.0], dtype), tensor([0.5, -1.0], dtype), tensor([0.75, 0.25], dtype, fixed=True)
    report = judge(made.TwoBands.apply, (low, highs, taps))
    wrong = [trial.name for trial in report.trials if trial.verdict == "WRONG"]
    assert (report.verdict, wrong) == ("WRONG", ["only highs asked for"])
    with pytest.raises(WrongGradientError, match="only highs asked for"):
        gradcheck(made.TwoBands.apply, (low, highs, taps))
    assert gradcheck(made.TwoBandsEach.apply, (low, highs, taps))
    with pytest.raises(WrongGradientError):
        gradcheck(made.TwoBands.apply, (low.detach(), highs, taps))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_cotangent_that_is_not_used(dtype):
    p, t = tensor([0.0, 0.5], dtype), tensor([1.0, -1.0], dtype, fixed=True)
    with pytest.raises(WrongGradientError, match=r"in p\[0\]"):
        gradcheck(made.SquaredHinge.apply, (p, t))
    assert gradcheck(made.SquaredHingeScaled.apply, (p, t))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_squeeze_too_many(dtype):
    x = tensor([[[0.5, 0.25, 0.0]], [[2.0, 0.0, 0.0]]], dtype)
    with pytest.raises(WrongGradientError):
        gradcheck(made.SparsemaxSqueezed.apply, (x,))
    assert gradcheck(made.Sparsemax.apply, (x,))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_surrogate_against_what_it_stands_for(dtype):
    x = tensor([0.25, -0.5], dtype)
    with pytest.raises(WrongGradientError):
        gradcheck(made.SpikeWithoutFactor.apply, (x, 3.0), of=made.soft_spike)
    assert gradcheck(made.Spike.apply, (x, 3.0), of=made.soft_spike, within=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_solution_by_bisection_is_not_called_wrong_and_is_right_against_the_closed_form(dtype):
    x = tensor([[0.53, 0.21, -0.17]], dtype)
    with pytest.raises(UndecidedError, match="of="):
        gradcheck(made.SparsemaxBisected.apply, (x,))
    assert gradcheck(made.SparsemaxBisected.apply, (x,), of=made.sparsemax_by_sorting)


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (lambda x: (x > 0).to(x.dtype), lambda g, x: g / (1 + 25 * x.abs()) ** 2),
        (torch.round, lambda g, x: g),
        (torch.sign, lambda g, x: g * (x.abs() <= 1)),
        (lambda x: x.view_as(x), lambda g, x: -g),
        (lambda x: x.clone(), lambda g, x: 0.1 * g),
    ],
    ids=["surrogate", "straight through", "clipped straight through", "reversal", "scaling"],
)
def test_what_is_meant_so_is_neither_wrong_nor_passed(forward, backward):
    function, x = made.function(forward, backward), tensor([0.3, -0.75, 2.5], torch.float64)
    assert judge(function.apply, (x,)).verdict == "meant so"
    with pytest.raises(UndecidedError, match="meant so"):
        gradcheck(function.apply, (x,))


MASK = torch.tensor([1.0, 0, 1], dtype=torch.float64)
LEAKS = {
    "a mask forgotten": (lambda x: x * MASK, lambda g, x: g),
    "entries that are not used": (lambda x: x[:2], lambda g, x: torch.cat([g, g[:1]])),
    "rows that are not looked up": (
        lambda x: x[[0, 2, 2]],
        lambda g, x: torch.full_like(x, 0.5).index_add(0, torch.tensor([0, 2, 2]), g - 0.5),
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_gradient_that_leaks_to_entries_the_function_does_not_use_is_wrong_and_not_meant_so(name):
    assert judge(made.function(*LEAKS[name]).apply, (tensor([0.3, -0.75, 2.5], torch.float64),)).verdict == "WRONG"


@pytest.mark.parametrize("factor", [-1, 1 + 1e-6])
@pytest.mark.parametrize(
    ("forward", "others"),
    [
        (lambda x: x.clamp(min=0), ()),
        (lambda x: x.clamp(0, 30), ()),
        (lambda x, m: x * m, (torch.ones(3, dtype=torch.float64),)),
    ],
    ids=["ReLU", "clamp", "a mask of ones"],
)
def test_what_returns_its_argument_at_this_input_alone_is_wrong_and_not_meant_so(forward, others, factor):
    planted = made.function(forward, lambda g, *_: factor * g)
    assert judge(planted.apply, (tensor([0.3, 0.75, 2.5], torch.float64), *others)).verdict == "WRONG"


def test_a_parameter_that_is_read_from_a_module_is_named():
    layer = torch.nn.Linear(3, 2).double()

    def backward(g, x, weight):
        return g @ layer.weight, g.T @ x

    report = judge(
        made.function(lambda x, _: layer(x), backward).apply, (tensor([[0.3, 0.75, 2.5]], torch.float64), layer.weight)
    )
    assert (report.verdict, "does not use input_1" in report.text) == ("meant so", True)


@pytest.mark.parametrize("share", [1e-9, 1e-12])
def test_a_share_that_is_added_is_seen_where_masks_are_used_again_and_again(share):
    def masked(x):
        out = torch.zeros_like(x)
        near = x.abs() < 1
        out[near] = x[near] ** 2 + x[near]
        out[~near] = x[~near].exp() * x[~near]
        return out

    def backward(g, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(masked(x), x, g)[0] * (1 + share)

    assert judge(made.function(masked, backward).apply, (tensor([0.3, -1.75, 2.5], torch.float64),)).verdict == "WRONG"


@pytest.mark.parametrize("factor", [1, 2])
def test_a_straight_through_gradient_beside_one_that_is_right_is_meant_so_and_beside_a_wrong_one_wrong(factor):
    def rounded(x, step):
        return torch.round(x / step) * step

    def backward(g, x, step):
        return g, factor * (g * torch.round(x / step)).sum()

    x, step = tensor([0.3, -0.75, 2.5], torch.float64), tensor(0.7, torch.float64)
    report = judge(made.function(rounded, backward).apply, (x, step))
    assert report.verdict == ("meant so" if factor == 1 else "WRONG")
    assert ("by input_0 the function is constant" in report.text) == (factor == 1)


RIGHT = {
    "swish": (lambda x: x * torch.sigmoid(x), lambda g, x: g * torch.sigmoid(x) * (1 + x * (1 - torch.sigmoid(x)))),
    "mish": (
        lambda x: x * torch.tanh(torch.log1p(torch.exp(x))),
        lambda g, x: (
            g
            * (
                torch.tanh(torch.log1p(torch.exp(x)))
                + x * torch.sigmoid(x) * (1 - torch.tanh(torch.log1p(torch.exp(x))) ** 2)
            )
        ),
    ),
    "radial basis": (lambda x: torch.exp(-0.5 * x * x), lambda g, x: -g * x * torch.exp(-0.5 * x * x)),
    "matern": (
        lambda x: (1 + 3**0.5 * x.abs()) * torch.exp(-(3**0.5) * x.abs()),
        lambda g, x: -3 * g * x * torch.exp(-(3**0.5) * x.abs()),
    ),
    "log-softmax": (
        lambda x: x - x.logsumexp(-1, keepdim=True),
        lambda g, x: g - torch.softmax(x, -1) * g.sum(-1, keepdim=True),
    ),
}


HALVES = [("swish", torch.float16), ("log-softmax", torch.bfloat16)]


@pytest.mark.parametrize(("name", "dtype"), [*[(name, dtype) for name in RIGHT for dtype in DTYPES], *HALVES])
def test_right_ones_pass_and_a_small_factor_in_each_is_seen(name, dtype):
    forward, backward = RIGHT[name]
    x = torch.tensor([[0.3, -0.75, 1.5], [2.0, 0.125, -1.0]], dtype=dtype, requires_grad=True)
    assert gradcheck(made.function(forward, backward).apply, (x,), within=1e-12)
    planted = made.function(forward, lambda g, x: backward(g, x) * (1 + 1e-5))
    said = r"1 \+ 1e-05 times" if dtype in DTYPES else "certified"  # what half precision returns is rounded more than that
    with pytest.raises(WrongGradientError, match=said):
        gradcheck(planted.apply, (x,), within=1e-12)


@pytest.mark.parametrize(("rows", "dtype"), [([[0.31, 0.17, 0.49]], torch.float64), ([[0.5, 0.25, 0.125]], torch.float32)])
def test_a_bisection_whose_rest_shows_in_the_last_digits_alone_is_not_wrong_and_a_factor_in_it_is(rows, dtype):
    x = tensor(rows, dtype)
    assert judge(made.BisectedLoss.apply, (x,), beside=False).verdict in ("right", "undecided")
    assert judge(made.BisectedLoss.apply, (x,), of=made.sorted_loss, within=1e-9, beside=False).ok
    factor = made.function(lambda x: x * 1, lambda g, _: g * (1 + 1e-5), "Planted")
    planted = judge(lambda x: made.BisectedLoss.apply(factor.apply(x)), (x,), of=made.sorted_loss, within=1e-9, beside=False)
    assert planted.verdict == "WRONG", str(planted)


UNIT = [0.5, -0.5, 0.5, 0.5]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("apply", "inputs"),
    [
        (made.Entmax15.apply, [[[0.31, 0.17, 0.49], [2.0, 0.125, -1.0]]]),
        (
            lambda p: made.Moved.apply(p, torch.zeros(3, dtype=p.dtype), torch.tensor(UNIT, dtype=p.dtype)),
            [[[1.0, -2.0, 0.5]]],
        ),
        (
            lambda p, t: made.Moved.apply(p, t, torch.tensor(UNIT, dtype=p.dtype)),
            [[[1.0, -2.0, 0.5], [0.25, 1.0, -1.5]], [0.5, 1.0, -1.0]],
        ),
    ],
    ids=["1.5-entmax", "a rotation", "a rigid motion"],
)
def test_right_ones_with_a_backward_of_another_form_pass_and_a_small_factor_is_seen(apply, inputs, dtype):
    given = [tensor(numbers, dtype) for numbers in inputs]
    assert gradcheck(apply, given)
    planted = made.function(lambda x: x * 1, lambda g, _: g * (1 + 1e-5), "Planted")
    with pytest.raises(WrongGradientError):
        gradcheck(lambda first, *others: apply(planted.apply(first), *others), given)
