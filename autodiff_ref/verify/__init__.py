"""The judge: is a derivation right, and if not, at which line? `verify(derivation)` gives a report."""

import sys
from types import ModuleType
from typing import Any

from autodiff_ref.verify.balls import register
from autodiff_ref.verify.counterexample import Counterexample
from autodiff_ref.verify.errors import LineError
from autodiff_ref.verify.inputs import STRATA, Input
from autodiff_ref.verify.judge import verify
from autodiff_ref.verify.report import LineReport, Report
from autodiff_ref.verify.walker.walk import NoRuleError

__all__ = ["STRATA", "Counterexample", "Input", "LineError", "LineReport", "NoRuleError", "Report", "register", "verify"]


class _Callable(ModuleType):
    """`from autodiff_ref import verify` gives this package, which is the function of the same name as well."""

    def __call__(self, *args: Any, **options: Any) -> Report:
        return verify(*args, **options)


sys.modules[__name__].__class__ = _Callable
