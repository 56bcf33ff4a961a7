"""A few of the functions of JAX that `benchmarks/jax_functions.py` judges all of: one of each kind."""

import json

import pytest

from benchmarks.jax_catalogue import catalogue
from benchmarks.jax_functions import judged, main
from benchmarks.jax_table import page

pytestmark = pytest.mark.rounding

ROWS = {row.name: row for row in catalogue()}

RIGHT = {
    "jax.nn.softplus": "smooth, with a branch in JAX's code",
    "jax.nn.relu": "a kink",
    "jax.nn.gelu": "constants",
    "jax.nn.softmax": "a Jacobian",
    "jax.numpy.sqrt": "an end of the domain, without a derivative",
    "jax.numpy.power, y = 1.5": "an end of the domain, with one",
    "jax.numpy.clip": "clipped",
    "jax.numpy.heaviside": "almost always 0",
    "jax.scipy.special.xlogy, y ≥ 0": "no gradient for want of one of two entries",
    "jax.scipy.stats.laplace.cdf": "a derivative below all floats",
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives_come_out_right(name):
    found = judged(ROWS[name])
    assert found["verdict"] in ("proved", "agrees", "within"), found


def test_at_a_kink_the_convention_is_told():
    found = judged(ROWS["jax.nn.relu"], floats=False, prove=False)
    assert found["kinks"] > 0
    assert set(found["conventions"]) == {"left"}


def test_a_wrong_derivative_is_refuted():
    """jax.grad of log Σ b e^x by an entry of b that is 0 is 0."""
    found = judged(ROWS["jax.scipy.special.logsumexp(b=…, return_sign=True)"], floats=False)
    assert found["verdict"] == "refuted"
    assert found["example"]["values"]["by_jax"] == "0"


def test_a_derivative_that_is_wrong_at_one_number_is_refuted_there():
    """jax.grad of spence is 0 at 1, where the derivative is −1; and NaN between 1 and 2."""
    found = judged(ROWS["jax.scipy.special.spence"], floats=False, prove=False, examples=8)
    assert found["verdict"] == "refuted"
    assert found["example"]["at"] == "x=1"
    assert any("JAX has no value where the gradient exists" in note for note in found["notes"])


def test_a_derivative_without_a_value_is_partial():
    """jax.grad of x⁰ at 0 is NaN."""
    found = judged(ROWS["jax.numpy.power, y = 0.0"], floats=False)
    assert found["verdict"] == "partial"
    assert found["reason"].endswith("as at x=0")


def test_where_jax_raises_there_is_no_derivative():
    found = judged(ROWS["jax.scipy.stats.gumbel_l.logpdf"])
    assert found["verdict"] == "no derivative"
    assert "TypeError" in found["reason"]


def test_the_page_says_what_was_found(tmp_path, capsys):
    rows = [judged(ROWS[name], floats=False) for name in ("jax.nn.relu", "jax.numpy.power, y = 0.0")]
    text = page({"jax": "0", "rows": rows})
    assert "| jax.nn | 1 | 1 | 0 |" in text
    assert "| `power, y = 0.0` | x=0 | by x | NaN | 0 |" in text
    path = tmp_path / "found.json"
    path.write_text(json.dumps({"jax": "0", "rows": rows}))
    main(["--table", str(path)])
    assert capsys.readouterr().out == text + "\n"


def test_the_catalogue_names_each_row_once():
    assert len(ROWS) == len(list(catalogue())) >= 220
    assert {row.module for row in ROWS.values()} == {"jax.nn", "jax.numpy", "jax.scipy.special", "jax.scipy.stats"}
