"""What people expect of any command: quick help, a version, `python -m`, completion."""

import importlib
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autodiff_ref.cli.app import COMMANDS, app

ROOT = Path(__file__).parents[2]


def ran(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


WITHOUT_JAX = """
import sys
from typer.testing import CliRunner
from autodiff_ref.cli.app import COMMANDS, app
for said in ("--version", "--help", "-h", "plot stability --help", *(f"{name} --help" for name in COMMANDS)):
    result = CliRunner().invoke(app, said.split())
    assert result.exit_code == 0, result.output
    assert "jax" not in sys.modules, f"manual-grad {said} imports JAX"
"""


def test_help_and_version_do_not_import_jax():
    done = ran("-c", WITHOUT_JAX)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["manual_grad", "autodiff_ref"])
def test_python_m_is_the_command(module):
    done = ran("-m", module, "--version")
    assert done.stdout == f"manual-grad {version('manual-grad')}\n", done.stderr


def test_every_command_is_in_the_help_and_can_be_imported():
    shown = CliRunner().invoke(app, ["--help"]).output
    for name, (place, said) in COMMANDS.items():
        assert name in shown
        assert said in " ".join(shown.split())
        module, _, attribute = place.partition(":")
        assert hasattr(importlib.import_module(module), attribute)
        assert CliRunner().invoke(app, [name, "-h"]).exit_code == 0


def test_an_unknown_command_is_bad_usage():
    assert CliRunner().invoke(app, ["verfy"]).exit_code == 2


def test_a_shell_can_complete_commands():
    arguments = {"_MANUAL_GRAD_COMPLETE": "complete_bash", "COMP_WORDS": "manual-grad ver", "COMP_CWORD": "1"}
    done = ran("-c", "import sys; sys.argv = ['manual-grad']; from autodiff_ref.cli.app import main; main()", **arguments)
    assert done.stdout.split() == ["verify"], done.stderr


def test_names_are_imported_when_they_are_used():
    done = ran("-c", "import autodiff_ref, sys; assert 'jax' not in sys.modules; print(autodiff_ref.grad.__name__)")
    assert done.stdout == "grad\n", done.stderr


def test_several_processes_find_what_one_finds(tmp_path, monkeypatch):
    """In order, and with the same verdicts; what a file prints does not come between."""
    text = (
        "from manual_grad import Derivation, reals\n"
        "def of(z):\n    return z * z\n"
        "def right(z):\n    '2 z'\n    return 2 * z\n"
        "def wrong(z):\n    '3 z'\n    return 3 * z\n"
        "print('loaded')\n"
        + "".join(
            f"D{k} = Derivation('d{k}', of=of, wrt='z', domain=(reals(),), lines=[{'wrong' if k == 4 else 'right'}])\n"
            for k in range(8)
        )
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "several_derivations.py").write_text(text)
    alone, both = (
        CliRunner().invoke(app, ["verify", "several_derivations", "--json", "--workers", workers]) for workers in "12"
    )
    assert alone.exit_code == both.exit_code == 1, both.output
    entries = [json.loads(each.stdout)["derivations"] for each in (alone, both)]
    for found in entries:
        for entry in found:
            entry.pop("sweep_seconds")
    assert entries[0] == entries[1]
    assert [entry["name"] for entry in entries[1]] == [f"d{k}" for k in range(8)]
