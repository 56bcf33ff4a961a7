"""What people import beside the function `verify`: `from autodiff_ref.verify import strategies`, `Report`, `register`."""

from typing import TYPE_CHECKING

from autodiff_ref._lazily import lazily

if TYPE_CHECKING:
    from autodiff_ref.judge import strategies
    from autodiff_ref.judge.counterexample import Counterexample
    from autodiff_ref.judge.derivations import verify
    from autodiff_ref.judge.errors import LineError
    from autodiff_ref.judge.inputs import STRATA, Input
    from autodiff_ref.judge.program.plans import NoRuleError
    from autodiff_ref.judge.register import register
    from autodiff_ref.judge.report import LineReport, Report

__all__ = [
    "STRATA",
    "Counterexample",
    "Input",
    "LineError",
    "LineReport",
    "NoRuleError",
    "Report",
    "register",
    "strategies",
    "verify",
]

__getattr__ = lazily(
    globals(),
    {
        "STRATA": "autodiff_ref.judge.inputs",
        "Counterexample": "autodiff_ref.judge.counterexample",
        "Input": "autodiff_ref.judge.inputs",
        "LineError": "autodiff_ref.judge.errors",
        "LineReport": "autodiff_ref.judge.report",
        "NoRuleError": "autodiff_ref.judge.program.plans",
        "Report": "autodiff_ref.judge.report",
        "register": "autodiff_ref.judge.register",
        "strategies": "autodiff_ref.judge.strategies",
        "verify": "autodiff_ref.judge.derivations",
    },
)
