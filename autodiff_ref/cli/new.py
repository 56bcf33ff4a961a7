"""The command `manual-grad new`: a file to start from. It imports no JAX."""

import importlib.util
import pkgutil
import sys
from pathlib import Path
from typing import Annotated

import typer

EXTENSIONS = "manual_grad.extensions"

STARTER = '''\
"""∇ ll of Poisson regression: a starter file, to be judged by

    manual-grad verify NAME.py

It verifies as it stands. Then break it: in line_3, write y + mean(w, x) for y - mean(w, x), and judge it again. The judge
names the line and shows the smallest input at which it is wrong. Then put your own function and your own lines in.
"""

import jax.numpy as jnp

from manual_grad import Derivation, integers, reals

# 1. The function that is differentiated, and its parts. jax.numpy, NumPy's array API or manual_grad's functions all do.


def log_mean(w, x):
    """η = X w"""
    return x @ w


def mean(w, x):
    """λ = e^η"""
    return jnp.exp(log_mean(w, x))


def log_likelihood(w, x, y):
    """ll = Σ y η − e^η"""
    return jnp.sum(y * log_mean(w, x) - mean(w, x))


# 2. The lines, in order, each claimed to equal the one above. What you worked out by hand is computed, what is left under
#    the ∇ goes to nabla: nabla(mean)(w, x) has one row an example, so `c @ nabla(mean)(w, x)` is Σ c ∇mean.
#    The name is the label; the first line of the docstring is the formula in the report.


def line_1(w, x, y, nabla):
    """Σ (y/λ − 1) ∇λ"""
    return (y / mean(w, x) - 1) @ nabla(mean)(w, x)


def line_2(w, x, y, nabla):
    """Σ (y − λ) ∇η, since ∇λ = λ ∇η"""
    return (y - mean(w, x)) @ nabla(log_mean)(w, x)


def line_3(w, x, y):
    """Xᵀ (y − λ): nothing is left under a ∇"""
    return x.T @ (y - mean(w, x))  # break this line: + for −


# 3. What the arguments are: named sizes, one domain an argument. `wrt` says by which one the gradient is.

POISSON = Derivation(
    "∇_w ll of Poisson regression",
    of=log_likelihood,
    wrt="w",
    domain=(reals("d"), reals("n", "d"), integers(0, 20, "n")),
    lines=[line_1, line_2, line_3],
)
'''


def new_command(
    name: Annotated[str, typer.Argument(help="The file's name, without .py.")],
    like: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="EXTENSION",
            help="Copy one of manual_grad.extensions instead.",
            show_default=False,
            autocompletion=lambda incomplete: [each for each in extensions() if each.startswith(incomplete)],
        ),
    ] = None,
) -> None:
    """Write a file to start from: a derivation that verifies, commented, with one line to break.

    \b
    manual-grad new mine
        writes mine.py
    manual-grad new mine --from softmax
        copies manual_grad/extensions/softmax.py into mine.py

    A file that exists is left alone. Exit code: 0 written, 2 a bad name, an unknown extension, or the file exists.
    """  # noqa: D301  \b is the character itself: it keeps the lines of its paragraph
    stem = name.removesuffix(".py")
    if not Path(stem).name.isidentifier():
        _fail(f"{name!r} cannot be imported: use letters, digits and _, as in my_derivation")
    path = Path(f"{stem}.py")
    if like is not None and like not in extensions():
        _fail(f"there is no extension {like!r}: choose one of {', '.join(extensions())}")
    text = STARTER.replace("NAME.py", str(path)) if like is None else source_of(like)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        _fail(f"{path} exists already, and is left as it is: choose another name")
    except OSError as error:
        _fail(f"{path} cannot be written: {error.strerror}")
    print(f"{path} written. Judge it: manual-grad verify {path}")


def extensions() -> list[str]:
    """The names of the files of `manual_grad.extensions` that hold a derivation.

    Example:
        >>> "softmax" in extensions()
        True
    """
    names = [module.name for module in pkgutil.iter_modules([str(_folder())])]
    return [name for name in names if " = Derivation(" in source_of(name)]


def source_of(extension: str) -> str:
    """The text of one of them."""
    return (_folder() / f"{extension}.py").read_text(encoding="utf-8")


def _folder() -> Path:
    spec = importlib.util.find_spec(EXTENSIONS)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _fail(reason: str) -> None:
    print(f"error: {reason}", file=sys.stderr)
    raise typer.Exit(2)
