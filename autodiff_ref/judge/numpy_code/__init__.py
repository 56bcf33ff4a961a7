"""Traces code written for NumPy whole: its arrays are replaced by stand-ins along which real values run."""

from autodiff_ref.judge.numpy_code.holding import reaches_more
from autodiff_ref.judge.numpy_code.run import Assumption, IterationError, NotFollowedError
from autodiff_ref.judge.numpy_code.through import Levels, standing, through_numpy

__all__ = ["Assumption", "IterationError", "Levels", "NotFollowedError", "reaches_more", "standing", "through_numpy"]
