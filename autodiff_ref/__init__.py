"""The gradients of the notes by machine: the nested function in JAX, differentiated by `jax.grad`; and the judge."""

from autodiff_ref.gradients import grad, hessian_vector_product, log_likelihood, per_example_grad, value_and_grad
from autodiff_ref.nabla import nabla

__all__ = [
    "grad",
    "hessian_vector_product",
    "log_likelihood",
    "nabla",
    "per_example_grad",
    "value_and_grad",
]
