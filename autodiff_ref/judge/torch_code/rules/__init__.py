"""One row an operation of PyTorch: the same in JAX. What has no row is taken apart by PyTorch's own decompositions."""

from autodiff_ref.judge.torch_code.rules.algebra import ALGEBRA, ALGEBRA_WHOLE
from autodiff_ref.judge.torch_code.rules.elementwise import ELEMENTWISE
from autodiff_ref.judge.torch_code.rules.indexing import INDEXING, INDEXING_WHOLE
from autodiff_ref.judge.torch_code.rules.layers import LAYERS, LAYERS_WHOLE
from autodiff_ref.judge.torch_code.rules.reductions import REDUCTIONS
from autodiff_ref.judge.torch_code.rules.transforms import TRANSFORMS
from autodiff_ref.judge.torch_code.tracing import Rule

RULES: dict[str, Rule] = {**ELEMENTWISE, **REDUCTIONS, **INDEXING, **ALGEBRA, **LAYERS, **TRANSFORMS}
"""of arrays"""

SPECIAL: dict[str, Rule] = {**INDEXING_WHOLE, **ALGEBRA_WHOLE, **LAYERS_WHOLE}
"""of the whole operation, where the numbers themselves matter: masks, layouts, what it returned"""
