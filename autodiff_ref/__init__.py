"""The gradients of the notes by machine: the nested function in JAX, differentiated by `jax.grad`; and the judge."""

from typing import TYPE_CHECKING

from autodiff_ref._lazily import lazily
from autodiff_ref.nabla import nabla

if TYPE_CHECKING:
    from autodiff_ref.gradients import grad, hessian_vector_product, log_likelihood, per_example_grad, value_and_grad
    from autodiff_ref.judge.assertion.asserting import UndecidedError, assert_derivation, assert_gradients_agree
    from autodiff_ref.judge.assertion.backward import assert_backward_agrees
    from autodiff_ref.judge.assertion.intermediates import check_intermediates
    from autodiff_ref.judge.derivations import verify
    from autodiff_ref.judge.lines.traces import numpy_nabla
    from autodiff_ref.judge.register import register
    from autodiff_ref.judge.rules.findings import RuleReport
    from autodiff_ref.judge.rules.judging import Relative, assert_rule, judge_rule
else:
    from autodiff_ref import verify  # the module: imported once, it does not hide the function of its name later

    del verify

__all__ = [
    "Relative",
    "RuleReport",
    "UndecidedError",
    "assert_backward_agrees",
    "assert_derivation",
    "assert_gradients_agree",
    "assert_rule",
    "check_intermediates",
    "grad",
    "hessian_vector_product",
    "judge_rule",
    "log_likelihood",
    "nabla",
    "numpy_nabla",
    "per_example_grad",
    "register",
    "value_and_grad",
    "verify",
]

__getattr__ = lazily(
    globals(),
    {
        "Relative": "autodiff_ref.judge.rules.judging",
        "RuleReport": "autodiff_ref.judge.rules.findings",
        "UndecidedError": "autodiff_ref.judge.assertion.asserting",
        "assert_backward_agrees": "autodiff_ref.judge.assertion.backward",
        "assert_derivation": "autodiff_ref.judge.assertion.asserting",
        "assert_gradients_agree": "autodiff_ref.judge.assertion.asserting",
        "assert_rule": "autodiff_ref.judge.rules.judging",
        "check_intermediates": "autodiff_ref.judge.assertion.intermediates",
        "grad": "autodiff_ref.gradients",
        "hessian_vector_product": "autodiff_ref.gradients",
        "judge_rule": "autodiff_ref.judge.rules.judging",
        "log_likelihood": "autodiff_ref.gradients",
        "numpy_nabla": "autodiff_ref.judge.lines.traces",
        "per_example_grad": "autodiff_ref.gradients",
        "register": "autodiff_ref.judge.register",
        "value_and_grad": "autodiff_ref.gradients",
        "verify": "autodiff_ref.judge.derivations",
    },
)
