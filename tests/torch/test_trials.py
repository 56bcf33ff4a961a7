"""What a backward meets in use is tried by itself, and each kind of mistake is found there."""

import math
import re
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: the extra `torch` runs these tests")
from torch.autograd.function import once_differentiable
from torch.autograd.gradcheck import GradcheckError

from autodiff_ref.torch import (
    GradcheckNote,
    WrongGradientError,
    gradcheck,
    gradgradcheck,
    judge,
)
from tests.torch.functions import Swish, function


def x_of(*shape, dtype=torch.float64):
    numbers = torch.arange(1, 1 + torch.Size(shape).numel(), dtype=dtype) / 8
    return (numbers.reshape(shape) - 0.3).requires_grad_()


def wrong_trials(report):
    return [trial.name for trial in report.trials if trial.verdict == "WRONG"]


def test_all_that_is_tried_of_a_right_function_is_right():
    report = judge(Swish.apply, (x_of(2, 3),))
    assert report.ok
    assert {trial.verdict for trial in report.trials} == {"right"}
    assert len(report.trials) >= 10


def test_an_argument_kept_beside_save_for_backward():
    class Kept(Swish):
        @staticmethod
        def forward(ctx, x):
            ctx.x = x
            return x * torch.sigmoid(x)

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            s = torch.sigmoid(ctx.x)
            return g * s * (1 + ctx.x * (1 - s))

    report = judge(Kept.apply, (x_of(3),))
    assert wrong_trials(report) == ["x overwritten after the forward"]
    with pytest.raises(WrongGradientError, match="save_for_backward"):
        gradcheck(Kept.apply, (x_of(3),))


def test_a_backward_that_writes_into_its_cotangent():
    made = function(lambda x: 3 * x, lambda g, x: g.mul_(3))
    assert "the cotangent is overwritten by the backward" in wrong_trials(judge(made.apply, (x_of(3),)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("slope", [lambda kept, g: kept.mul_(g), lambda kept, g: g * kept.clone() + 0 * kept.zero_()])
def test_a_backward_that_uses_up_what_the_forward_kept(slope, dtype):
    class UsesUp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.slope = torch.cos(x)
            return torch.sin(x)

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return slope(ctx.slope, g)

    report = judge(UsesUp.apply, (x_of(2, 3, dtype=dtype),))
    assert wrong_trials(report) == ["backward run again"]
    assert "Write into a copy" in report.text


@pytest.mark.parametrize("kept", ["in the class", "in a buffer of the class", "in ctx"])
def test_what_is_kept_beside_ctx_is_that_of_another_call(kept):
    class Kept(torch.autograd.Function):
        buffer = torch.zeros(2, 3, dtype=torch.float64)

        @staticmethod
        def forward(ctx, x):
            match kept:
                case "in the class":
                    Kept.slope = torch.cos(x)
                case "in a buffer of the class":
                    ctx.slope = Kept.buffer[: x.shape[0], : x.shape[1]].copy_(torch.cos(x))
                case _:
                    ctx.slope = torch.cos(x)
            return torch.sin(x)

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return g * (Kept.slope if kept == "in the class" else ctx.slope)

    report = judge(Kept.apply, (x_of(2, 3),))
    assert wrong_trials(report) == ([] if kept == "in ctx" else ["another call before the backward"])


def test_a_backward_that_draws_random_numbers_is_run_again_with_the_same_ones():
    made = function(lambda x: 2 * x, lambda g, _: 2 * g * (torch.rand(()) < 2))
    assert judge(made.apply, (x_of(3),)).ok


def test_an_error_of_the_backward_is_raised_as_its_own():
    made = function(lambda x: (x * x).sum(-1), lambda g, x: 2 * x * g)
    with pytest.raises(RuntimeError, match="size of tensor a"):
        gradcheck(made.apply, (x_of(2, 3),))


def test_a_function_that_overwrites_its_argument_unseen():
    made = function(lambda x: x.data.mul_(2) * 1.5, lambda g, x: 3 * g)
    report = judge(made.apply, (x_of(3),))
    assert report.verdict == "WRONG", str(report)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_an_expanded_argument_is_judged_as_one_with_memory_for_each_entry(dtype):
    def rounded_by_layout(x):
        turned = x if x.is_contiguous() else x.mT.contiguous().mT
        return torch.softmax(turned, 0) * (x.sum() if x.is_contiguous() else sum(x.unbind(0)).sum())

    x = torch.tensor([[0.3, -0.7, 1.1]], dtype=dtype).expand(5, 3).detach().requires_grad_()
    assert judge(rounded_by_layout, (x,)).ok
    assert judge(rounded_by_layout, (x_of(5, 3, dtype=dtype).detach().requires_grad_(),)).ok
    halved = function(lambda x: x**2, lambda g, x: g * x * (2 if x.is_contiguous() else 1))
    assert "input_0 expanded" in wrong_trials(judge(halved.apply, (x_of(5, 3, dtype=dtype).detach().requires_grad_(),)))


def test_a_gradient_that_is_0_but_for_rounding_may_differ_by_the_layout_of_its_cotangent():
    def softmaxed(g, x):
        p = torch.softmax(x, -1)
        slack = 1e-17 if 0 in g.stride() else 2e-17
        return p * (g - (p * g).sum(-1, keepdim=True)) + slack * p

    made = function(lambda x: torch.softmax(x, -1), softmaxed)
    assert not wrong_trials(judge(made.apply, (x_of(2, 3),)))


def test_a_cotangent_that_is_expanded_along_one_axis():
    def softmaxed(g, x):
        p = torch.softmax(x, -1)
        return p * (g - (p * g).sum(-1, keepdim=True)) * (2 if g.stride()[0] == 0 else 1)

    made = function(lambda x: torch.softmax(x, -1), softmaxed)
    assert wrong_trials(judge(made.apply, (x_of(2, 3),))) == ["cotangent expanded along an axis"]


@pytest.mark.parametrize(
    "data",
    [
        [[0.0, 1, 0], [1, 0, 0]],
        [[0, 1, 0], [0, 0, 1]],
        [[0.25, 0.5, 0.25], [0.125, 0.375, 0.5]],
        [[0.6, 0.8, 0], [0, 0.28, 0.96]],
    ],
    ids=["one-hot", "one-hot, integers", "probabilities", "of length 1"],
)
def test_data_that_add_up_to_1_or_are_of_length_1_stay_so_where_axes_are_shortened(data):
    y = torch.tensor(data, dtype=torch.float64 if isinstance(data[0][0], float) else torch.int64)
    if torch.all(y.sum(-1) == 1):
        made = function(lambda x, y: (x.logsumexp(-1, keepdim=True) * y).sum(), lambda g, x, y: g * torch.softmax(x, -1))
    else:
        made = function(lambda x, y: x * (y * y).sum(-1, keepdim=True), lambda g, x, y: g)
    report = judge(made.apply, (x_of(2, 3), y), within=1e-12)
    assert (report.verdict, wrong_trials(report)) == ("right", [])


def test_fewer_digits_than_the_argument_has_are_noted_with_the_operation():
    made = function(lambda x: x**3, lambda g, x: (3 * g * x**2).half().to(x.dtype))
    report = judge(made.apply, (x_of(3),))
    assert report.ok
    assert "in float16" in report.notes[0]
    assert not judge(function(lambda x: x**3, lambda g, x: 3 * g * x**2).apply, (x_of(3),)).notes


def test_of_many_operations_the_second_derivative_is_left_to_gradgradcheck(monkeypatch):
    monkeypatch.setattr("autodiff_ref.judge.torch_code.gradcheck.MOST_STEPS", 2)
    assert judge(Swish.apply, (x_of(3),)).double_backward.verdict == "not tried"
    assert gradgradcheck(Swish.apply, (x_of(3),))


def test_a_cotangent_read_by_its_memory():
    made = function(
        lambda x: x * 2, lambda g, x: 2 * torch.as_strided(g.contiguous() if g.stride(0) > 3 else g, (2, 3), (3, 1))
    )
    assert "cotangent transposed" in wrong_trials(judge(made.apply, (x_of(2, 3),)))


def test_one_of_two_outputs_used():
    class Two(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return 2 * x, 3 * x

        @staticmethod
        def backward(ctx, g, h):
            return None if g is None or h is None else 2 * g + 3 * h

    assert wrong_trials(judge(Two.apply, (x_of(3),))) == ["only output 0 used", "only output 1 used"]


def test_a_second_derivative_that_is_silently_wrong_is_said_and_refused_by_gradgradcheck():
    class Kept(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            slope = torch.cos(x)
            ctx.save_for_backward(slope)
            return torch.sin(x)

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    with pytest.warns(GradcheckNote, match="second derivative"):
        assert gradcheck(Kept.apply, (x_of(3),))
    with pytest.raises(WrongGradientError):
        gradgradcheck(Kept.apply, (x_of(3),))
    assert gradgradcheck(Swish.apply, (x_of(3),))


@pytest.mark.parametrize("digits", [7, 9, 11])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_rounded_constant_is_wrong_and_the_share_that_is_named_makes_it_right(digits, dtype):
    constant = round(math.sqrt(2 / math.pi), digits)
    made = function(lambda x: torch.sin(x) * math.sqrt(2 / math.pi), lambda g, x: g * torch.cos(x) * constant)
    report = judge(made.apply, (x_of(3, dtype=dtype),))
    assert report.verdict == "WRONG"
    named = re.search(r"within=(\S+)$", report.text)
    assert named, report.text
    assert judge(made.apply, (x_of(3, dtype=dtype),), within=float(named[1])).ok
    assert "within" not in judge(function(torch.sin, lambda g, x: g * torch.cos(x) * 1.00001).apply, (x_of(3),)).text


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("share", [1e-9, 1e-7])
def test_where_the_gradient_is_0_the_share_that_is_named_is_of_the_largest_entry(share, dtype):
    weights = torch.tensor([0.0, 2.0, 0.0, 8.0], dtype=dtype)
    made = function(lambda x: weights * x.exp(), lambda g, x: g * x.exp() * weights + share * g * x.exp())
    inputs = (x_of(4, dtype=dtype),)
    report = judge(made.apply, inputs)
    assert report.verdict == "WRONG"
    named = re.search(r"or of the largest where it should be 0.* within=(\S+)$", report.text)
    assert named, report.text
    assert judge(made.apply, inputs, within=float(named[1])).ok
    assert judge(made.apply, inputs, within=float(named[1]) / 100).verdict == "WRONG"


def test_a_gradient_by_symmetric_matrices_alone_is_wrong_and_said_to_be_that():
    weights = torch.tensor([[1.0, 2.0], [3.0, 5.0]], dtype=torch.float64)

    def made(factor):
        return function(lambda x: (weights * (x @ x)).sum(), lambda g, x: factor * g * (weights @ x.mT + x.mT @ weights).mT)

    x = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64, requires_grad=True)
    report = judge(made(1).apply, (x,))
    assert report.verdict == "WRONG"
    assert "(x + x.mT) / 2" in report.text
    assert judge(lambda x: made(1).apply((x + x.mT) / 2), (x,)).ok
    for factor, at in ((2, x.detach()), (1, torch.tensor([[2.0, 0.5], [0.25, 1.0]], dtype=torch.float64))):
        assert "(x + x.mT) / 2" not in judge(made(factor).apply, (at.requires_grad_(),)).text


def test_options_without_use_are_said_and_those_that_ask_for_more_are_refused():
    with pytest.warns(GradcheckNote, match="eps, fast_mode are not used"):
        assert gradcheck(Swish.apply, (x_of(2),), eps=1e-4, fast_mode=True)
    with pytest.raises(NotImplementedError, match="check_forward_ad"):
        gradcheck(Swish.apply, (x_of(2),), check_forward_ad=True)
    with pytest.raises(TypeError, match="epsilon"):
        gradcheck(Swish.apply, (x_of(2),), epsilon=1)
    with pytest.raises(ValueError, match="requires a gradient"):
        gradcheck(Swish.apply, (x_of(2).detach(),))
    with pytest.raises(ValueError, match="within"):
        gradcheck(Swish.apply, (x_of(2),), within=2)
    with pytest.raises(TypeError, match=r"got the class Swish: pass Swish\.apply"):
        gradcheck(Swish, (x_of(2),))
    with pytest.raises(TypeError, match=r"must return a tensor or several, and returns float 1\.0"):
        gradcheck(lambda _: 1.0, (x_of(2),))


def test_the_page_on_pytorch_begins_with_what_runs(capsys):
    page = (Path(__file__).parents[2] / "docs" / "torch.md").read_text(encoding="utf-8")
    exec(re.findall(r"^```py\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)[0], {"__name__": "page"})
    assert capsys.readouterr().out.startswith("Swish: right\n")


def test_without_raising_it_returns_false():
    made = function(lambda x: x * x, lambda g, x: g * x)
    assert gradcheck(made.apply, (x_of(3),), raise_exception=False) is False
    assert issubclass(WrongGradientError, GradcheckError)


def test_a_backward_that_raises_an_error_for_axes_of_1_is_loud_and_no_more():
    made = function(lambda x: x[..., :2] * 2, lambda g, x: torch.cat([2 * g, 0 * x[..., 2:3]], dim=-1))
    report = judge(made.apply, (x_of(2, 3),))
    assert report.ok, str(report)
    assert [trial.verdict for trial in report.trials if trial.name == "axes of 3 shortened to 1"] == ["right"]
    strict = function(lambda x: x * 2, lambda g, x: 2 * g.reshape(-1, 3).view(*x.shape))
    report = judge(strict.apply, (x_of(2, 3),))
    assert [trial.verdict for trial in report.trials if trial.name == "axes of 3 shortened to 1"] == ["raises"]


@pytest.mark.parametrize(
    ("forward", "verdicts"),
    [
        (lambda x, w: x * w / x.abs().mean(-1, keepdim=True), {"axes of 3 shortened to 0": "not its domain"}),
        (lambda x, w: x * w, {"axes of 3 shortened to 0": "WRONG"}),
    ],
    ids=["a mean of nothing on the way", "none"],
)
def test_where_a_step_of_the_forward_has_no_value_nothing_is_asked_of_the_backward(forward, verdicts):
    def backward(g, x, w):
        with torch.enable_grad():
            x, w = (t.detach().requires_grad_() for t in (x, w))
            by_x, by_w = torch.autograd.grad(forward(x, w), (x, w), g)
        return by_x, by_w + 0 * x.mean().detach()

    report = judge(
        function(forward, backward).apply, (x_of(2, 3), torch.tensor(0.5, dtype=torch.float64, requires_grad=True))
    )
    found = {trial.name: trial.verdict for trial in report.trials}
    assert {name: found.get(name, "not its domain") for name in verdicts} == verdicts


def test_random_numbers_of_the_program_go_on_as_if_nothing_had_been_drawn():
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judge(lambda x: torch.nn.functional.dropout(x, 0.5), (x_of(4),))
    assert torch.equal(torch.rand(2), wanted)
