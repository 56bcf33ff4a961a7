"""Traces code written for NumPy whole: its arrays are replaced by stand-ins along which real values run."""

from autodiff_ref.judge.numpy_code.run import Assumption, NotFollowedError
from autodiff_ref.judge.numpy_code.through import Levels, through_numpy

__all__ = ["Assumption", "Levels", "NotFollowedError", "through_numpy"]
