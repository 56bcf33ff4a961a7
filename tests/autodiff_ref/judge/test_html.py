"""Reports as HTML: self-contained, escaped, and saying what the table says."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from autodiff_ref import verify
from autodiff_ref.judge.html import formula, of_report, page
from manual_grad import Derivation, reals
from tests.shown import blocks, output_of, pages


def square(z):
    return z * z


def line_1(z, nabla):
    """2 z^{1} <script>alert(1)</script>"""
    return 2 * z


def line_2(z):
    """3 z_i"""
    return 3 * z


@pytest.fixture(scope="module")
def report():
    return verify(Derivation("∇_z z² & more", of=square, wrt="z", domain=(reals(),), lines=[line_1, line_2]))


class Tags(HTMLParser):
    """Which elements are open and closed, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

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


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Σ_ij g_i v_j ∇a_ij", "Σ<sub>ij</sub> g<sub>i</sub> v<sub>j</sub> ∇a<sub>ij</sub>"),
        ("∂ll/∂w_{21} and δ_{l+1}", "∂ll/∂w<sub>21</sub> and δ<sub>l+1</sub>"),
        ("e^η + e^(−m²/2)", "e<sup>η</sup> + e<sup>−m²/2</sup>"),
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
