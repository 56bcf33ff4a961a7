"""The command: what it prints, its exit codes, and what it says to bad input."""

import csv
import json
import re
import sys
import textwrap

import numpy as np
import pytest
from typer.testing import CliRunner

from autodiff_ref.cli import apart, judging
from autodiff_ref.cli.app import app
from autodiff_ref.cli.explaining import explain_command
from autodiff_ref.cli.verifying import verify_command
from autodiff_ref.judge.mutation.mutants import mutants
from autodiff_ref.judge.report import LineReport, Report
from autodiff_ref.judge.trial.trial import Finding, Trial
from manual_grad import notes


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


MINE = '''
"""A derivation in a file, with a mistake in its second line."""
from manual_grad import Derivation, reals
from manual_grad.notes import W11

def square(z):
    return z * z

def line_1(z, nabla):
    """z ∇z + z ∇z"""
    return 2 * z

def line_2(z, nabla):
    """3 z"""
    return 3 * z

RIGHT = Derivation("d z²/dz", of=square, wrt="z", domain=(reals(),), lines=[line_1])
WRONG = Derivation("d z²/dz, wrong", of=square, wrt="z", domain=(reals(),), lines=[line_1, line_2])
'''


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def test_without_a_target_the_notes_are_what_is_judged():
    result = run("verify", "--list", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)["derivations"]
    assert [each["name"] for each in found] == ["∇_{w11} ll", "∇_{w12} ll", "∇_{w21} ll", "d log σ(yz)/dz"]


@pytest.mark.explore
def test_without_a_target_the_notes_are_judged():
    """As CI does before it runs the tests."""
    result = run("verify", "--json")
    assert result.exit_code == 0
    assert [each["ok"] for each in json.loads(result.stdout)["derivations"]] == [True] * 4


def test_a_file_is_judged_without_what_it_imports(mine):
    result = run("verify", mine)
    assert result.exit_code == 1
    assert "REFUTED" in result.stdout
    assert "smallest input found   z=1" in result.stdout
    assert "∇_{w11} ll" not in result.stdout


def test_one_derivation_of_a_file_is_judged_alone(mine):
    assert run("verify", f"{mine}:RIGHT").exit_code == 0
    result = run("verify", f"{mine}:WRONG", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["derivations"][0]["first_wrong_line"] == "line_2"


def test_how_many_inputs_of_each_stratum_were_tried_is_said_where_it_was_asked_for(mine):
    said = {wanted: run("verify", *wanted, f"{mine}:RIGHT").stdout for wanted in ((), ("-v",))}
    assert "ordinary" not in said[()]
    assert " ordinary, " in " ".join(said["-v",].split())
    assert said["-v",].splitlines()[:2] == said[()].splitlines()[:2]


@pytest.fixture
def far_away(tmp_path):
    """A file whose path is longer than a terminal is wide."""
    folder = tmp_path / "a folder with a long name" / "and another one beneath it, so that no row of 80 columns holds it"
    folder.mkdir(parents=True)
    path = folder / "mine.py"
    path.write_text(MINE)
    return path


def test_a_list_names_derivations_and_lines_and_wraps_none(far_away):
    result = run("verify", "--list", far_away)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{far_away}:RIGHT   d z²/dz",
        "  line_1",
        f"{far_away}:WRONG   d z²/dz, wrong",
        "  line_1, line_2",
    ]


def test_the_program_that_a_report_ends_with_runs_as_printed(far_away, capsys):
    printed = run("verify", f"{far_away}:WRONG").stdout.split("as a program\n")[1]
    exec(textwrap.dedent(printed), {})  # what a reader would paste
    assert capsys.readouterr().out == "2.0\n3.0\n"


def test_mistakes_are_planted_on_demand():
    result = run("verify", "manual_grad.notes:RESIDUAL", "--mutants", 2, "--json")
    assert result.exit_code == 0
    (derivation,) = json.loads(result.stdout)["derivations"]
    assert derivation["mutants"]["planted"] == 10
    assert derivation["mutants"]["refuted"] + derivation["mutants"]["equal"] == 10, derivation["mutants"]
    assert {finding["line"] for finding in derivation["mutants"]["findings"]} == {f"claim_{k}" for k in "abcde"}


def test_a_planted_mistake_that_is_called_right_is_exit_code_3(monkeypatch):
    mutant = mutants(notes.RESIDUAL, notes.claim_c, seed=0, most=1)[0]
    finding = Finding("claim_c", mutant, "not told apart", "it differs at the 99th input tried", missed=True)
    monkeypatch.setattr(judging, "trial", lambda derivation, **_: Trial(derivation.name, 0, derivation.labels, [finding]))
    result = run("verify", "manual_grad.notes:RESIDUAL", "--mutants", 1)
    assert result.exit_code == 3
    assert "0 of 1 mistakes refuted, 1 called right" in result.stdout
    assert "it differs at the 99th input tried" in " ".join(result.stdout.split())


@pytest.mark.explore
def test_without_any_time_undecided_is_exit_code_3():
    assert run("verify", "manual_grad.notes:RESIDUAL", "--timeout", 0).exit_code == 3


# Bad input: one sentence on stderr, exit code 2, nothing on stdout


def refused(*arguments):
    result = run("verify", *arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nothing_like_this\n", "No module named 'nothing_like_this'"),
        ("from .first import square\n", "It is part of a package: name the module instead of the file"),
        ("x = = 3\n", "SyntaxError"),
        ("x = 3\n", "defines no Derivation"),
        ("raise SystemExit(0)\n", "SystemExit"),
        (MINE.replace("lines=[line_1, line_2]", "lines=[line_1, line_1]"), "two lines are named 'line_1'"),
        (MINE.replace("return 3 * z", "return [z, z]"), "line_2 returns"),
        (MINE.replace("return 3 * z", "return 'z'"), "line_2 returns the str 'z': a line returns the whole gradient"),
        (
            MINE.replace("line_2(z, nabla)", "line_2(nabla)"),
            "line_2 takes (nabla), and is called with (z, nabla), since `domain` has 1 entry",
        ),
        (
            MINE.replace("square(z)", "square(z, y)"),
            "`square` takes (z, y), and is called with (z), since `domain` has 1 entry",
        ),
        (MINE.replace("lines=[line_1, line_2]", "lines=line_1"), "`lines` is a list of functions"),
        (MINE.replace("[line_1, line_2])", "[line_1, line_2], where=lambda: True)"), "`where` takes (), and is called with"),
        (
            MINE.replace("[line_1, line_2])", "[line_1, line_2], where=lambda z: z > z.y)"),
            "`where` raised AttributeError in",
        ),
        (MINE + "line_2.valid = lambda z: None + z", "`valid` of line_2 raised TypeError in mine.py:19: "),
        (
            MINE.replace("return z * z", "return 1 * (z > 0)"),
            "`square` returns int64, and what is differentiated returns real",
        ),
        (
            MINE.replace("return 3 * z", "return nabla(square, wrt='v')(z)"),
            "line_2 raised TypeError in mine.py:15: ∇ is by 'v', and `square` has no argument of that name",
        ),
        (MINE.replace("return 3 * z", "raise ValueError('no')"), "line_2 raised ValueError in mine.py:15: no (at z ())"),
        (MINE.replace("return 3 * z", "return z.missing"), "line_2 raised AttributeError in mine.py:15"),
        (MINE.replace('wrt="z"', 'wrt="v"'), "wrt='v': `square` has no argument 'v', but z"),
    ],
)
def test_a_file_that_cannot_be_judged(mine, source, said):
    mine.write_text(source)
    assert said in refused(f"{mine}:WRONG")


# What cannot be judged does not stop what can


def entries(*arguments, code):
    result = run("verify", "--json", "--no-floats", "--no-proof", "--examples", 8, *arguments)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)["derivations"]


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("import manual_grad\n\nraise ValueError('no')\n", 'broken.py", line 3'),
        ("x = = 3\n", 'broken.py", line 1'),
        ("from manual_grad import nothing_like_this\n", 'broken.py", line 1'),
        ("import sys\nsys.exit(3)\n", 'broken.py", line 2'),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_file_that_cannot_be_run_does_not_stop_the_others(mine, source, place, first):
    broken = mine.parent / "broken.py"
    broken.write_text(source)
    others = [broken, f"{mine}:RIGHT"]
    found = {each.get("target", each["name"]): each for each in entries(*(others if first else others[::-1]), code=2)}
    assert list(found) == [str(broken), "d z²/dz"][:: 1 if first else -1]
    assert place in found[str(broken)]["error"]
    assert not found[str(broken)]["ok"]
    assert found[str(broken)]["lines"] == []
    assert found["d z²/dz"]["ok"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("raise ValueError('no')", "line_2 raised ValueError in mine.py:15: no (at z ())"),
        ("return [z, z]", "whole gradient, of the shape of what it is differentiated by (mine.py:13)"),
        ("return 'z'", "a line returns the whole gradient, an array or a pytree of arrays (mine.py:13)"),
    ],
)
def test_a_line_that_cannot_be_traced_does_not_stop_the_others(mine, change, said):
    mine.write_text(MINE.replace("return 3 * z", change) + "LAST = Derivation('last', square, 'z', (reals(),), [line_1])")
    right, wrong, last = entries(mine, code=2)
    assert (right["ok"], wrong["ok"], last["ok"]) == (True, False, True)
    assert said in wrong["error"]
    assert (wrong["name"], wrong["target"], wrong["lines"]) == ("d z²/dz, wrong", f"{mine}:WRONG", [])


def test_what_is_wrong_is_said_of_the_others_too(mine):
    """Exit code 2 comes before 1."""
    result = run("verify", "nothing.here", "--no-floats", "--no-proof", f"{mine}:WRONG")
    assert result.exit_code == 2
    assert "REFUTED" in result.stdout
    assert "there is no module 'nothing.here'" in result.stderr


def test_a_module_that_cannot_be_imported_does_not_stop_the_rest_of_its_package(package):
    (package / "mine_too" / "inner" / "broken.py").write_text("1 / 0\n")
    (package / "mine_too" / "worse").mkdir()
    (package / "mine_too" / "worse" / "__init__.py").write_text("import nothing_like_this\n")
    found = entries("mine_too", code=2)
    assert ["error" in each for each in found] == [False, False, True, False, False, True]
    assert "ZeroDivisionError" in found[2]["error"]
    assert found[2]["target"] == "mine_too.inner.broken"


def test_a_list_names_what_it_can(mine):
    result = run("verify", "--list", "--json", "nothing.here", mine)
    assert result.exit_code == 2
    assert [each.get("name") for each in json.loads(result.stdout)["derivations"]] == ["d z²/dz", "d z²/dz, wrong", None]
    assert "there is no module" in result.stderr


@pytest.mark.parametrize(
    ("codes", "worst"), [([], 0), ([0, 0], 0), ([0, 3], 3), ([3, 1, 0], 1), ([1, 2, 3], 2), ([3, 2], 2)]
)
def test_the_worst_exit_code_counts(codes, worst):
    assert judging.exit_code(codes) == worst


# A time limit that holds

LOOPS = (
    MINE
    + '''
import time
import jax
import jax.numpy as jnp

def traced_forever(z, nabla):
    """a loop in Python"""
    while True:
        time.sleep(1)

def run_forever(z, nabla):
    """a loop of JAX"""
    return jax.lax.while_loop(lambda v: v < jnp.inf, lambda v: v, z)

PYTHON = Derivation("a loop in Python", of=square, wrt="z", domain=(reals(),), lines=[line_1, traced_forever, line_1b])
JAX = Derivation("a loop of JAX", of=square, wrt="z", domain=(reals(),), lines=[line_1, run_forever])
'''.replace("line_1b", "line_2")
)


def test_files_that_never_end_are_killed_and_named(mine, monkeypatch):
    hangs, gone = mine.parent / "hangs.py", mine.parent / "gone.py"
    hangs.write_text("import time\nwhile True:\n    time.sleep(1)\n")
    gone.write_text("import os\nos._exit(7)\n")
    monkeypatch.setattr(apart, "LOADING", 1.5)
    importing, exited = entries("--timeout", 1, hangs, gone, code=2)
    assert importing["error"] == f"{hangs}: the time limit of 1.5 s was over while it was imported"
    assert exited["error"] == f"{gone}: its process ended by itself (exit code 7) while it was imported"


def test_lines_that_never_end_are_killed_and_named(mine):
    mine.write_text(LOOPS)
    targets = [f"{mine}:PYTHON", f"{mine}:JAX", f"{mine}:RIGHT"]
    in_python, in_jax, right = entries("--timeout", 3, *targets, code=3)
    assert [line["verdict"] for line in in_python["lines"]] == ["agrees", "undecided", "undecided"]
    assert in_python["lines"][1]["reason"] == "the time limit of 3 s was over while judging traced_forever"
    assert in_python["lines"][2]["reason"] == "not judged: traced_forever took all the time"
    assert [line["verdict"] for line in in_jax["lines"]] == ["agrees", "undecided"]
    reason = in_jax["lines"][1]["reason"]  # balls give up a loop after so many iterations
    assert reason == "the time limit of 3 s was over while judging run_forever" or "did not end" in reason
    assert right["ok"]


def test_with_a_time_limit_a_report_is_the_same(mine):
    mine.write_text(MINE)
    here, there = (entries(mine, "--mutants", 1, *limit, code=1) for limit in ([], ["--timeout", 300]))
    assert here == there
    text, limited = (run("verify", "--no-floats", mine, *limit) for limit in ([], ["--timeout", 300]))
    assert (text.stdout, text.exit_code) == (limited.stdout, limited.exit_code)


@pytest.mark.parametrize("k", [-1, 0, 1, 2])
@pytest.mark.parametrize("label", [None, "a", "b", "of"])
def test_what_was_found_is_kept_when_the_time_is_over(k, label):
    lines = [LineReport(name, "", "agrees" if number < k else "undecided") for number, name in enumerate("ab")]
    cut = judging.cut_short(Report("d", lines, 0), k, label, "over")
    assert [line.verdict for line in cut.lines[: max(k, 0)]] == ["agrees"] * max(k, 0)
    assert all(line.reason for line in cut.lines[max(k, 0) :])
    at_hand = {
        -1: "a" if label == "a" else "b" if label == "b" else "the reference",
        0: label if label == "b" else "a",
        1: "b",
    }
    said = [*(line.reason for line in cut.lines), *cut.notes]
    assert f"over while judging {at_hand.get(k, 'what is said of all lines')}" in said


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package in the working directory, two of whose modules hold derivations of the same names."""
    for folder in ("mine_too", "mine_too/inner"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    for module in ("first.py", "inner/second.py"):
        (tmp_path / "mine_too" / module).write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine_too"]:
        del sys.modules[name]


def listed(*targets):
    result = run("verify", "--list", "--json", *targets)
    assert result.exit_code == 0, result.output
    return [each["target"] for each in json.loads(result.stdout)["derivations"]]


def test_a_package_stands_for_all_derivations_of_its_modules(package):
    both = ["RIGHT", "WRONG"]
    every = [f"mine_too.{module}:{name}" for module in ("first", "inner.second") for name in both]
    assert listed("mine_too") == every
    assert listed("mine_too.inner") == every[2:]
    assert listed(every[1]) == [every[1]]


def test_what_several_targets_name_is_judged_once(mine):
    assert listed(f"{mine}:WRONG", mine, f"{mine}:RIGHT") == [f"{mine}:WRONG", f"{mine}:RIGHT"]


def test_what_a_line_prints_is_not_among_the_json(mine):
    mine.write_text(MINE.replace("    return 2 * z", "    print('here')\n    return 2 * z"))
    result = run("verify", "--json", "--no-floats", "--no-proof", f"{mine}:RIGHT")
    assert json.loads(result.stdout)["derivations"][0]["ok"]
    assert "here" in result.stderr


def test_a_directory_is_no_target(package):
    assert "is a directory (it holds __init__.py, first.py, …): name a file in it" in refused(package / "mine_too")
    assert "after the colon comes the name of a derivation" in refused("mine_too:")


def test_targets_that_do_not_exist(mine, tmp_path):
    assert "there is no module 'nothing.here'" in refused("nothing.here")
    assert "there is no file" in refused(tmp_path / "absent.py")
    assert "defines no derivation 'ABSENT'; it defines RIGHT, WRONG" in refused(f"{mine}:ABSENT")


def table(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["a", "b"], [1, 2], [3, 4]], "has no column 'y'; its columns are a, b"),
        ([["a", "y"], [1, 0], [2, 1], [3, 2]], "must hold two different values, it holds 3: '0', '1', '2'"),
        ([["a", "y"], [1, 0], [2, 0]], "must hold two different values, it holds 1: '0'"),
        ([["a", "y"], ["red", 0], [2, 1]], "columns that are not numeric: 'a' (row 2 holds 'red')"),
        ([["a", "y"], ["nan", 0], [2, 1]], "values are missing in 'a' (row 2): fill them; row 1 is the header\n"),
        (
            [["a", "b", "y"], ["nan", "red", 0], [2, "blue", 1]],
            "'a' (row 2): fill them; columns that are not numeric: 'b' (",
        ),
        ([["a", "y"], [1, 0], ["inf", 1]], "infinities in 'a' (row 3)"),
        ([["a", "y"], [1, 0], [2]], "row 3: 1 value, where the header has 2"),
        ([["a", "y"]], "has a header and no rows"),
        ([], "is empty"),
        ([["y"], [0], [1]], "has no column beside 'y'"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path, rows, said):
    assert said in refused("--data", table(tmp_path / "table.csv", rows), "--label", "y")


def test_a_missing_table_and_missing_options(tmp_path):
    assert "absent.csv: there is no such file" in refused("--data", tmp_path / "absent.csv", "--label", "y")
    assert "go together" in refused("--data", tmp_path / "absent.csv")
    assert "No such option" in refused("--bogus")


@pytest.mark.parametrize(("low", "high"), [("0", "1"), ("1", "2"), ("no", "yes"), ("-1", "1"), ("9", "10")])
def test_any_two_label_values_are_mapped_and_said_so(tmp_path, low, high):
    from autodiff_ref.cli.table import read_table

    path = table(tmp_path / "table.csv", [["a", "y"], [1, high], [2, low]])
    read = read_table(path, "y")
    assert read.classes == (low, high)
    assert np.array_equal(read.y, [1.0, -1.0])


def test_standardising_leaves_a_constant_column_at_zero(tmp_path):
    from autodiff_ref.cli.table import read_table

    path = table(tmp_path / "table.csv", [["a", "b", "y"], [1, 5, 0], [3, 5, 1]])
    assert read_table(path, "y").standardised().x.tolist() == [[-1.0, 0.0], [1.0, 0.0]]


def test_help_says_what_running_a_file_means():
    result = run("verify", "--help")
    assert "executes it with your rights" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("command", "option", "unit"),
    [
        ("grade", "--points", "points"),
        ("grade", "--workers", "at the same time"),
        ("verify", "--mutants", "0 plants none"),
        ("train", "--compare", "regression"),
    ],
)
def test_the_help_of_an_option_says_of_what_it_is_and_its_default(command, option, unit):
    said = " ".join(run(command, "--help").stdout.split("Options:")[1].split())
    own = re.split(r" -(?=[a-z]\b|-[a-z])", said.partition(f"{option} ")[2].replace(" --test-share", " test-share"))[0]
    assert unit in own
    assert "default" in own


@pytest.mark.parametrize("command", ["verify", "explain", "train", "predict", "plot", "plot stability", ""])
def test_examples_in_the_help_stand_on_lines_of_their_own(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    assert "\b" not in result.output
    assert r"\b" not in result.output
    rows = result.output.splitlines()
    assert max(map(len, rows)) <= 80
    written = {"verify": verify_command.__doc__, "explain": explain_command.__doc__}.get(command, "")
    examples = [row.strip() for row in written.splitlines() if row.strip().startswith("manual-grad")]
    assert len(examples) == {"verify": 5, "explain": 4}.get(command, 0)
    assert [row.strip() for row in rows if row.strip().startswith("manual-grad")] == examples
