"""All rows, by name."""

from autodiff_ref.judge.functions.elementary import ELEMENTARY
from autodiff_ref.judge.functions.library import LIBRARY
from autodiff_ref.judge.functions.row import Function
from autodiff_ref.judge.functions.special import SPECIAL

FUNCTIONS: dict[str, Function] = {row.name: row for row in (*ELEMENTARY, *SPECIAL, *LIBRARY)}
"""what the judge knows of functions that work entry by entry"""
