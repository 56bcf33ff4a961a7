"""The functions that the judge knows, one row each, by family. `docs/extending.md` adds one."""

from autodiff_ref.judge.functions.row import Function, Granted, Measured, Ulps
from autodiff_ref.judge.functions.table import FUNCTIONS

__all__ = ["FUNCTIONS", "Function", "Granted", "Measured", "Ulps"]
