"""`manual-grad new` writes a file that verifies, and whose marked line is found when it is broken."""

import pytest
from typer.testing import CliRunner

from autodiff_ref import verify
from autodiff_ref.cli.app import app
from autodiff_ref.cli.new import extensions
from autodiff_ref.cli.targets import derivations_of


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["new", *arguments])


def test_the_starter_verifies_and_its_marked_line_can_be_broken(run, tmp_path):
    done = run("mine")
    assert done.exit_code == 0
    assert "manual-grad verify mine.py" in done.output
    (derivation,) = derivations_of("mine.py").values()
    assert verify(derivation).ok
    text = (tmp_path / "mine.py").read_text(encoding="utf-8")
    (marked,) = [row for row in text.splitlines() if "# break this line" in row]
    (tmp_path / "broken.py").write_text(text.replace(marked, marked.replace("(y - mean", "(y + mean")), encoding="utf-8")
    (broken,) = derivations_of("broken.py").values()
    assert verify(broken).first_wrong_line == "line_3"


def test_an_extension_is_copied_and_can_be_judged_as_a_file(run, tmp_path):
    assert run("folder_of_mine/mine.py", "--from", "poisson").exit_code == 2  # there is no such folder
    assert run("mine.py", "--from", "poisson").exit_code == 0
    (derivation,) = derivations_of("mine.py").values()
    assert derivation.name == "∇_w ll of Poisson regression"


def test_every_extension_can_be_copied_and_loaded(run):
    for name in extensions():
        assert run(f"copy_{name}", "--from", name).exit_code == 0
        if name != "net":
            assert derivations_of(f"copy_{name}.py")


def test_a_file_that_exists_is_left_alone(run, tmp_path):
    (tmp_path / "mine.py").write_text("precious = 1\n")
    done = run("mine")
    assert done.exit_code == 2
    assert "exists already, and is left as it is: choose another name" in done.stderr
    assert (tmp_path / "mine.py").read_text() == "precious = 1\n"


@pytest.mark.parametrize(
    ("arguments", "said"), [(["my-file"], "cannot be imported"), (["a", "--from", "sofmax"], "softmax")]
)
def test_bad_names_are_told_of(run, arguments, said):
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
