"""`manual-grad train` and `manual-grad predict`, as a person calls them."""

import csv
import gzip
import io
import json
import re

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from autodiff_ref.cli.training import predict_command, train_command
from autodiff_ref.train import commands, fit, load

app = typer.Typer()
app.command("train")(train_command)
app.command("predict")(predict_command)


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def data(examples, write_csv):
    x, y = examples
    return write_csv([["id", "a", "b", "c", "d", "kind"], *([f"n{k}", *x[k], y[k]] for k in range(len(x)))])


def train(data, *options):
    return run("train", data, "--label", "kind", "--leave-out", "id", "--epochs", 3, *options)


def test_train_then_predict(data, tmp_path, examples):
    done = train(data, "-v", "--save", tmp_path / "run")
    assert done.exit_code == 0, done.output
    for word in ("200 examples", "inside (−1) and outside (+1)", "4 → 2 → 1", "by hand", "by autodiff", "model.npz"):
        assert word in done.stdout
    assert done.stderr == "", "no progress where there is no terminal"
    predicted = run("predict", tmp_path / "run", data)
    assert predicted.exit_code == 0, predicted.output
    rows = list(csv.reader(io.StringIO(predicted.stdout)))
    assert rows[0] == ["prediction", "p(outside)"]
    model = load(tmp_path / "run")
    assert [row[0] for row in rows[1:]] == model.predict(examples[0]).tolist()
    np.testing.assert_allclose([float(row[1]) for row in rows[1:]], model.predict_probability(examples[0]), rtol=1e-5)


def test_json_is_all_there_is_on_stdout(data):
    done = train(data, "--json", "--validation", "0.2", "--weight-decay", "0.1", "--hidden", "4,3", "--activation", "tanh")
    summary = json.loads(done.stdout)
    assert summary["examples"] == 160
    assert summary["widths"] == [4, 3]
    assert summary["classes"] == ["inside", "outside"]
    assert summary["nanoseconds_per_example"] is None
    assert set(json.loads(train(data, "--json", "-v").stdout)["nanoseconds_per_example"]) == {"hand", "autodiff"}
    assert summary["epochs"] == 3
    assert 0 <= summary["accuracy"] <= 1
    assert 0 <= summary["validation_accuracy"] <= 1


def test_what_is_said_of_the_examples_held_out_is_of_the_weights_that_are_kept(data, tmp_path, examples):
    options = ("--json", "--validation", "0.25", "--seed", 3, "--learning-rate", 0.5, "--float64", "--save", tmp_path)
    summary = json.loads(train(data, *options).stdout)
    x, y = examples
    result = fit(x, y, epochs=3, validation=0.25, seed=3, learning_rate=0.5, dtype="float64")
    held_out = result.held_out
    model = load(tmp_path)
    assert len(held_out) == 50
    signs = np.where(y[held_out] == model.classes[1], 1, -1)
    p = model.predict_probability(x[held_out])
    ll = np.mean(np.log(np.where(signs > 0, p, 1 - p)))
    assert summary["validation_ll_per_example"] == pytest.approx(ll, rel=1e-9)
    assert summary["validation_accuracy"] == np.mean(model.predict(x[held_out]) == y[held_out])


def test_autodiff_trains_the_same_net(data, tmp_path):
    for gradient in ("hand", "autodiff"):
        assert train(data, "--gradient", gradient, "--float64", "--save", tmp_path / gradient).exit_code == 0
    by_hand, by_autodiff = (load(tmp_path / gradient).layers for gradient in ("hand", "autodiff"))
    for a, b in zip(by_hand, by_autodiff, strict=True):
        assert a.w.dtype == np.float64
        np.testing.assert_allclose(a.w, b.w, rtol=0, atol=1e-12)


def test_predict_finds_columns_by_name(data, tmp_path, write_csv, examples):
    train(data, "--save", tmp_path)
    turned = write_csv([["d", "new", "c", "b", "a"], *([r[3], "?", r[2], r[1], r[0]] for r in examples[0])], "new.csv")
    assert run("predict", tmp_path, turned).stdout == run("predict", tmp_path, data).stdout


def test_predict_from_arrays(tmp_path, examples):
    x, y = examples
    table = np.column_stack([x, y == "outside"])
    np.save(tmp_path / "train.npy", table)
    done = run("train", tmp_path / "train.npy", "--label", "-1", "--epochs", 1, "--save", tmp_path)
    assert done.exit_code == 0, done.output
    np.save(tmp_path / "new.npy", x)
    np.savez(tmp_path / "new.npz", x=x)
    outputs = {run("predict", tmp_path, tmp_path / name).stdout for name in ("train.npy", "new.npy", "new.npz")}
    assert len(outputs) == 1
    assert outputs.pop().count("\n") == 201
    np.save(tmp_path / "more.npy", np.ones((2, 9)))
    refused = run("predict", tmp_path, tmp_path / "more.npy")
    assert refused.exit_code == 2
    assert "9 columns, the model was trained on 4" in refused.stderr


def test_a_column_of_weights_is_no_feature(data, tmp_path, examples, write_csv):
    x, y = examples
    rows = [["a", "b", "c", "d", "times", "kind"], *([*x[k], k % 3, y[k]] for k in range(len(x)))]
    weighted = write_csv(rows, "weighted.csv")
    done = run("train", weighted, "--label", "kind", "--weights", "times", "--epochs", 1, "--save", tmp_path)
    assert done.exit_code == 0, done.output
    assert load(tmp_path).columns == ("a", "b", "c", "d")
    first = load(tmp_path).layers[0]
    done = run(
        *(
            "train",
            weighted,
            "--label",
            "kind",
            "--weights",
            "times",
            "--leave-out",
            "times",
            "--epochs",
            1,
            "--save",
            tmp_path,
        )
    )
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(load(tmp_path).layers[0].w, first.w, "weights count, whether left out as a feature or not")
    refused = run(
        "train", write_csv([["a", "times", "kind"], [1, 1, "x"], [2, -1, "y"]]), "--label", "kind", "--weights", "times"
    )
    assert "error: --weights times must be finite and at least 0, row 2 has -1" in refused.stderr


def test_columns_that_nothing_is_learned_from_are_named(write_csv):
    noise = ["0.3", "0.30000000000000004"]
    rows = [["flat", "a", "noise", "kind"], *([7, k, noise[k % 2], k % 3 == 0] for k in range(12))]
    done = run("train", write_csv(rows), "--label", "kind", "--epochs", 1)
    assert "constant   flat, noise: one value in all examples, up to rounding" in done.stdout


@pytest.mark.parametrize("planar", [pytest.param(False, marks=pytest.mark.explore), True])
def test_plot_draws_a_picture(data, tmp_path, planar):
    pytest.importorskip("matplotlib")
    left_out = ["--leave-out", "c", "--leave-out", "d"] if planar else []
    done = train(data, "--plot", tmp_path / "loss.png", "--validation", "0.2", *left_out)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_plot_without_matplotlib_says_what_to_install_before_training(data, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("autodiff_ref.train.plot.importlib.import_module", missing)
    monkeypatch.setattr(commands, "fit", None)
    done = train(data, "--plot", "loss.png")
    assert done.exit_code == 2
    assert "manual-grad[plot]" in done.stderr


BAD = {
    "unknown label": (["--label", "color"], "no column 'color'; its columns are id, a, b, c, d, kind"),
    "no label": ([], "no column 'y'; its columns are id, a, b, c, d, kind; `--label` names the one with the labels"),
    "a number of text": (
        ["--label", "kind", "--leave-out", "id", "--output", "identity"],
        "kind must hold numbers where the output is identity, got text such as 'inside'",
    ),
    "text among the features": (["--label", "kind"], "'id' (row 2 holds 'n0'): encode them, or say `--leave-out"),
    "unknown column to leave out": (["--label", "kind", "--leave-out", "ids"], "no column 'ids'"),
    "unknown weights": (["--label", "kind", "--leave-out", "id", "--weights", "w"], "no column 'w'"),
    "hidden": (["--label", "kind", "--leave-out", "id", "--hidden", "two"], "--hidden must be"),
    "negative hidden": (
        ["--label", "kind", "--leave-out", "id", "--hidden", "-2"],
        "--hidden must be whole numbers from 1 on",
    ),
    "batch": (["--label", "kind", "--leave-out", "id", "--batch", "all"], "--batch must be"),
    "gradient": (["--gradient", "magic"], "--gradient must be one of hand, autodiff"),
    "activation": (["--activation", "foo"], "--activation must be one of sigmoid, tanh, relu"),
    "shuffle": (["--shuffle", "foo"], "--shuffle must be one of"),
    "picture of no kind": (["--plot", "x.foo"], "--plot x.foo: the ending must be one of"),
    "picture in no folder": (["--plot", "nowhere/x.png"], "there is no folder nowhere"),
    "model in a file": (["--label", "kind", "--leave-out", "id", "--save", __file__], "is a file; give a folder"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_on_stderr_and_exit_2_before_training(name, data, monkeypatch):
    monkeypatch.setattr(commands, "fit", None)
    options, message = BAD[name]
    done = run("train", data, *options)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_missing_file_and_a_missing_model(tmp_path, data):
    assert "no such file" in run("train", tmp_path / "none.csv").stderr
    refused = run("predict", tmp_path / "none", data)
    assert refused.exit_code == 2
    assert "no such model" in refused.stderr
    assert "is no model: give the folder" in run("predict", data, data).stderr
    assert "is a folder: name a file in it" in run("train", tmp_path).stderr


def test_predict_needs_all_columns(data, tmp_path, write_csv):
    train(data, "--save", tmp_path)
    refused = run("predict", tmp_path, write_csv([["a", "b"], [1, 2]], "few.csv"))
    assert refused.exit_code == 2
    assert "no columns 'c', 'd'; its columns are a, b" in refused.stderr


@pytest.mark.parametrize("options", [[], ["--missing", "mean"]])
def test_predict_says_the_line_of_a_gap_and_no_option_that_it_has_not(data, tmp_path, write_csv, options):
    rows = list(csv.reader(io.StringIO(data.read_text())))
    if options:
        rows[1][1] = ""
    assert train(write_csv(rows, "with_gap.csv"), "--save", tmp_path, *options).exit_code == 0
    rows[4][2] = ""
    said = run("predict", tmp_path, write_csv(rows[:9], "gaps.csv")).stderr
    assert "'b' (row 5): fill them, since no value was missing there in training" in said
    assert "--" not in said
    rows[4][2] = "red"
    said = run("predict", tmp_path, write_csv(rows[:9], "text.csv")).stderr
    assert "'b' (row 5 holds 'red'): they were in training" in said


def test_a_folder_that_cannot_be_written_is_found_out_before_training(data, tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "fit", None)
    (tmp_path / "file").write_text("")
    done = train(data, "--save", tmp_path / "file" / "run")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")


def test_progress_is_shown_on_a_terminal(examples):
    from rich.console import Console

    from autodiff_ref.train import Epoch
    from autodiff_ref.train.progress import ProgressLine

    screen = io.StringIO()
    line = ProgressLine(Console(file=screen, force_terminal=True, width=120), 2)
    with line.running():
        line(Epoch(1, -0.5, -0.6, 0.01, 1000))
    assert "epoch 1/2" in screen.getvalue()
    assert "ll -0.5000 · validation -0.6000 · 100,000 examples/s" in screen.getvalue()


def test_a_table_with_semicolons_is_recognised(write_csv):
    done = run("train", write_csv([["a;b;y"], ["1;2;0"]]))
    assert "is it separated by ';'?" in " ".join(done.stderr.split())


@pytest.mark.parametrize("labels", ["ab", "aaaaaaaaab", "aaaabbbbcd"])
@pytest.mark.parametrize("share", ["0.5", "0.9"])
def test_a_label_that_is_kept_apart_alone_is_named_before_training(labels, share, write_csv, monkeypatch):
    monkeypatch.setattr("autodiff_ref.train.commands.fit", None)  # the first work; it would fail with another error
    path = write_csv([["a", "y"], *([k, label] for k, label in enumerate(labels))])
    result = run("train", path, "--label", "y", "--test-share", share)
    assert result.exit_code == 2
    assert f"--test-share {share}: the label " in result.stderr
    assert "take a smaller share" in result.stderr


@pytest.fixture
def save_table(tmp_path):
    """Writes a table as a file; its path, and how its label and its weights are named there."""

    def save(kind, table, names):
        path = tmp_path / f"data{kind}"
        if kind == ".parquet":
            arrow = pytest.importorskip("pyarrow")
            parquet = pytest.importorskip("pyarrow.parquet")
            parquet.write_table(arrow.table(dict(zip(names, table.T, strict=True))), path)
        elif kind == ".npy":
            np.save(path, table)
            return path, "3", "2"
        elif kind == ".npz":
            np.savez(path, x=table[:, :3], y=table[:, 3])
            return path, "y", "2"
        else:
            separator = "\t" if "tsv" in kind else ","
            lines = [separator.join("" if np.isnan(v) else f"{v:g}" for v in row) for row in table]
            text = "\n".join([separator.join(names), *lines])
            path.write_bytes(gzip.compress(text.encode()) if kind.endswith(".gz") else text.encode())
        return path, "y", "w"

    return save


def table_with(at, column, value, gaps):
    """Twelve examples: features a and b, weights, labels; one value is bad, and in some rows the first is missing."""
    table = np.column_stack([np.arange(12.0), np.arange(12) % 5, np.ones(12), np.arange(12) % 2])
    table[gaps, 0] = np.nan
    table[at, column] = value
    return table


TEXTS, BINARIES = (".csv", ".tsv.gz"), (".npy", ".npz", ".parquet")
OF_NO_USE = [(kind, 2, value, "classes") for kind in (*TEXTS, *BINARIES) for value in (-1, np.inf)]
OF_NO_USE += [(kind, 3, np.inf, "identity") for kind in (*TEXTS, *BINARIES)]
OF_NO_USE += [(kind, 3, np.inf, "classes") for kind in BINARIES]  # in a text file, inf is a class like any other


@pytest.mark.parametrize(("kind", "column", "value", "output"), OF_NO_USE)
@pytest.mark.parametrize("options", [[], ["--test-share", "0.25"]])
def test_a_message_names_the_row_of_the_file(kind, column, value, output, options, save_table):
    path, label, weights = save_table(kind, table_with(8, column, value, [0, 3, 4]), ["a", "b", "w", "y"])
    told = ["--label", label, "--weights", weights, "--output", output, "--missing", "drop", *options]
    refused = run("train", path, *told)
    assert refused.exit_code == 2
    at, first = re.search(r"row (\d+).*row 1 is the (first example|header)", refused.stderr).groups()
    assert int(at) == 9 + (first == "header"), refused.stderr


def test_a_row_without_a_label_is_dropped_whatever_the_file(tmp_path):
    np.save(tmp_path / "data.npy", table_with(8, 3, np.nan, [0]))
    done = run("train", tmp_path / "data.npy", "--label", 3, "--missing", "drop", "--epochs", 1, "--json")
    assert json.loads(done.stdout)["examples"] == 10, done.stderr


def test_a_row_of_the_file_is_named_though_some_are_kept_apart(tmp_path):
    np.save(tmp_path / "data.npy", table_with(8, 1, np.nan, []))
    refused = run("train", tmp_path / "data.npy", "--label", 3, "--test-share", "0.5")
    assert "row 9, '1' is nan" in refused.stderr
