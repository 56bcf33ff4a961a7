"""What docs/numerics.md shows is what is measured, and what docs/checkers.md shows runs."""

import re
from pathlib import Path
from typing import Any

import pytest

from autodiff_ref.cli.stability import with_company
from autodiff_ref.judge.accuracy.survey import Surveyor
from manual_grad import notes
from tests.shown import assert_alike, blocks, output_of

pytestmark = [pytest.mark.ci, pytest.mark.rounding]

ROOT = Path(__file__).parents[1]
CHECKERS = (ROOT / "docs" / "checkers.md").read_text(encoding="utf-8")
NUMERICS = (ROOT / "docs" / "numerics.md").read_text(encoding="utf-8")


def test_the_page_on_assertions_runs_and_a_wrong_gradient_fails_as_shown():
    page: dict[str, Any] = {"__name__": "page"}
    for block in re.findall(r"^```python\n(.*?)^```", CHECKERS, flags=re.MULTILINE | re.DOTALL):
        exec(block, page)
    page["test_the_gradient"]()
    right = page["gradient"]

    def gradient(w, x, y):
        return right(w, x, y) / 2

    with pytest.raises(AssertionError) as failed:
        page["assert_gradients_agree"](gradient, page["loss"], *(page[name] for name in "wxy"))
    assert_alike(str(failed.value), blocks(CHECKERS, "failure of")["without the 2"])


@pytest.mark.parametrize("command", blocks(NUMERICS, "output of"))
def test_the_tables_are_what_the_commands_print(tmp_path, monkeypatch, command):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    printed, code = output_of(command)
    assert code == 0
    assert_alike(printed, blocks(NUMERICS, "output of")[command])
    assert list(tmp_path.glob("*.png"))


def test_the_table_of_the_notes_lines_is_as_measured():
    z_negative, z_positive, a_negative, a_positive = Surveyor(with_company(notes.W11)).survey()
    for survey in (z_negative, z_positive):
        sign = 1 if survey is z_positive else -1
        at = {curve.label: curve for curve in survey.curves}
        for label, curve in at.items():
            nan = curve.regions["nan"]
            assert bool(nan) == (label in ("line_0a", "line_0b", "line_1a"))
            for region in nan:
                end = region.high if sign > 0 else region.low
                assert 708 <= -sign * end <= 746
            # beside NaN, and what XLA flushes between 708 and 714
            lost = [region for region in curve.without_nan("lost") if min(abs(region.low), abs(region.high)) < 700]
            one_minus_margin = label in ("line_1a", "line_1b", "line_1c")
            one_minus_score = label in ("line_2b", "line_3a", "line_3b", "line_3c") and sign > 0
            assert bool(lost) == (one_minus_margin or one_minus_score), label
            for region in lost:
                assert sign * (region.low if sign > 0 else region.high) == pytest.approx(7.4, abs=1)
        assert at["grad_w11"].elsewhere <= 8
    for survey in (a_negative, a_positive):
        for curve in survey.curves:
            lost = [region for region in curve.regions["lost"] if region.low < 700]
            assert bool(lost) == (curve.label in ("line_3b", "line_3c"))
