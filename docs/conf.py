"""Sphinx: `python -m sphinx -W docs build/guide`, with the extra `docs` installed."""

import sys
from pathlib import Path

import latex2mathml.converter
from docutils import nodes

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from manual_grad import Domain  # noqa: E402 (after the path is set)

project = "manual-grad"
author = "the manual-grad authors"
copyright = author
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["build"]
# Formulas are MathML, made at build: the pages need no script from elsewhere
html_math_renderer = "mathml"
html_theme = "furo"
html_title = "manual-grad"
html_static_path = ["_static"]
html_css_files = ["guide.css"]

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 2
suppress_warnings = ["myst.header"]

# The notebook is run at each build: what it shows is what the judge says now
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_show_tb = True
nb_render_markdown_format = "myst"  # formulas in what the notebook displays

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
default_role = "code"  # docstrings write `name` for code, as Markdown does


def _escape_arguments(app, what, name, obj, options, lines):
    """`*args` in a docstring is no emphasis."""
    lines[:] = [line.replace("*args", r"\*args") if "``" not in line else line for line in lines]


def _skip_kinds(app, what, name, obj, skip, options):
    """A kind of domain is documented by the function that makes it."""
    return skip or (isinstance(obj, type) and issubclass(obj, Domain))


def _mathml(display):
    def visit(self, node):
        made = latex2mathml.converter.convert(node.astext(), display=display)
        self.body.append(f'<div class="formula">{made}</div>' if display == "block" else made)
        raise nodes.SkipNode

    return visit


def setup(app):
    """Sphinx's hook."""
    app.add_html_math_renderer("mathml", (_mathml("inline"), None), (_mathml("block"), None))
    app.connect("autodoc-process-docstring", _escape_arguments)
    app.connect("autodoc-skip-member", _skip_kinds)
