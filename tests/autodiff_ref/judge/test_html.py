"""Reports as HTML: self-contained, escaped, and saying what the table says."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff_ref import verify
from autodiff_ref.judge import pictures
from autodiff_ref.judge.html import formula, of_report, page
from manual_grad import Derivation, reals
from manual_grad.derivation import latex_of
from tests.shown import blocks, output_of, pages


def square(z):
    return z * z


def line_1(z, nabla):
    """2 z^{1} <script>alert(1)</script>"""
    return 2 * z


def line_2(z):
    """3 z_i"""
    return 3 * z


def line_3(z):
    r"""2 z, as a fraction

    :math:`\frac{4 z}{2} < \infty`
    """
    return 4 * z / 2


def line_4(z):
    r"""2 z, in LaTeX that is cut off: $2 z^$"""
    return 2 * z


def line_5(z):
    r"""2 z, $2 \text{<b onclick='x'>} z$"""
    return 2 * z


def line_6(z):
    r"""2 z, $2 \text{<mi onclick='x'>y</mi>} z < 3$"""
    return 2 * z


LINES = [line_1, line_2, line_3, line_4, line_5, line_6]


@pytest.fixture(scope="module")
def report():
    derivation = Derivation("∇_z z² & more", of=square, wrt="z", domain=(reals(),), lines=LINES)
    return verify(derivation, accuracy=True, examples=8)


class Tags(HTMLParser):
    """Which elements are open and closed, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_is_whole_and_loads_nothing(report):
    text = page("a < b", [of_report(report.to_dict())])
    tags = Tags()
    tags.feed(text)
    assert not tags.open
    assert not {"script", "link", "img", "iframe"} & set(tags.seen)
    assert not re.search(r"https?:|url\(|@import", text)


def test_what_the_table_says_stands_in_a_notebook(report):
    text = report._repr_html_()
    assert "wrong first at line_2" in text
    assert "REFUTED" in text
    assert report.lines[1].counterexample.difference in text
    assert "2 z<sup>1</sup> &lt;script&gt;" in text
    assert "3 z<sub>i</sub>" in text
    assert "∇<sub>z</sub> z² &amp; more" in text
    assert report.summary["reference"] in text


def test_latex_of_a_docstring_is_mathml_and_what_is_not_well_formed_is_shown_as_written(report):
    text = of_report(report.to_dict())
    assert text.count("<math ") == 1
    assert "<mfrac>" in text
    assert "4 z}{2}" not in text
    assert "<b" not in text
    assert "<mi on" not in text
    assert "<code>2 z^</code>" in text


@pytest.mark.parametrize(
    ("doc", "latex"),
    [
        (r"Σ: $\sum_i x_i$", r"\sum_i x_i"),
        ("Σ\n\n$$\n\\sum_i x_i\n$$\n", r"\sum_i x_i"),
        (r"Σ: \(\sum_i x_i\) and $y$", r"\sum_i x_i"),
        (r"Σ: \[\sum_i x_i\]", r"\sum_i x_i"),
        (r":math:`x^\top g`", r"x^\top g"),
        ("Σ\n\n.. math:: x\n   + y\n\nmore", "x + y"),
        ("Σ\n\n.. math::\n\n   x\n   + y\n", "x + y"),
        ("from $5 to $6, and $HOME", ""),
        ("costs 3$ or 4$", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_first_formula_in_latex_is_found(doc, latex):
    def line(z):
        return z

    line.__doc__ = doc
    assert latex_of(line) == latex


def test_errors_in_ulps_are_a_picture_that_needs_nothing(report):
    entry = report.to_dict()
    text = of_report(entry)
    for label in ("line_1", "line_4"):
        assert f'class="label">{label}</text>' in text
    assert text.count("<circle") == 2 * len(LINES)
    assert "worst 0 ulps" in text
    assert "the same in words" in text
    assert all(note in entry["notes"] for note in entry["accuracy"])
    assert not {"matplotlib"} & set(tags_of(text))


def tags_of(text):
    tags = Tags()
    tags.feed(text)
    assert not tags.open
    return tags.seen


@given(st.floats(0, 1e300), st.floats(0, 1e300), st.integers(0, 3))
def test_bars_stay_on_their_axis(worst, median, nan):
    found = {"worst": worst, "median": median, "nan": nan}
    text = pictures.errors([("line <b>", {"float64": {"compiled": found}, "float32": {"compiled": None}})])
    assert "<b" not in text
    assert "<mi on" not in text
    (width,) = map(float, re.findall(r'<rect [^>]*width="([-\d.]+)"', text))
    (centre,) = map(float, re.findall(r'<circle cx="([-\d.]+)"', text))
    assert 0 <= width <= pictures.RIGHT - pictures.LEFT
    assert pictures.LEFT <= centre <= pictures.RIGHT


ENDS = st.none() | st.floats(-1000, 1000)


@given(st.tuples(ENDS, ENDS).filter(lambda ends: None in ends or ends[0] <= ends[1]))
def test_strips_stay_on_their_axis_and_keep_the_order_of_their_ends(ends):
    region = {"from": ends[0], "to": ends[1]}
    found = {"along": "z", "given": "y=+1", "lost": [region], "no digit": [], "nan": []}
    text = pictures.regions([("line_1", {"float64": {"compiled": {"regions": [found]}}})])
    x, width = map(
        float, re.search(r'<rect x="([-\d.]+)" y="\d+" width="([-\d.]+)" height="12" fill="#f3c6a5"', text).groups()
    )
    assert x >= pictures.STRIP - 0.1
    assert x + width <= pictures.RIGHT + 1.1
    assert width >= 1


def test_without_a_loss_there_is_no_strip():
    found = {"along": "z", "given": "", "lost": [], "no digit": [], "nan": []}
    assert pictures.regions([("line_1", {"float64": {"compiled": {"regions": [found]}}}), ("line_2", {})]) == ""


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Σ_ij g_i v_j ∇a_ij", "Σ<sub>ij</sub> g<sub>i</sub> v<sub>j</sub> ∇a<sub>ij</sub>"),
        ("∂ll/∂w_{21} and δ_{l+1}", "∂ll/∂w<sub>21</sub> and δ<sub>l+1</sub>"),
        ("e^η + e^(−m²/2)", "e<sup>η</sup> + e<sup>−m²/2</sup>"),
        ("∇_W ll, ∇_Σ ll", "∇<sub>W</sub> ll, ∇<sub>Σ</sub> ll"),
        ("Σ_j λ¹_j: by X_train", "Σ<sub>j</sub> λ¹<sub>j</sub>: by X<sub>train</sub>"),
        ("the recursion of manual_grad.mlp, line_1", "the recursion of manual_grad.mlp, line_1"),
    ],
)
def test_formulas_are_set_with_subscripts_and_names_are_left_alone(written, shown):
    assert formula(written) == shown


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("manual-grad verify mine.py --html out.html", 1, "REFUTED"),
        ("manual-grad rules swish.py --html out.html", 1, "custom_jvp of swish"),
        ("manual-grad rules swish.py --html out.html", 1, "<dd>6 WRONG, 1 right</dd>"),
        (
            "manual-grad rules swish.py --html out.html",
            1,
            "<summary>to see it without this project</summary><pre>import jax",
        ),
        ("manual-grad explain mine.py:LOGISTIC line_2 --html out.html", 0, "line_2"),
        ("manual-grad verify mine.py --html nowhere/out.html", 2, None),
    ],
)
def test_the_commands_write_a_page(tmp_path, monkeypatch, command, code, said):
    monkeypatch.chdir(tmp_path)
    for name, text in blocks(pages(), "file").items():
        Path(name).write_text(text, encoding="utf-8")
    assert output_of(command)[1] == code
    if said is None:
        assert not Path("out.html").exists()
    else:
        assert said in Path("out.html").read_text(encoding="utf-8")
