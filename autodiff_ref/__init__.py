"""The gradients of the notes by machine: the nested function in JAX, differentiated by `jax.grad`; and the judge."""

import importlib
from typing import TYPE_CHECKING, Any

from autodiff_ref.gradients import grad, hessian_vector_product, log_likelihood, per_example_grad, value_and_grad
from autodiff_ref.nabla import nabla
from autodiff_ref.verify.assertions.asserting import UndecidedError, assert_derivation, assert_gradients_agree
from autodiff_ref.verify.assertions.backward import assert_backward_agrees
from autodiff_ref.verify.assertions.intermediates import check_intermediates

if TYPE_CHECKING:
    from autodiff_ref.verify.judge import verify
    from autodiff_ref.verify.rules.findings import RuleReport
    from autodiff_ref.verify.rules.judging import Relative, assert_rule, judge_rule
else:
    from autodiff_ref import verify

_LAZY = {
    "Relative": "autodiff_ref.verify.rules.judging",
    "RuleReport": "autodiff_ref.verify.rules.findings",
    "assert_rule": "autodiff_ref.verify.rules.judging",
    "judge_rule": "autodiff_ref.verify.rules.judging",
}
"""names that are imported when they are first used, by where they are"""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
    "per_example_grad",
    "value_and_grad",
    "verify",
]
