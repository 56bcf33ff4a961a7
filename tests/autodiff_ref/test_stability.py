"""`manual-grad plot stability`: the picture, the table, JSON, and what it says to bad input."""

import json
import sys
from io import StringIO
from itertools import pairwise

import pytest
from rich.console import Console
from typer.testing import CliRunner

from autodiff_ref.cli.app import app
from autodiff_ref.cli.stability import table_of
from autodiff_ref.judge.accuracy.paths import Path
from autodiff_ref.judge.accuracy.regions import Region
from autodiff_ref.judge.accuracy.survey import Curve, Survey

pytestmark = pytest.mark.rounding

TARGET = "manual_grad.notes:RESIDUAL"


def run(*arguments):
    return CliRunner().invoke(app, ["plot", "stability", *map(str, arguments)])


def test_it_draws_a_picture_and_prints_where_lines_lose_their_digits(tmp_path):
    picture = tmp_path / "claim.png"
    result = run(TARGET, "--out", picture, "--numpy")
    assert result.exit_code == 0, result.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000
    rows = {row.split()[0]: row.split() for row in result.stdout.split("y=+1")[1].splitlines() if row.startswith("  claim")}
    assert rows["claim_e"][1:4] == ["–", "–", "–"]
    assert rows["claim_d"][1] == "–"
    assert 36 < float(rows["claim_d"][2]) < 38
    assert "claim_b: does not run on NumPy alone" in result.stdout
    assert f"drawn in {picture}" in " ".join(result.stdout.split())


def test_nothing_of_the_table_is_lost_at_80_characters():
    """More regions than a column holds, and a long label, go on in the next row."""
    regions = {
        "lost": [Region(1000.25 + k, 1000.75 + k) for k in range(4)],
        "no digit": [Region(-0.911 - k, -0.871 - k) for k in range(3)],
        "nan": [Region(None, -803.0), Region(539.0, None)],
    }
    path = Path("z", "y=+1", (0.0, 1.0), (lambda z: (z,),))
    label = "a_line_whose_label_is_as_long_as_this_one"
    console = Console(width=80, file=StringIO(), legacy_windows=False)
    console.print(table_of(Survey(path, "float64", "compiled", (Curve(label, (1.0, 1.0), regions),), {}), console))
    rows = console.file.getvalue().splitlines()
    assert max(map(len, rows)) <= 80
    starts = [0, *(rows[0].index(heading) for heading in ("NaN", "no", "over", "elsewhere")), 80]
    columns = ["".join(row[a:b].strip() for row in rows[1:]) for a, b in pairwise(starts)]
    shown = [",".join(map(str, regions[level])) for level in ("nan", "no digit", "lost")]
    for found, said in zip(columns, [label, *shown], strict=False):
        assert found.replace(" ", "").endswith(said.replace(" ", ""))


def test_json_says_the_same_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(TARGET, "--json", "--numpy", "--dtype", "float32")
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)["derivations"]
    assert found["picture"] == "stability-RESIDUAL.png"
    assert (tmp_path / "stability-RESIDUAL.png").exists()
    (positive,) = [path for path in found["paths"] if path["given"] == "y=+1"]
    assert (positive["along"], positive["dtype"], positive["computed"]) == ("z", "float32", "numpy")
    lines = {line["label"]: line for line in positive["lines"]}
    assert 16 < lines["claim_d"]["no digit"][0]["from"] < 17.5
    assert lines["claim_e"]["lost"] == []


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run(TARGET)
    assert result.exit_code == 2
    assert "pip install 'manual-grad[plot]'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((TARGET, "--dtype", "float16"), "--dtype must be float64 or float32, got 'float16'"),
        ((TARGET, "--out", "picture.txt"), "--out must end in one of"),
        ((TARGET, "--out", "absent/picture.png"), "there is no folder absent for --out"),
        (("absent.py",), "there is no file absent.py"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())
