"""What the README and the pages after it show is what a user gets: files written, commands run, their output compared."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.shown import assert_alike, blocks, output_of, pages

pytestmark = pytest.mark.ci

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def marked(what: str) -> dict[str, str]:
    """The fenced blocks of the README and these pages that a comment above them says something of."""
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
    assert tests
    for test in tests:
        test()


def test_the_gradient_that_the_readme_shows_fails_without_its_minus_sign():
    there: dict[str, Any] = {}
    text = marked("file")["test_mine.py"]
    exec(text.replace("return -x.T", "return x.T"), there)
    assert "return -x.T" in text
    with pytest.raises(AssertionError, match="every component is -1 times what it should be"):
        there["test_my_gradient"]()


@pytest.mark.parametrize("file", ["mine.py", "by_field.py", "newton.py"])
def test_the_readme_and_the_page_on_derivations_show_how_a_report_begins(there, file):
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
