"""The kinds of domains: one row each, which draws, moves, simplifies, checks and writes what an argument may be."""

from autodiff_ref.judge.domains.drawing import RandomSource, arguments_at, draw, inexact_flags, is_label, label_flags
from autodiff_ref.judge.domains.kinds import ROWS, row_of
from autodiff_ref.judge.domains.row import Row, Simple, Source, Values, ordinary_bound

__all__ = [
    "ROWS",
    "RandomSource",
    "Row",
    "Simple",
    "Source",
    "Values",
    "arguments_at",
    "draw",
    "inexact_flags",
    "is_label",
    "label_flags",
    "ordinary_bound",
    "row_of",
]
