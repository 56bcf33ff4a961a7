"""Functions that draw random numbers are functions of their arguments, in each precision."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: the extra `torch` runs these tests")
from torch.distributions import Bernoulli, Laplace

from autodiff_ref.torch import judge
from tests.torch.functions import function

LARGE = 20
"""entries from 16 on PyTorch draws in another order"""

DRAWN = {
    "rand_like": lambda x: x * (torch.rand_like(x) > 0.5),
    "randn_like": lambda x: x * torch.randn_like(x),
    "randint_like": lambda x: x * torch.randint_like(x, 1, 9),
    "uniform_": lambda x: x * torch.empty_like(x).uniform_(),
    "normal_": lambda x: x * x.new_empty(x.shape).normal_(),
    "exponential_": lambda x: x * torch.empty_like(x).exponential_(),
    "bernoulli": lambda x: x + x * torch.bernoulli(torch.sigmoid(x)).detach(),
    "bernoulli_": lambda x: x + x * torch.empty_like(x).bernoulli_(torch.sigmoid(x).detach()),
    "poisson": lambda x: x * (1 + torch.poisson(x.abs()).detach()),
    "multinomial": lambda x: x[:, torch.multinomial(x.abs().detach()[0], 2)],
    "rsample": lambda x: Laplace(x, x.exp()).rsample(),
    "rrelu": lambda x: torch.where(x < 0, torch.empty_like(x).uniform_(0.1, 0.3), 1.0) * x,
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_is_a_constant_whatever_the_precision(name, dtype):
    x = torch.linspace(-1.5, 2.0, 2 * LARGE, dtype=dtype).reshape(2, LARGE).requires_grad_()
    assert judge(DRAWN[name], (x,), beside=False).verdict == "right"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_surrogate_gradient_of_a_draw_is_meant_so_and_right_against_what_it_stands_for(dtype):
    spike = function(
        lambda x: Bernoulli(probs=torch.sigmoid(x)).sample(), lambda g, x: g * torch.sigmoid(x) * torch.sigmoid(-x)
    )
    x = torch.linspace(-1.5, 2.0, LARGE, dtype=dtype).requires_grad_()
    assert judge(spike.apply, (x,)).verdict == "meant so"
    assert judge(spike.apply, (x,), of=torch.sigmoid).verdict == "right"
