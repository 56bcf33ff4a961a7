"""PyTorch's `gradcheck`, judged without tolerances: `from autodiff_ref.torch import gradcheck`. Needs the extra `torch`."""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError("autodiff_ref.torch needs PyTorch: pip install 'manual-grad[torch]'")

from autodiff_ref.judge.assertion.undecided import UndecidedError
from autodiff_ref.judge.torch_code.gradcheck import (
    FunctionReport,
    GradcheckNote,
    WrongGradientError,
    gradcheck,
    gradgradcheck,
    judge,
)
from autodiff_ref.judge.torch_code.trials import Trial

__all__ = [
    "FunctionReport",
    "GradcheckNote",
    "Trial",
    "UndecidedError",
    "WrongGradientError",
    "gradcheck",
    "gradgradcheck",
    "judge",
]
