"""An iteration to a solution has the derivative of the solution only as far as it has come: that is no mistake."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: the extra `torch` runs these tests")

from autodiff_ref.torch import judge
from tests.torch.functions import function


def balanced(cost, steps):
    """Sinkhorn's iteration: rows and columns in turns."""
    for _ in range(steps):
        cost = cost - torch.logsumexp(cost, -2, keepdim=True)
        cost = cost - torch.logsumexp(cost, -1, keepdim=True)
    return cost.exp()


def slope_of_balanced(g, cost):
    p = balanced(cost, 80)
    g, m = g * p, len(p)
    system = torch.cat([torch.cat([p.sum(1).diag(), p], 1), torch.cat([p.T, p.sum(0).diag()], 1)])[:-1, :-1]
    u = torch.linalg.solve(system, torch.cat([g.sum(1), g[:, :-1].sum(0)]))
    return g - p * (u[:m, None] + torch.cat([u[m:], torch.zeros_like(u[:1])]))


def contracted(x, steps):
    """y = x + sin(y)/2"""
    y = torch.zeros_like(x)
    for _ in range(steps):
        y = x + torch.sin(y) / 2
    return y


def slope_of_contracted(g, x):
    return g / (1 - torch.cos(contracted(x, 80)) / 2)


ITERATIONS = {
    "contraction": (contracted, slope_of_contracted, torch.tensor([0.5, -1.25], dtype=torch.float64), 22, 50),
    "sinkhorn": (balanced, slope_of_balanced, torch.tensor([[0.5, -0.25], [0.25, 0.5]], dtype=torch.float64), 8, 30),
}


def judged(name, steps, factor):
    iterated, slope, x, *_ = ITERATIONS[name]
    made = function(lambda x: iterated(x, steps), lambda g, x: factor * slope(g, x))
    return judge(made.apply, (x.clone().requires_grad_(),), beside=False)


@pytest.mark.parametrize("name", ITERATIONS)
def test_what_the_last_steps_leave_is_no_mistake_and_a_factor_is(name):
    short = ITERATIONS[name][-2]
    report = judged(name, short, 1)
    assert (report.verdict, "iterates to a solution" in report.text) == ("undecided", True), str(report)
    assert judged(name, short, 1 + 1e-5).verdict == "WRONG"


@pytest.mark.parametrize("name", ITERATIONS)
def test_an_iteration_that_has_come_to_its_solution_is_right(name):
    assert judged(name, ITERATIONS[name][-1], 1).verdict == "right"
