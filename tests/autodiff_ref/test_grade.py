"""`manual-grad grade`: whose claim is judged, what lines are worth, and what is written."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from autodiff_ref.cli import apart, judging
from autodiff_ref.cli.app import app
from autodiff_ref.cli.graded import names_of
from autodiff_ref.cli.marks import grade
from tests.autodiff_ref.judge.test_html import Tags

CLASS = Path(__file__).parents[2] / "examples" / "class"

REFERENCE = '''
from manual_grad import Derivation, reals

def square(z):
    return z * z

def one(z):
    return z + z

def two(z):
    """2 z"""
    return 2 * z

SOLUTION = Derivation("d z²/dz", of=square, wrt="z", domain=(reals(),), lines=[one, two])
'''

OPTIONS = {"prove": False, "floats": False, "examples": 16}


def graded(reference, *files, **options):
    """Graded in this process: name -> grade."""
    order = judging.Order(tuple(map(str, files)), OPTIONS | options, of=str(reference), graded=True)
    outcomes = list(judging.judged(order, judging.Listener()))
    return [grade(Path(f).stem, str(f), o.entry, of=2.0, shares=2) for f, o in zip(files, outcomes, strict=True)]


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "teacher" / "solution.py"
    path.parent.mkdir()
    path.write_text(REFERENCE)
    return path


def handed_in(reference, text, name="student"):
    path = reference.parent.parent / "in" / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


LAMBDAS = "def a(z{0}):\n    return {1}\ndef b(z{0}):\n    return {2}\nlines = [a, b]\n"


@pytest.mark.parametrize(
    ("text", "points", "first", "why"),
    [
        (LAMBDAS.format("", "z + z", "2 * z"), 2.0, "", ""),
        (LAMBDAS.format("", "3 * z", "2 * z + z"), 1.0, "a", "is not the gradient"),
        (LAMBDAS.format("", "3 * z", "2 * z"), 1.0, "a", "is not the gradient"),
        (LAMBDAS.format("", "3 * z", "3 * z"), 0.0, "a", "is not the gradient"),
        (LAMBDAS.format("", "2 * z", "2 * z"), 2.0, "", ""),
        (LAMBDAS.format(", nabla", "2 * z", "nabla(lambda z: z * z)(z)"), 1.0, "", "leaves ∇"),
        ("import jax\n" + LAMBDAS.format("", "jax.grad(lambda z: z * z)(z)", "2 * z"), 2.0, "", ""),
        ("import jax\ndef a(z):\n    return jax.grad(lambda z: z * z)(z)\nlines = [a]\n", 0.0, "", "calls jax.grad itself"),
    ],
    ids=[
        "right",
        "follows a wrong line",
        "put right",
        "repeated",
        "right, repeated",
        "∇ last",
        "jax.grad first",
        "jax.grad",
    ],
)
def test_lines_are_worth(reference, text, points, first, why):
    (found,) = graded(reference, handed_in(reference, text))
    assert (found.points, found.most, found.first_wrong_line) == (points, points, first)
    assert why in found.why


def test_the_claim_is_the_references(reference):
    """A student's own function, domain, condition and tolerance change nothing."""
    claims = """
from manual_grad import Derivation, holds_when, intervals, within
def cube(z):
    return z**3
def line(z):
    return 3 * z**2
OTHER = Derivation("d z³/dz", of=cube, wrt="z", domain=(intervals(0.5, 1.0),), lines=[MARK(line)])
"""
    for name, mark in (("none", ""), ("condition", "holds_when(lambda z: z == 0)"), ("tolerance", "within(relative=1e9)")):
        (found,) = graded(reference, handed_in(reference, claims.replace("MARK", mark), name))
        assert (found.points, found.most, found.first_wrong_line) == (0.0, 0.0, "line")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import solution\nlines = solution.SOLUTION.lines\n", "No module named 'solution'"),
        ("x = (", "cannot be run"),
        ("x = 1\n", "hands nothing in"),
        ("lines = [1]\n", "list of functions"),
        ("def a(z):\n    return z.nothing\nlines = [a]\n", "nothing"),
        (
            "import autodiff_ref.judge.derivations as d\nold = d.verify\nd.verify = lambda *a, **k: old(*a, **k)\n",
            "judged by",
        ),
    ],
)
def test_what_cannot_be_judged_costs_its_own_row(reference, text, said, monkeypatch):
    from autodiff_ref.judge import derivations

    monkeypatch.setattr(derivations, "verify", derivations.verify)
    bad = handed_in(reference, text + "\nlines = [print]\n" * ("verify" in text), "bad")
    good = handed_in(reference, LAMBDAS.format("", "z + z", "2 * z"), "good")
    first, second = graded(reference, bad, good)
    assert (first.points, first.most) == (0.0, 2.0)
    assert said in first.why
    assert second.points == 2.0 or "verify" in text


LINEAR = """
from manual_grad import Derivation, reals

def of(w, x):
    return (x @ w).sum()

def one(w, x):
    return x.sum(0)

SOLUTION = Derivation("∇_w Σ wᵀx", of=of, wrt="w", domain=(reals("d"), reals("n", "d")), lines=[one])
"""

ROW = "def row(w, x):\n    return x.sum(0, keepdims=True)\n"
SUM = "def right(w, x):\n    return x.sum(0)\n"
SLOW = "def slow(w, x):\n    while True:\n        pass\n"


@pytest.mark.parametrize(
    ("text", "points", "first", "standings"),
    [
        (ROW + SUM + "lines = [row, right]\n", 1.0, "row", ["wrong", "right"]),
        (SUM + ROW + "lines = [right, row]\n", 1.0, "row", ["right", "wrong"]),
        (ROW + "lines = [row]\n", 0.0, "row", ["wrong"]),
        ("def none(w, x):\n    x.sum(0)\n" + SUM + "lines = [none, right]\n", 1.0, "none", ["wrong", "right"]),
        ("def total(w, x):\n    return x.sum(1)\nlines = [total]\n", 0.0, "total", ["wrong"]),
    ],
    ids=["first", "last", "alone", "nothing returned", "the other axis"],
)
def test_a_line_of_a_wrong_shape_is_wrong_and_the_others_are_judged(reference, text, points, first, standings):
    reference.write_text(LINEAR)
    (found,) = graded(reference, handed_in(reference, text))
    assert (found.look, found.first_wrong_line) == (False, first)
    assert [mark.standing for mark in found.marks] == standings
    assert found.points == pytest.approx(points)
    assert ", and the gradient has shape (" in found.why
    assert "student.py:" in found.why


def test_the_time_limit_names_the_right_line_behind_one_of_a_wrong_shape(reference):
    """Places of lines are those of the file, whichever are left out."""
    reference.write_text(LINEAR)
    file = handed_in(reference, ROW + SUM + SLOW + "lines = [row, right, slow]\n")
    order = judging.Order((str(file),), OPTIONS, of=str(reference), graded=True)
    (outcome,) = apart.judged(order, judging.Listener(), 1.0)
    found = grade("s", str(file), outcome.entry, of=1.0, shares=1)
    assert [mark.standing for mark in found.marks] == ["wrong", "right", "look"]
    assert "while judging slow" in found.marks[2].why


STEP = """
from manual_grad import Derivation, reals

def half(w, x):
    return (w @ w) / 2

def step(w, x, nabla):
    return w - x * nabla(half)(w, x)

def one(w, x):
    return (1 - x) * w

SOLUTION = Derivation("a step of gradient descent", equals=step, domain=(reals("d"), reals()), lines=[one])
"""


def test_what_is_no_gradient_is_graded_as_well(reference):
    reference.write_text(STEP)
    right = handed_in(reference, "def a(w, x):\n    return w - x * w\nlines = [a]\n", "right")
    wrong = handed_in(reference, "def a(w, x):\n    return w + x * w\nlines = [a]\n", "wrong")
    short = handed_in(reference, "def a(w, x):\n    return (w - x * w)[:1]\nlines = [a]\n", "short")
    first, second, third = graded(reference, right, wrong, short)
    assert (first.points, first.look) == (2.0, False)
    assert (second.points, second.look) == (0.0, False)
    assert "does not follow from step" in second.why
    assert "and `step`, which it is to equal, shape (" in third.why


LINE = {"formula": "", "reason": "", "diagnosis": None, "counterexample": None}
VERDICTS = st.sampled_from(["proved", "agrees", "within", "refuted", "undecided", "partial"])


@given(st.lists(st.tuples(VERDICTS, st.booleans(), st.booleans()), min_size=1, max_size=6), st.integers(1, 4))
def test_points_are_within_bounds_and_full_for_right_lines_alone(lines, shares):
    made, origins = [], []
    for k, (verdict, left, calls) in enumerate(lines):
        against = f"line_{k - 1}" if k else "jax.grad"
        made.append({**LINE, "label": f"line_{k}", "verdict": verdict, "against": against})
        own = {"left": ["∇f"] * left, "calls": ["calls jax.grad"] * calls, "repeats": ""}
        origins.append({"label": f"line_{k}", **own})
    first = next((line["label"] for line in made if line["verdict"] == "refuted"), None)
    found = grade(
        "s",
        "s.py",
        {"lines": made, "origins": origins, "first_wrong_line": first, "claim": {"reference": "jax.grad"}},
        of=10.0,
        shares=shares,
    )
    assert 0 <= found.points <= found.most <= 10
    counted = [verdict for verdict, left, calls in lines if not left and not calls]
    is_last_by_hand = not (lines[-1][1] or lines[-1][2])
    if not counted:
        assert found.most == 0
    if not is_last_by_hand or ("refuted" in counted[-1:] and is_last_by_hand):
        assert found.most <= 5
    if all(verdict in ("proved", "agrees", "within") for verdict, _, _ in lines) and is_last_by_hand:
        assert found.points == 10


def test_the_command_kills_what_never_ends_and_writes_csv_html_and_feedback(reference):
    loops = handed_in(reference, "import time\ndef a(z):\n    while True:\n        time.sleep(1)\nlines = [a]\n", "=loops")
    wrong = handed_in(reference, 'def a(z):\n    "<b>"\n    return 3 * z\nlines = [a]\n', "wrong")
    out = reference.parent
    arguments = ["--of", reference, loops, wrong, "--timeout", 3, "--csv", out / "p.csv", "--html", out / "p.html"]
    result = CliRunner().invoke(app, ["grade", *map(str, arguments), "--feedback", str(out / "said"), "--json"])
    assert result.exit_code == 3, result.output
    first, second = json.loads(result.stdout)["grades"]
    assert (first["points"], first["most"], first["look"]) == (0, 2, True)
    assert "time limit" in first["why"]
    assert (second["points"], second["most"], second["first_wrong_line"]) == (0, 0, "a")
    rows = list(csv.DictReader((out / "p.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["name"] for row in rows] == ["'=loops", "wrong"]
    tags = Tags()
    page = (out / "p.html").read_text(encoding="utf-8")
    tags.feed(page)
    assert tags.open == []
    assert tags.seen.count("tr") == 3
    assert "<b>" not in page
    assert "smallest input found   z=" in (out / "said" / "wrong.txt").read_text(encoding="utf-8")


def test_a_reference_that_is_wrong_is_exit_code_2(reference):
    reference.write_text(REFERENCE.replace("2 * z", "3 * z"))
    result = CliRunner().invoke(app, ["grade", "--of", str(reference), str(reference)])
    assert result.exit_code == 2
    assert "wrong first at two" in result.stderr


def test_a_reference_with_several_derivations_is_asked_which(reference):
    reference.write_text(REFERENCE + REFERENCE[REFERENCE.index("SOLUTION") :].replace("SOLUTION", "OTHER"))
    result = CliRunner().invoke(app, ["grade", "--of", str(reference), str(reference)])
    assert result.exit_code == 2
    assert f"name one of them, as {reference}:SOLUTION or {reference}:OTHER" in result.stderr


WRONG = {
    "squared_loss": {"bob": (1, "line_2"), "cyd": (0, "")},
    "sigma_slope": {"bob": (1, "line_1")},
    "logistic": {"bob": (1, "line_2"), "cyd": (0, "")},
    "softmax": {"bob": (0, "line_1")},
    "tanh_layer": {"bob": (0, "line_1"), "cyd": (0, "line_1")},
    "relu": {"bob": (0, "line_1")},
    "l2_prior": {"bob": (0, "line_1")},
    "gaussian": {"bob": (1, "line_2")},
    "log_sum_exp": {"bob": (0, "line_1")},
    "two_layers": {"bob": (0, "line_1"), "cyd": (1, "line_1")},
}


@pytest.mark.parametrize("exercise", WRONG)
def test_the_example_class_is_graded_as_it_should_be(exercise):
    files = sorted(CLASS.glob(f"submissions/*/{exercise}.py"))
    found = graded(CLASS / "solutions" / f"{exercise}.py", *files, shrink=False, suspects=False)
    assert {file.parent.name: (g.points, g.first_wrong_line) for file, g in zip(files, found, strict=True)} == {
        "ann": (2, ""),
        **WRONG[exercise],
    }


def test_the_class_has_ten_exercises_and_no_other_files():
    assert sorted(WRONG) == sorted(path.stem for path in (CLASS / "solutions").glob("*.py"))
    assert {path.stem for path in CLASS.glob("submissions/*/*.py")} == set(WRONG)


def test_names_tell_submissions_apart():
    assert list(names_of(["a/x.py"]).values()) == ["x"]
    assert list(names_of(["a/x.py", "b/x.py", "b/y.py"]).values()) == ["a/x", "b/x", "b/y"]
