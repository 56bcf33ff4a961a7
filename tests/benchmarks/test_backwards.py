"""The battery of backward functions: what it promises, and a quick sample of it, one a feature."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from backwards.case import FEATURES, cases, off_by_differences, planted, verdict

pytestmark = pytest.mark.ci

SLOW = ("char_model_gradients", "conv_naive_backward", "depthwise_backward", "elu_backward", "svm_loss_vectorized")


def sample():
    """The first case that shows each feature, of those that are judged quickly."""
    quick = [case for case in cases() if case.style != "line" and case.name not in SLOW]
    chosen = {name: next(case for case in quick if name in case.features) for name in FEATURES}
    return list({case.name: case for case in chosen.values()}.values())


def test_there_are_100_of_different_names_and_each_feature_is_among_them():
    names = [case.name for case in cases()]
    assert len(names) == len(set(names)) == 100
    missing = [name for name in FEATURES if not any(name in case.features for case in cases())]
    assert not missing


@pytest.mark.parametrize("case", sample(), ids=lambda case: case.name)
def test_a_sample_gets_the_verdicts_that_differences_give(case):
    wrong = planted(case)
    assert off_by_differences(case) < 1e-5
    assert off_by_differences(wrong) > 1e-3
    said, why = verdict(case)
    assert said == "right", why
    said, why = verdict(wrong)
    assert said == "wrong", why
    assert case.name in why
