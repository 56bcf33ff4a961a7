"""The program that a report prints runs as it stands, in another process, and prints two values that differ."""

import subprocess
import sys

from autodiff_ref import verify
from autodiff_ref.cli import targets

BESIDE = """
from typing import Any, NamedTuple

class Shift(NamedTuple):
    b: Any
"""

NET = '''
from typing import Any, NamedTuple
import jax
import jax.numpy as jnp
from manual_grad import Derivation, contract, reals
from beside import Shift

class W(NamedTuple):
    a: Any
    shift: Any

TENTH = jnp.asarray(0.1)

def score(w, x):
    return jnp.tanh(x @ w.a + w.shift.b)

def loss(w, x):
    return TENTH * jnp.sum(score(w, x))

def line_1(w, x, nabla):
    """Σ ∇f / 10"""
    return contract(TENTH * jnp.ones(len(x)), nabla(score)(w, x))

def line_2(w, x, nabla):
    """(1 − f²) twice"""
    r = TENTH * jnp.ones(len(x)).at[:].add(-score(w, x).at[:].power(2))
    return jax.tree.map(lambda v, like: 2 * v + 0 * like, W(x.T @ r, Shift(r.sum())), w)

DOMAIN = (W(reals("d"), Shift(reals())), reals("n", "d"))
NET = Derivation("a net", of=loss, wrt=None, domain=DOMAIN, lines=[line_1, line_2])
UNNAMED = Derivation("a square", of=lambda z: z**2, wrt="z", domain=(reals(),), lines=[lambda z: 3 * z])
'''


def test_the_program_runs_as_it_stands(tmp_path, monkeypatch):
    """The file is beside a module that it imports; NamedTuples are of either; what it made at 64 bits stays so."""
    (tmp_path / "derivations").mkdir()
    (tmp_path / "derivations" / "beside.py").write_text(BESIDE)
    (tmp_path / "derivations" / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    derivations = targets.derivations_of("derivations/net.py").values()
    reports = [verify(derivation, examples=1, prove=False, floats=False) for derivation in derivations]
    monkeypatch.delitem(sys.modules, "beside")
    found = [next(line.counterexample for line in report.lines if line.counterexample) for report in reports]
    programs = "\nprint('---')\n".join(each.snippet for each in found)
    ran = subprocess.run([sys.executable, "-W", "error", "-"], input=programs, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    for each, printed in zip(found, ran.stdout.split("---\n"), strict=True):
        right, wrong = printed.splitlines()
        assert f"{float(each.expected):.8g}" in right
        assert f"{float(each.value):.8g}" in wrong
