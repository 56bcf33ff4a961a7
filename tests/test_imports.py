"""`manual_grad` is by hand: importing and using it loads neither JAX nor the reference. In a process of its own, since
this one has long imported JAX.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CHECK = """
import sys
forbidden = [name for name in ("jax", "jaxlib", "autodiff_ref") if name in sys.modules]
assert not forbidden, f"imported {forbidden}"
"""

USE = """
import numpy as np
from manual_grad import Weights, equation_1, equation_2, value_and_grad
arguments = Weights([0.0], [0.0], [4.0, -4.0]), [[1.0], [2.0]], [1, -1]
assert equation_1(*arguments).tolist() == equation_2(*arguments).tolist() == [-0.5]
value_and_grad(*arguments)
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("code", ["import manual_grad", USE], ids=["imported", "used on NumPy arrays"])
def test_manual_grad_imports_neither_jax_nor_the_reference(code: str):
    done = run(code + CHECK)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("culprit", ["jax", "autodiff_ref"])
def test_the_import_check_fails_where_a_module_does_import_them(culprit: str):
    done = run(f"import manual_grad, {culprit}" + CHECK)
    assert done.returncode == 1
    assert "AssertionError: imported" in done.stderr
    assert repr(culprit) in done.stderr
