"""What the README and docs/verify.md show is what a user gets: files written, commands run, their output compared."""

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.shown import assert_alike, blocks, output_of, pages

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def marked(what: str) -> dict[str, str]:
    """The fenced blocks of the README and docs/verify.md that a comment above them says something of."""
    return blocks(pages(), what)


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A folder with the README's files in it."""
    monkeypatch.chdir(tmp_path)
    for name, text in marked("file").items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "exit_code"),
    [
        ("manual-grad verify manual_grad.notes:W11", 0),
        ("manual-grad verify mine.py", 1),
        ("manual-grad explain line_2b", 0),
    ],
)
def test_the_readme_shows_what_a_command_prints(there, command, exit_code):
    printed, code = output_of(command)
    assert code == exit_code
    assert marked("output of")[command].strip() == printed.strip()


def test_the_readme_shows_how_a_wrong_rule_is_said(there):
    ((command, shown),) = marked("first rows of the output of").items()
    printed, code = output_of(command)
    assert code == 1
    assert printed.strip().startswith(shown.strip())
    assert "from mpmath import" in printed


def test_the_readme_shows_how_a_trial_of_the_judge_ends(there):
    ((command, shown),) = marked("end of the output of").items()
    printed, code = output_of(command)
    assert code == 0
    assert printed.strip().endswith(shown.strip())


def test_the_readme_shows_where_lines_lose_their_digits(there):
    command = "manual-grad plot stability manual_grad.notes:RESIDUAL --out claim.png"
    printed, code = output_of(command)
    assert code == 0
    assert (there / "claim.png").stat().st_size > 20_000
    assert_alike(printed, marked("output of")[command])


def test_the_tests_that_the_readme_shows_pass(there):
    found = runpy.run_path("test_mine.py")
    tests = [value for name, value in found.items() if name.startswith("test_")]
    assert len(tests) == 3
    for test in tests:
        test()


def test_the_layers_that_the_readme_shows_pass_and_a_mistake_in_each_is_found(there):
    text = marked("file")["test_layers.py"]
    found = runpy.run_path("test_layers.py")
    tests = [name for name in found if name.startswith("test_")]
    assert len(tests) == 3
    for name in tests:
        found[name]()
    for name, right, wrong in (
        ("test_a_layer", "dout.sum(axis=0)", "dout.mean(axis=0)"),
        ("test_each_step", "da * (1 - a**2)", "da * (1 - a)"),
        ("test_a_spectrum", "3 * v", "2 * v"),
    ):
        assert right in text
        mistaken: dict[str, Any] = {"__name__": "mistaken"}
        exec(text.replace(right, wrong), mistaken)
        with pytest.raises(AssertionError):
            mistaken[name]()


def test_the_readme_shows_how_its_gradient_fails_without_the_minus_sign():
    there: dict[str, Any] = {}
    exec(marked("file")["test_mine.py"].replace("return -x.T", "return x.T"), there)
    with pytest.raises(AssertionError) as failed:
        there["assert_gradients_agree"](
            there["gradient"], there["loss"], np.full(4, 0.5), np.full((3, 4), 0.5), np.array([-1.0, -1.0, 1.0])
        )
    shown = marked("failure")["without the minus sign"].strip()
    digits = r"0\.59658786794500\d+"  # the last ones are this machine's rounding
    assert re.sub(digits, "#", str(failed.value)) == re.sub(digits, "#", shown)


@pytest.mark.parametrize("file", ["by_field.py", "newton.py"])
def test_the_page_on_derivations_shows_how_a_report_begins(there, file):
    command = f"manual-grad verify {file}"
    printed, code = output_of(command)
    assert code == 1
    assert printed.strip().startswith(marked("beginning of the output of")[command].strip())


def test_the_readme_shows_how_the_real_table_begins(there):
    runpy.run_path("make_table.py")
    command = "manual-grad verify --data breast_cancer.csv --label diagnosis"
    shown = marked("beginning of the output of")[command]
    printed, code = output_of(command)
    assert code == 0
    # log-likelihoods after 300 steps depend on the machine's rounding in their last digits
    without_numbers = [re.sub(r"\d+\.\d+", "#", text.strip()) for text in (printed, shown)]
    assert without_numbers[0].startswith(without_numbers[1])
    said = " ".join(printed.split())
    assert "569 rows × 30 columns" in said
    assert "benign → −1, malignant → +1" in said
    assert "balls decided at the 4 rows where floats differ most" in said
    assert float(said.split("by the hand gradient: ")[1].split("accuracy ")[1][:5]) >= 0.97


def test_the_two_commands_stand_in_the_readme():
    assert "python -m venv .venv && .venv/bin/pip install -e . && .venv/bin/manual-grad verify" in README
    assert "python -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest" in README
