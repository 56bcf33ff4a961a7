"""The catalogue of mistakes: each is refuted at its line, and docs/mistakes.md says so."""

import pytest

from tests.manual_grad.test_extensions import FILES
from tests.mistakes import MISTAKES
from tests.mistakes_page import PAGE, section, sentence

FAST = ("silu_factored", "perceptron", "link_for_mean")
NAMES = [mistake.line.__name__ for mistake in MISTAKES]


@pytest.mark.parametrize("mistake", [m for m in MISTAKES if m.line.__name__ in FAST], ids=lambda m: m.line.__name__)
def test_the_page_shows_how_the_judge_refutes_a_mistake(mistake):
    assert section(mistake) in PAGE.read_text(encoding="utf-8")


def test_a_right_line_in_the_catalogue_is_noticed():
    mistake = MISTAKES[NAMES.index("silu_factored")]
    harmless = type(mistake)(mistake.extension, mistake.derivation, mistake.instead_of, mistake.what, mistake.right)
    with pytest.raises(AssertionError):
        section(harmless)


def test_every_extension_has_two_mistakes_and_all_are_on_the_page():
    counts = {name: sum(mistake.extension == name for mistake in MISTAKES) for name in FILES if name != "net"}
    assert min(counts.values()) >= 2, counts
    text = PAGE.read_text(encoding="utf-8")
    for mistake in MISTAKES:
        assert f"**{sentence(mistake.what)}**" in text
    assert text.count("certified") == len(MISTAKES)


@pytest.mark.skipif("config.getoption('--hypothesis-profile', None) != 'explore'", reason="takes minutes")
@pytest.mark.parametrize("mistake", MISTAKES, ids=NAMES)
def test_the_page_shows_how_the_judge_refutes_every_mistake(mistake):
    assert section(mistake) in PAGE.read_text(encoding="utf-8")
