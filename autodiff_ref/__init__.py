"""The gradients of the notes by machine: the nested function in JAX, differentiated by `jax.grad`; and the judge."""

from typing import TYPE_CHECKING

from autodiff_ref.gradients import grad, hessian_vector_product, log_likelihood, per_example_grad, value_and_grad
from autodiff_ref.nabla import nabla
from autodiff_ref.verify.assertions.asserting import UndecidedError, assert_derivation, assert_gradients_agree
from autodiff_ref.verify.assertions.backward import assert_backward_agrees
from autodiff_ref.verify.assertions.intermediates import check_intermediates

if TYPE_CHECKING:
    from autodiff_ref.verify.judge import verify
else:
    from autodiff_ref import verify

__all__ = [
    "UndecidedError",
    "assert_backward_agrees",
    "assert_derivation",
    "assert_gradients_agree",
    "check_intermediates",
    "grad",
    "hessian_vector_product",
    "log_likelihood",
    "nabla",
    "per_example_grad",
    "value_and_grad",
    "verify",
]
